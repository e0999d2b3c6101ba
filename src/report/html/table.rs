//! The comparison as a table. Each figure stands in its cell as people read it,
//! and beside it, for programs, under the name and with the value that `--json`
//! has.

use super::accent;
use super::markup::{Attribute, Markup};
use crate::compare::Variant;

/// The table's rows over the columns' kinds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// What each column is about.
    pub columns: Vec<Variant>,
    /// The rows, in their order.
    pub rows: Vec<Row>,
    /// Rows of lesser weight.
    pub more: Vec<Row>,
}

/// One row: what it says, of each column.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    /// What the figures are.
    pub label: String,
    /// Whether it is a part of the row above.
    pub is_part: bool,
    /// One cell a column.
    pub cells: Vec<Cell>,
}

/// A figure, or words.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cell {
    /// As a person reads it.
    pub text: String,
    /// The figure's name in the JSON, such as `latency.p50_ns`, and its value
    /// there.
    pub figure: Option<(String, serde_json::Value)>,
}

impl Cell {
    /// Words alone.
    pub fn words(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            figure: None,
        }
    }
}

impl Table {
    pub(super) fn draw(&self, out: &mut Markup) {
        const CAPTION: &str =
            "The figures of each kind of socket, measured by the programs and on the wire";
        const MORE: &str = "The other figures, under the names that the JSON has";
        self.part(out, &self.rows, CAPTION);
        if !self.more.is_empty() {
            out.element("details", &[], |details| {
                details.leaf("summary", &[], "Every other figure");
                self.part(details, &self.more, MORE);
            });
        }
    }

    fn part(&self, out: &mut Markup, rows: &[Row], caption: &str) {
        let scroll: [Attribute<'_>; 4] = [
            ("class", &"scroll"),
            ("role", &"region"),
            ("tabindex", &"0"),
            ("aria-label", &caption),
        ];
        out.element("div", &scroll, |scroll| {
            scroll.element("table", &[("class", &"comparison")], |table| {
                table.leaf("caption", &[], caption);
                self.head(table);
                table.element("tbody", &[], |body| {
                    for row in rows {
                        self.row(body, row);
                    }
                });
            });
        });
        out.line();
    }

    fn head(&self, table: &mut Markup) {
        table.element("thead", &[], |head| {
            head.element("tr", &[], |row| {
                row.leaf("td", &[], "");
                for variant in &self.columns {
                    let class = accent::class(*variant);
                    row.element("th", &[("scope", &"col"), ("class", &class)], |th| {
                        accent::swatch(th, *variant);
                        th.text(variant.title());
                    });
                }
            });
        });
    }

    fn row(&self, body: &mut Markup, row: &Row) {
        body.element("tr", &[], |tr| {
            let class = if row.is_part { "part" } else { "whole" };
            tr.leaf("th", &[("scope", &"row"), ("class", &class)], &row.label);
            for (variant, cell) in self.columns.iter().zip(&row.cells) {
                let Some((name, value)) = &cell.figure else {
                    tr.leaf("td", &[], &cell.text);
                    continue;
                };
                let attributes: [Attribute<'_>; 3] = [
                    ("data-kind", &variant.name()),
                    ("data-figure", name),
                    ("data-value", value),
                ];
                tr.leaf("td", &attributes, &cell.text);
            }
        });
        body.line();
    }
}
