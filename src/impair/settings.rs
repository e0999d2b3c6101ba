//! What a link is told to do to packets: one direction's settings, and how
//! they change over time.
//!
//! Plain values with netem's meanings and defaults (tc-netem(8)). Decides
//! nothing and draws nothing.

use std::sync::Arc;
use std::time::Duration;

use super::selector::{Action, Rule};
use super::trace::Trace;
use crate::units::{ByteSize, Probability, Rate};

/// What a link does in both directions, and the seed of all its draws.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Keys every random draw.
    pub seed: u64,
    /// From client to server.
    pub up: Course,
    /// From server to client.
    pub down: Course,
}

impl Plan {
    /// Whether packets pass as they are, at once, for the whole run.
    pub fn is_transparent(&self) -> bool {
        self.up.is_transparent() && self.down.is_transparent()
    }

    /// The lowest rate of any bottleneck of either direction, at any time; none
    /// where there is no bottleneck, or only ones that follow a trace.
    pub fn narrowest(&self) -> Option<Rate> {
        let courses = [&self.up, &self.down].into_iter();
        let settings = courses.flat_map(|course| {
            let changes = course.changes.iter().map(|(_, settings)| settings);
            changes.chain(std::iter::once(&course.first))
        });
        let rates = settings.filter_map(|one| match one.bottleneck.as_ref()?.server {
            Server::Rate { rate, .. } | Server::TokenBucket { rate, .. } => Some(rate),
            Server::Trace(_) => None,
        });
        rates.min_by_key(|rate| rate.0)
    }

    /// The same on a link that is built when so much of the run has passed: its
    /// changes come as long after it is built.
    #[must_use]
    pub fn starting_at(&self, time: Duration) -> Self {
        let later = |course: &Course| Course {
            first: course.first.clone(),
            changes: course
                .changes
                .iter()
                .map(|(at, settings)| (*at + time, settings.clone()))
                .collect(),
        };
        Self {
            seed: self.seed,
            up: later(&self.up),
            down: later(&self.down),
        }
    }

    /// How long a packet of so many bytes may be under way, there and back, if
    /// it meets no queue. For whoever waits for it.
    pub fn longest_way(&self, bytes: u64) -> Duration {
        let longest = |course: &Course| {
            let changes = course.changes.iter().map(|(_, settings)| settings);
            let all = changes.chain(std::iter::once(&course.first));
            all.map(|settings| settings.longest_way(bytes)).max()
        };
        [&self.up, &self.down]
            .into_iter()
            .filter_map(longest)
            .fold(Duration::ZERO, Duration::saturating_add)
    }
}

/// From when the times of a plan's changes count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Schedule {
    /// From when the link is built.
    #[default]
    AtOnce,
    /// From when it is started; until then each direction keeps its first
    /// settings.
    WhenStarted,
}

/// One direction's settings over time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Course {
    /// From the start.
    pub first: Settings,
    /// Each whole, from its time on (counted from the schedule's start); times
    /// ascend.
    pub changes: Vec<(Duration, Settings)>,
}

impl Course {
    /// Whether packets pass as they are, at once, for the whole run.
    pub fn is_transparent(&self) -> bool {
        self.first.is_transparent()
            && self
                .changes
                .iter()
                .all(|(_, settings)| settings.is_transparent())
    }
}

/// What is done to one direction's packets, in netem's order: rules, duplicate,
/// loss, corrupt and truncate, limit, delay or reorder, then the bottleneck.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// Packets chosen by meaning; the first rule that matches decides.
    pub rules: Vec<Rule>,
    /// A copy of the packet, made before anything else is drawn.
    pub duplicate: Chance,
    /// Packets that never arrive.
    pub loss: Loss,
    /// Mark with Congestion Experienced instead of losing, where the packet is
    /// ECN-capable (RFC 3168); netem's `ecn`.
    pub ecn: bool,
    /// One bit flipped.
    pub corrupt: Chance,
    /// The packet's tail cut off at a random place.
    pub truncate: Chance,
    /// Packets in flight, queued ones included; more are lost. netem's `limit`.
    pub limit: Option<u32>,
    /// Time on the way.
    pub delay: Delay,
    /// Packets that are not delayed.
    pub reorder: Option<Reorder>,
    /// Delivery in bursts; netem's `slot`.
    pub slot: Option<Slot>,
    /// What limits the rate, and the queue before it.
    pub bottleneck: Option<Bottleneck>,
}

impl Settings {
    fn longest_way(&self, bytes: u64) -> Duration {
        // The distributions are clipped at four standard deviations.
        let jitter = self.delay.jitter.saturating_mul(4);
        let held = self.rules.iter().filter_map(|rule| match rule.action {
            Action::Delay(time) => Some(time),
            _ => None,
        });
        let slot = self
            .slot
            .map_or(Duration::ZERO, |slot| slot.most.max(slot.least));
        let served = match self.bottleneck.as_ref().map(|one| &one.server) {
            Some(Server::Rate { rate, .. } | Server::TokenBucket { rate, .. }) => {
                rate.time_for(bytes)
            }
            Some(Server::Trace(_)) | None => Duration::ZERO,
        };
        [self.delay.base, jitter, slot, served]
            .into_iter()
            .chain(held.max())
            .fold(Duration::ZERO, Duration::saturating_add)
    }

    /// Whether packets pass as they are, at once.
    pub fn is_transparent(&self) -> bool {
        *self == Self::default()
    }
}

/// A probability whose draws may lean on the one before.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Chance {
    /// How often.
    pub probability: Probability,
    /// How much of the draw before is kept: `x = (1 - ρ)·u + ρ·x₋₁`.
    pub correlation: Probability,
}

/// How packets are lost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Loss {
    /// Not at all.
    #[default]
    None,
    /// Each by its own draw (Bernoulli), or correlated as netem has it.
    Random(Chance),
    /// Two states, good and bad; netem's `gemodel`.
    GilbertElliott {
        /// Good → bad, for each packet.
        p: Probability,
        /// Bad → good.
        r: Probability,
        /// Loss in the bad state (1 − h).
        bad_loss: Probability,
        /// Loss in the good state (1 − k).
        good_loss: Probability,
    },
    /// Four states: 1 gap received, 2 burst received, 3 burst lost, 4 gap
    /// lost; netem's `state`.
    Markov {
        /// 1 → 3.
        p13: Probability,
        /// 3 → 1.
        p31: Probability,
        /// 3 → 2.
        p32: Probability,
        /// 2 → 3.
        p23: Probability,
        /// 1 → 4.
        p14: Probability,
    },
}

/// Time on the way.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Delay {
    /// The mean.
    pub base: Duration,
    /// The spread: half the width of the uniform distribution, the standard
    /// deviation of the others.
    pub jitter: Duration,
    /// How much of the draw before is kept.
    pub correlation: Probability,
    /// Its shape.
    pub distribution: Distribution,
}

/// The shape of jitter. All but the uniform are clipped at four standard
/// deviations, as netem's tables are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Distribution {
    /// Evenly within ± the jitter.
    #[default]
    Uniform,
    /// Gaussian.
    Normal,
    /// Pareto, with netem's shape.
    Pareto,
    /// A quarter normal, three quarters Pareto.
    ParetoNormal,
}

/// Packets that overtake the delayed ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reorder {
    /// How often a packet is sent at once.
    pub chance: Chance,
    /// Only after `gap - 1` delayed ones; 1 is every one.
    pub gap: u32,
}

/// Delivery in bursts (netem's `slot`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slot {
    /// The least time between slots; the mean, where `distribution` is given.
    pub least: Duration,
    /// The most; the jitter, where `distribution` is given.
    pub most: Duration,
    /// The shape of the time between slots, uniform between the two otherwise.
    pub distribution: Option<Distribution>,
    /// Packets a slot, without limit where 0.
    pub packets: u32,
    /// Bytes a slot, without limit where 0.
    pub bytes: u32,
}

/// What limits the rate, and the queue before it.
#[derive(Debug, Clone, PartialEq)]
pub struct Bottleneck {
    /// What serves the queue.
    pub server: Server,
    /// How much it holds.
    pub capacity: Capacity,
    /// How it is kept short.
    pub discipline: Discipline,
    /// Mark instead of dropping, where the discipline drops early and the
    /// packet is ECN-capable.
    pub ecn: bool,
}

/// What serves a queue.
#[derive(Debug, Clone, PartialEq)]
pub enum Server {
    /// Each packet takes its length at this rate; netem's `rate`.
    Rate {
        /// Bits per second.
        rate: Rate,
        /// How a packet's length is counted.
        framing: Framing,
    },
    /// Tokens at this rate, of which `burst` bytes may gather (tc-tbf(8)).
    TokenBucket {
        /// Bits per second.
        rate: Rate,
        /// Bytes that may leave at once after a pause.
        burst: ByteSize,
        /// How a packet's length is counted.
        framing: Framing,
    },
    /// Opportunities to send 1500 bytes at the times of a mahimahi trace.
    Trace(Arc<Trace>),
}

/// What a packet's length is taken to be below IP (netem's `rate` arguments).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Framing {
    /// Bytes added to each packet; may be negative.
    pub packet_overhead: i32,
    /// Bytes a cell; 0 where there are no cells.
    pub cell_size: u32,
    /// Bytes added to each cell; may be negative.
    pub cell_overhead: i32,
}

/// How much a queue holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capacity {
    /// So many packets.
    Packets(u32),
    /// So many bytes.
    Bytes(ByteSize),
}

/// netem's own default.
impl Default for Capacity {
    fn default() -> Self {
        Self::Packets(1000)
    }
}

/// How a queue is kept short.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Discipline {
    /// A packet that does not fit is lost.
    #[default]
    DropTail,
    /// Controlled delay (RFC 8289).
    CoDel {
        /// The delay that is good enough.
        target: Duration,
        /// How long it may be above that.
        interval: Duration,
    },
    /// Random early detection (Floyd and Jacobson 1993; tc-red(8)).
    Red {
        /// Average length in bytes from which packets are dropped at random.
        min: ByteSize,
        /// Average length from which all are.
        max: ByteSize,
        /// How often, just below `max`.
        probability: Probability,
    },
}

impl Discipline {
    /// CoDel with the constants of RFC 8289 section 4.4.
    pub const CODEL: Self = Self::CoDel {
        target: Duration::from_millis(5),
        interval: Duration::from_millis(100),
    };
}
