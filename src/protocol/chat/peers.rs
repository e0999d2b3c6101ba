//! A room without a server: everybody sends to a group, and keeps account of whom
//! they hear. `#7 ann text` is ann's seventh message, `=7 ann` says that she is
//! there, `-7 ann` that she leaves.
//!
//! Owns who is known, by the address they send from, and what is missing of
//! them. Sends nothing; anybody in the group can claim any name, so two of one
//! name are told apart by their addresses.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::clean::clean;
use super::datagram::{Sequence, Turn, numbers, split_number};
use super::line::LONGEST_LINE;
use super::nick::Nick;

/// The most peers that are known at once.
const MOST: usize = 1000;

/// One datagram to the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Who sent it, as they call themselves.
    pub nick: Nick,
    /// The number of their last message, or of this one.
    pub number: u64,
    /// What they do.
    pub act: Act,
}

/// What a peer does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// They say something.
    Say(String),
    /// They are there.
    Alive,
    /// They leave.
    Leave,
}

impl Said {
    /// Reads a datagram; none where it is none of ours.
    pub fn read(datagram: &[u8]) -> Option<Self> {
        let (sign, rest) = datagram.split_first()?;
        let (number, rest) = split_number(rest)?;
        let rest = clean(rest.strip_prefix(b" ")?);
        let (nick, text) = rest.split_once(' ').unwrap_or((rest.as_str(), ""));
        let act = match sign {
            b'#' if number > 0 => Act::Say(text.to_owned()),
            b'=' => Act::Alive,
            b'-' => Act::Leave,
            _ => return None,
        };
        let nick = Nick::new(nick).ok()?;
        Some(Self { nick, number, act })
    }

    /// The datagram.
    pub fn write(&self) -> String {
        let Self { nick, number, act } = self;
        match act {
            Act::Say(text) => format!("#{number} {nick} {text}"),
            Act::Alive => format!("={number} {nick}"),
            Act::Leave => format!("-{number} {nick}"),
        }
    }
}

/// What is worth telling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Somebody is there who was not.
    Joined {
        /// Their name.
        nick: String,
        /// Where they send from.
        address: SocketAddr,
    },
    /// Somebody said something.
    Said {
        /// Their name.
        nick: String,
        /// What.
        text: String,
        /// Whether a later message of theirs was there before.
        late: bool,
    },
    /// Somebody said more than a line may have.
    TooLong {
        /// Their name.
        nick: String,
        /// How many bytes.
        length: usize,
    },
    /// Some of somebody's messages are missing.
    Missing {
        /// Their name.
        nick: String,
        /// From this number.
        from: u64,
        /// To this one.
        to: u64,
    },
    /// A number of somebody's is too far ahead to be counted.
    Astray {
        /// Their name.
        nick: String,
        /// The number.
        number: u64,
    },
    /// Somebody has another name now.
    Renamed {
        /// Before.
        from: String,
        /// Now.
        to: String,
    },
    /// Somebody is gone.
    Left {
        /// Their name.
        nick: String,
        /// Where nothing was heard of them, for how long.
        silent: Option<Duration>,
    },
}

impl Notice {
    /// In words.
    pub fn line(&self) -> String {
        match self {
            Self::Joined { nick, address } => format!("* {nick} joined ({address})"),
            Self::Said { nick, text, late } => {
                let late = if *late { " (late)" } else { "" };
                format!("<{nick}> {text}{late}")
            }
            Self::TooLong { nick, length } => {
                format!("* a line of {length} bytes of {nick} was left out")
            }
            Self::Missing { nick, from, to } => {
                let count = super::words::counted(to - from + 1, "message");
                format!("* lost: {count} of {nick} ({})", numbers(*from, *to))
            }
            Self::Astray { nick, number } => {
                format!("* {nick} numbers anew: {}", numbers(*number, *number))
            }
            Self::Renamed { from, to } => format!("* {from} is now {to}"),
            Self::Left { nick, silent: None } => format!("* {nick} left"),
            Self::Left {
                nick,
                silent: Some(time),
            } => {
                let time = super::duration(*time);
                format!("* {nick} left: nothing heard for {time}")
            }
        }
    }
}

/// Everybody who was heard.
#[derive(Debug)]
pub struct Peers {
    known: BTreeMap<SocketAddr, Peer>,
    silence: Duration,
    /// What is ours, folded.
    own: Option<String>,
}

#[derive(Debug)]
struct Peer {
    nick: Nick,
    sequence: Option<Sequence>,
    last: Instant,
}

/// What was heard of a datagram.
pub type Heard = Vec<Notice>;

impl Peers {
    /// Nobody yet; whoever is silent for so long is gone.
    pub fn new(silence: Duration) -> Self {
        Self {
            known: BTreeMap::new(),
            silence,
            own: None,
        }
    }

    /// What we are called ourselves: who claims the same is shown with the
    /// address.
    pub fn call_us(&mut self, nick: &Nick) {
        self.own = Some(nick.folded());
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.known.len()
    }

    /// Their names and addresses.
    pub fn who(&self) -> impl Iterator<Item = (String, SocketAddr)> {
        let known = self.known.iter();
        known.map(|(address, _)| (self.name(*address), *address))
    }

    /// What was heard of somebody's numbers.
    pub fn sequence(&self, address: SocketAddr) -> Option<Sequence> {
        self.known.get(&address)?.sequence
    }

    /// A datagram came from this address.
    pub fn hear(&mut self, now: Instant, address: SocketAddr, said: Said) -> Heard {
        let mut heard = Vec::new();
        if said.act == Act::Leave {
            let nick = self.name(address);
            if self.known.remove(&address).is_some() {
                heard.push(Notice::Left { nick, silent: None });
            }
            return heard;
        }
        if !self.known.contains_key(&address) {
            if self.known.len() == MOST {
                return heard;
            }
            let peer = Peer {
                nick: said.nick.clone(),
                sequence: None,
                last: now,
            };
            self.known.insert(address, peer);
            let nick = self.name(address);
            heard.push(Notice::Joined { nick, address });
        }
        self.rename(address, said.nick, &mut heard);
        let Some(peer) = self.known.get_mut(&address) else {
            return heard;
        };
        peer.last = now;
        let turn = peer.turn(said.number, &said.act);
        let nick = self.name(address);
        if let Turn::After(from, to) = turn {
            let nick = nick.clone();
            heard.push(Notice::Missing { nick, from, to });
        }
        if turn == Turn::Astray {
            let (nick, number) = (nick.clone(), said.number);
            heard.push(Notice::Astray { nick, number });
        }
        if let (Act::Say(text), true) = (said.act, turn != Turn::Again) {
            let late = turn == Turn::Late;
            heard.push(match text.len() {
                length if length > LONGEST_LINE => Notice::TooLong { nick, length },
                _ => Notice::Said { nick, text, late },
            });
        }
        heard
    }

    /// Who has been silent for too long.
    pub fn expire(&mut self, now: Instant) -> Heard {
        let silence = self.silence;
        let is_gone = |peer: &Peer| now.duration_since(peer.last) >= silence;
        let known = self.known.iter();
        let gone: Vec<SocketAddr> = known
            .filter(|(_, peer)| is_gone(peer))
            .map(|(address, _)| *address)
            .collect();
        let left = gone.into_iter().map(|address| {
            let nick = self.name(address);
            self.known.remove(&address);
            let silent = Some(silence);
            Notice::Left { nick, silent }
        });
        left.collect()
    }

    fn rename(&mut self, address: SocketAddr, nick: Nick, heard: &mut Heard) {
        let from = self.name(address);
        if let Some(peer) = self.known.get_mut(&address)
            && peer.nick != nick
        {
            peer.nick = nick;
            let to = self.name(address);
            heard.push(Notice::Renamed { from, to });
        }
    }

    /// A name, with the address where somebody else has the same.
    fn name(&self, address: SocketAddr) -> String {
        let Some(peer) = self.known.get(&address) else {
            return address.to_string();
        };
        let folded = peer.nick.folded();
        let is_other =
            |(other, peer): (&SocketAddr, &Peer)| *other != address && peer.nick.folded() == folded;
        let is_ours = self.own.as_ref() == Some(&folded);
        if is_ours || self.known.iter().any(is_other) {
            format!("{}@{address}", peer.nick)
        } else {
            peer.nick.to_string()
        }
    }
}

impl Peer {
    /// What a number says of this peer. What was before the first that was heard
    /// is not missing: it was said to others.
    fn turn(&mut self, number: u64, act: &Act) -> Turn {
        let Some(sequence) = &mut self.sequence else {
            let before = number.saturating_sub(u64::from(*act != Act::Alive));
            self.sequence = Some(Sequence::after(before));
            return self.turn(number, act);
        };
        match act {
            Act::Say(_) => sequence.hear(number),
            Act::Alive | Act::Leave => match sequence.learn(number) {
                Some((from, to)) => Turn::After(from, to),
                None => Turn::Next,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    fn told(peers: &mut Peers, port: u16, datagram: &str) -> Vec<String> {
        let said = Said::read(datagram.as_bytes()).expect("one of ours");
        let heard = peers.hear(Instant::now(), address(port), said);
        heard.iter().map(Notice::line).collect()
    }

    #[test]
    fn a_group_tells_who_comes_speaks_and_goes() {
        let mut peers = Peers::new(Duration::from_secs(60));
        let mut lines = Vec::new();
        for (port, datagram) in [
            (1, "=0 ann"),
            (2, "#4 bob hello"),
            (1, "#1 ann hi"),
            (1, "#4 ann where am I"),
            (1, "#3 ann this was slow"),
            (1, "#3 ann this was slow"),
            (2, "=5 bob"),
            (3, "=0 Ann"),
            (2, "=5 bobby"),
            (1, "-4 ann"),
            (3, "#1 Ann alone now"),
        ] {
            lines.extend(told(&mut peers, port, datagram));
        }
        let expected = [
            "* ann joined (192.0.2.1:1)",
            "* bob joined (192.0.2.1:2)",
            "<bob> hello",
            "<ann> hi",
            "* lost: 2 messages of ann (#2 to #3)",
            "<ann> where am I",
            "<ann> this was slow (late)",
            "* lost: 1 message of bob (#5)",
            "* Ann@192.0.2.1:3 joined (192.0.2.1:3)",
            "* bob is now bobby",
            "* ann@192.0.2.1:1 left",
            "<Ann> alone now",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_line_that_is_too_long_is_told_and_not_lost() {
        let mut peers = Peers::new(Duration::from_secs(60));
        let long = "x".repeat(LONGEST_LINE + 1);
        let lines = told(&mut peers, 1, &format!("#1 ann {long}"));
        assert_eq!(lines[1..], ["* a line of 4097 bytes of ann was left out"]);
        let fit = &long[1..];
        let lines = told(&mut peers, 1, &format!("#2 ann {fit}"));
        assert_eq!(lines, [format!("<ann> {fit}")]);
    }

    #[test]
    fn nobody_else_is_shown_under_our_own_name() {
        let mut peers = Peers::new(Duration::from_secs(60));
        peers.call_us(&Nick::new("ann").expect("a name"));
        told(&mut peers, 1, "=0 Ann");
        let said = "<Ann@192.0.2.1:1> it is me";
        assert_eq!(told(&mut peers, 1, "#1 Ann it is me"), [said]);
        peers.call_us(&Nick::new("anna").expect("a name"));
        assert_eq!(told(&mut peers, 1, "#2 Ann so be it"), ["<Ann> so be it"]);
    }

    #[test]
    fn who_is_silent_is_gone() {
        let mut peers = Peers::new(Duration::from_secs(60));
        let begin = Instant::now();
        let said = |text: &str| Said::read(text.as_bytes()).expect("one of ours");
        peers.hear(begin, address(1), said("=0 ann"));
        let later = begin + Duration::from_secs(30);
        peers.hear(later, address(2), said("=0 bob"));
        let left = peers.expire(begin + Duration::from_secs(60));
        let lines: Vec<String> = left.iter().map(Notice::line).collect();
        assert_eq!(lines, ["* ann left: nothing heard for 1 min"]);
        assert_eq!(peers.count(), 1);
    }

    #[test]
    fn a_crowd_of_made_up_addresses_has_a_limit() {
        let mut peers = Peers::new(Duration::from_secs(60));
        for port in 0..=u16::MAX {
            let said = Said::read(b"=0 ann").expect("one of ours");
            peers.known.insert(
                address(port),
                Peer {
                    nick: said.nick.clone(),
                    sequence: None,
                    last: Instant::now(),
                },
            );
            if peers.count() == MOST {
                break;
            }
        }
        assert_eq!(told(&mut peers, u16::MAX, "#1 eve let me in"), [""; 0]);
        assert_eq!(peers.count(), MOST);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(datagram: Vec<u8>) {
            if let Some(said) = Said::read(&datagram) {
                prop_assert_eq!(Said::read(said.write().as_bytes()), Some(said));
            }
        }

        #[test]
        fn no_numbers_confuse_it(numbers in prop::collection::vec((0_u8..3, any::<u64>()), 0..30)) {
            let mut peers = Peers::new(Duration::from_secs(60));
            for (sign, number) in numbers {
                let sign = ['#', '=', '-'][usize::from(sign)];
                let datagram = format!("{sign}{number} ann text");
                if let Some(said) = Said::read(datagram.as_bytes()) {
                    let heard = peers.hear(Instant::now(), address(1), said);
                    for notice in heard {
                        let _ = notice.line();
                    }
                }
            }
        }
    }
}
