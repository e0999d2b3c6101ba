//! Whether a packet is lost: by its own draw, by a correlated one, or by a
//! model with states. Each flow and direction has a memory of its own.
//!
//! tc-netem(8), "loss".

use super::draw::{Draws, Last, Purpose};
use super::gilbert_elliott::Channel;
use super::markov::Spell;
use super::settings::Loss;

/// What a loss model remembers of a flow.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LossMemory {
    last: Last,
    channel: Channel,
    spell: Spell,
}

impl LossMemory {
    /// Whether the next packet is lost.
    pub(super) fn decide(&mut self, loss: Loss, draws: Draws) -> bool {
        match loss {
            Loss::None => false,
            Loss::Random(chance) => self.last.decide(chance, draws, Purpose::Loss),
            Loss::GilbertElliott {
                p,
                r,
                bad_loss,
                good_loss,
            } => self.channel.decide([p, r], [good_loss, bad_loss], draws),
            Loss::Markov {
                p13,
                p31,
                p32,
                p23,
                p14,
            } => self.spell.decide([p13, p31, p32, p23, p14], draws),
        }
    }
}

impl Loss {
    /// The cause that a lost packet is told of.
    pub(super) fn cause(self) -> &'static str {
        match self {
            Self::None | Self::Random(_) => "random loss",
            Self::GilbertElliott { .. } | Self::Markov { .. } => "burst loss",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LossMemory;
    use crate::impair::draw::Key;
    use crate::impair::settings::{Chance, Loss};
    use crate::units::Probability;

    #[test]
    fn always_and_never_are_exact() {
        for (probability, expected) in [(Probability::ALWAYS, 1000), (Probability::NEVER, 0)] {
            let mut memory = LossMemory::default();
            let loss = Loss::Random(Chance {
                probability,
                ..Chance::default()
            });
            let losses = (1..=1000)
                .filter(|index| memory.decide(loss, Key::of(&[1]).packet(*index, false)))
                .count();
            assert_eq!(losses, expected);
        }
    }
}
