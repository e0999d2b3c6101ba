//! Packets as they happen into a pcapng file that Wireshark opens: one
//! interface named `wire`, times in nanoseconds, the direction as seen from the
//! client, and each packet's fate as its comment.
//!
//! A sink cannot fail, so the file's first error is kept, ends the writing, and
//! is what [`PcapFile::finish`] returns. Never panics, never loses an error.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::event::{Event, Fate, Packet, Sink, Topic, What};
use crate::flow::Direction;
use crate::packet::LinkType;
use crate::packet::pcapng::{self, EnhancedPacket, Interface, Passage, Section, Statistics};
use crate::recorder::Clock;

/// A sink that writes every packet to a pcapng file.
pub struct PcapFile<Out: Write + Send> {
    clock: Clock,
    /// The run's start since 1970.
    origin: Duration,
    state: Mutex<State<Out>>,
}

struct State<Out> {
    out: Out,
    /// The block in the making, kept for its room.
    block: Vec<u8>,
    /// One interface for each link type met, in the order of their description.
    interfaces: Vec<Counted>,
    last: Duration,
    failure: Option<io::Error>,
}

/// What one interface saw.
struct Counted {
    link: LinkType,
    received: u64,
    dropped: u64,
}

impl<Out: Write + Send> PcapFile<Out> {
    /// Begins a file with its section header. Wrap a file in an
    /// [`io::BufWriter`].
    pub fn begin(out: Out, clock: Clock, comment: Option<&str>) -> io::Result<Self> {
        let mut state = State {
            out,
            block: Vec::new(),
            interfaces: Vec::new(),
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

    /// Writes the interface's statistics and empties all buffers. Returns the
    /// writer, or the first error that the file gave at any time.
    pub fn finish(self) -> io::Result<Out> {
        let now = self.origin + self.clock.now();
        let mut state = self
            .state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = state.failure.take() {
            return Err(error);
        }
        let at = now.max(state.last);
        if state.interfaces.is_empty() {
            // A file of no packets is a file of this interface's silence.
            state.interface(LinkType::Raw)?;
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
            let written = state.packet(packet, self.origin + packet.sent_at);
            state.failure = written.err();
        }
    }
}

impl<Out: Write> State<Out> {
    fn packet(&mut self, packet: &Packet<'_>, at: Duration) -> io::Result<()> {
        let index = self.interface(packet.link)?;
        let counted = &mut self.interfaces[index];
        counted.received += 1;
        counted.dropped += u64::from(matches!(packet.fate, Fate::Lost { .. }));
        self.last = self.last.max(at);
        let comment = remark(packet);
        let block = EnhancedPacket {
            interface: number(index),
            at,
            bytes: &packet.bytes,
            original_length: packet.bytes.len(),
            passage: Some(match packet.direction {
                Direction::ClientToServer => Passage::Outbound,
                Direction::ServerToClient => Passage::Inbound,
            }),
            comment: comment.as_deref(),
        };
        pcapng::enhanced_packet(&mut self.block, &block);
        self.flush()
    }

    /// The interface for this link type, described when first met.
    fn interface(&mut self, link: LinkType) -> io::Result<usize> {
        let mut known = self.interfaces.iter();
        if let Some(index) = known.position(|counted| counted.link == link) {
            return Ok(index);
        }
        let interface = Interface {
            link,
            name: "wire",
            snapshot_length: 0,
        };
        pcapng::interface_description(&mut self.block, &interface);
        self.flush()?;
        self.interfaces.push(Counted {
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
