//! The loop of a ping run: sends what [`Core`] wants sent, hands it what
//! arrives, and sleeps in `ppoll(2)` until its next deadline.
//!
//! Owns no policy: when to send and what counts is the core's. Never prints and
//! never waits for anything but `ppoll(2)`.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use super::core::{Core, Refused};
use super::payload::payload;
use super::plan::Plan;
use super::tell::Tell;
use crate::error::Error;
use crate::event::{EchoPatience, EchoSummary, Sink};
use crate::ping::exchange::{BATCH, Exchange, Ready, Request, Sending};
use crate::ping::names::Names;
use crate::ping::{Signals, Target};
use crate::socket::icmp::IcmpSocket;

/// So many batches go out before what came back is taken: replies to more would
/// not fit into the receive buffer that anyone gets.
const MOST_BATCHES: usize = 4;

/// What to ping, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Whom.
    pub target: Target,
    /// When to send and when to stop.
    pub plan: Plan,
    /// Bytes after the ICMP header in each request (`-s`).
    pub payload_bytes: usize,
    /// What the payload repeats (`-p`); nothing: it counts 0, 1, 2, …
    pub pattern: Vec<u8>,
    /// What to call addresses (`-n`).
    pub naming: Naming,
    /// Which time of a reply's arrival counts (`-U`).
    pub arrival: ArrivalTime,
    /// Who may answer.
    pub responders: Responders,
}

/// Which time of a reply's arrival counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ArrivalTime {
    /// When this host's kernel received it.
    #[default]
    Kernel,
    /// When this program took it.
    Program,
}

/// Who may answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Responders {
    /// The target, or where it is a multicast address anyone.
    #[default]
    Target,
    /// Anyone: the target is a broadcast address.
    Anyone,
}

/// What to call the addresses that replies and errors come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// By name, where the target was given by name.
    Names,
    /// By number.
    Numbers,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The figures.
    pub summary: EchoSummary,
    /// Whether `ping(8)` would exit with 0.
    pub success: bool,
}

/// Pings until the plan is fulfilled or a signal says stop.
///
/// The socket may belong to any network namespace; the target must have been
/// resolved there.
pub fn run(
    config: &Config,
    socket: &IcmpSocket,
    signals: &Signals,
    sink: &dyn Sink,
) -> Result<Outcome, Error> {
    let mut run = Run::begin(config, socket, sink)?;
    // Time is over once the socket was looked at after its end: what was there
    // in time counts, however late this process got to run.
    let mut looked_at = Instant::now();
    while !signals.is_stopped() {
        run.show_status_if_asked(signals);
        run.send_if_due();
        if run.core.is_finished(looked_at) {
            break;
        }
        looked_at = match run.receive_at_once() {
            Some(looked_at) => looked_at,
            None => run.wait_and_receive(signals)?,
        };
        run.tell.flush(Instant::now());
    }
    run.end(signals)
}

struct Run<'a> {
    core: Core,
    exchange: Exchange<'a>,
    tell: Tell<'a>,
    /// Probes handed out by the core and not yet by the exchange.
    numbers: Vec<u64>,
}

impl<'a> Run<'a> {
    fn begin(
        config: &'a Config,
        socket: &'a IcmpSocket,
        sink: &'a dyn Sink,
    ) -> Result<Self, Error> {
        let payload = payload(&config.pattern, config.payload_bytes);
        let mut exchange = Exchange::new([socket], &payload, BATCH);
        if config.plan.interval.is_zero() {
            exchange.sort_here();
        }
        let mut tell = Tell::new(config, socket, sink, Instant::now())?;
        tell.started();
        // What the announcement took is not the run's time.
        let core = Core::new(config.plan.clone(), exchange.window(), Instant::now());
        Ok(Self {
            core,
            exchange,
            tell,
            numbers: Vec::with_capacity(BATCH),
        })
    }

    fn show_status_if_asked(&mut self, signals: &Signals) {
        if signals.take_status_flag() {
            let now = Instant::now();
            let status = self.core.summary(self.tell.about(), now);
            self.tell.status(now, status);
        }
    }

    /// The probes that are due, many in one system call, and of a large preload
    /// not all before what came back is taken.
    fn send_if_due(&mut self) {
        let now = Instant::now();
        for _ in 0..MOST_BATCHES {
            if !self.collect_due(now) {
                return;
            }
            if !self.exchange.transmit() {
                // It bears on when to send next.
                self.tell_sent();
            }
        }
        while self.receive(Ready::ALL) {}
    }

    /// Up to a batch of probes that are due; whether there is one.
    fn collect_due(&mut self, now: Instant) -> bool {
        let mut collected = 0;
        while collected < BATCH {
            let Some(probe) = self.core.poll_transmit(now) else {
                break;
            };
            if collected == 0 {
                self.tell_sent();
            }
            collected += 1;
            if let Some(number) = probe.unanswered {
                self.tell.no_answer(now, number, EchoPatience::Waiting);
            }
            self.numbers.push(probe.number);
            self.exchange.push(Request {
                token: probe.token,
                to: self.tell.config().target.address,
                ttl: None,
                payload_bytes: self.tell.config().payload_bytes,
            });
        }
        collected > 0
    }

    /// Tells of what was sent: not at once, as what the requests go through may
    /// want this processor, but before anything else is told.
    fn tell_sent(&mut self) {
        let (core, tell) = (&mut self.core, &mut self.tell);
        let mut numbers = self.numbers.drain(..);
        self.exchange.tell(|at, request, message, sending| {
            let Some(number) = numbers.next() else {
                return;
            };
            let failed = match sending {
                Sending::Taken => {
                    core.handle_accepted(number, at);
                    return tell.request(at, number, request, message);
                }
                Sending::NoRoom(errno) => match core.handle_refused(at, number) {
                    Refused::Later => return,
                    Refused::Counted => Some(errno),
                },
                Sending::Reported => None,
                Sending::Failed(errno) => Some(errno),
            };
            core.handle_failed(number);
            if let Some(errno) = failed {
                tell.send_failure(at, number, request, errno);
            }
        });
    }

    /// Without an interval: takes what is there, without waiting. `None`: replies
    /// are missing that have to be waited for.
    fn receive_at_once(&mut self) -> Option<Instant> {
        if !self.core.is_unpaced() {
            return None;
        }
        let looked_at = Instant::now();
        while self.receive(Ready::ALL) && !self.core.is_caught_up() {}
        if !self.core.is_caught_up() {
            self.core.handle_wait();
            return None;
        }
        if !self.tell.wants_packets() {
            self.core.handle_promptness();
        }
        Some(looked_at)
    }

    fn receive(&mut self, ready: Ready) -> bool {
        self.tell_sent();
        let (core, tell) = (&mut self.core, &mut self.tell);
        self.exchange.receive(ready, |arrival| {
            if !core.is_settled() {
                tell.arrival(core, &arrival);
            }
        })
    }

    /// Sleeps until there is news and takes it. Everything that had arrived by
    /// the time returned has been seen.
    fn wait_and_receive(&mut self, signals: &Signals) -> Result<Instant, Error> {
        let asleep_at = Instant::now();
        let ready = self.wait(signals)?;
        self.receive(ready);
        Ok(asleep_at)
    }

    /// Sleeps until something arrives, a signal comes, a name is known or the
    /// core has something to do.
    fn wait(&self, signals: &Signals) -> Result<Ready, Error> {
        let names = self.tell.pending_names();
        let mut others: Vec<BorrowedFd<'_>> = vec![signals.as_fd()];
        others.extend(names.map(AsFd::as_fd));
        let patience = names.and_then(Names::next_deadline);
        let deadline = self.core.next_deadline().into_iter().chain(patience).min();
        let deadline = if signals.may_sleep() {
            deadline
        } else {
            Some(Instant::now())
        };
        self.exchange.wait(&others, deadline)
    }

    /// The last events, once their names are known or nobody waits any longer.
    fn end(mut self, signals: &Signals) -> Result<Outcome, Error> {
        self.tell_sent();
        let now = Instant::now();
        let summary = self.core.summary(self.tell.about(), now);
        self.tell.unanswered(now, self.core.unanswered(now));
        self.tell.summary(now, summary.clone());
        while let (false, Some(names)) = (signals.is_stopped(), self.tell.pending_names()) {
            let nothing = Exchange::new([], &[], 1);
            nothing.wait(&[names.as_fd(), signals.as_fd()], names.next_deadline())?;
            signals.take_status_request();
            self.tell.flush(Instant::now());
        }
        self.tell.close();
        Ok(Outcome {
            summary,
            success: self.core.is_success(),
        })
    }
}
