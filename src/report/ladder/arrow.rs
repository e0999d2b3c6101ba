//! A packet as an arrow across the wire's lane.
//!
//! The arrow points where the packet went. A lost one ends in mid-wire, a late
//! one slants from its leaving to its arriving, a copy forks off. What became
//! of it is said with a sign and a word, on the arrow where there is room and
//! under it where there is none. A fate that nobody knows is not spoken of.

use std::time::Duration;

use super::label::{self, Remark};
use super::phrase::milliseconds;
use super::story::{Leg, Seen};
use crate::event::Fate;
use crate::flow::Direction;
use crate::packet::{Charset, Numbering, summary};
use crate::report::glyph;
use crate::report::line::Line;
use crate::report::style::Paint;

/// How arrows are drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drawing {
    /// The wire's columns.
    pub(super) width: usize,
    pub(super) numbering: Numbering,
    pub(super) charset: Charset,
}

/// One packet's rows in the wire's lane.
pub(super) struct Arrow {
    /// The arrow first, then what is said under it.
    pub(super) rows: Vec<Line>,
    /// Whether it begins at the sender's rail.
    pub(super) leaves: bool,
}

/// How an arrow begins and ends.
enum Shape<'a> {
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
    fn of(leg: Leg, fate: &'a Fate, follows: bool) -> Self {
        match (leg, fate) {
            (Leg::Leaving, _) => Shape::Leaving,
            (Leg::Arriving, _) if follows => Shape::Landing,
            (Leg::Arriving, _) => Shape::Arriving,
            (Leg::Whole, Fate::Lost { cause }) => Shape::Lost(cause),
            (Leg::Whole, Fate::Duplicate { .. }) => Shape::Copy,
            (Leg::Whole, _) => Shape::Across,
        }
    }

    /// Columns that neither label nor shaft may take.
    fn taken(&self) -> usize {
        match self {
            Shape::Across => 1,
            Shape::Lost(_) | Shape::Leaving | Shape::Arriving | Shape::Copy => REST,
            Shape::Landing => 0,
        }
    }
}

impl Drawing {
    /// Draws `leg` of a packet's way; `follows` says that its leaving is the
    /// row just above.
    pub(super) fn arrow(self, seen: &Seen<'_>, leg: Leg, follows: bool) -> Arrow {
        let shape = Shape::of(leg, &seen.packet.fate, follows);
        let room = self.width.saturating_sub(shape.taken());
        let (label, under) = self.label(seen, leg, room);
        let paint = Paint::Layer(label::speaker(&seen.dissection));
        let (segments, cause) = self.segments(&shape, paint, label, seen.packet.direction);
        let mut rows = vec![assembled(segments, seen.packet.direction)];
        for remark in under.iter().chain(&cause) {
            rows.extend(self.under(remark, seen.packet.direction));
        }
        Arrow {
            rows,
            leaves: matches!(shape, Shape::Across | Shape::Lost(_) | Shape::Leaving),
        }
    }

    /// The words on the arrow, and those that found no room there.
    fn label(self, seen: &Seen<'_>, leg: Leg, room: usize) -> (Line, Vec<Remark>) {
        let style = summary::Style {
            numbering: self.numbering,
            charset: self.charset,
            width: Some(room),
        };
        let summary = summary::short(&seen.dissection, &seen.conversations, style);
        let mut line = Line::default();
        line.push_fit(
            Paint::Layer(label::speaker(&seen.dissection)),
            &summary,
            room,
        );
        let mut under = Vec::new();
        if leg == Leg::Arriving {
            return (line, under);
        }
        for remark in remarks(seen) {
            if line.width() + glyph::width(&remark.text) + 3 <= room {
                line.push(Paint::Plain, " ");
                line.push(remark.paint, &remark.text);
            } else {
                under.push(remark);
            }
        }
        if let Some(data) = label::data(seen, room.saturating_sub(line.width() + 4)) {
            line.push(Paint::Plain, " ");
            line.push(data.paint, &data.text);
        }
        (line, under)
    }

    /// The pieces of an arrow that points right, from tail to tip, and a cause
    /// that found no room.
    fn segments(
        self,
        shape: &Shape<'_>,
        paint: Paint,
        label: Line,
        direction: Direction,
    ) -> (Vec<Line>, Option<Remark>) {
        let glyphs = Glyphs::pointing(direction);
        let piece = |text: &str| Line::of(paint, text);
        let start = match shape {
            Shape::Landing => return (self.landing(paint, &glyphs), None),
            Shape::Across | Shape::Lost(_) | Shape::Leaving => vec![],
            Shape::Arriving => vec![Line::of(Paint::Plain, "  "), piece(glyphs.slant)],
            Shape::Copy => vec![Line::of(Paint::Plain, "  "), piece(glyphs.fork)],
        };
        let begun: usize = start.iter().map(Line::width).sum();
        let end = match shape {
            Shape::Lost(_) | Shape::Leaving => REST,
            _ => 1,
        };
        let left = self.width.saturating_sub(begun + label.width() + end);
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
                let (tip, cause) = self.broken(paint, reached, cause);
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
    fn broken(self, paint: Paint, reached: usize, cause: &str) -> (Vec<Line>, Option<Remark>) {
        let spare = self.width.saturating_sub(reached + 1);
        let cause = glyph::clean(cause);
        let needed = glyph::width(&cause) + 1;
        let middle = (self.width / 2).saturating_sub(reached).max(1);
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

    fn landing(self, paint: Paint, glyphs: &Glyphs) -> Vec<Line> {
        let gap = self.width.saturating_sub(REST - 1);
        vec![
            Line::of(Paint::Plain, &" ".repeat(gap)),
            Line::of(paint, glyphs.slant),
            dashes(paint, REST - 3),
            Line::of(paint, glyphs.head),
        ]
    }

    /// A remark under the arrow, at the sender's end of it.
    fn under(self, remark: &Remark, direction: Direction) -> Vec<Line> {
        const INDENT: usize = 2;
        let room = self.width.saturating_sub(INDENT);
        let placed = |text: String| {
            let mut line = Line::default();
            line.pad(match direction {
                Direction::ClientToServer => INDENT,
                Direction::ServerToClient => room.saturating_sub(glyph::width(&text)),
            });
            line.with(remark.paint, &text)
        };
        let text = glyph::clean(&remark.text);
        glyph::wrap(&text, room).into_iter().map(placed).collect()
    }
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

/// What is said of a packet beside its summary.
fn remarks(seen: &Seen<'_>) -> Vec<Remark> {
    let mut remarks: Vec<Remark> = label::quoted(seen).into_iter().collect();
    let text = match &seen.packet.fate {
        Fate::Delivered | Fate::Unknown | Fate::Lost { .. } => return remarks,
        Fate::Duplicate { .. } => "copy".to_owned(),
        Fate::Corrupted { bit } => format!("≠ corrupted, bit {bit}"),
        Fate::Truncated { length } => format!("⊣ truncated to {length}"),
        Fate::Delayed => format!("delayed {}", milliseconds(transit(seen))),
        Fate::Reordered => "⇅ reordered".to_owned(),
        Fate::Marked => "◆ marked CE".to_owned(),
    };
    remarks.push(Remark {
        paint: Paint::Warning,
        text,
    });
    remarks
}

fn transit(seen: &Seen<'_>) -> Duration {
    let packet = seen.packet;
    let delivered_at = packet.delivered_at.unwrap_or(packet.sent_at);
    delivered_at.saturating_sub(packet.sent_at)
}
