//! What a sender's kernel knows of one TCP connection at one moment: its
//! congestion window, its round trip, and what holds it back (RFC 5681,
//! `include/uapi/linux/tcp.h`).

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::flow::FiveTuple;
use crate::units::nanoseconds;

/// A look at one connection. Names are those of `TCP_INFO` in a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// The connection as this host names it.
    #[serde(flatten)]
    pub connection: FiveTuple,
    /// Congestion window in segments.
    #[serde(rename = "snd_cwnd_segments")]
    pub congestion_window: u32,
    /// Slow-start threshold in segments; none before the first loss.
    #[serde(
        rename = "snd_ssthresh_segments",
        skip_serializing_if = "Option::is_none"
    )]
    pub slow_start_threshold: Option<u32>,
    /// Smoothed round-trip time; zero before the first measurement.
    #[serde(rename = "rtt_ns", serialize_with = "nanoseconds")]
    pub rtt: Duration,
    /// Mean deviation of the round-trip time.
    #[serde(rename = "rttvar_ns", serialize_with = "nanoseconds")]
    pub rtt_variation: Duration,
    /// Segments that are believed to be under way.
    #[serde(rename = "in_flight_segments")]
    pub in_flight: u32,
    /// Segments sent again over the connection's whole life.
    #[serde(rename = "total_retrans")]
    pub retransmits: u32,
    /// How the sender judges the network.
    pub congestion_state: CongestionState,
    /// What keeps it from sending more now, where that can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limited_by: Option<Limit>,
}

/// How a sender judges the network (`enum tcp_ca_state`). In JSON: `open`,
/// `disorder`, `cwr`, `recovery`, `loss`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CongestionState {
    /// Nothing is wrong.
    Open,
    /// Duplicate acknowledgments came; perhaps it is only reordering.
    Disorder,
    /// The window is being reduced after a mark (ECN) or a local drop.
    Cwr,
    /// Fast retransmit: what is missing is sent again (RFC 6582, RFC 6675).
    Recovery,
    /// The retransmission timer ran out (RFC 6298).
    Loss,
    /// A number this version does not know.
    Unknown(u8),
}

impl CongestionState {
    /// The state that Linux numbers `number`.
    pub fn from_linux(number: u8) -> Self {
        match number {
            0 => Self::Open,
            1 => Self::Disorder,
            2 => Self::Cwr,
            3 => Self::Recovery,
            4 => Self::Loss,
            other => Self::Unknown(other),
        }
    }
}

impl fmt::Display for CongestionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.pad("open"),
            Self::Disorder => f.pad("disorder"),
            Self::Cwr => f.pad("cwr"),
            Self::Recovery => f.pad("recovery"),
            Self::Loss => f.pad("loss"),
            Self::Unknown(number) => f.pad(&format!("state_{number}")),
        }
    }
}

impl Serialize for CongestionState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What keeps a sender from sending more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// The program has given no more.
    Application,
    /// The receiver offers no more room.
    ReceiveWindow,
    /// The socket's send buffer is full of what is not yet acknowledged.
    SendBuffer,
    /// The congestion window is full.
    CongestionWindow,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Application => "the application",
            Self::ReceiveWindow => "the receive window",
            Self::SendBuffer => "the send buffer",
            Self::CongestionWindow => "the congestion window",
        })
    }
}
