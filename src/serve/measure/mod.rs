//! The models side by side over the same load.
//!
//! Each is a process of its own, so that its memory, threads and descriptors are
//! its own; the load is one epoll loop in this process. What is measured and in
//! what order is here; how is in the files beside it.

mod churn;
mod load;
mod subject;

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::{Model, Stop};
use crate::error::Error;
use crate::units::nanoseconds;
use load::{Dripper, Exchange};

pub use churn::{bound, churn};
pub use load::Crowd;
pub use subject::{Snapshot, Subject};

/// What is measured.
#[derive(Debug, Clone)]
pub struct Config {
    /// Which models, in this order.
    pub models: Vec<Model>,
    /// Clients at once.
    pub clients: usize,
    /// Connections that may wait to be accepted: what the servers are asked for.
    pub backlog: i32,
    /// Messages that each of them sends.
    pub messages: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            models: Model::ALL.to_vec(),
            clients: 100,
            backlog: super::BACKLOG,
            messages: 100,
        }
    }
}

/// Connections that are opened, used once and closed at the same time.
const CHURNING: usize = 16;
/// How long connections are opened and closed.
const CHURN: Duration = Duration::from_millis(400);
/// How long clients may exchange messages, whatever number was asked for.
const EXCHANGE: Duration = Duration::from_millis(1500);
/// Clients beside the one that never reads.
const BESIDE: usize = 20;
/// Descriptors of the server that is to run out of them.
const FEW: usize = 48;
/// Clients that come to it.
const MANY: usize = 64;
/// How long a server that has run out is watched.
const STARVED: Duration = Duration::from_millis(200);

/// The figures of one model.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// Which.
    pub model: Model,
    /// What it is, in a few words.
    pub meaning: &'static str,
    /// Connections that were opened, used once and closed.
    pub churn: Churn,
    /// Connections that found the listener's queue full, through all rounds
    /// (`ListenOverflows`).
    pub backlog_overflows: u64,
    /// Connections that could wait in it, as the kernel had it.
    pub backlog: Option<u32>,
    /// Many clients at once.
    pub crowd: Seated,
    /// What they cost.
    pub cost: Cost,
    /// One client's echoes while all others are idle.
    pub idle: Latency,
    /// All clients' echoes, all at once.
    pub loaded: Latency,
    /// What each of those took.
    pub effort: Effort,
    /// Clients that come when one is there that sends and never reads.
    pub beside_slow: Seated,
    /// Their echoes.
    pub beside_slow_echo: Latency,
    /// Clients that come when one is there that says a byte at a time.
    pub beside_dripper: Seated,
    /// Their echoes.
    pub beside_dripper_echo: Latency,
    /// As many clients' echoes when nobody else is there.
    pub undisturbed_echo: Latency,
    /// Running out of descriptors.
    pub exhausted: Exhausted,
    /// Connections by worker, where each has a listener of its own.
    pub spread: Vec<u64>,
}

/// Connections opened and closed.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Churn {
    /// Those that got their echo.
    pub done: u64,
    /// Those that did not.
    pub failed: u64,
    /// In what time.
    #[serde(rename = "took_ns", serialize_with = "nanoseconds")]
    pub took: Duration,
}

/// How many were attended to.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Seated {
    /// Clients that came.
    pub came: usize,
    /// Clients that got an answer while all stayed.
    pub answered: usize,
}

/// What many idle clients cost the server.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Cost {
    /// Processes.
    pub processes: usize,
    /// Threads of all of them.
    pub threads: usize,
    /// Descriptors of all of them.
    pub descriptors: usize,
    /// Memory that each client added (PSS).
    pub bytes_a_client: u64,
}

/// Round trips of one message.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Latency {
    /// How many there were.
    pub echoes: u64,
    /// Half of them were faster.
    #[serde(rename = "p50_ns", serialize_with = "nanoseconds")]
    pub p50: Duration,
    /// All but one in a hundred were faster.
    #[serde(rename = "p99_ns", serialize_with = "nanoseconds")]
    pub p99: Duration,
    /// In what time.
    #[serde(rename = "took_ns", serialize_with = "nanoseconds")]
    pub took: Duration,
}

impl Latency {
    fn of(exchange: &Exchange) -> Self {
        let at = |quantile| Duration::from_nanos(exchange.times.value_at_quantile(quantile));
        Self {
            echoes: exchange.times.len(),
            p50: at(0.5),
            p99: at(0.99),
            took: exchange.took,
        }
    }
}

/// What the server's processes did for the loaded clients' messages.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Effort {
    /// Processor time.
    #[serde(rename = "cpu_ns", serialize_with = "nanoseconds")]
    pub cpu: Duration,
    /// Times that a thread of it gave way to another.
    pub context_switches: u64,
}

/// How the server fares without descriptors.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Exhausted {
    /// Descriptors that it was allowed.
    pub descriptors: usize,
    /// Clients that came, and those it attended to.
    #[serde(flatten)]
    pub seated: Seated,
    /// Processor time while it could accept nobody,
    #[serde(rename = "cpu_ns", serialize_with = "nanoseconds")]
    pub cpu: Duration,
    /// in so much time.
    #[serde(rename = "watched_ns", serialize_with = "nanoseconds")]
    pub watched: Duration,
    /// Clients that waited, and got their answer once others had left.
    pub answered_later: usize,
}

/// Measures one model after another, and hands each one's figures, or why it
/// could not be measured, to `tell`.
///
/// `server` makes the command that serves echoes in the manner of a model with
/// so many descriptors at most, says on standard error where it listens, and
/// ends on SIGTERM with its [`Served`](super::Served) on standard output.
pub fn measure(
    config: &Config,
    server: &dyn Fn(Model, Option<usize>) -> Command,
    stop: &Stop,
    tell: &mut dyn FnMut(Model, Result<Measured, Error>),
) {
    for model in &config.models {
        let measured = one(config, *model, server);
        if stop.is_asked() {
            // Its figures are those of a server that was told to end.
            return;
        }
        tell(*model, measured);
    }
}

fn one(
    config: &Config,
    model: Model,
    server: &dyn Fn(Model, Option<usize>) -> Command,
) -> Result<Measured, Error> {
    let overflows = subject::overflows();
    let subject = Subject::start(server(model, None))?;
    let fresh = subject.snapshot();
    load::warm(subject.address)?;
    let before = subject.settled(&fresh);
    let mut crowd = Crowd::gather(subject.address, config.clients)?;
    let full = subject.snapshot();
    let idle = crowd.exchange(1, config.messages.max(100), EXCHANGE)?;
    let rested = subject.snapshot();
    let all = crowd.exchange(config.clients, config.messages, EXCHANGE)?;
    let tired = subject.snapshot();
    let answered = crowd.answered();
    drop(crowd);
    let (_, undisturbed_echo) = beside(None, subject.address, config)?;
    let (beside_dripper, beside_dripper_echo) = beside(
        Some(Dripper::come(subject.address)?),
        subject.address,
        config,
    )?;
    let (beside_slow, beside_slow_echo) = {
        let _slow = load::flood(subject.address)?;
        beside(None, subject.address, config)?
    };
    // Last: whatever a server keeps of those who have left, such as the stacks
    // of their threads, is not to look like memory that clients need not.
    let churn = churn(subject.address, CHURNING, CHURN)?;
    let ended = subject.end()?;
    let exhausted = exhaust(Subject::start(server(model, Some(FEW)))?)?;
    Ok(Measured {
        model,
        meaning: model.meaning(),
        churn,
        backlog: ended.backlog,
        backlog_overflows: subject::overflows().saturating_sub(overflows),
        crowd: Seated {
            came: config.clients,
            answered,
        },
        cost: cost(&before, &full, answered),
        idle: Latency::of(&idle),
        loaded: Latency::of(&all),
        effort: Effort {
            cpu: tired.cpu.saturating_sub(rested.cpu),
            context_switches: tired.switches.saturating_sub(rested.switches),
        },
        beside_slow,
        beside_slow_echo,
        beside_dripper,
        beside_dripper_echo,
        undisturbed_echo,
        exhausted,
        spread: ended.accepted,
    })
}

fn cost(before: &Snapshot, full: &Snapshot, clients: usize) -> Cost {
    let grown = full.memory.saturating_sub(before.memory);
    Cost {
        processes: full.processes,
        threads: full.threads,
        descriptors: full.descriptors,
        bytes_a_client: grown / (clients as u64).max(1),
    }
}

/// Clients that come when one is there already.
fn beside(
    dripper: Option<Dripper>,
    address: SocketAddr,
    config: &Config,
) -> Result<(Seated, Latency), Error> {
    let mut crowd = Crowd::gather(address, BESIDE)?;
    if let Some(dripper) = dripper {
        crowd.beside(dripper);
    }
    let exchange = crowd.exchange(BESIDE, config.messages, EXCHANGE)?;
    let seated = Seated {
        came: BESIDE,
        answered: crowd.answered(),
    };
    Ok((seated, Latency::of(&exchange)))
}

/// More clients than there are descriptors; then those that were attended to
/// leave.
fn exhaust(subject: Subject) -> Result<Exhausted, Error> {
    let mut crowd = Crowd::gather(subject.address, MANY)?;
    let answered = crowd.answered();
    let before = subject.snapshot();
    crowd.watch(STARVED)?;
    let after = subject.snapshot();
    crowd.dismiss_answered();
    crowd.settle()?;
    let answered_later = crowd.answered();
    drop(crowd);
    subject.end()?;
    Ok(Exhausted {
        descriptors: FEW,
        seated: Seated {
            came: MANY,
            answered,
        },
        cpu: after.cpu.saturating_sub(before.cpu),
        watched: STARVED,
        answered_later,
    })
}

/// Times from a tenth of a microsecond to a minute, to three digits.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(100, 60_000_000_000, 3).unwrap_or_else(|_| unreachable!("bounds"))
}

/// What every client says: 64 bytes.
const MESSAGE: &[u8; 64] = b"sixty-four bytes that come back as they went, to the last one..\n";
