//! A path as a person reads it: a line for each router of a hop, and the
//! largest packet with what limits it.
//!
//! Owns the sink and the wording of both summaries; [`hop`] words a hop, [`mtu`]
//! a size. A probe without an answer is never called lost.

mod hop;
mod mtu;

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::event::{
    Echo, EchoAddress, EchoEnds, EchoPath, EchoSocket, EchoTrace, EchoTraceEnd, EchoTraceStarted,
    Event, Sink, Topic, What,
};
use crate::report::figure::counted;
use crate::report::line::Line;
use crate::report::style::{Paint, Style};

/// What the text looks like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PathLayout {
    /// How much of it.
    pub detail: PathDetail,
    /// Whether addresses may come with names.
    pub names: bool,
    /// Its width and its colours.
    pub style: Style,
}

/// How much is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathDetail {
    /// The first line and the summary (`-q`).
    Summary,
    /// A line for each router of a hop.
    #[default]
    Lines,
    /// That, each error in words and each size tried (`-v`).
    Steps,
    /// That, and the errors' bytes (`--hex`).
    Bytes,
}

/// Writes what becomes known of a path as text.
pub struct PathText<Out> {
    layout: PathLayout,
    stop: Arc<AtomicBool>,
    state: Mutex<State<Out>>,
}

struct State<Out> {
    out: Out,
    ipv6: bool,
    failure: Option<io::Error>,
}

impl<Out: Write + Send> PathText<Out> {
    /// Lines go to `out`. When that fails, `stop` is raised.
    pub fn new(layout: PathLayout, out: Out, stop: Arc<AtomicBool>) -> Self {
        let state = State {
            out,
            ipv6: false,
            failure: None,
        };
        Self {
            layout,
            stop,
            state: Mutex::new(state),
        }
    }

    /// The error that ended the output, if one did.
    pub fn into_result(self) -> io::Result<()> {
        let state = self.state.into_inner();
        let state = state.unwrap_or_else(PoisonError::into_inner);
        state.failure.map_or(Ok(()), Err)
    }
}

impl<Out: Write + Send> Sink for PathText<Out> {
    fn wants(&self, topic: Topic) -> bool {
        topic == Topic::Echo
    }

    fn record(&self, event: &Event<'_>) {
        let What::Echo(Echo::Path(path)) = &event.what else {
            return;
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.failure.is_some() {
            return;
        }
        let lines = lines(self.layout, &mut state.ipv6, path);
        let (out, style) = (&mut state.out, &self.layout.style);
        let written = lines.iter().try_for_each(|line| line.write(out, style));
        if let Err(failure) = written.and_then(|()| state.out.flush()) {
            state.failure = Some(failure);
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

fn lines(layout: PathLayout, ipv6: &mut bool, path: &EchoPath) -> Vec<Line> {
    match path {
        EchoPath::TraceStarted(started) => {
            *ipv6 = started.ends.address.ip.is_ipv6();
            trace_header(started)
        }
        EchoPath::Hop(_) if layout.detail == PathDetail::Summary => Vec::new(),
        EchoPath::Hop(hop) => hop::lines(layout, *ipv6, hop),
        EchoPath::Trace(trace) => trace_summary(trace),
        EchoPath::MtuStarted(started) => vec![header("PATH MTU", &started.ends)],
        EchoPath::MtuStep(step) if layout.detail >= PathDetail::Steps => vec![mtu::step(step)],
        EchoPath::MtuStep(_) => Vec::new(),
        EchoPath::Mtu(found) => mtu::summary(found),
    }
}

fn trace_header(started: &EchoTraceStarted) -> Vec<Line> {
    let hops = counted(started.most_hops.into(), "hop");
    let probes = counted(started.probes_per_hop.into(), "request");
    let bytes = started.packet_bytes;
    let plan = format!("{hops} at most, {probes} of {bytes} bytes to each");
    vec![
        header("TRACE", &started.ends),
        Line::of(Paint::Faint, &plan),
    ]
}

fn header(what: &str, between: &EchoEnds) -> Line {
    Line::of(Paint::Heading, what).with(Paint::Plain, &format!(" {}", ends(between)))
}

fn ends(ends: &EchoEnds) -> String {
    let interface = ends.interface.as_deref();
    let interface = interface.map_or(String::new(), |name| format!(" on {name}"));
    let socket = match ends.socket {
        EchoSocket::Raw => "raw socket",
        EchoSocket::Datagram => "datagram socket",
    };
    let (name, address) = (&ends.target.name, &ends.address);
    format!(
        "{name} ({address}) from {}{interface}, {socket}",
        ends.source
    )
}

fn trace_summary(trace: &EchoTrace) -> Vec<Line> {
    let hops = counted(trace.hops.into(), "hop");
    let end = match trace.end {
        EchoTraceEnd::Reached => format!("reached in {hops}"),
        EchoTraceEnd::Unreachable => format!("not reached: refused at hop {}", trace.hops),
        EchoTraceEnd::Unsent => "not reached: this host could not send".to_owned(),
        EchoTraceEnd::MostHops => format!("not reached in {hops}"),
        EchoTraceEnd::Stopped => format!("interrupted after {hops}"),
        EchoTraceEnd::TimeOver => format!("not reached: time was over after {hops}"),
    };
    let paint = match trace.end {
        EchoTraceEnd::Reached => Paint::Good,
        _ => Paint::Failure,
    };
    let is_early = matches!(trace.end, EchoTraceEnd::Stopped | EchoTraceEnd::TimeOver);
    let under_way = if is_early && trace.untold > 0 {
        format!(", {} more under way", trace.untold)
    } else {
        String::new()
    };
    let silence = if trace.unanswered > 0 {
        // Which is no loss: routers limit how many errors they send.
        format!(", no error received to {}", trace.unanswered)
    } else {
        String::new()
    };
    let (requests, answered) = (counted(trace.probes, "request"), trace.answered);
    vec![
        Line::default(),
        Line::of(Paint::Plain, &rule(&trace.ends, "trace statistics")),
        Line::of(paint, &end).with(
            Paint::Plain,
            &format!(", time {}ms", trace.time.as_millis()),
        ),
        Line::of(
            Paint::Plain,
            &format!("{requests}, {answered} answered{silence}{under_way}"),
        ),
    ]
}

/// The line above a summary, as `ping(8)` has it.
fn rule(ends: &EchoEnds, what: &str) -> String {
    format!("--- {} {what} ---", ends.target.name)
}

/// Milliseconds with the microseconds as decimals.
fn milliseconds(time: Duration) -> String {
    let micros = time.as_micros();
    format!("{}.{:03}", micros / 1000, micros % 1000)
}

/// `name (A)`, or `A` where no name is known.
fn called(address: &EchoAddress, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{name} ({address})"),
        None => address.to_string(),
    }
}

#[cfg(test)]
mod tests;
