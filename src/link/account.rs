//! What a link carried over its life, by direction and by flow, what became of
//! it, and what was lost around it.
//!
//! Only counts: the wire counts packets, the kernel counts its devices' drops.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::time::Duration;

use serde::Serialize;

use super::device::{DeviceDrops, DeviceKind, Offload};
use crate::event::Place;
use crate::flow::Direction;
use crate::impair::FlowName;
use crate::units::nanoseconds;

/// A count of packets and of their bytes, IP headers included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Amount {
    /// One packet more.
    pub(super) fn count(&mut self, length: usize) {
        self.packets += 1;
        self.bytes += length as u64;
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
    }
}

/// What went over the wire in one direction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// What entered.
    pub offered: Amount,
    /// Copies that the wire made.
    pub copied: Amount,
    /// What was handed over.
    pub delivered: Amount,
    /// What was lost on purpose, by its cause.
    pub lost: BTreeMap<Cow<'static, str>, Amount>,
    /// What the receiving device refused: a loss that nobody asked for.
    pub refused: Amount,
    /// What was under way when the count was taken.
    pub queued: Amount,
    /// Bytes cut off delivered packets.
    pub truncated_bytes: u64,
    /// Packets handed over, by what was changed of them.
    pub changed: Changed,
}

/// Delivered packets by what the wire changed; one packet may count in several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// A bit was flipped.
    pub corrupted: u64,
    /// The tail was cut off.
    pub truncated: u64,
    /// Held on purpose.
    pub delayed: u64,
    /// Sent ahead of delayed ones.
    pub hastened: u64,
    /// Handed over after later ones of the same flow (RFC 4737).
    pub reordered: u64,
    /// Marked with Congestion Experienced.
    pub marked: u64,
}

impl Traffic {
    /// All that was lost on purpose.
    pub fn lost_in_all(&self) -> Amount {
        let mut all = Amount::default();
        for amount in self.lost.values() {
            all += *amount;
        }
        all
    }

    /// Whether every packet and byte is accounted for: offered + copied =
    /// delivered + lost + refused + queued.
    pub fn is_conserved(&self) -> bool {
        let mut came = self.offered;
        came += self.copied;
        let mut went = self.delivered;
        went += self.lost_in_all();
        went += self.refused;
        went += self.queued;
        went.bytes += self.truncated_bytes;
        came == went
    }

    /// Adds another's counts.
    fn add(&mut self, other: &Self) {
        self.offered += other.offered;
        self.copied += other.copied;
        self.delivered += other.delivered;
        for (cause, amount) in &other.lost {
            *self.lost.entry(cause.clone()).or_default() += *amount;
        }
        self.refused += other.refused;
        self.queued += other.queued;
        self.truncated_bytes += other.truncated_bytes;
        let (changed, more) = (&mut self.changed, other.changed);
        changed.corrupted += more.corrupted;
        changed.truncated += more.truncated;
        changed.delayed += more.delayed;
        changed.hastened += more.hastened;
        changed.reordered += more.reordered;
        changed.marked += more.marked;
    }
}

/// What the wire carried in both directions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Carried {
    /// From client to server.
    pub client_to_server: Traffic,
    /// From server to client.
    pub server_to_client: Traffic,
}

impl Carried {
    /// One direction's traffic.
    pub fn towards(&self, direction: Direction) -> &Traffic {
        match direction {
            Direction::ClientToServer => &self.client_to_server,
            Direction::ServerToClient => &self.server_to_client,
        }
    }

    /// One direction's traffic, to count in.
    pub(super) fn count(&mut self, direction: Direction) -> &mut Traffic {
        match direction {
            Direction::ClientToServer => &mut self.client_to_server,
            Direction::ServerToClient => &mut self.server_to_client,
        }
    }

    /// Adds another's counts.
    pub(super) fn add(&mut self, other: &Self) {
        self.client_to_server.add(&other.client_to_server);
        self.server_to_client.add(&other.server_to_client);
    }
}

/// One conversation's part of what the wire carried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FlowAccount {
    /// Its number on this wire, from 1.
    pub flow: u32,
    /// Whose it is.
    pub name: FlowName,
    /// What was carried.
    #[serde(flatten)]
    pub carried: Carried,
}

/// How long after they were due packets left the wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Lateness {
    /// Packets that were held on purpose and handed over.
    pub packets: u64,
    /// Half of them left no later than this.
    #[serde(rename = "p50_ns", serialize_with = "nanoseconds")]
    pub p50: Duration,
    /// 99 of 100 left no later than this.
    #[serde(rename = "p99_ns", serialize_with = "nanoseconds")]
    pub p99: Duration,
    /// The latest.
    #[serde(rename = "max_ns", serialize_with = "nanoseconds")]
    pub max: Duration,
}

/// What the wire itself knows at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct WireCount {
    /// The sum over all flows.
    #[serde(flatten)]
    pub wire: Carried,
    /// Each flow, by number.
    pub flows: Vec<FlowAccount>,
    /// Packets on their way when the count was taken; once the link has ended
    /// those are each direction's `queued`.
    pub under_way: u64,
    /// Packets lost between a device and the wire.
    pub overrun: u64,
    /// How punctual the wire was.
    pub lateness: Lateness,
}

/// The cause of a loss whose packet the wire changed so that no device takes it.
pub(super) const UNREADABLE: &str = "corrupted IP header";

/// The cause of a loss whose packet no device takes as it was sent.
pub(super) const NOT_IP: &str = "not an IP packet";

impl WireCount {
    /// Packets to a host that its device refused, as the wire knows.
    pub(super) fn refused_at(&self, host: Place) -> u64 {
        let direction = match host {
            Place::Client => Direction::ServerToClient,
            _ => Direction::ClientToServer,
        };
        let traffic = self.wire.towards(direction);
        let lost = |cause| traffic.lost.get(cause).map_or(0, |amount| amount.packets);
        lost(UNREADABLE) + lost(NOT_IP) + traffic.refused.packets
    }
}

/// A link's account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    /// What the link was built on.
    pub device: DeviceKind,
    /// Whether packets crossed uncut: then none of them is one that a real wire
    /// would carry.
    pub offload: Offload,
    /// What was done to packets, as [`Plan`](crate::impair::Plan) is shown and read; `None` where
    /// nothing was.
    pub plan: Option<String>,
    /// The seed of all random draws.
    pub seed: u64,
    /// What the wire carried.
    #[serde(flatten)]
    pub count: WireCount,
    /// The devices' own counters.
    pub drops: Vec<DeviceDrops>,
}

impl Account {
    /// The account of this link and of another that took its place: flows are
    /// numbered on, and of the punctualities the worse one stands.
    #[must_use]
    pub fn and(mut self, later: Self) -> Self {
        let flows = u32::try_from(self.count.flows.len()).unwrap_or(u32::MAX);
        let (count, more) = (&mut self.count, later.count);
        count.wire.add(&more.wire);
        count
            .flows
            .extend(more.flows.into_iter().map(|flow| FlowAccount {
                flow: flow.flow.saturating_add(flows),
                ..flow
            }));
        count.under_way += more.under_way;
        count.overrun += more.overrun;
        count.lateness.packets += more.lateness.packets;
        count.lateness.p50 = count.lateness.p50.max(more.lateness.p50);
        count.lateness.p99 = count.lateness.p99.max(more.lateness.p99);
        count.lateness.max = count.lateness.max.max(more.lateness.max);
        for (drops, more) in self.drops.iter_mut().zip(later.drops) {
            drops.receive_dropped += more.receive_dropped;
            drops.transmit_dropped += more.transmit_dropped;
        }
        self
    }

    /// Packets lost by the link itself rather than on purpose. On a healthy
    /// run, none.
    pub fn unmodelled_loss(&self) -> u64 {
        let devices: u64 = self
            .drops
            .iter()
            .map(|device| device.receive_dropped + device.transmit_dropped)
            .sum();
        let wire = &self.count.wire;
        let refused = wire.client_to_server.refused.packets + wire.server_to_client.refused.packets;
        refused + self.count.overrun + devices
    }

    /// Whether every packet that entered the wire is accounted for, over all
    /// and in each flow.
    pub fn is_conserved(&self) -> bool {
        let whole = std::iter::once(&self.count.wire);
        let flows = self.count.flows.iter().map(|flow| &flow.carried);
        whole.chain(flows).all(|carried| {
            carried.client_to_server.is_conserved() && carried.server_to_client.is_conserved()
        })
    }
}
