//! When something arrived, on the clock that never jumps.
//!
//! The kernel stamps what it receives with `CLOCK_REALTIME`, which can be set;
//! round trips are measured with the monotonic clock. Both are read at once,
//! right after the receive call, and a stamp's age is what is carried over: a
//! clock that is set between the two spoils no more than that age, and an age
//! that cannot be is not believed.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Nothing waits longer for a receive call than this.
const OLDEST: Duration = Duration::from_secs(60);

/// When a message arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// When our receive call returned it.
    pub taken: Instant,
    /// When the kernel received it, as far as it said so; else as `taken`.
    pub arrived: Instant,
    /// The kernel's stamp, since the Unix epoch by `CLOCK_REALTIME`.
    pub stamp: Option<Duration>,
}

/// Both clocks, as last read.
#[derive(Debug)]
pub(super) struct Clock {
    monotonic: Instant,
    since_epoch: Duration,
}

impl Default for Clock {
    fn default() -> Self {
        let mut clock = Self {
            monotonic: Instant::now(),
            since_epoch: Duration::ZERO,
        };
        clock.read();
        clock
    }
}

impl Clock {
    /// Reads both.
    pub(super) fn read(&mut self) {
        self.monotonic = Instant::now();
        self.since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
    }

    /// The times of a message that was taken when the clocks were read.
    pub(super) fn times(&self, stamp: Option<Duration>) -> Times {
        let age = stamp.and_then(|stamp| self.since_epoch.checked_sub(stamp));
        let believed = age.filter(|&age| age <= OLDEST);
        let arrived = believed.and_then(|age| self.monotonic.checked_sub(age));
        Times {
            taken: self.monotonic,
            arrived: arrived.unwrap_or(self.monotonic),
            stamp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_stamp_that_can_be_is_believed() {
        let clock = Clock {
            monotonic: Instant::now() + Duration::from_secs(100),
            since_epoch: Duration::from_secs(1_000),
        };
        let arrived = |stamp| clock.times(stamp).arrived;
        let age = |stamp| clock.monotonic - arrived(Some(Duration::from_secs(stamp)));
        assert_eq!(age(999), Duration::from_secs(1));
        assert_eq!(age(1_001), Duration::ZERO, "from the future");
        assert_eq!(age(900), Duration::ZERO, "too old");
        assert_eq!(arrived(None), clock.monotonic);
    }
}
