//! What a stream did, in words: that it delivered, what it repaired, and who
//! waited for that.

use super::{Explained, late, name, unbroken};
use crate::compare::{Compared, Figures, OnWire};
use crate::report::figure::{counted, duration, grouped};

/// A stream's sentences.
pub(super) fn said(one: &Compared, figures: &Figures, explained: &mut Explained) -> String {
    let name = name(one.column.variant);
    let sent = counted(figures.sent.into(), "message");
    if figures.lost > 0 {
        let lost = grouped(figures.lost.into());
        return format!("{name} stood still until it was given up: {lost} of {sent} never came.");
    }
    let writes = counted(figures.writes, "write");
    let became = match one.wire {
        Some(wire) => format!(
            "{writes} became {} and",
            counted(wire.data_packets, "packet")
        ),
        None => writes,
    };
    let reads = counted(figures.reads, "read");
    let because = if std::mem::replace(&mut explained.boundaries, true) {
        ""
    } else {
        ", and only the length in each message tells them apart"
    };
    let mut said = vec![format!(
        "{name} delivered all {sent} once and in order; {became} came out of {reads}{because}."
    )];
    said.extend(blocking(one, figures));
    said.extend(late(figures).map(|late| format!("{late}.")));
    said.join(" ")
}

/// What the stream repaired, and who waited for it.
fn blocking(one: &Compared, figures: &Figures) -> Option<String> {
    let messages = &one.column.messages;
    let is_lost = |on_wire: OnWire| on_wire.lost + on_wire.damaged > 0;
    let again = messages
        .iter()
        .filter(|message| message.wire.is_some_and(is_lost));
    let again = again.count() as u64;
    let waited = u64::from(figures.blocked.unwrap_or(0));
    let mut text = String::new();
    if again > 0 {
        let again = counted(again, "message");
        text =
            format!("The link lost packets that carried {again}, and TCP sent those bytes again");
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
