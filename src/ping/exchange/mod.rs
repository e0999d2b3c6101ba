//! Echo requests out, and what comes back to them in: one socket a family, many
//! messages a system call.
//!
//! Owns the check that an arrival is ours: type, identifier, and for errors the
//! quoted request. What does not pass leaves no trace. Owns no policy: when to
//! send and what counts is its caller's. Never waits but in [`Exchange::wait`],
//! and never reads a reply's payload.

mod arrival;
mod clock;
mod quote;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::wire;
use crate::error::Error;
use crate::event::EchoSocket;
use crate::flow::Family;
use crate::packet::checksum::Sum;
use crate::socket::icmp::{
    IcmpSocket, Identifiers, Incoming, Origin, Outgoing, Queued, QueuedError, Token,
};

pub use arrival::{Arrival, Departed, IcmpError, LocalError, RawError, Redirect, Reply};
pub use clock::Times;

use arrival::Scope;

/// Messages in one system call.
pub const BATCH: usize = 64;
/// The longest IPv4 header.
const IP_HEADER: usize = 60;
/// Room beyond what was asked for, to notice replies that are too long.
const SPARE: usize = 64;

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

#[derive(Debug)]
struct Port<'a> {
    socket: &'a IcmpSocket,
    requests: Vec<Request>,
    outgoing: Outgoing,
    incoming: Incoming,
    /// The length of the payload written last, and its sum.
    payload: (usize, Sum),
    queue: Incoming,
    /// Errors taken from the queue, each with what it quotes.
    errors: VecDeque<(QueuedError, Vec<u8>)>,
    departures: Vec<Departed>,
}

/// Messages taken from the error queue at once, and the room for each: an
/// ICMPv6 error is as long as the smallest MTU (RFC 4443 section 2.4).
const QUEUE: usize = 16;
const QUOTED: usize = 1280;

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
    /// ended: they are taken to have gone at even distances.
    pub fn flush(&mut self, mut each: impl FnMut(Instant, &Request, &[u8], Sending)) {
        for port in &mut self.ports {
            port.flush(&mut each);
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
        let is_news = self.ports.iter().any(|port| !port.errors.is_empty());
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

impl<'a> Port<'a> {
    fn new(socket: &'a IcmpSocket, payload: &[u8], batch: usize) -> Self {
        let template = wire::request(socket.family(), payload);
        let longest = template.len();
        Self {
            socket,
            requests: Vec::with_capacity(batch),
            outgoing: Outgoing::new(batch, longest, &template),
            // An ICMP error may be longer than any reply.
            incoming: Incoming::new(batch, (longest + IP_HEADER + SPARE).max(QUOTED)),
            payload: (payload.len(), wire::payload_sum(&template)),
            queue: Incoming::new(QUEUE, QUOTED),
            errors: VecDeque::new(),
            departures: Vec::new(),
        }
    }

    fn identifiers(&self) -> Identifiers {
        self.socket.identifiers()
    }

    fn push(&mut self, request: Request) -> bool {
        let length = wire::HEADER + request.payload_bytes;
        let mut to = request.to;
        if let (SocketAddr::V6(to), Some(label)) = (&mut to, self.socket.flow_label()) {
            // As `struct sockaddr_in6` has it: in network byte order.
            to.set_flowinfo(label.to_be());
        }
        let Some(message) = self.outgoing.push(to, request.ttl, length) else {
            return false;
        };
        let (identifier, sequence) = self.socket.identifiers().on_the_wire(request.token);
        let echo = wire::Echo {
            identifier,
            sequence,
        };
        if self.payload.0 != request.payload_bytes {
            self.payload = (request.payload_bytes, wire::payload_sum(message));
        }
        wire::write_header(self.socket.family(), &echo, self.payload.1, message);
        self.requests.push(request);
        true
    }

    fn flush(&mut self, each: &mut impl FnMut(Instant, &Request, &[u8], Sending)) {
        let mut first = 0;
        let mut again = false;
        while first < self.requests.len() {
            let begin = Instant::now();
            let outcome = self.socket.send_batch(&mut self.outgoing, first);
            let taken = match outcome {
                Ok(taken) => {
                    again = false;
                    self.tell_taken(first, taken, begin, each);
                    taken
                }
                Err(errno @ (Errno::EAGAIN | Errno::ENOBUFS | Errno::ENOMEM)) => {
                    self.tell(first, begin, Sending::NoRoom(errno), each);
                    break;
                }
                Err(errno) => {
                    // An error that an earlier request met is reported by the
                    // next call on the socket; that call then did nothing and
                    // is repeated.
                    let local = self.drain_queue();
                    if local == 0 && !again {
                        again = true;
                        continue;
                    }
                    again = false;
                    let sending = match local {
                        0 => Sending::Failed(errno),
                        _ => Sending::Reported,
                    };
                    self.tell(first, begin, sending, each);
                    1
                }
            };
            first += taken;
        }
        self.outgoing.clear();
        self.requests.clear();
        if self.socket.is_stamping_departures() {
            // Most are there by now; left there, they would wake us.
            self.drain_queue();
        }
    }

    fn tell_taken(
        &self,
        first: usize,
        taken: usize,
        begin: Instant,
        each: &mut impl FnMut(Instant, &Request, &[u8], Sending),
    ) {
        let count = u32::try_from(taken).unwrap_or(u32::MAX);
        // One message went when the call began; there is nothing to spread.
        let step = match count {
            0 | 1 => std::time::Duration::ZERO,
            _ => begin.elapsed() / count,
        };
        let mut at = begin;
        for place in first..first + taken {
            self.tell(place, at, Sending::Taken, each);
            at += step;
        }
    }

    fn tell(
        &self,
        place: usize,
        at: Instant,
        sending: Sending,
        each: &mut impl FnMut(Instant, &Request, &[u8], Sending),
    ) {
        if let Some(request) = self.requests.get(place) {
            each(at, request, self.outgoing.message(place), sending);
        }
    }

    /// Empties the error queue. How many errors were this host's own.
    fn drain_queue(&mut self) -> usize {
        let scope = self.scope();
        let mut local = 0;
        while self.socket.receive_queue(&mut self.queue).unwrap_or(0) > 0 {
            for message in self.queue.messages() {
                match message.queued() {
                    Some(Queued::Error(error)) => {
                        local += usize::from(error.origin == Origin::Local);
                        self.errors.push_back((error, message.bytes.to_vec()));
                    }
                    Some(Queued::Departure(stamp)) => {
                        self.departures.extend(scope.departed(&message, stamp));
                    }
                    None => {}
                }
            }
        }
        local
    }

    fn scope(&self) -> Scope {
        let (family, kind) = (self.socket.family(), self.socket.kind());
        Scope {
            family,
            framing: match (kind, family) {
                (EchoSocket::Raw, Family::Ipv4) => wire::Framing::Ipv4Header,
                _ => wire::Framing::Message,
            },
            identifiers: self.socket.identifiers(),
        }
    }

    fn receive(
        &mut self,
        flags: PollFlags,
        clock: &mut clock::Clock,
        each: &mut impl FnMut(Arrival<'_>),
    ) -> bool {
        if flags.contains(PollFlags::POLLERR) {
            self.drain_queue();
        }
        self.tell_queued(each);
        if flags.is_empty() {
            return false;
        }
        if self.socket.receive_batch(&mut self.incoming).is_err() {
            // An error of an earlier request, also found in the queue.
            self.drain_queue();
            self.tell_queued(each);
            return true;
        }
        clock.read();
        let scope = self.scope();
        for received in self.incoming.messages() {
            let times = clock.times(received.stamp);
            if let Some(arrival) = scope.message(&received, times) {
                each(arrival);
            }
        }
        self.incoming.is_full()
    }

    fn tell_queued(&mut self, each: &mut impl FnMut(Arrival<'_>)) {
        let scope = self.scope();
        for departed in self.departures.drain(..) {
            each(Arrival::Departed(departed));
        }
        for (error, quoted) in self.errors.drain(..) {
            if let Some(arrival) = scope.error(&error, &quoted) {
                each(arrival);
            }
        }
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
