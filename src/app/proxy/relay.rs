//! A tunnel: what comes from one side goes to the other, until both have ended,
//! one resets, or nothing has moved for long.
//!
//! The end of one direction is passed on as such and leaves the other alone; a
//! reset is passed on as a reset.

use std::io;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::task::coop::consume_budget;
use tokio::time::sleep_until;

use super::Proxy;
use super::group::Lease;
use super::steps::Steps;
use super::vessel::Vessels;
use super::visit::over;
use crate::app::net::{Connection, Reader, Writer};
use crate::error::explain;
use crate::units::Time;

/// How often a direction fills and pours before others have their turn.
const RUN: usize = 16;

/// Both connections, and what came from either before it was passed on.
pub(super) struct Tunnel {
    pub(super) client: Connection,
    pub(super) far: Connection,
    pub(super) from_client: Vec<u8>,
    pub(super) from_far: Vec<u8>,
    /// That the destination is one of several servers.
    pub(super) lease: Option<Lease>,
}

/// What a tunnel came to.
pub(super) struct Relayed {
    pub(super) up: u64,
    pub(super) down: u64,
    pub(super) end: End,
}

/// How it ended.
pub(super) enum End {
    /// Both sides ended, this one first.
    Finished(Side),
    /// That side reset it, or was lost.
    Lost(Side, io::Error),
    /// Nothing moved for so long.
    Idle(Duration),
    /// The proxy was asked to end.
    Stopped,
}

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Destination,
}

/// Whether a direction ended before the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    First,
    Second,
}

/// What moved, and when.
struct Pulse {
    began: Instant,
    /// Milliseconds after the beginning.
    last: AtomicU64,
    up: AtomicU64,
    down: AtomicU64,
    /// Which side ended first: 0 is neither yet.
    first: AtomicU8,
}

/// One direction.
struct Direction<'a> {
    source: Side,
    from: &'a mut Reader,
    to: &'a mut Writer,
    early: Vec<u8>,
}

impl Tunnel {
    /// Passes everything on.
    pub(super) async fn run(self, proxy: &Proxy, steps: &Steps) -> Relayed {
        let (vessels, idle) = (&proxy.vessels, proxy.config.limits.idle);
        let _lease = self.lease;
        let (mut client_reader, mut client_writer) = self.client.into_split();
        let (mut far_reader, mut far_writer) = self.far.into_split();
        let pulse = Pulse::new();
        let up = Direction {
            source: Side::Client,
            from: &mut client_reader,
            to: &mut far_writer,
            early: self.from_client,
        };
        let down = Direction {
            source: Side::Destination,
            from: &mut far_reader,
            to: &mut client_writer,
            early: self.from_far,
        };
        let end = tokio::select! {
            both = async { tokio::try_join!(up.pump(vessels, &pulse), down.pump(vessels, &pulse)) } => {
                match both {
                    Ok(_) => End::Finished(pulse.first()),
                    Err((side, error)) => End::Lost(side, error),
                }
            }
            () = pulse.idle_for(idle) => End::Idle(idle),
            () = proxy.stop.asked() => End::Stopped,
        };
        if let End::Lost(side, _) = &end {
            // What cannot be reset is closed.
            let _ = match side {
                Side::Client => far_writer.reset_on_close(),
                Side::Destination => client_writer.reset_on_close(),
            };
        }
        over(&client_writer, steps);
        Relayed {
            up: pulse.up.load(Ordering::Relaxed),
            down: pulse.down.load(Ordering::Relaxed),
            end,
        }
    }
}

impl Direction<'_> {
    async fn pump(self, vessels: &Vessels, pulse: &Pulse) -> Result<(), (Side, io::Error)> {
        let Self {
            source,
            from,
            to,
            early,
        } = self;
        let lost_source = |error| (source, error);
        let lost_sink = |error| (source.other(), error);
        if !early.is_empty() {
            to.write_all(&early).await.map_err(lost_sink)?;
            pulse.beat(source, early.len());
        }
        drop(early);
        let mut carried = 0;
        loop {
            from.readable().await.map_err(lost_source)?;
            // What is tried at once does not wait for its turn among the tasks.
            consume_budget().await;
            let mut vessel = vessels.lend(carried);
            for _ in 0..RUN {
                let Some(filled) = vessel.fill(from).await else {
                    break;
                };
                let count = filled.map_err(lost_source)?;
                if count == 0 {
                    return match pulse.end(source) {
                        Ended::First => to.shutdown().await.map_err(lost_sink),
                        // Both are closed now, which ends this direction too.
                        Ended::Second => Ok(()),
                    };
                }
                vessel.pour(to, count).await.map_err(lost_sink)?;
                pulse.beat(source, count);
                carried += count as u64;
            }
        }
    }
}

impl Side {
    fn other(self) -> Self {
        match self {
            Side::Client => Side::Destination,
            Side::Destination => Side::Client,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Side::Client => "the client",
            Side::Destination => "the destination",
        }
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            End::Finished(first) => {
                let (first, then) = (first.name(), first.other().name());
                write!(f, "{first} ended, then {then}")
            }
            End::Lost(side, error) => {
                let side = side.name();
                match error.kind() {
                    io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                        write!(f, "{side} reset the connection")
                    }
                    _ => write!(f, "{side} was lost: {}", explain(error)),
                }
            }
            End::Idle(time) => write!(f, "nothing moved for {} (--idle-timeout)", Time(*time)),
            End::Stopped => f.write_str("the proxy was asked to end"),
        }
    }
}

impl Pulse {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            last: AtomicU64::new(0),
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
            first: AtomicU8::new(0),
        }
    }

    fn beat(&self, source: Side, count: usize) {
        let moved = match source {
            Side::Client => &self.up,
            Side::Destination => &self.down,
        };
        moved.fetch_add(count as u64, Ordering::Relaxed);
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }

    fn end(&self, source: Side) -> Ended {
        let mark = match source {
            Side::Client => 1,
            Side::Destination => 2,
        };
        let order = Ordering::Relaxed;
        // The second one finds the first one's mark.
        match self.first.compare_exchange(0, mark, order, order) {
            Ok(_) => Ended::First,
            Err(_) => Ended::Second,
        }
    }

    fn first(&self) -> Side {
        match self.first.load(Ordering::Relaxed) {
            2 => Side::Destination,
            _ => Side::Client,
        }
    }

    async fn idle_for(&self, idle: Duration) {
        loop {
            let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
            let due = self.began + last + idle;
            if Instant::now() >= due {
                return;
            }
            sleep_until(due.into()).await;
        }
    }
}
