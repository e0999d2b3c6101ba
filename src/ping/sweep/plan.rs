//! What a sweep is to find out, and at what pace.
//!
//! Pure.

use std::time::Duration;

/// The longest wait for a reply that follows from the period (`fping(8)`).
const LONGEST_PATIENCE: Duration = Duration::from_secs(2);
/// From one request to the next, whoever gets it (`fping(8)`).
const GAP: Duration = Duration::from_millis(10);
/// How long a check waits for its first reply, and everyone where there is no
/// period to go by (`fping(8)`).
const CHECK_PATIENCE: Duration = Duration::from_millis(500);

/// What a sweep is to find out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// Who answers: each target gets requests until it has answered one, one
    /// more than `retries` at most, each with `backoff` times the patience of the
    /// one before.
    Check {
        /// How many further requests.
        retries: u32,
        /// The factor, at least 1.
        backoff: f64,
    },
    /// How they answer so many requests each.
    Count(u32),
    /// How they answer until the run is stopped.
    Loop,
}

impl Goal {
    /// `fping(8)`'s own.
    pub const CHECK: Self = Self::Check {
        retries: 3,
        backoff: 1.5,
    };
}

/// What to find out, and at what pace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// What to find out.
    pub goal: Goal,
    /// From one request to a target to the next to the same one.
    pub period: Duration,
    /// From one request to the next, whoever gets it; `None` leaves it to
    /// [`Plan::gap_between`].
    pub gap: Option<Duration>,
    /// How long a reply is waited for; `None` leaves it to [`Plan::patience`].
    pub wait: Option<Duration>,
    /// Stop this long after the start.
    pub deadline: Option<Duration>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            goal: Goal::CHECK,
            period: Duration::from_secs(1),
            gap: None,
            wait: None,
            deadline: None,
        }
    }
}

impl Plan {
    /// The gap between requests to `targets` targets: as asked for, else
    /// fping's 10 ms, or what spreads a period's requests evenly if there are
    /// more of them.
    pub fn gap_between(&self, targets: u32) -> Duration {
        match (self.gap, self.goal) {
            (Some(gap), _) => gap,
            (None, Goal::Check { .. }) => GAP,
            (None, Goal::Count(_) | Goal::Loop) => GAP.min(self.period / targets.max(1)),
        }
    }

    /// How long the reply to a target's request number `index`, from 0, is
    /// waited for: as asked for, else half a second in a check and a period, 2 s
    /// at most, otherwise. Without a period it is half a second too: a wait of no
    /// time would make every reply late.
    pub fn patience(&self, index: u32) -> Duration {
        match self.goal {
            Goal::Check { backoff, .. } => {
                let first = self.wait.unwrap_or(CHECK_PATIENCE);
                let factor = backoff.powf(f64::from(index));
                Duration::try_from_secs_f64(first.as_secs_f64() * factor).unwrap_or(Duration::MAX)
            }
            Goal::Count(_) | Goal::Loop => {
                let of_period = match self.period {
                    Duration::ZERO => CHECK_PATIENCE,
                    period => period.min(LONGEST_PATIENCE),
                };
                self.wait.unwrap_or(of_period)
            }
        }
    }

    /// How many different patiences there are: one in all but checks.
    pub(super) fn levels(&self) -> u32 {
        match self.goal {
            Goal::Check { retries, .. } => retries.saturating_add(1),
            Goal::Count(_) | Goal::Loop => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pace_and_patience_are_fpings() {
        let milliseconds = Duration::from_millis;
        let check = Plan::default();
        let waits = [0, 1, 2, 3].map(|index| check.patience(index).as_micros());
        assert_eq!(waits, [500_000, 750_000, 1_125_000, 1_687_500]);
        assert_eq!(check.gap_between(1_000_000), milliseconds(10));
        let count = Plan {
            goal: Goal::Count(3),
            ..check
        };
        assert_eq!(count.patience(2), milliseconds(1000));
        assert_eq!(count.gap_between(3), milliseconds(10));
        assert_eq!(count.gap_between(10_000), Duration::from_micros(100));
        let slow = Plan {
            period: milliseconds(5000),
            ..count
        };
        assert_eq!(slow.patience(0), milliseconds(2000));
        let at_once = Plan {
            period: Duration::ZERO,
            ..count
        };
        assert_eq!(at_once.patience(0), milliseconds(500));
    }
}
