//! The server's reader of one kind: everything that arrives, into a ledger,
//! until the session is over and patience has run out.
//!
//! Sends nothing, but for the answer to a proof that was asked again.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::control::is_only_time;
use super::ledger::{Got, Ledger};
use super::proof::Proof;
use super::protocol::{Plan, Receipts};
use super::session::{Heard, Session};
use crate::compare::lane::{Found, drops, expected};
use crate::compare::{Mark, Variant};
use crate::flow::Family;
use crate::recorder::Clock;
use crate::socket::{Datagram, Raw, Stream};

/// Where one kind's messages come out.
pub(super) enum Ear {
    Stream(Stream),
    /// Connected to its one peer.
    Datagram(Datagram, SocketAddr),
    /// Of everything that comes to the host, what bears this mark.
    Raw(Raw, Mark),
}

/// A reader's buffer: two of the longest messages.
const BUFFER: usize = 2 << 16;

/// How long to listen for copies of datagrams that are all there.
const COPIES: Duration = Duration::from_millis(100);

/// Answers to proofs that one socket sends at most.
const ANSWERS: u32 = 16;

/// Receipts until the end and hands over what was heard.
pub(super) fn listen(ear: &Ear, variant: Variant, session: &Session, clock: Clock) {
    let heard = session.plan().map(|plan| {
        let mut reader = Reader {
            session,
            clock,
            plan,
            ledger: Ledger::new(plan.count),
            reads: Receipts::default(),
            bytes: 0,
            last: Instant::now(),
            answers: 0,
        };
        reader.read(ear, variant);
        reader.reads.corrupted = reader.ledger.corrupted();
        reader.reads.unlisted_copies = reader.ledger.unlisted_copies();
        reader.reads.dropped = match ear {
            Ear::Stream(_) => None,
            Ear::Datagram(socket, _) => drops(socket.as_fd()).ok().flatten(),
            Ear::Raw(socket, _) => drops(socket.as_fd()).ok().flatten(),
        };
        let Reader { ledger, reads, .. } = reader;
        Heard {
            variant,
            ledger,
            reads,
        }
    });
    session.detach(variant, heard);
}

struct Reader<'a> {
    session: &'a Session,
    clock: Clock,
    plan: &'a Plan,
    ledger: Ledger,
    reads: Receipts,
    bytes: u64,
    last: Instant,
    answers: u32,
}

impl Reader<'_> {
    fn read(&mut self, ear: &Ear, variant: Variant) {
        let mut buffer = vec![0; BUFFER];
        let mut kept = 0;
        loop {
            let read = match ear {
                Ear::Stream(socket) => self.read_stream(socket, &mut buffer, &mut kept),
                Ear::Datagram(socket, peer) => {
                    self.read_datagram(socket, *peer, &mut buffer, variant)
                }
                Ear::Raw(socket, mark) => self.read_raw(socket, *mark, &mut buffer),
            };
            match read {
                Ok(true) => {}
                Err(error) if is_only_time(&error) => {}
                // An ICMP error about an answer says nothing of what arrives.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Ok(false) | Err(_) => return,
            }
            if self.is_over(matches!(ear, Ear::Stream(_))) {
                return;
            }
        }
    }

    fn read_stream(
        &mut self,
        socket: &Stream,
        buffer: &mut [u8],
        kept: &mut usize,
    ) -> io::Result<bool> {
        let count = socket.recv(&mut buffer[*kept..])?;
        let now = self.clock.now();
        let end = *kept + count;
        let (used, whole) = self.ledger.stream(&buffer[..end], now);
        buffer.copy_within(used..end, 0);
        let began_afresh = std::mem::replace(kept, end - used) == 0;
        if count > 0 {
            self.count(count, began_afresh && whole == 1 && *kept == 0);
        }
        Ok(count > 0)
    }

    fn read_datagram(
        &mut self,
        socket: &Datagram,
        peer: SocketAddr,
        buffer: &mut [u8],
        variant: Variant,
    ) -> io::Result<bool> {
        let received = socket.recv_from(buffer)?;
        let now = self.clock.now();
        // Before it was connected, the socket may have taken in another's.
        if received.from != peer {
            return Ok(true);
        }
        let data = &buffer[..received.bytes];
        let asked = Proof::Question(self.session.token, variant);
        if Proof::parse(data) == Some(asked) {
            if self.answers < ANSWERS {
                self.answers += 1;
                // Where it cannot be sent, it is asked for again.
                let _ = socket.send(&Proof::Answer(self.session.token, variant).emit());
            }
            return Ok(true);
        }
        self.judge(received.bytes, now, data);
        Ok(true)
    }

    fn read_raw(&mut self, socket: &Raw, mark: Mark, buffer: &mut [u8]) -> io::Result<bool> {
        let received = socket.recv_from(buffer)?;
        let now = self.clock.now();
        if received.from.ip() != self.session.peer {
            return Ok(true);
        }
        let data = &buffer[..received.bytes];
        let family = Family::of(self.session.peer);
        // IPv4 gives the IP header too, IPv6 does not (raw(7)).
        let header = match (family, data.first()) {
            (Family::Ipv4, Some(first)) => usize::from(first & 0xf) * 4,
            _ => 0,
        };
        match expected(mark, family, data.get(header..).unwrap_or_default()) {
            Some(Found::Whole(probe, length)) => {
                let is_ours = self.ledger.message(&probe, length, now) == Got::Message;
                self.count(received.bytes, is_ours);
            }
            Some(Found::Damaged) => {
                self.ledger.damaged();
                self.count(received.bytes, false);
            }
            None => {}
        }
        Ok(true)
    }

    fn judge(&mut self, bytes: usize, now: Duration, data: &[u8]) {
        match self.ledger.datagram(data, now) {
            Got::Message => self.count(bytes, true),
            Got::Bytes => self.count(bytes, false),
            Got::Foreign => {}
        }
    }

    fn count(&mut self, bytes: usize, is_one_message: bool) {
        self.last = Instant::now();
        self.bytes += bytes as u64;
        self.reads.reads += 1;
        self.reads.reads_of_one_message += u64::from(is_one_message);
    }

    /// Whether there is nothing more to wait for, or the client sends more than
    /// any link could have made of what it planned.
    fn is_over(&self, is_stream: bool) -> bool {
        if self.session.is_left() || self.bytes > self.plan.bytes.saturating_mul(8) + (1 << 20) {
            return true;
        }
        let Some(over) = self.session.over() else {
            return false;
        };
        let Some(sent) = over.sent else {
            return true;
        };
        let quiet = over.at.max(self.last).elapsed();
        let patience = match (is_stream, self.ledger.arrived() >= sent) {
            (true, true) => return true,
            (true, false) => Duration::from_nanos(self.plan.timeout_ns),
            (false, false) => Duration::from_nanos(self.plan.patience_ns),
            // Copies may still be under way.
            (false, true) => Duration::from_nanos(self.plan.patience_ns).min(COPIES),
        };
        quiet >= patience
    }
}
