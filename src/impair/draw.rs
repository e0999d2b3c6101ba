//! Random draws without a sequence: each is a function of its key (seed,
//! direction, flow, index in the flow, original or copy, purpose), so that one
//! setting's draws never shift another's and nothing depends on timing.
//!
//! The mixing function is SplitMix64's finalizer (Steele, Lea and Flood 2014,
//! with Stafford's thirteenth set of constants), chained once a key word. It is
//! a bijection, so that two keys that differ in one word never collide there;
//! over the index it is SplitMix64 itself, which passes BigCrush; and it costs
//! about a nanosecond.

use super::settings::Chance;
use crate::units::Probability;

/// What a draw decides. The numbers are part of what a seed means: they stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Duplicate = 1,
    Loss = 2,
    /// The second draw of a model with states.
    Transition = 3,
    Corrupt = 4,
    CorruptedBit = 5,
    Truncate = 6,
    TruncatedLength = 7,
    Reorder = 8,
    Delay = 9,
    RandomEarlyDetection = 10,
    Slot = 11,
}

/// What a correlated draw leans on before there was one.
const BEFORE_THE_FIRST: u64 = 1 << 32;
/// Tells a copy from its original; no purpose has this number.
const COPY: u64 = 1 << 33;

/// All draws of one flow in one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Key(u64);

impl Key {
    /// The key that follows from these words, in this order.
    pub(super) fn of(words: &[u64]) -> Self {
        Self(words.iter().fold(0, |key, word| chained(key, *word)))
    }

    /// The key of what `part` names within this.
    pub(super) fn then(self, part: Self) -> Self {
        Self(chained(self.0, part.0))
    }

    /// The draws of the packet that stands at `index`, or of its copy.
    pub(super) fn packet(self, index: u64, is_copy: bool) -> Draws {
        let key = chained(self.0, index);
        Draws(if is_copy { chained(key, COPY) } else { key })
    }
}

/// All draws of one packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draws(u64);

impl Draws {
    /// Evenly in [0, 1), in steps of 2⁻⁵².
    pub(super) fn unit(self, purpose: Purpose) -> f64 {
        unit(chained(self.0, purpose as u64))
    }

    /// Evenly in 0..`end`; 0 where `end` is 0.
    pub(super) fn below(self, end: u64, purpose: Purpose) -> u64 {
        let wide = u128::from(chained(self.0, purpose as u64)) * u128::from(end);
        u64::try_from(wide >> 64).unwrap_or_default()
    }
}

/// A correlated draw's memory: netem's `crandom`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Last(Option<f64>);

impl Last {
    /// The next draw in [0, 1): `(1 - ρ)·u + ρ·x₋₁`.
    pub(super) fn draw(&mut self, rho: Probability, draws: Draws, purpose: Purpose) -> f64 {
        let fresh = draws.unit(purpose);
        if rho == Probability::NEVER {
            return fresh;
        }
        let last = self
            .0
            .unwrap_or_else(|| unit(chained(draws.0, BEFORE_THE_FIRST + purpose as u64)));
        let next = (1.0 - rho.value()) * fresh + rho.value() * last;
        self.0 = Some(next);
        next
    }

    /// Whether what has this chance happens.
    pub(super) fn decide(&mut self, chance: Chance, draws: Draws, purpose: Purpose) -> bool {
        chance.probability != Probability::NEVER
            && self.draw(chance.correlation, draws, purpose) < chance.probability.value()
    }
}

fn chained(key: u64, word: u64) -> u64 {
    // The golden ratio's odd multiple keeps neighbouring words far apart.
    let mut z = key.wrapping_add(word.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The upper 52 bits as the fraction of a number in [1, 2), less 1.
fn unit(bits: u64) -> f64 {
    f64::from_bits(1.0_f64.to_bits() | bits >> 12) - 1.0
}

#[cfg(test)]
mod tests {
    use super::{Draws, Key, Last, Purpose};
    use crate::units::Probability;

    #[test]
    fn the_mixer_is_splitmix64() {
        // The first output of SplitMix64 from seed 0 (Vigna's splitmix64.c).
        assert_eq!(super::chained(0, 0), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn a_draw_depends_on_every_word_of_its_key() {
        let draw = |words: &[u64], index, is_copy, purpose| {
            Key::of(words).packet(index, is_copy).unit(purpose)
        };
        let draws = [
            draw(&[1, 0, 1], 1, false, Purpose::Loss),
            draw(&[2, 0, 1], 1, false, Purpose::Loss),
            draw(&[1, 1, 1], 1, false, Purpose::Loss),
            draw(&[1, 0, 2], 1, false, Purpose::Loss),
            draw(&[1, 0, 1], 2, false, Purpose::Loss),
            draw(&[1, 0, 1], 1, true, Purpose::Loss),
            draw(&[1, 0, 1], 1, false, Purpose::Delay),
        ];
        for (place, one) in draws.iter().enumerate() {
            for other in &draws[place + 1..] {
                assert!((one - other).abs() > 1e-9, "{draws:?}");
            }
        }
    }

    #[test]
    fn full_correlation_repeats_the_first_draw() {
        let mut last = Last::default();
        let mut draw = |index| {
            let draws = Key::of(&[7]).packet(index, false);
            last.draw(Probability::ALWAYS, draws, Purpose::Loss)
        };
        let first = draw(1);
        assert!((2..100).all(|index| draw(index).total_cmp(&first).is_eq()));
    }

    #[test]
    fn a_range_is_hit_from_end_to_end() {
        let hits: std::collections::BTreeSet<u64> = (0..1000)
            .map(|key| Draws(super::chained(3, key)).below(12, Purpose::CorruptedBit))
            .collect();
        assert_eq!(hits, (0..12).collect());
        assert_eq!(Draws(1).below(0, Purpose::CorruptedBit), 0);
    }
}
