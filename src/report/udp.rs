//! What came of the datagram sockets' demonstration, as text after the ladder:
//! the sockets' addresses, each datagram's fate, what was heard of the closed
//! port, and whether programs and wire tell the same story.
//!
//! Owns wording and layout only; every figure comes from elsewhere.

use std::io::{self, Write};
use std::net::SocketAddr;

use super::evidence::{DIRECTIONS, Disagreements, Evidence};
use super::line::Line;
use super::sockets::{self, Named};
use super::style::{Paint, Style};
use super::table::{self, Align, RIGHT, WRONG};
use super::tcp::overhead;
use crate::conversation::{Count, WireAccount};
use crate::event::{Arrival, Event, Fate, Packet, What};
use crate::flow::{Direction, Kind};
use crate::link::Account;
use crate::packet::{Fragment, dissect};
use crate::udp::{Outcome, Row};

/// Writes what came of the demonstration.
pub fn render(
    out: &mut impl Write,
    outcome: &Outcome,
    evidence: Evidence<'_>,
    style: &Style,
) -> io::Result<()> {
    let wire = evidence.wire();
    let mut lines = sockets(outcome, style);
    lines.extend(datagrams(outcome, evidence.events, style));
    lines.extend(closed_port(outcome, style));
    if let Some(wire) = &wire {
        lines.extend(on_the_wire(wire, style));
    }
    lines.push(Line::default());
    lines.extend(evidence.link_lines(style));
    lines.extend(agreement(outcome, evidence, style));
    lines.iter().try_for_each(|line| line.write(out, style))
}

/// What should agree and does not, and every datagram that was lost though the
/// link had lost nothing on purpose, a sentence each; empty is success. Without
/// events, only what the programs and the link's counters say is known.
pub fn disagreements(outcome: &Outcome, evidence: Evidence<'_>) -> Vec<String> {
    let mut found = check(outcome, evidence).into_texts();
    if evidence.link.is_some_and(may_lose) {
        return found;
    }
    let lost = outcome
        .datagrams
        .iter()
        .filter(|row| row.arrival == Arrival::Lost);
    found.extend(lost.map(|row| format!("datagram {} was lost", row.number)));
    found
}

/// Whether what the link did on purpose may have cost the server a datagram: a
/// packet never came, came with a wrong checksum, or came too late.
fn may_lose(link: &Account) -> bool {
    let up = link.count.wire.towards(Direction::ClientToServer);
    let changed = up.changed;
    let harmed = changed.corrupted + changed.truncated + changed.delayed;
    up.lost_in_all().packets + up.queued.packets + harmed > 0
}

fn sockets(outcome: &Outcome, style: &Style) -> Vec<Line> {
    let socket = |(host, name), local, remote| Named {
        host,
        name,
        protocol: Kind::Udp,
        local,
        remote,
    };
    let rows = [
        socket(("server", "server"), Some(outcome.server), None),
        socket(("client", "client"), Some(outcome.client), None),
        socket(
            ("client", "connected"),
            Some(outcome.connected),
            Some(outcome.closed),
        ),
    ];
    let heading = "Sockets: each datagram brings its own addresses";
    sockets::lines(heading, &rows, style)
}

fn datagrams(outcome: &Outcome, events: &[Event<'_>], style: &Style) -> Vec<Line> {
    let packets = packets_per_datagram(events, outcome.server);
    let on_the_way = |index: usize| packets.get(index).and_then(|sent| sent.harm.as_deref());
    let rows: Vec<_> = outcome
        .datagrams
        .iter()
        .enumerate()
        .map(|(index, row)| {
            vec![
                row.number.to_string(),
                row.purpose.to_owned(),
                row.sent.to_string(),
                packets
                    .get(index)
                    .map_or("–".to_owned(), |sent| sent.packets.to_string()),
                received(row).map_or("–".to_owned(), |bytes| bytes.to_string()),
                verdict(row, on_the_way(index)),
            ]
        })
        .collect();
    let head = [
        ("#", Align::Right),
        ("shows", Align::Left),
        ("sent", Align::Right),
        ("packets", Align::Right),
        ("received", Align::Right),
        ("outcome", Align::Left),
    ];
    let mut lines = table::heading("Delivery: one send, one datagram, one receive", style);
    lines.extend(table::table(&head, &rows, style));
    lines
}

/// One datagram on the wire.
#[derive(Default)]
struct Sent {
    /// The fragments' identification, where it was sent in fragments.
    identification: Option<u32>,
    /// How many packets it became, copies that the wire made aside.
    packets: usize,
    /// What happened to one of them that cost the datagram, in words.
    harm: Option<String>,
}

impl Sent {
    fn add(&mut self, packet: &Packet<'_>) {
        self.packets += 1;
        let changes = packet.changes;
        let harm = match &packet.fate {
            Fate::Lost { cause } => Some(format!("on the link: {cause}")),
            Fate::Queued => Some("still under way".to_owned()),
            _ if changes.corrupted_bit.is_some() => Some("after corruption".to_owned()),
            _ if changes.truncated_to.is_some() => Some("after truncation".to_owned()),
            _ => None,
        };
        self.harm = self.harm.take().or(harm);
    }
}

/// What each datagram to `server` became, in the order of sending.
fn packets_per_datagram(events: &[Event<'_>], server: SocketAddr) -> Vec<Sent> {
    let mut datagrams: Vec<Sent> = Vec::new();
    for event in events {
        let What::Packet(packet) = &event.what else {
            continue;
        };
        if packet.changes.copy_of.is_some() {
            continue;
        }
        let dissection = dissect(packet.link, &packet.bytes);
        let fragment = dissection.ip().and_then(|ip| ip.fragment);
        let is_for_server = dissection.endpoints().is_some_and(|ends| {
            ends.destination.address == server.ip() && ends.destination.port == Some(server.port())
        });
        match fragment {
            Some(Fragment {
                identification,
                offset: 1..,
                ..
            }) => {
                let mut known = datagrams.iter_mut().rev();
                if let Some(sent) = known.find(|sent| sent.identification == Some(identification)) {
                    sent.add(packet);
                }
            }
            _ if is_for_server => {
                let mut sent = Sent {
                    identification: fragment.map(|fragment| fragment.identification),
                    ..Sent::default()
                };
                sent.add(packet);
                datagrams.push(sent);
            }
            _ => {}
        }
    }
    datagrams
}

fn received(row: &Row) -> Option<usize> {
    match row.arrival {
        Arrival::Delivered { bytes }
        | Arrival::OutOfOrder { bytes }
        | Arrival::Truncated { bytes, .. } => Some(bytes),
        Arrival::Duplicate | Arrival::Corrupted | Arrival::Refused | Arrival::Lost => None,
    }
}

fn verdict(row: &Row, harm: Option<&str>) -> String {
    match row.arrival {
        Arrival::Delivered { bytes } if bytes == row.sent => format!("{RIGHT} whole"),
        Arrival::Delivered { .. } => format!("{WRONG} of another length"),
        Arrival::OutOfOrder { .. } => format!("{RIGHT} whole, out of order"),
        Arrival::Truncated { .. } => "cut to the buffer (MSG_TRUNC)".to_owned(),
        Arrival::Duplicate => format!("{WRONG} a duplicate"),
        Arrival::Corrupted => format!("{WRONG} corrupted"),
        Arrival::Refused => format!("{WRONG} refused (ICMP)"),
        Arrival::Lost => match harm {
            Some(harm) => format!("{WRONG} lost {harm}"),
            None => format!("{WRONG} lost"),
        },
    }
}

fn closed_port(outcome: &Outcome, style: &Style) -> Vec<Line> {
    let heard = |error: &Option<String>| match error {
        Some(errno) => format!("heard {errno}"),
        None => "heard nothing".to_owned(),
    };
    let text = format!(
        "Of the closed port {}, the unconnected socket {}, the connected one {}.",
        outcome.closed,
        heard(&outcome.unconnected_error),
        heard(&outcome.connected_error)
    );
    let mut lines = vec![Line::default()];
    lines.extend(table::sentence(Paint::Plain, &text, style));
    lines
}

fn on_the_wire(wire: &WireAccount, style: &Style) -> Vec<Line> {
    let row = |name: &str, cell: &dyn Fn(&Count) -> String| {
        let mut cells = vec![name.to_owned()];
        cells.extend(DIRECTIONS.map(|(direction, _)| cell(wire.direction(direction))));
        cells
    };
    let mut rows = vec![
        row("datagrams", &|count| count.udp_datagrams.to_string()),
        row("packets", &|count| count.packets.to_string()),
        row("  of those fragments", &|count| count.fragments.to_string()),
        row("  of those ICMP", &|count| count.icmp_packets.to_string()),
        row("bytes", &|count| count.bytes.to_string()),
        row("  payload", &|count| count.payload_bytes.to_string()),
        row("  headers", &overhead),
    ];
    if DIRECTIONS
        .iter()
        .any(|(way, _)| wire.direction(*way).lost > 0)
    {
        rows.insert(2, row("  of those lost", &|count| count.lost.to_string()));
    }
    let [(_, up), (_, down)] = DIRECTIONS;
    let head = [
        ("on the wire", Align::Left),
        (up, Align::Right),
        (down, Align::Right),
    ];
    let mut lines = vec![Line::default()];
    lines.extend(table::table(&head, &rows, style));
    lines
}

/// Whether programs and wire agree. Lost datagrams are the table's to say.
fn agreement(outcome: &Outcome, evidence: Evidence<'_>, style: &Style) -> Vec<Line> {
    if evidence.link.is_none() || evidence.wire().is_none() {
        // The table above says all that is known.
        return Vec::new();
    }
    check(outcome, evidence).lines(
        "The programs' figures, the packets and the link's counters",
        style,
    )
}

/// Holds the programs' figures against the packets.
fn check(outcome: &Outcome, evidence: Evidence<'_>) -> Disagreements {
    let mut found = evidence.disagreements();
    if evidence.link.is_none() || evidence.wire().is_none() {
        return found;
    }
    let seen = packets_per_datagram(evidence.events, outcome.server).len();
    let [(_, up), _] = DIRECTIONS;
    found.compare(
        up,
        ("datagrams sent", outcome.datagrams.len()),
        ("datagrams on the wire", seen),
    );
    found
}
