//! Whether the kinds send at once or one after another.

use serde::Serialize;

use super::{Config, Variant};
use crate::units::Rate;

/// In what order the kinds send.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// All over the same link, at the same time.
    #[default]
    AtOnce,
    /// One after another; on a private link each over a fresh one with the same
    /// plan, seed and start of time, so that its draws are those that it would
    /// have had among the others.
    InTurn,
}

/// The most bytes of headers before a message: IPv6 and TCP with its options.
const HEADERS: u64 = 40 + 32;

impl Config {
    /// The order in which the kinds do not disturb each other: in turn where
    /// each sends as fast as it can, or where all together offer more than

    pub fn undisturbed(&self, narrowest: Option<Rate>) -> Order {
        if self.variants.len() < 2 {
            return Order::AtOnce;
        }
        let Some(Rate(messages)) = self.schedule.offered() else {
            return Order::InTurn;
        };
        let Some(Rate(narrowest)) = narrowest else {
            return Order::AtOnce;
        };
        let mean = u64::from(self.schedule.sizes.mean().max(1));
        let each = u128::from(messages) * u128::from(mean + HEADERS) / u128::from(mean);
        if each * self.variants.len() as u128 > u128::from(narrowest) {
            Order::InTurn
        } else {
            Order::AtOnce
        }
    }

    /// The same for one variant alone.
    #[must_use]
    pub fn alone(&self, variant: Variant) -> Self {
        Self {
            variants: vec![variant],
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::compare::Pace;

    #[test]
    fn kinds_that_would_disturb_each_other_send_in_turn() {
        let config = Config::default();
        assert_eq!(config.undisturbed(None), Order::AtOnce);
        // 100 bytes and headers each millisecond, three times: 4.1 Mbit/s.
        assert_eq!(config.undisturbed(Some(Rate(5_000_000))), Order::AtOnce);
        assert_eq!(config.undisturbed(Some(Rate(4_000_000))), Order::InTurn);
        let mut flood = config.clone();
        flood.schedule.pace = Pace::Every(Duration::ZERO);
        assert_eq!(flood.undisturbed(None), Order::InTurn);
        assert_eq!(flood.alone(Variant::Udp).undisturbed(None), Order::AtOnce);
    }
}
