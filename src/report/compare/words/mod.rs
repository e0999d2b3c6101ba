//! What the figures say, in words: what each kind of socket did, and why.
//!
//! Every number in a sentence is a figure of the run. Owns wording alone.

mod datagrams;
mod stream;

use super::Shown;
use crate::compare::{Compared, Figures, Variant};
use crate::report::figure::{counted, grouped};

/// The closing paragraph, each kind's sentences by themselves.
pub(super) fn closing(shown: &Shown<'_>) -> Vec<String> {
    let mut said = Vec::new();
    said.extend(interrupted(shown));
    let took_part: Vec<(&Compared, &Figures)> = shown
        .compared
        .iter()
        .filter_map(|one| Some((one, one.column.result.as_ref().ok()?)))
        .collect();
    let mut explained = Explained::default();
    for &(one, figures) in &took_part {
        if one.column.variant.is_stream() {
            said.push(stream::said(one, figures, &mut explained));
        } else if !is_whole(figures) {
            said.push(datagrams::said(one, figures, &mut explained));
        }
    }
    said.extend(lucky(&took_part));
    said.extend(contrast(&took_part));
    said.extend(bottleneck(shown));
    said.extend(refused(shown));
    said.iter().map(|text| capitalised(text)).collect()
}

/// What was said once and need not be said of the next kind.
#[derive(Debug, Default)]
struct Explained {
    boundaries: bool,
    loss: bool,
    order: bool,
}

/// As a sentence names it.
fn name(variant: Variant) -> &'static str {
    match variant {
        Variant::Tcp => "TCP",
        Variant::TcpNodelay => "TCP without delay",
        Variant::Udp => "UDP",
        Variant::UdpConnected => "connected UDP",
        Variant::RawIcmp => "raw ICMP",
        Variant::RawIp => "raw IP",
        Variant::IcmpDatagram => "the ICMP datagram socket",
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

fn interrupted(shown: &Shown<'_>) -> Option<String> {
    let (sent, planned) = (shown.sent, shown.config.schedule.count());
    (sent < planned).then(|| {
        let (sent, planned) = (grouped(sent.into()), counted(planned.into(), "message"));
        format!("the run was interrupted after {sent} of {planned}; all figures are of those.")
    })
}

fn is_whole(figures: &Figures) -> bool {
    let arrivals = figures.arrivals;
    let troubles = [
        arrivals.duplicated,
        arrivals.out_of_order,
        arrivals.corrupted,
    ];
    figures.lost == 0 && troubles == [0; 3] && late(figures).is_none()
}

/// `a`, `a and b`, `a, b and c`.
fn listed(items: &[impl AsRef<str>]) -> String {
    let mut text = String::new();
    for (index, item) in items.iter().enumerate() {
        text.push_str(match index {
            0 => "",
            _ if index + 1 == items.len() => " and ",
            _ => ", ",
        });
        text.push_str(item.as_ref());
    }
    text
}

/// `1,234 came later than the deadline`.
fn late(figures: &Figures) -> Option<String> {
    let late = figures.late.filter(|late| *late > 0)?;
    Some(format!(
        "{} came later than the deadline",
        grouped(late.into())
    ))
}

/// A figure that no line breaks apart from its unit.
fn unbroken(figure: &str) -> String {
    figure.replace(' ', "\u{a0}")
}

/// The datagram kinds that lost nothing, which they do not promise.
fn lucky(took_part: &[(&Compared, &Figures)]) -> Option<String> {
    let is_lucky = |(one, figures): &&(&Compared, &Figures)| {
        !one.column.variant.is_stream() && is_whole(figures) && figures.sent > 0
    };
    let lucky = took_part.iter().filter(is_lucky);
    let names: Vec<_> = lucky.map(|(one, _)| name(one.column.variant)).collect();
    let verb = match names[..] {
        [] => return None,
        [_] => "promises",
        _ => "promise",
    };
    let names = listed(&names);
    Some(format!(
        "{names} delivered every message, but {verb} nothing: here nothing was lost."
    ))
}

/// What the two kinds of promise cost.
fn contrast(took_part: &[(&Compared, &Figures)]) -> Option<String> {
    let waited = |(one, figures): &&(&Compared, &Figures)| {
        let waits = one
            .column
            .messages
            .iter()
            .any(|message| message.waited.is_some());
        one.column.variant.is_stream() && figures.lost == 0 && waits
    };
    let lost = |(one, figures): &&(&Compared, &Figures)| {
        !one.column.variant.is_stream() && figures.lost > 0
    };
    let named = |pair: &(&Compared, &Figures)| name(pair.0.column.variant);
    let stream = named(took_part.iter().find(waited)?);
    let datagram = named(took_part.iter().find(lost)?);
    Some(format!(
        "on the same link, {stream} paid with time and {datagram} with messages."
    ))
}

/// What found the link's queue full.
fn bottleneck(shown: &Shown<'_>) -> Option<String> {
    let lost = &shown.link?.count.wire.client_to_server.lost;
    let full = lost.get("queue full")?.packets;
    (full > 0).then(|| {
        let packets = counted(full, "packet");
        format!("the link's bottleneck had no room in its queue for {packets} of all kinds.")
    })
}

/// Those that took no part.
fn refused(shown: &Shown<'_>) -> Option<String> {
    let refused = shown
        .compared
        .iter()
        .filter(|one| one.column.result.is_err());
    let names: Vec<_> = refused.map(|one| name(one.column.variant)).collect();
    (!names.is_empty()).then(|| format!("{} took no part; below stands why.", listed(&names)))
}
