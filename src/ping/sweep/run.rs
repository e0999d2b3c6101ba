//! The loop of a sweep: sends what [`Core`] wants sent, a batch a call, hands it
//! what arrives, and sleeps in `ppoll(2)` until its next deadline.
//!
//! Owns no policy: when to send and what counts is the core's. Never prints, and
//! never waits for a name but at the very beginning, and then not for long.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::prctl;

use super::core::{Core, Probe};
use super::figures::{Keeping, Verdict};
use super::plan::{Goal, Plan};
use super::roster::{Joined, Roster, Shown};
use super::tell::{Tell, Telling};
use crate::error::Error;
use crate::event::{Echo, Sink};
use crate::flow::Family;
use crate::ping::exchange::{Arrival, BATCH, Exchange, Ready, Request, Sending};
use crate::ping::host::ArrivalTime;
use crate::ping::host::payload::payload;
use crate::ping::targets::{Spec, Targets, Wanted};
use crate::ping::{Signals, Way};
use crate::socket::icmp::IcmpSocket;

/// How long the first request waits for names, so that targets come in the order
/// in which they were given. Whoever is not known by then joins later.
const NAMES_FIRST: Duration = Duration::from_millis(200);
/// Round trips kept at most, over all targets: 256 MB.
const MOST_KEPT: u64 = 1 << 26;
/// How long nothing is sent after the kernel had no room.
const PAUSE: Duration = Duration::from_millis(1);

/// How to sweep.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// When to send and when to stop.
    pub plan: Plan,
    /// Bytes after the ICMP header in each request.
    pub payload_bytes: usize,
    /// What they repeat; they count where there is none.
    pub pattern: Vec<u8>,
    /// Which time of a reply's arrival counts.
    pub arrival: ArrivalTime,
    /// What to ask the resolver.
    pub wanted: Wanted,
    /// What targets are called.
    pub shown: Shown,
    /// How much is told.
    pub telling: Telling,
    /// What tells requests' source addresses; `None` is the routing table as it
    /// is for a socket without options.
    pub way: Option<Arc<Way>>,
    /// Whether each target's single round trips are kept.
    pub keep_round_trips: bool,
}

/// A sweep as it stands.
#[derive(Debug)]
pub struct Outcome {
    /// Its targets.
    pub targets: Targets,
    /// Their figures.
    pub core: Core,
    /// From the first request to the end.
    pub elapsed: Duration,
}

impl Outcome {
    /// How many targets answered.
    pub fn alive(&self) -> u32 {
        self.count(Verdict::Alive)
    }

    /// How many have no address.
    pub fn unresolved(&self) -> u32 {
        self.count(Verdict::Unresolved)
    }

    fn count(&self, verdict: Verdict) -> u32 {
        let all = 0..self.targets.count();
        let found = all.filter(|&index| self.core.figures(index).verdict() == verdict);
        u32::try_from(found.count()).unwrap_or(u32::MAX)
    }
}

/// A sweep that is under way.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// Its targets.
    pub targets: &'a Targets,
    /// Their figures.
    pub core: &'a Core,
}

/// Is called between the steps of a sweep.
pub trait Watcher {
    /// Targets have joined.
    fn joined(&self, _: &View<'_>) {}
    /// The sweep is about to sleep.
    fn idle(&self) {}
    /// Someone asked for the figures (`SIGQUIT`).
    fn status(&self, _: &View<'_>) {}
}

/// Nobody watches.
impl Watcher for () {}

/// Pings all of `specs` until the plan is fulfilled or a signal says stop.
///
/// At most one socket a family; all belong to the network that the names are
/// looked up in.
pub fn run(
    config: &Config,
    specs: Vec<Spec>,
    sockets: &[IcmpSocket],
    signals: &Signals,
    told: (&dyn Sink, &dyn Watcher),
) -> Result<Outcome, Error> {
    // A timer may otherwise be up to 50 µs late; a kernel that refuses stays so.
    let _ = prctl::set_timerslack(1);
    let roster = Roster::begin(specs, config.wanted, config.shown)?;
    let payload = payload(&config.pattern, config.payload_bytes);
    let mut run = Run::begin(config, &payload, roster, (sockets, signals), told)?;
    while !signals.is_stopped() {
        run.show_status_if_asked(signals);
        run.send();
        if run.is_finished() {
            break;
        }
        run.wait_and_receive(signals)?;
        run.admit()?;
    }
    run.give_up_names()?;
    Ok(run.end())
}

struct Run<'a> {
    config: &'a Config,
    roster: Roster,
    targets: Targets,
    core: Core,
    exchange: Exchange<'a>,
    tell: Tell<'a>,
    watcher: &'a dyn Watcher,
    /// Handed out by the core in this turn.
    batch: Vec<Probe>,
    /// Whether the socket or the batch was full in this turn.
    hurried: bool,
    looked_at: Instant,
}

impl<'a> Run<'a> {
    fn begin(
        config: &'a Config,
        payload: &'a [u8],
        mut roster: Roster,
        (sockets, signals): (&'a [IcmpSocket], &Signals),
        (sink, watcher): (&'a dyn Sink, &'a dyn Watcher),
    ) -> Result<Self, Error> {
        let exchange = Exchange::new(sockets, payload, BATCH);
        let tell = Tell::begin(sink, config, payload, sockets);
        let answers = first_names(&mut roster, signals)?;
        let now = Instant::now();
        let core = Core::new(config.plan, exchange.window(), now);
        let mut run = Self {
            config,
            roster,
            targets: Targets::default(),
            core,
            exchange,
            tell,
            watcher,
            batch: Vec::with_capacity(BATCH),
            hurried: false,
            looked_at: now,
        };
        let mut joined = Vec::new();
        let mut each = |one| joined.push(one);
        run.roster.open(&mut run.targets, answers, &mut each)?;
        run.join(&joined);
        if config.keep_round_trips {
            check_room(run.targets.count(), config.plan.goal)?;
            run.core.keep_round_trips(Keeping::All);
        } else if run.tell.tells_figures() {
            run.core.keep_round_trips(Keeping::Latest);
        }
        Ok(run)
    }

    fn join(&mut self, joined: &[Joined]) {
        for one in joined {
            match one {
                Joined::Reachable(count) => self.core.add_targets(Instant::now(), *count),
                Joined::Nameless(index) => {
                    self.core.add_unresolved();
                    self.tell.unresolved(&self.targets, *index);
                }
            }
        }
        if !joined.is_empty() {
            self.watcher.joined(&self.view());
        }
    }

    /// Those whose names have become known.
    fn admit(&mut self) -> Result<(), Error> {
        if self.roster.pending().is_none() {
            return Ok(());
        }
        let mut joined = Vec::new();
        for answer in self.roster.answers() {
            let mut each = |one| joined.push(one);
            self.roster.admit(&mut self.targets, answer, &mut each)?;
        }
        self.join(&joined);
        Ok(())
    }

    /// Whoever's name is still looked up keeps its row.
    fn give_up_names(&mut self) -> Result<(), Error> {
        let mut joined = Vec::new();
        let mut each = |one| joined.push(one);
        self.roster.give_up(&mut self.targets, &mut each)?;
        self.join(&joined);
        Ok(())
    }

    fn view(&self) -> View<'_> {
        View {
            targets: &self.targets,
            core: &self.core,
        }
    }

    fn is_finished(&self) -> bool {
        let deadline = self.config.plan.deadline;
        let over = deadline.is_some_and(|end| self.looked_at >= self.core.started() + end);
        self.core.is_finished(self.looked_at) && (over || self.roster.pending().is_none())
    }

    fn show_status_if_asked(&mut self, signals: &Signals) {
        if signals.take_status_request() {
            self.tell.summaries(&self.core, &self.targets, Echo::Status);
            self.watcher.status(&self.view());
        }
    }

    /// Sends what is due, a batch at most: what has arrived meanwhile is looked
    /// at in between.
    fn send(&mut self) {
        let now = Instant::now();
        self.batch.clear();
        while self.batch.len() < BATCH {
            let Some(probe) = self.core.poll_transmit(now) else {
                break;
            };
            if !self.push(now, probe) {
                break;
            }
        }
        self.hurried = self.batch.len() == BATCH;
        if !self.batch.is_empty() {
            self.flush();
        }
    }

    /// Whether there is room for another.
    fn push(&mut self, now: Instant, probe: Probe) -> bool {
        let Some(to) = self.targets.address(probe.target) else {
            return true;
        };
        let request = Request {
            token: probe.token,
            to,
            ttl: None,
            payload_bytes: self.config.payload_bytes,
        };
        if self.exchange.push(request) {
            self.batch.push(probe);
            return true;
        }
        if self.exchange.socket(Family::of(to.ip())).is_some() {
            self.core.take_back(now, probe.token);
            return false;
        }
        if let Some(failed) = self.core.handle_refused(now, probe.token) {
            let errno = Errno::EAFNOSUPPORT;
            self.tell.refused(&self.core, &self.targets, failed, errno);
        }
        true
    }

    fn flush(&mut self) {
        let (core, tell, targets) = (&mut self.core, &mut self.tell, &self.targets);
        // A socket's requests come back in order; with two sockets those of one
        // come first.
        let (batch, mut next) = (&self.batch, 0);
        let mut probe_of = |token| {
            let here = batch[next.min(batch.len())..]
                .iter()
                .position(|probe| probe.token == token);
            if let Some(place) = here {
                next += place + 1;
                return batch.get(next - 1).copied();
            }
            batch.iter().find(|probe| probe.token == token).copied()
        };
        let mut full = false;
        self.exchange.flush(|at, request, message, sending| {
            let Some(probe) = probe_of(request.token) else {
                return;
            };
            match sending {
                Sending::Taken => {
                    core.handle_sent(at, probe.token);
                    tell.request(at, targets, probe, message);
                }
                Sending::NoRoom(_) => full = true,
                Sending::Reported => {
                    if let Some(failed) = core.handle_refused(at, probe.token) {
                        tell.reported(at, core, targets, failed);
                    }
                }
                Sending::Failed(errno) => {
                    if let Some(failed) = core.handle_refused(at, probe.token) {
                        tell.refused(core, targets, failed, errno);
                    }
                }
            }
        });
        if full {
            let not_before = Instant::now() + PAUSE;
            for probe in &self.batch {
                self.core.take_back(not_before, probe.token);
            }
            self.hurried = false;
        }
    }

    /// Sleeps until there is something to do, unless there is, and takes all
    /// that has arrived.
    fn wait_and_receive(&mut self, signals: &Signals) -> Result<(), Error> {
        let (mut ready, mut has_news) = (Ready::ALL, true);
        let hurried = self.hurried && self.core.has_work(Instant::now());
        if !hurried {
            self.watcher.idle();
            let mut others: Vec<BorrowedFd<'_>> = vec![signals.as_fd()];
            others.extend(self.roster.pending().map(AsFd::as_fd));
            let deadline = self.core.next_deadline();
            let news = self.exchange.wait(&others, deadline)?;
            has_news = !news.is_empty();
            if has_news {
                ready = news;
            }
        }
        let looked_at = Instant::now();
        self.looked_at = looked_at;
        if !has_news && !self.core.may_expire(looked_at) {
            return Ok(());
        }
        while self.receive(ready) {
            ready = Ready::ALL;
        }
        while let Some(over) = self.core.poll_expired(looked_at) {
            self.tell.over(&self.core, &self.targets, over);
        }
        Ok(())
    }

    fn receive(&mut self, ready: Ready) -> bool {
        let (core, tell, targets) = (&mut self.core, &mut self.tell, &self.targets);
        self.exchange.receive(ready, |arrival| match arrival {
            Arrival::Reply(reply) => tell.reply(core, targets, &reply),
            Arrival::Error(error) => tell.icmp_error(core, targets, &error),
            Arrival::Local(error) => tell.local_error(&error),
            // A sweep neither follows redirects nor asks for departures.
            Arrival::Redirect(_) | Arrival::RawError(_) | Arrival::Departed(_) => {}
        })
    }

    fn end(mut self) -> Outcome {
        let elapsed = self.core.started().elapsed();
        self.tell
            .summaries(&self.core, &self.targets, Echo::Summary);
        Outcome {
            targets: self.targets,
            core: self.core,
            elapsed,
        }
    }
}

/// Whether all round trips of so many targets can be kept.
fn check_room(targets: u32, goal: Goal) -> Result<(), Error> {
    let Goal::Count(count) = goal else {
        return Ok(());
    };
    if u64::from(targets) * u64::from(count) <= MOST_KEPT {
        return Ok(());
    }
    let what = format!("{count} round trips of each of {targets} targets");
    let cause = format!("there is room for {MOST_KEPT} in all");
    Err(Error::new("keep", what, cause).remedy("ask for fewer, or write them to a file with --csv"))
}

/// The answers that come in time to keep the targets' order.
fn first_names(
    roster: &mut Roster,
    signals: &Signals,
) -> Result<Vec<crate::ping::targets::Answer>, Error> {
    let until = Instant::now() + NAMES_FIRST;
    let mut answers = Vec::new();
    let nothing = Exchange::new([], &[], 1);
    while let Some(lookups) = roster.pending() {
        if signals.is_stopped() || Instant::now() >= until {
            break;
        }
        nothing.wait(&[lookups.as_fd(), signals.as_fd()], Some(until))?;
        answers.extend(roster.answers());
    }
    Ok(answers)
}
