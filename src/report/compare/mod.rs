//! A comparison for people: the delivery strips, the latencies, the figures in
//! a table, and in words what each kind of socket did and why.
//!
//! One file a picture. Every figure is one that was measured; what a kind of
//! socket promises is said beside it in words.

pub mod csv;
mod figures;
mod strip;
mod words;

use std::io::{self, Write};
use std::net::IpAddr;

use crate::compare::{Compared, Config, Message, Order, Pace, Variant};
use crate::link::Account;
use crate::report::evidence::Evidence;
use crate::report::figure::{counted, duration, grouped};
use crate::report::glyph;
use crate::report::histogram::{self, Place, Subject};
use crate::report::line::Line;
use crate::report::style::{Paint, Style};
use crate::report::table::{self, WRONG};
use crate::stats::LatencySummary;

/// A comparison to show.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// What was to be sent.
    pub config: &'a Config,
    /// How many messages each kind was given.
    pub sent: u32,
    /// Each kind's figures.
    pub compared: &'a [Compared],
    /// The link's account, where there was a link.
    pub link: Option<&'a Account>,
    /// Why packets could not be seen, where they could not.
    pub blind: Option<&'a str>,
}

/// Writes the strips, the latencies, the table, the link's account and, in
/// words, what the figures say.
pub fn render(out: &mut impl Write, shown: &Shown<'_>, style: &Style) -> io::Result<()> {
    let Shown { compared, .. } = *shown;
    let mut lines = table::sentence(Paint::Heading, &headline(shown), style);
    let rows: Vec<Row<'_>> = compared.iter().filter_map(Row::of).collect();
    lines.extend(strip::lines(&rows, shown.sent as usize, style));
    lines.extend(latencies(compared, style));
    lines.extend(table::heading("The figures", style));
    lines.extend(figures::lines(shown, style));
    lines.push(Line::default());
    if compared.iter().all(|compared| compared.wire.is_none()) {
        lines.extend(unseen(shown, style));
    }
    let closing = words::closing(shown);
    let said = closing
        .iter()
        .flat_map(|text| table::sentence(Paint::Plain, text, style));
    lines.extend(said);
    let evidence = Evidence {
        events: &[],
        link: shown.link,
    };
    lines.extend(evidence.link_lines(style));
    lines.extend(failures(shown, style));
    lines.iter().try_for_each(|line| line.write(out, style))
}

/// The histograms with their heading; nothing where nothing came.
fn latencies(compared: &[Compared], style: &Style) -> Vec<Line> {
    let measured = compared.iter().filter_map(|one| {
        let latency = one.column.result.as_ref().ok()?.latency?;
        Row::of(one).map(|row| (row, latency))
    });
    let measured: Vec<(Row<'_>, LatencySummary)> = measured.collect();
    let subject = |(row, latency): &(Row<'_>, LatencySummary)| {
        let latencies = row.messages.iter().filter_map(Message::latency);
        Subject {
            title: row.variant.title(),
            unit: "message",
            times: latencies.map(|latency| (latency, 1)).collect(),
            percentiles: Some([latency.p50, latency.p90, latency.p99]),
        }
    };
    let subjects: Vec<_> = measured.iter().map(subject).collect();
    let gutter = gutter(measured.iter().map(|(row, _)| row));
    let bars = histogram::lines(&subjects, Place { gutter, bar: 1 }, style);
    if bars.is_empty() {
        return bars;
    }
    let mut lines = table::heading("How long the messages took", style);
    lines.extend(bars);
    let text = "The scale is logarithmic, and each kind's highest bar is its fullest. \
                At the marks 50, 90 and 99, so many in a hundred had come.";
    lines.extend(table::sentence(Paint::Faint, text, style));
    lines
}

fn unseen(shown: &Shown<'_>, style: &Style) -> Vec<Line> {
    let why = shown.blind.map(|why| format!(" ({why})"));
    let text = format!(
        "No packets could be seen{}, so nothing is counted from packets.",
        why.unwrap_or_default()
    );
    table::sentence(Paint::Plain, &text, style)
}

/// What was done, in a sentence without its full stop.
pub(in crate::report) fn headline(shown: &Shown<'_>) -> String {
    let Shown { config, sent, .. } = *shown;
    let place = match shown.link {
        Some(account) => format!("a private link ({})", account.device),
        None => match server(shown) {
            Some(server) if !server.is_loopback() => format!("the network to {server}"),
            _ => "the loopback interface".to_owned(),
        },
    };
    let planned = config.schedule.count();
    let messages = if sent == planned {
        counted(sent.into(), "message")
    } else {
        let planned = counted(planned.into(), "message");
        format!("{} of {planned}", grouped(sent.into()))
    };
    let rhythm = match config.schedule.pace {
        Pace::Every(interval) if interval.is_zero() => "as fast as possible".to_owned(),
        Pace::Every(interval) => format!("one every {}", duration(interval)),
        Pace::Rate(rate) => format!("{rate} of messages"),
    };
    let size = &config.schedule.sizes;
    let turns = match config.order {
        Order::AtOnce => "",
        Order::InTurn => ", one kind after another",
    };
    format!(
        "{messages} of {size} bytes, {rhythm}, through each kind of socket{turns}, over {place}"
    )
}

/// Where the messages went to, where any kind took part.
fn server(shown: &Shown<'_>) -> Option<IpAddr> {
    let mut results = shown.compared.iter().map(|one| &one.column.result);
    results.find_map(|result| Some(result.as_ref().ok()?.server.address))
}

fn failures(shown: &Shown<'_>, style: &Style) -> Vec<Line> {
    found_wrong(shown)
        .iter()
        .flat_map(|text| table::sentence(Paint::Failure, &format!("{WRONG} {text}"), style))
        .collect()
}

/// What is wrong with the run: figures that disagree, kinds that were refused.
pub(in crate::report) fn found_wrong(shown: &Shown<'_>) -> Vec<String> {
    let found = |compared: &Compared| compared.disagreements(shown.link);
    let mut wrong: Vec<String> = shown.compared.iter().flat_map(found).collect();
    wrong.extend(shown.compared.iter().filter_map(|compared| {
        let refused = compared.column.result.as_ref().err()?;
        Some(format!("{}: {}", compared.column.variant, refused.refused))
    }));
    wrong
}

/// What the figures say, a paragraph each.
pub(in crate::report) fn closing(shown: &Shown<'_>) -> Vec<String> {
    words::closing(shown)
}

/// One kind's row of a picture.
#[derive(Debug, Clone, Copy)]
struct Row<'a> {
    variant: Variant,
    messages: &'a [Message],
}

impl<'a> Row<'a> {
    /// The row of a kind that took part.
    fn of(compared: &'a Compared) -> Option<Self> {
        compared.column.result.as_ref().ok()?;
        Some(Self {
            variant: compared.column.variant,
            messages: &compared.column.messages,
        })
    }
}

/// The columns that the names of these kinds take, and the gap after them.
fn gutter<'a>(rows: impl Iterator<Item = &'a Row<'a>>) -> usize {
    let widths = rows.map(|row| glyph::width(row.variant.title()));
    widths.max().unwrap_or(0).max("message".len()) + 2
}
