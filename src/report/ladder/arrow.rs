//! A packet as an arrow across the wire's lane.
//!
//! The arrow points where the packet went. A lost one ends in mid-wire, a late
//! one slants from its leaving to its arriving, a copy forks off. What became
//! of it is said with a sign and a word, on the arrow where there is room and
//! under it where there is none. A fate that nobody knows is not spoken of, nor
//! a delay that all packets have.

use super::label::{self, Remark};
use super::shaft::{self, Shape};
use super::story::{Leg, Seen};
use crate::flow::Direction;
use crate::packet::{Charset, Numbering, TcpFlags, summary};
use crate::report::figure::duration;
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

impl Drawing {
    /// Draws `leg` of a packet's way; `follows` says that its leaving is the
    /// row just above.
    pub(super) fn arrow(self, seen: &Seen<'_>, leg: Leg, follows: bool) -> Arrow {
        let shape = Shape::of(leg, seen.packet, follows);
        let room = self.width.saturating_sub(shape.taken());
        let (label, under) = self.label(seen, leg, room);
        let paint = Paint::Layer(label::speaker(&seen.dissection));
        let direction = seen.packet.direction;
        let (line, cause) = shaft::drawn(self.width, &shape, paint, label, direction);
        let mut rows = vec![line];
        for remark in under.iter().chain(&cause) {
            rows.extend(self.under(remark, direction));
        }
        Arrow {
            rows,
            leaves: shape.leaves(),
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
        if leg == Leg::Arriving {
            return (line, Vec::new());
        }
        let mut under: Vec<Remark> = self.rest(seen, &summary).into_iter().collect();
        for remark in remarks(seen) {
            if line.width() + glyph::width(&remark.text) + 3 <= room {
                line.push(Paint::Plain, " ");
                line.push(remark.paint, &remark.text);
            } else {
                under.push(remark);
            }
        }
        if let Some(data) = label::data(seen, room.saturating_sub(line.width() + 4), self.charset) {
            line.push(Paint::Plain, " ");
            line.push(data.paint, &data.text);
        }
        (line, under)
    }

    /// What the summary had no room for, and, with absolute numbers, the
    /// acknowledgment that a segment with data repeats.
    fn rest(self, seen: &Seen<'_>, shown: &str) -> Option<Remark> {
        let style = summary::Style {
            numbering: self.numbering,
            charset: self.charset,
            width: None,
        };
        let whole = summary::short(&seen.dissection, &seen.conversations, style);
        let mut shown = shown.split(' ').peekable();
        let mut rest: Vec<String> = Vec::new();
        for word in whole.split(' ') {
            if shown.next_if_eq(&word).is_none() {
                rest.push(word.to_owned());
            }
        }
        if shown.next().is_some() {
            // Even its first words were cut: an ellipsis says so.
            return None;
        }
        if let Some(tcp) = seen.dissection.tcp()
            && self.numbering == Numbering::Absolute
            && tcp.flags.contains(TcpFlags::ACK)
            && !whole.contains("ack=")
        {
            rest.insert(0, format!("ack={}", tcp.acknowledgment));
        }
        (!rest.is_empty()).then(|| Remark {
            paint: Paint::Layer(label::speaker(&seen.dissection)),
            text: rest.join(" "),
        })
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

/// What is said of a packet beside its summary.
fn remarks(seen: &Seen<'_>) -> Vec<Remark> {
    let mut remarks: Vec<Remark> = label::quoted(seen).into_iter().collect();
    if seen.again {
        remarks.push(Remark {
            paint: Paint::Warning,
            text: "↻ again".to_owned(),
        });
    }
    remarks.extend(changes(seen).into_iter().map(|text| Remark {
        paint: Paint::Warning,
        text,
    }));
    remarks
}

/// What the wire changed, each with its sign and word.
fn changes(seen: &Seen<'_>) -> Vec<String> {
    let packet = seen.packet;
    let changes = packet.changes;
    [
        changes.copy_of.map(|_| "copy".to_owned()),
        changes
            .corrupted_bit
            .map(|bit| format!("≠ corrupted, bit {bit}")),
        changes
            .truncated_to
            .map(|length| format!("⊣ truncated to {length}")),
        changes.marked.then(|| "◆ marked CE".to_owned()),
        changes.hastened.then(|| "⇅ sent ahead".to_owned()),
        changes.reordered.then(|| "⇅ reordered".to_owned()),
        seen.held.map(|held| format!("delayed {}", duration(held))),
    ]
    .into_iter()
    .flatten()
    .collect()
}
