//! One packet's bytes, field by field, each layer in its colour and under its
//! name: a popover of the browser's own, which opens by keyboard and without
//! any script.

use super::accent;
use super::markup::{Attribute, Markup};
use crate::packet::Dissection;
use crate::packet::hexdump::{self, Layout, Mode, Row};

/// How much data is shown; the rest is counted.
const MOST_DATA: usize = 64;

/// The button that opens packet `id`'s bytes.
pub(super) fn button(out: &mut Markup, id: u64) {
    let target = format!("hex-{id}");
    let label = format!("bytes of packet {id}");
    let attributes: [Attribute<'_>; 4] = [
        ("type", &"button"),
        ("class", &"hex"),
        ("popovertarget", &target),
        ("aria-label", &label),
    ];
    out.leaf("button", &attributes, "hex");
}

/// The popover itself. `dissection` must be of the same `bytes`.
pub(super) fn popover(out: &mut Markup, id: u64, title: &str, of: (&Dissection, &[u8])) {
    let (dissection, bytes) = of;
    let (own, heading) = (format!("hex-{id}"), format!("hex-{id}-title"));
    let attributes: [Attribute<'_>; 5] = [
        ("id", &own),
        ("class", &"bytes"),
        ("popover", &"auto"),
        ("role", &"dialog"),
        ("aria-labelledby", &heading),
    ];
    let layout = Layout {
        mode: Mode::Annotated,
        width: 50,
        data: Some(MOST_DATA),
        ..Layout::default()
    };
    out.element("div", &attributes, |popover| {
        popover.element("div", &[("class", &"bar")], |bar| {
            bar.leaf("h4", &[("id", &heading)], title);
            let close: [Attribute<'_>; 4] = [
                ("type", &"button"),
                ("popovertarget", &own),
                ("popovertargetaction", &"hide"),
                ("autofocus", &"autofocus"),
            ];
            bar.leaf("button", &close, "Close");
        });
        popover.element("table", &[], |table| {
            table.leaf(
                "caption",
                &[("class", &"unseen")],
                "Every byte with the field it belongs to",
            );
            table.element("thead", &[], |head| {
                head.element("tr", &[], |row| {
                    for name in ["at", "bytes", "field"] {
                        row.leaf("th", &[("scope", &"col")], name);
                    }
                });
            });
            for row in hexdump::rows(dissection, bytes, layout) {
                field(table, &row);
            }
        });
    });
    out.line();
}

fn field(table: &mut Markup, row: &Row) {
    table.element("tr", &[("class", &accent::layer(row.protocol))], |tr| {
        let is_heading = row.spans.is_empty() && !row.note.starts_with(' ');
        if is_heading {
            let whole: [Attribute<'_>; 2] = [("colspan", &3), ("scope", &"rowgroup")];
            tr.leaf("th", &whole, &row.note);
            return;
        }
        tr.leaf(
            "td",
            &[("class", &"at")],
            format_args!("{:04x}", row.offset),
        );
        tr.element("td", &[("class", &"octets")], |cell| {
            for span in &row.spans {
                cell.text(pairs(&span.hex));
            }
        });
        tr.leaf("td", &[("class", &"field")], row.note.trim_start());
    });
}

/// `4500` as `45 00`.
fn pairs(digits: &str) -> String {
    let digits: Vec<char> = digits.chars().filter(char::is_ascii_hexdigit).collect();
    let pairs = digits.chunks(2).map(|pair| pair.iter().collect::<String>());
    pairs.collect::<Vec<_>>().join(" ")
}
