//! What a proxy tells: the eight steps of each connection, from who asked to
//! how it ended, and which of several servers answer.
//!
//! Pure values. Nothing here formats a line of output.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;

use crate::units::{nanoseconds, optional_nanoseconds};

/// What came of asking a client for a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProxyPassword {
    /// None is asked for.
    NotAsked,
    /// The user has it.
    Right,
    /// The user does not have it, or there is no such user.
    Wrong,
    /// None was given.
    Missing,
}

/// A step of a proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proxy {
    /// The client's number; none where it is about no client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<u64>,
    /// What. In JSON the field `proxy` names the variant.
    #[serde(flatten)]
    pub step: ProxyStep,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "proxy", rename_all = "snake_case")]
pub enum ProxyStep {
    /// Step 1: somebody connected.
    Asked {
        /// Who.
        by: SocketAddr,
        /// To which of our addresses.
        at: SocketAddr,
    },
    /// Step 2: which protocol it speaks, and who it proved to be.
    Method {
        /// The protocol's name.
        method: String,
        /// The user, where a password was asked for and is right.
        #[serde(skip_serializing_if = "Option::is_none")]
        user: Option<String>,
        /// What the client's password was; none where it did not come to that.
        #[serde(skip_serializing_if = "Option::is_none")]
        password: Option<ProxyPassword>,
    },
    /// Step 3: what it wants.
    Destination {
        /// The command's name.
        command: String,
        /// The host and the port.
        destination: String,
    },
    /// Step 4: what the destination's name stands for.
    Resolved {
        /// The addresses, in the order in which they are tried.
        addresses: Vec<SocketAddr>,
        /// Those that the rules forbid.
        denied: Vec<SocketAddr>,
        /// How long the look-up took; none where there was nothing to look up.
        #[serde(rename = "took_ns", serialize_with = "optional_nanoseconds")]
        took: Option<Duration>,
    },
    /// Step 4, otherwise: another one looks the name up, or is the destination.
    Left {
        /// To whom it is left.
        to: String,
    },
    /// Step 5: the connection to the destination.
    Connected {
        /// This end.
        local: SocketAddr,
        /// The other end.
        remote: SocketAddr,
        /// The other proxy that it goes through, or the server that was chosen.
        #[serde(skip_serializing_if = "Option::is_none")]
        through: Option<String>,
        /// How long it took.
        #[serde(rename = "took_ns", serialize_with = "nanoseconds")]
        took: Duration,
    },
    /// Step 5, otherwise: a connection from the destination is waited for, or
    /// datagrams are.
    Waiting {
        /// Where.
        local: SocketAddr,
    },
    /// Step 5, otherwise: it came to nothing.
    Refused {
        /// Why.
        why: String,
    },
    /// Step 6: what the client was told.
    Replied {
        /// The protocol's code.
        code: u16,
        /// What it means.
        meaning: String,
    },
    /// A datagram was dropped.
    Dropped {
        /// Why.
        why: String,
    },
    /// Step 7: what was passed on.
    Relayed {
        /// From the client to the destination.
        #[serde(rename = "to_destination_bytes")]
        up: u64,
        /// From the destination to the client.
        #[serde(rename = "to_client_bytes")]
        down: u64,
        /// Datagrams, both ways, where it was those.
        #[serde(skip_serializing_if = "Option::is_none")]
        datagrams: Option<[u64; 2]>,
    },
    /// Step 8: it is over.
    Ended {
        /// How it ended.
        how: String,
        /// How long it had been there.
        #[serde(rename = "lasted_ns", serialize_with = "nanoseconds")]
        lasted: Duration,
    },
    /// So many are here that another was sent away.
    Full {
        /// Who was.
        by: SocketAddr,
        /// How many are here.
        most: usize,
    },
    /// One of several servers answers again, or no more.
    Health {
        /// Which.
        server: String,
        /// Whether it answers.
        health: String,
        /// Why not.
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
}
