//! Packets in annotated hex, each layer in its colour: one packet with a legend
//! of its layers, or several side by side.
//!
//! What a row says is `packet::hexdump`'s; this owns colours and columns. Every
//! row names its layer or stands under its heading, so that colour only
//! repeats it.

use std::io::{self, Write};

use super::line::Line;
use super::style::{Paint, Style};
use crate::packet::hexdump::{self, Layout, Mode, Role, Row};
use crate::packet::{Dissection, Protocol};

/// A packet to dump.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// What it is, in a few words.
    pub title: &'a str,
    /// The packet taken apart.
    pub dissection: &'a Dissection,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// How much of a packet is dumped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// A row for so many bytes, or for every field.
    pub mode: Mode,
    /// How many bytes of data are shown; the others are counted.
    pub data: Option<usize>,
}

impl Default for Extent {
    fn default() -> Self {
        Self {
            mode: Mode::Short,
            data: None,
        }
    }
}

/// Dumps one packet: its title, a legend of its layers, its rows.
pub fn packet(
    out: &mut impl Write,
    subject: &Subject<'_>,
    extent: Extent,
    style: &Style,
) -> io::Result<()> {
    let lines = column(subject, extent, style, style.columns());
    lines.iter().try_for_each(|line| line.write(out, style))
}

/// Dumps several packets side by side, or one under the other where the width
/// leaves a column too little room.
pub fn side_by_side(
    out: &mut impl Write,
    subjects: &[Subject<'_>],
    extent: Extent,
    style: &Style,
) -> io::Result<()> {
    const GAP: usize = 3;
    const WIDE: usize = 100;
    let count = subjects.len().max(1);
    let width = (style.columns() - GAP * (count - 1).min(style.columns() / GAP)) / count;
    if style.columns() < WIDE || width < least_width(extent.mode) {
        for (index, subject) in subjects.iter().enumerate() {
            if index > 0 {
                Line::default().write(out, style)?;
            }
            packet(out, subject, extent, style)?;
        }
        return Ok(());
    }
    let columns: Vec<Vec<Line>> = subjects
        .iter()
        .map(|subject| column(subject, extent, style, width))
        .collect();
    let height = columns.iter().map(Vec::len).max().unwrap_or(0);
    for row in 0..height {
        let mut line = Line::default();
        for (index, column) in columns.iter().enumerate() {
            if index > 0 {
                line.pad(index * (width + GAP) - GAP);
                line.push(Paint::Faint, " │ ");
            }
            if let Some(cells) = column.get(row) {
                line.append(cells);
            }
        }
        line.write(out, style)?;
    }
    Ok(())
}

/// The least columns in which a dump is of use.
fn least_width(mode: Mode) -> usize {
    match mode {
        Mode::Short => 34,
        Mode::Annotated => 30,
    }
}

/// A subject's lines, none wider than `width`.
fn column(subject: &Subject<'_>, extent: Extent, style: &Style, width: usize) -> Vec<Line> {
    let layout = Layout {
        mode: extent.mode,
        width,
        charset: style.charset,
        data: extent.data,
    };
    let mut title = Line::default();
    title.push_fit(Paint::Heading, subject.title, width);
    let mut lines = vec![title];
    lines.extend(legend(subject.dissection, width));
    let rows = hexdump::rows(subject.dissection, subject.bytes, layout);
    lines.extend(rows.iter().map(|row| dumped(row, layout)));
    lines
}

/// The layers and their lengths, each in its colour.
fn legend(dissection: &Dissection, width: usize) -> Vec<Line> {
    const GAP: &str = "  ";
    let mut lines = Vec::new();
    let mut line = Line::default();
    for layer in &dissection.layers {
        let name = if layer.quoted {
            format!("[{}] {}", layer.protocol, layer.range.len())
        } else {
            format!("{} {}", layer.protocol, layer.range.len())
        };
        if line.width() > 0 && line.width() + GAP.len() + name.len() > width {
            lines.push(std::mem::take(&mut line));
        }
        if line.width() > 0 {
            line.push(Paint::Plain, GAP);
        }
        line.push_fit(Paint::Layer(layer.protocol), &name, width);
    }
    let bytes = " bytes";
    if line.width() > 0 && line.width() + bytes.len() <= width {
        line.push(Paint::Faint, bytes);
    }
    lines.push(line);
    lines
}

fn dumped(row: &Row, layout: Layout) -> Line {
    let mut line = Line::default();
    for piece in row.pieces(layout) {
        let room = layout.width.saturating_sub(line.width());
        line.push_fit(paint(piece.role, row, layout.mode), &piece.text, room);
    }
    line
}

fn paint(role: Role, row: &Row, mode: Mode) -> Paint {
    match role {
        Role::Offset => Paint::Faint,
        Role::Hex | Role::Text => Paint::Layer(row.protocol),
        // A layer's name, or its heading; a field's words are plain to read.
        Role::Note if mode == Mode::Short || is_heading(row) => Paint::Layer(row.protocol),
        Role::Note if row.protocol == Protocol::Data => Paint::Layer(row.protocol),
        Role::Gap | Role::Note => Paint::Plain,
    }
}

fn is_heading(row: &Row) -> bool {
    row.spans.is_empty() && !row.note.starts_with(' ')
}
