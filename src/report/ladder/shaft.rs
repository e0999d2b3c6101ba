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

/// How an arrow begins and ends.
pub(super) enum Shape<'a> {
    /// From rail to rail.
    Across,
    /// It ends in mid-wire.
    Lost(&'a str),
    /// It has left; its arriving is another row.
    Leaving,
    /// It left some rows above.
    Arriving,
    /// It left in the row just above.
    Landing,
    /// The wire made it.
    Copy,
}

/// Columns between a slant's start and the receiver's rail.
const REST: usize = 4;

impl<'a> Shape<'a> {
    pub(super) fn of(leg: Leg, packet: &'a Packet<'_>, follows: bool) -> Self {
        match (leg, &packet.fate) {
            (Leg::Leaving, _) => Shape::Leaving,
            (Leg::Arriving, _) if follows => Shape::Landing,
            (Leg::Arriving, _) => Shape::Arriving,
            (Leg::Whole, Fate::Lost { cause }) => Shape::Lost(cause),
            (Leg::Whole, _) if packet.changes.copy_of.is_some() => Shape::Copy,
            (Leg::Whole, _) => Shape::Across,
        }
    }

    /// Columns that neither label nor shaft may take.
    pub(super) fn taken(&self) -> usize {
        match self {
            Shape::Across => 1,
            Shape::Lost(_) | Shape::Leaving | Shape::Arriving | Shape::Copy => REST,
            Shape::Landing => 0,
        }
    }
}

/// Draws a shape across `width` columns; gives back a cause that found no room.
pub(super) fn drawn(
    width: usize,
    shape: &Shape<'_>,
    paint: Paint,
    label: Line,
    direction: Direction,
) -> (Line, Option<Remark>) {
    let glyphs = Glyphs::pointing(direction);
    let (segments, cause) = segments(width, shape, paint, label, &glyphs);
    (assembled(segments, direction), cause)
}

/// The pieces of an arrow that points right, from tail to tip, and a cause
/// that found no room.
fn segments(
    width: usize,
    shape: &Shape<'_>,
    paint: Paint,
    label: Line,
    glyphs: &Glyphs,
) -> (Vec<Line>, Option<Remark>) {
    let piece = |text: &str| Line::of(paint, text);
    let start = match shape {
        Shape::Landing => return (landing(width, paint, glyphs), None),
        Shape::Across | Shape::Lost(_) | Shape::Leaving => vec![],
        Shape::Arriving => vec![Line::of(Paint::Plain, "  "), piece(glyphs.slant)],
        Shape::Copy => vec![Line::of(Paint::Plain, "  "), piece(glyphs.fork)],
    };
    let begun: usize = start.iter().map(Line::width).sum();
    let end = match shape {
        Shape::Lost(_) | Shape::Leaving => REST,
        _ => 1,
    };
    let left = width.saturating_sub(begun + label.width() + end);
    let lead = left.min(2);
    let space = usize::from(left > lead);
    let shaft = left - lead - space;
    let mut segments = start;
    segments.push(dashes(paint, lead));
    let reached = begun + lead + label.width() + space;
    segments.push(label);
    segments.push(Line::of(Paint::Plain, &" ".repeat(space)));
    match shape {
        Shape::Lost(cause) => {
            let (tip, cause) = broken(width, paint, reached, cause);
            segments.extend(tip);
            return (segments, cause);
        }
        Shape::Leaving => {
            segments.push(dashes(paint, shaft));
            segments.push(piece(glyphs.slant));
            segments.push(Line::of(Paint::Plain, &" ".repeat(REST - 1)));
        }
        _ => {
            segments.push(dashes(paint, shaft));
            segments.push(piece(glyphs.head));
        }
    }
    (segments, None)
}

/// The end of a lost packet: about mid-wire, with its cause behind it.
fn broken(width: usize, paint: Paint, reached: usize, cause: &str) -> (Vec<Line>, Option<Remark>) {
    let spare = width.saturating_sub(reached + 1);
    let cause = glyph::clean(cause);
    let needed = glyph::width(&cause) + 1;
    let middle = (width / 2).saturating_sub(reached).max(1);
    let cross = Line::of(Paint::Failure, "✗");
    let blank = |count| Line::of(Paint::Plain, &" ".repeat(count));
    if needed < spare {
        let shaft = middle.min(spare - needed);
        let said = Line::of(Paint::Failure, &cause);
        let rest = blank(spare - shaft - needed);
        let tip = vec![dashes(paint, shaft), cross, blank(1), said, rest];
        return (tip, None);
    }
    let shaft = middle.min(spare);
    let tip = vec![dashes(paint, shaft), cross, blank(spare - shaft)];
    let remark = Remark {
        paint: Paint::Failure,
        text: format!("lost: {cause}"),
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
