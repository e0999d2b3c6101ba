//! A sweep in the words of `fping(8)`, so that scripts which parse fping work
//! unchanged: lines as things happen, and what they amount to at the end.
//!
//! Owns the wording and nothing else: what happened and what it amounts to is
//! decided before. Standard output holds what was asked for; errors, figures and
//! statistics go to the second writer.

mod closing;
mod numbers;
mod result;

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use numbers::milliseconds;
pub use result::SweepResult;

use crate::event::{
    Echo, EchoCause, EchoFailure, EchoJudgement, EchoNoAnswer, EchoPatience, EchoReachability,
    EchoReply, EchoVerdict, Event, Sink, Topic, What,
};
use crate::ping::sweep::{Outcome, View, Watcher};

/// Rings, and shows nothing.
const BELL: char = '\x07';

/// What the text looks like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag that is typed"
)]
pub struct Layout {
    /// What there is to tell.
    pub subject: Subject,
    /// Leave out the lines in between, and errors (`-q`).
    pub quiet: bool,
    /// Add the round trip to what is alive (fping's `-e`).
    pub elapsed: bool,
    /// Begin each reply's line with the time (`-D`).
    pub stamps: bool,
    /// Ring the bell at each reply, in a check at each target that is alive
    /// (`-a`).
    pub audible: bool,
    /// Add how long targets were out, for requests that far apart.
    pub outage: Option<Duration>,
    /// Add the figures over all targets (fping's `-s`).
    pub statistics: bool,
    /// Say only whether so many targets answered (fping's `-x`).
    pub required: Option<u32>,
}

/// What there is to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Whether targets answer.
    Verdicts(List),
    /// How they answer; each target's figures at the end.
    Figures,
    /// That, with each of so many round trips at the end.
    Columns(u32),
}

impl Default for Subject {
    fn default() -> Self {
        Self::Verdicts(List::All)
    }
}

/// Which targets are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum List {
    /// All, with the verdict.
    #[default]
    All,
    /// The names of those that answer.
    Alive,
    /// The names of those that do not.
    Unreachable,
}

/// Writes a sweep as text.
pub struct SweepText<Out, Err> {
    layout: Layout,
    stop: Arc<AtomicBool>,
    state: Mutex<State<Out, Err>>,
}

struct State<Out, Err> {
    out: Out,
    err: Err,
    /// How far names reach.
    width: usize,
    tallies: Vec<Tally>,
    line: String,
    failure: Option<io::Error>,
}

/// A target's replies so far.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    settled: u32,
    received: u32,
    sum: Duration,
    /// The newest request that went unanswered.
    unanswered: u64,
}

impl<Out: Write + Send, Err: Write + Send> SweepText<Out, Err> {
    /// Results go to `out`, which may keep them until the sweep is idle; the
    /// rest to `err`. When `out` fails, `stop` is raised.
    pub fn new(layout: Layout, out: Out, err: Err, stop: Arc<AtomicBool>) -> Self {
        let state = State {
            out,
            err,
            width: 0,
            tallies: Vec::new(),
            line: String::new(),
            failure: None,
        };
        Self {
            layout,
            stop,
            state: Mutex::new(state),
        }
    }

    /// Writes what the sweep amounts to.
    pub fn conclude(&self, outcome: &Outcome) {
        self.with_state(|state| {
            closing::write(&self.layout, outcome, &mut state.out, &mut state.err)
        });
    }

    /// The error that ended the output, if one did.
    pub fn into_result(self) -> io::Result<()> {
        let state = self.state.into_inner();
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        state.failure.map_or_else(|| state.out.flush(), Err)
    }

    fn with_state(&self, write: impl FnOnce(&mut State<Out, Err>) -> io::Result<()>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.failure.is_some() {
            return;
        }
        if let Err(failure) = write(&mut state) {
            state.failure = Some(failure);
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

impl<Out: Write + Send, Err: Write + Send> Sink for SweepText<Out, Err> {
    fn wants(&self, topic: Topic) -> bool {
        topic == Topic::Echo && self.layout.has_lines()
    }

    fn record(&self, event: &Event<'_>) {
        let What::Echo(echo) = &event.what else {
            return;
        };
        if !self.layout.has_lines() {
            return;
        }
        self.with_state(|state| match echo {
            Echo::Reply(reply) => state.reply(&self.layout, reply),
            Echo::NoAnswer(silence) => state.silence(&self.layout, silence),
            Echo::Failure(failure) => state.failure(&self.layout, failure),
            Echo::Verdict(verdict) => state.verdict(&self.layout, verdict),
            Echo::Unresolved(unresolved) if !self.layout.quiet => state.tell_error(&format!(
                "{}: {}",
                unresolved.target.name, unresolved.reason
            )),
            _ => Ok(()),
        });
    }
}

impl<Out: Write + Send, Err: Write + Send> Watcher for SweepText<Out, Err> {
    fn joined(&self, view: &View<'_>) {
        self.with_state(|state| {
            state.width = view.targets.width();
            Ok(())
        });
    }

    fn idle(&self) {
        self.with_state(|state| state.out.flush());
    }

    fn status(&self, view: &View<'_>) {
        self.with_state(|state| {
            state.out.flush()?;
            // Nobody may be reading standard error; that is no reason to stop.
            let _ = closing::status(&self.layout, view, &mut state.err);
            Ok(())
        });
    }
}

impl Layout {
    /// Whether anything is told before the end.
    fn has_lines(&self) -> bool {
        !self.quiet || self.subject == Subject::Verdicts(List::Alive)
    }

    fn is_check(&self) -> bool {
        matches!(self.subject, Subject::Verdicts(_))
    }
}

impl<Out: Write, Err: Write> State<Out, Err> {
    fn reply(&mut self, layout: &Layout, reply: &EchoReply<'_>) -> io::Result<()> {
        let (name, index) = (&reply.target.name, reply.number - 1);
        let (bytes, time) = (reply.message_bytes, milliseconds(reply.round_trip));
        match reply.judgement {
            EchoJudgement::Counted => {}
            EchoJudgement::Duplicate => {
                let line = format!("{name} : duplicate for [{index}], {bytes} bytes, {time} ms");
                return self.tell_error(&line);
            }
            EchoJudgement::BadChecksum => {
                return self.tell_error(&format!("{name} : bad checksum for [{index}]"));
            }
            EchoJudgement::DifferentAddress => {
                let line = format!("{name} : reply for [{index}] from {}", reply.from);
                return self.tell_error(&line);
            }
        }
        let tally = self.tally(reply.target.index);
        tally.settled += 1;
        tally.received += 1;
        tally.sum += reply.round_trip;
        if layout.is_check() || layout.quiet {
            return Ok(());
        }
        self.begin(layout, name);
        if layout.audible {
            self.line.insert(0, BELL);
        }
        let _ = write!(self.line, " : [{index}], {bytes} bytes, {time} ms");
        self.end(reply.target.index)
    }

    fn silence(&mut self, layout: &Layout, silence: &EchoNoAnswer) -> io::Result<()> {
        if silence.patience != EchoPatience::Over {
            return Ok(());
        }
        self.unanswered(
            layout,
            silence.target.index,
            &silence.target.name,
            silence.number,
        )
    }

    fn unanswered(
        &mut self,
        layout: &Layout,
        target: u32,
        name: &str,
        number: u64,
    ) -> io::Result<()> {
        let tally = self.tally(target);
        tally.settled += 1;
        tally.unanswered = tally.unanswered.max(number);
        if layout.is_check() || layout.quiet {
            return Ok(());
        }
        self.begin(layout, name);
        let _ = write!(self.line, " : [{}], timed out", number - 1);
        self.end(target)
    }

    fn begin(&mut self, layout: &Layout, name: &str) {
        self.line.clear();
        if layout.stamps {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let now = now.unwrap_or_default().as_secs_f64();
            let _ = write!(self.line, "[{now:.5}] ");
        }
        let _ = write!(self.line, "{name:width$}", width = self.width);
    }

    /// The running figures that end a line.
    fn end(&mut self, target: u32) -> io::Result<()> {
        let tally = *self.tally(target);
        let loss = (tally.settled - tally.received) * 100 / tally.settled.max(1);
        let average = match tally.received {
            0 => "NaN".to_owned(),
            count => milliseconds(tally.sum / count).to_string(),
        };
        let _ = writeln!(self.line, " ({average} avg, {loss}% loss)");
        self.out.write_all(self.line.as_bytes())
    }

    fn failure(&mut self, layout: &Layout, failure: &EchoFailure) -> io::Result<()> {
        let name = failure.target.as_ref().map_or("", |target| &target.name);
        let line = match &failure.cause {
            EchoCause::Icmp { from, .. } => {
                let what = icmp_error(&failure.cause);
                Some(format!("{what} from {from} for ICMP Echo sent to {name}"))
            }
            EchoCause::Send { meaning, .. } => layout
                .is_check()
                .then(|| format!("{name}: error while sending ping: {meaning}")),
            EchoCause::TooLong { mtu_bytes } => Some(format!("message too long, mtu={mtu_bytes}")),
            EchoCause::Local { meaning, .. } => Some(format!("local error: {meaning}")),
        };
        if let Some(line) = line.filter(|_| !layout.quiet) {
            self.tell_error(&line)?;
        }
        self.unanswered_by(layout, failure)
    }

    /// fping waits on after an error and says so when time is over; the wait is
    /// over here.
    fn unanswered_by(&mut self, layout: &Layout, failure: &EchoFailure) -> io::Result<()> {
        let (Some(target), Some(number)) = (&failure.target, failure.number) else {
            return Ok(());
        };
        if number <= self.tally(target.index).unanswered {
            return Ok(());
        }
        if let EchoCause::Icmp { .. } = failure.cause {
            return self.unanswered(layout, target.index, &target.name, number);
        }
        let tally = self.tally(target.index);
        tally.settled += 1;
        tally.unanswered = number;
        Ok(())
    }

    fn verdict(&mut self, layout: &Layout, verdict: &EchoVerdict) -> io::Result<()> {
        let list = match layout.subject {
            Subject::Verdicts(list) if layout.required.is_none() => list,
            _ => return Ok(()),
        };
        let shown = match list {
            List::All => !layout.quiet,
            List::Alive => true,
            List::Unreachable => false,
        };
        if verdict.verdict != EchoReachability::Alive || !shown {
            return Ok(());
        }
        self.line.clear();
        self.line.extend(layout.audible.then_some(BELL));
        self.line.push_str(&verdict.target.name);
        if list == List::All {
            self.line.push_str(" is alive");
        }
        if let (true, Some(time)) = (layout.elapsed, verdict.round_trip) {
            let _ = write!(self.line, " ({} ms)", milliseconds(time));
        }
        self.line.push('\n');
        self.out.write_all(self.line.as_bytes())
    }

    fn tell_error(&mut self, line: &str) -> io::Result<()> {
        // In one terminal, lines keep their order.
        self.out.flush()?;
        let _ = writeln!(self.err, "{line}");
        Ok(())
    }

    fn tally(&mut self, target: u32) -> &mut Tally {
        let place = target as usize;
        if place >= self.tallies.len() {
            self.tallies.resize(place + 1, Tally::default());
        }
        &mut self.tallies[place]
    }
}

/// An error as fping names it, where it does.
fn icmp_error(cause: &EchoCause) -> String {
    let EchoCause::Icmp {
        from,
        icmp_type,
        icmp_code,
        meaning,
        ..
    } = cause
    else {
        return String::new();
    };
    let words = match (from.ip.is_ipv6(), icmp_type, icmp_code) {
        (false, 3, 0) => "Network Unreachable",
        (false, 3, 1) => "Host Unreachable",
        (false, 3, 2) => "Protocol Unreachable",
        (false, 3, 3) => "Port Unreachable",
        (false, 11, _) => "Time Exceeded",
        (false, 12, _) => "Parameter Problem",
        (false, 3, _) => return format!("ICMP Unreachable ({meaning})"),
        _ => return format!("ICMP {meaning}"),
    };
    format!("ICMP {words}")
}

#[cfg(test)]
mod tests;
