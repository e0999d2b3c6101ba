//! Random early detection: drops on arrival, the likelier the longer the queue
//! is on average.
//!
//! S. Floyd and V. Jacobson, "Random Early Detection Gateways for Congestion
//! Avoidance", 1993, sections IV and VII; tc-red(8). Counted in bytes.

use std::time::Duration;

use crate::units::{ByteSize, Probability};

/// The weight of the newest length in the average (Floyd 1993, section VI).
const WEIGHT: f64 = 0.002;

/// The state of the detector.
#[derive(Debug)]
pub(super) struct Red {
    min: f64,
    max: f64,
    probability: f64,
    average: f64,
    /// Packets let through since the last drop; none while below `min`.
    count: Option<u32>,
    idle_since: Option<Duration>,
}

impl Red {
    /// A detector that has seen nothing.
    pub(super) fn new(min: ByteSize, max: ByteSize, probability: Probability) -> Self {
        Self {
            min: exact(min.0),
            max: exact(max.0),
            probability: probability.value(),
            average: 0.0,
            count: None,
            idle_since: None,
        }
    }

    /// Remembers that the queue is empty and the server idle since `now`.
    pub(super) fn idle(&mut self, now: Duration) {
        self.idle_since.get_or_insert(now);
    }

    /// Whether a packet that arrives at `now` and finds `waiting` bytes is
    /// refused, by `draw` in [0, 1). `small` is the time a typical packet takes
    /// to be served: an idle queue is taken for one that had served such.
    pub(super) fn refuses(
        &mut self,
        now: Duration,
        waiting: u64,
        small: Duration,
        draw: f64,
    ) -> bool {
        if let Some(since) = self.idle_since.take() {
            let missed = now.saturating_sub(since).as_secs_f64() / small.as_secs_f64().max(1e-9);
            self.average *= (1.0 - WEIGHT).powf(missed);
        }
        self.average += WEIGHT * (exact(waiting) - self.average);
        if self.average < self.min {
            self.count = None;
            return false;
        }
        if self.average >= self.max {
            self.count = Some(0);
            return true;
        }
        let count = self.count.map_or(0, |count| count.saturating_add(1));
        let share = self.probability * (self.average - self.min) / (self.max - self.min);
        // Drops are then evenly apart: any distance up to 1/share is as likely.
        let room = 1.0 - f64::from(count) * share;
        let refuses = room <= 0.0 || draw < share / room;
        self.count = Some(if refuses { 0 } else { count });
        refuses
    }
}

/// Queues are shorter than 4 GiB.
fn exact(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes).unwrap_or(u32::MAX))
}
