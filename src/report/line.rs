//! One line of a rendering: pieces of text, each with its paint.
//!
//! Cleans whatever is put in, so that every renderer is safe by construction;
//! writes colours and ASCII only at the very end, so that neither changes a
//! layout.

use std::io::{self, Write};

use super::glyph;
use super::style::{Paint, Style};
use crate::packet::Charset;

/// One line on its way out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Line {
    pieces: Vec<(Paint, String)>,
    width: usize,
}

impl Line {
    /// A line of one piece.
    pub(super) fn of(paint: Paint, text: &str) -> Self {
        Self::default().with(paint, text)
    }

    /// The line, and this piece.
    #[must_use]
    pub(super) fn with(mut self, paint: Paint, text: &str) -> Self {
        self.push(paint, text);
        self
    }

    /// Adds a piece.
    pub(super) fn push(&mut self, paint: Paint, text: &str) {
        if text.is_empty() {
            return;
        }
        let text = glyph::clean(text);
        self.width += glyph::width(&text);
        match self.pieces.last_mut() {
            Some((last, before)) if *last == paint => before.push_str(&text),
            _ => self.pieces.push((paint, text.into_owned())),
        }
    }

    /// Adds as much of a piece as fits into `room` columns.
    pub(super) fn push_fit(&mut self, paint: Paint, text: &str, room: usize) {
        let text = glyph::clean(text);
        self.push(paint, &glyph::fit(&text, room));
    }

    /// Adds a glyph again and again.
    pub(super) fn fill(&mut self, paint: Paint, with: char, count: usize) {
        self.push(paint, &std::iter::repeat_n(with, count).collect::<String>());
    }

    /// Adds spaces up to this column.
    pub(super) fn pad(&mut self, column: usize) {
        self.fill(Paint::Plain, ' ', column.saturating_sub(self.width));
    }

    /// Adds another line's pieces.
    pub(super) fn append(&mut self, other: &Line) {
        for (paint, text) in &other.pieces {
            self.push(*paint, text);
        }
    }

    /// How many columns it takes.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Writes it with its line feed, without blanks at its end.
    pub(super) fn write(&self, out: &mut impl Write, style: &Style) -> io::Result<()> {
        let is_blank = |(_, text): &(Paint, String)| text.trim_end().is_empty();
        let blank = self.pieces.iter().rev().take_while(|piece| is_blank(piece));
        let shown = &self.pieces[..self.pieces.len() - blank.count()];
        for (index, (paint, text)) in shown.iter().enumerate() {
            let is_last = index + 1 == shown.len();
            let text = if is_last { text.trim_end() } else { text };
            let text = match style.charset {
                Charset::Unicode => text.into(),
                Charset::Ascii => glyph::ascii(text),
            };
            let ansi = paint.ansi();
            if style.colour && !ansi.is_plain() {
                write!(out, "{ansi}{text}{ansi:#}")?;
            } else {
                out.write_all(text.as_bytes())?;
            }
        }
        out.write_all(b"\n")
    }
}
