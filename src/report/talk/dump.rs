//! A conversation's bytes in rows of sixteen, hexadecimal and text, each row
//! with its place in the stream.
//!
//! Shows every byte once. What is no printable ASCII is a dot.

use std::fmt::Write;

use crate::packet::Protocol;
use crate::report::line::Line;
use crate::report::style::Paint;

/// Bytes in a row.
const ROW: usize = 16;

/// The rows of bytes that begin at `offset` of their stream.
pub(super) fn rows(offset: u64, bytes: &[u8]) -> impl Iterator<Item = Line> {
    let rows = bytes.chunks(ROW).zip(0_u64..);
    rows.map(move |(row, index)| line(offset + index * ROW as u64, row))
}

fn line(offset: u64, row: &[u8]) -> Line {
    let mut hex = String::new();
    for (index, byte) in row.iter().enumerate() {
        let gap = if index == ROW / 2 { " " } else { "" };
        // A String takes everything.
        let _ = write!(hex, "{gap}{byte:02x} ");
    }
    let text: String = row
        .iter()
        .map(|byte| match byte {
            b' '..=b'~' => char::from(*byte),
            _ => '.',
        })
        .collect();
    Line::of(Paint::Faint, &format!("   {offset:08x}  "))
        .with(Paint::Layer(Protocol::Data), &format!("{hex:<50}"))
        .with(Paint::Plain, &text)
}
