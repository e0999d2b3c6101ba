//! The wire's account of each kind of socket, kept as packets pass: a sink that
//! counts, notes what became of the packets that carried messages, and keeps only
//! the first of them.

mod datagrams;
mod fragments;
mod kernel;
mod stream;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;

use self::datagrams::Datagrams;
use self::fragments::{Fragments, Reassembled};
use self::stream::Segments;
use super::{Config, Mark, Message, Variant};
use crate::event::{Changes, Event, Fate, Packet, Sink, Topic, What};
use crate::flow::Direction;
use crate::packet::{
    Checksums, Dissection, IcmpBody, Ip, IpProtocol, LinkType, TcpFlags, dissect_with,
};

/// Packets of both directions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// Packets from client to server.
    pub packets_up: u64,
    /// Packets from server to client: ACKs, echo replies.
    pub packets_down: u64,
    /// Bytes of all those packets, IP headers included.
    pub bytes: u64,
}

/// What one way to send put on the wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct WireUse {
    /// Before the first packet that carried part of a message.
    pub set_up: Traffic,
    /// The messages, and what answered them.
    pub messages: Traffic,
    /// From the first FIN or RST on that carried nothing.
    pub closing: Traffic,
    /// Packets from client to server that carried part of a message.
    pub data_packets: u64,
    /// Of those, packets that the wire lost, changed or held for long, so that
    /// the message may not have arrived whole and in time.
    pub data_packets_harmed: u64,
    /// Copies of those that the wire made.
    pub data_packets_copied: u64,
    /// Fragments among all these packets.
    pub fragments: u64,
    /// The bytes of [`messages`](Self::messages) by what they were for.
    #[serde(flatten)]
    pub bytes: Split,
    /// Segments that the client's kernel sent again (SYN, data and FIN), as the
    /// sequence numbers tell; `None` without a connection.
    pub retransmitted: Option<u64>,
    /// What must have reached the receiving socket; `None` for a stream, and
    /// where no fates are known.
    pub reached: Option<Observed>,
}

/// The bytes of the packets between set-up and closing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Split {
    /// Messages, each byte the first time.
    #[serde(rename = "payload_bytes")]
    pub payload: u64,
    /// Headers before those.
    #[serde(rename = "header_bytes")]
    pub headers: u64,
    /// Packets that carried data again, headers included.
    #[serde(rename = "retransmitted_bytes")]
    pub retransmitted: u64,
    /// Packets without a message: acknowledgments, echo replies, ICMP errors.
    #[serde(rename = "answer_bytes")]
    pub answers: u64,
}

/// Datagrams that the wire handed over, by what the receiving kernel must make
/// of them; each is one, however many fragments it had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Observed {
    /// Whole messages: the program gets each of them, or the kernel drops it for
    /// want of room.
    pub intact: u64,
    /// Damaged ones that no checksum of the kernel catches: likewise.
    pub damaged: u64,
    /// Damaged ones that the socket drops, and counts as dropped.
    pub refused: u64,
}

/// The first packet that carried a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstPacket {
    /// What its first byte belongs to.
    pub link: LinkType,
    /// Whether its checksums had been filled in when it was seen.
    pub checksums: Checksums,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl FirstPacket {
    /// The packet taken apart.
    pub fn dissect(&self) -> Dissection {
        dissect_with(self.link, &self.bytes, self.checksums)
    }
}

/// Counts packets by what is compared.
#[derive(Debug)]
pub struct WireTally(Mutex<Entries>);

#[derive(Debug)]
struct Entries {
    marked: Vec<(Variant, Mark, Entry)>,
    /// Whose a datagram is, by protocol and identification: later fragments have
    /// no port.
    datagrams: HashMap<Identification, usize>,
    /// Later fragments whose first one's fate is not yet known.
    waiting: HashMap<Identification, Vec<(u64, Packet<'static>)>>,
    /// Packets so far: those that are handed over are told in that order.
    told: u64,
    fragments: Fragments,
}

#[derive(Debug, Default)]
struct Entry {
    wire: WireUse,
    seen: bool,
    closing: bool,
    first: Option<FirstPacket>,
    /// Whether the packets' fates are known.
    knows_fates: bool,
    segments: Segments,
    datagrams: Datagrams,
}

impl WireTally {
    /// Counts the packets of what `config` compares.
    pub fn new(config: &Config) -> Self {
        let variants = config.variants.iter();
        Self(Mutex::new(Entries {
            marked: variants
                .map(|&variant| (variant, config.mark(variant), Entry::default()))
                .collect(),
            datagrams: HashMap::new(),
            waiting: HashMap::new(),
            told: 0,
            fragments: Fragments::default(),
        }))
    }

    /// What `variant` has put on the wire so far; `None` where no packet of it
    /// was seen.
    pub fn of(&self, variant: Variant) -> Option<WireUse> {
        let entries = self.entries();
        let (_, entry) = entries.of(variant)?;
        entry.seen.then(|| entries.wire(variant)).flatten()
    }

    /// Says of each of a variant's messages what the wire did to it, where fates
    /// are known. `messages` begin with number 1 and have no gaps.
    pub fn trace(&self, variant: Variant, messages: &mut [Message]) {
        let entries = self.entries();
        let Some((mark, entry)) = entries.of(variant).filter(|(_, one)| one.knows_fates) else {
            return;
        };
        if variant.is_stream() {
            entry.segments.resolve(messages);
            return;
        }
        let fragments = entries.fragments.resolve();
        let (on_wire, _) = entry
            .datagrams
            .resolve(mark, &entries.part_of(variant, &fragments));
        for (index, message) in messages.iter_mut().enumerate() {
            message.wire = Some(on_wire.get(index).copied().unwrap_or_default());
        }
    }

    /// The first packet of `variant` that carried a message.
    pub fn first(&self, variant: Variant) -> Option<FirstPacket> {
        self.entries().of(variant)?.1.first.clone()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for WireTally {
    fn wants(&self, topic: Topic) -> bool {
        topic == Topic::Packet
    }

    fn record(&self, event: &Event<'_>) {
        let What::Packet(packet) = &event.what else {
            return;
        };
        self.entries().record(packet);
    }
}

impl Entries {
    fn of(&self, variant: Variant) -> Option<(Mark, &Entry)> {
        let mut marked = self.marked.iter();
        marked
            .find(|(one, ..)| *one == variant)
            .map(|(_, mark, entry)| (*mark, entry))
    }

    fn record(&mut self, packet: &Packet<'_>) {
        self.told += 1;
        let told = self.told;
        let dissection = packet.dissect();
        let Some(whose) = self.whose(packet.direction, &dissection) else {
            return;
        };
        match whose {
            Whose::Lane(index) => self.count(index, (told, packet), &dissection),
            Whose::First(index, key) => {
                self.datagrams.insert(key, index);
                self.count(index, (told, packet), &dissection);
                for (told, later) in self.waiting.remove(&key).unwrap_or_default() {
                    let dissection = later.dissect();
                    self.count(index, (told, &later), &dissection);
                }
            }
            Whose::Unknown(key) => {
                let packet = Packet {
                    bytes: packet.bytes.to_vec().into(),
                    fate: packet.fate.clone(),
                    ..*packet
                };
                self.waiting.entry(key).or_default().push((told, packet));
            }
        }
    }

    fn count(&mut self, index: usize, (told, packet): (u64, &Packet<'_>), dissection: &Dissection) {
        let (_, mark, entry) = &mut self.marked[index];
        entry.count(*mark, packet, dissection);
        let is_up = packet.direction == Direction::ClientToServer;
        if is_up && packet.fate != Fate::Unknown {
            self.fragments.add(index, *mark, (told, packet));
        }
    }

    /// Whose a packet is; an ICMP error belongs to the packet it quotes.
    fn whose(&self, direction: Direction, packet: &Dissection) -> Option<Whose> {
        if let Some(quoted) = packet.quoted() {
            return self.whose(direction.reversed(), &quoted);
        }
        let ip = packet.ip()?;
        let fragment = ip.fragment.filter(|fragment| !fragment.is_whole());
        let key = fragment.map(|fragment| (direction, ip.protocol, fragment.identification));
        let find = |is_one: &dyn Fn(Mark) -> bool| {
            let mut marked = self.marked.iter();
            marked.position(|(_, mark, _)| is_one(*mark))
        };
        if let Some(index) = find(&|mark| mark.has(ip.protocol, packet)) {
            return Some(key.map_or(Whose::Lane(index), |key| Whose::First(index, key)));
        }
        let key = key?;
        let only = find(&|mark| mark.may_have(ip.protocol))?;
        let mut others = self.marked[only + 1..].iter();
        if !others.any(|(_, mark, _)| mark.may_have(ip.protocol)) {
            return Some(Whose::Lane(only));
        }
        let known = self.datagrams.get(&key);
        Some(known.map_or(Whose::Unknown(key), |index| Whose::Lane(*index)))
    }

    /// A variant's datagrams among all that travelled in fragments.
    fn part_of<'a>(&self, variant: Variant, all: &'a [Reassembled]) -> Vec<&'a Reassembled> {
        let mut marked = self.marked.iter();
        let lane = marked.position(|(one, ..)| *one == variant);
        all.iter().filter(|one| Some(one.lane) == lane).collect()
    }

    fn wire(&self, variant: Variant) -> Option<WireUse> {
        let (mark, entry) = self.of(variant)?;
        let mut wire = entry.wire;
        if let Mark::Tcp(_) = mark {
            let sums = entry.segments.sums();
            wire.retransmitted = Some(sums.retransmitted);
            wire.bytes.payload = sums.payload;
            wire.bytes.headers = sums.headers;
            wire.bytes.retransmitted = sums.retransmitted_bytes;
        } else if entry.knows_fates {
            wire.reached = Some(self.reached(variant, mark));
        }
        Some(wire)
    }

    fn reached(&self, variant: Variant, mark: Mark) -> Observed {
        let fragments = self.fragments.resolve();
        let of = |variant, mark, entry: &Entry| {
            let part = self.part_of(variant, &fragments);
            entry.datagrams.resolve(mark, &part).1
        };
        let marked = self.marked.iter();
        let is_echo = |mark: Mark| matches!(mark, Mark::Echo(_));
        let refused = marked
            .filter(|(one, other, _)| *one == variant || (is_echo(mark) && is_echo(*other)))
            // A raw socket checks each echo before its filter asks whose it is.
            .map(|(variant, mark, entry)| of(*variant, *mark, entry).refused)
            .sum();
        let own = self
            .of(variant)
            .map(|(mark, entry)| of(variant, mark, entry));
        Observed {
            refused,
            ..own.unwrap_or_default()
        }
    }
}

/// What the fragments of one datagram have in common.
type Identification = (Direction, IpProtocol, u32);

/// Whose a packet is.
enum Whose {
    Lane(usize),
    /// Of this lane, and later fragments with this identification too.
    First(usize, Identification),
    /// Whose the first fragment with this identification is.
    Unknown(Identification),
}

impl Mark {
    /// Whether a packet of this protocol may be one of these.
    fn may_have(self, protocol: IpProtocol) -> bool {
        match self {
            Self::Tcp(_) => protocol == IpProtocol::TCP,
            Self::Udp(_) => protocol == IpProtocol::UDP,
            Self::Echo(_) => matches!(protocol, IpProtocol::ICMP | IpProtocol::ICMPV6),
            Self::Protocol(number) => protocol.0 == number,
        }
    }

    /// Whether a packet says that it is one of these.
    fn has(self, protocol: IpProtocol, packet: &Dissection) -> bool {
        if !self.may_have(protocol) {
            return false;
        }
        match self {
            Self::Tcp(port) | Self::Udp(port) => packet.endpoints().is_some_and(|ends| {
                [ends.source.port, ends.destination.port].contains(&Some(port))
            }),
            Self::Echo(ours) => packet.icmp().is_some_and(
                |icmp| matches!(icmp.body, IcmpBody::Echo { identifier, .. } if identifier == ours),
            ),
            Self::Protocol(_) => true,
        }
    }
}

impl Entry {
    fn count(&mut self, mark: Mark, packet: &Packet<'_>, dissection: &Dissection) {
        self.seen = true;
        self.knows_fates |= packet.fate != Fate::Unknown;
        let carries = !dissection.payload().is_empty();
        let is_up = packet.direction == Direction::ClientToServer;
        let is_data = carries && is_up;
        let is_fragment = |ip: Ip| ip.fragment.is_some_and(|fragment| !fragment.is_whole());
        let is_piece = dissection.ip().is_some_and(is_fragment);
        match mark {
            Mark::Tcp(_) if is_up => self.segments.add(packet),
            Mark::Tcp(_) => {}
            _ if is_data && !is_piece => self.datagrams.add(mark, packet),
            _ => {}
        }
        self.wire.data_packets_harmed += u64::from(is_data && is_harmed(packet));
        // What the wire made, no socket has put on it.
        if packet.changes.copy_of.is_some() {
            self.wire.data_packets_copied += u64::from(is_data);
            return;
        }
        if carries && self.first.is_none() {
            self.first = Some(FirstPacket {
                link: packet.link,
                checksums: match packet.fate {
                    Fate::Unknown => Checksums::Pending,
                    _ => Checksums::Complete,
                },
                bytes: packet.bytes.to_vec(),
            });
        }
        self.closing |= !carries && is_end(dissection);
        let wire = &mut self.wire;
        wire.fragments += u64::from(is_piece);
        let length = packet.bytes.len() as u64;
        if is_data {
            let content = kernel::content(&packet.bytes);
            let payload = content.map_or(0, |one| datagrams::payload(mark, &one) as u64);
            wire.bytes.payload += payload;
            wire.bytes.headers += length - payload;
        } else if self.first.is_some() && !self.closing {
            wire.bytes.answers += length;
        }
        let traffic = if carries {
            &mut wire.messages
        } else if self.closing {
            &mut wire.closing
        } else if self.first.is_none() {
            &mut wire.set_up
        } else {
            &mut wire.messages
        };
        traffic.bytes += length;
        match packet.direction {
            Direction::ClientToServer => {
                traffic.packets_up += 1;
                wire.data_packets += u64::from(carries);
            }
            Direction::ServerToClient => traffic.packets_down += 1,
        }
    }
}

/// Whether what the wire did to a packet may cost its message.
fn is_harmed(packet: &Packet<'_>) -> bool {
    /// Receivers wait for longer than this.
    const LATE: Duration = Duration::from_millis(500);
    let Changes {
        corrupted_bit,
        truncated_to,
        ..
    } = packet.changes;
    let under_way = packet
        .delivered_at
        .map(|at| at.saturating_sub(packet.sent_at));
    matches!(packet.fate, Fate::Lost { .. } | Fate::Queued)
        || corrupted_bit.is_some()
        || truncated_to.is_some()
        || under_way.is_some_and(|under_way| under_way > LATE)
}

fn is_end(packet: &Dissection) -> bool {
    packet
        .tcp()
        .is_some_and(|tcp| tcp.flags.contains(TcpFlags::FIN) || tcp.flags.contains(TcpFlags::RST))
}
