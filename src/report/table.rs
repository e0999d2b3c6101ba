//! Headings, tables and lines of prose for the text that follows a ladder.
//!
//! Tables are light: no boxes, a bold head, two spaces between columns. A cell
//! that begins with a sign is painted as the sign says.

use comfy_table::{CellAlignment, ContentArrangement, Table};

use super::glyph;
use super::line::Line;
use super::style::{Paint, Style};

/// How a column's cells stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// Between columns.
const GAP: usize = 2;

/// The sign of what was checked and is right.
pub(super) const RIGHT: char = '✓';
/// The sign of what is wrong.
pub(super) const WRONG: char = '✗';

/// A heading across the page, after an empty line.
pub(super) fn heading(text: &str, style: &Style) -> Vec<Line> {
    let mut line = Line::of(Paint::Faint, "── ");
    let text = glyph::spelled(text, style.charset);
    line.push_fit(Paint::Heading, &text, style.columns() - 4);
    line.push(Paint::Plain, " ");
    let rest = style.columns().saturating_sub(line.width());
    line.fill(Paint::Faint, '─', rest);
    vec![Line::default(), line]
}

/// A table in lines, its head first. Cells do not break at a no-break space,
/// which is written as any other.
pub(super) fn table(head: &[(&str, Align)], rows: &[Vec<String>], style: &Style) -> Vec<Line> {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(style.columns()).unwrap_or(u16::MAX));
    let shown = |text: &str| glyph::spelled(&glyph::clean(text), style.charset).into_owned();
    table.set_header(head.iter().map(|(name, _)| shown(name)));
    for row in rows {
        table.add_row(row.iter().map(|cell| shown(cell)));
    }
    let last = head.len().saturating_sub(1);
    for (index, (_, align)) in head.iter().enumerate() {
        if let Some(column) = table.column_mut(index) {
            column.set_padding((0, if index == last { 0 } else { 2 }));
            column.set_cell_alignment(match align {
                Align::Left => CellAlignment::Left,
                Align::Right => CellAlignment::Right,
            });
        }
    }
    let painted = |(index, text): (usize, String)| {
        let text = text.replace('\u{a0}', " ");
        if index == 0 {
            let mut line = Line::default();
            line.push_fit(Paint::Heading, text.trim_end(), style.columns());
            return line;
        }
        signed(glyph::fit(text.trim_end(), style.columns()).as_ref())
    };
    table.lines().enumerate().map(painted).collect()
}

/// The columns that a table takes where no cell wraps.
pub(super) fn natural_width(head: &[(&str, Align)], rows: &[Vec<String>]) -> usize {
    let widest = |(index, (name, _)): (usize, &(&str, Align))| {
        let cells = rows.iter().filter_map(|row| row.get(index));
        let widths = cells
            .map(|cell| glyph::width(cell))
            .chain([glyph::width(name)]);
        widths.max().unwrap_or(0) + GAP
    };
    let columns: usize = head.iter().enumerate().map(widest).sum();
    columns.saturating_sub(GAP)
}

/// A sentence in lines, its continuation indented. Lines do not break at a
/// no-break space, which is written as any other.
pub(super) fn sentence(paint: Paint, text: &str, style: &Style) -> Vec<Line> {
    const INDENT: usize = 2;
    let text = glyph::clean(text);
    let text = glyph::spelled(&text, style.charset);
    let lines = glyph::wrap(&text, style.columns() - INDENT);
    let indented = |(index, text): (usize, String)| {
        let mut line = Line::default();
        line.pad(if index == 0 { 0 } else { INDENT });
        line.with(paint, &text.replace('\u{a0}', " "))
    };
    lines.into_iter().enumerate().map(indented).collect()
}

/// Where the next sign stands, or the word that stands for it in ASCII.
fn next_sign(text: &str) -> Option<usize> {
    const WORDS: [&str; 2] = ["ok ", "FAIL "];
    let sign = text.find([RIGHT, WRONG]);
    sign.or_else(|| {
        let words = WORDS.iter().flat_map(|word| text.match_indices(word));
        let begins = |at: &usize| *at == 0 || text[..*at].ends_with(' ');
        words.map(|(at, _)| at).filter(begins).min()
    })
}

/// The line with everything painted that a sign stands before, up to the end of
/// its cell.
fn signed(text: &str) -> Line {
    let mut line = Line::default();
    let mut rest = text;
    while let Some(start) = next_sign(rest) {
        let (before, signed) = rest.split_at(start);
        let (cell, after) = signed.split_at(signed.find("  ").unwrap_or(signed.len()));
        let paint = if cell.starts_with([RIGHT, 'o']) {
            Paint::Good
        } else {
            Paint::Failure
        };
        line.push(Paint::Plain, before);
        line.push(paint, cell);
        rest = after;
    }
    line.with(Paint::Plain, rest)
}
