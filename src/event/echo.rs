//! What a ping run tells: the run's beginning, each request, each reply, each
//! failure, and the figures at the end (RFC 792, RFC 4443).
//!
//! Pure values. Nothing here formats a line of output or decides what counts.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::units::{hexadecimal, nanoseconds, optional_nanoseconds};

/// One thing that happened in a ping run. In JSON the field `echo` names the
/// variant.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "echo", rename_all = "snake_case")]
pub enum Echo<'a> {
    /// The run begins.
    Started(EchoStarted),
    /// A request was handed to the kernel.
    Request(EchoRequest<'a>),
    /// A reply to one of our requests came.
    Reply(EchoReply<'a>),
    /// A request failed: an ICMP error came, or the kernel refused to send it.
    Failure(EchoFailure),
    /// The figures so far, because someone asked (`SIGQUIT`).
    Status(EchoSummary),
    /// The figures at the end.
    Summary(EchoSummary),
}

impl Echo<'_> {
    /// The same, owning its bytes.
    pub fn into_owned(self) -> Echo<'static> {
        match self {
            Echo::Started(started) => Echo::Started(started),
            Echo::Request(request) => Echo::Request(EchoRequest {
                message: Cow::Owned(request.message.into_owned()),
                ..request
            }),
            Echo::Reply(reply) => Echo::Reply(EchoReply {
                message: Cow::Owned(reply.message.into_owned()),
                ..reply
            }),
            Echo::Failure(failure) => Echo::Failure(failure),
            Echo::Status(summary) => Echo::Status(summary),
            Echo::Summary(summary) => Echo::Summary(summary),
        }
    }
}

/// An IP address with its IPv6 zone (RFC 4007), printed as `fe80::1%eth0`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EchoAddress {
    /// The address.
    pub ip: IpAddr,
    /// The interface a link-local address belongs to.
    pub zone: Option<Arc<str>>,
}

impl From<IpAddr> for EchoAddress {
    fn from(ip: IpAddr) -> Self {
        Self { ip, zone: None }
    }
}

impl fmt::Display for EchoAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.zone {
            Some(zone) => write!(f, "{}%{zone}", self.ip),
            None => self.ip.fmt(f),
        }
    }
}

impl Serialize for EchoAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Which kind of socket carries the requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EchoSocket {
    /// `SOCK_RAW`, see `raw(7)`.
    Raw,
    /// `SOCK_DGRAM` with `IPPROTO_ICMP`, see `icmp(7)`.
    Datagram,
}

/// What is pinged, from where, through what.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EchoStarted {
    /// The host as the summary calls it.
    pub name: String,
    /// The address that was chosen.
    pub target: EchoAddress,
    /// The name that address has, if it was asked for and found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_name: Option<String>,
    /// The address the route gives the requests.
    pub source: EchoAddress,
    /// The kind of socket.
    pub socket: EchoSocket,
    /// The ICMP identifier of all requests.
    pub identifier: u16,
    /// Bytes after the ICMP header in each request.
    pub payload_bytes: usize,
    /// From one request to the next.
    #[serde(rename = "interval_ns", serialize_with = "nanoseconds")]
    pub interval: Duration,
}

/// A request that was sent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EchoRequest<'a> {
    /// Its number in this run, from 1.
    pub number: u64,
    /// The ICMP sequence number: the number's low 16 bits.
    pub icmp_sequence: u16,
    /// The ICMP message.
    #[serde(rename = "message_hex", serialize_with = "hexadecimal")]
    pub message: Cow<'a, [u8]>,
}

/// A reply to one of our requests.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EchoReply<'a> {
    /// The number of the request it answers.
    pub number: u64,
    /// The ICMP sequence number.
    pub icmp_sequence: u16,
    /// Who sent it.
    pub from: EchoAddress,
    /// The sender's name, if it was asked for and found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_name: Option<String>,
    /// The time to live or hop limit it arrived with.
    pub ttl: Option<u8>,
    /// Length of the ICMP message in bytes, header included.
    pub message_bytes: usize,
    /// From our send call to the return of our receive call, by this host's
    /// monotonic clock.
    #[serde(rename = "rtt_ns", serialize_with = "nanoseconds")]
    pub round_trip: Duration,
    /// Whether it counts.
    pub judgement: EchoJudgement,
    /// Whether it is shorter than the request.
    pub truncated: bool,
    /// The ICMP message.
    #[serde(rename = "message_hex", serialize_with = "hexadecimal")]
    pub message: Cow<'a, [u8]>,
}

/// Whether a reply counts, and if not why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EchoJudgement {
    /// The first sound reply to its request.
    Counted,
    /// A further reply to the same request.
    Duplicate,
    /// Its checksum is wrong.
    BadChecksum,
    /// It came from an address other than the target's; not counted.
    DifferentAddress,
}

/// A request that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EchoFailure {
    /// The request's number, where the failure tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// The request's ICMP sequence number, where the failure tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icmp_sequence: Option<u16>,
    /// Why.
    #[serde(flatten)]
    pub cause: EchoCause,
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum EchoCause {
    /// Some host on the path answered with an ICMP error.
    Icmp {
        /// Who.
        from: EchoAddress,
        /// Its name, if it was asked for and found.
        #[serde(skip_serializing_if = "Option::is_none")]
        from_name: Option<String>,
        /// The ICMP type.
        icmp_type: u8,
        /// The ICMP code.
        icmp_code: u8,
        /// The number that comes with some types: an MTU in bytes or a pointer.
        info: u32,
        /// Type and code in words, as `ping(8)` says them.
        meaning: String,
    },
    /// This host's kernel found the request too long for the path.
    TooLong {
        /// The path's MTU in bytes.
        mtu_bytes: u32,
    },
    /// This host's kernel refused the request after taking it.
    Local {
        /// The errno's name.
        errno: String,
        /// The errno in words.
        meaning: String,
    },
    /// The send call failed.
    Send {
        /// The errno's name.
        errno: String,
        /// The errno in words.
        meaning: String,
    },
}

/// The figures of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EchoSummary {
    /// The host.
    pub name: String,
    /// Requests sent.
    pub transmitted: u64,
    /// Requests that were answered.
    pub received: u64,
    /// Further replies to answered requests.
    pub duplicates: u64,
    /// Replies with a wrong checksum.
    pub corrupted: u64,
    /// ICMP errors and local errors.
    pub errors: u64,
    /// Requests without a reply, in percent of those sent; absent if none was.
    pub loss_percent: Option<f64>,
    /// From the start to the last request.
    #[serde(rename = "time_ns", serialize_with = "nanoseconds")]
    pub time: Duration,
    /// Round trips, if any was measured.
    #[serde(flatten)]
    pub round_trips: Option<EchoRoundTrips>,
    /// The most requests that were under way when one was answered, itself
    /// included.
    pub pipe: u64,
    /// The mean time between requests, in a run without interval.
    #[serde(
        rename = "gap_ns",
        serialize_with = "optional_nanoseconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub gap: Option<Duration>,
}

/// What the round trips of a run amount to. Duplicates are included, as
/// `ping(8)` includes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct EchoRoundTrips {
    /// The shortest.
    #[serde(rename = "rtt_min_ns", serialize_with = "nanoseconds")]
    pub min: Duration,
    /// The mean.
    #[serde(rename = "rtt_avg_ns", serialize_with = "nanoseconds")]
    pub average: Duration,
    /// The longest.
    #[serde(rename = "rtt_max_ns", serialize_with = "nanoseconds")]
    pub max: Duration,
    /// The population's standard deviation.
    #[serde(rename = "rtt_mdev_ns", serialize_with = "nanoseconds")]
    pub deviation: Duration,
    /// The moving average, each new value weighing one eighth.
    #[serde(rename = "rtt_ewma_ns", serialize_with = "nanoseconds")]
    pub smoothed: Duration,
}
