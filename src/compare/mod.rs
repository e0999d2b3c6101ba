//! The same numbered messages through several kinds of socket, and what each
//! kind made of them. Each has a thread that sends and one that receives.
//!
//! Delivery is judged by the receiving program from the messages themselves;
//! the wire's account of each kind stands beside it.

mod agreement;
pub mod catalogue;
pub mod confirm;
mod deliveries;
pub mod expect;
mod figures;
mod lane;
mod mark;
mod message;
mod order;
mod play;
pub mod remote;
mod schedule;
mod tally;
mod variant;

use std::net::IpAddr;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::error::{Error, Exit};
use crate::flow::Family;
use crate::flow::Kind;
use crate::probe::{self, HEADER};
use crate::stage::Stage;

pub use figures::Figures;
pub use mark::Mark;
pub use message::{Message, OnWire, State};
pub use order::Order;
pub use schedule::{Extent, MOST_MESSAGES, NoSizes, Pace, Planned, Schedule, Sizes};
pub use tally::{FirstPacket, Observed, Split, Traffic, WireTally, WireUse};
pub use variant::{NoVariant, Variant};

/// What to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// IPv4 or IPv6.
    pub family: Family,
    /// What is compared, each variant at most once.
    pub variants: Vec<Variant>,
    /// The server's port for TCP and UDP; further variants of those take the
    /// next one ([`Config::mark`]).
    pub port: u16,
    /// The IP protocol number of bare datagrams (RFC 3692: 253 and 254 are for
    /// experiments).
    pub raw_protocol: u8,
    /// The messages that each kind carries; each is at least [`SMALLEST`] and at
    /// most [`LARGEST`] bytes long.
    pub schedule: Schedule,
    /// In what order the kinds send; [`run`] sends through all at once, whatever
    /// this says.
    pub order: Order,
    /// A message that takes longer than this is late.
    pub deadline: Option<Duration>,
    /// How long a receiver of datagrams waits after the last message before what
    /// is missing counts as lost: longer than a message may be under way.
    pub patience: Duration,
    /// How long a stream may stand still, while it is opened, sends or is read:
    /// longer than retransmissions take that succeed.
    pub timeout: Duration,
}

/// How long a stream may stand still before it is given up: a segment and its
/// retransmissions are then lost seven times in a row.
pub const TIMEOUT: Duration = Duration::from_secs(20);

/// The IP protocol number of bare datagrams where none is given (RFC 3692).
pub const RAW_PROTOCOL: u8 = 253;

/// The shortest message in bytes: number, time, length and checksum.
pub const SMALLEST: usize = HEADER;

/// The longest message in bytes.
pub const LARGEST: usize = probe::LARGEST;

impl Default for Config {
    fn default() -> Self {
        Self {
            family: Family::Ipv4,
            variants: Variant::USUAL.to_vec(),
            port: crate::DEFAULT_PORT,
            raw_protocol: RAW_PROTOCOL,
            schedule: Schedule::default(),
            order: Order::AtOnce,
            deadline: None,
            patience: Duration::from_secs(1),
            timeout: TIMEOUT,
        }
    }
}

impl Config {
    /// The length of the longest message in bytes.
    pub fn largest(&self) -> usize {
        self.schedule.sizes.largest() as usize
    }
}

/// What one kind of socket made of the messages.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Column {
    /// Which way to send; `kind` in JSON.
    #[serde(rename = "kind")]
    pub variant: Variant,
    /// What opening it needs.
    pub privilege: &'static str,
    /// What happened, or why nothing could. In JSON the figures stand inline,
    /// and `refused` is null where there are any.
    #[serde(flatten, serialize_with = "figures_or_refusal")]
    pub result: Result<Figures, Refused>,
    /// What became of each message that was due, in the order of their numbers;
    /// empty where the kind was refused.
    #[serde(skip)]
    pub messages: Vec<Message>,
}

impl Column {
    /// The kind of socket.
    pub fn kind(&self) -> Kind {
        self.variant.kind()
    }
}

fn figures_or_refusal<S: Serializer>(
    result: &Result<Figures, Refused>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Inline<'a> {
        #[serde(flatten)]
        figures: Option<&'a Figures>,
        refused: Option<&'a str>,
    }
    let inline = Inline {
        figures: result.as_ref().ok(),
        refused: result.as_ref().err().map(|why| why.refused.as_str()),
    };
    inline.serialize(serializer)
}

/// Everything that was sent, and what became of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// How many messages each kind was to carry.
    pub planned: u32,
    /// How many messages each kind was given.
    pub sent_messages: u32,
    /// Each kind's column.
    pub columns: Vec<Column>,
}

impl Outcome {
    /// Adds what another run of the same schedule made, in turn.
    pub fn add(&mut self, other: Self) {
        self.planned = self.planned.max(other.planned);
        self.sent_messages = self.sent_messages.max(other.sent_messages);
        self.columns.extend(other.columns);
        self.columns.sort_by_key(|column| column.variant);
    }

    /// Whether the sending was ended early.
    pub fn is_interrupted(&self) -> bool {
        self.sent_messages < self.planned
    }
}

/// Why a kind could not take part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The error, as the user reads it.
    pub refused: String,
    /// What it means for the exit code.
    pub exit: Exit,
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
    /// What crossed the wire; `None` where no packets could be seen.
    pub wire: Option<WireUse>,
    /// The first packet that carried a message.
    #[serde(skip)]
    pub first: Option<FirstPacket>,
}

/// Sets the wire's account beside each column, and beside each of its messages.
pub fn with_wire(columns: Vec<Column>, tally: &WireTally) -> Vec<Compared> {
    columns
        .into_iter()
        .map(|mut column| {
            tally.trace(column.variant, &mut column.messages);
            column.count_waiting();
            Compared {
                wire: tally.of(column.variant),
                first: tally.first(column.variant),
                column,
            }
        })
        .collect()
}

impl Column {
    /// Counts the messages that waited for earlier ones, where a wire could see.
    fn count_waiting(&mut self) {
        let Ok(figures) = &mut self.result else {
            return;
        };
        if self.variant.is_stream() && self.messages.iter().any(|one| one.wire.is_some()) {
            let waited = || self.messages.iter().filter_map(|one| one.waited);
            figures.blocked = Some(u32::try_from(waited().count()).unwrap_or(u32::MAX));
            figures.blocked_longest = waited().max();
        }
    }
}

/// Sends the messages through all variants at once and judges what arrives.
/// `stop` ends the sending early; what was sent is judged all the same.
pub fn run(config: &Config, stage: &Stage, stop: &AtomicBool) -> Result<Outcome, Error> {
    let (played, mut columns) = play::play(config, &config.variants, stage, stop)?;
    let judged = played
        .iter()
        .map(|one| figures::column(one, config.deadline));
    columns.extend(judged);
    columns.sort_by_key(|column| column.variant);
    let sent = |column: &Column| column.result.as_ref().map_or(0, |figures| figures.sent);
    Ok(Outcome {
        planned: config.schedule.count(),
        sent_messages: columns.iter().map(sent).max().unwrap_or_default(),
        columns,
    })
}
