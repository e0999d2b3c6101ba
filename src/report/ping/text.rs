//! A ping run in the words of `ping(8)` from iputils, so that scripts which
//! parse ping work unchanged.
//!
//! Owns the wording and nothing else: what happened and what it amounts to is
//! decided before. Local errors and the status line go to the second writer.

mod figures;
mod lines;
mod route;

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use figures::{status_line, summary_text};
use route::Routes;

use crate::event::{Echo, EchoPatience, EchoSocket, EchoStarted, Event, Sink, Topic, What};

/// Below this payload iputils has no room for a time, and prints none.
const LEAST_TIMED_PAYLOAD: usize = 16;
/// An echo message's header.
const ECHO_HEADER: usize = 8;
/// An IPv4 header without options.
const IPV4_HEADER: usize = 20;
/// The options that an IPv4 header has room for.
const IP_OPTIONS: usize = 40;

/// What the text looks like.
#[derive(Debug, Clone)]
pub struct Layout {
    /// How much of it.
    pub detail: Detail,
    /// How addresses are called.
    pub addresses: Addresses,
    /// What the header says beyond name, address and size.
    pub header: Header,
    /// What is printed before the header.
    pub preamble: Preamble,
    /// What is printed beyond the ordinary lines.
    pub extras: Extras,
    /// The clock of [`Extras::stamped`].
    pub now: fn() -> SystemTime,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            detail: Detail::default(),
            addresses: Addresses::default(),
            header: Header::default(),
            preamble: Preamble::default(),
            extras: Extras::default(),
            now: SystemTime::now,
        }
    }
}

/// What the header says beyond name, address and size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header {
    /// That the source was chosen (`-I`, `-B`), and the interface or nothing.
    pub from: Option<String>,
    /// The IPv6 flow label (`-F`).
    pub flow_label: Option<u32>,
    /// Whether the IPv4 header has options (`-R`, `-T`).
    pub ip_options: bool,
}

/// What is printed before the header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preamble {
    /// On standard output.
    pub out: String,
    /// On standard error.
    pub err: String,
}

/// What is printed beyond the ordinary lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of ping's own"
)]
pub struct Extras {
    /// A bell at each reply (`-a`).
    pub audible: bool,
    /// The time before each line (`-D`).
    pub stamped: bool,
    /// What has no answer when the next request goes out (`-O`).
    pub outstanding: bool,
    /// Identifiers, and duplicates from a multicast group (`-v`).
    pub verbose: bool,
}

/// How much is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Detail {
    /// Header and summary only (`-q`).
    Summary,
    /// A dot for each request, and a backspace for each reply (`-f`).
    Dots,
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
    run: Run,
    failure: Option<io::Error>,
}

/// What its beginning says of all that follows.
#[derive(Debug)]
struct Run {
    timed: bool,
    target: IpAddr,
    socket: EchoSocket,
    routes: Routes,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            timed: true,
            target: Ipv4Addr::UNSPECIFIED.into(),
            socket: EchoSocket::Raw,
            routes: Routes::default(),
        }
    }
}

impl Run {
    fn of(started: &EchoStarted) -> Self {
        Self {
            timed: started.payload_bytes >= LEAST_TIMED_PAYLOAD,
            target: started.address.ip,
            socket: started.socket,
            routes: Routes::default(),
        }
    }
}

impl<Out: Write + Send, Err: Write + Send> PingText<Out, Err> {
    /// Results go to `out`, local errors and the status line to `err`. When
    /// `out` fails, `stop` is raised.
    pub fn new(layout: Layout, out: Out, err: Err, stop: Arc<AtomicBool>) -> Self {
        let state = State {
            out,
            err,
            run: Run::default(),
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
        match topic {
            Topic::EchoFigures => true,
            Topic::Echo => self.layout.detail != Detail::Summary || self.layout.extras.outstanding,
            _ => false,
        }
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
        let (layout, run) = (&self.layout, &mut state.run);
        let silent = layout.detail == Detail::Summary;
        let nothing = String::new;
        let (to_out, to_err) = match echo {
            Echo::Started(started) => {
                *run = Run::of(started);
                let out = format!("{}{}", layout.preamble.out, layout.header(started));
                (out, layout.preamble.err.clone())
            }
            Echo::Summary(summary) => (summary_text(summary, run.timed), nothing()),
            Echo::Status(summary) => (nothing(), status_line(summary, run.timed)),
            // At the end, the summary counts them.
            Echo::NoAnswer(silence) if silence.patience != EchoPatience::Waiting => return Ok(()),
            Echo::NoAnswer(silence) => (layout.no_answer(silence.icmp_sequence), nothing()),
            _ if silent => return Ok(()),
            Echo::Request(request) => (layout.request(request, run), nothing()),
            Echo::Reply(reply) => (layout.reply(reply, run), nothing()),
            Echo::Failure(failure) => layout.failure(failure, run.target.is_ipv6()),
            Echo::Redirect(redirect) => (layout.redirect(redirect), nothing()),
            Echo::Verdict(_) | Echo::Unresolved(_) | Echo::Path(_) => return Ok(()),
        };
        if to_out.is_empty() && to_err.is_empty() {
            return Ok(());
        }
        state.out.write_all(to_out.as_bytes())?;
        state.out.flush()?;
        // Nobody may be reading standard error; that is no reason to stop.
        let _ = state.err.write_all(to_err.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests;
