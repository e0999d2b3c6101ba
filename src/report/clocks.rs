//! Two machines' clocks in words: how far apart they are, and what that means
//! for the latencies beside them.

use std::io::{self, Write};
use std::time::Duration;

use super::figure::duration;
use super::style::{Paint, Style};
use super::table;
use crate::compare::remote::Clocks;

/// Writes what is to be known of the clocks before the latencies are read.
pub fn render(out: &mut impl Write, clocks: &Clocks, style: &Style) -> io::Result<()> {
    let said = sentences(clocks);
    let lines = said
        .iter()
        .flat_map(|text| table::sentence(Paint::Plain, text, style));
    lines
        .collect::<Vec<_>>()
        .iter()
        .try_for_each(|line| line.write(out, style))
}

/// The same as sentences.
pub(super) fn sentences(clocks: &Clocks) -> Vec<String> {
    let mut sentences = vec![offset(clocks)];
    let withheld: Vec<_> = clocks
        .without_latency
        .iter()
        .map(|kind| kind.name())
        .collect();
    if !withheld.is_empty() {
        sentences.push(format!(
            "One-way latencies of {} are not shown: they are smaller than that uncertainty. A \
             round trip took {} at least, {} in the middle.",
            withheld.join(", "),
            duration(clocks.shortest_trip),
            duration(clocks.middle_trip),
        ));
    }
    sentences
}

fn offset(clocks: &Clocks) -> String {
    let apart = Duration::from_nanos(clocks.offset_ns.unsigned_abs());
    let side = if clocks.offset_ns < 0 {
        "behind"
    } else {
        "ahead of"
    };
    let drift = clocks.drift_ppm.map_or_else(String::new, |drift| {
        format!(", drifting by {drift:+.1} parts per million")
    });
    format!(
        "The server's clock is {} {side} this one, give or take {}{drift}; one-way latencies are \
         as uncertain as that.",
        duration(apart),
        duration(clocks.uncertainty),
    )
}
