//! A wire that is offered packets at given times and polled whenever it asks
//! to be.

use std::time::Duration;

use socklab::flow::Direction;
use socklab::impair::{Chance, Course, Medium, Outcome, Parcel, Plan, Settings, Verdict};
use socklab::packet::checksum::checksum;
use socklab::units::Probability;

pub const MS: Duration = Duration::from_millis(1);
pub const UP: Direction = Direction::ClientToServer;
pub const DOWN: Direction = Direction::ServerToClient;

pub fn probability(value: f64) -> Probability {
    Probability::new(value).expect("it is a probability")
}

pub fn chance(value: f64) -> Chance {
    Chance {
        probability: probability(value),
        ..Chance::default()
    }
}

/// A plan that does the same in both directions for the whole run.
pub fn both_ways(seed: u64, first: Settings) -> Plan {
    let course = Course {
        first,
        changes: Vec::new(),
    };
    Plan {
        seed,
        up: course.clone(),
        down: course,
    }
}

/// A UDP datagram over IPv4 of `length` bytes in all, ECT(0) where `ecn` is 2.
pub fn datagram(ports: (u16, u16), length: u16, ecn: u8) -> Vec<u8> {
    let mut bytes = vec![0x45, ecn];
    bytes.extend(length.to_be_bytes());
    bytes.extend([0, 0, 0x40, 0, 64, 17, 0, 0, 10, 77, 0, 1, 10, 77, 0, 2]);
    let right = checksum(&bytes);
    bytes[10..12].copy_from_slice(&right.to_be_bytes());
    for word in [ports.0, ports.1, length - 20, 0] {
        bytes.extend(word.to_be_bytes());
    }
    bytes.resize(length.into(), 0xa5);
    bytes
}

/// Offers packets in the order of time and polls all that comes out.
pub fn carried(
    medium: &mut Medium,
    direction: Direction,
    offers: impl IntoIterator<Item = (Duration, Vec<u8>)>,
) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for (at, bytes) in offers {
        while let Some(outcome) = medium.poll(at) {
            outcomes.push(outcome);
        }
        medium.offer(direction, at, bytes);
    }
    outcomes.extend(drained(medium));
    outcomes
}

/// Polls until nothing is under way.
pub fn drained(medium: &mut Medium) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    while let Some(deadline) = medium.next_deadline() {
        while let Some(outcome) = medium.poll(deadline) {
            outcomes.push(outcome);
        }
    }
    outcomes
}

/// `count` equal datagrams, one every `pause`, through a wire set so.
pub fn stream(settings: Settings, count: u32, pause: Duration, bytes: &[u8]) -> Vec<Outcome> {
    let mut medium = Medium::new(both_ways(42, settings));
    let offers = (0..count).map(|number| (pause * number, bytes.to_vec()));
    carried(&mut medium, UP, offers)
}

/// Whether each packet was lost, in the order they were sent.
pub fn losses(settings: Settings, count: u32) -> Vec<bool> {
    let mut outcomes = stream(settings, count, MS, &datagram((40000, 5073), 28, 0));
    outcomes.sort_by_key(|outcome| outcome.parcel.id);
    outcomes.iter().map(is_lost).collect()
}

pub fn is_lost(outcome: &Outcome) -> bool {
    matches!(outcome.verdict, Verdict::Lost(_))
}

pub fn cause(outcome: &Outcome) -> &str {
    match &outcome.verdict {
        Verdict::Deliver => "",
        Verdict::Lost(cause) => cause,
    }
}

/// How long a packet was on its way.
pub fn lateness(outcome: &Outcome) -> Duration {
    let Parcel {
        sent_at, due_at, ..
    } = &outcome.parcel;
    due_at
        .checked_sub(*sent_at)
        .expect("it does not come before it went")
}

/// A count that is far below 2³².
pub fn exact(count: usize) -> f64 {
    u32::try_from(count).expect("it is small").into()
}
