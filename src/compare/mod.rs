//! The same numbered messages through all three kinds of socket at once, and
//! what each kind made of them.
//!
//! Delivery is judged by the receiving program from the messages themselves;
//! the wire's account of each kind stands beside it.

mod lane;
mod schedule;
mod tally;

use std::net::IpAddr;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde::Serialize;

use crate::error::Error;
use crate::flow::Family;
use crate::flow::Kind;
use crate::probe::{self, HEADER};
use crate::stage::Stage;
use crate::stats::{Arrivals, LatencySummary};
use crate::units::nanoseconds;

pub use tally::{FirstPacket, WireTally, WireUse};

/// What to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// IPv4 or IPv6.
    pub family: Family,
    /// The server's port, for TCP and UDP.
    pub port: u16,
    /// How many messages each kind carries.
    pub count: u32,
    /// The length of each message in bytes, at least [`SMALLEST`].
    pub size: usize,
    /// From one message to the next.
    pub interval: Duration,
    /// How long a receiver waits after the last message before what is missing
    /// counts as lost.
    pub patience: Duration,
}

/// The shortest message in bytes: number, time, length and checksum.
pub const SMALLEST: usize = HEADER;

/// The longest message in bytes.
pub const LARGEST: usize = probe::LARGEST;

impl Default for Config {
    fn default() -> Self {
        Self {
            family: Family::Ipv4,
            port: crate::DEFAULT_PORT,
            count: 100,
            size: 100,
            interval: Duration::from_millis(1),
            patience: Duration::from_secs(1),
        }
    }
}

/// What one kind of socket made of the messages.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Column {
    /// Which kind.
    pub kind: Kind,
    /// What opening it needs.
    pub privilege: &'static str,
    /// What happened, or why nothing could.
    #[serde(flatten)]
    pub result: Result<Figures, Refused>,
}

/// Why a kind could not take part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The error, as the user reads it.
    pub refused: String,
}

/// One kind's figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// What tells the client from other peers.
    pub client: Identity,
    /// What tells the server from other peers.
    pub server: Identity,
    /// How long it took until the first message could be sent.
    #[serde(rename = "set_up_ns", serialize_with = "nanoseconds")]
    pub set_up: Duration,
    /// Messages sent.
    pub sent: u32,
    /// Messages that never arrived.
    pub lost: u32,
    /// How the others arrived.
    #[serde(flatten)]
    pub arrivals: Arrivals,
    /// Calls that sent something.
    pub writes: u64,
    /// Calls that received something.
    pub reads: u64,
    /// Whether each receive gave exactly one message.
    pub boundaries: Boundaries,
    /// From the sender's call to the receiver's return.
    pub latency: Option<LatencySummary>,
}

/// What names one end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// Its address.
    pub address: IpAddr,
    /// Its port; raw sockets have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = match self.port {
            Some(port) => std::net::SocketAddr::new(self.address, port).to_string(),
            None => self.address.to_string(),
        };
        f.pad(&text)
    }
}

/// Whether the kind of socket keeps message boundaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Boundaries {
    /// Each receive gave one message, whole.
    Kept,
    /// A receive may give part of a message, or several: a byte stream.
    None,
}

/// One kind's column with the wire's account of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// What the programs saw.
    #[serde(flatten)]
    pub column: Column,
    /// What crossed the wire; zeroes where no packets could be seen.
    pub wire: WireUse,
    /// The first packet that carried a message.
    #[serde(skip)]
    pub first: Option<FirstPacket>,
}

/// Sets the wire's account beside each column.
pub fn with_wire(columns: Vec<Column>, tally: &WireTally) -> Vec<Compared> {
    columns
        .into_iter()
        .map(|column| Compared {
            wire: tally.of(column.kind),
            first: tally.first(column.kind),
            column,
        })
        .collect()
}

impl Compared {
    /// Where the programs' figures and the wire's cannot both be true. Empty on
    /// any healthy run.
    pub fn disagreements(&self) -> Vec<String> {
        let Ok(figures) = &self.column.result else {
            return Vec::new();
        };
        let kind = self.column.kind;
        let mut found = Vec::new();
        if figures.arrivals.delivered + figures.lost != figures.sent {
            found.push(format!(
                "{kind}: {} delivered and {} lost are not the {} sent",
                figures.arrivals.delivered, figures.lost, figures.sent
            ));
        }
        // A datagram is one packet or several fragments, never less; a segment
        // may carry several writes.
        let seen = self.wire.data_packets;
        if seen > 0 && kind != Kind::Tcp && seen < figures.writes {
            found.push(format!(
                "{kind}: {} messages were sent, {seen} packets crossed the wire",
                figures.writes
            ));
        }
        found
    }
}

/// Sends the messages through all three kinds and judges what arrives. `stop`
/// ends the sending early; what was sent is judged all the same.
pub fn run(config: &Config, stage: &Stage, stop: &AtomicBool) -> Result<Vec<Column>, Error> {
    let openings = [Kind::Tcp, Kind::Udp, Kind::Raw].map(|kind| lane::open(kind, config, stage));
    let mut columns = Vec::new();
    let mut lanes = Vec::new();
    for (kind, opening) in [Kind::Tcp, Kind::Udp, Kind::Raw].into_iter().zip(openings) {
        match opening {
            Ok(lane) => lanes.push(lane),
            // A kind that this user may not open is a row that says so; the
            // others still tell their story.
            Err(error) if error.errno().is_some_and(is_privilege) => columns.push(Column {
                kind,
                privilege: lane::privilege(kind),
                result: Err(Refused {
                    refused: error.to_string(),
                }),
            }),
            Err(error) => return Err(error),
        }
    }
    columns.extend(schedule::play(config, stage, lanes, stop)?);
    columns.sort_by_key(|column| column.kind);
    Ok(columns)
}

fn is_privilege(errno: nix::errno::Errno) -> bool {
    matches!(errno, nix::errno::Errno::EPERM | nix::errno::Errno::EACCES)
}
