//! How far the server's clock is ahead of the client's, and how sure that is
//! (Cristian's algorithm; RFC 5905 section 8 has the same four times).
//!
//! Pure. A round trip bounds the offset: neither way can have taken less than
//! nothing, so the true offset is within half the round trip of the middle. The
//! shortest of several round trips bounds it best.

use std::time::Duration;

use serde::Serialize;

use crate::units::nanoseconds;

/// One round trip on the control connection, each time on the clock of who read
/// it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoundTrip {
    /// The client asked.
    pub asked: Duration,
    /// The server had the question.
    pub received: Duration,
    /// The server answered.
    pub answered: Duration,
    /// The client had the answer.
    pub returned: Duration,
}

impl RoundTrip {
    /// The time on the way, both ways.
    pub fn time(&self) -> Duration {
        let away = self.returned.saturating_sub(self.asked);
        away.saturating_sub(self.answered.saturating_sub(self.received))
    }

    fn estimate(&self) -> Estimate {
        let there = signed(self.received) - signed(self.asked);
        let back = signed(self.answered) - signed(self.returned);
        Estimate {
            at: self.asked + self.returned.saturating_sub(self.asked) / 2,
            offset_ns: there.midpoint(back),
            uncertainty: (self.time() + Duration::from_nanos(1)) / 2,
        }
    }
}

/// The offset at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// When, on the client's clock.
    #[serde(rename = "at_ns", serialize_with = "nanoseconds")]
    pub at: Duration,
    /// Server's clock minus client's.
    pub offset_ns: i64,
    /// The true offset is at most so far away.
    #[serde(rename = "uncertainty_ns", serialize_with = "nanoseconds")]
    pub uncertainty: Duration,
}

impl Estimate {
    /// The best of several round trips; `None` of none.
    pub fn best(trips: &[RoundTrip]) -> Option<Self> {
        let shortest = trips.iter().min_by_key(|trip| trip.time())?;
        Some(shortest.estimate())
    }

    fn contradicts(&self, other: &Self) -> bool {
        let apart = self.offset_ns.abs_diff(other.offset_ns);
        u128::from(apart) > (self.uncertainty + other.uncertainty).as_nanos()
    }
}

/// The offset over a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Offset {
    /// Before the first message.
    pub before: Estimate,
    /// After the last one; `None` where the connection was gone by then.
    pub after: Option<Estimate>,
    /// How fast the clocks move apart, in parts per million: only where the two
    /// estimates cannot both be true of clocks that keep step.
    pub drift_ppm: Option<f64>,
}

impl Offset {
    /// From estimates before and after the run.
    pub fn new(before: Estimate, after: Option<Estimate>) -> Self {
        let drifting = after.filter(|after| after.contradicts(&before));
        let drift_ppm = drifting.map(|after| {
            let apart = after.offset_ns.saturating_sub(before.offset_ns);
            let passed = after.at.saturating_sub(before.at).as_nanos().max(1);
            #[expect(clippy::cast_precision_loss, reason = "a rate in parts per million")]
            let drift = apart as f64 * 1e6 / passed as f64;
            drift
        });
        Self {
            before,
            after,
            drift_ppm,
        }
    }

    /// The estimate that times of this run are translated with.
    fn best(&self) -> Estimate {
        match self.after {
            Some(after) if after.uncertainty < self.before.uncertainty => after,
            _ => self.before,
        }
    }

    /// How far a translated time may be off.
    pub fn uncertainty(&self) -> Duration {
        match (self.drift_ppm, self.after) {
            (Some(_), Some(after)) => self.before.uncertainty.max(after.uncertainty),
            _ => self.best().uncertainty,
        }
    }

    /// Server's clock minus client's, over the whole run.
    pub fn nanoseconds(&self) -> i64 {
        match (self.drift_ppm, self.after) {
            (Some(_), Some(after)) => self.before.offset_ns.midpoint(after.offset_ns),
            _ => self.best().offset_ns,
        }
    }

    /// A time of the server's on the client's clock.
    pub fn on_clients_clock(&self, server: Duration) -> Duration {
        let offset = match (self.drift_ppm, self.after) {
            (Some(_), Some(after)) => between(&self.before, &after, server),
            _ => self.best().offset_ns,
        };
        let client = signed(server).saturating_sub(offset);
        Duration::from_nanos(u64::try_from(client).unwrap_or(0))
    }
}

/// The offset at the server's time `server`, on the line through both estimates.
fn between(before: &Estimate, after: &Estimate, server: Duration) -> i64 {
    let start = i128::from(signed(before.at)) + i128::from(before.offset_ns);
    let end = i128::from(signed(after.at)) + i128::from(after.offset_ns);
    let apart = i128::from(after.offset_ns) - i128::from(before.offset_ns);
    let passed = i128::from(signed(server)) - start;
    let offset = i128::from(before.offset_ns) + apart * passed / (end - start).max(1);
    i64::try_from(offset).unwrap_or(before.offset_ns)
}

fn signed(time: Duration) -> i64 {
    // Clocks count from a run's start: 292 years fit.
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: i64 = 1_000_000;

    fn at(nanoseconds: i64) -> Duration {
        Duration::from_nanos(u64::try_from(nanoseconds).expect("not negative"))
    }

    /// A round trip with so much time each way, where the server is ahead by
    /// `offset`.
    fn trip(asked: i64, offset: i64, (there, back): (i64, i64)) -> RoundTrip {
        RoundTrip {
            asked: at(asked),
            received: at(asked + offset + there),
            answered: at(asked + offset + there + MS),
            returned: at(asked + there + MS + back),
        }
    }

    #[test]
    fn the_shortest_round_trip_bounds_best() {
        let trips = [(50, 10), (4, 6), (80, 80)]
            .map(|(there, back)| trip(MS, 700 * MS, (there * MS, back * MS)));
        let best = Estimate::best(&trips).expect("three");
        assert_eq!(best.uncertainty, at(5 * MS));
        assert_eq!(best.offset_ns, 699 * MS);
        assert_eq!(Estimate::best(&[]), None);
    }

    #[test]
    fn drift_is_told_only_where_it_can_be_seen() {
        let estimate = |time, offset_ns| Estimate {
            at: at(time * MS),
            offset_ns,
            uncertainty: at(MS),
        };
        let steady = Offset::new(estimate(0, 5 * MS), Some(estimate(1000, 6 * MS)));
        assert_eq!(steady.drift_ppm, None);
        assert_eq!(steady.on_clients_clock(at(500 * MS)), at(495 * MS));
        let drifting = Offset::new(estimate(0, 0), Some(estimate(10_000, 10 * MS)));
        assert_eq!(drifting.drift_ppm.map(f64::round), Some(1000.0));
        assert_eq!(drifting.on_clients_clock(at(10_010 * MS)), at(10_000 * MS));
        assert_eq!(drifting.nanoseconds(), 5 * MS);
        assert_eq!(drifting.uncertainty(), at(MS));
    }

    proptest! {
        #[test]
        fn the_true_offset_is_always_within_the_uncertainty(
            asked in 0i64..1 << 50,
            offset in 0i64..1 << 50,
            there in 0i64..1 << 40,
            back in 0i64..1 << 40,
        ) {
            let trips = [trip(asked, offset, (there, back))];
            let estimate = Estimate::best(&trips).expect("one");
            let off = u128::from(estimate.offset_ns.abs_diff(offset));
            prop_assert!(off <= estimate.uncertainty.as_nanos());
        }

        #[test]
        fn any_times_are_safe(times: [u32; 8]) {
            let time = |index: usize| Duration::from_nanos(u64::from(times[index]) << 20);
            let trip = |index| RoundTrip {
                asked: time(index),
                received: time(index + 1),
                answered: time(index + 2),
                returned: time(index + 3),
            };
            let before = trip(0).estimate();
            let offset = Offset::new(before, Some(trip(4).estimate()));
            offset.on_clients_clock(time(7));
            offset.nanoseconds();
        }
    }
}
