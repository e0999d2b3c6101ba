//! A server's happenings as a person reads them, a line each, and as a program
//! does, as JSON Lines.
//!
//! What clients say is theirs: no control character of theirs reaches a terminal
//! in either form.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;

use super::figure::{counted, duration, grouped};
use super::glyph;
use super::line::Line;
use super::style::{Paint, Style};
use super::table::{self, Align};
use crate::serve::registry::{Client, Counts, HELP, Happening};
use crate::units::nanoseconds;

/// Writes one happening as text.
pub fn text(
    out: &mut impl Write,
    at: Duration,
    happening: &Happening,
    style: &Style,
) -> io::Result<()> {
    for line in lines(at, happening, style) {
        line.write(out, style)?;
    }
    out.flush()
}

/// Writes one happening as a line of JSON.
pub fn json(out: &mut impl Write, at: Duration, happening: &Happening) -> io::Result<()> {
    #[derive(Serialize)]
    struct Dated<'a> {
        #[serde(rename = "at_ns", serialize_with = "nanoseconds")]
        at: Duration,
        #[serde(flatten)]
        happening: &'a Happening,
    }
    let line = serde_json::to_string(&Dated { at, happening })?;
    writeln!(out, "{}", harmless(&line))?;
    out.flush()
}

/// JSON with everything escaped that a terminal might obey: only strings can
/// hold such characters.
fn harmless(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for letter in json.chars() {
        if glyph::is_harmless(letter) {
            text.push(letter);
        } else {
            let mut units = [0; 2];
            for unit in letter.encode_utf16(&mut units) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}

fn lines(at: Duration, happening: &Happening, style: &Style) -> Vec<Line> {
    let (paint, sign, words) = match happening {
        Happening::List { clients } => return list(clients, style),
        Happening::Help => return help(style),
        other => phrase(other),
    };
    let time = format!("{:>9.3} s ", at.as_secs_f64());
    let line = Line::of(Paint::Faint, &time).with(paint, &format!("{sign:>5} "));
    vec![line.with(Paint::Plain, &words)]
}

/// A happening in words: how its sign is painted, the sign, the rest.
fn phrase(happening: &Happening) -> (Paint, String, String) {
    let bytes = |count: usize| counted(count as u64, "byte");
    match happening {
        Happening::Joined {
            handle,
            address,
            online,
            most,
        } => {
            let words = format!("joined from {address}; {online} of {most} are here");
            (Paint::Good, format!("+ {handle}"), words)
        }
        Happening::Refused { address, most } => {
            let words = format!("{address} was sent away: all {most} places are taken");
            (Paint::Warning, "!".into(), words)
        }
        Happening::Named { handle, name } => {
            (Paint::Faint, format!("= {handle}"), format!("is {name}"))
        }
        Happening::Said { handle, text } => (Paint::Heading, format!("< {handle}"), text.clone()),
        Happening::Told {
            handle,
            bytes: count,
        } => {
            let words = format!("{} on the way", bytes(*count));
            (Paint::Faint, format!("> {handle}"), words)
        }
        Happening::Deaf { handle, waiting } => {
            let words = format!("was not told: {} wait for it already", bytes(*waiting));
            (Paint::Warning, format!("! {handle}"), words)
        }
        Happening::Left { client, how } => {
            let sign = format!("- {}", client.handle);
            (Paint::Warning, sign, farewell(client, how))
        }
        Happening::Misunderstood { why } => (Paint::Failure, "?".into(), why.clone()),
        Happening::Stats {
            counts,
            online,
            most,
        } => (Paint::Faint, "#".into(), sums(counts, *online, *most)),
        // These have tables of their own.
        Happening::List { .. } | Happening::Help => Default::default(),
    }
}

fn farewell(client: &Client, how: &str) -> String {
    format!(
        "left ({}) after {}; {} in, {} out",
        how.replace('_', " "),
        duration(client.stayed),
        counted(client.bytes_in, "byte"),
        grouped(client.bytes_out),
    )
}

fn sums(counts: &Counts, online: usize, most: usize) -> String {
    format!(
        "{online} of {most} are here; {} joined, {} left, {} sent away; {} in, {} out",
        counts.joined,
        counts.left,
        counts.refused,
        counted(counts.bytes_in, "byte"),
        grouped(counts.bytes_out),
    )
}

fn list(clients: &[Client], style: &Style) -> Vec<Line> {
    if clients.is_empty() {
        return vec![Line::of(Paint::Faint, "nobody has been here")];
    }
    let head = [
        ("handle", Align::Right),
        ("name", Align::Left),
        ("address", Align::Left),
        ("online", Align::Left),
        ("since", Align::Right),
        ("for", Align::Right),
        ("in", Align::Right),
        ("out", Align::Right),
    ];
    let row = |client: &Client| {
        vec![
            client.handle.to_string(),
            client.name.clone().unwrap_or_else(|| "–".to_owned()),
            client.address.to_string(),
            if client.online { "yes" } else { "no" }.to_owned(),
            duration(client.since),
            duration(client.stayed),
            grouped(client.bytes_in),
            grouped(client.bytes_out),
        ]
    };
    let rows: Vec<_> = clients.iter().map(row).collect();
    table::table(&head, &rows, style)
}

fn help(style: &Style) -> Vec<Line> {
    let head = [("order", Align::Left), ("", Align::Left)];
    let row = |(order, meaning): &(&str, &str)| {
        // An order's form stays in one piece.
        vec![order.replace(' ', "\u{a0}"), (*meaning).to_owned()]
    };
    let rows: Vec<_> = HELP.iter().map(row).collect();
    table::table(&head, &rows, style)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(text: &str) -> Happening {
        Happening::Said {
            handle: 7,
            text: text.to_owned(),
        }
    }

    proptest! {
        /// Whatever a client sends: nothing that a terminal obeys, one line, and
        /// in JSON exactly what it said.
        #[test]
        fn what_clients_say_stays_words(text in any::<String>()) {
            let happening = said(&text);
            let mut out = Vec::new();
            super::text(&mut out, Duration::ZERO, &happening, &Style::default())?;
            json(&mut out, Duration::ZERO, &happening)?;
            let out = String::from_utf8(out).expect("UTF-8");
            prop_assert_eq!(out.lines().count(), 2);
            prop_assert!(out.lines().all(|line| !line.chars().any(char::is_control)));
            let line = out.lines().last().expect("two lines");
            let back: serde_json::Value = serde_json::from_str(line).expect("JSON");
            prop_assert_eq!(&back["text"], &serde_json::Value::from(text));
        }
    }

    #[test]
    fn escape_sequences_are_shown_not_obeyed() {
        let mut out = Vec::new();
        let happening = said("\u{1b}]0;title\u{7}\u{9b}2J\u{202e}txt");
        text(
            &mut out,
            Duration::from_millis(1500),
            &happening,
            &Style::default(),
        )
        .expect("memory takes it");
        let out = String::from_utf8(out).expect("UTF-8");
        assert_eq!(out, "    1.500 s   < 7 ·]0;title··2J·txt\n");
    }
}
