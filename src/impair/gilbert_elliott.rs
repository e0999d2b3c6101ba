//! The Gilbert-Elliott model of bursty loss: a channel that is good or bad, and
//! loses packets at a rate of its own in either state.
//!
//! netem's `gemodel`: a packet is judged by the state before its transition.
//! E. O. Elliott, "Estimates of error rates for codes on burst-noise channels",
//! 1963; tc-netem(8). Loss in the long run is
//! `(r·good_loss + p·bad_loss) / (p + r)`.
//!
//! ```text
//!         p
//!   good ───► bad
//!        ◄───
//!         r
//! ```

use super::draw::{Draws, Purpose};
use crate::units::Probability;

/// The state of a channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Channel {
    #[default]
    Good,
    Bad,
}

impl Channel {
    /// Whether the next packet is lost, given how often each state (good, bad)
    /// is left and how often a packet is lost in it.
    pub(super) fn decide(
        &mut self,
        leave: [Probability; 2],
        loss: [Probability; 2],
        draws: Draws,
    ) -> bool {
        let leaves = draws.unit(Purpose::Transition) < leave[*self as usize].value();
        let is_lost = draws.unit(Purpose::Loss) < loss[*self as usize].value();
        if leaves {
            *self = match self {
                Self::Good => Self::Bad,
                Self::Bad => Self::Good,
            };
        }
        is_lost
    }
}

#[cfg(test)]
mod tests {
    use super::Channel;
    use crate::impair::draw::Key;
    use crate::units::Probability;

    #[test]
    fn a_packet_is_judged_by_the_state_before_the_transition() {
        let mut channel = Channel::default();
        let both = [Probability::ALWAYS, Probability::ALWAYS];
        let loss = [Probability::NEVER, Probability::ALWAYS];
        let fates: Vec<bool> = (1..=4)
            .map(|index| channel.decide(both, loss, Key::of(&[1]).packet(index, false)))
            .collect();
        assert_eq!(fates, [false, true, false, true]);
    }
}
