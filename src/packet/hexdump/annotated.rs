//! One row a field: offset, bytes, `label = value (meaning)`. Long fields go on
//! in rows of their own; fields that share a byte show it once.

use std::ops::Range;

use super::{Line, Role, Row, Writer};
use crate::packet::field::{Field, Value};

/// Bytes a row shows at most: eight, or four below this many columns.
const WIDE: usize = 60;

fn bytes_per_row(width: usize) -> usize {
    if width < WIDE { 4 } else { 8 }
}

pub(super) fn rows(writer: &Writer<'_>, end: usize, rows: &mut Vec<Row>) {
    let layer = writer.layer;
    let quoted = if layer.quoted { ", quoted" } else { "" };
    let heading = format!("{}, {} bytes{quoted}", layer.protocol, layer.range.len());
    rows.push(writer.remark(layer.range.start, heading));
    let mut fields = Fields {
        writer,
        end,
        at: layer.range.start,
        rows,
    };
    fields.all(&layer.fields, 1);
    fields.bytes_up_to(end, "not dissected");
}

/// Fields on their way into rows.
struct Fields<'a, 'w> {
    writer: &'a Writer<'w>,
    /// Where to stop.
    end: usize,
    /// The first byte that is not shown yet.
    at: usize,
    rows: &'a mut Vec<Row>,
}

impl Fields<'_, '_> {
    fn all(&mut self, fields: &[Field], depth: usize) {
        for field in fields {
            self.bytes_up_to(field.range.start, "not dissected");
            let indent = "  ".repeat(depth);
            match field.value {
                Value::Group => {
                    let remark = self.writer.remark(self.at, format!("{indent}{field}"));
                    self.rows.push(remark);
                    self.all(&field.children, depth + 1);
                    self.bytes_up_to(field.range.end, "not dissected");
                }
                Value::Bytes(_) if self.writer.is_data() => self.text(field, &indent),
                _ => self.value(field, &indent),
            }
        }
    }

    /// A value: said once, beside the first of its bytes that are not shown yet.
    fn value(&mut self, field: &Field, indent: &str) {
        let mut note = match (&field.value, &field.meaning) {
            // The bytes beside it are the value.
            (Value::Bytes(_), None) => format!("{indent}{}", field.label),
            (Value::Bytes(_), Some(meaning)) => format!("{indent}{} ({meaning})", field.label),
            _ => format!("{indent}{field}"),
        };
        for range in self.chunks(field.range.end) {
            self.row(range, field.label, std::mem::take(&mut note));
        }
        if !note.is_empty() {
            let remark = self.writer.remark(field.range.start, note);
            self.rows.push(remark);
        }
    }

    /// Data, shown as the text it may be, each row its own.
    fn text(&mut self, field: &Field, indent: &str) {
        let mut label = field.label.to_owned();
        for range in self.chunks(field.range.end) {
            let text = self.writer.text(range.clone());
            self.row(range, field.label, format!("{indent}{label} \"{text}\""));
            label = " ".repeat(label.chars().count());
        }
    }

    /// Bytes that no field claims.
    fn bytes_up_to(&mut self, end: usize, label: &'static str) {
        for range in self.chunks(end) {
            self.row(range, label, format!("  {label}"));
        }
    }

    fn row(&mut self, range: Range<usize>, label: &'static str, note: String) {
        let hex = hex::encode(&self.writer.bytes[range.clone()]);
        let span = self.writer.span(range, hex, label);
        self.rows.push(self.writer.row(vec![span], note));
    }

    /// What is not shown yet up to `end`, in rows.
    fn chunks(&mut self, end: usize) -> Vec<Range<usize>> {
        let step = bytes_per_row(self.writer.layout.width);
        let end = end.min(self.end);
        let chunks = (self.at..end)
            .step_by(step)
            .map(|start| start..end.min(start + step))
            .collect();
        self.at = self.at.max(end);
        chunks
    }
}

pub(super) fn line(row: &Row, line: &mut Line) {
    let width = line.layout.width;
    let gap = if width < WIDE { 1 } else { 2 };
    line.offset(row.offset);
    line.column(4 + gap);
    if row.spans.is_empty() && !row.note.starts_with(' ') {
        // A heading stands where bytes would.
        return line.push(Role::Note, &row.note);
    }
    for span in &row.spans {
        line.push(Role::Hex, &span.hex);
    }
    line.column(4 + gap + 2 * bytes_per_row(width));
    line.push(Role::Note, &row.note);
}
