//! The loop of a walk along a path: sends what [`Trace`] wants sent, hands it
//! what arrives, and tells each hop once it is complete.
//!
//! Owns no policy but what an ICMP error means for the path. Never prints and
//! never waits for anything but `ppoll(2)`.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::tell::{Tell, ends};
use super::trace::{Fate, Hop, Plan, Standing, Trace};
use crate::error::Error;
use crate::event::{
    EchoEnds, EchoHop, EchoHopError, EchoHopFate, EchoHopProbe, EchoPath, EchoTrace, EchoTraceEnd,
    EchoTraceStarted, Sink,
};
use crate::flow::Family;
use crate::packet::icmp_extension;
use crate::packet::quote::{self, Quote, Sent};
use crate::ping::exchange::{
    Arrival, Exchange, IcmpError, LocalError, RawError, Ready, Reply, Request, Sending,
};
use crate::ping::outbox::named_zone;
use crate::ping::{Naming, Signals, Target, meaning, wire};
use crate::socket::icmp::IcmpSocket;

/// Where to walk, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceConfig {
    /// Whither.
    pub target: Target,
    /// How long it may take.
    pub deadline: Option<Duration>,
    /// When to send and how far.
    pub plan: Plan,
    /// Bytes after the ICMP header in each request.
    pub payload_bytes: usize,
    /// The type of service or traffic class that the socket sends with.
    pub class: u8,
    /// Whether to look up the hops' names.
    pub naming: Naming,
}

/// Walks along the path until it ends, a signal says stop or the time is over.
///
/// The socket may belong to any network namespace; the target must have been
/// resolved there.
pub fn trace_path(
    config: &TraceConfig,
    socket: &IcmpSocket,
    signals: &Signals,
    sink: &dyn Sink,
) -> Result<EchoTrace, Error> {
    let mut walk = Walk::begin(config, socket, sink)?;
    while !walk.tell.is_over(signals) {
        signals.take_status_request();
        walk.send_if_due();
        walk.tell_hops();
        if walk.trace.is_finished() {
            break;
        }
        let ready = walk
            .tell
            .wait(&walk.exchange, signals, walk.trace.next_deadline())?;
        walk.receive(ready);
        walk.tell.flush(Instant::now());
    }
    walk.end(signals)
}

struct Walk<'a> {
    config: &'a TraceConfig,
    family: Family,
    ends: EchoEnds,
    trace: Trace<EchoHopFate>,
    exchange: Exchange<'a>,
    tell: Tell<'a>,
    /// The probe that the kernel refused and is about to say why.
    refused: Option<u64>,
    tally: Tally,
}

/// What the hops told so far amount to.
#[derive(Default)]
struct Tally {
    hops: u8,
    probes: u64,
    answered: u64,
    unanswered: u64,
    end: Option<EchoTraceEnd>,
}

impl<'a> Walk<'a> {
    fn begin(
        config: &'a TraceConfig,
        socket: &'a IcmpSocket,
        sink: &'a dyn Sink,
    ) -> Result<Self, Error> {
        let payload = wire::counting_payload(config.payload_bytes);
        let mut tell = Tell::begin(sink, config.naming, config.deadline)?;
        let ends = ends(&config.target, socket);
        let started = EchoTraceStarted {
            ends: ends.clone(),
            most_hops: config.plan.most_hops,
            probes_per_hop: config.plan.probes,
            packet_bytes: config.payload_bytes + headers(socket.family()),
        };
        tell.record(tell.began(), EchoPath::TraceStarted(started));
        Ok(Self {
            config,
            family: socket.family(),
            ends,
            trace: Trace::new(config.plan.clone(), Instant::now()),
            exchange: Exchange::new([socket], &payload, config.plan.under_way),
            tell,
            refused: None,
            tally: Tally::default(),
        })
    }

    /// One probe a turn: what has arrived meanwhile is looked at in between.
    fn send_if_due(&mut self) {
        if let Some(probe) = self.trace.poll_transmit(Instant::now()) {
            self.exchange.push(Request {
                token: self.exchange.token(probe.number),
                to: self.config.target.address,
                ttl: Some(probe.hop),
                payload_bytes: self.config.payload_bytes,
            });
            let (trace, refused) = (&mut self.trace, &mut self.refused);
            self.exchange.flush(|at, _, _, sending| match sending {
                Sending::Taken => trace.handle_accepted(probe.number, at),
                Sending::NoRoom(_) => trace.handle_refused(at),
                Sending::Reported => *refused = Some(probe.number),
                Sending::Failed(errno) => trace.handle_failed(probe.number, unsent(errno)),
            });
        }
        if self.refused.is_some() {
            self.receive(Ready::ALL);
        }
    }

    fn receive(&mut self, ready: Ready) {
        let mut heard = Heard {
            config: self.config,
            family: self.family,
            trace: &mut self.trace,
            refused: &mut self.refused,
        };
        self.exchange.receive(ready, |arrival| match arrival {
            Arrival::Reply(reply) => heard.reply(&reply),
            Arrival::Error(error) => heard.error(&error),
            Arrival::Local(error) => heard.local(&error),
            Arrival::RawError(error) => heard.whole(&error),
            Arrival::Redirect(_) | Arrival::Departed(_) => {}
        });
    }

    fn tell_hops(&mut self) {
        let now = Instant::now();
        while let Some(hop) = self.trace.poll_hop(now) {
            let hop = self.hop(hop);
            self.tally.count(self.family, &hop);
            self.tell.record(now, EchoPath::Hop(hop));
        }
    }

    fn hop(&self, hop: Hop<EchoHopFate>) -> EchoHop {
        let probes = (hop.first..).zip(hop.fates).map(|(number, fate)| {
            let (round_trip, fate) = match fate {
                Fate::Answered { round_trip, detail } => (Some(round_trip), detail),
                Fate::Silent => (None, EchoHopFate::NoErrorReceived),
                Fate::Unsent(detail) => (None, detail),
            };
            EchoHopProbe {
                number,
                icmp_sequence: wire::sequence(self.exchange.token(number)),
                round_trip,
                fate,
            }
        });
        EchoHop {
            hop: hop.hop,
            last: hop.is_last,
            probes: probes.collect(),
        }
    }

    fn end(mut self, signals: &Signals) -> Result<EchoTrace, Error> {
        let now = Instant::now();
        let farthest = if self.trace.is_finished() {
            EchoTraceEnd::MostHops
        } else if signals.is_stopped() {
            EchoTraceEnd::Stopped
        } else {
            EchoTraceEnd::TimeOver
        };
        let result = EchoTrace {
            ends: self.ends,
            end: self.tally.end.unwrap_or(farthest),
            hops: self.tally.hops,
            probes: self.tally.probes,
            answered: self.tally.answered,
            unanswered: self.tally.unanswered,
            untold: self.trace.sent().saturating_sub(self.tally.probes),
            time: now.saturating_duration_since(self.tell.began()),
        };
        self.tell.record(now, EchoPath::Trace(result.clone()));
        self.tell.close(signals)?;
        Ok(result)
    }
}

impl Tally {
    fn count(&mut self, family: Family, hop: &EchoHop) {
        self.hops = hop.hop;
        for probe in &hop.probes {
            self.probes += 1;
            match &probe.fate {
                EchoHopFate::Reply { .. } => {
                    self.answered += 1;
                    self.end = Some(EchoTraceEnd::Reached);
                }
                EchoHopFate::Error(error) => {
                    self.answered += 1;
                    if standing(family, error.icmp_type, error.icmp_code) == Standing::End {
                        self.end.get_or_insert(EchoTraceEnd::Unreachable);
                    }
                }
                EchoHopFate::NoErrorReceived => self.unanswered += 1,
                EchoHopFate::Unsent { .. } => {
                    self.end.get_or_insert(EchoTraceEnd::Unsent);
                }
            }
        }
    }
}

/// What arrives, on its way to the core.
struct Heard<'h> {
    config: &'h TraceConfig,
    family: Family,
    trace: &'h mut Trace<EchoHopFate>,
    refused: &'h mut Option<u64>,
}

impl Heard<'_> {
    fn reply(&mut self, reply: &Reply<'_>) {
        if reply.from.ip() != self.config.target.address.ip() {
            return;
        }
        let fate = EchoHopFate::Reply {
            from: named_zone(reply.from),
            from_name: None,
            ttl: reply.ttl,
        };
        let number = reply.token.0.into();
        self.trace
            .handle_answer(reply.times.arrived, number, Standing::End, fate);
    }

    fn error(&mut self, error: &IcmpError<'_>) {
        if error.to.ip() != self.config.target.address.ip() {
            return;
        }
        let number = error.token.0.into();
        let numbers = (error.icmp_type, error.icmp_code, error.info);
        if let Some(EchoHopFate::Error(known)) = self.trace.detail(number) {
            // The whole of it came first, which does not name the number.
            if known.message.is_empty() || known.info != 0 {
                return;
            }
            known.info = error.info;
            known.meaning = meaning::of_error(self.family, numbers.0, numbers.1, error.info);
            return;
        }
        let hop_error = self.hop_error(error.from, numbers);
        let fate = EchoHopFate::Error(Box::new(EchoHopError {
            extensions: icmp_extension::find(error.quoted, None),
            ..hop_error
        }));
        let standing = standing(self.family, error.icmp_type, error.icmp_code);
        self.trace
            .handle_answer(Instant::now(), number, standing, fate);
    }

    /// The same error as it arrived, and when: all that the queue leaves out.
    fn whole(&mut self, error: &RawError<'_>) {
        let &[icmp_type, icmp_code, ..] = error.message else {
            return;
        };
        let number = error.token.0.into();
        if error.to != self.config.target.address.ip() {
            return;
        }
        let standing = standing(self.family, icmp_type, icmp_code);
        let fate = self.hop_error(error.from, (icmp_type, icmp_code, 0));
        let fate = EchoHopFate::Error(Box::new(fate));
        let at = error.times.arrived;
        if !self.trace.handle_answer(at, number, standing, fate) {
            self.trace.correct(number, at);
        }
        let quote = self.quote(error);
        if let Some(EchoHopFate::Error(known)) = self.trace.detail(number) {
            known.ttl = error.ttl;
            known.quote = quote;
            known.message = error.message.to_vec();
            let found = icmp_extension::of_message(error.message, self.family == Family::Ipv6);
            if !found.is_empty() {
                known.extensions = found;
            }
        }
    }

    fn quote(&self, error: &RawError<'_>) -> Option<Quote> {
        let payload = wire::counting_payload(self.config.payload_bytes);
        let sent = Sent {
            source: self.config.target.source.ip(),
            destination: self.config.target.address.ip(),
            class: self.config.class,
            payload: &payload,
        };
        quote::compare(&sent, error.quoted)
    }

    fn hop_error(&self, from: SocketAddr, numbers: (u8, u8, u32)) -> EchoHopError {
        let (icmp_type, icmp_code, info) = numbers;
        EchoHopError {
            from: named_zone(from),
            from_name: None,
            ttl: None,
            icmp_type,
            icmp_code,
            info,
            meaning: meaning::of_error(self.family, icmp_type, icmp_code, info),
            extensions: Vec::new(),
            quote: None,
            message: Vec::new(),
        }
    }

    /// Local errors name no request: it is the one just refused.
    fn local(&mut self, error: &LocalError) {
        if let Some(number) = self.refused.take() {
            self.trace.handle_failed(number, unsent(error.errno));
        }
    }
}

/// Whether the path goes on behind who sent this error: only where the time to
/// live ran out there.
fn standing(family: Family, icmp_type: u8, icmp_code: u8) -> Standing {
    match (family, icmp_type, icmp_code) {
        (Family::Ipv4, 11, 0) | (Family::Ipv6, 3, 0) => Standing::OnTheWay,
        _ => Standing::End,
    }
}

fn unsent(errno: Errno) -> EchoHopFate {
    EchoHopFate::Unsent {
        errno: format!("{errno:?}"),
        meaning: errno.desc().to_owned(),
    }
}

/// Bytes of the IP and the ICMP header of a request.
pub(super) fn headers(family: Family) -> usize {
    let ip = match family {
        Family::Ipv4 => 20,
        Family::Ipv6 => 40,
    };
    ip + wire::HEADER
}
