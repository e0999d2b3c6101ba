//! The figures of a comparison by name: one table of names, units, meanings and
//! where each is read.
//!
//! What `--expect` can ask for, what its errors list and what the documentation
//! says comes from here. Names are stable: figures are added, never renamed.

use std::fmt;
use std::time::Duration;

use super::{Compared, Figures};
use crate::units::{Rate, Time};

/// A figure that a comparison has of each kind of socket.
pub struct Figure {
    /// As it is typed.
    pub name: &'static str,
    /// What it is counted in.
    pub unit: Unit,
    /// What it says, in a few words.
    pub about: &'static str,
    /// Where it is read; `None` where it was not measured.
    pub read: fn(&Figures, &Compared) -> Option<Measured>,
}

/// What a figure is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Messages; also a share of those sent.
    Messages,
    /// Anything else that is counted.
    Count,
    /// A length of time.
    Time,
    /// Bits per second.
    Rate,
    /// One number over another.
    Ratio,
}

/// A figure's value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Measured {
    /// So many.
    Count(u64),
    /// So long.
    Time(Duration),
    /// So fast.
    Rate(Rate),
    /// So many to one.
    Ratio(f64),
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Time(time) => write!(f, "{}", Time(*time)),
            Self::Rate(rate) => write!(f, "{rate}"),
            Self::Ratio(ratio) => write!(f, "{ratio:.3}"),
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Messages => "messages, or a percentage of those sent",
            Self::Count => "a count",
            Self::Time => "a time",
            Self::Rate => "a rate",
            Self::Ratio => "a number",
        })
    }
}

impl Figure {
    /// The figure of this name; `_` is read as `-`.
    pub fn named(name: &str) -> Option<&'static Self> {
        let name = name.replace('_', "-");
        FIGURES.iter().find(|figure| figure.name == name)
    }
}

/// The name says it all.
impl fmt::Debug for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

impl PartialEq for Figure {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// All figures, in the order in which they are listed.
pub const FIGURES: &[Figure] = &[
    Figure {
        name: "sent",
        unit: Unit::Messages,
        about: "messages given to this kind",
        read: |f, _| count(f.sent),
    },
    Figure {
        name: "not-sent",
        unit: Unit::Messages,
        about: "messages that the sender's queue had no room for",
        read: |f, _| count(f.not_sent),
    },
    Figure {
        name: "delivered",
        unit: Unit::Messages,
        about: "messages that arrived at least once",
        read: |f, _| count(f.arrivals.delivered),
    },
    Figure {
        name: "lost",
        unit: Unit::Messages,
        about: "messages that never arrived",
        read: |f, _| count(f.lost),
    },
    Figure {
        name: "duplicated",
        unit: Unit::Messages,
        about: "copies after the first one",
        read: |f, _| count(f.arrivals.duplicated),
    },
    Figure {
        name: "out-of-order",
        unit: Unit::Messages,
        about: "messages after a later one (RFC 4737)",
        read: |f, _| count(f.arrivals.out_of_order),
    },
    Figure {
        name: "extent",
        unit: Unit::Count,
        about: "the most places by which one was late (RFC 4737)",
        read: |f, _| count(f.reordering.extent_max),
    },
    Figure {
        name: "corrupted",
        unit: Unit::Messages,
        about: "messages with a wrong checksum",
        read: |f, _| count(f.arrivals.corrupted),
    },
    Figure {
        name: "late",
        unit: Unit::Messages,
        about: "messages later than `--deadline`",
        read: |f, _| count(f.late?),
    },
    Figure {
        name: "waited",
        unit: Unit::Messages,
        about: "messages that waited for an earlier one: head-of-line blocking",
        read: |f, _| count(f.blocked?),
    },
    Figure {
        name: "waited-max",
        unit: Unit::Time,
        about: "the longest that one of those waited",
        read: |f, _| time(f.blocked_longest?),
    },
    Figure {
        name: "dropped",
        unit: Unit::Messages,
        about: "messages that the receiving socket's full buffer dropped",
        read: |f, _| count(f.dropped_at_receiver?),
    },
    Figure {
        name: "min",
        unit: Unit::Time,
        about: "the shortest latency, from call to return",
        read: |f, _| time(f.latency?.min),
    },
    Figure {
        name: "p50",
        unit: Unit::Time,
        about: "the latency that half of the messages kept within",
        read: |f, _| time(f.latency?.p50),
    },
    Figure {
        name: "p90",
        unit: Unit::Time,
        about: "the latency that 90 in 100 kept within",
        read: |f, _| time(f.latency?.p90),
    },
    Figure {
        name: "p99",
        unit: Unit::Time,
        about: "the latency that 99 in 100 kept within",
        read: |f, _| time(f.latency?.p99),
    },
    Figure {
        name: "max",
        unit: Unit::Time,
        about: "the longest latency",
        read: |f, _| time(f.latency?.max),
    },
    Figure {
        name: "jitter",
        unit: Unit::Time,
        about: "interarrival jitter (RFC 3550)",
        read: |f, _| time(f.jitter?),
    },
    Figure {
        name: "stall",
        unit: Unit::Time,
        about: "the longest time in which nothing arrived, beyond the schedule's",
        read: |f, _| time(f.longest_stall),
    },
    Figure {
        name: "goodput",
        unit: Unit::Rate,
        about: "bits of message that arrived in a second",
        read: |f, _| Some(Measured::Rate(Rate(f.goodput?))),
    },
    Figure {
        name: "set-up",
        unit: Unit::Time,
        about: "until the first message could be sent",
        read: |f, _| time(f.set_up),
    },
    Figure {
        name: "closing",
        unit: Unit::Time,
        about: "until a stream had ended at both ends",
        read: |f, _| time(f.closing?),
    },
    Figure {
        name: "retransmissions",
        unit: Unit::Count,
        about: "segments that TCP sent again, by TCP_INFO",
        read: |f, _| count(f.retransmitted?),
    },
    Figure {
        name: "writes",
        unit: Unit::Count,
        about: "calls that sent something",
        read: |f, _| count(f.writes),
    },
    Figure {
        name: "reads",
        unit: Unit::Count,
        about: "calls that received something",
        read: |f, _| count(f.reads),
    },
    Figure {
        name: "packets",
        unit: Unit::Count,
        about: "packets that carried part of a message",
        read: |_, c| count(c.wire?.data_packets),
    },
    Figure {
        name: "fragments",
        unit: Unit::Count,
        about: "IP fragments",
        read: |_, c| count(c.wire?.fragments),
    },
    Figure {
        name: "overhead",
        unit: Unit::Ratio,
        about: "bytes on the wire, answers included, for each byte of message",
        read: |_, c| overhead(c),
    },
];

#[expect(clippy::unnecessary_wraps, reason = "as a figure's reader answers")]
fn count(count: impl Into<u64>) -> Option<Measured> {
    Some(Measured::Count(count.into()))
}

#[expect(clippy::unnecessary_wraps, reason = "as a figure's reader answers")]
fn time(time: Duration) -> Option<Measured> {
    Some(Measured::Time(time))
}

#[expect(clippy::cast_precision_loss, reason = "sums far below 2^52")]
fn overhead(compared: &Compared) -> Option<Measured> {
    let wire = compared.wire?;
    let sent = compared.column.messages.iter();
    let sizes = sent.filter_map(|message| message.sent_at.map(|_| u64::from(message.size)));
    let carried: u64 = sizes.sum();
    let bytes = wire.set_up.bytes + wire.messages.bytes + wire.closing.bytes;
    (carried > 0).then(|| Measured::Ratio(bytes as f64 / carried as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_of_small_letters_and_stand_once() {
        for (index, figure) in FIGURES.iter().enumerate() {
            let is_plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
            assert!(
                figure
                    .name
                    .split('-')
                    .all(|word| word.chars().all(is_plain)),
                "{figure:?}"
            );
            assert!(
                FIGURES[..index].iter().all(|other| other != figure),
                "{figure:?}"
            );
            assert_eq!(Figure::named(&figure.name.replace('-', "_")), Some(figure));
        }
        assert_eq!(Figure::named("luck"), None);
    }
}
