//! What a link carried over its life, and what was lost around it.
//!
//! Only counts: the wire counts packets, the kernel counts its devices' drops.

use serde::Serialize;

use crate::flow::Direction;

use super::device::{DeviceDrops, DeviceKind};

/// What went over the wire in one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// Packets that entered.
    pub offered: u64,
    /// Bytes of those packets, IP headers included.
    pub offered_bytes: u64,
    /// Packets handed over.
    pub delivered: u64,
    /// Packets the receiving device refused.
    pub refused: u64,
}

/// What the wire carried in both directions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Carried {
    /// From client to server.
    pub client_to_server: Traffic,
    /// From server to client.
    pub server_to_client: Traffic,
    /// Packets lost between a device and the wire.
    pub overrun: u64,
}

impl Carried {
    /// One direction's traffic, to count in.
    pub(super) fn towards(&mut self, direction: Direction) -> &mut Traffic {
        match direction {
            Direction::ClientToServer => &mut self.client_to_server,
            Direction::ServerToClient => &mut self.server_to_client,
        }
    }
}

/// A link's account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    /// What the link was built on.
    pub device: DeviceKind,
    /// What the wire carried.
    #[serde(flatten)]
    pub wire: Carried,
    /// The devices' own counters.
    pub drops: Vec<DeviceDrops>,
}

impl Account {
    /// Packets lost by the link itself rather than on purpose. On a healthy
    /// run, none.
    pub fn unmodelled_loss(&self) -> u64 {
        let devices: u64 = self
            .drops
            .iter()
            .map(|device| device.receive_dropped + device.transmit_dropped)
            .sum();
        let refused = self.wire.client_to_server.refused + self.wire.server_to_client.refused;
        refused + self.wire.overrun + devices
    }
}
