//! What is to be sent and when: the same for every kind of socket.
//!
//! Pure: a schedule is a value, and playing it twice gives the same messages.

use std::fmt;
use std::time::Duration;

use crate::units::Rate;

/// The most messages of a schedule.
pub const MOST_MESSAGES: u32 = 1_000_000;

/// Which messages are sent, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// How long the messages are.
    pub sizes: Sizes,
    /// When each is due.
    pub pace: Pace,
    /// When it ends.
    pub extent: Extent,
    /// The seed of the sizes that are drawn.
    pub seed: u64,
}

/// How long messages are, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sizes {
    /// All the same.
    Fixed(u32),
    /// These in turn, and again from the first.
    Listed(Vec<u32>),
    /// Evenly drawn from these and all between.
    Uniform {
        /// The shortest.
        least: u32,
        /// The longest.
        most: u32,
    },
}

/// When messages are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// One each time this has passed; zero is as fast as possible.
    Every(Duration),
    /// Each when the messages before it would have left at so many bits of
    /// message per second.
    Rate(Rate),
}

/// How much is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// So many messages.
    Messages(u32),
    /// All messages that are due before this has passed, at most
    /// [`MOST_MESSAGES`].
    Lasting(Duration),
}

/// One message of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    /// Its number, from 1.
    pub number: u32,
    /// When it is to be sent, from the schedule's start.
    pub due: Duration,
    /// Its length in bytes.
    pub size: u32,
}

/// 100 messages of 100 bytes, one a millisecond.
impl Default for Schedule {
    fn default() -> Self {
        Self {
            sizes: Sizes::Fixed(100),
            pace: Pace::Every(Duration::from_millis(1)),
            extent: Extent::Messages(100),
            seed: 0,
        }
    }
}

impl Schedule {
    /// The messages in the order in which they are due.
    pub fn plan(&self) -> impl Iterator<Item = Planned> + '_ {
        let (most, end) = match self.extent {
            Extent::Messages(count) => (count, None),
            Extent::Lasting(time) => (MOST_MESSAGES, Some(time)),
        };
        let mut before = 0_u64;
        (1..=most)
            .map(move |number| {
                let size = self.size(number);
                let due = match self.pace {
                    Pace::Every(interval) => interval.saturating_mul(number - 1),
                    Pace::Rate(rate) => rate.time_for(before),
                };
                before += u64::from(size);
                Planned { number, due, size }
            })
            .take_while(move |planned| end.is_none_or(|end| planned.due < end))
    }

    /// How many messages those are.
    pub fn count(&self) -> u32 {
        match self.extent {
            Extent::Messages(count) => count,
            Extent::Lasting(_) => u32::try_from(self.plan().count()).unwrap_or(u32::MAX),
        }
    }

    /// When the last message is due.
    pub fn length(&self) -> Duration {
        self.plan()
            .last()
            .map_or(Duration::ZERO, |planned| planned.due)
    }

    /// How many bits of message a second it offers; none where it is as fast as
    /// possible.
    pub fn offered(&self) -> Option<Rate> {
        match self.pace {
            Pace::Rate(rate) => Some(rate),
            Pace::Every(interval) if interval.is_zero() => None,
            Pace::Every(interval) => {
                let bits = u128::from(self.sizes.mean()) * 8 * 1_000_000_000;
                Some(Rate(
                    u64::try_from(bits / interval.as_nanos()).unwrap_or(u64::MAX),
                ))
            }
        }
    }

    /// The length of a message.
    fn size(&self, number: u32) -> u32 {
        match &self.sizes {
            Sizes::Fixed(size) => *size,
            Sizes::Listed(sizes) => {
                let turn = (number as usize - 1) % sizes.len().max(1);
                sizes.get(turn).copied().unwrap_or_default()
            }
            Sizes::Uniform { least, most } => {
                let span = u64::from(most.saturating_sub(*least)) + 1;
                let draw = (u128::from(drawn(self.seed, number)) * u128::from(span)) >> 64;
                least + u32::try_from(draw).unwrap_or_default()
            }
        }
    }
}

/// A draw for one message: SplitMix64 (Steele, Lea and Flood 2014) over the
/// numbers, so that it depends on nothing else.
fn drawn(seed: u64, number: u32) -> u64 {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut z = seed.wrapping_add(u64::from(number).wrapping_mul(GOLDEN));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Sizes {
    /// The longest message.
    pub fn largest(&self) -> u32 {
        match self {
            Self::Fixed(size) => *size,
            Self::Listed(sizes) => sizes.iter().copied().max().unwrap_or_default(),
            Self::Uniform { most, .. } => *most,
        }
    }

    /// The shortest message.
    pub fn smallest(&self) -> u32 {
        match self {
            Self::Fixed(size) => *size,
            Self::Listed(sizes) => sizes.iter().copied().min().unwrap_or_default(),
            Self::Uniform { least, .. } => *least,
        }
    }

    /// The mean length, rounded down.
    pub fn mean(&self) -> u32 {
        match self {
            Self::Fixed(size) => *size,
            Self::Listed(sizes) => {
                let sum: u64 = sizes.iter().map(|size| u64::from(*size)).sum();
                u32::try_from(sum / (sizes.len().max(1) as u64)).unwrap_or(u32::MAX)
            }
            Self::Uniform { least, most } => least.midpoint(*most),
        }
    }
}

/// As it is typed: `100`, `100,500,1400`, `50..1400`.
impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(size) => write!(f, "{size}"),
            Self::Listed(sizes) => {
                let sizes: Vec<String> = sizes.iter().map(u32::to_string).collect();
                f.write_str(&sizes.join(","))
            }
            Self::Uniform { least, most } => write!(f, "{least}..{most}"),
        }
    }
}

impl std::str::FromStr for Sizes {
    type Err = NoSizes;

    fn from_str(text: &str) -> Result<Self, NoSizes> {
        let number = |text: &str| text.trim().parse().map_err(|_| NoSizes(text.to_owned()));
        if let Some((least, most)) = text.split_once("..") {
            let (least, most) = (number(least)?, number(most)?);
            if least > most {
                return Err(NoSizes(text.to_owned()));
            }
            return Ok(Self::Uniform { least, most });
        }
        let sizes: Vec<u32> = text.split(',').map(number).collect::<Result<_, _>>()?;
        Ok(match sizes[..] {
            [size] => Self::Fixed(size),
            _ => Self::Listed(sizes),
        })
    }
}

/// These are no message lengths.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is no length in bytes, no list such as 100,500,1400 and no range such as 50..1400"
)]
pub struct NoSizes(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_makes_each_message_wait_for_those_before_it() {
        let schedule = Schedule {
            sizes: Sizes::Listed(vec![1000, 500]),
            pace: Pace::Rate(Rate(8_000_000)),
            extent: Extent::Lasting(Duration::from_micros(2600)),
            seed: 1,
        };
        let plan: Vec<(u32, u128, u32)> = schedule
            .plan()
            .map(|one| (one.number, one.due.as_micros(), one.size))
            .collect();
        assert_eq!(
            plan,
            [
                (1, 0, 1000),
                (2, 1000, 500),
                (3, 1500, 1000),
                (4, 2500, 500)
            ]
        );
        assert_eq!(schedule.count(), 4);
        assert_eq!(schedule.length(), Duration::from_micros(2500));
    }

    #[test]
    fn drawn_sizes_follow_the_seed_and_reach_both_ends() {
        let with = |seed| Schedule {
            sizes: Sizes::Uniform {
                least: 24,
                most: 27,
            },
            extent: Extent::Messages(200),
            seed,
            ..Schedule::default()
        };
        let sizes = |seed| -> Vec<u32> { with(seed).plan().map(|one| one.size).collect() };
        assert_eq!(sizes(7), sizes(7));
        assert_ne!(sizes(7), sizes(8));
        let distinct: std::collections::BTreeSet<u32> = sizes(7).into_iter().collect();
        assert_eq!(distinct, (24..=27).collect());
    }

    #[test]
    fn sizes_are_read_as_they_are_shown() {
        for text in ["100", "100,500,1400", "50..1400"] {
            let sizes: Sizes = text.parse().expect(text);
            assert_eq!(sizes.to_string(), text);
        }
        for text in ["", "1400..50", "100,", "many"] {
            assert!(text.parse::<Sizes>().is_err(), "{text}");
        }
    }
}
