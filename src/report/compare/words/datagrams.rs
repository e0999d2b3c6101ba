//! What a kind of datagrams did, in words: what was lost and where, what came
//! again, out of order or damaged.

use super::{Explained, late, listed, name, unbroken};
use crate::compare::{Compared, Figures, confirm};
use crate::report::figure::{counted, grouped, percent};

/// Datagrams that did not all come once, in order and in time.
pub(super) fn said(one: &Compared, figures: &Figures, explained: &mut Explained) -> String {
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
