//! What came of the stream socket's demonstration, as text after the ladder:
//! the sockets' addresses, what was delivered, and whether the programs, the
//! kernels and the wire tell the same story.
//!
//! Owns wording and layout only; every figure comes from elsewhere.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use super::account;
use super::chart;
use super::evidence::{DIRECTIONS, Disagreements, Evidence};
use super::figure::counted;
use super::line::Line;
use super::sockets::{self, Named};
use super::style::{Paint, Style};
use super::table::{self, Align, RIGHT, WRONG};
use crate::conversation::{Count, WireAccount};
use crate::event::{Place, What};
use crate::flow::{Direction, FiveTuple};
use crate::link::{Account, Traffic};
use crate::socket::TcpInfo;
use crate::tcp::{Outcome, Transfer};

/// Writes what came of the demonstration.
pub fn render(
    out: &mut impl Write,
    outcome: &Outcome,
    evidence: Evidence<'_>,
    style: &Style,
) -> io::Result<()> {
    let wire = evidence.wire();
    let mut lines = sockets(outcome, style);
    lines.extend(delivery(outcome, wire.as_ref(), style));
    lines.extend(charts(outcome, evidence, style));
    lines.extend(prose(outcome, evidence, wire.as_ref(), style));
    lines.extend(evidence.link_lines(style));
    lines.extend(agreement(outcome, evidence, wire.as_ref(), style));
    lines.iter().try_for_each(|line| line.write(out, style))
}

/// What should agree and does not, a sentence each; empty is success. Without
/// events, only what the programs and the link's counters say can be held
/// against each other.
pub fn disagreements(outcome: &Outcome, evidence: Evidence<'_>) -> Vec<String> {
    check(outcome, evidence, evidence.wire().as_ref()).into_texts()
}

/// One direction: what the programs did, and what the sender's kernel knows.
struct Way<'a> {
    direction: Direction,
    name: &'a str,
    transfer: &'a Transfer,
    info: &'a TcpInfo,
    /// Whether the link did anything to packets, of either direction.
    is_impaired: bool,
}

fn ways<'a>(outcome: &'a Outcome, link: Option<&Account>) -> [Way<'a>; 2] {
    let is_impaired = link.is_some_and(account::is_impaired);
    DIRECTIONS.map(|(direction, name)| {
        let (transfer, info) = match direction {
            Direction::ClientToServer => (&outcome.request, &outcome.client_info),
            Direction::ServerToClient => (&outcome.reply, &outcome.server_info),
        };
        Way {
            direction,
            name,
            transfer,
            info,
            is_impaired,
        }
    })
}

/// How each end got on as a sender, where it sent for long enough.
fn charts(outcome: &Outcome, evidence: Evidence<'_>, style: &Style) -> Vec<Line> {
    let subjects = DIRECTIONS.map(|(direction, name)| chart::Subject {
        name,
        direction,
        connection: match direction {
            Direction::ClientToServer => outcome.client,
            Direction::ServerToClient => outcome.server,
        },
    });
    let drawn = |subject| chart::lines(subject, evidence.events, style);
    subjects.into_iter().flat_map(drawn).collect()
}

/// The five-tuples of both ends, and the listening socket that has none.
fn sockets(outcome: &Outcome, style: &Style) -> Vec<Line> {
    let connected = |host, name, tuple: FiveTuple| Named {
        host,
        name,
        protocol: tuple.protocol,
        local: Some(tuple.local),
        remote: Some(tuple.remote),
    };
    let listener = Named {
        host: "server",
        name: "listener",
        protocol: outcome.server.protocol,
        local: Some(outcome.listener),
        remote: None,
    };
    let rows = [
        connected("client", "client", outcome.client),
        listener,
        connected("server", "connection", outcome.server),
    ];
    sockets::lines("Sockets: who is connected to whom", &rows, style)
}

fn delivery(outcome: &Outcome, wire: Option<&WireAccount>, style: &Style) -> Vec<Line> {
    let ways = ways(outcome, None);
    let mut rows = by_the_programs(&ways);
    if let Some(wire) = wire {
        rows.extend(by_the_wire(&ways, wire));
    }
    let head = [
        ("delivery", Align::Left),
        (ways[0].name, Align::Right),
        (ways[1].name, Align::Right),
    ];
    let mut lines = table::heading("Delivery: a stream of bytes each way", style);
    lines.extend(table::table(&head, &rows, style));
    lines
}

/// What the programs counted, and what the sender's kernel says of itself.
fn by_the_programs(ways: &[Way<'_>; 2]) -> Vec<Vec<String>> {
    let row = |name: &str, cell: &dyn Fn(&Way<'_>) -> String| {
        let cells = ways.iter().map(cell);
        std::iter::once(name.to_owned()).chain(cells).collect()
    };
    vec![
        row("bytes sent", &|way| way.transfer.bytes_sent.to_string()),
        row("bytes received", &|way| {
            way.transfer.bytes_received.to_string()
        }),
        row("in order, by SHA-256", &|way| intact(way.transfer)),
        row("writes", &|way| way.transfer.writes.to_string()),
        row("reads", &|way| way.transfer.reads.to_string()),
        row("TCP_INFO: data segments", &|way| {
            let segments = way.info.data_segments_out;
            segments.map_or("–".to_owned(), |segments| segments.to_string())
        }),
        row("  sent again", &|way| {
            way.info.total_retransmits.to_string()
        }),
        row("  round trip, deviation", &|way| round_trip(way.info)),
    ]
}

/// What the packets say, whoever sent them.
fn by_the_wire(ways: &[Way<'_>; 2], wire: &WireAccount) -> Vec<Vec<String>> {
    let row = |name: &str, cell: &dyn Fn(&Count) -> String| {
        let cells = ways.iter().map(|way| cell(wire.direction(way.direction)));
        std::iter::once(name.to_owned()).chain(cells).collect()
    };
    let mut rows = vec![
        row("wire: packets", &|count| count.packets.to_string()),
        row("  data segments", &|count| {
            count.tcp_data_segments.to_string()
        }),
        row("  only acknowledging", &|count| {
            count.tcp_pure_acks.to_string()
        }),
        row("  SYN, FIN, RST", &|count| {
            format!(
                "{}, {}, {}",
                count.tcp_syns, count.tcp_fins, count.tcp_resets
            )
        }),
        row("  sent again", &|count| {
            count.tcp_retransmissions.to_string()
        }),
        row("wire: bytes", &|count| count.bytes.to_string()),
        row("  payload", &|count| count.payload_bytes.to_string()),
        row("  headers", &overhead),
    ];
    if DIRECTIONS
        .iter()
        .any(|(way, _)| wire.direction(*way).lost > 0)
    {
        rows.insert(1, row("  lost on the way", &|count| count.lost.to_string()));
    }
    rows
}

fn intact(transfer: &Transfer) -> String {
    const SHORT: usize = 8;
    let short = |hash: &str| hash.chars().take(SHORT).collect::<String>();
    if transfer.is_intact() {
        format!("{RIGHT} {}…", short(&transfer.sha256_received))
    } else {
        format!(
            "{WRONG} {}… ≠ {}…",
            short(&transfer.sha256_sent),
            short(&transfer.sha256_received)
        )
    }
}

/// Header bytes, and their share of all.
pub(super) fn overhead(count: &Count) -> String {
    format!(
        "{} ({})",
        count.header_bytes(),
        share(count.header_bytes(), count.bytes)
    )
}

/// A share in percent with one decimal.
fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    let per_mille = (u128::from(part) * 1000 + u128::from(whole) / 2) / u128::from(whole);
    format!("{}.{} %", per_mille / 10, per_mille % 10)
}

fn round_trip(info: &TcpInfo) -> String {
    if info.rtt.is_zero() {
        return "–".to_owned();
    }
    let number = |time: Duration| format!("{:.3}", time.as_secs_f64() * 1000.0);
    format!("{}, {} ms", number(info.rtt), number(info.rtt_variation))
}

fn prose(
    outcome: &Outcome,
    evidence: Evidence<'_>,
    wire: Option<&WireAccount>,
    style: &Style,
) -> Vec<Line> {
    let mut text = format!(
        "connect() took {:.3} ms. Congestion control: {}. MSS: {} bytes.",
        connect_time(outcome, evidence).as_secs_f64() * 1000.0,
        outcome.congestion_control,
        outcome.client_info.send_mss
    );
    if let (Some(link), Some(wire)) = (evidence.link, wire)
        && link.unmodelled_loss() == 0
    {
        for (direction, name) in DIRECTIONS {
            let again = wire.direction(direction).tcp_retransmissions;
            if again > 0 {
                let again = counted(again, "segment");
                let _ = write!(text, " {name}: {again} sent again{}", why(link, direction));
            }
        }
    }
    let mut lines = vec![Line::default()];
    lines.extend(table::sentence(Paint::Plain, &text, style));
    lines
}

/// Why segments were sent again, as far as the link's account tells.
fn why(link: &Account, direction: Direction) -> String {
    let [there, back] = [direction, direction.reversed()].map(|way| link.count.wire.towards(way));
    let gone = |traffic: &Traffic| {
        let changed = traffic.changed;
        traffic.lost_in_all().packets + changed.corrupted + changed.truncated
    };
    match (gone(there), gone(back)) {
        (0, 0) if there.changed.delayed + back.changed.delayed > 0 => {
            ": the link had lost nothing, but had been slow or out of order.".to_owned()
        }
        (0, 0) => {
            " needlessly: the link had lost nothing, the receiver had them already.".to_owned()
        }
        (0, lost) => format!(
            ": the link had delivered all, but not {} the other way, acknowledgments among them.",
            counted(lost, "packet")
        ),
        (lost, _) => format!("; the link had lost {}.", counted(lost, "packet")),
    }
}

/// How long `connect()` took: as the ladder has it, where there is one.
fn connect_time(outcome: &Outcome, evidence: Evidence<'_>) -> Duration {
    let mut calls = evidence
        .events
        .iter()
        .filter_map(|event| match &event.what {
            What::Call(call) if call.name == "connect" && event.host == Place::Client => Some(call),
            _ => None,
        });
    calls.next().map_or(outcome.connect, |call| call.took)
}

/// Whether programs, kernels and wire agree.
fn agreement(
    outcome: &Outcome,
    evidence: Evidence<'_>,
    wire: Option<&WireAccount>,
    style: &Style,
) -> Vec<Line> {
    let found = check(outcome, evidence, wire);
    let checked = match (wire, evidence.link) {
        (Some(_), Some(_)) => {
            "The programs' figures, TCP_INFO, the packets and the link's counters"
        }
        _ => "What was sent and what was received",
    };
    found.lines(checked, style)
}

/// Holds the programs' figures against TCP_INFO and the packets.
fn check(outcome: &Outcome, evidence: Evidence<'_>, wire: Option<&WireAccount>) -> Disagreements {
    let mut found = evidence.disagreements();
    for way in ways(outcome, evidence.link) {
        if !way.transfer.is_intact() {
            found.add(format!(
                "{}: the bytes received are not the bytes sent",
                way.name
            ));
        }
        // A capture of a real interface may miss packets or see them merged.
        if let (Some(wire), Some(_)) = (wire, evidence.link) {
            against_wire(&way, wire.direction(way.direction), &mut found);
        }
    }
    found
}

/// Holds what the sender's kernel said of itself against the packets. The kernel
/// was asked before the connection was closed, so that what was sent again after
/// that, its FIN or what a lost acknowledgment left open, is on the wire only.
fn against_wire(way: &Way<'_>, count: &Count, found: &mut Disagreements) {
    let told = u64::from(way.info.total_retransmits);
    let later = count.tcp_retransmissions.saturating_sub(told);
    let could_be_later = later > 0 && way.is_impaired;
    if !could_be_later {
        found.compare(
            way.name,
            ("retransmissions by TCP_INFO", told),
            ("on the wire", count.tcp_retransmissions),
        );
    }
    if let Some(segments) = way.info.data_segments_out {
        let segments = u64::from(segments);
        let missed = count.tcp_data_segments.checked_sub(segments);
        if !(could_be_later && missed.is_some_and(|missed| missed <= later)) {
            found.compare(
                way.name,
                ("segments with data by TCP_INFO", segments),
                ("on the wire", count.tcp_data_segments),
            );
        }
    }
    if count.tcp_retransmissions == 0 {
        found.compare(
            way.name,
            ("bytes written", way.transfer.bytes_sent),
            ("payload on the wire", count.payload_bytes),
        );
    }
}
