//! What came of the chat room's demonstration, as a table after the ladder: each
//! line that was sent, and what either member saw of it.
//!
//! Owns wording and layout only.

use std::io::{self, Write};

use crate::app::chat::Told;
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
    let seen = |lines: &[String]| match lines {
        [] => "–".to_owned(),
        lines => lines.join("\n"),
    };
    let rows: Vec<Vec<String>> = told
        .turns
        .iter()
        .map(|turn| {
            let (ann, bob) = (seen(&turn.ann), seen(&turn.bob));
            vec![turn.who.into(), turn.sent.into(), ann, bob]
        })
        .collect();
    let mut lines = table::heading("The room: what one sends, and what each sees", style);
    lines.extend(table::table(&head, &rows, style));
    lines.push(Line::default());
    lines.extend(evidence.link_lines(style));
    let agreement = disagreements(told, evidence);
    if agreement.is_empty() {
        let text = format!("{RIGHT} every line reached everybody it was for, once.");
        lines.extend(table::sentence(Paint::Good, &text, style));
    }
    for text in agreement {
        let text = format!("{WRONG} {text}");
        lines.extend(table::sentence(Paint::Failure, &text, style));
    }
    lines.iter().try_for_each(|line| line.write(out, style))
}

/// What should agree and does not, a sentence each: the host counts each line
/// that it sent, and the members each line that they saw.
pub fn disagreements(told: &Told, _: Evidence<'_>) -> Vec<String> {
    let turns = told.turns.iter();
    let seen: usize = turns.map(|turn| turn.ann.len() + turn.bob.len()).sum();
    let sent = told.account.deliveries;
    if seen as u64 == sent {
        return Vec::new();
    }
    vec![format!(
        "the host sent {sent} lines, and the members saw {seen}"
    )]
}
