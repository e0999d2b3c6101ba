//! The vocabulary of a run: what happened, where, when.
//!
//! Pure values. Every engine speaks only these; every rendering is made only
//! from these. The serialized form is the JSON Lines format that `--json`
//! prints: one event a line, field names stable, every time in nanoseconds
//! since the run began.

mod app;
mod datagram;
mod echo;
mod sample;
mod sink;
mod talk;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::flow::{Direction, FiveTuple, Kind, TcpState};
use crate::packet::alter::{Alteration, alter};
use crate::packet::{Checksums, Dissection, LinkType, dissect_with};
use crate::units::{hexadecimal, nanoseconds, optional_nanoseconds};

pub use app::{
    Chat, Departure, File, FileStep, FileTally, Proxy, ProxyPassword, ProxyStep, Remote,
};
pub use datagram::{Datagram, Passage, Refusal};
pub use echo::{
    Echo, EchoAddress, EchoCause, EchoFailure, EchoJudgement, EchoNoAnswer, EchoPatience,
    EchoReachability, EchoRedirect, EchoReply, EchoRequest, EchoRoundTrips, EchoSocket,
    EchoStarted, EchoSummary, EchoTarget, EchoUnresolved, EchoVerdict, EchoWrongByte,
};
pub use echo::{
    EchoEnds, EchoHop, EchoHopError, EchoHopFate, EchoHopProbe, EchoLastHeard, EchoMtu,
    EchoMtuFinding, EchoMtuStarted, EchoMtuStep, EchoPath, EchoTrace, EchoTraceEnd,
    EchoTraceStarted,
};
pub use sample::{CongestionState, Limit, Sample};
pub use sink::{Recording, Silence, Sink, Tee, Topic};
pub use talk::{Figures, Side, Talk, Told, Way};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event<'a> {
    /// When, counted from the start of the run.
    #[serde(rename = "at_ns", serialize_with = "nanoseconds")]
    pub at: Duration,
    /// Where.
    pub host: Place,
    /// What.
    #[serde(flatten)]
    pub what: What<'a>,
}

impl Event<'_> {
    /// The same event, owning its bytes, so that a sink may keep it.
    pub fn into_owned(self) -> Event<'static> {
        Event {
            at: self.at,
            host: self.host,
            what: match self.what {
                What::Packet(packet) => What::Packet(Packet {
                    bytes: Cow::Owned(packet.bytes.into_owned()),
                    ..packet
                }),
                What::Call(call) => What::Call(call),
                What::State(change) => What::State(change),
                What::Sample(sample) => What::Sample(sample),
                What::Delivery(delivery) => What::Delivery(delivery),
                What::Echo(echo) => What::Echo(echo.into_owned()),
                What::Datagram(datagram) => What::Datagram(datagram.into_owned()),
                What::Talk(talk) => What::Talk(talk.into_owned()),
                What::Chat(step) => What::Chat(step),
                What::File(step) => What::File(step),
                What::Proxy(step) => What::Proxy(step),
                What::Remote(step) => What::Remote(step),
                What::Note(note) => What::Note(note),
            },
        }
    }

    /// The topic a sink chooses by.
    pub fn topic(&self) -> Topic {
        match &self.what {
            What::Call(_) => Topic::Call,
            What::State(_) => Topic::State,
            What::Sample(_) => Topic::Sample,
            What::Packet(_) => Topic::Packet,
            What::Delivery(_) => Topic::Delivery,
            What::Echo(_) => Topic::Echo,
            What::Datagram(_) => Topic::Datagram,
            What::Talk(Talk {
                told: Told::Chunk { .. },
                ..
            }) => Topic::Chunk,
            What::Talk(_) => Topic::Talk,
            What::File(of) if of.step.is_routine() => Topic::Routine,
            What::Chat(_) | What::File(_) | What::Proxy(_) | What::Remote(_) => Topic::App,
            What::Note(_) => Topic::Note,
        }
    }
}

/// Where something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// The host that opens the conversation.
    Client,
    /// The host that waits for it.
    Server,
    /// Between the two.
    Wire,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Place::Client => "client",
            Place::Server => "server",
            Place::Wire => "wire",
        })
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum What<'a> {
    /// A program called into the kernel.
    Call(Call),
    /// A TCP connection changed its state.
    State(StateChange),
    /// A sender's kernel was asked how it is getting on.
    Sample(Sample),
    /// A packet crossed the wire, or failed to.
    Packet(Packet<'a>),
    /// What the receiving program got of one message.
    Delivery(Delivery),
    /// A ping run sent, received or counted.
    Echo(Echo<'a>),
    /// A datagram at a program's socket.
    Datagram(Datagram<'a>),
    /// A conversation with another machine went on.
    Talk(Talk<'a>),
    /// A chat room went on.
    Chat(Chat),
    /// A file transfer went on.
    File(FileStep),
    /// A proxy went on.
    Proxy(Proxy),
    /// Remote control went on.
    Remote(Remote),
    /// One sentence for the reader.
    Note(Note),
}

/// One system call on a socket.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Call {
    /// Which socket: a name that stays the same from run to run, not a
    /// descriptor number.
    pub socket: SocketName,
    /// The system call's name.
    pub name: &'static str,
    /// Its arguments without the descriptor, as `strace(1)` would shorten them.
    pub arguments: String,
    /// What it returned.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// How long the program was inside the call.
    #[serde(rename = "took_ns", serialize_with = "nanoseconds")]
    pub took: Duration,
}

/// A socket's name within a run, such as `listener` or `connection`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct SocketName(pub Cow<'static, str>);

impl From<&'static str> for SocketName {
    fn from(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }
}

impl From<String> for SocketName {
    fn from(name: String) -> Self {
        Self(Cow::Owned(name))
    }
}

impl fmt::Display for SocketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    /// It succeeded.
    Returned {
        /// The return value: a count of bytes, or 0.
        returned: i64,
        /// What came with it: a peer's address, the bytes read, flags.
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// It failed.
    Failed {
        /// The errno's name, such as `ECONNREFUSED`.
        errno: String,
    },
}

/// A TCP connection went from one state to the next in its host's kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StateChange {
    /// The connection as this host names it.
    #[serde(flatten)]
    pub connection: FiveTuple,
    /// The state before.
    pub from: TcpState,
    /// The state now.
    pub to: TcpState,
}

/// One packet and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Packet<'a> {
    /// Its number on this wire, from 1.
    pub id: u64,
    /// Which way it went.
    pub direction: Direction,
    /// What the first byte of `bytes` belongs to.
    #[serde(rename = "link_type")]
    pub link: LinkType,
    /// The bytes as they were sent.
    #[serde(rename = "bytes_hex", serialize_with = "hexadecimal")]
    pub bytes: Cow<'a, [u8]>,
    /// When it entered the wire.
    #[serde(rename = "sent_at_ns", serialize_with = "nanoseconds")]
    pub sent_at: Duration,
    /// What became of it.
    #[serde(flatten)]
    pub fate: Fate,
    /// What the wire changed on the way.
    #[serde(flatten)]
    pub changes: Changes,
    /// Which conversation it belongs to.
    #[serde(flatten)]
    pub place: Option<InFlow>,
    /// When it was to leave the wire, where it was held on purpose. The time
    /// from here to `delivered_at` is the wire's own lateness.
    #[serde(
        rename = "due_at_ns",
        serialize_with = "optional_nanoseconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub due_at: Option<Duration>,
    /// When it left the wire, if it did.
    #[serde(
        rename = "delivered_at_ns",
        serialize_with = "optional_nanoseconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub delivered_at: Option<Duration>,
}

impl Packet<'_> {
    /// The packet taken apart. On a real interface the device may fill in the
    /// checksums later, so that one which looks wrong there proves nothing.
    pub fn dissect(&self) -> Dissection {
        let checksums = match self.fate {
            Fate::Unknown => Checksums::Pending,
            _ => Checksums::Complete,
        };
        dissect_with(self.link, &self.bytes, checksums)
    }

    /// The bytes as they were handed over: those that were sent, with what the
    /// wire changed.
    pub fn bytes_delivered(&self) -> Cow<'_, [u8]> {
        if self.changes.spare_bytes() {
            return Cow::Borrowed(&self.bytes);
        }
        let mut bytes = self.bytes.to_vec();
        let alteration = Alteration {
            flipped_bit: self.changes.corrupted_bit,
            kept: self.changes.truncated_to,
            marked: self.changes.marked,
        };
        alter(self.link, &mut bytes, alteration);
        Cow::Owned(bytes)
    }
}

/// How a packet's way ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "fate", rename_all = "lowercase")]
pub enum Fate {
    /// Handed over.
    Delivered,
    /// Never handed over.
    Lost {
        /// Why.
        cause: Cow<'static, str>,
    },
    /// Still under way when the link ended.
    Queued,
    /// Seen by a capture on a real interface, where no fate can be known.
    Unknown,
}

/// What the wire changed of a packet on its way. A packet may meet several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// The wire made it: a copy of the packet with this number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy_of: Option<u64>,
    /// This bit was flipped, counted from the packet's first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrupted_bit: Option<u64>,
    /// Only so many bytes were handed over.
    #[serde(rename = "truncated_to_bytes", skip_serializing_if = "Option::is_none")]
    pub truncated_to: Option<usize>,
    /// The ECN field was set to Congestion Experienced (RFC 3168).
    #[serde(skip_serializing_if = "is_false")]
    pub marked: bool,
    /// Sent without the delay that its neighbours had, so that it overtakes.
    #[serde(skip_serializing_if = "is_false")]
    pub hastened: bool,
    /// Handed over after a packet of its flow and direction that entered later
    /// (RFC 4737 section 3: a reordered packet).
    #[serde(skip_serializing_if = "is_false")]
    pub reordered: bool,
}

impl Changes {
    /// Whether the bytes handed over are those that were sent.
    pub fn spare_bytes(self) -> bool {
        self.corrupted_bit.is_none() && self.truncated_to.is_none() && !self.marked
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands fields over by reference"
)]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Where a packet stands in its conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct InFlow {
    /// The conversation's number on this wire, from 1, by its first packet in
    /// either direction.
    pub flow: u32,
    /// The packet's number in the flow and direction, from 1.
    #[serde(rename = "flow_packet")]
    pub index: u64,
}

/// What the receiving program got of one message.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Delivery {
    /// Through which kind of socket.
    pub kind: Kind,
    /// Through which variant of it, where several are compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<&'static str>,
    /// The message's number, from 1.
    pub number: u64,
    /// How it arrived.
    #[serde(flatten)]
    pub arrival: Arrival,
    /// From the sender's call to the receiver's return, where it arrived.
    #[serde(
        rename = "latency_ns",
        serialize_with = "optional_nanoseconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub latency: Option<Duration>,
}

/// How a message arrived, judged by the program that received it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "arrival", rename_all = "snake_case")]
pub enum Arrival {
    /// Whole, for the first time.
    Delivered {
        /// Payload bytes received.
        #[serde(rename = "received_bytes")]
        bytes: usize,
    },
    /// Again, after an earlier copy.
    Duplicate,
    /// Whole, but after a message that was sent later.
    OutOfOrder {
        /// Payload bytes received.
        #[serde(rename = "received_bytes")]
        bytes: usize,
    },
    /// Cut to the receiver's buffer (`MSG_TRUNC`).
    Truncated {
        /// Bytes that fitted.
        #[serde(rename = "received_bytes")]
        bytes: usize,
        /// Bytes that were sent.
        #[serde(rename = "datagram_bytes")]
        sent: usize,
    },
    /// With a checksum that does not match.
    Corrupted,
    /// Answered by an ICMP error.
    Refused,
    /// Never.
    Lost,
}

/// One sentence for the reader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// The sentence.
    pub text: String,
}
