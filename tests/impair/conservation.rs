//! Whatever the settings: each packet and each copy comes out exactly once, not
//! before it went in, in the order of time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use socklab::impair::{
    Action, Bottleneck, Capacity, Chance, Course, Delay, Discipline, Distribution, Framing, Loss,
    Medium, Outcome, Plan, Reorder, Rule, Server, Settings, Slot, Trace,
};
use socklab::units::{ByteSize, Probability, Rate};

use crate::harness::{DOWN, MS, UP, datagram, is_lost};

fn probabilities() -> impl Strategy<Value = Probability> {
    (0.0..=1.0).prop_map(|value| Probability::new(value).expect("it is within"))
}

fn chances() -> impl Strategy<Value = Chance> {
    prop_oneof![
        2 => Just(Chance::default()),
        1 => (probabilities(), probabilities()).prop_map(|(probability, correlation)| Chance {
            probability,
            correlation,
        }),
    ]
}

fn losses() -> impl Strategy<Value = Loss> {
    prop_oneof![
        2 => Just(Loss::None),
        1 => chances().prop_map(Loss::Random),
        1 => prop::array::uniform4(probabilities()).prop_map(|[p, r, bad_loss, good_loss]| {
            Loss::GilbertElliott { p, r, bad_loss, good_loss }
        }),
        1 => prop::array::uniform5(probabilities()).prop_map(|[p13, p31, p32, p23, p14]| {
            Loss::Markov { p13, p31, p32, p23, p14 }
        }),
    ]
}

fn times() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        (0_u64..30_000).prop_map(Duration::from_micros)
    ]
}

fn distributions() -> impl Strategy<Value = Distribution> {
    prop_oneof![
        Just(Distribution::Uniform),
        Just(Distribution::Normal),
        Just(Distribution::Pareto),
        Just(Distribution::ParetoNormal),
    ]
}

fn delays() -> impl Strategy<Value = Delay> {
    (times(), times(), probabilities(), distributions()).prop_map(
        |(base, jitter, correlation, distribution)| Delay {
            base,
            jitter,
            correlation,
            distribution,
        },
    )
}

fn bottlenecks() -> impl Strategy<Value = Bottleneck> {
    let framing = (-20..40_i32, 0..60_u32, -3..5_i32).prop_map(|(packet, size, cell)| Framing {
        packet_overhead: packet,
        cell_size: size,
        cell_overhead: cell,
    });
    let server = (0_u64..3, 1_u64..20_000_000, 0_u64..5000, framing).prop_map(
        |(kind, rate, burst, framing)| match kind {
            0 => Server::Rate {
                rate: Rate(rate),
                framing,
            },
            1 => Server::Trace(Arc::new(
                Trace::parse("three", "0\n4\n4\n").expect("it is a trace"),
            )),
            _ => Server::TokenBucket {
                rate: Rate(rate),
                burst: ByteSize(burst),
                framing,
            },
        },
    );
    let capacity = prop_oneof![
        (0_u32..30).prop_map(Capacity::Packets),
        (0_u64..30_000).prop_map(|bytes| Capacity::Bytes(ByteSize(bytes))),
    ];
    let discipline = prop_oneof![
        Just(Discipline::DropTail),
        (times(), times()).prop_map(|(target, interval)| Discipline::CoDel { target, interval }),
        (0_u64..5000, 0_u64..9000, probabilities()).prop_map(|(min, max, probability)| {
            Discipline::Red {
                min: ByteSize(min),
                max: ByteSize(max),
                probability,
            }
        }),
    ];
    (server, capacity, discipline, any::<bool>()).prop_map(|(server, capacity, discipline, ecn)| {
        Bottleneck {
            server,
            capacity,
            discipline,
            ecn,
        }
    })
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let selector = prop::sample::select(vec!["every 3", "data#2..9", "udp len>700", "c2s"]);
    let action = prop::sample::select(vec![
        Action::Drop,
        Action::Delay(7 * MS),
        Action::Duplicate,
        Action::Mark,
    ]);
    let rule = (selector, action).prop_map(|(selector, action)| Rule {
        selector: selector.parse().expect("it is a selector"),
        action,
    });
    prop::collection::vec(rule, 0..3)
}

fn slots() -> impl Strategy<Value = Slot> {
    (
        times(),
        times(),
        prop::option::of(distributions()),
        0_u32..5,
        0_u32..3000,
    )
        .prop_map(|(least, most, distribution, packets, bytes)| Slot {
            least,
            most,
            distribution,
            packets,
            bytes,
        })
}

prop_compose! {
    fn settings()(
        rules in rules(),
        duplicate in chances(),
        loss in losses(),
        ecn in any::<bool>(),
        corrupt in chances(),
        truncate in chances(),
        limit in prop::option::of(0_u32..30),
        delay in delays(),
        reorder in prop::option::of((chances(), 0_u32..5)),
        slot in prop::option::of(slots()),
        bottleneck in prop::option::of(bottlenecks()),
    ) -> Settings {
        Settings {
            rules,
            duplicate,
            loss,
            ecn,
            corrupt,
            truncate,
            limit,
            delay,
            reorder: reorder.map(|(chance, gap)| Reorder { chance, gap }),
            slot,
            bottleneck,
        }
    }
}

prop_compose! {
    fn plans()(
        seed in any::<u64>(),
        first in settings(),
        down in settings(),
        changes in prop::collection::vec((0_u32..100, settings()), 0..3),
    ) -> Plan {
        let mut changes = changes;
        changes.sort_by_key(|(at, _)| *at);
        let changes = changes.into_iter().map(|(at, settings)| (at * MS, settings)).collect();
        Plan {
            seed,
            up: Course { first, changes },
            down: Course { first: down, changes: Vec::new() },
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Offer {
    is_up: bool,
    pause: Duration,
    flow: u16,
    length: u16,
    is_polled: bool,
}

fn offers() -> impl Strategy<Value = Vec<Offer>> {
    let offer = (
        any::<bool>(),
        0_u64..3000,
        0_u16..3,
        28_u16..1500,
        any::<bool>(),
    )
        .prop_map(|(is_up, pause, flow, length, is_polled)| Offer {
            is_up,
            pause: Duration::from_micros(pause),
            flow,
            length,
            is_polled,
        });
    prop::collection::vec(offer, 0..100)
}

/// What came out in order, and what was given up at the end.
fn run(plan: Plan, offers: &[Offer]) -> (Vec<Outcome>, Vec<u64>, u64) {
    let mut medium = Medium::new(plan);
    let mut now = Duration::ZERO;
    let mut outcomes = Vec::new();
    for offer in offers {
        now += offer.pause;
        while offer.is_polled
            && let Some(outcome) = medium.poll(now)
        {
            outcomes.push(outcome);
        }
        let bytes = datagram((offer.flow, 5073), offer.length, 2);
        medium.offer(if offer.is_up { UP } else { DOWN }, now, bytes);
    }
    let end = now + 50 * MS;
    while let Some(outcome) = medium.poll(end) {
        outcomes.push(outcome);
    }
    let under_way = medium.in_flight();
    let abandoned: Vec<u64> = medium.abandon().iter().map(|parcel| parcel.id).collect();
    assert_eq!(under_way, abandoned.len());
    assert_eq!((medium.in_flight(), medium.next_deadline()), (0, None));
    (outcomes, abandoned, medium.last_id())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_packet_comes_out_once(plan in plans(), offers in offers()) {
        let (outcomes, abandoned, last) = run(plan, &offers);
        let mut ids: Vec<u64> = outcomes.iter().map(|outcome| outcome.parcel.id).collect();
        prop_assert!(abandoned.is_sorted());
        ids.extend(abandoned);
        ids.sort_unstable();
        prop_assert_eq!(ids, (1..=last).collect::<Vec<u64>>());

        let originals: BTreeMap<u64, &Outcome> =
            outcomes.iter().map(|outcome| (outcome.parcel.id, outcome)).collect();
        let mut copied = BTreeSet::new();
        for outcome in &outcomes {
            let parcel = &outcome.parcel;
            prop_assert!(parcel.due_at >= parcel.sent_at);
            let is_same = parcel.changes.spare_bytes();
            prop_assert_eq!(is_same, parcel.altered.is_none());
            prop_assert!(!parcel.bytes().is_empty());
            if let Some(original) = parcel.changes.copy_of {
                prop_assert!(copied.insert(original), "copied once only");
                if let Some(original) = originals.get(&original) {
                    prop_assert_eq!(original.parcel.place, parcel.place);
                    prop_assert_eq!(&original.parcel.sent, &parcel.sent);
                }
            }
        }
    }

    #[test]
    fn outcomes_come_in_the_order_of_time(plan in plans(), offers in offers()) {
        // Polled at each offer, as a wire does.
        let offers: Vec<Offer> =
            offers.into_iter().map(|offer| Offer { is_polled: true, ..offer }).collect();
        let (outcomes, ..) = run(plan, &offers);
        prop_assert!(outcomes.is_sorted_by_key(|outcome| outcome.parcel.due_at));
    }

    #[test]
    fn polling_seldom_changes_nothing(plan in plans(), offers in offers()) {
        let fates = |is_polled: bool| {
            let offers: Vec<Offer> =
                offers.iter().map(|offer| Offer { is_polled, ..*offer }).collect();
            let (mut outcomes, abandoned, _) = run(plan.clone(), &offers);
            outcomes.sort_by_key(|outcome| outcome.parcel.id);
            (outcomes, abandoned)
        };
        prop_assert_eq!(fates(true), fates(false));
    }

    #[test]
    fn a_constant_delay_keeps_the_order(base in times(), offers in offers()) {
        let settings = Settings {
            delay: Delay { base, ..Delay::default() },
            ..Settings::default()
        };
        let course = Course { first: settings, changes: Vec::new() };
        let plan = Plan { seed: 1, up: course.clone(), down: course };
        let (outcomes, ..) = run(plan, &offers);
        prop_assert!(outcomes.is_sorted_by_key(|outcome| outcome.parcel.id));
        prop_assert!(!outcomes.iter().any(|outcome| outcome.parcel.changes.reordered));
        prop_assert!(!outcomes.iter().any(is_lost));
    }
}
