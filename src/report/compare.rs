//! The comparison as a table, and the first packet of each kind as annotated
//! hex.
//!
//! Every figure in the table is one that was measured; what a kind of socket
//! promises is said beside it in words.

use std::io::{self, Write};
use std::time::Duration;

use super::evidence::Evidence;
use super::line::Line;
use super::style::{Paint, Style};
use super::table::{self, Align, WRONG};
use crate::compare::{Boundaries, Compared, Config, Figures};
use crate::flow::Kind;
use crate::link::Account;

/// Writes the table, the link's account and, in words, what the figures say.
pub fn render(
    out: &mut impl Write,
    config: &Config,
    compared: &[Compared],
    account: Option<&Account>,
    style: &Style,
) -> io::Result<()> {
    let mut lines = table::sentence(Paint::Heading, &headline(config, account), style);
    lines.push(Line::default());
    lines.extend(figures(config, compared, style));
    lines.push(Line::default());
    lines.extend(table::sentence(Paint::Plain, &in_words(compared), style));
    let evidence = Evidence {
        events: &[],
        link: account,
    };
    lines.extend(evidence.link_lines(style));
    lines.extend(failures(compared, style));
    lines.iter().try_for_each(|line| line.write(out, style))
}

fn headline(config: &Config, account: Option<&Account>) -> String {
    let place = match account {
        Some(account) => format!("a private link ({})", account.device),
        None => "the loopback interface".to_owned(),
    };
    format!(
        "{} messages of {} bytes, one every {}, through each kind of socket at once, over {place}",
        config.count,
        config.size,
        duration(config.interval)
    )
}

fn failures(compared: &[Compared], style: &Style) -> Vec<Line> {
    let mut failures: Vec<String> = compared.iter().flat_map(Compared::disagreements).collect();
    failures.extend(compared.iter().filter_map(|compared| {
        let refused = compared.column.result.as_ref().err()?;
        Some(format!("{}: {}", compared.column.kind, refused.refused))
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
    add("a peer is", &|c| named_by(c.column.kind).to_owned());
    add("client", &|c| figure(&|f| f.client.to_string(), c));
    add("server", &|c| figure(&|f| f.server.to_string(), c));
    add("set-up", &|c| figure(&|f| set_up(c, f), c));
    add("sent", &|c| figure(&|f| f.sent.to_string(), c));
    for (label, read) in ARRIVALS {
        add(label, &|c| figure(&|f| read(f).to_string(), c));
    }
    add("boundaries", &|c| figure(&boundaries, c));
    add("packets a message", &|c| per_message(c, config));
    add("bytes a message", &|c| bytes_per_message(c, config));
    for (label, read) in LATENCIES {
        let show = |f: &Figures| {
            f.latency
                .map_or_else(|| NOTHING.to_owned(), |latency| duration(read(&latency)))
        };
        add(label, &|c| figure(&show, c));
    }
    add("privilege", &|c| c.column.privilege.to_owned());
    let heads = compared.iter().map(|c| (title(c.column.kind), Align::Left));
    let head: Vec<_> = std::iter::once(("", Align::Left)).chain(heads).collect();
    table::table(&head, &rows, style)
}

/// Where a figure cannot be had.
const NOTHING: &str = "–";

type Count = fn(&Figures) -> u32;

const ARRIVALS: [(&str, Count); 5] = [
    ("delivered once", |f| f.arrivals.delivered),
    ("lost", |f| f.lost),
    ("duplicated", |f| f.arrivals.duplicated),
    ("out of order", |f| f.arrivals.out_of_order),
    ("corrupted", |f| f.arrivals.corrupted),
];

type Read = fn(&crate::stats::LatencySummary) -> Duration;

const LATENCIES: [(&str, Read); 3] = [
    ("latency p50", |latency| latency.p50),
    ("latency p99", |latency| latency.p99),
    ("latency max", |latency| latency.max),
];

fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::Tcp => "TCP (stream)",
        Kind::Udp => "UDP (datagram)",
        Kind::Raw => "raw (ICMP echo)",
    }
}

fn named_by(kind: Kind) -> &'static str {
    match kind {
        Kind::Tcp => "a five-tuple",
        Kind::Udp => "address and port",
        Kind::Raw => "an address, no port",
    }
}

fn set_up(compared: &Compared, figures: &Figures) -> String {
    let time = duration(figures.set_up);
    if compared.first.is_none() {
        return time;
    }
    format!("{} packets, {time}", compared.wire.set_up_packets)
}

fn boundaries(figures: &Figures) -> String {
    let calls = format!("{} writes, {} reads", figures.writes, figures.reads);
    match figures.boundaries {
        Boundaries::Kept => format!("kept: {calls}"),
        Boundaries::None => format!("none: {calls}"),
    }
}

fn per_message(compared: &Compared, config: &Config) -> String {
    if compared.first.is_none() {
        return NOTHING.to_owned();
    }
    let wire = compared.wire;
    let count = f64::from(sent(compared, config));
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let each = |packets: u64| packets as f64 / count;
    format!(
        "{:.2} up, {:.2} down",
        each(wire.packets_up),
        each(wire.packets_down)
    )
}

fn bytes_per_message(compared: &Compared, config: &Config) -> String {
    if compared.first.is_none() {
        return NOTHING.to_owned();
    }
    let count = f64::from(sent(compared, config));
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let (bytes, size) = (compared.wire.bytes as f64 / count, config.size as f64);
    format!("{bytes:.1}, {:+.0} %", (bytes / size - 1.0) * 100.0)
}

fn sent(compared: &Compared, config: &Config) -> u32 {
    let sent = compared.column.result.as_ref().map(|figures| figures.sent);
    sent.unwrap_or(config.count).max(1)
}

/// What the figures say, in words.
fn in_words(compared: &[Compared]) -> String {
    let mut sentences = Vec::new();
    for compared in compared {
        let Ok(figures) = &compared.column.result else {
            continue;
        };
        let arrivals = figures.arrivals;
        let whole = figures.lost == 0
            && arrivals.duplicated == 0
            && arrivals.out_of_order == 0
            && arrivals.corrupted == 0;
        let name = compared.column.kind.to_string().to_uppercase();
        sentences.push(match (compared.column.kind, whole) {
            (Kind::Tcp, true) => format!(
                "{name} delivered every byte in order and acknowledged it; {} writes came out of \
                 {} reads, which only the length in each message tells apart.",
                figures.writes, figures.reads
            ),
            (_, true) => format!(
                "{name} delivered every message, but promises nothing: here nothing was lost."
            ),
            (_, false) => format!(
                "{name} lost {}, repeated {}, reordered {} and corrupted {} of {}.",
                figures.lost,
                arrivals.duplicated,
                arrivals.out_of_order,
                arrivals.corrupted,
                figures.sent
            ),
        });
    }
    sentences.join(" ")
}

/// A duration with three significant digits: `87.3 µs`, `1.20 ms`.
fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let (value, unit) = match seconds {
        _ if seconds >= 1.0 => (seconds, "s"),
        _ if seconds >= 1e-3 => (seconds * 1e3, "ms"),
        _ => (seconds * 1e6, "µs"),
    };
    let digits = match value {
        _ if value >= 100.0 => 0,
        _ if value >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_significant_digits() {
        for (nanos, text) in [
            (0, "0.00 µs"),
            (1_234, "1.23 µs"),
            (87_300, "87.3 µs"),
            (456_000, "456 µs"),
            (1_200_000, "1.20 ms"),
            (2_000_000_000, "2.00 s"),
        ] {
            assert_eq!(duration(Duration::from_nanos(nanos)), text);
        }
    }
}
