//! Datagram sockets: sendto(2), recvfrom(2) with `MSG_TRUNC` (udp(7), RFC 768).
//!
//! Each call sends or receives exactly one datagram, an empty one included.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::sys::socket::{MsgFlags, SockaddrStorage, recvmsg};
use socket2::{Protocol, Type};

use super::handle::{Handle, Shown, domain};
use crate::event::SocketName;
use crate::recorder::{Recorder, Returned};

/// A socket for datagrams.
pub struct Datagram(pub(super) Handle);

/// One datagram as the program got it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Bytes in the buffer.
    pub bytes: usize,
    /// Bytes that arrived (`MSG_TRUNC`); more than `bytes` where the buffer was
    /// too short and the tail is gone.
    pub length: usize,
    /// Who sent it.
    pub from: SocketAddr,
}

impl Received {
    /// Whether the datagram lost its tail.
    pub fn is_truncated(&self) -> bool {
        self.length > self.bytes
    }
}

impl Datagram {
    /// `socket(SOCK_DGRAM)` for addresses like `address`, not yet bound.
    pub fn open(
        recorder: &Recorder,
        name: impl Into<SocketName>,
        address: SocketAddr,
    ) -> io::Result<Self> {
        Handle::open(recorder, name, domain(address), (Type::DGRAM, None)).map(Self)
    }

    /// `socket(SOCK_DGRAM, ICMP or ICMPv6)` for addresses like `address`: echo
    /// requests and replies whose identifier the kernel writes, that of
    /// `bind()` (icmp(7)).
    pub fn open_icmp(
        recorder: &Recorder,
        name: impl Into<SocketName>,
        address: SocketAddr,
    ) -> io::Result<Self> {
        let protocol = match address {
            SocketAddr::V4(_) => Protocol::ICMPV4,
            SocketAddr::V6(_) => Protocol::ICMPV6,
        };
        let kind = (Type::DGRAM, Some(protocol));
        Handle::open(recorder, name, domain(address), kind).map(Self)
    }

    /// `sendto(data, address)`.
    pub fn send_to(&self, data: &[u8], address: SocketAddr) -> io::Result<usize> {
        self.recorder.call(
            &self.name,
            "sendto",
            format_args!("{}, {address}", Shown(data)),
            || self.socket.send_to(data, &address.into()),
            |sent| Returned::bytes(*sent),
        )
    }

    /// `recvfrom(buffer, MSG_TRUNC)`: one datagram. A longer one is cut to the
    /// buffer, and its true length is returned beside what fitted.
    pub fn recv_from(&self, buffer: &mut [u8]) -> io::Result<Received> {
        self.recorder
            .call(
                &self.name,
                "recvfrom",
                format_args!("{}, MSG_TRUNC", buffer.len()),
                move || receive(self.as_fd(), buffer),
                |(received, data)| {
                    let cut = if received.is_truncated() {
                        format!(", cut to {}", received.bytes)
                    } else {
                        String::new()
                    };
                    Returned::bytes(received.length).and(format_args!(
                        "{} from {}{cut}",
                        Shown(data),
                        received.from
                    ))
                },
            )
            .map(|(received, _)| received)
    }

    /// `getsockopt(SO_ERROR)`: the error that waits on this socket, which the
    /// call also clears; recorded as what it returned.
    pub fn pending_error(&self) -> io::Result<Option<io::Error>> {
        self.recorder.call(
            &self.name,
            "getsockopt",
            "SO_ERROR",
            || self.socket.take_error(),
            |error| match error {
                Some(error) => Returned::with(crate::error::errno_name(error)),
                None => Returned::with("no error"),
            },
        )
    }

    /// `close()`.
    pub fn close(self) -> io::Result<()> {
        self.0.close()
    }
}

impl Deref for Datagram {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.0
    }
}

fn receive<'a>(socket: BorrowedFd<'_>, buffer: &'a mut [u8]) -> io::Result<(Received, &'a [u8])> {
    let mut parts = [IoSliceMut::new(buffer)];
    let message =
        recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, None, MsgFlags::MSG_TRUNC)?;
    let length = message.bytes;
    let from = message
        .address
        .as_ref()
        .and_then(internet)
        .ok_or_else(|| io::Error::other("a datagram without an internet address"))?;
    let bytes = length.min(buffer.len());
    let received = Received {
        bytes,
        length,
        from,
    };
    Ok((received, &buffer[..bytes]))
}

pub(super) fn internet(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address
        .as_sockaddr_in()
        .map(|v4| SocketAddr::V4((*v4).into()));
    v4.or_else(|| {
        address
            .as_sockaddr_in6()
            .map(|v6| SocketAddr::V6((*v6).into()))
    })
}
