//! What a ping run tells: the run's beginning, each request, each reply, each
//! failure, and the figures at the end (RFC 792, RFC 4443).
//!
//! Pure values. Nothing here formats a line of output or decides what counts.

mod many;
mod path;

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

pub use path::{
    EchoEnds, EchoHop, EchoHopError, EchoHopFate, EchoHopProbe, EchoLastHeard, EchoMtu,
    EchoMtuFinding, EchoMtuStarted, EchoMtuStep, EchoPath, EchoTrace, EchoTraceEnd,
    EchoTraceStarted,
};

use crate::units::{hexadecimal, nanoseconds, optional_nanoseconds};

pub use many::{EchoReachability, EchoUnresolved, EchoVerdict};

/// One thing that happened in a ping run. In JSON the field `echo` names the
/// variant.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "echo", rename_all = "snake_case")]
pub enum Echo<'a> {
    /// The run begins.
    Started(Box<EchoStarted>),
    /// A request was handed to the kernel.
    Request(EchoRequest<'a>),
    /// A reply to one of our requests came.
    Reply(Box<EchoReply<'a>>),
    /// A request failed: an ICMP error came, or the kernel refused to send it.
    Failure(Box<EchoFailure>),
    /// A request has had no answer.
    NoAnswer(EchoNoAnswer),
    /// It is known whether a target of a sweep answers.
    Verdict(Box<EchoVerdict>),
    /// A target of a sweep has no address.
    Unresolved(Box<EchoUnresolved>),
    /// A router knows a better way for a request, and forwarded it.
    Redirect(Box<EchoRedirect>),
    /// The figures so far, because someone asked (`SIGQUIT`).
    Status(Box<EchoSummary>),
    /// The figures at the end.
    Summary(Box<EchoSummary>),
    /// Something is known of the path (`--trace`, `--mtu`).
    Path(Box<EchoPath>),
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
            Echo::Reply(reply) => Echo::Reply(Box::new(EchoReply {
                message: Cow::Owned(reply.message.into_owned()),
                ip_options: Cow::Owned(reply.ip_options.into_owned()),
                ..*reply
            })),
            Echo::Failure(failure) => Echo::Failure(failure),
            Echo::NoAnswer(silence) => Echo::NoAnswer(silence),
            Echo::Verdict(verdict) => Echo::Verdict(verdict),
            Echo::Unresolved(unresolved) => Echo::Unresolved(unresolved),
            Echo::Redirect(redirect) => Echo::Redirect(redirect),
            Echo::Status(summary) => Echo::Status(summary),
            Echo::Summary(summary) => Echo::Summary(summary),
            Echo::Path(path) => Echo::Path(path),
        }
    }
}

/// Which of a run's targets something is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct EchoTarget {
    /// Its place among the targets, from 0.
    pub index: u32,
    /// What it is called, as it was given or as the resolver has it.
    pub name: Arc<str>,
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
    #[serde(flatten)]
    pub target: EchoTarget,
    /// The address that was chosen.
    pub address: EchoAddress,
    /// The name that address has, if it was asked for and found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_name: Option<String>,
    /// The address the route gives the requests.
    pub source: EchoAddress,
    /// The interface that has that address, if it is one of this host's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
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
    /// Whom it goes to.
    #[serde(flatten)]
    pub target: EchoTarget,
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
    /// The target whose request it answers.
    #[serde(flatten)]
    pub target: EchoTarget,
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
    /// From the request's departure to the reply's arrival, by this host's
    /// monotonic clock. Both are the kernel's stamps where it gives them; else
    /// the one is our send call, and the other the return of our receive call.
    #[serde(rename = "rtt_ns", serialize_with = "nanoseconds")]
    pub round_trip: Duration,
    /// From our send call until our receive call returned.
    #[serde(rename = "rtt_user_ns", serialize_with = "nanoseconds")]
    pub user_round_trip: Duration,
    /// From the kernel's stamp of the request's departure to its stamp of the
    /// reply's arrival, where it gave both.
    #[serde(
        rename = "rtt_kernel_ns",
        serialize_with = "optional_nanoseconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub kernel_round_trip: Option<Duration>,
    /// Whether a reply to a later request came before it (RFC 4737).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub out_of_order: bool,
    /// Whether it counts.
    pub judgement: EchoJudgement,
    /// Whether it is shorter than the request.
    pub truncated: bool,
    /// The first payload byte that is not what was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrong_byte: Option<EchoWrongByte>,
    /// The options of its IPv4 header (RFC 791), where it had any.
    #[serde(
        rename = "ip_options_hex",
        serialize_with = "hexadecimal",
        skip_serializing_if = "no_bytes"
    )]
    pub ip_options: Cow<'a, [u8]>,
    /// The ICMP message.
    #[serde(rename = "message_hex", serialize_with = "hexadecimal")]
    pub message: Cow<'a, [u8]>,
}

#[expect(clippy::ptr_arg, reason = "serde hands over the field as it is")]
fn no_bytes(bytes: &Cow<'_, [u8]>) -> bool {
    bytes.is_empty()
}

/// A payload byte that came back changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct EchoWrongByte {
    /// Its place in the payload, from 0.
    pub index: usize,
    /// What was sent.
    pub sent: u8,
    /// What came back.
    pub received: u8,
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
    /// The target, where the failure tells.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub target: Option<EchoTarget>,
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

/// A router's word on a better first hop (RFC 792, RFC 4861 section 8). The
/// request itself is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EchoRedirect {
    /// The target.
    #[serde(flatten)]
    pub target: EchoTarget,
    /// The request's number.
    pub number: u64,
    /// The request's ICMP sequence number.
    pub icmp_sequence: u16,
    /// The router that says so.
    pub from: EchoAddress,
    /// Its name, if it was asked for and found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_name: Option<String>,
    /// The router to use instead.
    pub gateway: EchoAddress,
    /// The ICMP code.
    pub icmp_code: u8,
    /// Code and gateway in words, as `ping(8)` says them.
    pub meaning: String,
}

/// A request without an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EchoNoAnswer {
    /// The target.
    #[serde(flatten)]
    pub target: EchoTarget,
    /// The request's number.
    pub number: u64,
    /// The request's ICMP sequence number.
    pub icmp_sequence: u16,
    /// Whether one may still come.
    pub patience: EchoPatience,
}

/// Whether an answer is still waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EchoPatience {
    /// It may come: the next request goes out now (`-O`).
    Waiting,
    /// Its time is over; it counts as lost.
    Over,
    /// The run has ended before its time was over; it counts as in flight.
    Ended,
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
    /// Requests that were not answered in their time, and not refused.
    pub lost: u64,
    /// Requests that may still be answered.
    pub in_flight: u64,
    /// Replies that came after a reply to a later request (RFC 4737).
    pub out_of_order: u64,
    /// Requests without a reply, those in flight included as `ping(8)` has it,
    /// in percent of those sent; absent if none was.
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
    /// How much one differs from the next, as RFC 3550 section 6.4.1 estimates
    /// it.
    #[serde(rename = "rtt_jitter_ns", serialize_with = "nanoseconds")]
    pub jitter: Duration,
    /// Half of the round trips are no longer; to 0.1 %.
    #[serde(rename = "rtt_p50_ns", serialize_with = "nanoseconds")]
    pub p50: Duration,
    /// Nine of ten are no longer; to 0.1 %.
    #[serde(rename = "rtt_p90_ns", serialize_with = "nanoseconds")]
    pub p90: Duration,
    /// 99 of 100 are no longer; to 0.1 %.
    #[serde(rename = "rtt_p99_ns", serialize_with = "nanoseconds")]
    pub p99: Duration,
    /// Of how many round trips, the latest, the percentiles are, where there
    /// was no room to keep them all; of none, they are the mean.
    #[serde(rename = "rtt_percentiles_of", skip_serializing_if = "Option::is_none")]
    pub percentiles_of: Option<u64>,
}
