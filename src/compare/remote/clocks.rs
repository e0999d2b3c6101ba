//! What a person and a program are told of the two clocks.
//!
//! Pure. A one-way latency is a difference between two clocks: where it is less
//! than what is known of these, it is not told.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::offset::{Offset, RoundTrip};
use crate::compare::{Column, Variant};
use crate::units::nanoseconds;

/// How the two machines' clocks stand, and how long the way is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Clocks {
    /// The server's time of day minus the client's.
    pub offset_ns: i64,
    /// The true offset is at most so far away, and so is every one-way latency:
    /// half a round trip.
    #[serde(rename = "uncertainty_ns", serialize_with = "nanoseconds")]
    pub uncertainty: Duration,
    /// How fast they move apart, in parts per million, where that could be seen.
    pub drift_ppm: Option<f64>,
    /// The shortest round trip on the control connection.
    #[serde(rename = "round_trip_min_ns", serialize_with = "nanoseconds")]
    pub shortest_trip: Duration,
    /// The middle one.
    #[serde(rename = "round_trip_p50_ns", serialize_with = "nanoseconds")]
    pub middle_trip: Duration,
    /// Kinds whose one-way latencies are not told, because they are smaller than
    /// the uncertainty.
    pub without_latency: Vec<Variant>,
}

impl Clocks {
    /// From round trips and the origins of the client's clock and the server's.
    pub(super) fn new(
        offset: &Offset,
        trips: &[RoundTrip],
        (client, server): (SystemTime, Duration),
    ) -> Self {
        let client = client.duration_since(UNIX_EPOCH).unwrap_or_default();
        let signed = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
        let mut times: Vec<_> = trips.iter().map(RoundTrip::time).collect();
        times.sort_unstable();
        Self {
            offset_ns: signed(server)
                .saturating_sub(signed(client))
                .saturating_add(offset.nanoseconds()),
            uncertainty: offset.uncertainty(),
            drift_ppm: offset.drift_ppm,
            shortest_trip: times.first().copied().unwrap_or_default(),
            middle_trip: times.get(times.len() / 2).copied().unwrap_or_default(),
            without_latency: Vec::new(),
        }
    }

    /// Takes out latencies that are smaller than the uncertainty. What compares
    /// one arrival with another, as jitter does, stays: the offset drops out.
    pub(super) fn withhold(&mut self, columns: &mut [Column]) {
        for column in columns {
            let Ok(figures) = &mut column.result else {
                continue;
            };
            let is_uncertain = |median| median < self.uncertainty;
            if figures
                .latency
                .is_some_and(|latency| is_uncertain(latency.p50))
            {
                figures.latency = None;
                self.without_latency.push(column.variant);
            }
        }
    }
}
