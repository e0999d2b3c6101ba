//! The annotated hex dump: every byte of a frame once, with whose it is.
//!
//! A dump is rows, a row is spans, and every span knows its layer, so that a
//! renderer may give each layer its colour. Nothing here writes colours.

mod annotated;
mod short;

use std::fmt::Write;
use std::ops::Range;

use super::dissection::{Dissection, Layer, Protocol};
use super::summary::Charset;

/// How a dump is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// A row for so many bytes, or for every field.
    pub mode: Mode,
    /// The most columns a row may take. Below 34 there is no room for rows of
    /// eight bytes, and they are cut.
    pub width: usize,
    /// Which characters may be used.
    pub charset: Charset,
    /// How many bytes of data to show; the others are counted.
    pub data: Option<usize>,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            mode: Mode::Short,
            width: 80,
            charset: Charset::default(),
            data: None,
        }
    }
}

/// What a row stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Sixteen bytes, or eight where sixteen do not fit, of one layer.
    Short,
    /// One field.
    Annotated,
}

/// One row of a dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Where its bytes begin in the frame, or would.
    pub offset: usize,
    /// Its layer: an index into the dissection's layers.
    pub layer: usize,
    /// That layer's protocol.
    pub protocol: Protocol,
    /// Whether an ICMP error quotes that layer.
    pub quoted: bool,
    /// Its bytes, without gap; none where a row only says something.
    pub spans: Vec<Span>,
    /// What it says beside or instead of bytes.
    pub note: String,
}

/// Bytes that belong to one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The bytes' place in the frame.
    pub range: Range<usize>,
    /// The bytes in hex, spaces between groups and after the last included.
    pub hex: String,
    /// The bytes as ASCII, a dot for what cannot be shown.
    pub text: String,
    /// The field's label.
    pub label: &'static str,
}

/// A row's text in pieces, each of which may have its own colour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The text.
    pub text: String,
    /// What it is.
    pub role: Role,
}

/// What a piece of a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Where the row's bytes begin.
    Offset,
    /// Bytes in hex.
    Hex,
    /// Bytes as text.
    Text,
    /// A name, a field's value, a remark.
    Note,
    /// Spaces.
    Gap,
}

/// The rows of a frame's dump. `dissection` must be of the same `bytes`.
pub fn rows(dissection: &Dissection, bytes: &[u8], layout: Layout) -> Vec<Row> {
    let mut rows = Vec::new();
    for (index, layer) in dissection.layers.iter().enumerate() {
        let writer = Writer {
            layer,
            index,
            bytes,
            layout,
        };
        let shown = writer.shown();
        match layout.mode {
            Mode::Short => short::rows(&writer, shown.end, &mut rows),
            Mode::Annotated => annotated::rows(&writer, shown.end, &mut rows),
        }
        let omitted = layer.range.end.min(bytes.len()).saturating_sub(shown.end);
        let bytes = if omitted == 1 { "byte" } else { "bytes" };
        if omitted > 0 {
            rows.push(writer.remark(shown.end, format!("  {omitted} more {bytes}")));
        }
        for fault in &layer.faults {
            let word = if fault.is_malformed() {
                "malformed"
            } else {
                "incomplete"
            };
            rows.push(writer.remark(shown.end, format!("  {word}: {fault}")));
        }
    }
    rows
}

/// A dump as plain text, a line a row.
pub fn render(rows: &[Row], layout: Layout) -> String {
    let mut text = String::new();
    for row in rows {
        let line: String = row
            .pieces(layout)
            .into_iter()
            .map(|piece| piece.text)
            .collect();
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

impl Row {
    /// The row's text, no wider than the layout allows.
    pub fn pieces(&self, layout: Layout) -> Vec<Piece> {
        let mut line = Line::new(layout);
        match layout.mode {
            Mode::Short => short::line(self, &mut line),
            Mode::Annotated => annotated::line(self, &mut line),
        }
        line.pieces
    }
}

/// One layer on its way into rows.
struct Writer<'a> {
    layer: &'a Layer,
    index: usize,
    bytes: &'a [u8],
    layout: Layout,
}

impl Writer<'_> {
    /// The layer's bytes that are to be shown.
    fn shown(&self) -> Range<usize> {
        let Range { start, end } = self.layer.range;
        let end = match self.layout.data {
            Some(most) if self.is_data() => end.min(start.saturating_add(most)),
            _ => end,
        };
        start.min(self.bytes.len())..end.min(self.bytes.len())
    }

    fn row(&self, spans: Vec<Span>, note: String) -> Row {
        Row {
            offset: spans
                .first()
                .map_or(self.layer.range.start, |span| span.range.start),
            layer: self.index,
            protocol: self.layer.protocol,
            quoted: self.layer.quoted,
            spans,
            note,
        }
    }

    fn remark(&self, offset: usize, note: String) -> Row {
        Row {
            offset,
            ..self.row(Vec::new(), note)
        }
    }

    fn is_data(&self) -> bool {
        is_data(self.layer.protocol)
    }

    /// The bytes as ASCII, a dot for what cannot be shown.
    fn text(&self, range: Range<usize>) -> String {
        let text = self.bytes[range].iter().map(|byte| match byte {
            b' '..=b'~' => char::from(*byte),
            _ => '.',
        });
        text.collect()
    }

    fn span(&self, range: Range<usize>, hex: String, label: &'static str) -> Span {
        Span {
            text: self.text(range.clone()),
            range,
            hex,
            label,
        }
    }
}

/// Whether the layer is no header.
fn is_data(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Data | Protocol::Trailer)
}

/// A row's text on its way into pieces: never wider than allowed.
struct Line {
    layout: Layout,
    used: usize,
    pieces: Vec<Piece>,
}

impl Line {
    fn new(layout: Layout) -> Self {
        Self {
            layout,
            used: 0,
            pieces: Vec::new(),
        }
    }

    fn room(&self) -> usize {
        self.layout.width.saturating_sub(self.used)
    }

    fn push(&mut self, role: Role, text: &str) {
        let room = self.room();
        let width = text.chars().count();
        let text = if width <= room {
            text.to_owned()
        } else if room == 0 {
            return;
        } else {
            let kept = text.chars().take(room - 1);
            kept.chain([self.layout.charset.ellipsis()]).collect()
        };
        self.used += width.min(room);
        if !text.is_empty() {
            self.pieces.push(Piece { text, role });
        }
    }

    fn offset(&mut self, offset: usize) {
        self.push(Role::Offset, &format!("{offset:04x}"));
    }

    /// Spaces up to this column.
    fn column(&mut self, column: usize) {
        let missing = column.saturating_sub(self.used);
        self.push(Role::Gap, &" ".repeat(missing));
    }
}
