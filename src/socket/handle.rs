//! One open socket with its name and its recorder: the calls that every kind
//! of socket has (socket(2), bind(2), getsockname(2), setsockopt(2), close(2)).
//!
//! Owns how arguments and results are written down; never decides anything.

use std::fmt::{self, Display};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::event::SocketName;
use crate::recorder::{Recorder, Returned};

/// An open socket whose every call is recorded.
pub struct Handle {
    pub(super) socket: Socket,
    pub(super) name: SocketName,
    pub(super) recorder: Recorder,
}

impl Handle {
    /// `socket(domain, kind, protocol)` in the calling thread's namespace.
    pub fn open(
        recorder: &Recorder,
        name: impl Into<SocketName>,
        domain: Domain,
        (kind, protocol): (Type, Option<Protocol>),
    ) -> io::Result<Self> {
        let name = name.into();
        let socket = recorder.call(
            &name,
            "socket",
            format_args!("{}", described(domain, kind, protocol)),
            || Socket::new(domain, kind, protocol),
            |_| Returned::ZERO.and(&name),
        )?;
        Ok(Self {
            socket,
            name,
            recorder: recorder.clone(),
        })
    }

    /// `bind(address)`.
    pub fn bind(&self, address: SocketAddr) -> io::Result<()> {
        self.call("bind", address, || self.socket.bind(&address.into()))
    }

    /// `connect(address)`.
    pub fn connect(&self, address: SocketAddr) -> io::Result<()> {
        self.call("connect", address, || self.socket.connect(&address.into()))
    }

    /// `getsockname()`: this end's address.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.recorder.call(
            &self.name,
            "getsockname",
            "",
            || internet(&self.socket.local_addr()?),
            |address| Returned::with(address),
        )
    }

    /// `getpeername()`: the other end's address.
    pub fn peer_address(&self) -> io::Result<SocketAddr> {
        self.recorder.call(
            &self.name,
            "getpeername",
            "",
            || internet(&self.socket.peer_addr()?),
            |address| Returned::with(address),
        )
    }

    /// `setsockopt(option)`: `set` makes the call, `option` says it.
    pub fn set_option(
        &self,
        option: impl Display,
        set: impl FnOnce(&Socket) -> io::Result<()>,
    ) -> io::Result<()> {
        self.call("setsockopt", option, || set(&self.socket))
    }

    /// `fcntl(F_SETFL)`: whether calls fail with EAGAIN rather than wait.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        let flags = if nonblocking { "O_NONBLOCK" } else { "0" };
        self.call("fcntl", format_args!("F_SETFL, {flags}"), || {
            self.socket.set_nonblocking(nonblocking)
        })
    }

    /// The recorder of its calls.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// `setsockopt(SO_RCVTIMEO)`: how long a receive waits before EAGAIN.
    pub fn set_receive_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.set_option(format_args!("SO_RCVTIMEO, {timeout:?}"), |socket| {
            socket.set_read_timeout(Some(timeout))
        })
    }

    /// `setsockopt(SO_SNDTIMEO)`: how long a send waits before EAGAIN.
    pub fn set_send_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.set_option(format_args!("SO_SNDTIMEO, {timeout:?}"), |socket| {
            socket.set_write_timeout(Some(timeout))
        })
    }

    /// `send(data)` on a connected socket.
    pub fn send(&self, data: &[u8]) -> io::Result<usize> {
        self.recorder.call(
            &self.name,
            "send",
            Shown(data),
            || self.socket.send_with_flags(data, nix::libc::MSG_NOSIGNAL),
            |sent| Returned::bytes(*sent),
        )
    }

    /// `close()`, recorded; dropping the handle closes it unrecorded.
    pub fn close(self) -> io::Result<()> {
        let Self {
            socket,
            name,
            recorder,
        } = self;
        recorder.call(
            &name,
            "close",
            "",
            || {
                drop(socket);
                Ok(())
            },
            |()| Returned::ZERO,
        )
    }

    /// Its name in this run.
    pub fn name(&self) -> &SocketName {
        &self.name
    }

    pub(super) fn call(
        &self,
        name: &'static str,
        arguments: impl Display,
        run: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        self.recorder
            .call(&self.name, name, arguments, run, |()| Returned::ZERO)
    }
}

impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Handle {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

pub(super) fn internet(address: &SockAddr) -> io::Result<SocketAddr> {
    address
        .as_socket()
        .ok_or_else(|| io::Error::other("not an internet address"))
}

/// The address family of an address, as `socket(2)` takes it.
pub(super) fn domain(address: SocketAddr) -> Domain {
    Domain::for_address(address)
}

fn described(domain: Domain, kind: Type, protocol: Option<Protocol>) -> String {
    let family = if domain == Domain::IPV6 {
        "AF_INET6"
    } else {
        "AF_INET"
    };
    let kind = match kind {
        Type::STREAM => "SOCK_STREAM",
        kind if kind == Type::STREAM.nonblocking() => "SOCK_STREAM | SOCK_NONBLOCK",
        Type::DGRAM => "SOCK_DGRAM",
        _ => "SOCK_RAW",
    };
    match protocol {
        Some(Protocol::ICMPV4) => format!("{family}, {kind}, ICMP"),
        Some(Protocol::ICMPV6) => format!("{family}, {kind}, ICMPV6"),
        Some(other) => format!("{family}, {kind}, {}", i32::from(other)),
        None => format!("{family}, {kind}"),
    }
}

/// Data as a call's argument: short text quoted, anything else by its length.
pub(super) struct Shown<'a>(pub &'a [u8]);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 24;
        match std::str::from_utf8(self.0) {
            Ok(text)
                if !text.is_empty()
                    && text.chars().count() <= LONGEST
                    && !text.chars().any(char::is_control) =>
            {
                write!(f, "{text:?}")
            }
            _ if self.0.len() == 1 => f.write_str("1 byte"),
            _ => write!(f, "{} bytes", self.0.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_quoted_where_it_is_short_text() {
        assert_eq!(Shown(b"hello").to_string(), "\"hello\"");
        assert_eq!(Shown("héllo ✓".as_bytes()).to_string(), "\"héllo ✓\"");
        assert_eq!(Shown(b"").to_string(), "0 bytes");
        assert_eq!(Shown(b"\x1b").to_string(), "1 byte");
        assert_eq!(Shown(&[b'x'; 4000]).to_string(), "4000 bytes");
    }
}
