//! The ladder of a run's first packets as a table: the client's calls and
//! states on the left, the wire with each packet's way in the middle, the
//! server's on the right, and each packet's bytes behind a button.

use std::fmt::Write as _;
use std::time::Duration;

use super::hex;
use super::markup::{Attribute, Markup};
use crate::event::{Call, Event, Fate, Outcome, Packet, Place, What};
use crate::flow::Direction;
use crate::packet::{Conversations, Dissection, IpProtocol, summary};
use crate::report::figure::{counted, duration};

/// So many packets are shown.
pub(super) const MOST_PACKETS: usize = 200;

/// So many calls and states beside them.
const MOST_CALLS: usize = 300;

/// The ladder of `events`, which are sorted by time; nothing where no packet
/// was seen.
pub(super) fn draw(out: &mut Markup, events: &[Event<'_>], seen: u64) {
    let shown = first(events);
    if !shown.iter().any(|event| is_packet(event)) {
        return;
    }
    let mut conversations = Conversations::new();
    let mut popovers = Markup::default();
    out.element(
        "section",
        &[("aria-labelledby", &"ladder"), ("class", &"ladder")],
        |section| {
            section.leaf("h2", &[("id", &"ladder")], "The first packets");
            section.leaf("p", &[], told(&shown, seen));
            let scroll: [Attribute<'_>; 4] = [
                ("class", &"scroll"),
                ("role", &"region"),
                ("tabindex", &"0"),
                ("aria-label", &"The first packets: table"),
            ];
            section.element("div", &scroll, |scroll| {
                scroll.element("table", &[], |table| {
                    let caption = "Calls, states and packets of both hosts in the order of time";
                    table.leaf("caption", &[("class", &"unseen")], caption);
                    head(table);
                    table.element("tbody", &[], |body| {
                        for event in &shown {
                            row(body, &mut popovers, &mut conversations, event);
                        }
                    });
                });
            });
        },
    );
    out.append(&popovers);
}

/// The first packets, and the first calls and states before the last of them.
fn first<'a, 'b>(events: &'a [Event<'b>]) -> Vec<&'a Event<'b>> {
    let (mut packets, mut calls) = (0, 0);
    let until_full = events.iter().take_while(|event| {
        packets += usize::from(is_packet(event));
        packets <= MOST_PACKETS
    });
    let fitting = until_full.filter(|event| {
        calls += usize::from(!is_packet(event));
        is_packet(event) || calls <= MOST_CALLS
    });
    fitting.collect()
}

fn is_packet(event: &Event<'_>) -> bool {
    matches!(event.what, What::Packet(_))
}

fn told(shown: &[&Event<'_>], seen: u64) -> String {
    let packets = shown.iter().filter(|event| is_packet(event)).count();
    let calls = shown.len() - packets;
    let mut text = match seen {
        _ if seen > packets as u64 => format!("The first {packets} of {}", counted(seen, "packet")),
        _ => format!("All {}", counted(seen, "packet")),
    };
    text += if calls < MOST_CALLS {
        ", with the calls and states around them."
    } else {
        ", with the first of the calls around them."
    };
    text + " The button in the last column opens a packet’s bytes, field by field."
}

fn head(table: &mut Markup) {
    table.element("thead", &[], |head| {
        head.element("tr", &[], |row| {
            for name in ["ms", "client", "the wire", "server", "bytes"] {
                row.leaf("th", &[("scope", &"col")], name);
            }
        });
    });
}

fn row(
    body: &mut Markup,
    popovers: &mut Markup,
    conversations: &mut Conversations,
    event: &Event<'_>,
) {
    let (mut left, mut right) = (Markup::default(), Markup::default());
    let side = match event.host {
        Place::Client => &mut left,
        _ => &mut right,
    };
    let packet = match &event.what {
        What::Packet(packet) => Some(packet),
        What::Call(call) => {
            side.leaf("code", &[], said(call));
            None
        }
        What::State(change) => {
            side.leaf("span", &[("class", &"state")], change.to);
            None
        }
        _ => return,
    };
    let dissection = packet.map(Packet::dissect);
    if let Some(dissection) = &dissection {
        conversations.observe(dissection);
    }
    body.element("tr", &[], |tr| {
        tr.leaf("td", &[("class", &"at")], milliseconds(event.at));
        tr.element("td", &[("class", &"call")], |cell| cell.append(&left));
        tr.element("td", &[("class", &"wire")], |cell| {
            if let (Some(packet), Some(dissection)) = (packet, &dissection) {
                wire(cell, packet, dissection, conversations);
            }
        });
        tr.element("td", &[("class", &"call")], |cell| cell.append(&right));
        tr.element("td", &[], |cell| {
            if let (Some(packet), Some(dissection)) = (packet, &dissection) {
                hex::button(cell, packet.id);
                let line = summary::line(dissection, conversations, summary::Style::default());
                let title = format!("Packet {}: {line}", packet.id);
                hex::popover(popovers, packet.id, &title, (dissection, &packet.bytes));
            }
        });
    });
    body.line();
}

/// A packet's way: what it says, an arrow, and what became of it.
fn wire(cell: &mut Markup, packet: &Packet<'_>, dissection: &Dissection, all: &Conversations) {
    let words = summary::short(dissection, all, summary::Style::default());
    let towards = match packet.direction {
        Direction::ClientToServer => "to the server: ",
        Direction::ServerToClient => "to the client: ",
    };
    cell.element("span", &[("class", &"says")], |says| {
        says.leaf("span", &[("class", &"unseen")], towards);
        says.text(words);
    });
    arrow(cell, packet, class(dissection));
    let fate = fate(packet);
    if !fate.is_empty() {
        cell.leaf("span", &[("class", &"fate")], fate);
    }
}

/// The way across: level, slanted where it was held, ended by a cross where the
/// wire lost it.
fn arrow(cell: &mut Markup, packet: &Packet<'_>, class: &str) {
    let is_lost = matches!(packet.fate, Fate::Lost { .. });
    let is_held = packet.due_at.is_some_and(|due| due > packet.sent_at);
    let drop = if is_held && !is_lost { 8.0 } else { 0.0 };
    let is_up = packet.direction == Direction::ClientToServer;
    let mirror = |x: f64| if is_up { x } else { 240.0 - x };
    let end = if is_lost { 120.0 } else { 236.0 };
    let way = format!("M{} 5L{} {}", mirror(2.0), mirror(end), 5.0 + drop);
    let (tip, y) = (mirror(238.0), 5.0 + drop);
    let head = format!("M{tip} {y}L{} {}V{}Z", mirror(228.0), y - 4.0, y + 4.0);
    let attributes: [Attribute<'_>; 4] = [
        ("class", &format!("arrow {class}")),
        ("viewBox", &"0 0 240 18"),
        ("preserveAspectRatio", &"none"),
        ("aria-hidden", &"true"),
    ];
    cell.element("svg", &attributes, |svg| {
        svg.void("path", &[("d", &way), ("class", &"way")]);
        if is_lost {
            let cross = super::plot::cross(120.0, 5.0, 4.0);
            svg.void("path", &[("d", &cross), ("class", &"lost")]);
        } else {
            svg.void("path", &[("d", &head), ("class", &"tip")]);
        }
    });
}

/// What became of it, where that is not plain delivery at once.
fn fate(packet: &Packet<'_>) -> String {
    let changes = packet.changes;
    let mut words = Vec::new();
    match &packet.fate {
        Fate::Lost { cause } => words.push(format!("✗ lost: {cause}")),
        Fate::Queued => words.push("still under way at the end".to_owned()),
        Fate::Delivered | Fate::Unknown => {}
    }
    words.extend(
        changes
            .copy_of
            .map(|of| format!("the wire’s copy of packet {of}")),
    );
    words.extend(
        changes
            .corrupted_bit
            .map(|bit| format!("bit {bit} flipped")),
    );
    words.extend(
        changes
            .truncated_to
            .map(|length| format!("cut to {length} bytes")),
    );
    words.extend(changes.marked.then(|| "marked CE".to_owned()));
    words.extend(changes.reordered.then(|| "overtaken".to_owned()));
    let was_held = packet.due_at.is_some_and(|due| due > packet.sent_at);
    if let Some(at) = packet.delivered_at.filter(|_| was_held) {
        let after = duration(at.saturating_sub(packet.sent_at));
        words.push(format!("arrives after {after}"));
    }
    words.join(" · ")
}

/// A call in a line.
fn said(call: &Call) -> String {
    let mut text = format!("{}({})", call.name, call.arguments);
    let _ = match &call.outcome {
        Outcome::Failed { errno } => write!(text, " ✗ {errno}"),
        Outcome::Returned { returned, .. } => write!(text, " = {returned}"),
    };
    text
}

/// A packet's colour is that of its transport.
fn class(dissection: &Dissection) -> &'static str {
    match dissection.ip().map(|ip| ip.protocol) {
        Some(IpProtocol::TCP) => "k-tcp",
        Some(IpProtocol::UDP) => "k-udp",
        Some(IpProtocol::ICMP | IpProtocol::ICMPV6) => "k-icmp",
        _ => "k-ip",
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64() * 1e3)
}
