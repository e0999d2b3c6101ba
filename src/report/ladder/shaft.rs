//! The shaft of an arrow: pieces from tail to tip that fill the wire's lane
//! exactly, mirrored where the packet went left.
//!
//! Knows shapes and columns, no packets.

use super::label::Remark;
use super::story::Leg;
use crate::event::{Fate, Packet};
use crate::flow::Direction;
use crate::report::glyph;
use crate::report::line::Line;
use crate::report::style::Paint;

/// How an arrow is drawn in one row.
pub(super) enum Shape<'a> {
    /// From its start to its end.
    Shaft(Start, End<'a>),
    /// It left in the row just above.
    Landing,
}

/// Where a shaft begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// At the sender's rail.
    Rail,
    /// In mid-wire: the wire made the packet.
    Fork,
    /// In mid-wire: it left some rows above.
    Above,
}

/// Where it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End<'a> {
    /// At the receiver's rail.
    Rail,
    /// On a slant: its arriving is another row.
    Slant,
    /// In mid-wire, for this reason.
    Lost(&'a str),
    /// In mid-wire: the link ended before it arrived.
    UnderWay,
}

/// Columns between a slant's start and the receiver's rail.
const REST: usize = 4;

impl<'a> Shape<'a> {
    pub(super) fn of(leg: Leg, packet: &'a Packet<'_>, follows: bool) -> Self {
        let end = match &packet.fate {
            _ if leg == Leg::Leaving => End::Slant,
            Fate::Lost { cause } => End::Lost(cause),
            Fate::Queued => End::UnderWay,
            Fate::Delivered | Fate::Unknown => End::Rail,
        };
        let start = match packet.changes.copy_of {
            Some(_) => Start::Fork,
            None => Start::Rail,
        };
        match leg {
            Leg::Arriving if follows => Shape::Landing,
            Leg::Arriving => Shape::Shaft(Start::Above, End::Rail),
            Leg::Leaving | Leg::Whole => Shape::Shaft(start, end),
        }
    }

    /// Columns that neither label nor shaft may take.
    pub(super) fn taken(&self) -> usize {
        match self {
            Shape::Shaft(start, end) => start.columns() + end.columns(),
            Shape::Landing => 0,
        }
    }

    /// Whether it begins at the sender's rail.
    pub(super) fn leaves(&self) -> bool {
        matches!(self, Shape::Shaft(Start::Rail, _))
    }
}

impl Start {
    fn columns(self) -> usize {
        match self {
            Start::Rail => 0,
            Start::Fork | Start::Above => REST - 1,
        }
    }
}

impl End<'_> {
    fn columns(self) -> usize {
        match self {
            End::Rail => 1,
            End::Slant | End::Lost(_) | End::UnderWay => REST,
        }
    }
}

/// Draws a shape across `width` columns; gives back what was to be said of its
/// end and found no room.
pub(super) fn drawn(
    width: usize,
    shape: &Shape<'_>,
    paint: Paint,
    label: Line,
    direction: Direction,
) -> (Line, Option<Remark>) {
    let glyphs = Glyphs::pointing(direction);
    let (segments, remark) = match shape {
        Shape::Shaft(start, end) => shaft(width, (*start, *end), paint, label, &glyphs),
        Shape::Landing => (landing(width, paint, &glyphs), None),
    };
    (assembled(segments, direction), remark)
}

/// The pieces of an arrow that points right, from tail to tip.
fn shaft(
    width: usize,
    (start, end): (Start, End<'_>),
    paint: Paint,
    label: Line,
    glyphs: &Glyphs,
) -> (Vec<Line>, Option<Remark>) {
    let piece = |text: &str| Line::of(paint, text);
    let blank = |count| Line::of(Paint::Plain, &" ".repeat(count));
    let begun = start.columns();
    let mut segments = match start {
        Start::Rail => vec![],
        Start::Fork => vec![blank(begun - 1), piece(glyphs.fork)],
        Start::Above => vec![blank(begun - 1), piece(glyphs.slant)],
    };
    let left = width.saturating_sub(begun + label.width() + end.columns());
    let lead = left.min(2);
    let space = usize::from(left > lead);
    let rest = left - lead - space;
    let reached = begun + lead + label.width() + space;
    segments.extend([dashes(paint, lead), label, blank(space)]);
    let ending = match end {
        End::Rail => {
            segments.extend([dashes(paint, rest), piece(glyphs.head)]);
            return (segments, None);
        }
        End::Slant => {
            segments.extend([dashes(paint, rest), piece(glyphs.slant), blank(REST - 1)]);
            return (segments, None);
        }
        End::Lost(cause) => Ending {
            paint: Paint::Failure,
            sign: "✗",
            words: cause,
            label: "lost: ",
        },
        End::UnderWay => Ending {
            paint: Paint::Warning,
            sign: "…",
            words: "still under way",
            label: "",
        },
    };
    let (tip, remark) = broken(width, paint, reached, &ending);
    segments.extend(tip);
    (segments, remark)
}

/// How an arrow that does not arrive ends.
struct Ending<'a> {
    paint: Paint,
    sign: &'static str,
    words: &'a str,
    /// What stands before the words where they stand alone.
    label: &'static str,
}

/// The end of a packet that does not arrive: about mid-wire, with words behind
/// it.
fn broken(
    width: usize,
    paint: Paint,
    reached: usize,
    ending: &Ending<'_>,
) -> (Vec<Line>, Option<Remark>) {
    let spare = width.saturating_sub(reached + 1);
    let words = glyph::clean(ending.words);
    let needed = glyph::width(&words) + 1;
    let middle = (width / 2).saturating_sub(reached).max(1);
    let sign = Line::of(ending.paint, ending.sign);
    let blank = |count| Line::of(Paint::Plain, &" ".repeat(count));
    if needed < spare {
        let shaft = middle.min(spare - needed);
        let said = Line::of(ending.paint, &words);
        let rest = blank(spare - shaft - needed);
        let tip = vec![dashes(paint, shaft), sign, blank(1), said, rest];
        return (tip, None);
    }
    let shaft = middle.min(spare);
    let tip = vec![dashes(paint, shaft), sign, blank(spare - shaft)];
    let remark = Remark {
        paint: ending.paint,
        text: format!("{}{words}", ending.label),
    };
    (tip, Some(remark))
}

fn landing(width: usize, paint: Paint, glyphs: &Glyphs) -> Vec<Line> {
    let gap = width.saturating_sub(REST - 1);
    vec![
        Line::of(Paint::Plain, &" ".repeat(gap)),
        Line::of(paint, glyphs.slant),
        dashes(paint, REST - 3),
        Line::of(paint, glyphs.head),
    ]
}

/// The pieces as they stand from left to right.
fn assembled(mut segments: Vec<Line>, direction: Direction) -> Line {
    if direction == Direction::ServerToClient {
        segments.reverse();
    }
    let mut line = Line::default();
    for segment in &segments {
        line.append(segment);
    }
    line
}

fn dashes(paint: Paint, count: usize) -> Line {
    let mut line = Line::default();
    line.fill(paint, '─', count);
    line
}

/// What points the way.
struct Glyphs {
    head: &'static str,
    slant: &'static str,
    fork: &'static str,
}

impl Glyphs {
    fn pointing(direction: Direction) -> Self {
        match direction {
            Direction::ClientToServer => Self {
                head: "▶",
                slant: "╲",
                fork: "╰",
            },
            Direction::ServerToClient => Self {
                head: "◀",
                slant: "╱",
                fork: "╯",
            },
        }
    }
}
