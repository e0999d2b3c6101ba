//! One socket of an exchange, and the memory for what goes out and comes in.
//!
//! Owns the order of calls on it, and whose an error is: a call on a socket may
//! report what an earlier request met, and what a request met may be in the
//! error queue alone (`IP_RECVERR` in `ip(7)`).

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::PollFlags;

use super::arrival::{Arrival, Departed, Scope};
use super::clock::Clock;
use super::{Request, Sending};
use crate::event::EchoSocket;
use crate::flow::Family;
use crate::packet::checksum::Sum;
use crate::ping::wire;
use crate::socket::icmp::{
    IcmpSocket, Identifiers, Incoming, Origin, Outgoing, Queued, QueuedError, Sorting,
};

/// The longest IPv4 header.
const IP_HEADER: usize = 60;
/// Room beyond what was asked for, to notice replies that are too long.
const SPARE: usize = 64;

/// Messages taken from the error queue at once, and the room for each: an
/// ICMPv6 error is as long as the smallest MTU (RFC 4443 section 2.4).
const QUEUE: usize = 16;
const QUOTED: usize = 1280;
/// A redirect up to the header of the request it quotes (RFC 4861 section 4.5),
/// with room for an option before.
const REDIRECTED: usize = 256;

#[derive(Debug)]
pub(super) struct Port<'a> {
    pub(super) socket: &'a IcmpSocket,
    requests: Vec<Request>,
    /// When each request went, and what became of it.
    outcomes: Vec<(Instant, Sending)>,
    outgoing: Outgoing,
    incoming: Incoming,
    sorting: Sorting,
    /// The length of the payload written last, and its sum.
    payload: (usize, Sum),
    queue: Incoming,
    /// Errors taken from the queue, each with what it quotes.
    errors: VecDeque<(QueuedError, Vec<u8>)>,
    departures: Vec<Departed>,
}

impl<'a> Port<'a> {
    pub(super) fn new(socket: &'a IcmpSocket, payload: &[u8], batch: usize) -> Self {
        let template = wire::request(socket.family(), payload);
        let longest = template.len();
        let incoming = Incoming::new(batch, longest_arrival(socket, longest));
        Self {
            socket,
            requests: Vec::with_capacity(batch),
            outcomes: Vec::with_capacity(batch),
            outgoing: Outgoing::new(batch, longest, &template),
            incoming: match framing(socket) {
                wire::Framing::Ipv4Header => incoming.without_names(),
                wire::Framing::Message => incoming,
            },
            sorting: Sorting::Kernel,
            payload: (payload.len(), wire::payload_sum(&template)),
            queue: Incoming::new(QUEUE, QUOTED),
            errors: VecDeque::new(),
            departures: Vec::new(),
        }
    }

    pub(super) fn identifiers(&self) -> Identifiers {
        self.socket.identifiers()
    }

    /// A filter that stays where it is, or away, is no failure: what is not ours
    /// is told apart here in any case.
    pub(super) fn sort(&mut self, sorting: Sorting) {
        if self.socket.sort_by_identifier(sorting).is_ok() {
            self.sorting = sorting;
        }
    }

    pub(super) fn push(&mut self, request: Request) -> bool {
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

    /// Hands all requests to the kernel; [`Port::tell`] has what became of them.
    pub(super) fn transmit(&mut self) {
        let mut again = false;
        while self.outcomes.len() < self.requests.len() {
            let first = self.outcomes.len();
            let begin = Instant::now();
            match self.socket.send_batch(&mut self.outgoing, first) {
                Ok(taken) => {
                    again = false;
                    self.note_taken(taken, begin);
                    self.skip_refused(begin);
                }
                Err(errno @ (Errno::EAGAIN | Errno::ENOBUFS | Errno::ENOMEM)) => {
                    self.outcomes.push((begin, Sending::NoRoom(errno)));
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
                    self.outcomes.push((begin, sending));
                }
            }
        }
        if self.socket.is_stamping_departures() {
            // Most are there by now; left there, they would wake us.
            self.drain_queue();
        }
    }

    /// A call that took some messages tried the next one too, and what came of
    /// that it does not return: trying again would report it twice.
    fn skip_refused(&mut self, at: Instant) {
        if self.outcomes.len() < self.requests.len() && self.drain_queue() > 0 {
            self.outcomes.push((at, Sending::Reported));
        }
    }

    fn note_taken(&mut self, taken: usize, begin: Instant) {
        let count = u32::try_from(taken).unwrap_or(u32::MAX);
        // One message went when the call began; there is nothing to spread. Of
        // many, none went sooner: the kernel's stamps tell how much later each did,
        // and must not come before a guess.
        let step = if count < 2 || self.socket.is_stamping_departures() {
            std::time::Duration::ZERO
        } else {
            begin.elapsed() / count
        };
        let mut at = begin;
        for _ in 0..taken {
            self.outcomes.push((at, Sending::Taken));
            at += step;
        }
    }

    /// Whether the kernel took all that was handed to it.
    pub(super) fn is_all_taken(&self) -> bool {
        let mut outcomes = self.outcomes.iter();
        outcomes.all(|(_, sending)| *sending == Sending::Taken)
    }

    /// Tells what became of the requests, and forgets them.
    pub(super) fn tell(&mut self, each: &mut impl FnMut(Instant, &Request, &[u8], Sending)) {
        let outcomes = self.outcomes.drain(..).zip(&self.requests);
        for (place, ((at, sending), request)) in outcomes.enumerate() {
            each(at, request, self.outgoing.message(place), sending);
        }
        self.outgoing.clear();
        self.requests.clear();
    }

    /// Empties the error queue. How many errors were this host's own.
    fn drain_queue(&mut self) -> usize {
        let scope = self.scope();
        let mut local = 0;
        let mut more = true;
        while more {
            more = self.socket.receive_queue(&mut self.queue).unwrap_or(0) == QUEUE;
            let clock = Clock::default();
            for message in self.queue.messages() {
                match message.queued() {
                    Some(Queued::Error(error)) => {
                        local += usize::from(error.origin == Origin::Local);
                        self.errors.push_back((error, message.bytes.to_vec()));
                    }
                    Some(Queued::Departure(stamp)) => {
                        let at = clock.times(Some(stamp)).arrived;
                        self.departures.extend(scope.departed(&message, stamp, at));
                    }
                    None => {}
                }
            }
        }
        local
    }

    fn scope(&self) -> Scope {
        Scope {
            family: self.socket.family(),
            framing: framing(self.socket),
            identifiers: self.socket.identifiers(),
        }
    }

    pub(super) fn receive(
        &mut self,
        flags: PollFlags,
        clock: &mut Clock,
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
        let mut strangers = false;
        for received in self.incoming.messages() {
            let times = clock.times(received.stamp);
            if let Some(reply) = scope.reply(&received, times) {
                each(Arrival::Reply(reply));
            } else if let Some(arrival) = scope.quoting(&received, times) {
                each(arrival);
            } else {
                strangers = true;
            }
        }
        if strangers && self.sorting == Sorting::Program {
            self.sort(Sorting::Kernel);
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

    /// Whether errors wait that no call on the socket tells of.
    pub(super) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }
}

/// The room for each arrival, and no more, as a flood goes through all of it: a
/// whole ICMP error may be longer than any reply, and of a redirect it is enough
/// to see whom it quotes.
fn longest_arrival(socket: &IcmpSocket, longest: usize) -> usize {
    let shortest = if socket.is_admitting_errors() {
        QUOTED
    } else {
        REDIRECTED
    };
    (longest + IP_HEADER + SPARE).max(shortest)
}

fn framing(socket: &IcmpSocket) -> wire::Framing {
    match (socket.kind(), socket.family()) {
        (EchoSocket::Raw, Family::Ipv4) => wire::Framing::Ipv4Header,
        _ => wire::Framing::Message,
    }
}
