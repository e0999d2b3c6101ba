//! What is wrong with a description of a link: the problem in words with the
//! right form, and the offending part of what was typed.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::super::selector::SelectorError;
use super::super::trace::TraceError;
use crate::units::QuantityError;

/// Text that was typed, and the option that it was typed for.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// Such as `--link`.
    pub name: String,
    /// What was typed.
    pub text: String,
}

/// A part of what was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) source: Arc<Source>,
    pub(super) span: Range<usize>,
}

/// A description that makes no sense, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecError {
    pub(super) mark: Mark,
    problem: Box<Problem>,
}

impl SpecError {
    pub(super) fn new(mark: Mark, problem: Problem) -> Self {
        Self {
            mark,
            problem: Box::new(problem),
        }
    }

    /// The option whose text it is, such as `--link`.
    pub fn option(&self) -> &str {
        &self.mark.source.name
    }

    /// What is wrong.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// Where, in bytes of the text that was typed.
    pub fn span(&self) -> Range<usize> {
        self.mark.span.clone()
    }
}

impl std::error::Error for SpecError {}

/// The problem, then the text with carets under the offending part. What was
/// typed cannot write to the terminal: only what is seen is printed as it is.
impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (text, span) = (&self.mark.source.text, &self.mark.span);
        let shown = |part: &str| visible(&part.replace(char::is_whitespace, " "));
        let before = text.get(..span.start).unwrap_or(text);
        let part = text.get(span.clone()).unwrap_or_default();
        let (indent, carets) = (width(&shown(before)), width(&shown(part)).max(1));
        writeln!(f, "{}", visible(&self.problem.to_string()))?;
        writeln!(f, "  {}", shown(text))?;
        write!(f, "  {:indent$}{:^<carets$}", "", "")
    }
}

fn width(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
}

/// `text` with what is not seen written as Rust does: `\u{1b}`.
fn visible(text: &str) -> String {
    let mut seen = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\'' | '"' | '\\' => seen.push(letter),
            _ => seen.extend(letter.escape_debug()),
        }
    }
    seen
}

/// What can be wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// No such word.
    #[error("\"{word}\" is no setting of a link; {hint}")]
    UnknownWord {
        /// What was typed.
        word: String,
        /// What may have been meant.
        hint: String,
    },
    /// All of tc's command.
    #[error("this is tc's own command; paste only what follows netem")]
    CommandLine,
    /// A unit apart from its number.
    #[error("write {0} without the space")]
    Apart(String),
    /// A word without its value.
    #[error("{word} needs a value: {form}")]
    Missing {
        /// The word.
        word: &'static str,
        /// The right form.
        form: &'static str,
    },
    /// A value that is none.
    #[error("{word} \"{text}\": {why}{}", why.form(form))]
    Bad {
        /// The word.
        word: &'static str,
        /// What was typed.
        text: String,
        /// Why it is none.
        why: Reason,
        /// The right form.
        form: &'static str,
    },
    /// A word that was said before in the same clause.
    #[error("{0} is said twice")]
    Repeated(&'static str),
    /// Words that exclude each other.
    #[error("{0} and {1} exclude each other; {2}")]
    Exclusive(&'static str, &'static str, &'static str),
    /// A word that needs another one.
    #[error("{0} without {1}; {2}")]
    Without(&'static str, &'static str, &'static str),
    /// Bursts that cannot be so short at this loss.
    #[error(
        "at a loss of {loss} the mean burst cannot be {burst} packets: it is at least {least:.2}; \
         say burst {rounded}"
    )]
    ShortBurst {
        /// The loss, in percent.
        loss: String,
        /// What was asked for.
        burst: String,
        /// The shortest that is possible.
        least: Shortest,
        /// That, as a whole number.
        rounded: u64,
    },
    /// RED's thresholds the wrong way round.
    #[error("red min {0} is not below max {1}; the form is red min 30kb max 90kb")]
    RedThresholds(String, String),
    /// A slot's times the wrong way round.
    #[error("slot {0} is longer than {1}; the form is slot LEAST MOST")]
    SlotTimes(String, String),
    /// `at`, `up` or `down` in the middle of a clause.
    #[error("{0} begins a clause; put a semicolon before it: loss 5%; {0} …")]
    Misplaced(&'static str),
    /// A direction within the other's own option.
    #[error("{0} is the other direction's; say it with --link, or with --{0}")]
    OtherDirection(&'static str),
    /// A seed for a part of the run.
    #[error("one seed serves the whole run; say it without at, up or down")]
    PartialSeed,
    /// Another seed than the one that was said before, and with which option.
    #[error("a run has one seed, and {0} says {1}")]
    SecondSeed(String, u64),
    /// An overhead that makes packets nothing.
    #[error("{0} leaves nothing of a packet of 28 bytes, and so nothing would limit the rate")]
    Weightless(String),
    /// More than one clause where there is room for one.
    #[error("one --at has one time; say --at again for the next one")]
    SecondClause,
    /// A quote that is not closed.
    #[error("the quote is not closed")]
    OpenQuote,
}

/// A length of bursts, for display.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shortest(pub f64);

impl Eq for Shortest {}

impl fmt::Display for Shortest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Reason {
    /// The right form, where the reason does not say it itself.
    fn form(&self, form: &str) -> String {
        use QuantityError as Quantity;
        match self {
            Reason::Range(..)
            | Reason::Burst
            | Reason::TimeMissing
            | Reason::Quantity(
                Quantity::ProbabilityOutOfRange
                | Quantity::RateTooLarge
                | Quantity::SizeTooLarge
                | Quantity::TimeTooLong,
            ) => format!("; the form is {form}"),
            Reason::Quantity(_)
            | Reason::Choice(_)
            | Reason::NoRoom
            | Reason::Share(_)
            | Reason::Selector(_)
            | Reason::Trace(_)
            | Reason::Unreadable(_) => String::new(),
        }
    }
}

/// Why a value is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Not the quantity.
    #[error(transparent)]
    Quantity(#[from] QuantityError),
    /// Not a number within a range.
    #[error("not a whole number from {0} to {1}")]
    Range(i64, u64),
    /// Not a burst length.
    #[error("not a mean number of packets, at least 1")]
    Burst,
    /// netem's `limit 0`, where it is not plain that it is meant.
    #[error(
        "netem's limit of 0 loses every packet; say loss 100% if you mean that, limit off for none"
    )]
    NoRoom,
    /// `hold` with a selector alone.
    #[error("the time is missing")]
    TimeMissing,
    /// A number where packets are chosen, and what to say instead.
    #[error("a number chooses no packets; say {0}")]
    Share(String),
    /// No such choice.
    #[error("not one of {0}")]
    Choice(&'static str),
    /// Not a selector.
    #[error(transparent)]
    Selector(#[from] SelectorError),
    /// Not a trace.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// Not readable.
    #[error("{0}")]
    Unreadable(String),
}
