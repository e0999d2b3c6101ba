//! Where an axis has its ticks, and how they are called: round numbers, few of
//! them, one unit for all.
//!
//! Pure numbers; draws nothing.

use std::time::Duration;

/// An axis from its low end to its high end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scale {
    /// Equal steps are equal differences.
    Linear {
        /// The value at the low end.
        from: f64,
        /// The value at the high end.
        to: f64,
    },
    /// Equal steps are equal ratios; both ends are above zero.
    Log {
        /// The value at the low end.
        from: f64,
        /// The value at the high end.
        to: f64,
    },
}

impl Scale {
    /// From `from` to a round number not below `to`.
    pub(super) fn linear(from: f64, to: f64) -> Self {
        let to = if to > from { to } else { from + 1.0 };
        let step = round_step(to - from, TICKS);
        let to = (to / step - 1e-9).ceil() * step;
        Self::Linear { from, to }
    }

    /// For values from `least` to `most`: linear from zero, or by powers of ten
    /// where the `typical` value would lie at the foot of a linear axis.
    pub(super) fn of_spread(least: f64, typical: f64, most: f64) -> Self {
        /// So far above the typical value is too far.
        const FAR: f64 = 20.0;
        if least > 0.0 && most > least && most / typical > FAR {
            Self::Log {
                from: 10_f64.powf(least.log10().floor()),
                to: 10_f64.powf(most.log10().ceil()),
            }
        } else {
            Self::linear(0.0, most)
        }
    }

    /// Where a value lies: 0 at the low end, 1 at the high end, never outside.
    pub(super) fn place(self, value: f64) -> f64 {
        let place = match self {
            Self::Linear { from, to } => (value - from) / (to - from),
            Self::Log { from, to } => (value.max(from) / from).ln() / (to / from).ln(),
        };
        if place.is_finite() {
            place.clamp(0.0, 1.0)
        } else {
            0.0
        }
    }

    /// Whether steps are ratios.
    pub(super) fn is_log(self) -> bool {
        matches!(self, Self::Log { .. })
    }

    /// The values that get a tick, ascending.
    pub(super) fn ticks(self) -> Vec<f64> {
        match self {
            Self::Linear { from, to } => {
                let step = round_step(to - from, TICKS);
                let first = (from / step - 1e-9).ceil();
                // At most a dozen: the step is a fifth of the span or more.
                (0..12)
                    .map(|index| (first + f64::from(index)) * step)
                    .take_while(|value| *value <= to + step * 1e-6)
                    .collect()
            }
            Self::Log { from, to } => {
                let decades = (to / from).log10().round().clamp(1.0, 15.0);
                (0..=15)
                    .map(|power| from * 10_f64.powi(power))
                    .take_while(|value| *value <= from * 10_f64.powf(decades) * 1.001)
                    .collect()
            }
        }
    }
}

/// About so many ticks.
const TICKS: f64 = 5.0;

/// A round step, 1, 2 or 5 times a power of ten, that fits about `count` times.
fn round_step(span: f64, count: f64) -> f64 {
    let rough = (span / count).max(f64::MIN_POSITIVE);
    let power = 10_f64.powf(rough.log10().floor());
    let digit = match rough / power {
        ratio if ratio <= 1.0 + 1e-9 => 1.0,
        ratio if ratio <= 2.0 + 1e-9 => 2.0,
        ratio if ratio <= 5.0 + 1e-9 => 5.0,
        _ => 10.0,
    };
    digit * power
}

/// A unit of time, and how many seconds it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct TimeUnit {
    /// Its sign.
    pub(super) sign: &'static str,
    seconds: f64,
}

impl TimeUnit {
    /// The unit in which `most` is read best.
    pub(super) fn for_up_to(most: Duration) -> Self {
        match most.as_secs_f64() {
            seconds if seconds >= 2.0 => Self {
                sign: "s",
                seconds: 1.0,
            },
            seconds if seconds >= 2e-4 => Self {
                sign: "ms",
                seconds: 1e-3,
            },
            _ => Self {
                sign: "µs",
                seconds: 1e-6,
            },
        }
    }

    /// A time in this unit.
    pub(super) fn of(self, time: Duration) -> f64 {
        time.as_secs_f64() / self.seconds
    }
}

/// Ticks' values in words: as many digits as each needs, thousands and millions
/// in one way for all.
pub(super) fn labels(ticks: &[f64]) -> Vec<String> {
    let most = ticks
        .iter()
        .fold(0.0_f64, |most, tick| most.max(tick.abs()));
    let (size, sign) = match most {
        _ if most >= 1e6 => (1e6, "M"),
        _ if most >= 1e4 => (1e3, "k"),
        _ => (1.0, ""),
    };
    let label = |tick: &f64| match trimmed(tick / size) {
        text if text == "0" || text == "-0" => "0".to_owned(),
        text => text + sign,
    };
    ticks.iter().map(label).collect()
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The least of several groups' medians, without the empty ones.
pub(super) fn typical(groups: impl Iterator<Item = Vec<Duration>>) -> Option<Duration> {
    let median = |mut group: Vec<Duration>| {
        group.sort_unstable();
        group.get(group.len() / 2).copied()
    };
    groups.filter_map(median).min()
}

/// A count as a number to draw with.
#[expect(clippy::cast_precision_loss, reason = "drawn, not counted")]
pub(super) fn number(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labelled(scale: Scale) -> String {
        labels(&scale.ticks()).join(" ")
    }

    #[test]
    fn ticks_are_few_and_round() {
        for (from, to, expected) in [
            (0.0, 10.0, "0 2 4 6 8 10"),
            (0.0, 97.0, "0 20 40 60 80 100"),
            (0.0, 1.0, "0 0.2 0.4 0.6 0.8 1"),
            (0.0, 0.03, "0 0.01 0.02 0.03"),
            (0.0, 43_210.0, "0 10k 20k 30k 40k 50k"),
            (0.0, 20_000.0, "0 5k 10k 15k 20k"),
            (0.0, 0.0, "0 0.2 0.4 0.6 0.8 1"),
            (0.0, 2_500_000.0, "0 0.5M 1M 1.5M 2M 2.5M"),
        ] {
            assert_eq!(labelled(Scale::linear(from, to)), expected, "{from}..{to}");
        }
    }

    #[test]
    fn a_wide_spread_is_told_in_powers_of_ten() {
        let wide = Scale::of_spread(0.04, 2.0, 210.0);
        assert!(wide.is_log());
        assert_eq!(labelled(wide), "0.01 0.1 1 10 100 1000");
        assert!(!Scale::of_spread(20.0, 30.0, 60.0).is_log());
        assert!(
            !Scale::of_spread(0.01, 20.0, 60.0).is_log(),
            "a few short ones"
        );
        assert!(!Scale::of_spread(0.0, 0.1, 60.0).is_log());
        let place = wide.place(1.0);
        assert!((place - 0.4).abs() < 1e-9, "{place}");
    }

    #[test]
    fn times_are_in_the_unit_in_which_they_are_read_best() {
        for (nanos, sign) in [(1_000, "µs"), (1_000_000, "ms"), (5_000_000_000, "s")] {
            assert_eq!(TimeUnit::for_up_to(Duration::from_nanos(nanos)).sign, sign);
        }
        let unit = TimeUnit::for_up_to(Duration::from_millis(100));
        assert!((unit.of(Duration::from_micros(1500)) - 1.5).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn every_axis_has_two_to_a_dozen_ticks_and_every_value_a_place(
            from in -1e9..1e9_f64, span in 0.0..1e12_f64, value in any::<f64>(),
        ) {
            for scale in [Scale::linear(from, from + span), Scale::of_spread(span / 1e4, span / 1e3, span)] {
                let ticks = scale.ticks();
                prop_assert!((2..=12).contains(&ticks.len()), "{ticks:?}");
                prop_assert!(ticks.windows(2).all(|pair| pair[0] < pair[1]));
                prop_assert!((0.0..=1.0).contains(&scale.place(value)));
            }
        }
    }
}
