//! Stream sockets: listen(2), accept(2), connect(2), shutdown(2), recv(2)
//! (tcp(7), RFC 9293).
//!
//! A listening socket and a connected one are two types, as they are two
//! sockets.

use std::io::{self, Read};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr};
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use socket2::{Socket, Type};

use super::handle::{Handle, Shown, domain, internet};
use super::kernel::accept_nonblocking;
use super::tcp_info::TcpInfo;
use crate::event::{SocketName, StateChange, Topic, What};
use crate::flow::{FiveTuple, Kind, TcpState};
use crate::recorder::{Recorder, Returned};

/// A socket that waits for connections; no data ever travels on it.
pub struct Listener(Handle);

impl Listener {
    /// `socket(SOCK_STREAM)` for addresses like `address`, not yet bound.
    pub fn open(
        recorder: &Recorder,
        name: impl Into<SocketName>,
        address: SocketAddr,
    ) -> io::Result<Self> {
        Handle::open(recorder, name, domain(address), (Type::STREAM, None)).map(Self)
    }

    /// `listen(backlog)`: at most `backlog` connections wait to be accepted.
    ///
    /// Records the state that `TCP_INFO` gives afterwards: LISTEN.
    pub fn listen(&self, backlog: i32) -> io::Result<()> {
        self.call("listen", backlog, || self.socket.listen(backlog))?;
        if self.recorder.wants(Topic::State) {
            let local = internet(&self.socket.local_addr()?)?;
            let change = StateChange {
                connection: FiveTuple {
                    protocol: Kind::Tcp,
                    local,
                    remote: unspecified(local),
                },
                from: TcpState::Closed,
                to: TcpInfo::of(self.as_fd())?.state,
            };
            let now = self.recorder.clock().now();
            self.recorder.record(now, What::State(change));
        }
        Ok(())
    }

    /// `accept()`: the next established connection as a new socket, and its
    /// peer's address.
    pub fn accept(&self, name: impl Into<SocketName>) -> io::Result<(Stream, SocketAddr)> {
        let name = name.into();
        let (socket, peer) = self.recorder.call(
            &self.name,
            "accept",
            "",
            || {
                let (socket, peer) = self.socket.accept()?;
                Ok((socket, internet(&peer)?))
            },
            |(_, peer)| Returned::with(format_args!("{name}, {peer}")),
        )?;
        let recorder = self.recorder.clone();
        Ok((Stream::accepted(socket, name, recorder), peer))
    }

    /// `accept4(SOCK_NONBLOCK)`: the same, as a socket that never blocks and whose
    /// calls `recorder` records.
    pub fn accept_nonblocking(
        &self,
        name: impl Into<SocketName>,
        recorder: &Recorder,
    ) -> io::Result<(Stream, SocketAddr)> {
        let name = name.into();
        let (socket, peer) = self.recorder.call(
            &self.name,
            "accept4",
            "",
            || {
                let (socket, peer) = accept_nonblocking(self.as_fd())?;
                Ok((socket.into(), internet(&peer)?))
            },
            |(_, peer)| Returned::with(format_args!("{name}, {peer}")),
        )?;
        Ok((Stream::accepted(socket, name, recorder.clone()), peer))
    }

    /// `close()`.
    pub fn close(self) -> io::Result<()> {
        self.0.close()
    }

    /// The socket itself, for whoever accepts in a manner of its own.
    pub fn into_inner(self) -> std::net::TcpListener {
        self.0.socket.into()
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Deref for Listener {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.0
    }
}

/// What a listening socket has for a peer.
fn unspecified(like: SocketAddr) -> SocketAddr {
    match like {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

/// A socket that is, or is about to be, one end of a connection.
pub struct Stream {
    handle: Handle,
    opening: Opening,
}

/// Which end a socket is of its connection (RFC 9293 section 3.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opening {
    /// It connects.
    Active,
    /// It was accepted.
    Passive,
}

impl Stream {
    /// `socket(SOCK_STREAM)` for addresses like `address`, not yet connected.
    pub fn open(
        recorder: &Recorder,
        name: impl Into<SocketName>,
        address: SocketAddr,
    ) -> io::Result<Self> {
        let handle = Handle::open(recorder, name, domain(address), (Type::STREAM, None))?;
        let opening = Opening::Active;
        Ok(Self { handle, opening })
    }

    /// The same, as a socket that never blocks (`SOCK_NONBLOCK`).
    pub fn open_nonblocking(
        recorder: &Recorder,
        name: impl Into<SocketName>,
        address: SocketAddr,
    ) -> io::Result<Self> {
        let kind = Type::STREAM.nonblocking();
        let handle = Handle::open(recorder, name, domain(address), (kind, None))?;
        let opening = Opening::Active;
        Ok(Self { handle, opening })
    }

    fn accepted(socket: Socket, name: SocketName, recorder: Recorder) -> Self {
        let handle = Handle {
            socket,
            name,
            recorder,
        };
        let opening = Opening::Passive;
        Self { handle, opening }
    }

    /// A connection that somebody else accepted and has a descriptor of, by one of
    /// its own (dup(2)): for whoever records calls that another may make as well.
    pub fn sharing(
        recorder: &Recorder,
        name: impl Into<SocketName>,
        socket: BorrowedFd<'_>,
    ) -> io::Result<Self> {
        let handle = Handle {
            socket: socket.try_clone_to_owned()?.into(),
            name: name.into(),
            recorder: recorder.clone(),
        };
        let opening = Opening::Passive;
        Ok(Self { handle, opening })
    }

    /// `recv(buffer)`: as many bytes as have arrived, at most the buffer's
    /// length; 0 at the end of the stream.
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len();
        let received = self.recorder.call(
            &self.name,
            "recv",
            length,
            move || {
                let count = (&self.socket).read(buffer)?;
                Ok(&buffer[..count])
            },
            |data| match data.len() {
                0 => Returned::with("end of stream"),
                count => Returned::bytes(count).and(Shown(data)),
            },
        )?;
        Ok(received.len())
    }

    /// `shutdown(how)`: half-close.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let name = match how {
            Shutdown::Read => "SHUT_RD",
            Shutdown::Write => "SHUT_WR",
            Shutdown::Both => "SHUT_RDWR",
        };
        self.call("shutdown", name, || self.socket.shutdown(how))
    }

    /// `getsockopt(SO_ERROR)`: what an attempt to connect came to, or what the
    /// network said since; the kernel forgets it thereby.
    pub fn pending_error(&self) -> io::Result<()> {
        self.call("getsockopt", "SO_ERROR", || {
            self.socket.take_error()?.map_or(Ok(()), Err)
        })
    }

    /// `getsockopt(TCP_INFO)`: what the kernel knows of this connection.
    pub fn info(&self) -> io::Result<TcpInfo> {
        TcpInfo::of(self.handle.as_fd())
    }

    /// Bytes that the peer's kernel has acknowledged, and perhaps a FIN, where the
    /// kernel tells: of who connected it counts the SYN too, of who accepted it
    /// does not.
    pub fn acknowledged(&self, info: &TcpInfo) -> Option<u64> {
        let syn = u64::from(self.opening == Opening::Active);
        info.bytes_acked.map(|bytes| bytes.saturating_sub(syn))
    }

    /// `close()`.
    pub fn close(self) -> io::Result<()> {
        self.handle.close()
    }
}

impl AsRawFd for Stream {
    fn as_raw_fd(&self) -> RawFd {
        self.handle.as_raw_fd()
    }
}

impl Deref for Stream {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}
