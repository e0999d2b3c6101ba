//! What a wire does to a packet's bytes, and settings that change over time.

use std::time::Duration;

use socklab::impair::{
    Bottleneck, Capacity, Course, Delay, Discipline, Framing, Loss, Medium, Plan, Server, Settings,
};
use socklab::packet::checksum::checksum;
use socklab::units::Rate;

use crate::harness::{MS, UP, carried, cause, chance, datagram, drained, is_lost, stream};

#[test]
fn corruption_flips_the_bit_it_says_and_no_other() {
    let settings = Settings {
        corrupt: chance(0.5),
        ..Settings::default()
    };
    let outcomes = stream(settings, 10_000, MS, &datagram((1, 2), 100, 0));
    let mut corrupted = 0;
    for outcome in &outcomes {
        let parcel = &outcome.parcel;
        let flipped: Vec<u64> = (0..800)
            .filter(|bit| {
                let byte = usize::try_from(bit / 8).expect("it is small");
                (parcel.sent[byte] ^ parcel.bytes()[byte]) & (0x80 >> (bit % 8)) != 0
            })
            .collect();
        assert_eq!(flipped, Vec::from_iter(parcel.changes.corrupted_bit));
        corrupted += flipped.len();
    }
    assert!((4800..5200).contains(&corrupted), "{corrupted}");
}

#[test]
fn truncation_keeps_the_head() {
    let settings = Settings {
        truncate: chance(0.5),
        ..Settings::default()
    };
    for outcome in stream(settings, 1000, MS, &datagram((1, 2), 100, 0)) {
        let parcel = &outcome.parcel;
        let kept = parcel.changes.truncated_to.unwrap_or(100);
        assert!(kept >= 1);
        assert_eq!(parcel.bytes(), &parcel.sent[..kept]);
    }
}

#[test]
fn a_capable_packet_is_marked_where_another_is_lost() {
    for (ecn, capable, is_marked) in [(true, 2, true), (true, 0, false), (false, 2, false)] {
        let settings = Settings {
            loss: Loss::Random(chance(1.0)),
            ecn,
            ..Settings::default()
        };
        for outcome in stream(settings, 10, MS, &datagram((1, 2), 100, capable)) {
            assert_eq!(outcome.parcel.changes.marked, is_marked);
            assert_eq!(is_lost(&outcome), !is_marked);
            let bytes = outcome.parcel.bytes();
            assert_eq!(bytes[1] & 3, if is_marked { 3 } else { capable });
            assert_eq!(checksum(&bytes[..20]), 0);
        }
    }
}

#[test]
fn a_limit_counts_what_is_in_flight() {
    let settings = Settings {
        limit: Some(5),
        delay: Delay {
            base: 10 * MS,
            ..Delay::default()
        },
        ..Settings::default()
    };
    let outcomes = stream(settings, 40, MS, &datagram((1, 2), 100, 0));
    let mut lost: Vec<u64> = outcomes
        .iter()
        .filter(|outcome| cause(outcome) == "limit")
        .map(|outcome| outcome.parcel.id)
        .collect();
    lost.sort_unstable();
    // Five in flight for ten milliseconds, then the next five.
    let expected: Vec<u64> = (1..=40).filter(|id| (id - 1) % 10 >= 5).collect();
    assert_eq!(lost, expected);
}

#[test]
fn a_wire_is_full_at_two_gibibytes() {
    let settings = Settings {
        delay: Delay {
            base: Duration::from_secs(1000),
            ..Delay::default()
        },
        ..Settings::default()
    };
    let mut medium = Medium::new(Plan {
        up: Course {
            first: settings,
            changes: Vec::new(),
        },
        ..Plan::default()
    });
    for _ in 0..32 {
        medium.offer(UP, MS, vec![0; 64 << 20]);
    }
    let outcome = medium.poll(MS).expect("the last one did not fit");
    assert_eq!(cause(&outcome), "wire full");
    assert_eq!((outcome.parcel.id, medium.in_flight()), (32, 31));
}

fn scheduled(changes: Vec<(Duration, Settings)>, first: Settings) -> Medium {
    Medium::new(Plan {
        seed: 1,
        up: Course { first, changes },
        down: Course::default(),
    })
}

#[test]
fn settings_change_at_their_time() {
    let lossy = Settings {
        loss: Loss::Random(chance(1.0)),
        ..Settings::default()
    };
    let mut medium = scheduled(
        vec![(20 * MS, lossy), (50 * MS, Settings::default())],
        Settings::default(),
    );
    assert!(!medium.is_transparent(UP));
    let offers = (0..80).map(|at| (at * MS, datagram((1, 2), 100, 0)));
    for outcome in carried(&mut medium, UP, offers) {
        let sent = outcome.parcel.sent_at;
        assert_eq!(
            is_lost(&outcome),
            sent >= 20 * MS && sent < 50 * MS,
            "{sent:?}"
        );
    }
}

#[test]
fn what_is_in_flight_keeps_its_time() {
    let slow = Settings {
        delay: Delay {
            base: 100 * MS,
            ..Delay::default()
        },
        ..Settings::default()
    };
    let mut medium = scheduled(vec![(10 * MS, Settings::default())], slow);
    let offers = [(5 * MS, vec![0; 10]), (15 * MS, vec![0; 10])];
    let arrivals: Vec<(u64, Duration)> = carried(&mut medium, UP, offers)
        .iter()
        .map(|outcome| (outcome.parcel.id, outcome.parcel.due_at))
        .collect();
    assert_eq!(arrivals, [(2, 15 * MS), (1, 105 * MS)]);
}

fn at_rate(bits: u64) -> Settings {
    Settings {
        bottleneck: Some(Bottleneck {
            server: Server::Rate {
                rate: Rate(bits),
                framing: Framing::default(),
            },
            capacity: Capacity::default(),
            discipline: Discipline::DropTail,
            ecn: false,
        }),
        ..Settings::default()
    }
}

#[test]
fn a_rate_changes_from_the_next_packet_on_and_an_outage_ends() {
    // A thousand bytes take 1 ms, then for ever, then 2 ms, then no time.
    let mut medium = scheduled(
        vec![
            (2 * MS + MS / 2, at_rate(0)),
            (10 * MS, at_rate(4_000_000)),
            (15 * MS, Settings::default()),
        ],
        at_rate(8_000_000),
    );
    for _ in 0..8 {
        medium.offer(UP, Duration::ZERO, vec![0; 1000]);
    }
    let arrivals: Vec<u128> = drained(&mut medium)
        .iter()
        .map(|outcome| outcome.parcel.due_at.as_millis())
        .collect();
    assert_eq!(arrivals, [1, 2, 3, 12, 14, 16, 16, 16]);
}
