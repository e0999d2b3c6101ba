//! What the wire's ends are: the descriptor it reads packets from and writes
//! them to, whichever device stands behind, and the devices' drop counters
//! (`/proc/net/dev`, proc_pid_net(5)).

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::libc;
use serde::Serialize;

use super::tun::TunPort;
use super::veth::PacketPort;
use crate::event::Place;

/// The interface's name inside each host.
pub(super) const NAME: &str = "wire0";

/// What the wire is built on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// TUN devices; `/dev/net/tun` must be open to the user.
    Tun,
    /// veth pairs and packet sockets; no device node needed.
    Veth,
}

impl std::fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            DeviceKind::Tun => "TUN",
            DeviceKind::Veth => "veth",
        })
    }
}

/// Whether the kernel may leave cutting segments and finishing checksums to the
/// device: much faster, but what crosses the wire is then no packet that a real
/// one would carry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Offload {
    /// Every packet is one, of at most the MTU.
    #[default]
    Off,
    /// Packets of up to 64 KiB. Only on TUN, and only where nothing is done to
    /// packets and nobody records them.
    On,
}

/// One end of the wire.
pub(super) enum Port {
    Tun(TunPort),
    Veth(PacketPort),
}

impl Port {
    /// Reads one packet; `WouldBlock` where none waits.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Port::Tun(port) => port.receive(buffer),
            Port::Veth(port) => port.receive(buffer),
        }
    }

    /// Hands one packet to the host.
    pub(super) fn transmit(&mut self, packet: &[u8]) -> io::Result<usize> {
        match self {
            Port::Tun(port) => port.transmit(packet),
            Port::Veth(port) => port.transmit(packet),
        }
    }

    /// Bytes that stand before each packet and are none of it.
    pub(super) fn prelude(&self) -> usize {
        match self {
            Port::Tun(port) => port.prelude(),
            Port::Veth(_) => 0,
        }
    }

    /// Packets that were lost between the host's device and this descriptor.
    pub(super) fn dropped(&self) -> io::Result<u64> {
        match self {
            // The TUN ring's drops are the device's own, counted there.
            Port::Tun(_) => Ok(0),
            Port::Veth(port) => port.dropped(),
        }
    }
}

impl AsFd for Port {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Port::Tun(port) => port.as_fd(),
            Port::Veth(port) => port.as_fd(),
        }
    }
}

/// What one host's device dropped over the link's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DeviceDrops {
    /// Whose device.
    pub host: Place,
    /// Packets that came from the wire and were not taken.
    pub receive_dropped: u64,
    /// Packets that the host sent and the device had no room for.
    pub transmit_dropped: u64,
}

/// Reads the counters in the calling thread's namespace.
pub(super) fn drops(host: Place) -> io::Result<DeviceDrops> {
    let table = std::fs::read_to_string("/proc/thread-self/net/dev")?;
    parse_drops(&table, host)
        .ok_or_else(|| io::Error::other(format!("no counters of {NAME} in /proc/net/dev")))
}

fn parse_drops(table: &str, host: Place) -> Option<DeviceDrops> {
    let counters = table
        .lines()
        .find_map(|line| line.trim_start().strip_prefix(NAME)?.strip_prefix(':'))?;
    let column = |number: usize| counters.split_whitespace().nth(number)?.parse().ok();
    Some(DeviceDrops {
        host,
        receive_dropped: column(3)?,
        transmit_dropped: column(11)?,
    })
}

/// A device name as the kernel's ioctls take it; the last byte stays NUL.
pub(super) fn interface_name(name: &str) -> [libc::c_char; libc::IFNAMSIZ] {
    let mut field = [0; libc::IFNAMSIZ];
    for (slot, byte) in field.iter_mut().take(libc::IFNAMSIZ - 1).zip(name.bytes()) {
        *slot = libc::c_char::from_ne_bytes([byte]);
    }
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_drop_columns() {
        let table = "Inter-|   Receive  |  Transmit\n face |bytes ...\n    \
             lo:  34 33 0 0 0 0 0 0 34 33 0 0 0 0 0 0\n \
             wire0: 100 9 0 3 0 0 0 0 200 8 0 7 0 0 0 0\n";
        let drops = parse_drops(table, Place::Client).expect("the row is there");
        assert_eq!((drops.receive_dropped, drops.transmit_dropped), (3, 7));
    }
}
