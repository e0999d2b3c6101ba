//! The comparison as a table, and the first packet of each kind as annotated
//! hex.
//!
//! Every figure in the table is one that was measured; what a kind of socket
//! promises is said beside it in words.

use std::io::{self, Write};
use std::time::Duration;

use super::evidence::Evidence;
use super::figure::duration;
use super::line::Line;
use super::style::{Paint, Style};
use super::table::{self, Align, WRONG};
use crate::compare::{Boundaries, Compared, Config, Figures, Pace, Traffic, WireUse};
use crate::flow::Kind;
use crate::link::Account;

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

/// Writes the table, the link's account and, in words, what the figures say.
pub fn render(out: &mut impl Write, shown: &Shown<'_>, style: &Style) -> io::Result<()> {
    let Shown {
        config, compared, ..
    } = *shown;
    let mut lines = table::sentence(Paint::Heading, &headline(shown), style);
    lines.push(Line::default());
    lines.extend(figures(config, compared, style));
    lines.push(Line::default());
    if compared.iter().all(|compared| compared.wire.is_none()) {
        let why = shown.blind.map(|why| format!(" ({why})"));
        let text = format!(
            "No packets could be seen{}, so nothing is counted from packets.",
            why.unwrap_or_default()
        );
        lines.extend(table::sentence(Paint::Plain, &text, style));
    }
    lines.extend(table::sentence(Paint::Plain, &in_words(compared), style));
    let evidence = Evidence {
        events: &[],
        link: shown.link,
    };
    lines.extend(evidence.link_lines(style));
    lines.extend(failures(shown, style));
    lines.iter().try_for_each(|line| line.write(out, style))
}

fn headline(shown: &Shown<'_>) -> String {
    let Shown { config, sent, .. } = *shown;
    let place = match shown.link {
        Some(account) => format!("a private link ({})", account.device),
        None => "the loopback interface".to_owned(),
    };
    let planned = config.schedule.count();
    let messages = if sent == planned {
        plural(sent.into(), "message")
    } else {
        format!("{sent} of {}", plural(planned.into(), "message"))
    };
    let rhythm = match config.schedule.pace {
        Pace::Every(interval) if interval.is_zero() => "as fast as possible".to_owned(),
        Pace::Every(interval) => format!("one every {}", duration(interval)),
        Pace::Rate(rate) => format!("{rate} of messages"),
    };
    let size = &config.schedule.sizes;
    format!("{messages} of {size} bytes, {rhythm}, through each kind of socket, over {place}")
}

fn plural(count: u64, thing: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{s}")
}

fn failures(shown: &Shown<'_>, style: &Style) -> Vec<Line> {
    let found = |compared: &Compared| compared.disagreements(shown.link);
    let mut failures: Vec<String> = shown.compared.iter().flat_map(found).collect();
    failures.extend(shown.compared.iter().filter_map(|compared| {
        let refused = compared.column.result.as_ref().err()?;
        Some(format!(
            "{}: {}",
            compared.column.variant.name(),
            refused.refused
        ))
    }));
    failures
        .iter()
        .flat_map(|text| table::sentence(Paint::Failure, &format!("{WRONG} {text}"), style))
        .collect()
}

fn figures(config: &Config, compared: &[Compared], style: &Style) -> Vec<Line> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut add = |label: &str, cell: &dyn Fn(&Compared) -> String| {
        let cells = compared.iter().map(cell);
        rows.push(std::iter::once(label.to_owned()).chain(cells).collect());
    };
    let figure = |read: &dyn Fn(&Figures) -> String, compared: &Compared| {
        let result = compared.column.result.as_ref();
        result.map_or_else(|_| NOTHING.to_owned(), read)
    };
    add("a peer is", &|c| named_by(c.column.kind()).to_owned());
    add("client", &|c| figure(&|f| f.client.to_string(), c));
    add("server", &|c| figure(&|f| f.server.to_string(), c));
    add("set-up", &|c| figure(&|f| set_up(c, f), c));
    add("sent", &|c| figure(&|f| f.sent.to_string(), c));
    let (delivered, others) = ARRIVALS;
    add("delivered once", &|c| {
        figure(&|f| delivered(f).to_string(), c)
    });
    add("lost", &|c| figure(&|f| f.lost.to_string(), c));
    add("  at the receiver", &|c| {
        let drops = |f: &Figures| f.dropped_at_receiver.map(|drops| drops.to_string());
        figure(&|f| drops(f).unwrap_or_else(|| NOTHING.to_owned()), c)
    });
    for (label, read) in others {
        add(label, &|c| figure(&|f| read(f).to_string(), c));
    }
    add("boundaries", &|c| figure(&boundaries, c));
    add("packets a message", &|c| per_message(c));
    let harmed = |c: &Compared| c.wire.map_or(0, |wire| wire.data_packets_harmed);
    if compared.iter().any(|c| harmed(c) > 0) {
        add("  harmed by the link", &|c| harmed(c).to_string());
    }
    add("bytes a message", &|c| bytes_per_message(c, config));
    add("closing", &|c| traffic(c, |wire| wire.closing));
    for (label, read) in LATENCIES {
        let show = |f: &Figures| {
            f.latency
                .map_or_else(|| NOTHING.to_owned(), |latency| duration(read(&latency)))
        };
        add(label, &|c| figure(&show, c));
    }
    add("privilege", &|c| c.column.privilege.to_owned());
    let heads = compared
        .iter()
        .map(|c| (c.column.variant.title(), Align::Left));
    let head: Vec<_> = std::iter::once(("", Align::Left)).chain(heads).collect();
    table::table(&head, &rows, style)
}

/// Where a figure cannot be had.
const NOTHING: &str = "–";

type Count = fn(&Figures) -> u32;

const ARRIVALS: (Count, [(&str, Count); 3]) = (
    |f| f.arrivals.delivered,
    [
        ("duplicated", |f| f.arrivals.duplicated),
        ("out of order", |f| f.arrivals.out_of_order),
        ("corrupted", |f| f.arrivals.corrupted),
    ],
);

type Read = fn(&crate::stats::LatencySummary) -> Duration;

const LATENCIES: [(&str, Read); 3] = [
    ("latency p50", |latency| latency.p50),
    ("latency p99", |latency| latency.p99),
    ("latency max", |latency| latency.max),
];

fn named_by(kind: Kind) -> &'static str {
    match kind {
        Kind::Tcp => "a five-tuple",
        Kind::Udp => "address and port",
        Kind::Raw => "an address alone",
    }
}

fn set_up(compared: &Compared, figures: &Figures) -> String {
    let time = duration(figures.set_up);
    match compared.wire {
        None => time,
        Some(wire) => format!("{}, {time}", packets(wire.set_up)),
    }
}

fn traffic(compared: &Compared, part: fn(&WireUse) -> Traffic) -> String {
    let wire = compared.wire.as_ref();
    wire.map_or_else(|| NOTHING.to_owned(), |wire| packets(part(wire)))
}

fn packets(traffic: Traffic) -> String {
    plural(traffic.packets_up + traffic.packets_down, "packet")
}

fn boundaries(figures: &Figures) -> String {
    let writes = plural(figures.writes, "write");
    let reads = plural(figures.reads, "read");
    match figures.boundaries {
        Boundaries::Kept => format!("kept: {writes}, {reads}"),
        Boundaries::None => format!("none: {writes}, {reads}"),
    }
}

/// The wire's figures of the messages themselves, and how many those were.
fn messages(compared: &Compared) -> Option<(Traffic, f64)> {
    let figures = compared.column.result.as_ref().ok()?;
    Some((compared.wire?.messages, f64::from(figures.sent.max(1))))
}

fn per_message(compared: &Compared) -> String {
    let Some((traffic, count)) = messages(compared) else {
        return NOTHING.to_owned();
    };
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let each = |packets: u64| packets as f64 / count;
    format!(
        "{:.2} up, {:.2} down",
        each(traffic.packets_up),
        each(traffic.packets_down)
    )
}

fn bytes_per_message(compared: &Compared, config: &Config) -> String {
    let Some((traffic, count)) = messages(compared) else {
        return NOTHING.to_owned();
    };
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let (bytes, size) = (
        traffic.bytes as f64 / count,
        f64::from(config.schedule.sizes.mean()),
    );
    format!("{bytes:.1}, {:+.0} %", (bytes / size - 1.0) * 100.0)
}

/// What the figures say, in words.
fn in_words(compared: &[Compared]) -> String {
    let mut sentences = Vec::new();
    let mut lucky = Vec::new();
    for compared in compared {
        let Ok(figures) = &compared.column.result else {
            continue;
        };
        let name = compared.column.variant.name();
        match (compared.column.kind(), is_whole(figures)) {
            (Kind::Tcp, true) => sentences.push(format!(
                "{name} delivered every message in order: {} came out of {}, and only the length \
                 in each message tells them apart.",
                plural(figures.writes, "write"),
                plural(figures.reads, "read")
            )),
            (_, true) => lucky.push(name),
            (_, false) => sentences.push(losses(name, figures, compared.wire.as_ref())),
        }
    }
    sentences.extend(match lucky[..] {
        [] => None,
        [one] => Some(format!(
            "{one} delivered every message, but promises nothing: here nothing was lost."
        )),
        _ => Some(format!(
            "{} delivered every message, but promise nothing: here nothing was lost.",
            lucky.join(" and ")
        )),
    });
    let text = sentences.join(" ");
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

fn is_whole(figures: &Figures) -> bool {
    let arrivals = figures.arrivals;
    figures.lost == 0
        && arrivals.duplicated == 0
        && arrivals.out_of_order == 0
        && arrivals.corrupted == 0
}

/// What went wrong with one kind's messages, and where the lost ones died.
fn losses(name: &str, figures: &Figures, wire: Option<&WireUse>) -> String {
    let arrivals = figures.arrivals;
    let counts = [
        ("lost", figures.lost),
        ("repeated", arrivals.duplicated),
        ("reordered", arrivals.out_of_order),
        ("corrupted", arrivals.corrupted),
    ];
    let said = counts.iter().filter(|(_, count)| *count > 0);
    let said: Vec<_> = said
        .map(|(verb, count)| format!("{verb} {count}"))
        .collect();
    let mut text = format!(
        "{name} {} of {}",
        said.join(", "),
        plural(figures.sent.into(), "message")
    );
    let dropped = figures.dropped_at_receiver.unwrap_or(0);
    // A message in fragments is lost with any of them.
    let harmed = wire.filter(|wire| wire.fragments == 0);
    let harmed = harmed.map_or(0, |wire| wire.data_packets_harmed);
    let died: Vec<_> = [
        (harmed, "on the link, on purpose"),
        (dropped, "in the receiving socket's full buffer"),
        (figures.not_sent, "in the sender's full queue"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, place)| format!("{count} {place}"))
    .collect();
    if figures.lost > 0 && !died.is_empty() {
        text = format!("{text}: {}", died.join(", "));
    }
    text + "."
}
