//! What a run is expected to show, as typed: `udp.lost <= 2%`, `tcp.p99 <
//! 200ms`. Parsed before anything runs, held against the figures afterwards.
//!
//! ```text
//! expectation = kind "." figure operator value
//! operator    = "<" | "<=" | "==" | "!=" | ">=" | ">"
//! value       = count | percent (of the messages sent) | time | rate | ratio
//! ```
//!
//! Kinds are [`Variant`]'s names, figures [`FIGURES`]'; which value a figure
//! takes follows from its unit. What is written is read as the same. Pure.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use super::catalogue::{FIGURES, Figure, Measured, Unit};
use super::{Compared, NoVariant, Variant};
use crate::units::{Probability, QuantityError, Rate, Time};

/// One expectation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expectation {
    /// Of which kind of socket.
    pub variant: Variant,
    figure: &'static Figure,
    operator: Operator,
    limit: Limit,
}

/// How a figure and a value are held against each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    AtMost,
    AtLeast,
    Equal,
    Other,
    Below,
    Above,
}

impl Operator {
    /// Those of two characters first, so that the text is read greedily.
    const ALL: [Self; 6] = [
        Self::AtMost,
        Self::AtLeast,
        Self::Equal,
        Self::Other,
        Self::Below,
        Self::Above,
    ];

    fn sign(self) -> &'static str {
        match self {
            Self::AtMost => "<=",
            Self::AtLeast => ">=",
            Self::Equal => "==",
            Self::Other => "!=",
            Self::Below => "<",
            Self::Above => ">",
        }
    }

    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::AtMost => ordering.is_le(),
            Self::AtLeast => ordering.is_ge(),
            Self::Equal => ordering.is_eq(),
            Self::Other => ordering.is_ne(),
            Self::Below => ordering.is_lt(),
            Self::Above => ordering.is_gt(),
        }
    }
}

/// The value that was typed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Limit {
    Count(u64),
    Share(Probability),
    Time(Time),
    Rate(Rate),
    Ratio(f64),
}

/// Why a text is no expectation, and what would be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpectError {
    /// Neither `<` nor any other.
    #[error("no comparison; write KIND.FIGURE, one of < <= == != >= >, and a value: {EXAMPLES}")]
    NoOperator,
    /// Nothing that tells the kind from the figure.
    #[error("\"{0}\" names no figure of a kind; write KIND.FIGURE, such as udp.lost")]
    NoFigureOfAKind(String),
    /// No kind of socket.
    #[error(transparent)]
    Kind(#[from] NoVariant),
    /// No figure.
    #[error("\"{0}\" is no figure; those are {names}", names = figure_names())]
    Figure(String),
    /// No value of the figure's unit.
    #[error("\"{value}\" is no value for {figure}: {reason}")]
    Value {
        /// What was typed.
        value: String,
        /// What it is a value of.
        figure: &'static str,
        /// What is wrong with it.
        reason: NoValue,
    },
}

const EXAMPLES: &str = "\"udp.lost <= 2%\", \"tcp.lost == 0\", \"tcp.p99 < 200ms\"";

/// Why a text is no value of a figure's unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoValue {
    /// Of a count of messages.
    #[error("it takes a count or a percentage of the messages sent: 3 or 2%")]
    Messages,
    /// Of any other count.
    #[error("it takes a count: 3")]
    Count,
    /// Of a ratio.
    #[error("it takes a number: 1.5")]
    Ratio,
    /// Of a time, a rate, a percentage.
    #[error("{0}")]
    Quantity(#[from] QuantityError),
}

/// The names of all figures.
fn figure_names() -> String {
    let names: Vec<_> = FIGURES.iter().map(|figure| figure.name).collect();
    names.join(", ")
}

impl FromStr for Expectation {
    type Err = ExpectError;

    fn from_str(text: &str) -> Result<Self, ExpectError> {
        let at = text.find(['<', '>', '=', '!']);
        let (left, rest) = text.split_at(at.ok_or(ExpectError::NoOperator)?);
        let operator = Operator::ALL
            .into_iter()
            .find(|operator| rest.starts_with(operator.sign()))
            .ok_or(ExpectError::NoOperator)?;
        let value = rest[operator.sign().len()..].trim();
        let left = left.trim();
        let (variant, name) = left
            .split_once('.')
            .ok_or_else(|| ExpectError::NoFigureOfAKind(left.to_owned()))?;
        let variant = variant.parse()?;
        let figure = Figure::named(name).ok_or_else(|| ExpectError::Figure(name.to_owned()))?;
        let limit = Limit::read(value, figure.unit).map_err(|reason| ExpectError::Value {
            value: value.to_owned(),
            figure: figure.name,
            reason,
        })?;
        Ok(Self {
            variant,
            figure,
            operator,
            limit,
        })
    }
}

impl Limit {
    fn read(text: &str, unit: Unit) -> Result<Self, NoValue> {
        let count = || text.parse().map(Self::Count);
        Ok(match unit {
            Unit::Messages if text.ends_with('%') => Self::Share(text.parse()?),
            Unit::Messages => count().map_err(|_| NoValue::Messages)?,
            Unit::Count => count().map_err(|_| NoValue::Count)?,
            Unit::Time => Self::Time(text.parse()?),
            Unit::Rate => Self::Rate(text.parse()?),
            Unit::Ratio => {
                let is_plain = text
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || byte == b'.');
                let ratio = text.parse().ok().filter(|_| is_plain);
                Self::Ratio(ratio.ok_or(NoValue::Ratio)?)
            }
        })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Share(share) => write!(f, "{share}"),
            Self::Time(time) => write!(f, "{time}"),
            Self::Rate(rate) => write!(f, "{rate}"),
            Self::Ratio(ratio) => write!(f, "{ratio}"),
        }
    }
}

/// As it is typed: `udp.lost <= 2%`.
impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (figure, operator) = (self.figure.name, self.operator.sign());
        write!(f, "{}.{figure} {operator} {}", self.variant, self.limit)
    }
}

/// An expectation that was not met.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Unmet {
    /// The figure is another.
    #[error("{expected} is not so: {} is {actual}{}", expected.name(), share(*actual, *sent))]
    Otherwise {
        /// What was expected.
        expected: Expectation,
        /// What it was.
        actual: Measured,
        /// Of how many messages, where the figure counts messages.
        sent: Option<u32>,
    },
    /// Nothing came that could be measured, or nobody could see it.
    #[error("{expected} cannot be told: {} was not measured", expected.name())]
    NotMeasured {
        /// What was expected.
        expected: Expectation,
    },
    /// The kind of socket took no part.
    #[error("{expected} cannot be told: {reason}")]
    Refused {
        /// What was expected.
        expected: Expectation,
        /// Why the kind took no part.
        reason: String,
    },
}

/// ` (4 % of 100)`, for a count of messages.
fn share(actual: Measured, sent: Option<u32>) -> String {
    match (actual, sent) {
        (Measured::Count(count), Some(sent)) if sent > 0 => {
            #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
            let percent = count as f64 * 100.0 / f64::from(sent);
            format!(" ({percent:.2} % of {sent})")
        }
        _ => String::new(),
    }
}

impl Expectation {
    /// The figure as it is typed: `udp.lost`.
    fn name(&self) -> String {
        format!("{}.{}", self.variant, self.figure.name)
    }

    /// Holds it against what came of the run.
    pub fn check(&self, compared: &[Compared]) -> Result<(), Unmet> {
        let expected = *self;
        let of_kind = |one: &&Compared| one.column.variant == self.variant;
        let Some(compared) = compared.iter().find(of_kind) else {
            let reason = format!("{} took no part", self.variant);
            return Err(Unmet::Refused { expected, reason });
        };
        let figures = match &compared.column.result {
            Ok(figures) => figures,
            Err(refused) => {
                let reason = refused.refused.clone();
                return Err(Unmet::Refused { expected, reason });
            }
        };
        let Some(actual) = (self.figure.read)(figures, compared) else {
            return Err(Unmet::NotMeasured { expected });
        };
        let is_met = compare(actual, self.limit, figures.sent)
            .is_some_and(|ordering| self.operator.holds(ordering));
        let counts_messages = self.figure.unit == Unit::Messages;
        let sent = counts_messages.then_some(figures.sent);
        if is_met {
            return Ok(());
        }
        Err(Unmet::Otherwise {
            expected,
            actual,
            sent,
        })
    }
}

/// How a figure stands to the value; `None` where they have nothing in common.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn compare(actual: Measured, limit: Limit, sent: u32) -> Option<Ordering> {
    match (actual, limit) {
        (Measured::Count(count), Limit::Count(limit)) => Some(count.cmp(&limit)),
        // Both are rounded once, so equal shares are equal numbers.
        (Measured::Count(count), Limit::Share(limit)) => {
            let share = if sent == 0 {
                0.0
            } else {
                count as f64 / f64::from(sent)
            };
            share.partial_cmp(&limit.value())
        }
        (Measured::Time(time), Limit::Time(limit)) => Some(time.cmp(&limit.0)),
        (Measured::Rate(rate), Limit::Rate(limit)) => Some(rate.cmp(&limit)),
        (Measured::Ratio(ratio), Limit::Ratio(limit)) => ratio.partial_cmp(&limit),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_typed_is_understood() {
        for (text, written) in [
            ("udp.lost <= 2%", "udp.lost <= 2%"),
            ("tcp.lost==0", "tcp.lost == 0"),
            (" tcp.p99  <200ms ", "tcp.p99 < 200ms"),
            ("raw-icmp.out_of_order != 3", "raw-icmp.out-of-order != 3"),
            ("udp-connected.max > 1.5s", "udp-connected.max > 1.5s"),
        ] {
            let expectation: Expectation = text.parse().expect(text);
            assert_eq!(expectation.to_string(), written);
        }
    }

    #[test]
    fn what_is_not_understood_says_what_would_be() {
        for (text, says) in [
            ("udp.lost", "no comparison"),
            ("udp.lost = 2", "no comparison"),
            ("udp <= 2", "names no figure of a kind"),
            ("sctp.lost <= 2", "those are tcp, tcp-nodelay"),
            ("udp.luck <= 2", "those are sent, not-sent, delivered"),
            ("udp.lost <= few", "a count or a percentage"),
            ("udp.lost <= 120%", "not between 0% and 100%"),
            ("udp.reads <= 2%", "it takes a count: 3"),
            ("tcp.p99 < 200", "a time without its unit"),
            ("tcp.p99 <", "not a time"),
            ("", "no comparison"),
        ] {
            let error = text.parse::<Expectation>().expect_err(text).to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn shares_are_of_what_was_sent_and_exact() {
        let share = |percent: &str| Limit::read(percent, Unit::Messages).expect("a share");
        for (count, sent, percent, ordering) in [
            (2, 100, "2%", Ordering::Equal),
            (7, 100, "7%", Ordering::Equal),
            (29, 1000, "2.9%", Ordering::Equal),
            (3, 100, "2.9%", Ordering::Greater),
            (0, 0, "0%", Ordering::Equal),
            (1, 3, "33.3%", Ordering::Greater),
        ] {
            let compared = compare(Measured::Count(count), share(percent), sent);
            assert_eq!(compared, Some(ordering), "{count} of {sent}, {percent}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            variant in 0..Variant::ALL.len(),
            figure in 0..FIGURES.len(),
            operator in 0..Operator::ALL.len(),
            number in 0_u32..=100,
            is_share: bool,
        ) {
            let figure = &FIGURES[figure];
            let value = match figure.unit {
                Unit::Messages if is_share => format!("{number}%"),
                Unit::Messages | Unit::Count | Unit::Ratio => number.to_string(),
                Unit::Time => format!("{number}ms"),
                Unit::Rate => format!("{number}kbit"),
            };
            let (variant, sign) = (Variant::ALL[variant], Operator::ALL[operator].sign());
            let text = format!("{variant}.{figure:?} {sign} {value}");
            let expectation: Expectation = text.parse().expect("what was made up");
            prop_assert_eq!(expectation.to_string().parse(), Ok(expectation));
        }

        #[test]
        fn nothing_panics(text in "\\PC*|[a-z-]{0,9}[.]?[a-z0-9]{0,5} ?[<>=!]{0,3} ?[0-9.]{0,4}[a-z%]{0,3}") {
            let _ = text.parse::<Expectation>();
        }
    }
}
