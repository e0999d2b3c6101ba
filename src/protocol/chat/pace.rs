//! How fast one member may speak: a bucket of lines that fills again with time.
//!
//! Who is faster waits; nothing is lost. Knows no clock.

use std::time::{Duration, Instant};

/// One member's bucket.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The time between two lines in the long run.
    interval: Duration,
    burst: u32,
    /// When the bucket would be full again.
    full_at: Instant,
}

impl Pace {
    /// `rate` lines a second, `burst` of them at once; a rate of 0 is none.
    pub fn new(rate: u32, burst: u32, now: Instant) -> Self {
        Self {
            interval: Duration::from_secs(1).checked_div(rate).unwrap_or_default(),
            burst: burst.max(1),
            full_at: now,
        }
    }

    /// Takes a line out, and says how long to wait before the next.
    pub fn spend(&mut self, now: Instant) -> Duration {
        self.full_at = self.full_at.max(now) + self.interval;
        let room = self.interval * (self.burst - 1);
        self.full_at.saturating_duration_since(now + room)
    }

    /// Takes a line out where there is one, and says whether there was: for
    /// those who do not wait.
    pub fn take(&mut self, now: Instant) -> bool {
        let is_there = self.full_at <= now + self.interval * (self.burst - 1);
        if is_there {
            self.spend(now);
        }
        is_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let now = Instant::now();
        let mut pace = Pace::new(10, 3, now);
        let waits: Vec<u128> = (0..5).map(|_| pace.spend(now).as_millis()).collect();
        assert_eq!(waits, [0, 0, 100, 200, 300]);
        let later = now + Duration::from_secs(10);
        assert_eq!(pace.spend(later), Duration::ZERO);
        assert_eq!(Pace::new(0, 1, now).spend(now), Duration::ZERO);
    }

    #[test]
    fn what_is_not_there_to_be_taken_is_not_owed() {
        let now = Instant::now();
        let mut pace = Pace::new(10, 3, now);
        let taken: Vec<bool> = (0..100).map(|_| pace.take(now)).collect();
        assert_eq!(taken.iter().filter(|taken| **taken).count(), 3);
        assert!(pace.take(now + Duration::from_millis(100)));
    }
}
