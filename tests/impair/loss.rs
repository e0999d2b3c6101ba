//! How often, and in what bursts, packets are lost.

use socklab::impair::{Chance, Loss, Settings};
use statrs::distribution::{Beta, ChiSquared, ContinuousCDF};

use crate::harness::{MS, cause, chance, datagram, losses, probability, stream};

const PACKETS: u32 = 100_000;

fn with(loss: Loss) -> Settings {
    Settings {
        loss,
        ..Settings::default()
    }
}

fn count(fates: &[bool]) -> u32 {
    u32::try_from(fates.iter().filter(|lost| **lost).count()).expect("it is small")
}

fn rate(fates: &[bool]) -> f64 {
    f64::from(count(fates)) / f64::from(PACKETS)
}

/// The exact binomial bounds of Clopper and Pearson (1934).
fn bounds(lost: u32, of: u32, confidence: f64) -> (f64, f64) {
    let (lost, of) = (f64::from(lost), f64::from(of));
    let tail = (1.0 - confidence) / 2.0;
    let quantile = |a, b, p| {
        Beta::new(a, b)
            .expect("a and b are positive")
            .inverse_cdf(p)
    };
    (
        quantile(lost, of - lost + 1.0, tail),
        quantile(lost + 1.0, of - lost, 1.0 - tail),
    )
}

#[test]
fn random_loss_is_as_often_as_it_says() {
    for p in [0.001, 0.01, 0.1, 0.5, 0.9] {
        let lost = count(&losses(with(Loss::Random(chance(p))), PACKETS));
        let (least, most) = bounds(lost, PACKETS, 0.999);
        assert!(
            (least..=most).contains(&p),
            "{lost} of {PACKETS} were lost: {p} is not between {least} and {most}"
        );
    }
}

#[test]
fn correlated_loss_is_as_rare_as_netems() {
    // netem loses 1.75 % where 10 % with a correlation of 25 % are asked for.
    let loss = Loss::Random(Chance {
        correlation: probability(0.25),
        ..chance(0.1)
    });
    let found = rate(&losses(with(loss), PACKETS));
    assert!((found - 0.0175).abs() < 0.002, "{found}");
}

#[test]
fn bursts_of_gilbert_elliott_are_geometric() {
    const BINS: usize = 12;
    let (p, r) = (0.02, 0.25);
    let fates = losses(
        with(Loss::GilbertElliott {
            p: probability(p),
            r: probability(r),
            bad_loss: probability(1.0),
            good_loss: probability(0.0),
        }),
        PACKETS,
    );
    // Bursts of 1, 2, … and all that are longer.
    let mut found = [0.0; BINS];
    for burst in fates.split(|lost| !lost).filter(|burst| !burst.is_empty()) {
        found[burst.len().min(BINS) - 1] += 1.0;
    }
    let bursts: f64 = found.iter().sum();
    let mut longer = 1.0;
    let chi: f64 = found
        .iter()
        .enumerate()
        .map(|(bin, found)| {
            let share = if bin + 1 == BINS { longer } else { longer * r };
            longer *= 1.0 - r;
            (found - bursts * share).powi(2) / (bursts * share)
        })
        .sum();
    let critical = ChiSquared::new(11.0)
        .expect("there are degrees of freedom")
        .inverse_cdf(0.999);
    assert!(bursts > 1000.0, "{bursts}");
    assert!(
        chi < critical,
        "χ² of {chi} with {bursts} bursts: {found:?}"
    );
}

#[test]
fn gilbert_elliott_loses_as_its_formula_says() {
    for (p, r, bad_loss, good_loss) in [
        (0.01, 0.3, 1.0, 0.0),
        (0.05, 0.2, 0.7, 0.01),
        (0.3, 0.7, 0.5, 0.1),
        (0.1, 0.9, 1.0, 0.0), // netem's default r = 1 - p: independent losses
    ] {
        let found = rate(&losses(
            with(Loss::GilbertElliott {
                p: probability(p),
                r: probability(r),
                bad_loss: probability(bad_loss),
                good_loss: probability(good_loss),
            }),
            PACKETS,
        ));
        let expected = (r * good_loss + p * bad_loss) / (p + r);
        // Neighbours agree by 1 - p - r, which widens the spread of the mean.
        let kept: f64 = 1.0 - p - r;
        let spread = expected * (1.0 - expected) * (1.0 + kept) / (1.0 - kept);
        let bound = 4.0 * (spread / f64::from(PACKETS)).sqrt();
        assert!(
            (found - expected).abs() < bound,
            "p {p} r {r}: {found}, not {expected} ± {bound}"
        );
    }
}

#[test]
fn the_four_states_lose_as_their_formula_says() {
    for [p13, p31, p32, p23, p14] in [
        [0.02, 0.2, 0.3, 0.5, 0.01],
        [0.05, 0.5, 0.2, 0.3, 0.0],
        [0.1, 0.3, 0.0, 1.0, 0.05],
    ] {
        let found = rate(&losses(
            with(Loss::Markov {
                p13: probability(p13),
                p31: probability(p31),
                p32: probability(p32),
                p23: probability(p23),
                p14: probability(p14),
            }),
            PACKETS,
        ));
        let third = p13 / p31;
        let (second, fourth) = (third * p32 / p23, p14);
        let expected = (third + fourth) / (1.0 + second + third + fourth);
        assert!(
            (found - expected).abs() < 0.06 * expected,
            "{found}, not {expected}"
        );
    }
}

#[test]
fn a_loss_says_of_which_kind_it_was() {
    let always = probability(1.0);
    let burst = Loss::GilbertElliott {
        p: always,
        r: always,
        bad_loss: always,
        good_loss: always,
    };
    for (loss, expected) in [
        (Loss::Random(chance(1.0)), "random loss"),
        (burst, "burst loss"),
    ] {
        let outcomes = stream(with(loss), 3, MS, &datagram((1, 2), 28, 0));
        assert!(outcomes.iter().all(|outcome| cause(outcome) == expected));
    }
}

#[test]
fn a_copy_has_fates_of_its_own() {
    let settings = Settings {
        duplicate: chance(1.0),
        ..with(Loss::Random(chance(0.5)))
    };
    let outcomes = stream(settings, 10_000, MS, &datagram((1, 2), 28, 0));
    let copies = |is_copy: bool, is_lost: bool| {
        outcomes
            .iter()
            .filter(|outcome| outcome.parcel.changes.copy_of.is_some() == is_copy)
            .filter(|outcome| (cause(outcome) == "random loss") == is_lost)
            .count()
    };
    // A packet that is lost and duplicated is delivered once and not copied.
    assert_eq!((copies(false, false), copies(false, true)), (10_000, 0));
    let made = copies(true, true) + copies(true, false);
    assert!((4800..5200).contains(&made), "{made}");
    assert!((2300..2700).contains(&copies(true, true)));
}
