//! Echo requests out, and what comes back to them in: one socket a family, many
//! messages a system call.
//!
//! Owns the check that an arrival is ours: type, identifier, and for errors the
//! quoted request. What does not pass leaves no trace. Owns no policy: when to
//! send and what counts is its caller's. Never waits but in [`Exchange::wait`],
//! and never reads a reply's payload.

mod arrival;
mod clock;
mod port;
pub mod quote;

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use self::port::Port;
use crate::error::Error;
use crate::flow::Family;
use crate::socket::icmp::{IcmpSocket, Sorting, Token};

pub use arrival::{Arrival, Departed, IcmpError, LocalError, RawError, Redirect, Reply};
pub use clock::Times;

/// Messages in one system call.
pub const BATCH: usize = 64;

/// A request to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Identifier and sequence number.
    pub token: Token,
    /// Whom.
    pub to: SocketAddr,
    /// A time to live or hop limit other than the socket's.
    pub ttl: Option<u8>,
    /// Bytes after the ICMP header; at most those of the exchange's payload.
    pub payload_bytes: usize,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sending {
    /// The kernel took it.
    Taken,
    /// The kernel had no room for it (`ENOBUFS`, `EAGAIN`, `ENOMEM`). It and
    /// all requests after it were not sent.
    NoRoom(Errno),
    /// The kernel refused it, and says why in an [`Arrival::Local`] that the
    /// next call to [`Exchange::receive`] brings.
    Reported,
    /// The kernel refused it.
    Failed(Errno),
}

/// Which sockets have news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready([PollFlags; 2]);

impl Ready {
    /// Look at every socket, whatever `ppoll(2)` would say.
    pub const ALL: Self = Self([PollFlags::POLLIN; 2]);

    /// Whether no socket has news.
    pub fn is_empty(self) -> bool {
        self.0.iter().all(PollFlags::is_empty)
    }
}

/// The sockets and the memory of a run.
#[derive(Debug)]
pub struct Exchange<'a> {
    ports: Vec<Port<'a>>,
    clock: clock::Clock,
}

impl<'a> Exchange<'a> {
    /// An exchange on `sockets`, at most one of each family, whose requests
    /// carry the beginning of `payload`. `batch` messages go into one call.
    pub fn new(
        sockets: impl IntoIterator<Item = &'a IcmpSocket>,
        payload: &[u8],
        batch: usize,
    ) -> Self {
        let ports = sockets
            .into_iter()
            .map(|socket| Port::new(socket, payload, batch.max(1)));
        Self {
            ports: ports.collect(),
            clock: clock::Clock::default(),
        }
    }

    /// How many requests can be told apart, on any of the sockets.
    pub fn window(&self) -> u64 {
        let windows = self.ports.iter().map(|port| port.identifiers().window());
        windows.min().unwrap_or(1)
    }

    /// The token of the request with this number, the same on all sockets.
    pub fn token(&self, number: u64) -> Token {
        let narrowest = self
            .ports
            .iter()
            .min_by_key(|port| port.identifiers().window());
        narrowest.map_or(Token(0), |port| port.identifiers().token(number))
    }

    /// The socket of this family.
    pub fn socket(&self, family: Family) -> Option<&'a IcmpSocket> {
        let port = self
            .ports
            .iter()
            .find(|port| port.socket.family() == family);
        port.map(|port| port.socket)
    }

    /// Leaves other processes' replies to [`Exchange::receive`] to tell apart,
    /// until one comes: from then on the kernel keeps them out again.
    pub fn sort_here(&mut self) {
        for port in &mut self.ports {
            port.sort(Sorting::Program);
        }
    }

    /// Adds a request to those that [`Exchange::flush`] sends. False: there is
    /// no room before that, or no socket of its family.
    pub fn push(&mut self, request: Request) -> bool {
        let family = Family::of(request.to.ip());
        let port = self
            .ports
            .iter_mut()
            .find(|port| port.socket.family() == family);
        port.is_some_and(|port| port.push(request))
    }

    /// Hands all requests to the kernel, and tells of each when, its message
    /// and what became of it, in order.
    ///
    /// Of requests that went in one system call it is known when that began and
    /// ended: they are taken to have gone at even distances or, where the kernel
    /// stamps departures, when it began.
    pub fn flush(&mut self, each: impl FnMut(Instant, &Request, &[u8], Sending)) {
        self.transmit();
        self.tell(each);
    }

    /// Hands all requests to the kernel, and leaves the telling to
    /// [`Exchange::tell`], before which no others may be added. Whoever sleeps at
    /// once leaves the processor to those that the requests go through. Whether
    /// the kernel took them all.
    pub fn transmit(&mut self) -> bool {
        self.ports.iter_mut().for_each(Port::transmit);
        self.ports.iter().all(Port::is_all_taken)
    }

    /// Tells what [`Exchange::transmit`] handed over, as [`Exchange::flush`] does.
    pub fn tell(&mut self, mut each: impl FnMut(Instant, &Request, &[u8], Sending)) {
        for port in &mut self.ports {
            port.tell(&mut each);
        }
    }

    /// Sleeps until a socket has news, one of `others` is readable, or
    /// `deadline` (`ppoll(2)`).
    pub fn wait(
        &self,
        others: &[BorrowedFd<'_>],
        deadline: Option<Instant>,
    ) -> Result<Ready, Error> {
        // Errors that a flush took from the queue are news that no call tells.
        let is_news = self.ports.iter().any(Port::has_errors);
        let deadline = if is_news {
            Some(Instant::now())
        } else {
            deadline
        };
        let sockets = self.ports.iter().map(|port| port.socket.as_fd());
        let watched = sockets.chain(others.iter().copied());
        let mut descriptors: Vec<PollFd<'_>> = watched
            .map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN))
            .collect();
        sleep(&mut descriptors, deadline)?;
        let mut ready = Ready([PollFlags::empty(); 2]);
        for (flags, descriptor) in ready.0.iter_mut().zip(&descriptors[..self.ports.len()]) {
            *flags = descriptor.revents().unwrap_or(PollFlags::empty());
        }
        Ok(ready)
    }

    /// Takes what has arrived on the sockets that are ready: queued errors
    /// first, then one batch of messages a socket. Whether a socket may have
    /// more.
    pub fn receive(&mut self, ready: Ready, mut each: impl FnMut(Arrival<'_>)) -> bool {
        let mut more = false;
        for (port, flags) in self.ports.iter_mut().zip(ready.0) {
            more |= port.receive(flags, &mut self.clock, &mut each);
        }
        more
    }
}

fn sleep(descriptors: &mut [PollFd<'_>], deadline: Option<Instant>) -> Result<(), Error> {
    let timeout =
        deadline.map(|at| TimeSpec::from_duration(at.saturating_duration_since(Instant::now())));
    match ppoll(descriptors, timeout, None) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(Error::new("ppoll", "", errno)),
    }
}
