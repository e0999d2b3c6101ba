//! What the figures say, in words: what each kind of socket did, and why.
//!
//! Every number in a sentence is a figure of the run. Owns wording alone.

use super::Shown;
use crate::compare::confirm;
use crate::compare::{Compared, Figures, Variant};
use crate::report::figure::{counted, duration, grouped, percent};

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
            said.push(stream(one, figures, &mut explained));
        } else if !is_whole(figures) {
            said.push(datagrams(one, figures, &mut explained));
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

fn stream(one: &Compared, figures: &Figures, explained: &mut Explained) -> String {
    let name = name(one.column.variant);
    let sent = counted(figures.sent.into(), "message");
    if figures.lost > 0 {
        let lost = grouped(figures.lost.into());
        return format!("{name} stood still until it was given up: {lost} of {sent} never came.");
    }
    let writes = counted(figures.writes, "write");
    let reads = counted(figures.reads, "read");
    let because = if std::mem::replace(&mut explained.boundaries, true) {
        ""
    } else {
        ", and only the length in each message tells them apart"
    };
    let mut said = vec![format!(
        "{name} delivered all {sent} once and in order; {writes} came out of {reads}{because}."
    )];
    said.extend(blocking(one, figures));
    said.extend(late(figures).map(|late| format!("{late}.")));
    said.join(" ")
}

/// What the stream repaired, and who waited for it.
fn blocking(one: &Compared, figures: &Figures) -> Option<String> {
    let messages = &one.column.messages;
    let is_lost = |on_wire: crate::compare::OnWire| on_wire.lost + on_wire.damaged > 0;
    let again = messages
        .iter()
        .filter(|message| message.wire.is_some_and(is_lost));
    let again = again.count() as u64;
    let waited = u64::from(figures.blocked.unwrap_or(0));
    let mut text = String::new();
    if again > 0 {
        let again = counted(again, "message");
        text = format!("The link lost packets with {again}, and TCP sent those bytes again");
    }
    if let Some(longest) = figures.blocked_longest.filter(|_| waited > 0) {
        let lead = if text.is_empty() { "" } else { "; " };
        let waited = counted(waited, "message");
        let longest = unbroken(&duration(longest));
        text = format!(
            "{text}{lead}{waited} lay in the receiving kernel behind an earlier one, up to \
             {longest}: head-of-line blocking"
        );
    }
    if text.is_empty() {
        return None;
    }
    if let Some(latency) = figures.latency
        && latency.p99 > latency.p50 * 2
    {
        let (p50, p99) = (duration(latency.p50), duration(latency.p99));
        let (p50, p99) = (unbroken(&p50), unbroken(&p99));
        text = format!("{text}, so its p99 is {p99} where half took no more than {p50}");
    }
    Some(text + ".")
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

/// Datagrams that did not all come once, in order and in time.
fn datagrams(one: &Compared, figures: &Figures, explained: &mut Explained) -> String {
    let name = name(one.column.variant);
    let sent = counted(figures.sent.into(), "message");
    let mut text = match u64::from(figures.lost) {
        0 => format!("{name} delivered all {sent}"),
        lost => {
            let share = unbroken(&percent(lost, figures.sent.into()));
            let causes = causes(one, figures);
            format!("{name} lost {} of {sent} ({share}){causes}", grouped(lost))
        }
    };
    if figures.lost > 0 && !std::mem::replace(&mut explained.loss, true) {
        text += "; nobody sent those again, and no other message waited for them";
    }
    text.push('.');
    let troubles: Vec<_> = troubles(figures).collect();
    if !troubles.is_empty() {
        text = format!("{text} {}", listed(&troubles));
        let is_unsorted = figures.arrivals.out_of_order > 0;
        if is_unsorted && !std::mem::replace(&mut explained.order, true) {
            text += ": packets overtook each other, and nobody sorts datagrams";
        }
        text.push('.');
    }
    text
}

/// What else happened to datagrams.
fn troubles(figures: &Figures) -> impl Iterator<Item = String> {
    let arrivals = figures.arrivals;
    let counts = [
        (
            arrivals.duplicated,
            "copy came",
            "copies came",
            "beside the first",
        ),
        (arrivals.out_of_order, "came", "came", "after a later one"),
        (
            arrivals.corrupted,
            "came",
            "came",
            "with other bytes than were sent",
        ),
    ];
    let happened = counts.into_iter().filter(|(count, ..)| *count > 0);
    let said = happened.map(|(count, one, several, how)| {
        let words = counted_of(count, one, several);
        format!("{words} {how}")
    });
    said.chain(late(figures))
}

fn counted_of(count: u32, one: &str, several: &str) -> String {
    let words = if count == 1 { one } else { several };
    format!("{} {words}", grouped(count.into()))
}

/// Where the lost ones died: `, 4 on the link and 1 in …`.
fn causes(one: &Compared, figures: &Figures) -> String {
    let confirmed = confirm::lost(figures, &one.column).filter(|confirmed| confirmed.agrees);
    let died: Vec<_> = [
        (
            confirmed.map_or(0, |confirmed| confirmed.wire),
            "on the link",
        ),
        (
            confirmed.map_or(0, |confirmed| confirmed.kernel),
            "in the receiving socket's full buffer",
        ),
        (figures.not_sent, "in the sender's full queue"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, place)| format!("{} {place}", grouped(count)))
    .collect();
    match died.as_slice() {
        [] => String::new(),
        died => format!(", {}", listed(died)),
    }
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
