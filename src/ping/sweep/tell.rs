//! What a sweep tells: each thing that happens as an event, as far as anyone
//! wants to know.
//!
//! Owns the check that a reply comes from its target. What does not pass is told
//! and not counted.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::core::{Core, Judged, Probe, Unanswered};
use super::figures::Verdict;
use super::run::Config;
use crate::event::{
    Echo, EchoCause, EchoFailure, EchoNoAnswer, EchoPatience, EchoReachability, EchoReply,
    EchoRequest, EchoSocket, EchoStarted, EchoSummary, EchoTarget, EchoUnresolved, EchoVerdict,
    Event, Place, Sink, Topic, What,
};
use crate::flow::Family;
use crate::ping::Condition;
use crate::ping::exchange::{IcmpError, LocalError, Reply};
use crate::ping::host::ArrivalTime;
use crate::ping::host::payload::first_wrong_byte;
use crate::ping::outbox::named_zone;
use crate::ping::resolve::interface_of;
use crate::ping::targets::Targets;
use crate::ping::way::Way;
use crate::ping::wire::Checksum;
use crate::ping::{meaning, wire};
use crate::socket::icmp::{IcmpSocket, Options};

/// How much is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Telling {
    /// Verdicts, failures and names without an address.
    Verdicts,
    /// That, replies and requests whose time is over.
    Replies,
    /// Everything, each target's beginning and summary included.
    #[default]
    Everything,
}

pub(super) struct Tell<'a> {
    sink: &'a dyn Sink,
    telling: Option<Telling>,
    /// Whether each target's beginning and summary are told.
    figures: bool,
    began: Instant,
    sockets: &'a [IcmpSocket],
    payload: &'a [u8],
    config: &'a Config,
    way: Option<Arc<Way>>,
    /// By source address.
    interfaces: HashMap<IpAddr, Option<String>>,
    text: String,
}

impl<'a> Tell<'a> {
    /// The run begins. Each request carries `payload`.
    pub(super) fn begin(
        sink: &'a dyn Sink,
        config: &'a Config,
        payload: &'a [u8],
        sockets: &'a [IcmpSocket],
    ) -> Self {
        let telling = config.telling;
        Self {
            sink,
            telling: sink.wants(Topic::Echo).then_some(telling),
            figures: telling == Telling::Everything
                && (sink.wants(Topic::Echo) || sink.wants(Topic::EchoFigures)),
            began: Instant::now(),
            sockets,
            payload,
            config,
            way: config.way.clone(),
            interfaces: HashMap::new(),
            text: String::new(),
        }
    }

    pub(super) fn tells_figures(&self) -> bool {
        self.figures
    }

    pub(super) fn wants(&self, telling: Telling) -> bool {
        self.telling.is_some_and(|wanted| wanted >= telling)
    }

    pub(super) fn unresolved(&mut self, targets: &Targets, index: u32) {
        // It is all there will be of its figures too.
        if !self.wants(Telling::Verdicts) && !self.figures {
            return;
        }
        let reason = targets.reason(index).unwrap_or_default().to_owned();
        let target = self.target(targets, index);
        let unresolved = EchoUnresolved { target, reason };
        self.record(Instant::now(), Echo::Unresolved(Box::new(unresolved)));
    }

    pub(super) fn request(&mut self, at: Instant, targets: &Targets, probe: Probe, message: &[u8]) {
        self.begun(at, targets, probe);
        if !self.wants(Telling::Everything) {
            return;
        }
        let request = EchoRequest {
            target: self.target(targets, probe.target),
            number: number(probe),
            icmp_sequence: wire::sequence(probe.token),
            message: message.into(),
        };
        self.record(at, Echo::Request(request));
    }

    /// Each target that has an address has its beginning, whatever became of its
    /// first request.
    fn begun(&mut self, at: Instant, targets: &Targets, probe: Probe) {
        if self.figures && probe.index == 0 {
            self.started(at, targets, probe.target);
        }
    }

    fn started(&mut self, at: Instant, targets: &Targets, index: u32) {
        let Some(address) = targets.address(index) else {
            return;
        };
        let (source, interface) = self.route(address);
        let (socket, identifier) = self.socket(address);
        let started = EchoStarted {
            target: self.target(targets, index),
            address: named_zone(address),
            address_name: None,
            source: named_zone(source),
            interface,
            socket,
            identifier,
            payload_bytes: self.payload.len(),
            interval: self.config.plan.period,
        };
        self.record(at, Echo::Started(Box::new(started)));
    }

    /// The source address the route gives, or the unspecified one.
    fn route(&mut self, address: SocketAddr) -> (SocketAddr, Option<String>) {
        let nowhere = || match address {
            SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
            SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
        };
        let way = self
            .way
            .get_or_insert_with(|| Arc::new(Way::open(&Options::default())));
        let source = way
            .towards(address)
            .map_or_else(|_| nowhere(), |found| found.source);
        let known = self.interfaces.entry(source.ip());
        let interface = known.or_insert_with(|| interface_of(source.ip()));
        (source, interface.clone())
    }

    fn socket(&self, address: SocketAddr) -> (EchoSocket, u16) {
        let family = Family::of(address.ip());
        let socket = self.sockets.iter().find(|one| one.family() == family);
        socket.map_or((EchoSocket::Raw, 0), |socket| {
            (socket.kind(), socket.identifiers().first())
        })
    }

    pub(super) fn reply(&mut self, core: &mut Core, targets: &Targets, reply: &Reply<'_>) {
        let condition = condition(core, targets, reply);
        let at = match self.config.arrival {
            ArrivalTime::Kernel => reply.times.arrived,
            ArrivalTime::Program => reply.times.taken,
        };
        let Some(judged) = core.handle_reply(at, reply.token, condition) else {
            return;
        };
        if self.wants(Telling::Replies) {
            self.tell_reply(targets, reply, &judged);
        }
        if judged.decided {
            let round_trip = Some(judged.round_trip);
            self.verdict(core, targets, judged.probe.target, round_trip);
        }
    }

    fn tell_reply(&mut self, targets: &Targets, reply: &Reply<'_>, judged: &Judged) {
        let received = reply.message.get(wire::HEADER..).unwrap_or_default();
        let echo = EchoReply {
            target: self.target(targets, judged.probe.target),
            number: number(judged.probe),
            icmp_sequence: wire::sequence(reply.token),
            from: named_zone(reply.from),
            from_name: None,
            ttl: reply.ttl,
            message_bytes: reply.message.len(),
            round_trip: judged.round_trip,
            user_round_trip: reply.times.taken.saturating_duration_since(judged.sent_at),
            kernel_round_trip: None,
            out_of_order: judged.out_of_order,
            judgement: judged.judgement,
            truncated: reply.message.len() < wire::HEADER + self.payload.len(),
            wrong_byte: first_wrong_byte(self.payload, received),
            ip_options: [].as_slice().into(),
            message: reply.message.into(),
        };
        self.record(reply.times.taken, Echo::Reply(Box::new(echo)));
    }

    pub(super) fn verdict(
        &mut self,
        core: &Core,
        targets: &Targets,
        index: u32,
        round_trip: Option<Duration>,
    ) {
        if !self.wants(Telling::Verdicts) {
            return;
        }
        let Some(address) = targets.address(index) else {
            return;
        };
        let figures = core.figures(index);
        let verdict = EchoVerdict {
            target: self.target(targets, index),
            address: named_zone(address),
            verdict: match figures.verdict() {
                Verdict::Alive => EchoReachability::Alive,
                _ => EchoReachability::Unreachable,
            },
            requests: figures.sent(),
            round_trip,
        };
        self.record(Instant::now(), Echo::Verdict(Box::new(verdict)));
    }

    /// A request's time is over.
    pub(super) fn over(&mut self, core: &Core, targets: &Targets, over: Unanswered) {
        if self.wants(Telling::Replies) {
            let silence = EchoNoAnswer {
                target: self.target(targets, over.probe.target),
                number: number(over.probe),
                icmp_sequence: wire::sequence(over.probe.token),
                patience: EchoPatience::Over,
            };
            self.record(Instant::now(), Echo::NoAnswer(silence));
        }
        self.decided(core, targets, over);
    }

    /// Whether that settled what the target is.
    pub(super) fn decided(&mut self, core: &Core, targets: &Targets, failed: Unanswered) {
        if failed.decided {
            self.verdict(core, targets, failed.probe.target, None);
        }
    }

    /// The kernel refused the request, and says why in the error queue.
    pub(super) fn reported(
        &mut self,
        at: Instant,
        core: &Core,
        targets: &Targets,
        failed: Unanswered,
    ) {
        self.begun(at, targets, failed.probe);
        self.decided(core, targets, failed);
    }

    /// The send call failed for good.
    pub(super) fn refused(
        &mut self,
        core: &Core,
        targets: &Targets,
        failed: Unanswered,
        errno: Errno,
    ) {
        self.begun(Instant::now(), targets, failed.probe);
        let cause = EchoCause::Send {
            errno: format!("{errno:?}"),
            meaning: errno.desc().to_owned(),
        };
        self.failure(targets, failed.probe, cause);
        self.decided(core, targets, failed);
    }

    pub(super) fn icmp_error(&mut self, core: &mut Core, targets: &Targets, error: &IcmpError<'_>) {
        let target = core.target_of(error.token);
        let address = target.and_then(|target| targets.address(target));
        if address.is_none_or(|address| address.ip() != error.to.ip()) {
            return;
        }
        let Some(failed) = core.handle_error(Instant::now(), error.token) else {
            return;
        };
        if self.wants(Telling::Verdicts) {
            let &IcmpError {
                icmp_type,
                icmp_code,
                info,
                ..
            } = error;
            let family = Family::of(error.to.ip());
            let cause = EchoCause::Icmp {
                from: named_zone(error.from),
                from_name: None,
                icmp_type,
                icmp_code,
                info,
                meaning: meaning::of_error(family, icmp_type, icmp_code, info),
            };
            self.failure(targets, failed.probe, cause);
        }
        self.decided(core, targets, failed);
    }

    fn failure(&mut self, targets: &Targets, probe: Probe, cause: EchoCause) {
        if !self.wants(Telling::Verdicts) {
            return;
        }
        let failure = EchoFailure {
            target: Some(self.target(targets, probe.target)),
            number: Some(number(probe)),
            icmp_sequence: Some(wire::sequence(probe.token)),
            cause,
        };
        self.record(Instant::now(), Echo::Failure(Box::new(failure)));
    }

    /// This host's kernel refused a request after taking it.
    pub(super) fn local_error(&mut self, error: &LocalError) {
        if !self.wants(Telling::Verdicts) {
            return;
        }
        let cause = match error.errno {
            Errno::EMSGSIZE => EchoCause::TooLong {
                mtu_bytes: error.info,
            },
            errno => EchoCause::Local {
                errno: format!("{errno:?}"),
                meaning: errno.desc().to_owned(),
            },
        };
        let failure = EchoFailure {
            target: None,
            number: None,
            icmp_sequence: None,
            cause,
        };
        self.record(Instant::now(), Echo::Failure(Box::new(failure)));
    }

    /// Each target's figures, at the end or because someone asked.
    pub(super) fn summaries(
        &mut self,
        core: &Core,
        targets: &Targets,
        wrap: fn(Box<EchoSummary>) -> Echo<'static>,
    ) {
        if !self.figures {
            return;
        }
        for index in 0..targets.count() {
            if let Some(address) = targets.address(index) {
                let summary = self.summary(core, targets, index, address);
                self.record(Instant::now(), wrap(Box::new(summary)));
            }
        }
    }

    fn summary(
        &mut self,
        core: &Core,
        targets: &Targets,
        index: u32,
        address: SocketAddr,
    ) -> EchoSummary {
        let figures = core.figures(index);
        let (source, interface) = self.route(address);
        let sent = figures.sent();
        let unanswered = f64::from(sent.saturating_sub(figures.received));
        EchoSummary {
            target: self.target(targets, index),
            address: named_zone(address),
            source: named_zone(source),
            interface,
            socket: self.socket(address).0,
            transmitted: sent.into(),
            received: figures.received.into(),
            duplicates: figures.duplicates.into(),
            corrupted: figures.corrupted.into(),
            errors: figures.failed.into(),
            lost: figures.lost.into(),
            in_flight: figures.under_way().into(),
            out_of_order: figures.out_of_order.into(),
            loss_percent: (sent > 0).then(|| unanswered * 100.0 / f64::from(sent)),
            time: Duration::from_nanos(figures.due),
            round_trips: figures.round_trips(core.round_trips(index).flatten().collect()),
            pipe: 0,
            gap: None,
        }
    }

    fn target(&mut self, targets: &Targets, index: u32) -> EchoTarget {
        self.text.clear();
        let _ = write!(self.text, "{}", targets.label(index));
        EchoTarget {
            index,
            name: self.text.as_str().into(),
        }
    }

    fn record(&self, at: Instant, echo: Echo<'_>) {
        self.sink.record(&Event {
            at: at.saturating_duration_since(self.began),
            host: Place::Client,
            what: What::Echo(echo),
        });
    }
}

fn condition(core: &Core, targets: &Targets, reply: &Reply<'_>) -> Condition {
    let target = core.target_of(reply.token);
    let address = target.and_then(|target| targets.address(target));
    match address {
        _ if reply.checksum == Checksum::Wrong => Condition::BadChecksum,
        Some(to) if to.ip() == reply.from.ip() || to.ip().is_multicast() => Condition::Sound,
        _ => Condition::DifferentAddress,
    }
}

fn number(probe: Probe) -> u64 {
    u64::from(probe.index) + 1
}
