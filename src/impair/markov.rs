//! The four-state Markov model of loss: gaps with lone losses between bursts
//! with lone receptions.
//!
//! netem's `state`: a packet is judged by the state after its transition.
//! S. Salsano, F. Ludovici, A. Ordine, "Definition of a general and intuitive
//! loss model for packet networks", 2009; tc-netem(8).
//!
//! ```text
//!            p14            p13            p32
//!   4 gap   ◄──── 1 gap    ────► 3 burst  ────► 2 burst
//!     lost  ────►   received◄────   lost  ◄────   received
//!             1             p31            p23
//! ```

use super::draw::{Draws, Purpose};
use crate::units::Probability;

/// The state of the chain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Spell {
    /// 1.
    #[default]
    GapReceived,
    /// 2.
    BurstReceived,
    /// 3.
    BurstLost,
    /// 4.
    GapLost,
}

impl Spell {
    /// Whether the next packet is lost, given p13, p31, p32, p23 and p14.
    pub(super) fn decide(&mut self, probabilities: [Probability; 5], draws: Draws) -> bool {
        let [p13, p31, p32, p23, p14] = probabilities.map(Probability::value);
        let draw = draws.unit(Purpose::Transition);
        *self = match self {
            Self::GapReceived if draw < p14 => Self::GapLost,
            Self::GapReceived if draw < p13 + p14 => Self::BurstLost,
            Self::BurstReceived if draw < p23 => Self::BurstLost,
            Self::BurstReceived => Self::BurstReceived,
            Self::BurstLost if draw < p32 => Self::BurstReceived,
            Self::BurstLost if draw >= p31 + p32 => Self::BurstLost,
            Self::GapReceived | Self::BurstLost | Self::GapLost => Self::GapReceived,
        };
        matches!(self, Self::BurstLost | Self::GapLost)
    }
}

#[cfg(test)]
mod tests {
    use super::Spell;
    use crate::impair::draw::Key;
    use crate::units::Probability;

    #[test]
    fn certain_transitions_go_round() {
        let (one, none) = (Probability::ALWAYS, Probability::NEVER);
        // p13, p31, p32, p23, p14
        let table = [
            ([one, one, none, none, none], "x.x.", "1 and 3 take turns"),
            ([one, none, one, one, none], "x.x.", "3 and 2 take turns"),
            ([none, none, none, none, one], "x.x.", "4 returns at once"),
            ([one, none, none, none, none], "xxxx", "3 is never left"),
            ([none, none, none, none, none], "....", "1 is never left"),
        ];
        for (probabilities, expected, why) in table {
            let mut spell = Spell::default();
            let seen: String = (1..=4)
                .map(|index| spell.decide(probabilities, Key::of(&[1]).packet(index, false)))
                .map(|lost| if lost { 'x' } else { '.' })
                .collect();
            assert_eq!(seen, expected, "{why}");
        }
    }
}
