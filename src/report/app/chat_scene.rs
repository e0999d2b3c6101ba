//! What came of the chat room's demonstration, as a table after the ladder: each
//! line that was sent, and what either member saw of it.
//!
//! Owns wording and layout only.

use std::io::{self, Write};

use crate::app::chat::{Told, Turn, Way};
use crate::report::Evidence;
use crate::report::line::Line;
use crate::report::style::{Paint, Style};
use crate::report::table::{self, Align, RIGHT, WRONG};

/// Writes what came of it.
pub fn render(
    out: &mut impl Write,
    told: &Told,
    evidence: Evidence<'_>,
    style: &Style,
) -> io::Result<()> {
    let head = [
        ("who", Align::Left),
        ("line", Align::Left),
        ("ann sees", Align::Left),
        ("bob sees", Align::Left),
    ];
    let rows: Vec<Vec<String>> = told.turns.iter().flat_map(rows).collect();
    let mut lines = table::heading("The room: what one sends, and what each sees", style);
    lines.extend(table::table(&head, &rows, style));
    if !told.ways.is_empty() {
        lines.extend(ways(&told.ways, style));
    }
    lines.push(Line::default());
    lines.extend(evidence.link_lines(style));
    let agreement = disagreements(told, evidence);
    if agreement.is_empty() {
        let text = format!("{RIGHT} {}", verdict(told));
        lines.extend(table::sentence(Paint::Good, &text, style));
    }
    for text in agreement {
        let text = format!("{WRONG} {text}");
        lines.extend(table::sentence(Paint::Failure, &text, style));
    }
    lines.iter().try_for_each(|line| line.write(out, style))
}

/// A step, a row for each line; a dash where nobody saw anything.
fn rows(turn: &Turn) -> Vec<Vec<String>> {
    let sent: Vec<String> = turn.sent.lines().map(str::to_owned).collect();
    let nothing = vec!["–".to_owned()];
    let or_nothing = |lines: &'_ Vec<String>| match lines.len() {
        0 => nothing.clone(),
        _ => lines.clone(),
    };
    let columns = [sent, or_nothing(&turn.ann), or_nothing(&turn.bob)];
    let height = columns.iter().map(Vec::len).max().unwrap_or_default();
    let row = |at: usize| {
        let who = if at == 0 { turn.who } else { "" };
        let cells = columns.iter().map(|lines| lines.get(at).cloned());
        let cells = cells.map(Option::unwrap_or_default);
        std::iter::once(who.to_owned()).chain(cells).collect()
    };
    (0..height).map(row).collect()
}

/// What became of the numbered messages.
fn ways(ways: &[Way], style: &Style) -> Vec<Line> {
    let head = [
        ("from", Align::Left),
        ("to", Align::Left),
        ("sent", Align::Right),
        ("came", Align::Right),
        ("late", Align::Right),
        ("twice", Align::Right),
        ("missing", Align::Right),
    ];
    let row = |way: &Way| {
        let counts = [
            way.sent_messages,
            way.received_messages,
            way.late_messages,
            way.repeated_messages,
            way.missing_messages,
        ];
        let names = [way.from, way.to].map(str::to_owned);
        names
            .into_iter()
            .chain(counts.map(|count| count.to_string()))
            .collect()
    };
    let rows: Vec<Vec<String>> = ways.iter().map(row).collect();
    let mut lines = table::heading("The numbers: what is missing is known", style);
    lines.extend(table::table(&head, &rows, style));
    lines
}

fn verdict(told: &Told) -> String {
    let missing: u64 = told.ways.iter().map(|way| way.missing_messages).sum();
    match missing {
        0 => "every line reached everybody it was for, once.".into(),
        1 => "1 message is missing, and whoever missed it knows by its number.".into(),
        count => {
            format!("{count} messages are missing, and whoever missed them knows by their numbers.")
        }
    }
}

/// What should agree and does not, a sentence each: over a stream the host counts
/// each line that it sent, and the members each line that they saw; over
/// datagrams each number that was given came, or is known to be missing.
pub fn disagreements(told: &Told, _: Evidence<'_>) -> Vec<String> {
    if !told.ways.is_empty() {
        let lost = told.ways.iter().filter(|way| !way.is_accounted_for());
        return lost.map(unaccounted).collect();
    }
    let turns = told.turns.iter();
    let seen: usize = turns.map(|turn| turn.ann.len() + turn.bob.len()).sum();
    let sent = told.account.map_or(0, |account| account.deliveries);
    if seen as u64 == sent {
        return Vec::new();
    }
    vec![format!(
        "the host sent {sent} lines, and the members saw {seen}"
    )]
}

fn unaccounted(way: &Way) -> String {
    let Way {
        from,
        to,
        sent_messages: sent,
        received_messages: came,
        missing_messages: missing,
        ..
    } = way;
    format!("{from} sent {to} {sent} messages: {came} came, and {missing} are known to be missing")
}
