//! What arrives on a run's socket: replies, and errors from its queue.
//!
//! Owns the check that an arrival is ours: type, identifier, source, and for
//! errors the quoted request. What does not pass leaves no trace.

use std::net::SocketAddr;
use std::time::Instant;

use nix::errno::Errno;
use nix::net::if_::if_indextoname;
use nix::poll::PollFlags;

use super::core::{Condition, Probe};
use super::driver::Run;
use super::meaning;
use super::wire::{self, Checksum, Framing};
use crate::event::{Echo, EchoAddress, EchoCause, EchoFailure, EchoReply, EchoSocket};
use crate::flow::Family;
use crate::socket::icmp::{Origin, QueuedError, Received};

/// Messages taken before the loop looks at its deadlines again.
const BATCH: usize = 128;

impl Run<'_> {
    /// Takes what has arrived; `ready` is what `ppoll(2)` said of the socket.
    pub(super) fn receive(&mut self, ready: PollFlags) {
        if ready.contains(PollFlags::POLLERR) {
            self.receive_errors();
        }
        if ready.is_empty() {
            return;
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        for _ in 0..BATCH {
            match self.socket.receive(&mut buffer) {
                Ok(Some(received)) => self.reply(&received, &buffer[..received.length]),
                Ok(None) => break,
                // An error of an earlier request, also found in the queue.
                Err(_) => {
                    self.receive_errors();
                }
            }
            if self.core.is_settled() {
                break;
            }
        }
        self.buffer = buffer;
    }

    /// Empties the error queue. How many errors were this host's own.
    pub(super) fn receive_errors(&mut self) -> usize {
        let mut quoted = [0; 128];
        let mut local = 0;
        while let Ok(Some(error)) = self.socket.receive_error(&mut quoted) {
            match error.origin {
                Origin::Local => {
                    local += 1;
                    self.local_error(&error);
                }
                Origin::Icmp { .. } => self.icmp_error(&error, &quoted[..error.quoted]),
                Origin::Unknown(_) => {}
            }
        }
        local
    }

    /// A send call failed for good; the probe counts as sent.
    pub(super) fn send_failed(&mut self, now: Instant, probe: Probe, errno: Errno) {
        let failure = EchoFailure {
            number: Some(probe.number),
            icmp_sequence: Some(probe.sequence),
            cause: EchoCause::Send {
                errno: format!("{errno:?}"),
                meaning: errno.desc().to_owned(),
            },
        };
        self.tell(now, Echo::Failure(failure));
    }

    fn reply(&mut self, received: &Received, bytes: &[u8]) {
        let now = Instant::now();
        let Some((reply, from)) = self.our_reply(received, bytes) else {
            return;
        };
        let sequence = reply.echo.sequence;
        let condition = self.condition(&reply, from);
        let Some(judged) = self.core.handle_reply(now, sequence, condition) else {
            return;
        };
        if !self.outbox.is_wanted() {
            return;
        }
        let message = &bytes[reply.message];
        let echo = Echo::Reply(EchoReply {
            number: judged.number,
            icmp_sequence: sequence,
            from: named_zone(from),
            from_name: None,
            ttl: received.ttl.or(reply.ttl),
            message_bytes: message.len(),
            round_trip: judged.round_trip,
            judgement: judged.judgement,
            truncated: message.len() < wire::HEADER + self.config.payload_bytes,
            message: message.into(),
        });
        self.outbox.record(now, echo, from);
    }

    fn our_reply(&self, received: &Received, bytes: &[u8]) -> Option<(wire::Reply, SocketAddr)> {
        let family = self.socket.family();
        let framing = match (self.socket.kind(), family) {
            (EchoSocket::Raw, Family::Ipv4) => Framing::Ipv4Header,
            _ => Framing::Message,
        };
        let reply = wire::parse_reply(family, framing, bytes)?;
        let ours = reply.echo.identifier == self.socket.identifier();
        Some((reply, without_port(received.from?))).filter(|_| ours)
    }

    fn condition(&self, reply: &wire::Reply, from: SocketAddr) -> Condition {
        let target = self.config.target.address.ip();
        if reply.checksum == Checksum::Wrong {
            Condition::BadChecksum
        } else if from.ip() == target || target.is_multicast() {
            Condition::Sound
        } else {
            Condition::DifferentAddress
        }
    }

    fn local_error(&mut self, error: &QueuedError) {
        let now = Instant::now();
        self.core.handle_local_error(now);
        let cause = if error.errno == Errno::EMSGSIZE {
            EchoCause::TooLong {
                mtu_bytes: error.info,
            }
        } else {
            EchoCause::Local {
                errno: format!("{:?}", error.errno),
                meaning: error.errno.desc().to_owned(),
            }
        };
        let failure = EchoFailure {
            number: None,
            icmp_sequence: None,
            cause,
        };
        self.tell(now, Echo::Failure(failure));
    }

    fn icmp_error(&mut self, error: &QueuedError, quoted: &[u8]) {
        let now = Instant::now();
        let family = self.socket.family();
        let target = self.config.target.address.ip();
        let Some(request) = wire::parse_quoted_request(family, quoted) else {
            return;
        };
        let ours = request.identifier == self.socket.identifier()
            && error.target.is_some_and(|address| address.ip() == target);
        let (
            true,
            Origin::Icmp {
                offender: Some(offender),
                icmp_type,
                icmp_code,
            },
        ) = (ours, error.origin)
        else {
            return;
        };
        let Some(number) = self.core.handle_error(now, request.sequence) else {
            return;
        };
        let offender = without_port(offender);
        let failure = EchoFailure {
            number: Some(number),
            icmp_sequence: Some(request.sequence),
            cause: EchoCause::Icmp {
                from: named_zone(offender),
                from_name: None,
                icmp_type,
                icmp_code,
                info: error.info,
                meaning: meaning::of_error(family, icmp_type, icmp_code, error.info),
            },
        };
        self.outbox.record(now, Echo::Failure(failure), offender);
    }
}

/// An address for an event: the zone by its interface's name.
pub(super) fn named_zone(address: SocketAddr) -> EchoAddress {
    let zone = match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => if_indextoname(v6.scope_id()).ok(),
        _ => None,
    };
    EchoAddress {
        ip: address.ip(),
        zone: zone.map(|name| name.to_string_lossy().into()),
    }
}

fn without_port(mut address: SocketAddr) -> SocketAddr {
    address.set_port(0);
    address
}
