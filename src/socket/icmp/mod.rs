//! ICMP and ICMPv6 sockets, raw and datagram, and their error queue
//! (`raw(7)`, `icmp(7)`, `ip(7)`, `ipv6(7)`, `recvmsg(2)`).
//!
//! Owns the filter, the time to live of what arrives, and the decoding of
//! queued errors. Never reads an ICMP message and never blocks: every call has
//! `MSG_DONTWAIT`. A kernel-edge file: it may use `unsafe`.
#![allow(unsafe_code)]

mod batch;
mod identifiers;
mod options;
mod path_mtu;

use std::hash::{BuildHasher, RandomState};
use std::io::{self, IoSliceMut};
use std::mem::size_of_val;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::AtomicU32;

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, RecvMsg, SockaddrIn, SockaddrIn6, SockaddrStorage, recvmsg,
    setsockopt, sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;

use super::kernel::set_option_bytes;
use crate::event::EchoSocket;
use crate::flow::Family;

pub use batch::{Incoming, Outgoing, Received};
pub use identifiers::{Identifiers, Token};
pub use options::{IpOptions, OptionError, Options, PathMtu};

/// `ICMP_FILTER` and `ICMP6_FILTER`: the same number at two levels.
const FILTER: libc::c_int = 1;
const ECHO_REPLY: u32 = 0;
const ECHO_REPLY_V6: usize = 129;
/// Room for some thousand small replies; the kernel grants what it allows.
const RECEIVE_BUFFER: usize = 1 << 20;
/// Control messages: a time to live, an error with two addresses, and spare.
const CONTROL: usize = 512;

/// A socket that sends echo requests and receives the replies to them.
#[derive(Debug)]
pub struct IcmpSocket {
    socket: Socket,
    family: Family,
    kind: EchoSocket,
    identifiers: Identifiers,
    /// 0: none.
    flow_label: AtomicU32,
}

/// Why no ICMP socket could be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Neither kind of socket is allowed.
    #[error("SOCK_RAW: {raw}, SOCK_DGRAM: {datagram}")]
    Forbidden {
        /// What `SOCK_RAW` gave.
        raw: io::Error,
        /// What `SOCK_DGRAM` gave.
        datagram: io::Error,
    },
    /// A call failed for another reason.
    #[error("{call}: {cause}")]
    Call {
        /// The system call with its arguments.
        call: &'static str,
        /// What it gave.
        cause: io::Error,
    },
}

/// An error from a socket's queue (`IP_RECVERR`, `IPV6_RECVERR`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueuedError {
    /// Bytes of the offending message, from its ICMP header on, that were
    /// written to the caller's buffer.
    pub quoted: usize,
    /// Where that message was going.
    pub target: Option<SocketAddr>,
    /// The errno the error amounts to.
    pub errno: Errno,
    /// Where the error comes from.
    pub origin: Origin,
    /// An MTU in bytes or a pointer, with the errors that have one.
    pub info: u32,
}

/// Where a queued error comes from (`ee_origin`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// This host's kernel.
    Local,
    /// An ICMP or ICMPv6 message.
    Icmp {
        /// Who sent it.
        offender: Option<SocketAddr>,
        /// Its type.
        icmp_type: u8,
        /// Its code.
        icmp_code: u8,
    },
    /// Something else, by number.
    Unknown(u8),
}

impl IcmpSocket {
    /// Opens a raw socket or, where that is not allowed, a datagram socket
    /// (`socket(2)`), set up so that only echo replies and errors arrive.
    pub fn open(family: Family) -> Result<Self, OpenError> {
        let raw = match Self::open_kind(family, EchoSocket::Raw) {
            Err(OpenError::Call { cause, .. }) if is_refusal(&cause) => cause,
            done => return done,
        };
        match Self::open_kind(family, EchoSocket::Datagram) {
            Err(OpenError::Call { cause, .. }) if is_refusal(&cause) => Err(OpenError::Forbidden {
                raw,
                datagram: cause,
            }),
            done => done,
        }
    }

    /// Opens a socket of this kind.
    pub fn open_kind(family: Family, kind: EchoSocket) -> Result<Self, OpenError> {
        let failed = |call| move |cause| OpenError::Call { call, cause };
        let (domain, protocol) = match family {
            Family::Ipv4 => (Domain::IPV4, Protocol::ICMPV4),
            Family::Ipv6 => (Domain::IPV6, Protocol::ICMPV6),
        };
        let (socket_type, call) = match kind {
            EchoSocket::Raw => (Type::RAW, "socket(SOCK_RAW)"),
            EchoSocket::Datagram => (Type::DGRAM, "socket(SOCK_DGRAM)"),
        };
        let socket = Socket::new(domain, socket_type, Some(protocol)).map_err(failed(call))?;
        if kind == EchoSocket::Raw {
            filter(&socket, family).map_err(failed("setsockopt(ICMP_FILTER)"))?;
        }
        report_errors(&socket, family).map_err(failed("setsockopt(IP_RECVERR)"))?;
        // A raw IPv4 socket hands out the whole header.
        if (kind, family) != (EchoSocket::Raw, Family::Ipv4) {
            report_header(&socket, family).map_err(failed("setsockopt(IP_RECVTTL)"))?;
        }
        // A smaller buffer only loses replies in a flood.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
        // Without them, a reply's time is that of the call that takes it.
        let _ = stamp_arrivals(&socket);
        let identifiers = match kind {
            EchoSocket::Raw => Identifiers::around(random_bits(), Identifiers::RAW_BITS),
            EchoSocket::Datagram => {
                let bound = kernel_identifier(&socket, family).map_err(failed("bind"))?;
                Identifiers::around(bound, 0)
            }
        };
        Ok(Self {
            socket,
            family,
            kind,
            identifiers,
            flow_label: AtomicU32::new(0),
        })
    }

    /// The protocol.
    pub fn family(&self) -> Family {
        self.family
    }

    /// The kind of socket it became.
    pub fn kind(&self) -> EchoSocket {
        self.kind
    }

    /// The ICMP identifiers to send with: a random block on a raw socket, on a
    /// datagram socket the one that the kernel writes into each request.
    pub fn identifiers(&self) -> Identifiers {
        self.identifiers
    }

    /// Takes an error from the socket's queue (`recvmsg(2)` with
    /// `MSG_ERRQUEUE`); `None` if none is there.
    pub fn receive_error(&self, buffer: &mut [u8]) -> io::Result<Option<QueuedError>> {
        let mut control = [0; CONTROL];
        let mut slices = [IoSliceMut::new(buffer)];
        let flags = MsgFlags::MSG_ERRQUEUE;
        let Some(message) = self.recvmsg(&mut slices, &mut control, flags)? else {
            return Ok(None);
        };
        let (error, offender) = message
            .cmsgs()?
            .find_map(|control| match control {
                ControlMessageOwned::Ipv4RecvErr(error, offender) => {
                    Some((error, offender.and_then(ipv4_address)))
                }
                ControlMessageOwned::Ipv6RecvErr(error, offender) => {
                    Some((error, offender.and_then(ipv6_address)))
                }
                _ => None,
            })
            .ok_or_else(|| io::Error::other("an error without its control message"))?;
        Ok(Some(QueuedError {
            quoted: message.bytes,
            target: message.address.as_ref().and_then(socket_address),
            errno: Errno::from_raw(i32::try_from(error.ee_errno).unwrap_or_default()),
            origin: match error.ee_origin {
                libc::SO_EE_ORIGIN_LOCAL => Origin::Local,
                libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6 => Origin::Icmp {
                    offender,
                    icmp_type: error.ee_type,
                    icmp_code: error.ee_code,
                },
                other => Origin::Unknown(other),
            },
            info: error.ee_info,
        }))
    }

    fn recvmsg<'a, 'outer, 'inner>(
        &self,
        slices: &'outer mut [IoSliceMut<'inner>],
        control: &'a mut [u8],
        flags: MsgFlags,
    ) -> io::Result<Option<RecvMsg<'a, 'outer, SockaddrStorage>>>
    where
        'inner: 'outer,
    {
        let flags = flags | MsgFlags::MSG_DONTWAIT;
        match recvmsg(self.socket.as_raw_fd(), slices, Some(control), flags) {
            Ok(message) => Ok(Some(message)),
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl AsFd for IcmpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn is_refusal(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

/// Lets only echo replies in: a set bit keeps that type out. Errors come by
/// the error queue, which this does not touch.
fn filter(socket: &Socket, family: Family) -> io::Result<()> {
    match family {
        Family::Ipv4 => {
            let kept_out: u32 = !(1 << ECHO_REPLY);
            set_filter(socket, libc::SOL_RAW, &kept_out)
        }
        Family::Ipv6 => {
            let mut kept_out = [u32::MAX; 8];
            kept_out[ECHO_REPLY_V6 / 32] &= !(1 << (ECHO_REPLY_V6 % 32));
            set_filter(socket, libc::IPPROTO_ICMPV6, &kept_out)
        }
    }
}

fn set_filter<T: Copy>(socket: &Socket, level: libc::c_int, filter: &T) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of_val(filter)).map_err(io::Error::other)?;
    // SAFETY: the pointer and the length describe `filter`, which outlives the
    // call; the kernel only reads it. The descriptor is open: we borrow its
    // owner.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            FILTER,
            std::ptr::from_ref(filter).cast(),
            length,
        )
    };
    Errno::result(result).map(drop).map_err(Into::into)
}

fn report_errors(socket: &Socket, family: Family) -> io::Result<()> {
    match family {
        Family::Ipv4 => setsockopt(socket, sockopt::Ipv4RecvErr, &true)?,
        Family::Ipv6 => setsockopt(socket, sockopt::Ipv6RecvErr, &true)?,
    }
    Ok(())
}

/// Time to live and class of service come with each message.
fn report_header(socket: &Socket, family: Family) -> io::Result<()> {
    match family {
        Family::Ipv4 => {
            setsockopt(socket, sockopt::Ipv4RecvTtl, &true)?;
            socket.set_recv_tos_v4(true)
        }
        Family::Ipv6 => {
            setsockopt(socket, sockopt::Ipv6RecvHopLimit, &true)?;
            socket.set_recv_tclass_v6(true)
        }
    }
}

/// `SO_TIMESTAMPING`: the kernel's own time of each arrival comes with it.
fn stamp_arrivals(socket: &Socket) -> io::Result<()> {
    let flags = libc::SOF_TIMESTAMPING_RX_SOFTWARE | libc::SOF_TIMESTAMPING_SOFTWARE;
    let level = libc::SOL_SOCKET;
    set_option_bytes(
        socket.as_fd(),
        level,
        libc::SO_TIMESTAMPING,
        &flags.to_ne_bytes(),
    )
}

/// Random rather than the process's number, which is 1 in every container.
#[expect(clippy::cast_possible_truncation, reason = "any 16 bits will do")]
fn random_bits() -> u16 {
    RandomState::new().hash_one(std::process::id()) as u16
}

/// Undoes `bind(2)` on a datagram socket, and with it what it was bound to:
/// address, identifier, interface (`connect(2)` to `AF_UNSPEC`).
fn disconnect(socket: &Socket) -> io::Result<()> {
    let nowhere = SockaddrIn::new(0, 0, 0, 0, 0);
    let mut address: libc::sockaddr_in = *nowhere.as_ref();
    address.sin_family = u16::try_from(libc::AF_UNSPEC).unwrap_or_default();
    let length = libc::socklen_t::try_from(size_of_val(&address)).map_err(io::Error::other)?;
    // SAFETY: the pointer and the length describe `address`, which outlives
    // the call; the kernel only reads it.
    let result = unsafe { libc::connect(socket.as_raw_fd(), (&raw const address).cast(), length) };
    Errno::result(result).map(drop).map_err(Into::into)
}

/// `bind(2)` to port 0 makes the kernel choose; `getsockname(2)` tells.
fn kernel_identifier(socket: &Socket, family: Family) -> io::Result<u16> {
    let any: IpAddr = match family {
        Family::Ipv4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::Ipv6 => Ipv6Addr::UNSPECIFIED.into(),
    };
    socket.bind(&SocketAddr::from((any, 0)).into())?;
    let bound = socket.local_addr()?.as_socket();
    Ok(bound.map_or(0, |address| address.port()))
}

fn socket_address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let ipv4 = storage.as_sockaddr_in().copied().map(SocketAddr::from);
    ipv4.or_else(|| storage.as_sockaddr_in6().copied().map(SocketAddr::from))
}

fn ipv4_address(address: libc::sockaddr_in) -> Option<SocketAddr> {
    let known = i32::from(address.sin_family) == libc::AF_INET;
    known.then(|| SockaddrIn::from(address).into())
}

fn ipv6_address(address: libc::sockaddr_in6) -> Option<SocketAddr> {
    let known = i32::from(address.sin6_family) == libc::AF_INET6;
    known.then(|| SockaddrIn6::from(address).into())
}
