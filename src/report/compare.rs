//! The comparison as a table, and the first packet of each kind as annotated
//! hex.
//!
//! Every figure in the table is one that was measured; what a kind of socket
//! promises is said beside it in words.

use std::io::{self, Write};
use std::time::Duration;

use comfy_table::{ContentArrangement, Table, presets};

use super::line::Line;
use super::style::{Paint, Style};
use crate::compare::{Boundaries, Compared, Config, Figures};
use crate::flow::Kind;
use crate::link::Account;

/// Writes the table, the link's account and, in words, what the figures say.
pub fn table(
    out: &mut impl Write,
    config: &Config,
    compared: &[Compared],
    account: Option<&Account>,
    style: &Style,
) -> io::Result<()> {
    heading(out, config, account, style)?;
    for line in rows(config, compared, style).lines() {
        Line::of(Paint::Plain, line.trim_end()).write(out, style)?;
    }
    writeln!(out)?;
    for compared in compared {
        for sentence in compared.disagreements() {
            Line::of(Paint::Failure, &format!("✗ {sentence}")).write(out, style)?;
        }
        if let Err(refused) = &compared.column.result {
            let text = format!("✗ {}: {}", compared.column.kind, refused.refused);
            paragraph(out, Paint::Failure, &text, style)?;
        }
    }
    if let Some(account) = account {
        link_line(out, account, style)?;
    }
    paragraph(out, Paint::Plain, &in_words(compared), style)
}

fn heading(
    out: &mut impl Write,
    config: &Config,
    account: Option<&Account>,
    style: &Style,
) -> io::Result<()> {
    let place = match account {
        Some(account) => format!("a private link on {}", account.device),
        None => "the loopback interface".to_owned(),
    };
    let text = format!(
        "{} messages of {} bytes, one every {}, through each kind of socket at once over {place}",
        config.count,
        config.size,
        duration(config.interval)
    );
    paragraph(out, Paint::Heading, &text, style)?;
    writeln!(out)
}

fn rows(config: &Config, compared: &[Compared], style: &Style) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(style.columns().min(110)).unwrap_or(u16::MAX));
    let mut add = |label: &str, cell: &dyn Fn(&Compared) -> String| {
        let cells = compared.iter().map(cell);
        table.add_row(std::iter::once(label.to_owned()).chain(cells));
    };
    add("", &|compared| title(compared.column.kind).to_owned());
    add("named by", &|compared| named_by(compared.column.kind).to_owned());
    let figure = |read: &dyn Fn(&Figures) -> String, compared: &Compared| {
        let result = compared.column.result.as_ref();
        result.map_or_else(|_| "–".to_owned(), read)
    };
    add("client", &|c| figure(&|f| f.client.to_string(), c));
    add("server", &|c| figure(&|f| f.server.to_string(), c));
    add("set-up", &|c| figure(&|f| set_up(c, f), c));
    add("messages sent", &|c| figure(&|f| f.sent.to_string(), c));
    add("delivered once", &|c| figure(&|f| f.arrivals.delivered.to_string(), c));
    add("lost", &|c| figure(&|f| f.lost.to_string(), c));
    add("duplicated", &|c| figure(&|f| f.arrivals.duplicated.to_string(), c));
    add("out of order", &|c| figure(&|f| f.arrivals.out_of_order.to_string(), c));
    add("corrupted", &|c| figure(&|f| f.arrivals.corrupted.to_string(), c));
    add("boundaries", &|c| figure(&boundaries, c));
    add("packets, message", &|c| per_message(c, config));
    add("bytes, message", &|c| bytes_per_message(c, config));
    for (label, read) in LATENCIES {
        add(label, &|c| {
            figure(
                &|f| f.latency.map_or_else(|| "–".to_owned(), |latency| duration(read(&latency))),
                c,
            )
        });
    }
    add("privilege", &|compared| compared.column.privilege.to_owned());
    table.to_string()
}

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
        Kind::Tcp => "five-tuple of the connection",
        Kind::Udp => "addresses and ports of each datagram",
        Kind::Raw => "addresses only, no ports",
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
        return "–".to_owned();
    }
    let wire = compared.wire;
    let count = f64::from(sent(compared, config));
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let each = |packets: u64| packets as f64 / count;
    format!("{:.2} up, {:.2} down", each(wire.packets_up), each(wire.packets_down))
}

fn bytes_per_message(compared: &Compared, config: &Config) -> String {
    if compared.first.is_none() {
        return "–".to_owned();
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

fn link_line(out: &mut impl Write, account: &Account, style: &Style) -> io::Result<()> {
    let wire = account.wire;
    let text = format!(
        "The link carried {} packets up and {} down, delivered {} and {}, and lost {} by itself.",
        wire.client_to_server.offered,
        wire.server_to_client.offered,
        wire.client_to_server.delivered,
        wire.server_to_client.delivered,
        account.unmodelled_loss(),
    );
    let paint = match account.unmodelled_loss() {
        0 => Paint::Plain,
        _ => Paint::Failure,
    };
    paragraph(out, paint, &text, style)
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

/// A paragraph, wrapped at spaces.
fn paragraph(out: &mut impl Write, paint: Paint, text: &str, style: &Style) -> io::Result<()> {
    let mut line = String::new();
    for word in text.split_whitespace() {
        let needed = unicode_width::UnicodeWidthStr::width(line.as_str())
            + 1
            + unicode_width::UnicodeWidthStr::width(word);
        if !line.is_empty() && needed > style.columns() {
            Line::of(paint, &line).write(out, style)?;
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    Line::of(paint, &line).write(out, style)
}

/// A duration with three significant digits: `87.3 µs`, `1.20 ms`.
pub(super) fn duration(time: Duration) -> String {
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
