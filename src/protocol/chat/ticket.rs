//! Who comes in over datagrams says first what was sent to the address that they
//! claim, so that nobody can make a room talk to somebody else.
//!
//! A ticket is a keyed hash of the address (as TCP's SYN cookies): nothing is
//! kept of those who never answer. The key is the caller's.

use std::fmt;
use std::net::SocketAddr;

/// What to say to come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(u32);

/// Makes tickets, and knows its own.
pub struct Tickets {
    key: [u8; 32],
}

/// Whether somebody unknown asks to come in: they greet (`hello`), knock (`=0`)
/// or say a command. Nothing else is answered, and least of all what a room says
/// itself (`#1 …`, `* …`): one datagram under a false address would keep two
/// rooms talking, or a room and any service that answers.
pub fn is_knock(line: &str) -> bool {
    let line = line.trim();
    let greets = line
        .get(..5)
        .is_some_and(|word| word.eq_ignore_ascii_case("hello"));
    greets || line.starts_with(['=', '/'])
}

/// The word before a ticket.
const WORD: &str = "/here ";

impl Tickets {
    /// Tickets that nobody else can make who does not know the key.
    pub fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// The ticket for whoever receives at this address.
    pub fn of(&self, address: SocketAddr) -> Ticket {
        let hash = blake3::keyed_hash(&self.key, address.to_string().as_bytes());
        let [a, b, c, d, ..] = *hash.as_bytes();
        Ticket(u32::from_be_bytes([a, b, c, d]))
    }
}

impl Ticket {
    /// Reads `/here TICKET`.
    pub fn read(line: &str) -> Option<Self> {
        let digits = line.trim().strip_prefix(WORD)?;
        let is_one = digits.len() == 8 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_one.then(|| u32::from_str_radix(digits, 16).ok().map(Self))?
    }

    /// The ticket in what the room answers to a stranger, [`Ticket::asked_for`].
    pub fn in_answer(line: &str) -> Option<Self> {
        Self::read(line.strip_prefix("* to come in, say ")?)
    }

    /// What the room answers to a stranger.
    pub fn asked_for(self) -> String {
        format!("* to come in, say {self}")
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{WORD}{:08x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_ticket_is_good_for_one_address_and_one_room() {
        let room = Tickets::new([1; 32]);
        let [one, other] = ["192.0.2.1:1000", "192.0.2.1:1001"]
            .map(|text| text.parse::<SocketAddr>().expect("an address"));
        assert_eq!(room.of(one), room.of(one));
        assert_ne!(room.of(one), room.of(other));
        assert_ne!(room.of(one), Tickets::new([2; 32]).of(one));
    }

    #[test]
    fn what_is_no_ticket_is_none() {
        for line in [
            "",
            "/here",
            "/here 1",
            "/here 123456789",
            "/here +1234567",
            "hello",
        ] {
            assert_eq!(Ticket::read(line), None, "{line:?}");
        }
    }

    #[test]
    fn only_who_asks_is_answered() {
        for line in ["hello", "Hello?", "=0", "=12\n", "/here 00000000", "/help"] {
            assert!(is_knock(line), "{line:?}");
        }
        let ticket = Ticket(7).asked_for();
        for line in ["", "x", "#1 hello", "* bye", &ticket, "hell\u{f6}"] {
            assert!(!is_knock(line), "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn a_ticket_reads_back(number: u32) {
            let ticket = Ticket(number);
            prop_assert_eq!(Ticket::read(&ticket.to_string()), Some(ticket));
            prop_assert_eq!(Ticket::in_answer(&ticket.asked_for()), Some(ticket));
        }

        #[test]
        fn no_line_makes_it_panic(line: String) {
            let _ = (Ticket::read(&line), Ticket::in_answer(&line), is_knock(&line));
        }
    }
}
