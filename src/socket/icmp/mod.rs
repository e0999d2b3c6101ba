//! ICMP and ICMPv6 sockets, raw and datagram, and their error queue
//! (`raw(7)`, `icmp(7)`, `ip(7)`, `ipv6(7)`, `recvmsg(2)`).
//!
//! Owns how a socket is opened: its identifiers, and what comes along with each
//! arrival. Never reads an ICMP message and never blocks: every call has
//! `MSG_DONTWAIT`. A kernel-edge file: it may use `unsafe`.
#![allow(unsafe_code)]

mod admit;
mod batch;
mod control;
mod identifiers;
mod options;
mod path_mtu;
mod queue;

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::mem::size_of_val;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{SockaddrIn, setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;

use super::kernel::set_option_bytes;
use crate::event::EchoSocket;
use crate::flow::Family;

pub use admit::{Sorting, admit_identifiers, admit_types};
pub use batch::{Incoming, Outgoing, Received};
pub use identifiers::{Identifiers, Token};
pub use options::{IpOptions, OptionError, Options, PathMtu};
pub use queue::{Origin, Queued, QueuedError};

/// Room for some thousand small replies; the kernel grants what it allows.
const RECEIVE_BUFFER: usize = 1 << 20;
/// A socket that sends echo requests and receives the replies to them.
#[derive(Debug)]
pub struct IcmpSocket {
    socket: Socket,
    family: Family,
    kind: EchoSocket,
    identifiers: Identifiers,
    /// 0: none.
    flow_label: AtomicU32,
    departures: AtomicBool,
    errors: AtomicBool,
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
        report_errors(&socket, family).map_err(failed("setsockopt(IP_RECVERR)"))?;
        // A raw IPv4 socket hands out the whole header.
        if (kind, family) != (EchoSocket::Raw, Family::Ipv4) {
            report_header(&socket, family).map_err(failed("setsockopt(IP_RECVTTL)"))?;
        }
        // A smaller buffer only loses replies in a flood.
        if setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
            let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
        }
        // Without them, a reply's time is that of the call that takes it.
        let _ = setsockopt(&socket, sockopt::ReceiveTimestampns, &true);
        let identifiers = match kind {
            EchoSocket::Raw => {
                let ours = Identifiers::around(random_bits(), Identifiers::RAW_BITS);
                admit::admit(&socket, family, ours).map_err(failed("setsockopt(ICMP_FILTER)"))?;
                ours
            }
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
            departures: AtomicBool::new(false),
            errors: AtomicBool::new(false),
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

    /// Makes the kernel tell when each request left this host, as
    /// [`Queued::Departure`]s in the error queue (`SO_TIMESTAMPING`).
    pub fn stamp_departures(&self) -> io::Result<()> {
        // The packet comes back along with its stamp: a request is known by its
        // own identifier and sequence number, so that no count of sends, which
        // failed ones may or may not advance, has to be kept in step.
        let flags = libc::SOF_TIMESTAMPING_TX_SOFTWARE | libc::SOF_TIMESTAMPING_SOFTWARE;
        stamp(&self.socket, flags)?;
        self.departures.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Whether [`IcmpSocket::stamp_departures`] was called.
    pub fn is_stamping_departures(&self) -> bool {
        self.departures.load(Ordering::Relaxed)
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

fn stamp(socket: &Socket, flags: u32) -> io::Result<()> {
    let option = libc::SO_TIMESTAMPING;
    set_option_bytes(
        socket.as_fd(),
        libc::SOL_SOCKET,
        option,
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
pub(crate) fn disconnect(socket: &Socket) -> io::Result<()> {
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
