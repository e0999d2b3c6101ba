//! A ping run in the words of `ping(8)` from iputils, so that scripts which
//! parse ping work unchanged.
//!
//! Owns the wording and nothing else: what happened and what it amounts to is
//! decided before. Local errors and the status line go to the second writer.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::event::{
    Echo, EchoAddress, EchoCause, EchoFailure, EchoJudgement, EchoReply, EchoRequest,
    EchoRoundTrips, EchoStarted, EchoSummary, Event, Sink, Topic, What,
};
use crate::packet::hexdump;
use crate::packet::{IcmpFamily, dissect_icmp};

/// Below this payload iputils has no room for a time, and prints none.
const LEAST_TIMED_PAYLOAD: usize = 16;
/// An echo message's header.
const ECHO_HEADER: usize = 8;
/// An IPv4 header without options.
const IPV4_HEADER: usize = 20;

/// What the text looks like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// How much of it.
    pub detail: Detail,
    /// How addresses are called.
    pub addresses: Addresses,
}

/// How much is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Detail {
    /// Header and summary only (`-q`).
    Summary,
    /// A line for each reply and error.
    #[default]
    Lines,
    /// That, and requests and replies in hex (`--hex`).
    Bytes,
}

/// How addresses are called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Addresses {
    /// `A`.
    #[default]
    Numbers,
    /// `name (A)`, or `A (A)` where no name is known.
    Names,
}

/// Writes a ping run as text.
pub struct PingText<Out, Err> {
    layout: Layout,
    stop: Arc<AtomicBool>,
    state: Mutex<State<Out, Err>>,
}

struct State<Out, Err> {
    out: Out,
    err: Err,
    timed: bool,
    ipv6: bool,
    failure: Option<io::Error>,
}

impl<Out: Write + Send, Err: Write + Send> PingText<Out, Err> {
    /// Results go to `out`, local errors and the status line to `err`. When
    /// `out` fails, `stop` is raised.
    pub fn new(layout: Layout, out: Out, err: Err, stop: Arc<AtomicBool>) -> Self {
        let state = State {
            out,
            err,
            timed: true,
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

impl<Out: Write + Send, Err: Write + Send> Sink for PingText<Out, Err> {
    fn wants(&self, topic: Topic) -> bool {
        topic == Topic::Echo
    }

    fn record(&self, event: &Event<'_>) {
        let What::Echo(echo) = &event.what else {
            return;
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.failure.is_some() {
            return;
        }
        if let Err(failure) = self.write(&mut state, echo) {
            state.failure = Some(failure);
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

impl<Out: Write + Send, Err: Write + Send> PingText<Out, Err> {
    fn write(&self, state: &mut State<Out, Err>, echo: &Echo<'_>) -> io::Result<()> {
        let silent = self.layout.detail == Detail::Summary;
        let (to_out, to_err) = match echo {
            Echo::Started(started) => {
                state.timed = started.payload_bytes >= LEAST_TIMED_PAYLOAD;
                state.ipv6 = started.address.ip.is_ipv6();
                (self.header(started), String::new())
            }
            Echo::Summary(summary) => (summary_text(summary, state.timed), String::new()),
            Echo::Status(summary) => (String::new(), status_line(summary, state.timed)),
            _ if silent => return Ok(()),
            Echo::Request(request) => (self.request(request, state.ipv6), String::new()),
            Echo::Reply(reply) => (self.reply(reply, state.timed, state.ipv6), String::new()),
            Echo::Failure(failure) => self.failure(failure, state.ipv6),
            Echo::NoAnswer(_) | Echo::Path(_) => return Ok(()),
        };
        state.out.write_all(to_out.as_bytes())?;
        state.out.flush()?;
        // Nobody may be reading standard error; that is no reason to stop.
        let _ = state.err.write_all(to_err.as_bytes());
        Ok(())
    }

    fn header(&self, started: &EchoStarted) -> String {
        let (name, target) = (&started.target.name, &started.address);
        let size = started.payload_bytes;
        if target.ip.is_ipv6() {
            let called = self.called(target, started.address_name.as_deref());
            format!("PING {name}({called}) {size} data bytes\n")
        } else {
            let whole = size + ECHO_HEADER + IPV4_HEADER;
            format!("PING {name} ({target}) {size}({whole}) bytes of data.\n")
        }
    }

    fn request(&self, request: &EchoRequest<'_>, ipv6: bool) -> String {
        match self.layout.detail {
            Detail::Bytes => format!(
                "Request icmp_seq={}\n{}",
                request.icmp_sequence,
                dump(&request.message, ipv6)
            ),
            _ => String::new(),
        }
    }

    fn reply(&self, reply: &EchoReply<'_>, timed: bool, ipv6: bool) -> String {
        let called = self.called(&reply.from, reply.from_name.as_deref());
        let mut line = format!(
            "{} bytes from {called}: icmp_seq={}",
            reply.message_bytes, reply.icmp_sequence
        );
        if let Some(ttl) = reply.ttl {
            let _ = write!(line, " ttl={ttl}");
        }
        if reply.truncated {
            line.push_str(" (truncated)");
        } else {
            if timed {
                let _ = write!(line, " time={} ms", round_trip(reply.round_trip));
            }
            line.push_str(match reply.judgement {
                EchoJudgement::Counted => "",
                EchoJudgement::Duplicate => " (DUP!)",
                EchoJudgement::BadChecksum => " (BAD CHECKSUM!)",
                EchoJudgement::DifferentAddress => " (DIFFERENT ADDRESS!)",
            });
        }
        line.push('\n');
        if self.layout.detail == Detail::Bytes {
            line.push_str(&dump(&reply.message, ipv6));
        }
        line
    }

    fn failure(&self, failure: &EchoFailure, ipv6: bool) -> (String, String) {
        match &failure.cause {
            EchoCause::Icmp {
                from,
                from_name,
                meaning,
                ..
            } => {
                let called = self.called(from, from_name.as_deref());
                let sequence = failure.icmp_sequence.unwrap_or_default();
                let line = format!("From {called} icmp_seq={sequence} {meaning}\n");
                (line, String::new())
            }
            EchoCause::TooLong { mtu_bytes } => {
                let equals = if ipv6 { ": " } else { "=" };
                let line = format!("ping: local error: message too long, mtu{equals}{mtu_bytes}\n");
                (String::new(), line)
            }
            EchoCause::Local { meaning, .. } => {
                (String::new(), format!("ping: local error: {meaning}\n"))
            }
            EchoCause::Send { meaning, .. } => {
                (String::new(), format!("ping: sendmsg: {meaning}\n"))
            }
        }
    }

    fn called(&self, address: &EchoAddress, name: Option<&str>) -> String {
        match (self.layout.addresses, name) {
            (Addresses::Numbers, _) => address.to_string(),
            (Addresses::Names, Some(name)) => format!("{name} ({address})"),
            (Addresses::Names, None) => format!("{address} ({address})"),
        }
    }
}

fn summary_text(summary: &EchoSummary, timed: bool) -> String {
    let mut text = format!(
        "\n--- {} ping statistics ---\n{} packets transmitted, {} received",
        summary.target.name, summary.transmitted, summary.received
    );
    for (count, what) in [
        (summary.duplicates, "duplicates"),
        (summary.corrupted, "corrupted"),
        (summary.errors, "errors"),
    ] {
        if count > 0 {
            let _ = write!(text, ", +{count} {what}");
        }
    }
    if let Some(loss) = summary.loss_percent {
        let time = (summary.time + Duration::from_micros(500)).as_millis();
        let _ = write!(text, ", {}% packet loss, time {time}ms", six_digits(loss));
    }
    text.push('\n');
    text.push_str(&figures(summary, timed).join(", "));
    text.push('\n');
    text
}

/// The parts of the last line; none of them leaves it empty, as in iputils.
fn figures(summary: &EchoSummary, timed: bool) -> Vec<String> {
    let mut parts = Vec::new();
    let measured = summary.round_trips.filter(|_| summary.received > 0);
    if let (Some(figures), true) = (measured, timed) {
        let EchoRoundTrips {
            min,
            average,
            max,
            deviation,
            ..
        } = figures;
        let values = [min, average, max, deviation].map(milliseconds).join("/");
        parts.push(format!("rtt min/avg/max/mdev = {values} ms"));
    }
    if summary.pipe > 1 {
        parts.push(format!("pipe {}", summary.pipe));
    }
    if let Some(gap) = summary.gap {
        let smoothed = measured.map_or(Duration::ZERO, |figures| figures.smoothed);
        let values = [gap, smoothed].map(milliseconds).join("/");
        parts.push(format!("ipg/ewma {values} ms"));
    }
    parts
}

fn status_line(summary: &EchoSummary, timed: bool) -> String {
    let loss = summary.loss_percent.unwrap_or(0.0).floor();
    let mut line = format!(
        "\r{}/{} packets, {loss:.0}% loss",
        summary.received, summary.transmitted
    );
    if let (Some(figures), true) = (summary.round_trips, timed && summary.received > 0) {
        let EchoRoundTrips {
            min,
            average,
            smoothed,
            max,
            ..
        } = figures;
        let values = [min, average, smoothed, max].map(milliseconds).join("/");
        let _ = write!(line, ", min/avg/ewma/max = {values} ms");
    }
    line.push('\n');
    line
}

/// Milliseconds with the microseconds as decimals, cut, not rounded.
fn milliseconds(time: Duration) -> String {
    let micros = time.as_micros();
    format!("{}.{:03}", micros / 1000, micros % 1000)
}

/// Milliseconds with 3, 2, 1 or no decimals below 1, 10, 100 and above.
fn round_trip(time: Duration) -> String {
    let micros = time.as_micros();
    match micros {
        0..1_000 => format!("0.{micros:03}"),
        1_000..9_995 => {
            let hundredths = (micros + 5) / 10;
            format!("{}.{:02}", hundredths / 100, hundredths % 100)
        }
        9_995..99_950 => {
            let tenths = (micros + 50) / 100;
            format!("{}.{}", tenths / 10, tenths % 10)
        }
        _ => ((micros + 500) / 1000).to_string(),
    }
}

/// Six significant digits without trailing zeros, as C's `%g` prints
/// percentages.
fn six_digits(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let scientific = format!("{value:.5e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 {
        let mantissa = without_trailing_zeros(mantissa);
        return format!("{mantissa}e-{:02}", -exponent);
    }
    let decimals = usize::try_from(5 - exponent).unwrap_or(0);
    without_trailing_zeros(&format!("{value:.decimals$}")).to_owned()
}

fn without_trailing_zeros(digits: &str) -> &str {
    if digits.contains('.') {
        digits.trim_end_matches('0').trim_end_matches('.')
    } else {
        digits
    }
}

/// An ICMP message in annotated hex, 16 bytes a line.
fn dump(message: &[u8], ipv6: bool) -> String {
    let family = if ipv6 { IcmpFamily::V6 } else { IcmpFamily::V4 };
    let layout = hexdump::Layout::default();
    let rows = hexdump::rows(&dissect_icmp(family, message), message, layout);
    hexdump::render(&rows, layout)
}

#[cfg(test)]
mod tests;
