//! What serves the queue of a bottleneck, one packet after the other: a rate, a
//! token bucket, or a trace of opportunities. Says when a packet leaves.
//!
//! Exact: what a whole nanosecond cannot hold is carried to the next packet, so
//! that a rate is met in the long run. tc-netem(8) `rate`, tc-tbf(8), mm-link(1).

use std::sync::Arc;
use std::time::Duration;

use super::settings::{Framing, Server};
use super::trace::{OPPORTUNITY, Trace};
use crate::units::Rate;

const SECOND: u64 = 1_000_000_000;

/// A server at work.
#[derive(Debug)]
pub(super) enum Service {
    Rate(Serial),
    TokenBucket(Bucket),
    Trace(Opportunities),
}

impl Service {
    /// A server that is idle and begins at `now`.
    pub(super) fn new(server: &Server, now: Duration) -> Self {
        match server {
            Server::Rate { rate, framing } => Self::Rate(Serial {
                rate: *rate,
                framing: *framing,
                carry: 0,
                left_at: now,
            }),
            Server::TokenBucket {
                rate,
                burst,
                framing,
            } => {
                let most = bits(burst.0) * i128::from(SECOND);
                Self::TokenBucket(Bucket {
                    rate: *rate,
                    framing: *framing,
                    most,
                    level: most,
                    at: now,
                })
            }
            Server::Trace(trace) => Self::Trace(Opportunities {
                trace: Arc::clone(trace),
                began: now,
                round: 0,
                position: 0,
                left: OPPORTUNITY,
            }),
        }
    }

    /// When a packet of `length` bytes leaves whose turn comes at `turn`, which
    /// is not before the last one left. [`Duration::MAX`] where it never does.
    pub(super) fn departure(&mut self, turn: Duration, length: usize) -> Duration {
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        match self {
            Self::Rate(serial) => serial.departure(turn, length),
            Self::TokenBucket(bucket) => bucket.departure(turn, length),
            Self::Trace(opportunities) => opportunities.departure(turn, length),
        }
    }
}

impl Server {
    /// How long 1000 bytes take, which tc-red(8) takes for a typical packet.
    pub(super) fn time_for_a_typical_packet(&self) -> Duration {
        const TYPICAL: u64 = 1000;
        match self {
            Self::Rate { rate, .. } | Self::TokenBucket { rate, .. } => rate.time_for(TYPICAL),
            Self::Trace(trace) => {
                let opportunities = u64::try_from(trace.opportunities.len()).unwrap_or(u64::MAX);
                let period = trace.opportunities.last().map_or(0, Duration::as_nanos);
                let time = period * u128::from(TYPICAL)
                    / u128::from(opportunities.saturating_mul(OPPORTUNITY).max(1));
                Duration::from_nanos(u64::try_from(time).unwrap_or(u64::MAX))
            }
        }
    }
}

impl Framing {
    /// What a packet of `length` bytes is counted as: netem's formula, not
    /// below zero.
    pub(super) fn counted(self, length: u64) -> u64 {
        let length = length.saturating_add_signed(self.packet_overhead.into());
        if self.cell_size == 0 {
            return length;
        }
        let cell = u64::from(self.cell_size).saturating_add_signed(self.cell_overhead.into());
        length.div_ceil(self.cell_size.into()).saturating_mul(cell)
    }
}

/// Each packet takes its length at the rate.
#[derive(Debug)]
pub(super) struct Serial {
    rate: Rate,
    framing: Framing,
    /// What the last departure was rounded down by, in 1/rate nanoseconds.
    carry: u64,
    left_at: Duration,
}

impl Serial {
    fn departure(&mut self, turn: Duration, length: u64) -> Duration {
        if self.rate.0 == 0 {
            return Duration::MAX;
        }
        if turn > self.left_at {
            self.carry = 0;
        }
        let turn = turn.max(self.left_at);
        let work = self.framing.counted(length).saturating_mul(8);
        let time = match work
            .checked_mul(SECOND)
            .and_then(|work| work.checked_add(self.carry))
        {
            Some(work) => {
                self.carry = work % self.rate.0;
                Duration::from_nanos(work / self.rate.0)
            }
            None => self.rate.time_for(work / 8),
        };
        self.left_at = turn.saturating_add(time);
        self.left_at
    }
}

/// Tokens gather at the rate, at most a burst of them.
#[derive(Debug)]
pub(super) struct Bucket {
    rate: Rate,
    framing: Framing,
    /// In bit-nanoseconds per second, as `level` is: so much falls in at each
    /// nanosecond as the rate has bits per second.
    most: i128,
    level: i128,
    at: Duration,
}

impl Bucket {
    /// A packet longer than the burst leaves when the bucket is full, and leaves
    /// it in debt.
    fn departure(&mut self, turn: Duration, length: u64) -> Duration {
        let rate = i128::from(self.rate.0);
        let passed = i128::try_from(turn.saturating_sub(self.at).as_nanos()).unwrap_or(i128::MAX);
        self.level = self
            .level
            .saturating_add(passed.saturating_mul(rate))
            .min(self.most);
        self.at = self.at.max(turn);
        let cost = bits(self.framing.counted(length)) * i128::from(SECOND);
        let missing = cost.min(self.most) - self.level;
        if missing > 0 {
            if rate == 0 {
                return Duration::MAX;
            }
            let wait = (missing + rate - 1) / rate;
            self.level += wait * rate;
            self.at = self.at.saturating_add(Duration::from_nanos(
                u64::try_from(wait).unwrap_or(u64::MAX),
            ));
        }
        self.level -= cost;
        self.at
    }
}

fn bits(bytes: u64) -> i128 {
    i128::from(bytes) * 8
}

/// Opportunities of a trace, each for [`OPPORTUNITY`] bytes at one instant:
/// small packets share one, a large packet waits for as many as it needs, and
/// what nobody uses is wasted.
#[derive(Debug)]
pub(super) struct Opportunities {
    trace: Arc<Trace>,
    began: Duration,
    round: u64,
    position: usize,
    /// Bytes that are left of the present one.
    left: u64,
}

impl Opportunities {
    fn departure(&mut self, turn: Duration, length: u64) -> Duration {
        let mut missing = length;
        if !self.seek(turn) {
            return Duration::MAX;
        }
        loop {
            let used = missing.min(self.left);
            missing -= used;
            self.left -= used;
            if missing == 0 && (self.left > 0 || used > 0) {
                return self.time();
            }
            self.next();
        }
    }

    /// Goes on to the first opportunity that is not before `turn`; whether there
    /// is one.
    fn seek(&mut self, turn: Duration) -> bool {
        let Some(period) = self.trace.opportunities.last().filter(|end| !end.is_zero()) else {
            return false;
        };
        if self.time() >= turn {
            return true;
        }
        let since = turn.saturating_sub(self.began).as_nanos();
        let round = since / period.as_nanos();
        let within = u64::try_from(since % period.as_nanos()).unwrap_or(u64::MAX);
        let within = Duration::from_nanos(within);
        self.round = u64::try_from(round).unwrap_or(u64::MAX);
        self.position = self
            .trace
            .opportunities
            .partition_point(|time| *time < within);
        // The last opportunities of a round are at the very start of the next.
        if within.is_zero() && self.round > 0 {
            self.round -= 1;
            self.position = self
                .trace
                .opportunities
                .partition_point(|time| time < period);
        }
        self.left = OPPORTUNITY;
        true
    }

    fn next(&mut self) {
        self.position += 1;
        if self.position == self.trace.opportunities.len() {
            self.position = 0;
            self.round += 1;
        }
        self.left = OPPORTUNITY;
    }

    fn time(&self) -> Duration {
        let opportunities = &self.trace.opportunities;
        let period = opportunities.last().copied().unwrap_or_default();
        let rounds = u128::from(self.round).saturating_mul(period.as_nanos());
        let rounds = Duration::from_nanos(u64::try_from(rounds).unwrap_or(u64::MAX));
        let within = opportunities
            .get(self.position)
            .copied()
            .unwrap_or_default();
        self.began.saturating_add(rounds).saturating_add(within)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Service;
    use crate::impair::settings::{Framing, Server};
    use crate::units::{ByteSize, Rate};

    #[test]
    fn lengths_are_counted_as_netem_counts_them() {
        let framing = |packet_overhead, cell_size, cell_overhead| Framing {
            packet_overhead,
            cell_size,
            cell_overhead,
        };
        let table = [
            (framing(0, 0, 0), 100, 100, "as it is"),
            (framing(14, 0, 0), 100, 114, "with an Ethernet header"),
            (framing(-20, 0, 0), 100, 80, "without an IP header"),
            (framing(-200, 0, 0), 100, 0, "not below nothing"),
            (framing(0, 48, 5), 96, 106, "two full cells of ATM"),
            (framing(0, 48, 5), 97, 159, "one cell more for a byte"),
            (framing(-1, 48, 5), 97, 106, "overhead before cells"),
            (framing(0, 10, -12), 100, 0, "cells of nothing"),
        ];
        for (framing, length, expected, why) in table {
            assert_eq!(framing.counted(length), expected, "{why}");
        }
    }

    #[test]
    fn a_rate_is_met_to_the_nanosecond_in_the_long_run() {
        let mut service = Service::new(
            &Server::Rate {
                rate: Rate(7_000_000_001),
                framing: Framing::default(),
            },
            Duration::ZERO,
        );
        let end = (0..1_000_000).fold(Duration::ZERO, |turn, _| service.departure(turn, 1500));
        // 12 Gbit at 7.000000001 Gbit/s, rounded down.
        assert_eq!(end, Duration::from_nanos(1_714_285_714));
    }

    #[test]
    fn what_never_leaves_says_so() {
        let framing = Framing::default();
        let rate = Rate(0);
        let burst = ByteSize(1500);
        let mut stuck = Service::new(&Server::Rate { rate, framing }, Duration::ZERO);
        assert_eq!(stuck.departure(Duration::ZERO, 1), Duration::MAX);
        let bucket = Server::TokenBucket {
            rate,
            burst,
            framing,
        };
        let mut bucket = Service::new(&bucket, Duration::ZERO);
        assert_eq!(bucket.departure(Duration::ZERO, 1500), Duration::ZERO);
        assert_eq!(bucket.departure(Duration::ZERO, 1), Duration::MAX);
    }
}
