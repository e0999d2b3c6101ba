//! Rows of sixteen or eight bytes. A layer begins its own row, so that a row
//! belongs to one header, named at its right.
//!
//! Where the width leaves no room for both, headers keep their name and data
//! its text.

use std::ops::Range;

use super::{Line, Role, Row, Span, Writer, is_data};
use crate::packet::field::{Field, Value};

/// The room a name needs beside the text.
const NAME: usize = 10;

/// Where a row's columns are.
struct Columns {
    bytes: usize,
    hex: usize,
    text: usize,
    name: Option<usize>,
}

impl Columns {
    fn fitting(width: usize) -> Self {
        let roomy = |bytes: usize| Columns {
            bytes,
            hex: 6,
            text: 6 + hex_width(bytes) + 2,
            name: Some(6 + hex_width(bytes) + 2 + bytes + 2),
        };
        [16, 8]
            .into_iter()
            .map(roomy)
            .find(|columns| columns.name.is_some_and(|name| name + NAME <= width))
            .unwrap_or(Columns {
                bytes: 8,
                hex: 5,
                text: 5 + hex_width(8) + 1,
                name: None,
            })
    }
}

/// Bytes stand in pairs with a space between.
fn hex_width(bytes: usize) -> usize {
    bytes * 2 + bytes / 2 - 1
}

pub(super) fn rows(writer: &Writer<'_>, end: usize, rows: &mut Vec<Row>) {
    let columns = Columns::fitting(writer.layout.width);
    let layer = writer.layer;
    let name = if layer.quoted {
        format!("[{}]", layer.protocol)
    } else {
        layer.protocol.to_string()
    };
    let mut start = layer.range.start;
    while start < end {
        let row = start..end.min(start + columns.bytes);
        start = row.end;
        rows.push(writer.row(spans(writer, row), name.clone()));
    }
}

/// The row's bytes, split where another field begins.
fn spans(writer: &Writer<'_>, row: Range<usize>) -> Vec<Span> {
    let mut spans: Vec<(Range<usize>, &'static str)> = Vec::new();
    for at in row.clone() {
        let label = label(&writer.layer.fields, at).unwrap_or("not dissected");
        match spans.last_mut() {
            Some((range, last)) if *last == label => range.end = at + 1,
            _ => spans.push((at..at + 1, label)),
        }
    }
    spans
        .into_iter()
        .map(|(range, label)| {
            let mut hex = String::new();
            for at in range.clone() {
                hex += &hex::encode(&writer.bytes[at..=at]);
                if (at - row.start) % 2 == 1 && at + 1 < row.end {
                    hex.push(' ');
                }
            }
            writer.span(range, hex, label)
        })
        .collect()
}

/// The label of the field at this byte: within groups, of the part.
fn label(fields: &[Field], at: usize) -> Option<&'static str> {
    let field = fields.iter().find(|field| field.range.contains(&at))?;
    match field.value {
        Value::Group => label(&field.children, at).or(Some(field.label)),
        _ => Some(field.label),
    }
}

pub(super) fn line(row: &Row, line: &mut Line) {
    let columns = Columns::fitting(line.layout.width);
    line.offset(row.offset);
    line.column(columns.hex);
    if row.spans.is_empty() {
        return line.push(Role::Note, row.note.trim_start());
    }
    for span in &row.spans {
        line.push(Role::Hex, &span.hex);
    }
    line.column(columns.text);
    let is_data = is_data(row.protocol);
    if columns.name.is_some() || is_data {
        for span in &row.spans {
            line.push(Role::Text, &span.text);
        }
    }
    match columns.name {
        Some(column) => {
            line.column(column);
            line.push(Role::Note, &row.note);
        }
        None if !is_data => line.push(Role::Note, &row.note),
        None => {}
    }
}
