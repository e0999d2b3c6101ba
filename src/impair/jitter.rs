//! The shapes of jitter: inverse distribution functions, in units of the jitter
//! that was set.
//!
//! netem reads them from tables that iproute2 makes (`netem/normal.c`,
//! `pareto.c`, `paretonormal.c`, after NIST Net) and clips at ±4; here the same
//! functions are computed, so that there is no step between table entries.

use std::time::Duration;

use super::draw::{Draws, Last, Purpose};
use super::settings::{Delay, Distribution};

/// Where netem's tables end: 16-bit values in units of 1/8192.
const CLIP: f64 = 4.0;
/// The shape of the Pareto distribution, and its mean and scale, as
/// `netem/pareto.c` has them.
const SHAPE: f64 = 3.0;
const MEAN: f64 = SHAPE / (SHAPE - 1.0);
const SCALE: f64 = 4.0 / 3.0;

impl Delay {
    /// One packet's delay; none where the jitter would make it negative.
    pub(super) fn draw(&self, last: &mut Last, draws: Draws) -> Duration {
        if self.jitter.is_zero() {
            return self.base;
        }
        let draw = last.draw(self.correlation, draws, Purpose::Delay);
        spread(self.base, self.jitter, self.distribution.quantile(draw))
    }
}

/// `mean + jitter·value`, not below zero.
pub(super) fn spread(mean: Duration, jitter: Duration, value: f64) -> Duration {
    let width =
        Duration::try_from_secs_f64(jitter.as_secs_f64() * value.abs()).unwrap_or(Duration::MAX);
    if value < 0.0 {
        mean.saturating_sub(width)
    } else {
        mean.saturating_add(width)
    }
}

impl Distribution {
    /// The value that a share `u` of all values, in [0, 1), lies below.
    ///
    /// ```
    /// use socklab::impair::Distribution;
    ///
    /// assert_eq!(Distribution::Uniform.quantile(0.75), 0.5);
    /// assert_eq!(Distribution::Normal.quantile(0.5), 0.0);
    /// assert_eq!(Distribution::Pareto.quantile(0.999), 4.0); // clipped
    /// ```
    pub fn quantile(self, u: f64) -> f64 {
        match self {
            Self::Uniform => 2.0 * u - 1.0,
            Self::Normal => normal(u),
            Self::Pareto => pareto(u),
            Self::ParetoNormal => (0.25 * normal(u) + 0.75 * pareto(u)).clamp(-CLIP, CLIP),
        }
    }
}

/// The share of values above a scaled Pareto variate `x` is `x⁻³`.
fn pareto(u: f64) -> f64 {
    (((1.0 - u).cbrt().recip() - MEAN) * SCALE).min(CLIP)
}

/// Wichura's algorithm AS 241 (1988), PPND16, whose outermost branch lies
/// beyond the clip.
fn normal(u: f64) -> f64 {
    let q = u - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.425 * 0.425 - q * q;
        return q * polynomial(&CENTRE_ABOVE, r) / polynomial(&CENTRE_BELOW, r);
    }
    let tail = u.min(1.0 - u);
    if tail < TAIL_OF_CLIP {
        return CLIP.copysign(q);
    }
    let r = (-tail.ln()).sqrt() - 1.6;
    (polynomial(&TAIL_ABOVE, r) / polynomial(&TAIL_BELOW, r))
        .min(CLIP)
        .copysign(q)
}

/// The share of a normal distribution below -4.
const TAIL_OF_CLIP: f64 = 3.167_124_183_311_998e-5;

/// Coefficients from the highest power down.
fn polynomial(coefficients: &[f64; 8], x: f64) -> f64 {
    coefficients
        .iter()
        .fold(0.0, |sum, coefficient| sum * x + coefficient)
}

const CENTRE_ABOVE: [f64; 8] = [
    2.509_080_928_730_122_7e3,
    3.343_057_558_358_813e4,
    6.726_577_092_700_87e4,
    4.592_195_393_154_987e4,
    1.373_169_376_550_946e4,
    1.971_590_950_306_551_3e3,
    1.331_416_678_917_843_8e2,
    3.387_132_872_796_366_5,
];
const CENTRE_BELOW: [f64; 8] = [
    5.226_495_278_852_854e3,
    2.872_908_573_572_194_3e4,
    3.930_789_580_009_271e4,
    2.121_379_430_158_659_7e4,
    5.394_196_021_424_751e3,
    6.871_870_074_920_579e2,
    4.231_333_070_160_091e1,
    1.0,
];
const TAIL_ABOVE: [f64; 8] = [
    7.745_450_142_783_414e-4,
    2.272_384_498_926_918_4e-2,
    2.417_807_251_774_506e-1,
    1.270_458_252_452_368_4,
    3.647_848_324_763_204_5,
    5.769_497_221_460_691,
    4.630_337_846_156_546,
    1.423_437_110_749_683_5,
];
const TAIL_BELOW: [f64; 8] = [
    1.050_750_071_644_416_9e-9,
    5.475_938_084_995_345e-4,
    1.519_866_656_361_645_7e-2,
    1.481_039_764_274_800_8e-1,
    6.897_673_349_851e-1,
    1.676_384_830_183_803_8,
    2.053_191_626_637_759,
    1.0,
];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Distribution, spread};

    #[test]
    fn quantiles_are_those_of_netems_tables() {
        // (u, value): normal from published tables of the normal distribution;
        // the others from iproute2's formulas.
        let table = [
            (Distribution::Uniform, 0.0, -1.0),
            (Distribution::Uniform, 0.5, 0.0),
            (Distribution::Normal, 0.5, 0.0),
            (Distribution::Normal, 0.841_344_746, 1.0),
            (Distribution::Normal, 0.025, -1.959_963_985),
            (Distribution::Normal, 0.001, -3.090_232_306),
            (Distribution::Normal, 0.999_9, 3.719_016_485),
            (Distribution::Normal, 0.0, -4.0),
            (Distribution::Pareto, 0.0, -2.0 / 3.0),
            (Distribution::Pareto, 0.875, 2.0 / 3.0),
            (Distribution::Pareto, 0.999, 4.0),
            (Distribution::ParetoNormal, 0.0, -1.5),
            (
                Distribution::ParetoNormal,
                0.5,
                0.75 * (2_f64.cbrt() - 1.5) * 4.0 / 3.0,
            ),
        ];
        for (distribution, u, expected) in table {
            let found = distribution.quantile(u);
            assert!(
                (found - expected).abs() < 1e-8,
                "{distribution:?} at {u}: {found}, not {expected}"
            );
        }
    }

    #[test]
    fn quantiles_ascend_and_stay_within_the_clip() {
        for distribution in [
            Distribution::Uniform,
            Distribution::Normal,
            Distribution::Pareto,
            Distribution::ParetoNormal,
        ] {
            let values: Vec<f64> = (0..100_000)
                .map(|step| distribution.quantile(f64::from(step) / 100_000.0))
                .collect();
            assert!(values.is_sorted(), "{distribution:?}");
            assert!(values.iter().all(|value| value.abs() <= 4.0));
        }
    }

    #[test]
    fn a_delay_is_never_negative() {
        let ten = Duration::from_millis(10);
        assert_eq!(spread(ten, ten, -2.0), Duration::ZERO);
        assert_eq!(spread(ten, ten, 1.5), Duration::from_millis(25));
        assert_eq!(spread(ten, Duration::MAX, 4.0), Duration::MAX);
    }
}
