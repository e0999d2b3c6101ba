//! The wire's ends where TUN is closed to the user: a veth pair a host, and a
//! packet socket on the far end (veth(4), packet(7)).
//!
//! The packet sockets are cooked (`SOCK_DGRAM`): the wire sees the same bare IP
//! packets as with TUN. All offloads are off, else the kernel would hand over
//! superpackets with unfinished checksums.

#![expect(unsafe_code, reason = "kernel edge: the ethtool ioctl")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::libc;
use socket2::{Domain, Socket, Type};

use super::Addresses;
use super::device::NAME;
use super::netlink::{PairEnd, RouteSocket};
use crate::error::Error;
use crate::event::Place;
use crate::socket::packet::{HardwareAddress, PacketSocket};

/// Which host's pair it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    host: PairEnd,
    wire: PairEnd,
}

impl End {
    pub(super) fn of(place: Place) -> Self {
        let (name, number) = match place {
            Place::Client => ("to-client", 1),
            _ => ("to-server", 2),
        };
        Self {
            host: PairEnd {
                name: NAME,
                hardware_address: [2, 0, 0, 0, 0, number],
            },
            wire: PairEnd {
                name,
                hardware_address: [2, 0, 0, 0, 1, number],
            },
        }
    }
}

/// Makes the pair in the calling thread's namespace, the far end in
/// `namespace`, and configures the near one.
pub(super) fn create(
    end: End,
    addresses: Addresses,
    mtu: u32,
    namespace: &OwnedFd,
) -> Result<(), Error> {
    let route = RouteSocket::open()?;
    route.add_pair(end.host, end.wire, namespace, mtu)?;
    switch_offloads_off(NAME)?;
    route.configure(NAME, addresses, mtu)
}

/// Waits until the near end, raised before its peer, can carry packets.
pub(super) fn await_carrier() -> Result<(), Error> {
    RouteSocket::open()?.await_up(NAME)
}

/// A packet socket on one end of a pair, and how to address its host.
pub(super) struct PacketPort {
    socket: PacketSocket,
    host: HardwareAddress,
}

/// Opens the wire's end in the calling thread's namespace.
pub(super) fn attach(end: End) -> Result<PacketPort, Error> {
    let name = end.wire.name;
    switch_offloads_off(name)?;
    silence(name);
    let route = RouteSocket::open()?;
    route.set_up(name)?;
    route.await_up(name)?;
    let socket = PacketSocket::open(name)
        .map_err(|error| Error::new("open a packet socket on", name, error))?;
    Ok(PacketPort {
        socket,
        host: end.host.hardware_address,
    })
}

/// Keeps the wire's own end from speaking IPv6 (listener reports, router
/// solicitations): its host would get packets that no wire carried.
fn silence(name: &str) {
    let path = format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6");
    // Where it cannot be written there may be a listener report on the wire, and
    // a packet more in the host's own counters; the link works all the same.
    let _ = std::fs::write(path, "1");
}

impl PacketPort {
    pub(super) fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.receive(buffer)
    }

    pub(super) fn transmit(&self, packet: &[u8]) -> io::Result<usize> {
        self.socket.transmit(packet, self.host)
    }

    pub(super) fn dropped(&self) -> io::Result<u64> {
        self.socket.dropped()
    }
}

impl AsFd for PacketPort {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[repr(C)]
struct EthtoolValue {
    command: u32,
    data: u32,
}

nix::ioctl_readwrite_bad!(ethtool, libc::SIOCETHTOOL, libc::ifreq);

fn switch_offloads_off(name: &str) -> Result<(), Error> {
    const ETHTOOL_SRXCSUM: u32 = 0x15;
    const ETHTOOL_STXCSUM: u32 = 0x17;
    const ETHTOOL_SSG: u32 = 0x19;
    const ETHTOOL_STSO: u32 = 0x1f;
    const ETHTOOL_SGSO: u32 = 0x24;
    const ETHTOOL_SGRO: u32 = 0x2c;
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)
        .map_err(|error| Error::new("open a socket for ethtool on", name, error))?;
    for command in [
        ETHTOOL_SGRO,
        ETHTOOL_SGSO,
        ETHTOOL_STSO,
        ETHTOOL_SSG,
        ETHTOOL_STXCSUM,
        ETHTOOL_SRXCSUM,
    ] {
        let mut value = EthtoolValue { command, data: 0 };
        let mut request = libc::ifreq {
            ifr_name: super::device::interface_name(name),
            ifr_ifru: libc::__c_anonymous_ifr_ifru {
                ifru_data: (&raw mut value).cast(),
            },
        };
        // SAFETY: the request points at `value`, which lives through the call
        // and has the layout of struct ethtool_value.
        match unsafe { ethtool(socket.as_raw_fd(), &raw mut request) } {
            // A feature the device never had is off.
            Ok(_) | Err(nix::errno::Errno::EOPNOTSUPP) => {}
            Err(errno) => return Err(Error::new("switch offloads off on", name, errno)),
        }
    }
    Ok(())
}
