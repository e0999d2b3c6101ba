//! How late packets are, in what order, and in what bursts.

use std::collections::HashMap;
use std::time::Duration;

use socklab::impair::{
    Bottleneck, Capacity, Delay, Discipline, Distribution, Framing, Outcome, Reorder, Server,
    Settings, Slot,
};
use socklab::units::Rate;
use statrs::distribution::{ContinuousCDF, Normal};

use crate::harness::{MS, chance, datagram, exact, lateness, stream};

const PACKETS: u32 = 50_000;
const BASE: Duration = Duration::from_millis(100);
const JITTER: Duration = Duration::from_millis(10);

fn jittered(distribution: Distribution) -> Settings {
    Settings {
        delay: Delay {
            base: BASE,
            jitter: JITTER,
            distribution,
            ..Delay::default()
        },
        ..Settings::default()
    }
}

/// The greatest distance between the distribution of `values` and `cdf`, at a
/// thousand places.
fn distance(values: &mut [f64], cdf: impl Fn(f64) -> f64) -> f64 {
    values.sort_by(f64::total_cmp);
    (0..1000)
        .map(|step| -4.2 + f64::from(step) * 0.0084)
        .map(|x| {
            let below = values.partition_point(|value| *value <= x);
            let found = exact(below) / exact(values.len());
            (found - cdf(x)).abs()
        })
        .fold(0.0, f64::max)
}

/// The share of netem's Pareto values that is at most `x`.
fn pareto(x: f64) -> f64 {
    match x {
        x if x >= 4.0 => 1.0,
        x if x <= -2.0 / 3.0 => 0.0,
        x => 1.0 - (x * 0.75 + 1.5).powi(-3),
    }
}

#[test]
fn jitter_has_the_shape_it_says() {
    let normal = Normal::standard();
    let clipped = |x: f64| match x {
        x if x >= 4.0 => 1.0,
        x if x < -4.0 => 0.0,
        x => normal.cdf(x),
    };
    // A quarter normal, three quarters Pareto, at the same share: by bisection.
    let mixed = |x: f64| {
        let (mut low, mut high) = (1e-9, 1.0 - 1e-9);
        for _ in 0..60 {
            let middle: f64 = f64::midpoint(low, high);
            let tail = ((1.0 - middle).powf(-1.0 / 3.0) - 1.5) / 0.75;
            let value = 0.25 * normal.inverse_cdf(middle).clamp(-4.0, 4.0) + 0.75 * tail.min(4.0);
            if value <= x {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    };
    let table: [(Distribution, &dyn Fn(f64) -> f64); 4] = [
        (Distribution::Uniform, &|x: f64| {
            f64::midpoint(x.clamp(-1.0, 1.0), 1.0)
        }),
        (Distribution::Normal, &clipped),
        (Distribution::Pareto, &pareto),
        (Distribution::ParetoNormal, &mixed),
    ];
    for (distribution, cdf) in table {
        let outcomes = stream(
            jittered(distribution),
            PACKETS,
            MS,
            &datagram((1, 2), 28, 0),
        );
        let mut values: Vec<f64> = outcomes
            .iter()
            .map(|outcome| (lateness(outcome).as_secs_f64() - BASE.as_secs_f64()) * 100.0)
            .collect();
        let distance = distance(&mut values, cdf);
        // Kolmogorov's bound at one in a thousand.
        let bound = 1.95 / f64::from(PACKETS).sqrt();
        assert!(
            distance < bound,
            "{distribution:?}: {distance}, over {bound}"
        );
    }
}

#[test]
fn a_constant_delay_is_exact_and_keeps_the_order() {
    let settings = Settings {
        delay: Delay {
            base: BASE,
            ..Delay::default()
        },
        ..Settings::default()
    };
    let outcomes = stream(settings, 1000, MS / 10, &datagram((1, 2), 28, 0));
    assert!(outcomes.iter().all(|outcome| lateness(outcome) == BASE));
    assert!(outcomes.is_sorted_by_key(|outcome| outcome.parcel.id));
    assert!(
        outcomes
            .iter()
            .all(|outcome| !outcome.parcel.changes.reordered)
    );
}

/// RFC 4737 section 3.3, told from the order of arrival alone.
fn reordered(outcomes: &[Outcome]) -> HashMap<u64, bool> {
    let mut next_expected = 0;
    outcomes
        .iter()
        .map(|outcome| {
            let number = outcome.parcel.place.index;
            let is_late = number < next_expected;
            next_expected = next_expected.max(number + 1);
            (number, is_late)
        })
        .collect()
}

#[test]
fn jitter_reorders_unless_a_rate_keeps_the_order() {
    let bytes = datagram((1, 2), 28, 0);
    let outcomes = stream(jittered(Distribution::Normal), 10_000, MS, &bytes);
    let expected = reordered(&outcomes);
    assert!(expected.values().filter(|late| **late).count() > 1000);
    for outcome in &outcomes {
        let number = outcome.parcel.place.index;
        assert_eq!(outcome.parcel.changes.reordered, expected[&number]);
    }

    let rated = Settings {
        bottleneck: Some(Bottleneck {
            server: Server::Rate {
                rate: Rate(100_000_000),
                framing: Framing::default(),
            },
            capacity: Capacity::default(),
            discipline: Discipline::DropTail,
            ecn: false,
        }),
        ..jittered(Distribution::Normal)
    };
    let outcomes = stream(rated, 10_000, MS, &bytes);
    assert!(outcomes.is_sorted_by_key(|outcome| outcome.parcel.id));
    assert!(
        outcomes
            .iter()
            .all(|outcome| !outcome.parcel.changes.reordered)
    );
}

#[test]
fn every_gapth_packet_overtakes() {
    let settings = Settings {
        delay: Delay {
            base: BASE,
            ..Delay::default()
        },
        reorder: Some(Reorder {
            chance: chance(1.0),
            gap: 5,
        }),
        ..Settings::default()
    };
    for outcome in stream(settings, 100, MS, &datagram((1, 2), 28, 0)) {
        let overtakes = outcome.parcel.place.index % 5 == 0;
        assert_eq!(outcome.parcel.changes.hastened, overtakes);
        assert_eq!(lateness(&outcome).is_zero(), overtakes);
        // The hundredth comes before the first that is not in a hurry.
        assert_eq!(outcome.parcel.changes.reordered, !overtakes);
    }
}

#[test]
fn slots_deliver_in_bursts() {
    let settings = Settings {
        slot: Some(Slot {
            least: 10 * MS,
            most: 10 * MS,
            distribution: None,
            packets: 4,
            bytes: 0,
        }),
        ..Settings::default()
    };
    let outcomes = stream(settings, 100, MS / 10, &datagram((1, 2), 28, 0));
    assert_eq!(outcomes.len(), 100);
    let mut bursts: HashMap<Duration, usize> = HashMap::new();
    for outcome in &outcomes {
        *bursts.entry(outcome.parcel.due_at).or_default() += 1;
    }
    assert!(bursts.values().all(|packets| *packets <= 4));
    let mut times: Vec<Duration> = bursts.into_keys().collect();
    times.sort_unstable();
    assert!(
        times[1..]
            .windows(2)
            .all(|pair| pair[1] == pair[0] + 10 * MS)
    );
}
