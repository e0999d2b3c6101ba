//! Packets chosen by meaning: `c2s data#3`, `syn#1`, `ack#5..7`, `retrans`,
//! `every 400`, `udp len>1000`; and what is done to them.
//!
//! Words with blanks between them, all of which must hold:
//!
//! | word | holds for |
//! |---|---|
//! | `c2s`, `up`; `s2c`, `down` | packets of that direction |
//! | `ip`, `tcp`, `udp`, `icmp`, `icmp6` | packets of that protocol; `ip` is any |
//! | `syn`, `synack`, `fin`, `rst` | segments with that flag; `syn` without ACK |
//! | `ack` | segments that acknowledge and do nothing else |
//! | `data` | segments and datagrams with data |
//! | `retrans` | segments that carry what an earlier one did |
//! | `echo`, `reply` | ICMP and ICMPv6 echo requests, and replies |
//! | `port N` | TCP and UDP packets from or to that port; a datagram's later fragments carry no port |
//! | `len>N`, also `>=` `<` `<=` `=` | packets by their length in bytes, IP header included |
//! | `#N`, `#A..B`, `#A..`; `every N` | the Nth of the packets for which all else holds |
//!
//! A number may stand at the word it counts: `data#3`. Packets are counted from
//! 1, for `#` and `every` alike in each flow and direction by itself, so that a
//! choice does not depend on what else is on the wire: of two connections
//! `every 400` takes each one's 400th packet. Parse and match in one file;
//! counting is the caller's.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::flow::Direction;
use crate::packet::{Heading, IpProtocol, TcpFlags, Transport};

/// A choice of packets and what is done to them.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Which packets.
    pub selector: Selector,
    /// What is done.
    pub action: Action,
}

/// What a rule does to a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It never arrives.
    Drop,
    /// It arrives so much later than it would have.
    Delay(Duration),
    /// It arrives twice.
    Duplicate,
    /// Its ECN field is set to Congestion Experienced, whatever it was.
    Mark,
}

/// Which packets are meant.
#[derive(Debug, Clone, PartialEq)]
pub struct Selector {
    /// As it was typed, with single blanks: a loss's cause.
    text: String,
    terms: Vec<Term>,
    which: Option<Which>,
}

/// What a selector looks at.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Which way the packet goes.
    pub direction: Direction,
    /// Its headers.
    pub heading: &'a Heading,
    /// Whether it is a TCP segment that carries what an earlier one of its flow
    /// and direction did (SYN and FIN count as data).
    pub is_retransmission: bool,
}

/// One word's meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Term {
    Direction(Direction),
    Protocol(Protocol),
    Kind(Kind),
    Port(u16),
    Length(Comparison, usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Any,
    Only(IpProtocol),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Syn,
    SynAck,
    Ack,
    Data,
    Fin,
    Reset,
    Retransmission,
    Echo,
    Reply,
}

/// How a length is compared: the outcomes that hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Comparison {
    less: bool,
    equal: bool,
    greater: bool,
}

/// Which of the packets of the kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Range { first: u64, last: u64 },
    Every(u64),
}

impl Selector {
    /// Whether the packet is of the kind meant, its number aside.
    pub fn describes(&self, seen: Seen<'_>) -> bool {
        self.terms.iter().all(|term| term.holds(seen))
    }

    /// Whether the `count`th packet of the kind in its flow and direction,
    /// counted from 1, is meant.
    pub fn takes(&self, count: u64) -> bool {
        match self.which {
            None => true,
            Some(Which::Range { first, last }) => (first..=last).contains(&count),
            Some(Which::Every(step)) => count.is_multiple_of(step),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl Term {
    fn holds(self, seen: Seen<'_>) -> bool {
        match self {
            Term::Direction(direction) => seen.direction == direction,
            Term::Protocol(Protocol::Any) => true,
            Term::Protocol(Protocol::Only(protocol)) => seen.heading.protocol == protocol,
            Term::Kind(kind) => kind.holds(seen),
            Term::Port(port) => match seen.heading.transport {
                Transport::Tcp {
                    source,
                    destination,
                    ..
                }
                | Transport::Udp {
                    source,
                    destination,
                    ..
                } => source == port || destination == port,
                Transport::Icmp { .. } | Transport::Other => false,
            },
            Term::Length(comparison, length) => comparison.holds(seen.heading.length.cmp(&length)),
        }
    }
}

impl Kind {
    fn holds(self, seen: Seen<'_>) -> bool {
        match seen.heading.transport {
            Transport::Tcp { flags, data, .. } => {
                let has = |flag| flags.contains(flag);
                match self {
                    Kind::Syn => has(TcpFlags::SYN) && !has(TcpFlags::ACK),
                    Kind::SynAck => has(TcpFlags::SYN) && has(TcpFlags::ACK),
                    Kind::Ack => {
                        let other = [TcpFlags::SYN, TcpFlags::FIN, TcpFlags::RST];
                        has(TcpFlags::ACK) && data == 0 && !other.into_iter().any(has)
                    }
                    Kind::Data => data > 0,
                    Kind::Fin => has(TcpFlags::FIN),
                    Kind::Reset => has(TcpFlags::RST),
                    Kind::Retransmission => seen.is_retransmission,
                    Kind::Echo | Kind::Reply => false,
                }
            }
            Transport::Udp { data, .. } => self == Kind::Data && data > 0,
            Transport::Icmp { kind, .. } => {
                // RFC 792, RFC 4443.
                let (request, answer) = match seen.heading.protocol {
                    IpProtocol::ICMPV6 => (128, 129),
                    _ => (8, 0),
                };
                match self {
                    Kind::Echo => kind == request,
                    Kind::Reply => kind == answer,
                    _ => false,
                }
            }
            Transport::Other => false,
        }
    }

    /// The protocols whose packets can be of this kind.
    fn protocols(self) -> &'static [IpProtocol] {
        match self {
            Kind::Data => &[IpProtocol::TCP, IpProtocol::UDP],
            Kind::Echo | Kind::Reply => &[IpProtocol::ICMP, IpProtocol::ICMPV6],
            _ => &[IpProtocol::TCP],
        }
    }
}

impl Comparison {
    fn holds(self, ordering: Ordering) -> bool {
        match ordering {
            Ordering::Less => self.less,
            Ordering::Equal => self.equal,
            Ordering::Greater => self.greater,
        }
    }
}

/// Why a text chooses no packets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// No word at all.
    #[error("it chooses nothing; write what it is about, such as c2s data#3")]
    Empty,
    /// No such word.
    #[error(
        "\"{0}\" is no word of a selector; those are c2s, s2c; ip, tcp, udp, icmp, icmp6; syn, \
         synack, ack, data, fin, rst, retrans, echo, reply; port N, len>N; #N, #A..B, every N"
    )]
    Unknown(String),
    /// `every` or `port` without its number, or with a bad one.
    #[error("\"{0}\" needs a number after it: {1}")]
    NeedsNumber(&'static str, &'static str),
    /// A bad number after `#`.
    #[error("\"{0}\" is no number of a packet; the first one is #1, and a range is #5..7")]
    BadNumber(String),
    /// A bad comparison.
    #[error("\"{0}\" compares no length; write len>1000 or len<=40, in bytes with the IP header")]
    BadLength(String),
    /// Two numbers.
    #[error("\"{0}\" is a second number; a selector has one")]
    SecondNumber(String),
    /// Words that never hold together.
    #[error("no packet is both {0} and {1}")]
    Contradiction(String, String),
}

/// Reads a selector; the head of this file has its words.
impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let mut selector = Self {
            text: words.join(" "),
            terms: Vec::new(),
            which: None,
        };
        let mut rest = words.iter().copied();
        while let Some(word) = rest.next() {
            match word {
                "every" => {
                    let step = number(rest.next()).ok_or(EVERY)?;
                    selector.choose(Which::Every(step), word)?;
                }
                "port" => {
                    let port = rest.next().and_then(|port| port.parse().ok());
                    selector.terms.push(Term::Port(port.ok_or(PORT)?));
                }
                _ => selector.word(word)?,
            }
        }
        if selector.terms.is_empty() && selector.which.is_none() {
            return Err(SelectorError::Empty);
        }
        selector.contradiction(&words).map_or(Ok(selector), Err)
    }
}

const EVERY: SelectorError = SelectorError::NeedsNumber("every", "every 400");
const PORT: SelectorError = SelectorError::NeedsNumber("port", "port 5073");

impl Selector {
    /// One word, perhaps with a number: `syn`, `syn#1`, `#1`, `len>1000`.
    fn word(&mut self, word: &str) -> Result<(), SelectorError> {
        let (name, which) = match word.split_once('#') {
            Some((name, range)) => (name, Some(range)),
            None => (word, None),
        };
        if let Some(comparison) = name.strip_prefix("len") {
            let bad = || SelectorError::BadLength(name.to_owned());
            self.terms.push(length(comparison).ok_or_else(bad)?);
        } else if !name.is_empty() || which.is_none() {
            let unknown = || SelectorError::Unknown(name.to_owned());
            self.terms.push(plain(name).ok_or_else(unknown)?);
        }
        match which {
            None => Ok(()),
            Some(text) => {
                let bad = || SelectorError::BadNumber(format!("#{text}"));
                self.choose(range(text).ok_or_else(bad)?, word)
            }
        }
    }

    fn choose(&mut self, which: Which, word: &str) -> Result<(), SelectorError> {
        match self.which.replace(which) {
            None => Ok(()),
            Some(_) => Err(SelectorError::SecondNumber(word.to_owned())),
        }
    }

    /// Words that cannot hold together: two directions, two protocols, a kind
    /// that the protocol has not.
    fn contradiction(&self, words: &[&str]) -> Option<SelectorError> {
        let named = |term: Term| {
            let names = words
                .iter()
                .map(|word| word.split('#').next().unwrap_or(word));
            let name = names.into_iter().find(|name| plain(name) == Some(term));
            name.unwrap_or("that").to_owned()
        };
        let pairs = self
            .terms
            .iter()
            .enumerate()
            .flat_map(|(at, one)| self.terms[at + 1..].iter().map(move |other| (*one, *other)));
        let mut impossible =
            pairs.filter(|(one, other)| one.excludes(*other) || other.excludes(*one));
        let (one, other) = impossible.next()?;
        Some(SelectorError::Contradiction(named(one), named(other)))
    }
}

impl Term {
    fn excludes(self, other: Self) -> bool {
        match (self, other) {
            (Term::Direction(one), Term::Direction(other)) => one != other,
            (Term::Protocol(Protocol::Only(one)), Term::Protocol(Protocol::Only(other))) => {
                one != other
            }
            (Term::Protocol(Protocol::Only(one)), Term::Kind(kind)) => {
                !kind.protocols().contains(&one)
            }
            (Term::Kind(one), Term::Kind(other)) => !one
                .protocols()
                .iter()
                .any(|own| other.protocols().contains(own)),
            _ => false,
        }
    }
}

fn plain(name: &str) -> Option<Term> {
    let only = |protocol| Term::Protocol(Protocol::Only(protocol));
    Some(match name {
        "c2s" | "up" => Term::Direction(Direction::ClientToServer),
        "s2c" | "down" => Term::Direction(Direction::ServerToClient),
        "ip" => Term::Protocol(Protocol::Any),
        "tcp" => only(IpProtocol::TCP),
        "udp" => only(IpProtocol::UDP),
        "icmp" => only(IpProtocol::ICMP),
        "icmp6" => only(IpProtocol::ICMPV6),
        "syn" => Term::Kind(Kind::Syn),
        "synack" => Term::Kind(Kind::SynAck),
        "ack" => Term::Kind(Kind::Ack),
        "data" => Term::Kind(Kind::Data),
        "fin" => Term::Kind(Kind::Fin),
        "rst" => Term::Kind(Kind::Reset),
        "retrans" => Term::Kind(Kind::Retransmission),
        "echo" => Term::Kind(Kind::Echo),
        "reply" => Term::Kind(Kind::Reply),
        _ => return None,
    })
}

/// What follows `len`: `>1000`.
fn length(text: &str) -> Option<Term> {
    let digits = text.trim_start_matches(['<', '>', '=']);
    let sign = &text[..text.len() - digits.len()];
    let comparison = |less, equal, greater| Comparison {
        less,
        equal,
        greater,
    };
    let comparison = match sign {
        "<" => comparison(true, false, false),
        "<=" => comparison(true, true, false),
        "=" => comparison(false, true, false),
        ">=" => comparison(false, true, true),
        ">" => comparison(false, false, true),
        _ => return None,
    };
    Some(Term::Length(comparison, digits.parse().ok()?))
}

/// What follows `#`: `3`, `5..7`, `5..`.
fn range(text: &str) -> Option<Which> {
    let (first, last) = match text.split_once("..") {
        None => (number(Some(text))?, number(Some(text))?),
        Some((first, "")) => (number(Some(first))?, u64::MAX),
        Some((first, last)) => (number(Some(first))?, number(Some(last))?),
    };
    (first <= last).then_some(Which::Range { first, last })
}

/// A whole number from 1.
fn number(text: Option<&str>) -> Option<u64> {
    text?.parse().ok().filter(|number| *number > 0)
}

#[cfg(test)]
mod tests;
