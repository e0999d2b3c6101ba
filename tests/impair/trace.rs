//! mahimahi's traces: what an opportunity carries, and when.

use std::sync::Arc;
use std::time::Duration;

use socklab::impair::{Bottleneck, Capacity, Discipline, Medium, Server, Settings, Trace};

use crate::harness::{UP, both_ways, carried};

/// When packets of the given lengths arrive, in milliseconds, that were sent at
/// the given microseconds.
fn arrivals(trace: &str, packets: &[(u64, usize)]) -> Vec<u128> {
    let trace = Trace::parse("test", trace).expect("it is a trace");
    let settings = Settings {
        bottleneck: Some(Bottleneck {
            server: Server::Trace(Arc::new(trace)),
            capacity: Capacity::default(),
            discipline: Discipline::DropTail,
            ecn: false,
        }),
        ..Settings::default()
    };
    let mut medium = Medium::new(both_ways(1, settings));
    let offers = packets
        .iter()
        .map(|(at, length)| (Duration::from_micros(*at), vec![0; *length]));
    carried(&mut medium, UP, offers)
        .iter()
        .map(|outcome| outcome.parcel.due_at.as_millis())
        .collect()
}

/// A trace, packets, their arrivals, and why.
type Row = (
    &'static str,
    &'static [(u64, usize)],
    &'static [u128],
    &'static str,
);

#[test]
fn an_opportunity_carries_1500_bytes_and_waits_for_nobody() {
    let table: [Row; 9] = [
        ("5\n10\n", &[(1, 1500); 3], &[5, 10, 15], "one packet each"),
        (
            "5\n10\n",
            &[(1, 500); 4],
            &[5, 5, 5, 10],
            "small ones share",
        ),
        ("5\n10\n", &[(1, 1000); 3], &[5, 10, 10], "a rest waits"),
        ("5\n10\n", &[(1, 4000)], &[15], "a large one needs three"),
        (
            "5\n10\n",
            &[(1, 500), (5001, 500)],
            &[5, 10],
            "what is left is wasted",
        ),
        (
            "5\n10\n",
            &[(7000, 1500)],
            &[10],
            "what nobody used is wasted",
        ),
        (
            "5\n10\n",
            &[(10_000, 1500)],
            &[10],
            "in time to the nanosecond",
        ),
        (
            "5\n10\n",
            &[(25_001, 1500), (25_002, 1500)],
            &[30, 35],
            "it wraps",
        ),
        (
            "0\n3\n3\n",
            &[(3001, 1500), (3001, 1500), (3001, 1500)],
            &[6, 6, 6],
            "0 is the end too",
        ),
    ];
    for (trace, packets, expected, why) in table {
        assert_eq!(arrivals(trace, packets), expected, "{why}");
    }
}

#[test]
fn a_full_queue_is_served_at_the_traces_rate() {
    // Three opportunities in seven milliseconds.
    let arrivals = arrivals("1\n5\n7\n", &[(1, 1500); 900]);
    assert_eq!(arrivals.last(), Some(&2100));
    for window in arrivals.windows(4) {
        assert!(window[3] - window[0] >= 7, "{window:?}");
    }
}
