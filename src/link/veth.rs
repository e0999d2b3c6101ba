//! The wire's ends where TUN is closed to the user: a veth pair a host, and a
//! packet socket on the far end (veth(4), packet(7)).
//!
//! The packet sockets are cooked (`SOCK_DGRAM`): the wire sees the same bare IP
//! packets as with TUN. All offloads are off, else the kernel would hand over
//! superpackets with unfinished checksums.

#![expect(
    unsafe_code,
    reason = "kernel edge: link-layer addresses and the ethtool ioctl"
)]
#![expect(
    clippy::cast_possible_truncation,
    reason = "the kernel\'s own constants fit"
)]

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::libc;
use nix::net::if_::if_nametoindex;
use socket2::{Domain, SockAddr, SockAddrStorage, Socket, Type};

use super::Addresses;
use super::device::NAME;
use super::netlink::{HardwareAddress, PairEnd, RouteSocket};
use crate::error::Error;
use crate::event::Place;
use crate::socket::kernel;

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

/// A packet socket on one end of a pair, and how to address its host.
pub(super) struct PacketPort {
    socket: Socket,
    interface: libc::c_int,
    host: HardwareAddress,
}

/// Opens the wire's end in the calling thread's namespace.
pub(super) fn attach(end: End) -> Result<PacketPort, Error> {
    let name = end.wire.name;
    switch_offloads_off(name)?;
    RouteSocket::open()?.set_up(name)?;
    let open = || {
        let index = if_nametoindex(name)?;
        let interface = libc::c_int::try_from(index).map_err(io::Error::other)?;
        // Protocol 0 receives nothing until bind names the interface.
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, None)?;
        socket.set_nonblocking(true)?;
        kernel::set_option_bytes(
            socket.as_fd(),
            libc::SOL_PACKET,
            libc::PACKET_IGNORE_OUTGOING,
            &1_i32.to_ne_bytes(),
        )?;
        enlarge_receive_buffer(&socket)?;
        let everything = u16::try_from(libc::ETH_P_ALL).map_err(io::Error::other)?;
        socket.bind(&link_address(
            everything,
            interface,
            end.host.hardware_address,
        ))?;
        Ok(PacketPort {
            socket,
            interface,
            host: end.host.hardware_address,
        })
    };
    open().map_err(|error| Error::io("open a packet socket on", name, error))
}

impl PacketPort {
    pub(super) fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        io::Read::read(&mut &self.socket, buffer)
    }

    pub(super) fn transmit(&self, packet: &[u8]) -> io::Result<usize> {
        let protocol = match packet.first().map(|byte| byte >> 4) {
            Some(6) => libc::ETH_P_IPV6,
            _ => libc::ETH_P_IP,
        };
        let protocol = u16::try_from(protocol).map_err(io::Error::other)?;
        self.socket
            .send_to(packet, &link_address(protocol, self.interface, self.host))
    }

    /// Packets the socket's buffer had no room for since the last question
    /// (`PACKET_STATISTICS`, which resets on read).
    pub(super) fn dropped(&self) -> io::Result<u64> {
        let mut counts = [0; 8];
        kernel::option_bytes(
            self.socket.as_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            &mut counts,
        )?;
        let [_, _, _, _, drops @ ..] = counts;
        Ok(u32::from_ne_bytes(drops).into())
    }
}

impl AsFd for PacketPort {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The default buffer holds about a hundred packets. The forced option needs
/// `CAP_NET_ADMIN`; where the kernel reserves that for root, the plain one gets
/// as much as `rmem_max` allows.
fn enlarge_receive_buffer(socket: &Socket) -> io::Result<()> {
    const SIZE: i32 = 64 << 20;
    kernel::set_option_bytes(
        socket.as_fd(),
        libc::SOL_SOCKET,
        libc::SO_RCVBUFFORCE,
        &SIZE.to_ne_bytes(),
    )
    .or_else(|_| socket.set_recv_buffer_size(SIZE.unsigned_abs() as usize))
}

fn link_address(protocol: u16, interface: libc::c_int, hardware: HardwareAddress) -> SockAddr {
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: sockaddr_ll fits into sockaddr_storage and has no invalid values.
    let link = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    link.sll_family = libc::AF_PACKET as libc::sa_family_t;
    link.sll_protocol = protocol.to_be();
    link.sll_ifindex = interface;
    link.sll_halen = 6;
    link.sll_addr[..6].copy_from_slice(&hardware);
    let length = mem::size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the storage holds a whole sockaddr_ll, whose length is given.
    unsafe { SockAddr::new(storage, length) }
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
        .map_err(|error| Error::io("open a socket for ethtool on", name, error))?;
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
            Err(errno) => return Err(Error::io("switch offloads off on", name, errno.into())),
        }
    }
    Ok(())
}
