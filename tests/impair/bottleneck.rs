//! Rates, bursts, and what CoDel and RED make of a queue.

use std::time::Duration;

use socklab::impair::{
    Bottleneck, Capacity, Discipline, Framing, Outcome, Server, Settings, Verdict,
};
use socklab::units::{ByteSize, Rate};

use crate::harness::{MS, cause, datagram, exact, is_lost, lateness, probability, stream};

/// 1000-byte packets take a millisecond.
const RATE: Rate = Rate(8_000_000);

fn behind(server: Server, capacity: Capacity, discipline: Discipline, ecn: bool) -> Settings {
    Settings {
        bottleneck: Some(Bottleneck {
            server,
            capacity,
            discipline,
            ecn,
        }),
        ..Settings::default()
    }
}

fn rate(rate: Rate) -> Server {
    Server::Rate {
        rate,
        framing: Framing::default(),
    }
}

fn delivered(outcomes: &[Outcome]) -> impl Iterator<Item = &Outcome> {
    outcomes.iter().filter(|outcome| !is_lost(outcome))
}

/// The most bytes by which a window of time exceeds what the rate allows it.
fn excess(outcomes: &[Outcome], rate: f64) -> f64 {
    let mut carried = 0.0;
    let (mut least, mut most) = (0.0_f64, f64::MIN);
    for outcome in delivered(outcomes) {
        let allowed = outcome.parcel.due_at.as_secs_f64() * rate / 8.0;
        // A window that begins just before this packet …
        least = least.min(carried - allowed);
        carried += exact(outcome.parcel.sent.len());
        // … or ends with it.
        most = most.max(carried - allowed - least);
    }
    most
}

#[test]
fn no_window_carries_more_than_rate_and_burst() {
    let odd = Rate(7_654_321);
    let table = [
        (rate(odd), 1000.0, "a rate: one packet"),
        (
            Server::TokenBucket {
                rate: odd,
                burst: ByteSize(20_000),
                framing: Framing::default(),
            },
            20_000.0,
            "a bucket: its burst",
        ),
    ];
    for (server, burst, why) in table {
        let settings = behind(server, Capacity::Packets(5000), Discipline::DropTail, false);
        // Half as much again as fits, then a pause in which a burst gathers.
        let outcomes = stream(settings, 5000, MS * 2 / 3, &datagram((1, 2), 1000, 0));
        let found = excess(&outcomes, 7_654_321.0);
        assert!(
            (burst - 2.0..=burst + 0.01).contains(&found),
            "{why}: {found}"
        );

        let (first, last) = (&outcomes[1000].parcel, &outcomes[4999].parcel);
        let bits = 8.0 * 1000.0 * 3999.0 / (last.due_at.as_secs_f64() - first.due_at.as_secs_f64());
        assert!(
            (bits / 7_654_321.0 - 1.0).abs() < 1e-6,
            "{why}: {bits} bit/s"
        );
    }
}

#[test]
fn a_queue_holds_what_it_says() {
    let table = [
        (Capacity::Packets(10), 11),
        (Capacity::Bytes(ByteSize(10_500)), 11),
        (Capacity::Bytes(ByteSize(500)), 1),
    ];
    for (capacity, expected) in table {
        let settings = behind(rate(RATE), capacity, Discipline::DropTail, false);
        let outcomes = stream(settings, 50, Duration::ZERO, &datagram((1, 2), 1000, 0));
        assert_eq!(delivered(&outcomes).count(), expected, "{capacity:?}");
        assert!(
            outcomes
                .iter()
                .all(|outcome| ["", "queue full"].contains(&cause(outcome)))
        );
    }
}

fn waits(outcomes: &[Outcome]) -> Vec<Duration> {
    delivered(outcomes).map(lateness).collect()
}

#[test]
fn codel_drops_ever_faster_while_the_queue_stands() {
    let settings = behind(
        rate(RATE),
        Capacity::Packets(100_000),
        Discipline::CODEL,
        false,
    );
    let outcomes = stream(settings, 4000, MS / 2, &datagram((1, 2), 1000, 0));
    let drops: Vec<Duration> = outcomes
        .iter()
        .filter(|outcome| cause(outcome) == "CoDel")
        .map(|outcome| outcome.parcel.due_at)
        .collect();
    // The delay is above the target from 5 ms on, and an interval later it has
    // been so for too long; then interval / √count from drop to drop.
    assert!(
        drops[0] >= 105 * MS && drops[0] < 115 * MS,
        "{:?}",
        drops[0]
    );
    let mut expected = drops[0].as_secs_f64();
    for (count, drop) in (1_u32..).zip(&drops[1..20]) {
        expected += 0.1 / f64::from(count).sqrt();
        let off = drop.as_secs_f64() - expected;
        assert!((-1e-9..0.0011).contains(&off), "drop {count}: {off} s off");
    }
}

#[test]
fn codel_keeps_the_delay_near_its_target() {
    let settings = behind(
        rate(RATE),
        Capacity::Packets(100_000),
        Discipline::CODEL,
        false,
    );
    // Four packets in a hundred too many.
    let outcomes = stream(settings, 50_000, MS * 96 / 100, &datagram((1, 2), 1000, 0));
    let waits = waits(&outcomes);
    let late = &waits[waits.len() / 2..];
    let mean = late.iter().sum::<Duration>() / u32::try_from(late.len()).expect("few");
    assert!(mean > 2 * MS && mean < 20 * MS, "{mean:?}");
}

#[test]
fn codel_lets_a_burst_pass() {
    let settings = behind(
        rate(RATE),
        Capacity::Packets(1000),
        Discipline::CODEL,
        false,
    );
    let outcomes = stream(settings, 90, Duration::ZERO, &datagram((1, 2), 1000, 0));
    assert!(!outcomes.iter().any(is_lost));
}

const RED: Discipline = Discipline::Red {
    min: ByteSize(20_000),
    max: ByteSize(60_000),
    probability: socklab::units::Probability::ALWAYS,
};

#[test]
fn red_keeps_the_queue_between_its_thresholds() {
    let Discipline::Red { min, max, .. } = RED else {
        return;
    };
    let discipline = Discipline::Red {
        min,
        max,
        probability: probability(0.1),
    };
    let settings = behind(rate(RATE), Capacity::Packets(1000), discipline, false);
    // Five packets in a hundred too many: RED must drop one in 21.
    let outcomes = stream(settings, 60_000, MS * 95 / 100, &datagram((1, 2), 1000, 0));
    assert!(
        outcomes
            .iter()
            .all(|outcome| ["", "RED"].contains(&cause(outcome)))
    );
    let second_half = &outcomes[30_000..];
    let dropped = second_half
        .iter()
        .filter(|outcome| is_lost(outcome))
        .count();
    assert!((1400..1600).contains(&dropped), "{dropped}");
    let waits = waits(second_half);
    let mean = waits.iter().sum::<Duration>() / u32::try_from(waits.len()).expect("few");
    assert!(mean > 20 * MS && mean < 60 * MS, "{mean:?}");
    // Drops are spread: never two in a row, and no gap of more than 2/share.
    let gaps: Vec<usize> = second_half.split(is_lost).map(<[Outcome]>::len).collect();
    let middle = &gaps[1..gaps.len() - 1];
    assert!(
        middle.iter().all(|gap| *gap < 60),
        "{:?}",
        middle.iter().max()
    );
}

#[test]
fn red_lets_what_stays_short_pass() {
    let settings = behind(rate(RATE), Capacity::Packets(1000), RED, false);
    let outcomes = stream(settings, 1000, MS, &datagram((1, 2), 1000, 0));
    assert!(!outcomes.iter().any(is_lost));
}

#[test]
fn disciplines_mark_instead_of_dropping_where_they_may() {
    for discipline in [Discipline::CODEL, RED] {
        for (ecn, capable, expected) in [(true, 2, true), (true, 0, false), (false, 2, false)] {
            let settings = behind(rate(RATE), Capacity::Packets(100_000), discipline, ecn);
            let bytes = datagram((1, 2), 1000, capable);
            let outcomes = stream(settings, 3000, MS / 2, &bytes);
            let marked: Vec<&Outcome> = outcomes
                .iter()
                .filter(|outcome| outcome.parcel.changes.marked)
                .collect();
            assert_eq!(!marked.is_empty(), expected, "{discipline:?}");
            assert_eq!(outcomes.iter().any(is_lost), !expected, "{discipline:?}");
            for outcome in marked {
                let bytes = outcome.parcel.bytes();
                assert_eq!(bytes[1] & 3, 3);
                assert_eq!(socklab::packet::checksum::checksum(&bytes[..20]), 0);
                assert_eq!(outcome.verdict, Verdict::Deliver);
            }
        }
    }
}

#[test]
fn a_bucket_too_small_for_a_packet_lets_it_pass_all_the_same() {
    let server = Server::TokenBucket {
        rate: RATE,
        burst: ByteSize(100),
        framing: Framing::default(),
    };
    let settings = behind(server, Capacity::default(), Discipline::DropTail, false);
    let outcomes = stream(settings, 10, Duration::ZERO, &datagram((1, 2), 1000, 0));
    assert_eq!(delivered(&outcomes).count(), 10);
    assert_eq!(outcomes[9].parcel.due_at, 9 * MS);
}
