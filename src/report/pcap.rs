//! Packets as they happen into a pcapng file that Wireshark opens: times in
//! nanoseconds, and each packet's fate as its comment. What is written is what
//! the [`Vantage`] sees.
//!
//! A packet becomes known when its fate does, and so late; the file is in the
//! order of times all the same, in memory that the length of a run does not
//! change. Ids are contiguous and ascend with the time of entering. So once all
//! packets up to one id are known, nothing that is still to come can have been
//! sent before that packet, nor delivered before it was sent: that time is the
//! watermark, and what lies before it is final and written. What lies after it
//! waits, and that is at most what entered while the longest-delayed packet was
//! under way.
//!
//! A sink cannot fail, so the file's first error is kept, ends the writing, and
//! is what [`PcapFile::finish`] returns. Never panics, never loses an error.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Write};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::sequence::Sequence;
use crate::event::{Event, Fate, Packet, Sink, Topic, What};
use crate::flow::Direction;
use crate::packet::LinkType;
use crate::packet::pcapng::{self, EnhancedPacket, Interface, Passage, Section, Statistics};
use crate::recorder::Clock;

/// Where a file's packets are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Vantage {
    /// On the wire: every packet once, as and when it was sent, copies that the
    /// wire made included; the direction as seen from the client. One interface
    /// named `wire`.
    #[default]
    Wire,
    /// At the client's host: what it sent, as it sent it, and what it received,
    /// as and when it received it. One interface named `client`.
    Client,
    /// The same at the server's host. One interface named `server`.
    Server,
    /// At both hosts: a packet that arrives is there twice.
    Both,
}

impl FromStr for Vantage {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "wire" => Ok(Self::Wire),
            "client" => Ok(Self::Client),
            "server" => Ok(Self::Server),
            "both" => Ok(Self::Both),
            _ => Err("expected wire, client, server or both"),
        }
    }
}

/// A sink that writes every packet to a pcapng file.
pub struct PcapFile<Out: Write + Send> {
    clock: Clock,
    /// The run's start since 1970.
    origin: Duration,
    state: Mutex<State<Out>>,
}

struct State<Out> {
    out: Out,
    vantage: Vantage,
    /// The block in the making, kept for its room.
    block: Vec<u8>,
    /// One for each place and link type met, in the order of their description.
    interfaces: Vec<Counted>,
    /// When each packet entered, in the order of ids.
    entered: Sequence<Duration>,
    /// Before this time nothing comes any more.
    watermark: Duration,
    /// Blocks whose time has not come, the earliest first.
    waiting: BinaryHeap<Reverse<Waiting>>,
    waiting_bytes: usize,
    /// How many sightings there were: those of one time keep their order.
    sightings: u64,
    last: Duration,
    failure: Option<io::Error>,
}

/// Memory for blocks that wait. Where that is not enough, the earliest of them
/// are written, and what comes later may be out of order.
const MOST_WAITING: usize = 256 << 20;

/// Packets known after one that is not.
const MOST_AHEAD: usize = 1 << 20;

/// A block that waits for earlier ones.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    at: Duration,
    number: u64,
    block: Vec<u8>,
}

/// What one interface saw.
struct Counted {
    name: &'static str,
    link: LinkType,
    received: u64,
    dropped: u64,
}

/// A packet as one interface saw it.
struct Sighting<'a> {
    name: &'static str,
    at: Duration,
    passage: Passage,
    bytes: &'a [u8],
}

impl<Out: Write + Send> PcapFile<Out> {
    /// Begins a file of what is seen on the wire, with its section header. Wrap
    /// a file in an [`io::BufWriter`].
    pub fn begin(out: Out, clock: Clock, comment: Option<&str>) -> io::Result<Self> {
        Self::begin_at(Vantage::Wire, out, clock, comment)
    }

    /// Begins a file of what is seen from `vantage`.
    pub fn begin_at(
        vantage: Vantage,
        out: Out,
        clock: Clock,
        comment: Option<&str>,
    ) -> io::Result<Self> {
        let mut state = State {
            out,
            vantage,
            block: Vec::new(),
            interfaces: Vec::new(),
            entered: Sequence::holding(MOST_AHEAD),
            watermark: Duration::ZERO,
            waiting: BinaryHeap::new(),
            waiting_bytes: 0,
            sightings: 0,
            last: Duration::ZERO,
            failure: None,
        };
        let section = Section {
            system: Some("Linux"),
            comment,
            ..Section::default()
        };
        pcapng::section_header(&mut state.block, &section);
        state.flush()?;
        let origin = clock.wall_origin().duration_since(SystemTime::UNIX_EPOCH);
        Ok(Self {
            clock,
            origin: origin.unwrap_or_default(),
            state: Mutex::new(state),
        })
    }

    /// Writes what is left and the interfaces' statistics, and empties all
    /// buffers. Returns the writer, or the first error that the file gave at any
    /// time.
    pub fn finish(self) -> io::Result<Out> {
        let now = self.origin + self.clock.now();
        let mut state = self
            .state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = state.failure.take() {
            return Err(error);
        }
        state.write_before(Duration::MAX)?;
        let at = now.max(state.last);
        // A file of no packets is a file of this interface's silence.
        for name in state.vantage.interfaces() {
            if !state.interfaces.iter().any(|one| one.name == *name) {
                state.interface(name, LinkType::Raw)?;
            }
        }
        state.statistics(at)?;
        state.out.flush()?;
        Ok(state.out)
    }
}

impl<Out: Write + Send> Sink for PcapFile<Out> {
    fn wants(&self, topic: Topic) -> bool {
        topic == Topic::Packet
    }

    fn record(&self, event: &Event<'_>) {
        let What::Packet(packet) = &event.what else {
            return;
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.failure.is_none() {
            state.failure = state.packet(packet, self.origin).err();
        }
    }
}

impl Vantage {
    /// What the interfaces are called.
    fn interfaces(self) -> &'static [&'static str] {
        match self {
            Self::Wire => &["wire"],
            Self::Client => &["client"],
            Self::Server => &["server"],
            Self::Both => &["client", "server"],
        }
    }

    /// Where the packet is seen leaving, and where arriving.
    fn sightings<'a>(
        self,
        packet: &'a Packet<'_>,
        delivered: &'a [u8],
    ) -> [Option<Sighting<'a>>; 2] {
        let (from, to) = match packet.direction {
            Direction::ClientToServer => ("client", "server"),
            Direction::ServerToClient => ("server", "client"),
        };
        let sent = |name, passage| Sighting {
            name,
            at: packet.sent_at,
            passage,
            bytes: &packet.bytes,
        };
        if self == Self::Wire {
            let passage = match packet.direction {
                Direction::ClientToServer => Passage::Outbound,
                Direction::ServerToClient => Passage::Inbound,
            };
            return [Some(sent("wire", passage)), None];
        }
        let is_seen = |name: &str| self.interfaces().contains(&name);
        // The wire's own copies no host has sent.
        let is_sent = packet.changes.copy_of.is_none() && is_seen(from);
        let arrived = packet.delivered_at.filter(|_| is_seen(to));
        [
            is_sent.then(|| sent(from, Passage::Outbound)),
            arrived.map(|at| Sighting {
                name: to,
                at,
                passage: Passage::Inbound,
                bytes: delivered,
            }),
        ]
    }
}

impl<Out: Write> State<Out> {
    /// Takes a packet in; `origin` is the run's start since 1970.
    fn packet(&mut self, packet: &Packet<'_>, origin: Duration) -> io::Result<()> {
        let watermark = &mut self.watermark;
        if packet.fate == Fate::Unknown {
            // Seen by a capture, and known at once.
            *watermark = packet.sent_at.max(*watermark);
        } else {
            self.entered.put(packet.id, packet.sent_at, |at| {
                *watermark = at.max(*watermark);
            });
        }
        let comment = remark(packet);
        let delivered = packet.bytes_delivered();
        let sightings = self.vantage.sightings(packet, &delivered);
        for sighting in sightings.into_iter().flatten() {
            let index = self.interface(sighting.name, packet.link)?;
            let counted = &mut self.interfaces[index];
            let is_lost = matches!(packet.fate, Fate::Lost { .. });
            counted.received += 1;
            counted.dropped += u64::from(is_lost);
            let at = origin + sighting.at;
            self.last = self.last.max(at);
            let block = EnhancedPacket {
                interface: number(index),
                at,
                bytes: sighting.bytes,
                original_length: sighting.bytes.len(),
                passage: Some(sighting.passage),
                comment: comment.as_deref(),
            };
            pcapng::enhanced_packet(&mut self.block, &block);
            self.place(sighting.at)?;
        }
        self.write_before(self.watermark)
    }

    /// Writes the block in the making, if nothing can come before it, or keeps
    /// it until that is so.
    fn place(&mut self, at: Duration) -> io::Result<()> {
        self.sightings += 1;
        if self.waiting.is_empty() && at <= self.watermark {
            return self.flush();
        }
        let block = self.block.as_slice().to_vec();
        self.block.clear();
        self.waiting_bytes += block.len();
        self.waiting.push(Reverse(Waiting {
            at,
            number: self.sightings,
            block,
        }));
        Ok(())
    }

    /// Writes the waiting blocks up to this time, and more where they take too
    /// much room.
    fn write_before(&mut self, end: Duration) -> io::Result<()> {
        while let Some(Reverse(first)) = self.waiting.peek() {
            if first.at > end && self.waiting_bytes <= MOST_WAITING {
                break;
            }
            self.out.write_all(&first.block)?;
            self.waiting_bytes -= first.block.len();
            self.waiting.pop();
        }
        Ok(())
    }

    /// The interface of this name and link type, described when first met.
    fn interface(&mut self, name: &'static str, link: LinkType) -> io::Result<usize> {
        let mut known = self.interfaces.iter();
        if let Some(index) = known.position(|one| (one.name, one.link) == (name, link)) {
            return Ok(index);
        }
        let interface = Interface {
            link,
            name,
            snapshot_length: 0,
        };
        pcapng::interface_description(&mut self.block, &interface);
        self.flush()?;
        self.interfaces.push(Counted {
            name,
            link,
            received: 0,
            dropped: 0,
        });
        Ok(self.interfaces.len() - 1)
    }

    fn statistics(&mut self, at: Duration) -> io::Result<()> {
        for (index, counted) in self.interfaces.iter().enumerate() {
            let statistics = Statistics {
                interface: number(index),
                at,
                received: counted.received,
                dropped: counted.dropped,
            };
            pcapng::interface_statistics(&mut self.block, &statistics);
        }
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        let written = self.out.write_all(&self.block);
        self.block.clear();
        written
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// What became of a packet, in words. Plain delivery, and a fate that nobody
/// knows, need none.
fn remark(packet: &Packet<'_>) -> Option<String> {
    let changes = packet.changes;
    let lateness = || {
        let delivered_at = packet.delivered_at?;
        let was_held = packet.due_at.is_some_and(|due| due > packet.sent_at);
        was_held.then(|| {
            let held = delivered_at.saturating_sub(packet.sent_at);
            format!("delayed: delivered after {held:?}")
        })
    };
    let words: Vec<String> = [
        match &packet.fate {
            Fate::Lost { cause } => Some(format!("lost: {cause}")),
            Fate::Queued => Some("still under way when the link ended".to_owned()),
            Fate::Delivered | Fate::Unknown => None,
        },
        changes
            .copy_of
            .map(|of| format!("copy of packet {of} made by the wire")),
        changes
            .corrupted_bit
            .map(|bit| format!("corrupted on the way: bit {bit} changed")),
        changes
            .truncated_to
            .map(|length| format!("truncated on the way to {length} bytes")),
        changes
            .marked
            .then(|| "marked on the way: ECN Congestion Experienced".to_owned()),
        changes
            .hastened
            .then(|| "sent ahead of delayed packets".to_owned()),
        changes
            .reordered
            .then(|| "reordered: delivered after later packets".to_owned()),
        lateness(),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!words.is_empty()).then(|| words.join("; "))
}
