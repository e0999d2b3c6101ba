//! Who has written to a listening socket: each with a number, in the order of
//! their first datagrams.
//!
//! Pure: no socket, no clock. Never forgets one; who is one too many is turned
//! away.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::super::mailbox::canonical;
use super::super::tally::Count;
use crate::socket::message::Arrival;

/// One who has written.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    /// Which of this side's addresses it wrote to last.
    pub(super) arrival: Option<Arrival>,
    pub(super) received: Count,
    pub(super) sent: Count,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Peers {
    most: usize,
    all: Vec<Peer>,
    numbers: HashMap<SocketAddr, usize>,
    last: Option<usize>,
}

/// To whom a line goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Choice {
    Last,
    All,
    /// The peer of this index.
    One(usize),
}

impl Peers {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            all: Vec::new(),
            numbers: HashMap::new(),
            last: None,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Counts what came from `address`; `None` where there is no room for
    /// another peer. Says whether it is a new one.
    pub(super) fn heard(
        &mut self,
        address: SocketAddr,
        bytes: usize,
        arrival: Option<Arrival>,
    ) -> Option<bool> {
        // A flood comes from one peer at a time.
        let is_last = |index: &usize| self.all[*index].address == address;
        let known = self.last.filter(is_last);
        let known = known.or_else(|| self.numbers.get(&address).copied());
        let (index, is_new) = match known {
            Some(index) => (index, false),
            None if self.all.len() >= self.most => return None,
            None => {
                self.numbers.insert(address, self.all.len());
                self.all.push(Peer {
                    address,
                    arrival: None,
                    received: Count::default(),
                    sent: Count::default(),
                });
                (self.all.len() - 1, true)
            }
        };
        let peer = &mut self.all[index];
        peer.received.add(bytes);
        peer.arrival = arrival.or(peer.arrival);
        self.last = Some(index);
        Some(is_new)
    }

    /// Who is meant.
    pub(super) fn chosen(&mut self, choice: &Choice) -> &mut [Peer] {
        match choice {
            Choice::All => &mut self.all,
            Choice::Last => match self.last {
                Some(index) => &mut self.all[index..=index],
                None => &mut [],
            },
            Choice::One(index) => &mut self.all[*index..=*index],
        }
    }

    /// Reads `2 TEXT`, `ADDRESS:PORT TEXT` or `* TEXT`: whom, and where the text
    /// begins.
    pub(super) fn read(&self, line: &[u8]) -> Result<(Choice, usize), String> {
        let space = line.iter().position(|byte| *byte == b' ');
        let end = line.strip_suffix(b"\n").map_or(line.len(), <[u8]>::len);
        let name = String::from_utf8_lossy(&line[..space.unwrap_or(end)]).into_owned();
        let text = space.map_or(end, |at| at + 1);
        if name == "*" {
            return Ok((Choice::All, text));
        }
        let number = name.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
        let address = || {
            let address: SocketAddr = name.parse().ok()?;
            self.all
                .iter()
                .position(|peer| canonical(peer.address) == address)
        };
        let index = number.filter(|index| *index < self.all.len());
        index
            .or_else(address)
            .map(|index| (Choice::One(index), text))
            .ok_or_else(|| {
                format!("there is no peer {name:?}: a line begins with a peer's number, its ADDRESS:PORT, or *")
            })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn peer(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    #[test]
    fn peers_are_numbered_as_they_come_and_one_too_many_is_turned_away() {
        let mut peers = Peers::new(2);
        assert_eq!(peers.heard(peer(1), 5, None), Some(true));
        assert_eq!(peers.heard(peer(2), 5, None), Some(true));
        assert_eq!(peers.heard(peer(1), 5, None), Some(false));
        assert_eq!(peers.heard(peer(3), 5, None), None);
        assert_eq!(peers.len(), 2);
        assert_eq!(peers.chosen(&Choice::Last)[0].address, peer(1));
        assert_eq!(peers.chosen(&Choice::Last)[0].received.bytes, 10);
        assert_eq!(peers.chosen(&Choice::All).len(), 2);
    }

    #[test]
    fn a_line_names_its_peer() {
        let mut peers = Peers::new(9);
        peers.heard(peer(1), 0, None);
        peers.heard("[::ffff:127.0.0.1]:2".parse().expect("mapped"), 0, None);
        assert_eq!(peers.read(b"2 hello\n"), Ok((Choice::One(1), 2)));
        assert_eq!(peers.read(b"127.0.0.1:2 x"), Ok((Choice::One(1), 12)));
        assert_eq!(peers.read(b"* a b\n"), Ok((Choice::All, 2)));
        assert_eq!(peers.read(b"1\n"), Ok((Choice::One(0), 1)));
        for line in ["3 x", "0 x", "x", "", "\n"] {
            peers.read(line.as_bytes()).expect_err(line);
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line: Vec<u8>) {
            let mut peers = Peers::new(1);
            peers.heard(peer(1), 0, None);
            if let Ok((_, text)) = peers.read(&line) {
                prop_assert!(text <= line.len());
            }
        }
    }
}
