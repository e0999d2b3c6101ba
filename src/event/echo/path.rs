//! What a look at the path to a host tells: each hop of a trace, each size that
//! a search for the path's MTU tried, and what they amount to.
//!
//! Pure values. In JSON the field `path` names the variant. A probe without an
//! answer is never called lost: routers limit how many errors they send.

use std::time::Duration;

use serde::Serialize;

use super::{EchoAddress, EchoSocket, EchoTarget};
use crate::packet::icmp_extension::Extension;
use crate::packet::quote::Quote;
use crate::units::{hexadecimal, nanoseconds, optional_nanoseconds};

/// One thing that became known of a path.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "path", rename_all = "snake_case")]
pub enum EchoPath {
    /// A walk along the path begins.
    TraceStarted(EchoTraceStarted),
    /// A hop is complete.
    Hop(EchoHop),
    /// The walk is over.
    Trace(EchoTrace),
    /// A search for the largest packet begins.
    MtuStarted(EchoMtuStarted),
    /// Something is known of a size.
    MtuStep(EchoMtuStep),
    /// The search is over.
    Mtu(Box<EchoMtu>),
}

impl EchoPath {
    /// The addresses it speaks of, each with the place for its name.
    pub fn names(&mut self) -> Vec<(&EchoAddress, &mut Option<String>)> {
        match self {
            EchoPath::Hop(hop) => {
                let fates = hop.probes.iter_mut().map(|probe| &mut probe.fate);
                fates.filter_map(EchoHopFate::name).collect()
            }
            EchoPath::MtuStep(step) => step.finding.name().into_iter().collect(),
            EchoPath::Mtu(mtu) => {
                let beyond = mtu.beyond.as_mut();
                let names = beyond.and_then(|step| step.finding.name());
                let last = mtu.last_heard.as_mut();
                let last = last.map(|heard| (&heard.from, &mut heard.from_name));
                names.into_iter().chain(last).collect()
            }
            EchoPath::TraceStarted(_) | EchoPath::Trace(_) | EchoPath::MtuStarted(_) => Vec::new(),
        }
    }
}

/// The two ends of a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EchoEnds {
    /// The host at the far end.
    #[serde(flatten)]
    pub target: EchoTarget,
    /// Its address.
    pub address: EchoAddress,
    /// The address the requests come from.
    pub source: EchoAddress,
    /// The interface that has that address, if it is one of this host's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// The kind of socket.
    pub socket: EchoSocket,
}

/// How a walk along the path is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EchoTraceStarted {
    /// From where to where.
    #[serde(flatten)]
    pub ends: EchoEnds,
    /// The farthest hop that is asked.
    pub most_hops: u8,
    /// Requests for each hop.
    pub probes_per_hop: u8,
    /// Each request's size in bytes, IP header included.
    pub packet_bytes: usize,
}

/// A hop and what was heard from there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EchoHop {
    /// Its number, from 1: the time to live of its requests.
    pub hop: u8,
    /// Whether the path ends here.
    pub last: bool,
    /// Its requests, in the order they were sent.
    pub probes: Vec<EchoHopProbe>,
}

/// A request to a hop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EchoHopProbe {
    /// Its number in this run, from 1.
    pub number: u64,
    /// Its ICMP sequence number.
    pub icmp_sequence: u16,
    /// From our send call to the answer.
    #[serde(
        rename = "rtt_ns",
        serialize_with = "optional_nanoseconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub round_trip: Option<Duration>,
    /// What became of it.
    #[serde(flatten)]
    pub fate: EchoHopFate,
}

/// What became of a request to a hop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "fate", rename_all = "snake_case")]
pub enum EchoHopFate {
    /// The target answered.
    Reply {
        /// Who.
        from: EchoAddress,
        /// Its name, if it was asked for and found.
        #[serde(skip_serializing_if = "Option::is_none")]
        from_name: Option<String>,
        /// The time to live or hop limit the reply arrived with.
        #[serde(skip_serializing_if = "Option::is_none")]
        ttl: Option<u8>,
    },
    /// An ICMP error came.
    Error(Box<EchoHopError>),
    /// Nothing came in time: the hop is silent, or limits its errors.
    NoErrorReceived,
    /// This host could not send it.
    Unsent {
        /// The errno's name.
        errno: String,
        /// The errno in words.
        meaning: String,
    },
}

impl EchoHopFate {
    /// Who answered, and the name.
    pub fn answerer(&self) -> Option<(&EchoAddress, Option<&str>)> {
        match self {
            EchoHopFate::Reply {
                from, from_name, ..
            } => Some((from, from_name.as_deref())),
            EchoHopFate::Error(error) => Some((&error.from, error.from_name.as_deref())),
            EchoHopFate::NoErrorReceived | EchoHopFate::Unsent { .. } => None,
        }
    }

    fn name(&mut self) -> Option<(&EchoAddress, &mut Option<String>)> {
        match self {
            EchoHopFate::Reply {
                from, from_name, ..
            } => Some((from, from_name)),
            EchoHopFate::Error(error) => Some((&error.from, &mut error.from_name)),
            EchoHopFate::NoErrorReceived | EchoHopFate::Unsent { .. } => None,
        }
    }
}

/// An ICMP error, as far as the socket hands it over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EchoHopError {
    /// Who sent it.
    pub from: EchoAddress,
    /// Its name, if it was asked for and found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_name: Option<String>,
    /// The time to live or hop limit the error arrived with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u8>,
    /// The ICMP type.
    pub icmp_type: u8,
    /// The ICMP code.
    pub icmp_code: u8,
    /// The number that comes with some types: an MTU in bytes or a pointer.
    pub info: u32,
    /// Type and code in words, as `ping(8)` says them.
    pub meaning: String,
    /// What the router appended (RFC 4884).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<Extension>,
    /// The request as it arrived there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quote: Option<Quote>,
    /// The whole ICMP message, where the socket hands it over (`SOCK_RAW`).
    #[serde(
        rename = "message_hex",
        serialize_with = "hexadecimal",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub message: Vec<u8>,
}

/// What a walk came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EchoTrace {
    /// From where to where.
    #[serde(flatten)]
    pub ends: EchoEnds,
    /// Why it ended.
    pub end: EchoTraceEnd,
    /// Hops that were told.
    pub hops: u8,
    /// Requests sent for these hops.
    pub probes: u64,
    /// Requests of these that were answered.
    pub answered: u64,
    /// Requests of these to which nothing was received.
    pub unanswered: u64,
    /// Requests sent for other hops: farther than the path is long, or still
    /// under way when the walk ended early.
    pub untold: u64,
    /// From the start to the end.
    #[serde(rename = "time_ns", serialize_with = "nanoseconds")]
    pub time: Duration,
}

/// Why a walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EchoTraceEnd {
    /// The target answered.
    Reached,
    /// A router, or this host, says that the target cannot be reached.
    Unreachable,
    /// This host could not send.
    Unsent,
    /// The farthest hop was asked, and was not the target.
    MostHops,
    /// It was interrupted.
    Stopped,
    /// It took longer than it was given.
    TimeOver,
}

/// A search for the largest packet that reaches the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EchoMtuStarted {
    /// From where to where.
    #[serde(flatten)]
    pub ends: EchoEnds,
    /// The smallest packet tried, in bytes, IP header included.
    pub least_bytes: u32,
    /// How often a size is tried before it counts as vanished.
    pub tries: u8,
}

/// A size that something is known of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EchoMtuStep {
    /// The packet's size in bytes, IP header included.
    pub packet_bytes: u32,
    /// How often it was tried.
    pub tries: u8,
    /// What is known.
    #[serde(flatten)]
    pub finding: EchoMtuFinding,
}

/// What is known of a size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
pub enum EchoMtuFinding {
    /// The target answered.
    Passes {
        /// From our send call to the answer.
        #[serde(rename = "rtt_ns", serialize_with = "nanoseconds")]
        round_trip: Duration,
    },
    /// Someone on the path refuses it.
    Refused {
        /// Who.
        from: EchoAddress,
        /// Its name, if it was asked for and found.
        #[serde(skip_serializing_if = "Option::is_none")]
        from_name: Option<String>,
        /// The MTU it states, in bytes.
        #[serde(skip_serializing_if = "Option::is_none")]
        mtu_bytes: Option<u32>,
        /// The ICMP type.
        icmp_type: u8,
        /// The ICMP code.
        icmp_code: u8,
        /// Type and code in words, as `ping(8)` says them.
        meaning: String,
    },
    /// This host's kernel refuses it.
    Unsent {
        /// The interface's MTU in bytes, with `EMSGSIZE`.
        #[serde(skip_serializing_if = "Option::is_none")]
        mtu_bytes: Option<u32>,
        /// The errno's name.
        errno: String,
        /// The errno in words.
        meaning: String,
    },
    /// Nothing is heard of it.
    Vanishes,
}

impl EchoMtuFinding {
    fn name(&mut self) -> Option<(&EchoAddress, &mut Option<String>)> {
        match self {
            EchoMtuFinding::Refused {
                from, from_name, ..
            } => Some((from, from_name)),
            _ => None,
        }
    }
}

/// What a search came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EchoMtu {
    /// From where to where.
    #[serde(flatten)]
    pub ends: EchoEnds,
    /// The largest packet that was answered, in bytes, IP header included;
    /// absent if none was.
    pub mtu_bytes: Option<u32>,
    /// The largest payload of an echo message or a UDP datagram.
    pub payload_bytes: Option<u32>,
    /// Whether the search came to its end; if not, larger packets than
    /// `mtu_bytes` may pass too.
    pub complete: bool,
    /// What happens to the next larger packet that was tried.
    #[serde(rename = "next_larger", skip_serializing_if = "Option::is_none")]
    pub beyond: Option<EchoMtuStep>,
    /// Where larger packets vanish: the last hop that was heard of with one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_heard: Option<EchoLastHeard>,
    /// The path MTU that this host's kernel assumes now (`IP_MTU`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel_mtu_bytes: Option<u32>,
    /// Requests sent.
    pub probes: u64,
    /// From the start to the end.
    #[serde(rename = "time_ns", serialize_with = "nanoseconds")]
    pub time: Duration,
}

/// The last hop that was heard of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EchoLastHeard {
    /// Its number, from 1.
    pub hop: u8,
    /// Its address.
    pub from: EchoAddress,
    /// Its name, if it was asked for and found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_name: Option<String>,
}
