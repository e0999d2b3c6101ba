//! Packet sockets: whole packets of one interface (packet(7)).
//!
//! Cooked (`SOCK_DGRAM`): the kernel strips and makes the link-layer header, so
//! that every packet begins with its IP header. Outgoing copies are ignored.
//! Needs `CAP_NET_RAW` in the network namespace.

#![expect(unsafe_code, reason = "kernel edge: link-layer socket addresses")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the kernel's own constants fit"
)]

use std::io;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd};

use nix::libc;
use nix::net::if_::if_nametoindex;
use socket2::{Domain, SockAddr, SockAddrStorage, Socket, Type};

use super::kernel;

/// A link-layer address.
pub(crate) type HardwareAddress = [u8; 6];

/// A socket on one interface; it does not block.
pub(crate) struct PacketSocket {
    socket: Socket,
    interface: libc::c_int,
}

impl PacketSocket {
    /// Opens it in the calling thread's namespace.
    pub(crate) fn open(interface: &str) -> io::Result<Self> {
        let index = if_nametoindex(interface)?;
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
        let address = link_address(libc::ETH_P_ALL, interface, HardwareAddress::default());
        socket.bind(&address)?;
        Ok(Self { socket, interface })
    }

    /// Reads one packet; `WouldBlock` where none waits.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        io::Read::read(&mut &self.socket, buffer)
    }

    /// Sends one IP packet to a neighbour.
    pub(crate) fn transmit(&self, packet: &[u8], to: HardwareAddress) -> io::Result<usize> {
        let protocol = match packet.first().map(|byte| byte >> 4) {
            Some(6) => libc::ETH_P_IPV6,
            _ => libc::ETH_P_IP,
        };
        let address = link_address(protocol, self.interface, to);
        self.socket.send_to(packet, &address)
    }

    /// Packets the socket's buffer had no room for since the last question
    /// (`PACKET_STATISTICS`, which resets on read).
    pub(crate) fn dropped(&self) -> io::Result<u64> {
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

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
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
    .or_else(|_| socket.set_recv_buffer_size(SIZE as usize))
}

fn link_address(
    protocol: libc::c_int,
    interface: libc::c_int,
    hardware: HardwareAddress,
) -> SockAddr {
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: sockaddr_ll fits into sockaddr_storage and has no invalid values.
    let link = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    link.sll_family = libc::AF_PACKET as libc::sa_family_t;
    link.sll_protocol = (protocol as u16).to_be();
    link.sll_ifindex = interface;
    link.sll_halen = hardware.len() as u8;
    link.sll_addr[..hardware.len()].copy_from_slice(&hardware);
    let length = mem::size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the storage holds a whole sockaddr_ll, whose length is given.
    unsafe { SockAddr::new(storage, length) }
}
