//! The loop of a search for a path's MTU: sends what [`Search`] wants sent, with
//! Don't Fragment set, and hands it what is heard.
//!
//! Owns no policy but what an ICMP error means for the search. Where packets
//! vanish without a word, it walks along the path with one of them and says
//! which hop was the last that was heard of.

use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::mtu::{Finding, Plan, Search, Step, Verdict};
use super::tell::{Tell, ends};
use super::trace::{self, Fate, Standing, Trace};
use super::walk::headers;
use crate::error::Error;
use crate::event::{
    EchoAddress, EchoEnds, EchoLastHeard, EchoMtu, EchoMtuFinding, EchoMtuStarted, EchoMtuStep,
    EchoPath, Sink,
};
use crate::flow::Family;
use crate::ping::exchange::{Arrival, Exchange, IcmpError, Ready, Request, Sending};
use crate::ping::outbox::named_zone;
use crate::ping::{MOST_PAYLOAD, Naming, Signals, Target, meaning, wire};
use crate::socket::icmp::{IcmpSocket, Options, PathMtu};

/// Messages in one system call: there are never more probes under way.
const BATCH: usize = 8;

/// So many silent hops in a row, and nothing more is expected from behind.
const SILENT_HOPS: u8 = 3;

/// Which path to measure, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MtuConfig {
    /// Whither.
    pub target: Target,
    /// How long the search may take.
    pub deadline: Option<Duration>,
    /// How long to wait for each answer.
    pub wait: Duration,
    /// How often to try a size before it counts as vanished.
    pub tries: u8,
    /// The farthest hop to look for a black hole at.
    pub most_hops: u8,
    /// Whether to look up names.
    pub naming: Naming,
}

/// The options a socket needs for the search: Don't Fragment, and no heed to the
/// path MTU that the kernel remembers.
pub fn mtu_options() -> Options {
    Options {
        path_mtu: Some(PathMtu::Probe),
        ..Options::default()
    }
}

/// Searches until the path's MTU is known, a signal says stop or the time is over.
/// The socket must have [`mtu_options`], and may belong to any network namespace; the
/// target must have been resolved there.
pub fn search_mtu(
    config: &MtuConfig,
    socket: &IcmpSocket,
    signals: &Signals,
    sink: &dyn Sink,
) -> Result<EchoMtu, Error> {
    let mut sounding = Sounding::begin(config, socket, sink)?;
    while !sounding.tell.is_over(signals) {
        signals.take_status_request();
        sounding.send_what_is_due();
        sounding.tell_steps();
        if sounding.search.is_finished(Instant::now()) {
            sounding.tell_steps();
            break;
        }
        let deadline = sounding.search.next_deadline();
        let ready = sounding.tell.wait(&sounding.exchange, signals, deadline)?;
        sounding.receive(ready);
        sounding.tell.flush(Instant::now());
    }
    let last_heard = sounding.find_black_hole(signals)?;
    sounding.end(last_heard, signals)
}

/// An index into what refused sizes.
type Refusal = usize;

struct Sounding<'a> {
    config: &'a MtuConfig,
    socket: &'a IcmpSocket,
    ends: EchoEnds,
    search: Search<Refusal>,
    exchange: Exchange<'a>,
    tell: Tell<'a>,
    refusals: Vec<EchoMtuFinding>,
    /// The probe that the kernel refused and is about to say why.
    refused: Option<u64>,
    /// The number of the last probe, of whichever phase.
    numbers: u64,
}

impl<'a> Sounding<'a> {
    fn begin(
        config: &'a MtuConfig,
        socket: &'a IcmpSocket,
        sink: &'a dyn Sink,
    ) -> Result<Self, Error> {
        let family = socket.family();
        let plan = Plan {
            least: match family {
                Family::Ipv4 => 68,
                Family::Ipv6 => 1280,
            },
            most: narrow(MOST_PAYLOAD + headers(family)),
            tries: config.tries,
            wait: config.wait,
        };
        let payload = wire::counting_payload(MOST_PAYLOAD);
        let mut tell = Tell::begin(sink, config.naming, config.deadline)?;
        let ends = ends(&config.target, socket);
        let started = EchoMtuStarted {
            ends: ends.clone(),
            least_bytes: plan.least,
            tries: plan.tries,
        };
        tell.record(tell.began(), EchoPath::MtuStarted(started));
        Ok(Self {
            config,
            socket,
            ends,
            search: Search::new(plan, Instant::now()),
            exchange: Exchange::new([socket], &payload, BATCH),
            tell,
            refusals: Vec::new(),
            refused: None,
            numbers: 0,
        })
    }

    fn send_what_is_due(&mut self) {
        while self.refused.is_none()
            && let Some(probe) = self.search.poll_transmit(Instant::now())
        {
            self.numbers = probe.number;
            let payload_bytes = widen(probe.bytes) - headers(self.socket.family());
            self.exchange.push(Request {
                token: self.exchange.token(probe.number),
                to: self.config.target.address,
                ttl: None,
                payload_bytes,
            });
            let (search, refused) = (&mut self.search, &mut self.refused);
            let refusals = &mut self.refusals;
            self.exchange.flush(|at, _, _, sending| match sending {
                Sending::Taken => search.handle_accepted(probe.number, at),
                Sending::NoRoom(_) => search.handle_no_room(at),
                Sending::Reported => *refused = Some(probe.number),
                Sending::Failed(errno) => {
                    refusals.push(unsent(errno, None));
                    search.handle_error(probe.number, None, refusals.len() - 1);
                }
            });
            if self.refused.is_some() {
                self.receive(Ready::ALL);
            }
        }
    }

    fn receive(&mut self, ready: Ready) {
        let Self {
            config,
            socket,
            search,
            exchange,
            refusals,
            refused,
            ..
        } = self;
        let target = config.target.address.ip();
        exchange.receive(ready, |arrival| match arrival {
            Arrival::Reply(reply) => {
                let whole = search.bytes(reply.token.0.into()).is_some_and(|bytes| {
                    reply.message.len() + headers(socket.family()) - wire::HEADER == widen(bytes)
                });
                if reply.from.ip() == target && whole {
                    search.handle_reply(reply.times.arrived, reply.token.0.into());
                }
            }
            Arrival::Error(error) if error.to.ip() == target => {
                let (finding, mtu) = refusal(socket.family(), &error);
                refusals.push(finding);
                search.handle_error(error.token.0.into(), mtu, refusals.len() - 1);
            }
            Arrival::Local(error) => {
                let mtu = (error.errno == Errno::EMSGSIZE).then_some(error.info);
                if let Some(number) = refused.take() {
                    refusals.push(unsent(error.errno, mtu));
                    search.handle_error(number, mtu, refusals.len() - 1);
                }
            }
            _ => {}
        });
    }

    fn tell_steps(&mut self) {
        while let Some(step) = self.search.poll_step() {
            let step = self.step(step);
            self.tell.record(Instant::now(), EchoPath::MtuStep(step));
        }
    }

    fn step(&self, step: Step<Refusal>) -> EchoMtuStep {
        let finding = match step.finding {
            Finding::Passes { round_trip } => EchoMtuFinding::Passes { round_trip },
            Finding::Vanishes => EchoMtuFinding::Vanishes,
            Finding::Refused { detail, .. } => {
                let known = self.refusals.get(detail).cloned();
                known.unwrap_or(EchoMtuFinding::Vanishes)
            }
        };
        EchoMtuStep {
            packet_bytes: step.bytes,
            tries: step.tries,
            finding,
        }
    }

    /// Where packets vanish that are too long: the last hop that still says
    /// something about one.
    fn find_black_hole(&mut self, signals: &Signals) -> Result<Option<EchoLastHeard>, Error> {
        let Verdict {
            mtu: Some(_),
            beyond:
                Some(Step {
                    bytes,
                    finding: Finding::Vanishes,
                    ..
                }),
        } = self.search.verdict()
        else {
            return Ok(None);
        };
        let plan = trace::Plan {
            most_hops: self.config.most_hops,
            wait: self.config.wait,
            under_way: BATCH,
            ..trace::Plan::default()
        };
        let mut walk: Trace<EchoAddress> = Trace::new(plan, Instant::now());
        let mut last_heard: Option<(u8, EchoAddress)> = None;
        let silence = |heard: Option<&(u8, EchoAddress)>| heard.map_or(0, |(hop, _)| *hop);
        let mut asked = 0;
        while !walk.is_finished() && !self.tell.is_over(signals) {
            signals.take_status_request();
            self.walk_on(&mut walk, bytes);
            while let Some(hop) = walk.poll_hop(Instant::now()) {
                let heard = hop.fates.into_iter().find_map(|fate| match fate {
                    Fate::Answered { detail, .. } => Some(detail),
                    Fate::Silent | Fate::Unsent(_) => None,
                });
                last_heard = heard.map(|from| (hop.hop, from)).or(last_heard);
                asked = hop.hop;
            }
            if asked - silence(last_heard.as_ref()) >= SILENT_HOPS {
                break;
            }
            let ready = self
                .tell
                .wait(&self.exchange, signals, walk.next_deadline())?;
            self.hear(&mut walk, ready);
        }
        Ok(last_heard.map(|(hop, from)| EchoLastHeard {
            hop,
            from,
            from_name: None,
        }))
    }

    /// Sends the walk's probes, whose numbers follow those of the search.
    fn walk_on(&mut self, walk: &mut Trace<EchoAddress>, bytes: u32) {
        let here = self.ends.source.clone();
        while let Some(probe) = walk.poll_transmit(Instant::now()) {
            self.exchange.push(Request {
                token: self.exchange.token(self.numbers + probe.number),
                to: self.config.target.address,
                ttl: Some(probe.hop),
                payload_bytes: widen(bytes) - headers(self.socket.family()),
            });
            self.exchange.flush(|at, _, _, sending| match sending {
                Sending::Taken => walk.handle_accepted(probe.number, at),
                Sending::NoRoom(_) => walk.handle_refused(at),
                Sending::Reported | Sending::Failed(_) => {
                    walk.handle_failed(probe.number, here.clone());
                }
            });
        }
    }

    fn hear(&mut self, walk: &mut Trace<EchoAddress>, ready: Ready) {
        let (numbers, target) = (self.numbers, self.config.target.address.ip());
        self.exchange.receive(ready, |arrival| {
            if let Arrival::Error(error) = arrival
                && error.to.ip() == target
            {
                let number = u64::from(error.token.0).wrapping_sub(numbers);
                let from = named_zone(error.from);
                walk.handle_answer(Instant::now(), number, Standing::OnTheWay, from);
            }
        });
    }

    fn end(
        mut self,
        last_heard: Option<EchoLastHeard>,
        signals: &Signals,
    ) -> Result<EchoMtu, Error> {
        let now = Instant::now();
        let complete = self.search.is_finished(now);
        let Verdict { mtu, beyond } = self.search.verdict();
        let headers = narrow(headers(self.socket.family()));
        let result = EchoMtu {
            ends: self.ends.clone(),
            mtu_bytes: mtu,
            payload_bytes: mtu.map(|mtu| mtu.saturating_sub(headers)),
            complete,
            beyond: beyond.map(|step| self.step(step)),
            last_heard,
            kernel_mtu_bytes: self.socket.known_mtu(self.config.target.address).ok(),
            probes: self.search.sent(),
            time: now.saturating_duration_since(self.tell.began()),
        };
        let told = EchoPath::Mtu(Box::new(result.clone()));
        self.tell.record(now, told);
        self.tell.close(signals)?;
        Ok(result)
    }
}

/// What an ICMP error says of a size, and the MTU that comes with it.
fn refusal(family: Family, error: &IcmpError<'_>) -> (EchoMtuFinding, Option<u32>) {
    let (icmp_type, icmp_code) = (error.icmp_type, error.icmp_code);
    let too_big = matches!(
        (family, icmp_type, icmp_code),
        (Family::Ipv4, 3, 4) | (Family::Ipv6, 2, _)
    );
    let mtu_bytes = (too_big && error.info > 0).then_some(error.info);
    let finding = EchoMtuFinding::Refused {
        from: named_zone(error.from),
        from_name: None,
        mtu_bytes,
        icmp_type,
        icmp_code,
        meaning: meaning::of_error(family, icmp_type, icmp_code, error.info),
    };
    (finding, mtu_bytes)
}

fn unsent(errno: Errno, mtu_bytes: Option<u32>) -> EchoMtuFinding {
    EchoMtuFinding::Unsent {
        mtu_bytes,
        errno: format!("{errno:?}"),
        meaning: errno.desc().to_owned(),
    }
}

fn narrow(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

fn widen(bytes: u32) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
