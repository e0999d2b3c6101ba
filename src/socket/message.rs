//! Datagrams with what the kernel knows besides: the address each was sent to
//! (`IP_PKTINFO`), errors with who sent them (`IP_RECVERR`), and how many found
//! no room (`SO_MEMINFO`) (ip(7), ipv6(7), recvmsg(2)).
//!
//! One call, one datagram; receiving never blocks. Decides nothing.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, SockaddrStorage,
    recvmsg, sendmsg,
};

use super::datagram::{Datagram, Received, internet};
use super::handle::Shown;
use super::icmp::{Origin, QueuedError};
use super::kernel::{option_bytes, set_option_bytes};
use super::stream::Stream;
use crate::flow::Family;
use crate::recorder::Returned;

/// This side of a datagram: the address it was sent to, and by which interface
/// it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// The address; IPv4's in its own form also on an IPv6 socket.
    pub address: IpAddr,
    /// The one that an answer should come from: the same, or one of this host's
    /// own where that is a group's or everybody's.
    pub own: IpAddr,
    /// The interface's number.
    pub interface: u32,
}

/// Control messages: an address, an error with two addresses, and spare.
const CONTROL: usize = 512;

impl Datagram {
    /// Makes errors come with who sent them, and datagrams with the address
    /// they were sent to. An IPv6 socket tells of its IPv4 peers too.
    pub fn tell_all(&self, family: Family) -> io::Result<()> {
        let on = 1_i32.to_ne_bytes();
        let mut options = vec![
            ("IP_RECVERR", libc::SOL_IP, libc::IP_RECVERR),
            ("IP_PKTINFO", libc::SOL_IP, libc::IP_PKTINFO),
        ];
        if family == Family::Ipv6 {
            options = vec![
                ("IPV6_RECVERR", libc::SOL_IPV6, libc::IPV6_RECVERR),
                ("IP_RECVERR", libc::SOL_IP, libc::IP_RECVERR),
                ("IPV6_RECVPKTINFO", libc::SOL_IPV6, libc::IPV6_RECVPKTINFO),
            ];
        }
        options.into_iter().try_for_each(|(name, level, number)| {
            self.set_option(format_args!("{name}, on"), |socket| {
                set_option_bytes(socket.as_fd(), level, number, &on)
            })
        })
    }

    /// `recvmsg(MSG_TRUNC)`: one datagram with its own length, the two ends'
    /// addresses, and those of its bytes that fit; `None` where none waits.
    pub fn recv_message(
        &self,
        buffer: &mut [u8],
    ) -> io::Result<Option<(Received, Option<Arrival>)>> {
        let room = buffer.len();
        let result = self.recorder.call(
            &self.name,
            "recvmsg",
            format_args!("{room}, MSG_TRUNC"),
            || receive(self.as_fd(), buffer),
            |(received, arrival)| {
                let cut = if received.is_truncated() {
                    format!(", cut to {room}")
                } else {
                    String::new()
                };
                let to = arrival.map_or_else(String::new, |to| format!(" to {}", to.address));
                Returned::bytes(received.length)
                    .and(format_args!("from {}{to}{cut}", received.from))
            },
        );
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            result => result.map(Some),
        }
    }

    /// `sendmsg(data)` to `to`, or to the peer that the socket is connected to;
    /// from the given address where there is one.
    pub fn send_message(
        &self,
        data: &[u8],
        to: Option<SocketAddr>,
        from: Option<Arrival>,
    ) -> io::Result<usize> {
        let Some(to) = to else {
            return self.send(data);
        };
        let Some(from) = from else {
            return self.send_to(data, to);
        };
        self.recorder.call(
            &self.name,
            "sendmsg",
            format_args!("{}, {to} from {}", Shown(data), from.own),
            || send_from(self.as_fd(), data, to, from),
            |sent| Returned::bytes(*sent),
        )
    }

    /// `recvmsg(MSG_ERRQUEUE)`: an error, and how many bytes of the datagram that
    /// it is about were written to `buffer`; `None` where none waits.
    pub fn queued_error(&self, buffer: &mut [u8]) -> io::Result<Option<(QueuedError, usize)>> {
        let result = self.recorder.call(
            &self.name,
            "recvmsg",
            "MSG_ERRQUEUE",
            || receive_error(self.as_fd(), buffer),
            |(error, quoted)| {
                Returned::bytes(*quoted).and(format_args!("{:?} {:?}", error.errno, error.origin))
            },
        );
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            result => result.map(Some),
        }
    }

    /// `getsockopt(SO_MEMINFO)`: datagrams that were dropped at this socket since
    /// it was opened, for want of room or with a wrong checksum.
    pub fn dropped(&self) -> io::Result<u64> {
        /// The ninth counter (`SK_MEMINFO_DROPS`, `linux/sock_diag.h`).
        const DROPS: usize = 8;
        let mut counters = [0; 4 * (DROPS + 1)];
        let length = option_bytes(
            self.as_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            &mut counters,
        )?;
        let drops = counters[..length].chunks_exact(4).nth(DROPS);
        let drops = drops.and_then(|bytes| bytes.try_into().ok());
        Ok(drops.map_or(0, u32::from_ne_bytes).into())
    }
}

fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<(Received, Option<Arrival>)> {
    let room = buffer.len();
    let mut control = [0; CONTROL];
    let mut parts = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_TRUNC | MsgFlags::MSG_DONTWAIT;
    let message =
        recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags)?;
    let from = message
        .address
        .as_ref()
        .and_then(internet)
        .ok_or_else(|| io::Error::other("a datagram without an internet address"))?;
    let arrival = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::Ipv4PacketInfo(info) => Some(Arrival {
            address: Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes()).into(),
            own: Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()).into(),
            interface: u32::try_from(info.ipi_ifindex).unwrap_or_default(),
        }),
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(Arrival {
            address: IpAddr::from(info.ipi6_addr.s6_addr).to_canonical(),
            own: IpAddr::from(info.ipi6_addr.s6_addr).to_canonical(),
            interface: info.ipi6_ifindex,
        }),
        _ => None,
    });
    let received = Received {
        bytes: message.bytes.min(room),
        length: message.bytes,
        from,
    };
    Ok((received, arrival))
}

fn send_from(
    socket: BorrowedFd<'_>,
    data: &[u8],
    to: SocketAddr,
    from: Arrival,
) -> io::Result<usize> {
    let parts = [IoSlice::new(data)];
    let flags = MsgFlags::MSG_NOSIGNAL;
    let call = |control: ControlMessage<'_>| {
        let to = SockaddrStorage::from(to);
        sendmsg(socket.as_raw_fd(), &parts, &[control], flags, Some(&to))
    };
    // An interface binds the route; only a link-local address needs one.
    let sent = match (to, from.own) {
        (SocketAddr::V4(_), IpAddr::V4(address)) => {
            let address = libc::in_addr {
                s_addr: u32::from_ne_bytes(address.octets()),
            };
            call(ControlMessage::Ipv4PacketInfo(&libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: address,
                ipi_addr: libc::in_addr { s_addr: 0 },
            }))
        }
        (_, address) => {
            let (address, interface) = match address {
                IpAddr::V4(v4) => (v4.to_ipv6_mapped(), 0),
                IpAddr::V6(v6) if v6.is_unicast_link_local() => (v6, from.interface),
                IpAddr::V6(v6) => (v6, 0),
            };
            call(ControlMessage::Ipv6PacketInfo(&libc::in6_pktinfo {
                ipi6_addr: libc::in6_addr {
                    s6_addr: Ipv6Addr::octets(&address),
                },
                ipi6_ifindex: interface,
            }))
        }
    };
    Ok(sent?)
}

impl Stream {
    /// `recvmsg(MSG_ERRQUEUE)`: an ICMP error that came back for this
    /// connection; `None` where none waits.
    pub fn queued_error(&self) -> io::Result<Option<QueuedError>> {
        let result = self.recorder.call(
            &self.name,
            "recvmsg",
            "MSG_ERRQUEUE",
            || receive_error(self.as_fd(), &mut []),
            |(error, _)| Returned::with(format_args!("{:?} {:?}", error.errno, error.origin)),
        );
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            result => result.map(|(error, _)| Some(error)),
        }
    }
}

fn receive_error(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<(QueuedError, usize)> {
    let mut control = [0; CONTROL];
    let mut parts = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message =
        recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags)?;
    let (error, offender) = message
        .cmsgs()?
        .find_map(|control| match control {
            ControlMessageOwned::Ipv4RecvErr(error, offender) => {
                Some((error, offender.and_then(ipv4)))
            }
            ControlMessageOwned::Ipv6RecvErr(error, offender) => {
                Some((error, offender.and_then(ipv6)))
            }
            _ => None,
        })
        .ok_or_else(|| io::Error::other("an error without its control message"))?;
    let queued = QueuedError {
        target: message.address.as_ref().and_then(internet),
        errno: Errno::from_raw(i32::try_from(error.ee_errno).unwrap_or_default()),
        origin: Origin::of(error.ee_origin, (error.ee_type, error.ee_code), offender),
        info: error.ee_info,
    };
    Ok((queued, message.bytes))
}

fn ipv4(address: libc::sockaddr_in) -> Option<SocketAddr> {
    let known = i32::from(address.sin_family) == libc::AF_INET;
    known.then(|| SockaddrIn::from(address).into())
}

fn ipv6(address: libc::sockaddr_in6) -> Option<SocketAddr> {
    let known = i32::from(address.sin6_family) == libc::AF_INET6;
    known.then(|| SockaddrIn6::from(address).into())
}
