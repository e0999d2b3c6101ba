//! The page's table, made from what `--json` says: first the figures that
//! matter most, under names for people; then every other figure there is, under
//! the name that the JSON has.
//!
//! Read from the JSON itself, so that the page and the JSON cannot differ.

use std::time::Duration;

use serde_json::Value;

use super::table::{Cell, Row, Table};
use crate::compare::{Compared, Identity};
use crate::report::figure::{duration, grouped};

/// Where a figure cannot be had.
const NOTHING: &str = "–";

/// The figures that matter most: whether each is part of the one above, its
/// name in the JSON, and what it is called.
const FIRST: &[(bool, &str, &str)] = &[
    (false, "sent", "sent"),
    (false, "delivered", "delivered"),
    (false, "lost", "lost"),
    (true, "not_sent", "by the sender’s full queue"),
    (true, "dropped_at_receiver", "by the receiver’s full buffer"),
    (
        true,
        "wire.data_packets_harmed",
        "packets harmed by the link",
    ),
    (false, "duplicated", "duplicated"),
    (false, "out_of_order", "out of order"),
    (false, "corrupted", "corrupted"),
    (false, "latency.p50_ns", "latency, half within"),
    (true, "latency.p90_ns", "90 % within"),
    (true, "latency.p99_ns", "99 % within"),
    (true, "latency.max_ns", "the longest"),
    (false, "boundaries", "message boundaries"),
    (true, "writes", "writes"),
    (true, "reads", "reads"),
    (false, "set_up_ns", "set-up"),
    (true, "wire.set_up.packets_up", "packets up"),
    (true, "wire.set_up.packets_down", "packets down"),
    (false, "wire.data_packets", "packets with a message"),
    (false, "privilege", "privilege needed"),
];

/// What is no figure, or said elsewhere.
const ELSEWHERE: [&str; 4] = ["kind", "refused", "client", "server"];

/// The table of these columns.
pub(super) fn table(compared: &[Compared]) -> Table {
    let json: Vec<Value> = compared
        .iter()
        .map(|one| serde_json::to_value(one).unwrap_or_default())
        .collect();
    let mut rows = vec![
        ends("client", compared, |one| one.0),
        ends("server", compared, |one| one.1),
    ];
    let first = FIRST.iter().map(|(is_part, name, label)| Row {
        label: (*label).to_owned(),
        is_part: *is_part,
        cells: cells(&json, name),
    });
    // A part that is nothing everywhere says nothing.
    rows.extend(first.filter(|row| !row.is_part || says_something(row)));
    let others = others(&json).into_iter().map(|name| Row {
        label: name.replace(['_', '.'], " "),
        is_part: false,
        cells: cells(&json, &name),
    });
    let mut more: Vec<Row> = others.filter(says_something).collect();
    for row in &mut more {
        row.label = row.label.trim_end_matches(" ns").to_owned();
    }
    Table {
        columns: compared.iter().map(|one| one.column.variant).collect(),
        rows,
        more,
    }
}

fn ends(label: &str, compared: &[Compared], end: impl Fn((Identity, Identity)) -> Identity) -> Row {
    let cell = |one: &Compared| {
        let figures = one.column.result.as_ref();
        let words = figures.map(|figures| end((figures.client, figures.server)).to_string());
        Cell::words(words.unwrap_or_else(|_| NOTHING.to_owned()))
    };
    Row {
        label: label.to_owned(),
        is_part: false,
        cells: compared.iter().map(cell).collect(),
    }
}

fn cells(json: &[Value], name: &str) -> Vec<Cell> {
    let cell = |value: &Value| match leaf(value, name) {
        None | Some(Value::Null) => Cell::words(NOTHING),
        Some(value) => Cell {
            text: words(name, value),
            figure: Some((name.to_owned(), value.clone())),
        },
    };
    json.iter().map(cell).collect()
}

/// Whether any column has a figure other than nothing.
fn says_something(row: &Row) -> bool {
    let is_some = |cell: &Cell| {
        let value = cell.figure.as_ref().map(|(_, value)| value);
        value.is_some_and(|value| value.as_f64() != Some(0.0))
    };
    row.cells.iter().any(is_some)
}

/// The value of this name, dots between an object's name and its field's.
fn leaf<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    name.split('.')
        .try_fold(value, |value, part| value.get(part))
}

/// The names of all figures that are not among the first.
fn others(json: &[Value]) -> Vec<String> {
    let mut names = Vec::new();
    for value in json {
        collect(value, "", &mut names);
    }
    names
}

fn collect(value: &Value, before: &str, names: &mut Vec<String>) {
    let Value::Object(fields) = value else { return };
    for (field, value) in fields {
        let name = format!("{before}{field}");
        match value {
            Value::Object(_) if !ELSEWHERE.contains(&name.as_str()) => {
                collect(value, &format!("{name}."), names);
            }
            Value::Number(_) | Value::String(_) | Value::Bool(_) => {
                let is_first = FIRST.iter().any(|(_, first, _)| *first == name);
                if !is_first && !ELSEWHERE.contains(&name.as_str()) && !names.contains(&name) {
                    names.push(name);
                }
            }
            _ => {}
        }
    }
}

/// A value as people read it; the end of its name says its unit.
fn words(name: &str, value: &Value) -> String {
    match (value.as_u64(), value.as_f64(), value) {
        (Some(time), _, _) if name.ends_with("_ns") => duration(Duration::from_nanos(time)),
        (Some(count), _, _) if name.ends_with("bytes") => format!("{} B", grouped(count)),
        (Some(count), _, _) => grouped(count),
        (None, Some(number), _) => format!("{number:.3}"),
        (_, _, Value::String(text)) => text.clone(),
        (_, _, Value::Bool(true)) => "yes".to_owned(),
        (_, _, Value::Bool(false)) => "no".to_owned(),
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn figures_are_read_by_their_names_and_said_in_their_units() {
        let value = json!({
            "sent": 1000, "latency": {"p50_ns": 1_200_000, "mean_ns": 5}, "ratio": 0.25,
            "wire": null, "refused": null, "client": {"address": "10.77.0.1"},
        });
        let json = [value];
        for (name, text) in [
            ("sent", "1,000"),
            ("latency.p50_ns", "1.20 ms"),
            ("wire.data_packets", NOTHING),
        ] {
            assert_eq!(cells(&json, name)[0].text, text, "{name}");
        }
        assert_eq!(others(&json), ["latency.mean_ns", "ratio"]);
    }
}
