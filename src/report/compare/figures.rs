//! The comparison's figures: a row a figure, a column a kind of socket, as many
//! columns in a table as there is room for.
//!
//! Beside a figure that the wire can confirm stands the wire's own, and whether
//! they agree. What is nothing for every kind is left out.

use std::time::Duration;

use super::Shown;
use crate::compare::confirm::{self, Confirmed};
use crate::compare::{Boundaries, Compared, Figures, Split, Traffic, WireUse};
use crate::flow::Kind;
use crate::report::figure::{counted, duration, grouped, rate};
use crate::report::line::Line;
use crate::report::style::Style;
use crate::report::table::{self, Align, RIGHT, WRONG};

/// The columns of the names of the figures, and those of a kind.
const NAMES: usize = 20;
const KIND: usize = 20;

/// Where a figure cannot be had.
const NOTHING: &str = "–";

/// The tables, an empty line between them.
pub(super) fn lines(shown: &Shown<'_>, style: &Style) -> Vec<Line> {
    let most = ((style.columns() - NAMES) / KIND).max(1);
    let tables = shown.compared.len().div_ceil(most).max(1);
    // As many in each as in the others, rather than one left over.
    let each = shown.compared.len().div_ceil(tables).max(1);
    let rows = rows(shown);
    let mut lines = Vec::new();
    for (index, compared) in shown.compared.chunks(each).enumerate() {
        if index > 0 {
            lines.push(Line::default());
        }
        let first = index * each;
        let cells = |row: &Vec<String>| {
            let cells = row[1..].iter().skip(first).take(compared.len());
            let cells = std::iter::once(&row[0]).chain(cells);
            cells.cloned().collect::<Vec<_>>()
        };
        let heads = compared
            .iter()
            .map(|one| (one.column.variant.title(), Align::Left));
        let head: Vec<_> = std::iter::once(("", Align::Left)).chain(heads).collect();
        let rows: Vec<_> = rows.iter().map(cells).collect();
        lines.extend(table::table(&head, &rows, style));
    }
    lines
}

/// Rows of a name and a cell for each kind.
struct Rows<'a> {
    compared: &'a [Compared],
    rows: Vec<Vec<String>>,
}

impl Rows<'_> {
    /// A row of what every column has.
    fn of_all(&mut self, name: &str, cell: impl Fn(&Compared) -> Option<String>) {
        let cell = |one| cell(one).unwrap_or_else(|| NOTHING.to_owned());
        let cells = self.compared.iter().map(cell);
        self.rows
            .push(std::iter::once(name.to_owned()).chain(cells).collect());
    }

    /// A row of what the kinds have that took part.
    fn add(&mut self, name: &str, cell: impl Fn(&Figures, &Compared) -> Option<String>) {
        self.of_all(name, |one| cell(one.column.result.as_ref().ok()?, one));
    }

    /// The same, unless no kind has any.
    fn add_any(&mut self, name: &str, cell: impl Fn(&Figures, &Compared) -> Option<String>) {
        let cell = |one: &Compared| cell(one.column.result.as_ref().ok()?, one);
        let is_nothing = |one| cell(one).is_none_or(|text| text == "0");
        if !self.compared.iter().all(is_nothing) {
            self.of_all(name, cell);
        }
    }
}

fn rows(shown: &Shown<'_>) -> Vec<Vec<String>> {
    let mut rows = Rows {
        compared: shown.compared,
        rows: Vec::new(),
    };
    who(&mut rows);
    delivery(&mut rows);
    latency(&mut rows);
    on_the_wire(&mut rows, shown.config.schedule.sizes.mean());
    rows.of_all("privilege", |one| Some(one.column.privilege.to_owned()));
    rows.rows
}

fn who(rows: &mut Rows<'_>) {
    rows.of_all("a peer is", |one| {
        Some(named_by(one.column.kind()).to_owned())
    });
    rows.add("client", |figures, _| Some(figures.client.to_string()));
    rows.add("server", |figures, _| Some(figures.server.to_string()));
    rows.add("set-up", |figures, one| Some(set_up(figures, one)));
}

fn delivery(rows: &mut Rows<'_>) {
    rows.add("sent", |figures, _| Some(grouped(figures.sent.into())));
    rows.add("delivered", |figures, _| {
        Some(grouped(figures.arrivals.delivered.into()))
    });
    rows.add("lost", |figures, one| {
        let confirmed = confirm::lost(figures, &one.column);
        Some(confirmed_by(figures.lost.into(), confirmed))
    });
    rows.add_any("  sender's queue full", |figures, _| {
        Some(grouped(figures.not_sent))
    });
    rows.add_any("  at the receiver", |figures, _| {
        figures.dropped_at_receiver.map(grouped)
    });
    rows.add_any("late", |figures, _| Some(grouped(figures.late?.into())));
    rows.add_any("duplicated", |figures, one| {
        let confirmed = confirm::duplicated(figures, &one.column);
        Some(confirmed_by(figures.arrivals.duplicated.into(), confirmed))
    });
    rows.add_any("out of order", |figures, _| {
        Some(grouped(figures.arrivals.out_of_order.into()))
    });
    rows.add_any("  extent (RFC 4737)", |figures, _| {
        Some(grouped(figures.reordering.extent_max.into()))
    });
    rows.add_any("corrupted", |figures, one| {
        let wire = one.wire.as_ref();
        let confirmed = wire.and_then(|wire| confirm::corrupted(figures, wire));
        Some(confirmed_by(figures.arrivals.corrupted.into(), confirmed))
    });
    rows.add_any("waited for others", |figures, _| {
        let blocked = grouped(figures.blocked?.into());
        Some(match figures.blocked_longest {
            Some(longest) => format!("{blocked}, max {}", duration(longest)),
            None => blocked,
        })
    });
    rows.add("boundaries", |figures, _| Some(boundaries(figures)));
}

fn latency(rows: &mut Rows<'_>) {
    type Read = fn(&crate::stats::LatencySummary) -> Duration;
    const LATENCIES: [(&str, Read); 4] = [
        ("latency p50", |latency| latency.p50),
        ("latency p90", |latency| latency.p90),
        ("latency p99", |latency| latency.p99),
        ("latency max", |latency| latency.max),
    ];
    for (name, read) in LATENCIES {
        rows.add_any(name, |figures, _| Some(duration(read(&figures.latency?))));
    }
    rows.add_any("jitter", |figures, _| figures.jitter.map(duration));
    rows.add_any("longest stall", |figures, _| {
        let stall = figures.longest_stall;
        (!stall.is_zero()).then(|| duration(stall))
    });
    rows.add_any("goodput", |figures, _| {
        Some(rate(figures.goodput?, Duration::from_secs(1), "bit"))
    });
}

type Part = fn(&Split) -> u64;

const PARTS: [(&str, Part); 3] = [
    ("  headers", |bytes| bytes.headers),
    ("  sent again", |bytes| bytes.retransmitted),
    ("  ACKs and answers", |bytes| bytes.answers),
];

fn on_the_wire(rows: &mut Rows<'_>, size: u32) {
    rows.add_any("packets a message", |figures, one| {
        Some(packets_per_message(figures, one.wire?))
    });
    rows.add_any("  harmed by the link", |_, one| {
        Some(grouped(one.wire?.data_packets_harmed))
    });
    rows.add_any("bytes a message", |figures, one| {
        Some(bytes_per_message(figures, one.wire?, size))
    });
    for (name, part) in PARTS {
        rows.add_any(name, |figures, one| {
            let bytes = part(&one.wire.as_ref()?.bytes);
            Some(each(bytes, figures)).filter(|_| bytes > 0)
        });
    }
    rows.add_any("retransmissions", |figures, one| {
        let wire = one.wire.as_ref();
        let confirmed = wire.and_then(|wire| confirm::retransmissions(figures, wire));
        Some(confirmed_by(figures.retransmitted?.into(), confirmed))
    });
    rows.add_any("closing", |figures, one| {
        let packets = one.wire.map(|wire| packets(wire.closing));
        match (packets, figures.closing.map(duration)) {
            (Some(packets), Some(time)) => Some(format!("{packets}, {time}")),
            (packets, time) => packets.or(time),
        }
    });
}

/// A figure, and beside it the wire's own where it has one.
fn confirmed_by(count: u64, confirmed: Option<Confirmed>) -> String {
    let count = grouped(count);
    let Some(confirmed) = confirmed.filter(|confirmed| !confirmed.says_nothing()) else {
        return count;
    };
    let wire = grouped(confirmed.wire);
    // Not broken where there is little room.
    let beside = match (confirmed.agrees, confirmed.kernel) {
        (false, _) => format!("(wire {wire} {WRONG})"),
        (true, 0) => format!("(wire {wire} {RIGHT})"),
        (true, kernel) => format!("(wire {wire}, kernel {} {RIGHT})", grouped(kernel)),
    };
    format!("{count} {}", beside.replace(' ', "\u{a0}"))
}

fn named_by(kind: Kind) -> &'static str {
    match kind {
        Kind::Tcp => "a five-tuple",
        Kind::Udp => "address and port",
        Kind::Raw => "an address alone",
    }
}

fn set_up(figures: &Figures, one: &Compared) -> String {
    let time = duration(figures.set_up);
    match one.wire {
        None => time,
        Some(wire) => format!("{}, {time}", packets(wire.set_up)),
    }
}

fn packets(traffic: Traffic) -> String {
    counted(traffic.packets_up + traffic.packets_down, "packet")
}

fn boundaries(figures: &Figures) -> String {
    let writes = counted(figures.writes, "write");
    let reads = counted(figures.reads, "read");
    match figures.boundaries {
        Boundaries::Kept => format!("kept: {writes}, {reads}"),
        Boundaries::None => format!("none: {writes}, {reads}"),
    }
}

/// So many a message: `40.0`.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn each(count: u64, figures: &Figures) -> String {
    format!("{:.1}", count as f64 / f64::from(figures.sent.max(1)))
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn packets_per_message(figures: &Figures, wire: WireUse) -> String {
    let each = |packets: u64| packets as f64 / f64::from(figures.sent.max(1));
    let Traffic {
        packets_up,
        packets_down,
        ..
    } = wire.messages;
    format!("{:.2} up, {:.2} down", each(packets_up), each(packets_down))
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn bytes_per_message(figures: &Figures, wire: WireUse, size: u32) -> String {
    let bytes = wire.messages.bytes as f64 / f64::from(figures.sent.max(1));
    let more = (bytes / f64::from(size.max(1)) - 1.0) * 100.0;
    format!("{bytes:.1}, {more:+.0} %")
}
