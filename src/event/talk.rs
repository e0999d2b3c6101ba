//! What the tools that converse with other machines tell: where they listen,
//! each attempt to connect, the bytes in time, who ended and who reset, and the
//! kernel's figures at the end (RFC 9293, tcp(7)).
//!
//! Pure values. Nothing here formats a line of output.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;

use super::SocketName;
use crate::units::{hexadecimal, nanoseconds, optional_nanoseconds};

/// One thing that happened in a conversation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Talk<'a> {
    /// On which socket.
    pub socket: SocketName,
    /// What. In JSON the field `talk` names the variant.
    #[serde(flatten)]
    pub told: Told<'a>,
}

impl Talk<'_> {
    /// The same, owning its bytes.
    pub fn into_owned(self) -> Talk<'static> {
        Talk {
            socket: self.socket,
            told: self.told.into_owned(),
        }
    }
}

/// What is told of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "talk", rename_all = "snake_case")]
pub enum Told<'a> {
    /// A socket waits for connections.
    Listening {
        /// Where.
        local: SocketAddr,
    },
    /// The addresses of a name are looked for.
    LookingUp {
        /// Of which.
        name: String,
    },
    /// Addresses of a name were found.
    Found {
        /// Of which.
        name: String,
        /// Those that were not known before.
        addresses: Vec<SocketAddr>,
        /// Whether these are all, so that no other is waited for.
        complete: bool,
        /// How long it took.
        #[serde(rename = "took_ns", serialize_with = "nanoseconds")]
        took: Duration,
    },
    /// An attempt to connect begins (RFC 8305).
    Attempt {
        /// To where.
        remote: SocketAddr,
    },
    /// An attempt came to nothing.
    AttemptFailed {
        /// To where.
        remote: SocketAddr,
        /// The cause, with its errno.
        cause: String,
        /// How long it took.
        #[serde(rename = "took_ns", serialize_with = "nanoseconds")]
        took: Duration,
    },
    /// An attempt was given up because another one was faster.
    AttemptLeft {
        /// To where.
        remote: SocketAddr,
    },
    /// Connected.
    Connected {
        /// This end.
        local: SocketAddr,
        /// The other end.
        remote: SocketAddr,
        /// How long the attempt took.
        #[serde(rename = "took_ns", serialize_with = "nanoseconds")]
        took: Duration,
    },
    /// Somebody connected.
    Accepted {
        /// This end.
        local: SocketAddr,
        /// The other end.
        remote: SocketAddr,
    },
    /// The other end's name, once the resolver has answered.
    Named {
        /// Whose.
        remote: SocketAddr,
        /// The name.
        name: String,
    },
    /// Somebody connected and was sent away.
    Rejected {
        /// Who.
        remote: SocketAddr,
        /// Why.
        reason: String,
    },
    /// An option was set and read back.
    Option {
        /// What was asked for, and what the kernel has.
        text: String,
    },
    /// Bytes went one way.
    Chunk {
        /// Which way.
        way: Way,
        /// How many had gone before.
        #[serde(rename = "offset_bytes")]
        offset: u64,
        /// The bytes.
        #[serde(rename = "bytes_hex", serialize_with = "hexadecimal")]
        bytes: Cow<'a, [u8]>,
    },
    /// One side sends no more: a FIN.
    Ended {
        /// Whose.
        by: Side,
        /// How many bytes it had sent.
        #[serde(rename = "sent_bytes")]
        bytes: u64,
    },
    /// The connection was reset: an RST.
    Reset {
        /// Whose.
        by: Side,
    },
    /// Connections wait and cannot be accepted for now.
    Short {
        /// The cause, with its errno.
        cause: String,
    },
    /// It is over: the kernel's figures.
    Over(Box<Figures>),
}

impl Told<'_> {
    fn into_owned(self) -> Told<'static> {
        match self {
            Told::Chunk { way, offset, bytes } => Told::Chunk {
                way,
                offset,
                bytes: Cow::Owned(bytes.into_owned()),
            },
            Told::Listening { local } => Told::Listening { local },
            Told::LookingUp { name } => Told::LookingUp { name },
            Told::Found {
                name,
                addresses,
                complete,
                took,
            } => Told::Found {
                name,
                addresses,
                complete,
                took,
            },
            Told::Attempt { remote } => Told::Attempt { remote },
            Told::AttemptFailed {
                remote,
                cause,
                took,
            } => Told::AttemptFailed {
                remote,
                cause,
                took,
            },
            Told::AttemptLeft { remote } => Told::AttemptLeft { remote },
            Told::Connected {
                local,
                remote,
                took,
            } => Told::Connected {
                local,
                remote,
                took,
            },
            Told::Accepted { local, remote } => Told::Accepted { local, remote },
            Told::Named { remote, name } => Told::Named { remote, name },
            Told::Rejected { remote, reason } => Told::Rejected { remote, reason },
            Told::Option { text } => Told::Option { text },
            Told::Ended { by, bytes } => Told::Ended { by, bytes },
            Told::Reset { by } => Told::Reset { by },
            Told::Short { cause } => Told::Short { cause },
            Told::Over(figures) => Told::Over(figures),
        }
    }
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// To the peer.
    Sent,
    /// From the peer.
    Received,
}

/// Who did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// This program.
    Us,
    /// The other end.
    Peer,
}

/// What the kernel knew of a connection at its end.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Figures {
    /// How long the conversation lasted.
    #[serde(rename = "lasted_ns", serialize_with = "nanoseconds")]
    pub lasted: Duration,
    /// Bytes handed to the kernel for the peer.
    #[serde(rename = "sent_bytes")]
    pub sent: u64,
    /// Of those, bytes that the peer's kernel acknowledged.
    #[serde(rename = "acknowledged_bytes")]
    pub acknowledged: Option<u64>,
    /// Bytes that came from the peer.
    #[serde(rename = "received_bytes")]
    pub received: u64,
    /// Smoothed round-trip time; none where nothing was measured.
    #[serde(rename = "rtt_ns", serialize_with = "optional_nanoseconds")]
    pub rtt: Option<Duration>,
    /// The shortest round trip.
    #[serde(rename = "min_rtt_ns", serialize_with = "optional_nanoseconds")]
    pub min_rtt: Option<Duration>,
    /// Segments sent again.
    pub retransmitted: u32,
    /// Congestion window in segments.
    #[serde(rename = "snd_cwnd_segments")]
    pub congestion_window: u32,
    /// Sender's maximum segment size.
    #[serde(rename = "snd_mss_bytes")]
    pub send_mss: u32,
    /// How long there was something to send.
    #[serde(rename = "busy_ns", serialize_with = "optional_nanoseconds")]
    pub busy: Option<Duration>,
    /// Of that, how long the peer's receive window was in the way.
    #[serde(rename = "rwnd_limited_ns", serialize_with = "optional_nanoseconds")]
    pub receive_window_limited: Option<Duration>,
    /// Of that, how long our send buffer was.
    #[serde(rename = "sndbuf_limited_ns", serialize_with = "optional_nanoseconds")]
    pub send_buffer_limited: Option<Duration>,
}
