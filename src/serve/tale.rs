//! What is told of a server's clients where somebody listens: who came, each
//! call and each byte, and the kernel's figures when it is over.
//!
//! A [`Watched`] socket is the model's own, read and written as ever. Where
//! nobody listens it has no tale, and costs one branch a call. Decides nothing.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use nix::errno::Errno;

use crate::address::canonical;
use crate::event::{Side, SocketName, Told, Way};
use crate::pipe::{ask_name, figures, say, show, tell};
use crate::recorder::Recorder;
use crate::socket::Stream;

/// Tells of every client of a server.
pub struct Watch {
    recorder: Recorder,
    names: Names,
    /// Clients so far, of all doors.
    count: AtomicU64,
}

/// Whether the names of clients' addresses are looked up, by threads beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// They are.
    Asked,
    /// They are not: a process that forks has one thread.
    Left,
}

impl Watch {
    /// Tells it to this recorder's sink.
    pub fn new(recorder: Recorder, names: Names) -> Self {
        Self {
            recorder,
            names,
            count: AtomicU64::new(0),
        }
    }

    /// A client that was let in; none where its descriptor cannot be shared.
    pub(super) fn begin(&self, socket: BorrowedFd<'_>, peer: SocketAddr) -> Witness {
        let number = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let name = SocketName::from(format!("client {number}"));
        let stream = Stream::sharing(&self.recorder, name, socket).ok()?;
        let peer = canonical(peer);
        if let Ok(local) = stream.local_address() {
            tell(&stream, || Told::Accepted {
                local: canonical(local),
                remote: peer,
            });
        }
        if self.names == Names::Asked {
            ask_name(&self.recorder, peer);
        }
        Some(Box::new(Tale {
            stream: Some(stream),
            since: Instant::now(),
            sent: 0,
            received: 0,
        }))
    }

    /// One that was sent away.
    pub(super) fn reject(&self, peer: SocketAddr, reason: &str) {
        let told = Told::Rejected {
            remote: canonical(peer),
            reason: reason.to_owned(),
        };
        say(&self.recorder, "listener", told);
    }
}

/// What is told of one client, where it is.
pub(super) type Witness = Option<Box<Tale>>;

/// One client, from its coming to its going: dropping it tells that it is over.
pub(super) struct Tale {
    /// The client's socket by a descriptor of its own.
    stream: Option<Stream>,
    since: Instant,
    sent: u64,
    received: u64,
}

impl Tale {
    /// It is told by somebody else: another process.
    pub(super) fn disown(&mut self) {
        self.stream = None;
    }

    /// Bytes came from the client; none is its end.
    pub(super) fn heard(&mut self, bytes: &[u8]) {
        let Some(stream) = &self.stream else {
            return;
        };
        if bytes.is_empty() {
            let (by, bytes) = (Side::Peer, self.received);
            tell(stream, || Told::Ended { by, bytes });
            return;
        }
        show(stream, Way::Received, self.received, bytes);
        self.received += bytes.len() as u64;
    }

    /// Bytes were handed to the kernel for the client.
    pub(super) fn said(&mut self, bytes: &[u8]) {
        if let Some(stream) = &self.stream {
            show(stream, Way::Sent, self.sent, bytes);
            self.sent += bytes.len() as u64;
        }
    }

    /// A call failed.
    pub(super) fn failed(&self, error: &io::Error) {
        let errno = error.raw_os_error().map(Errno::from_raw);
        if let (Some(stream), Some(Errno::ECONNRESET | Errno::EPIPE)) = (&self.stream, errno) {
            tell(stream, || Told::Reset { by: Side::Peer });
        }
    }

    fn recv(&mut self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        let received = self.stream.as_ref()?.recv(buffer);
        match &received {
            Ok(count) => self.heard(&buffer[..*count]),
            Err(error) => self.failed(error),
        }
        Some(received)
    }

    fn send(&mut self, data: &[u8]) -> Option<io::Result<usize>> {
        let sent = self.stream.as_ref()?.send(data);
        match &sent {
            Ok(count) => self.said(&data[..*count]),
            Err(error) => self.failed(error),
        }
        Some(sent)
    }
}

impl Drop for Tale {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take() {
            tell(&stream, || {
                let moved = (self.sent, self.received);
                let lasted = self.since.elapsed();
                Told::Over(Box::new(figures(&stream, lasted, moved)))
            });
            // Nothing is left to be done about a failure.
            let _ = stream.close();
        }
    }
}

/// A client's socket, and what is told of it.
pub(super) struct Watched<S> {
    pub(super) socket: S,
    pub(super) tale: Witness,
}

impl<S: Read> Read for Watched<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let told = self.tale.as_mut().and_then(|tale| tale.recv(buffer));
        told.unwrap_or_else(|| self.socket.read(buffer))
    }
}

impl<S: Write> Write for Watched<S> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let told = self.tale.as_mut().and_then(|tale| tale.send(data));
        told.unwrap_or_else(|| self.socket.write(data))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

impl<S: AsFd> AsFd for Watched<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
