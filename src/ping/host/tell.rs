//! What a run against one host tells: each thing that happens as an event, with
//! the core's judgement on it.
//!
//! Owns the checks that need the target's address. What does not pass leaves no
//! trace.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::core::Core;
use super::payload::{first_wrong_byte, payload};
use super::run::{ArrivalTime, Config, Naming, Responders};
use crate::error::Error;
use crate::event::{
    Echo, EchoCause, EchoFailure, EchoNoAnswer, EchoPatience, EchoRedirect, EchoReply, EchoRequest,
    EchoStarted, EchoSummary, EchoTarget, Sink,
};
use crate::flow::Family;
use crate::ping::Condition;
use crate::ping::exchange::{Arrival, Departed, IcmpError, LocalError, Redirect, Reply, Request};
use crate::ping::names::Names;
use crate::ping::outbox::{Outbox, named_zone};
use crate::ping::wire::Checksum;
use crate::ping::{meaning, wire};
use crate::socket::icmp::{IcmpSocket, Token};

/// An IPv4 header without options.
const IPV4_HEADER: usize = 20;
/// Requests without a reply yet whose departures are remembered.
const MOST_DEPARTURES: usize = 1 << 16;
/// At shorter intervals, a stamp for each request would cost more than it says.
const STAMPED_INTERVAL: Duration = Duration::from_millis(1);

pub(super) struct Tell<'a> {
    config: &'a Config,
    payload: Vec<u8>,
    family: Family,
    about: EchoStarted,
    outbox: Outbox<'a>,
    /// When the kernel says that requests left, by `CLOCK_REALTIME`.
    departures: HashMap<Token, Duration>,
    began: Instant,
}

impl<'a> Tell<'a> {
    pub(super) fn new(
        config: &'a Config,
        socket: &IcmpSocket,
        sink: &'a dyn Sink,
        began: Instant,
    ) -> Result<Self, Error> {
        let by_name = config.naming == Naming::Names && !config.target.numeric;
        let names = by_name.then(Names::start).transpose();
        let names = names.map_err(|cause| Error::new("start", "name look-up", cause))?;
        if config.plan.interval >= STAMPED_INTERVAL {
            // Without, round trips count from the send call, and the kernel's own
            // is missing.
            let _ = socket.stamp_departures();
        }
        let target = &config.target;
        let about = EchoStarted {
            target: EchoTarget {
                index: 0,
                name: target.name.as_str().into(),
            },
            address: named_zone(target.address),
            address_name: None,
            source: named_zone(target.source),
            interface: target.interface.clone(),
            socket: socket.kind(),
            identifier: socket.identifiers().first(),
            payload_bytes: config.payload_bytes,
            interval: config.plan.interval,
        };
        Ok(Self {
            config,
            payload: payload(&config.pattern, config.payload_bytes),
            family: socket.family(),
            about,
            outbox: Outbox::new(sink, began, names),
            departures: HashMap::new(),
            began,
        })
    }

    pub(super) fn config(&self) -> &'a Config {
        self.config
    }

    pub(super) fn about(&self) -> &EchoStarted {
        &self.about
    }

    /// Whether anyone wants to know of each packet.
    pub(super) fn wants_packets(&self) -> bool {
        self.outbox.is_wanted()
    }

    pub(super) fn pending_names(&self) -> Option<&Names> {
        self.outbox.pending()
    }

    pub(super) fn flush(&mut self, now: Instant) {
        self.outbox.flush(now);
    }

    pub(super) fn close(&mut self) {
        self.outbox.close();
    }

    pub(super) fn started(&mut self) {
        self.record(self.began, Echo::Started(Box::new(self.about.clone())));
    }

    pub(super) fn status(&mut self, now: Instant, status: EchoSummary) {
        self.record(now, Echo::Status(Box::new(status)));
    }

    pub(super) fn summary(&mut self, now: Instant, summary: EchoSummary) {
        self.record(now, Echo::Summary(Box::new(summary)));
    }

    pub(super) fn request(&mut self, at: Instant, number: u64, request: &Request, message: &[u8]) {
        if !self.outbox.is_wanted() {
            return;
        }
        let request = EchoRequest {
            target: self.about.target.clone(),
            number,
            icmp_sequence: sequence(request),
            message: message.into(),
        };
        self.record(at, Echo::Request(request));
    }

    /// A send call failed for good; the probe counts as sent.
    pub(super) fn send_failure(
        &mut self,
        at: Instant,
        number: u64,
        request: &Request,
        errno: Errno,
    ) {
        let failure = EchoFailure {
            target: Some(self.about.target.clone()),
            number: Some(number),
            icmp_sequence: Some(sequence(request)),
            cause: EchoCause::Send {
                errno: format!("{errno:?}"),
                meaning: errno.desc().to_owned(),
            },
        };
        self.record(at, Echo::Failure(Box::new(failure)));
    }

    /// The run ends, and these requests have no reply.
    pub(super) fn unanswered(
        &mut self,
        at: Instant,
        requests: impl Iterator<Item = (u64, EchoPatience)>,
    ) {
        if self.outbox.is_wanted() {
            for (number, patience) in requests {
                self.no_answer(at, number, patience);
            }
        }
    }

    /// This request has no reply: the next one goes out, or the run ends.
    pub(super) fn no_answer(&mut self, at: Instant, number: u64, patience: EchoPatience) {
        if !self.outbox.is_wanted() {
            return;
        }
        let silence = EchoNoAnswer {
            target: self.about.target.clone(),
            number,
            icmp_sequence: sequence_of(number),
            patience,
        };
        self.record(at, Echo::NoAnswer(silence));
    }

    pub(super) fn arrival(&mut self, core: &mut Core, arrival: &Arrival<'_>) {
        match arrival {
            Arrival::Reply(reply) => self.reply(core, reply),
            Arrival::Error(error) => self.icmp_error(core, error),
            Arrival::Local(error) => self.local_error(core, error),
            Arrival::Redirect(redirect) => self.redirect(core, redirect),
            Arrival::Departed(departed) => self.departed(core, departed),
            Arrival::RawError(_) => {}
        }
    }

    /// Remembered until the reply comes.
    fn departed(&mut self, core: &mut Core, departed: &Departed) {
        if self.config.arrival == ArrivalTime::Kernel {
            core.handle_departed(departed.token, departed.at);
        }
        if !self.outbox.is_wanted() {
            return;
        }
        if self.departures.len() >= MOST_DEPARTURES {
            self.departures.clear();
        }
        self.departures.insert(departed.token, departed.stamp);
    }

    fn reply(&mut self, core: &mut Core, reply: &Reply<'_>) {
        let condition = self.condition(reply);
        let at = match self.config.arrival {
            ArrivalTime::Kernel => reply.times.arrived,
            ArrivalTime::Program => reply.times.taken,
        };
        let Some(judged) = core.handle_reply(at, reply.token, condition) else {
            return;
        };
        if !self.outbox.is_wanted() {
            return;
        }
        let message = reply.message;
        let echo = Echo::Reply(Box::new(EchoReply {
            target: self.about.target.clone(),
            number: judged.number,
            icmp_sequence: wire::sequence(reply.token),
            from: named_zone(reply.from),
            from_name: None,
            ttl: reply.ttl,
            message_bytes: message.len(),
            round_trip: judged.round_trip,
            user_round_trip: reply.times.taken.saturating_duration_since(judged.sent_at),
            kernel_round_trip: self.kernel_round_trip(reply),
            out_of_order: judged.out_of_order,
            judgement: judged.judgement,
            truncated: message.len() < wire::HEADER + self.config.payload_bytes,
            wrong_byte: first_wrong_byte(&self.payload, &message[wire::HEADER..]),
            ip_options: reply.header.get(IPV4_HEADER..).unwrap_or_default().into(),
            message: message.into(),
        }));
        self.outbox.record(reply.times.taken, echo, reply.from);
    }

    fn condition(&self, reply: &Reply<'_>) -> Condition {
        let target = self.config.target.address.ip();
        if reply.checksum == Checksum::Wrong {
            Condition::BadChecksum
        } else if reply.from.ip() == target || self.is_for_anyone() {
            Condition::Sound
        } else {
            Condition::DifferentAddress
        }
    }

    /// From the kernel's stamp of the departure to its stamp of the arrival.
    fn kernel_round_trip(&self, reply: &Reply<'_>) -> Option<Duration> {
        let departed = self.departures.get(&reply.token)?;
        reply.times.stamp?.checked_sub(*departed)
    }

    fn is_for_anyone(&self) -> bool {
        self.config.responders == Responders::Anyone
            || self.config.target.address.ip().is_multicast()
    }

    fn local_error(&mut self, core: &mut Core, error: &LocalError) {
        let now = Instant::now();
        core.handle_local_error(now);
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
            target: None,
            number: None,
            icmp_sequence: None,
            cause,
        };
        self.record(now, Echo::Failure(Box::new(failure)));
    }

    fn icmp_error(&mut self, core: &mut Core, error: &IcmpError<'_>) {
        let now = Instant::now();
        if error.to.ip() != self.config.target.address.ip() {
            return;
        }
        let Some(number) = core.handle_error(now, error.token) else {
            return;
        };
        let &IcmpError {
            icmp_type,
            icmp_code,
            info,
            ..
        } = error;
        let failure = EchoFailure {
            target: Some(self.about.target.clone()),
            number: Some(number),
            icmp_sequence: Some(wire::sequence(error.token)),
            cause: EchoCause::Icmp {
                from: named_zone(error.from),
                from_name: None,
                icmp_type,
                icmp_code,
                info,
                meaning: meaning::of_error(self.family, icmp_type, icmp_code, info),
            },
        };
        self.outbox
            .record(now, Echo::Failure(Box::new(failure)), error.from);
    }

    fn redirect(&mut self, core: &Core, redirect: &Redirect) {
        let target = self.config.target.address.ip();
        let Some(number) = core.sent(redirect.token) else {
            return;
        };
        if redirect.to != target || !self.outbox.is_wanted() {
            return;
        }
        let (gateway, icmp_code) = (redirect.gateway, redirect.icmp_code);
        let told = EchoRedirect {
            target: self.about.target.clone(),
            number,
            icmp_sequence: wire::sequence(redirect.token),
            from: named_zone(redirect.from),
            from_name: None,
            gateway: gateway.into(),
            icmp_code,
            meaning: meaning::of_redirect(self.family, icmp_code, gateway),
        };
        let echo = Echo::Redirect(Box::new(told));
        self.outbox.record(Instant::now(), echo, redirect.from);
    }

    fn record(&mut self, at: Instant, echo: Echo<'_>) {
        let about: SocketAddr = self.config.target.address;
        self.outbox.record(at, echo, about);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the sequence number is the low 16 bits"
)]
fn sequence_of(number: u64) -> u16 {
    number as u16
}

fn sequence(request: &Request) -> u16 {
    wire::sequence(request.token)
}
