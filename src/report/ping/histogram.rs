//! How the round trips of each host are spread (`--histogram`).

use super::closing::Host;
use crate::report::glyph;
use crate::report::histogram::{self, Place, Subject};
use crate::report::line::Line;
use crate::report::style::{Paint, Style};
use crate::report::table;

/// Names take no more columns.
const WIDEST_NAME: usize = 20;

/// The histograms with their heading; nothing where no reply came.
pub(super) fn lines(hosts: &[Host<'_>], style: &Style) -> Vec<Line> {
    let subjects = hosts.iter().map(|host| Subject {
        title: &host.summary.target.name,
        unit: "time",
        times: host.account.round_trips.counts().collect(),
        percentiles: [50, 90, 99]
            .map(|hundredths| host.account.round_trips.percentile(hundredths))
            .into_iter()
            .collect::<Option<Vec<_>>>()
            .and_then(|times| times.try_into().ok()),
    });
    let answered = subjects.filter(|subject| !subject.times.is_empty());
    let subjects: Vec<Subject<'_>> = answered.collect();
    let names = subjects.iter().map(|subject| glyph::width(subject.title));
    let widest = names.chain(["1,000,000 times".len()]).max().unwrap_or(0);
    let counts = hosts.iter().map(|host| host.account.round_trips.count());
    let values = counts.max().unwrap_or(0);
    let place = Place::shaping(widest.min(WIDEST_NAME) + 2, values, style);
    let bars = histogram::lines(&subjects, place, style);
    if bars.is_empty() {
        return bars;
    }
    let mut lines = table::heading("How long the round trips took", style);
    lines.extend(bars);
    let text = "The scale is logarithmic, and each host's highest bar is its fullest. \
                At the marks 50, 90 and 99, so many in a hundred had come.";
    lines.extend(table::sentence(Paint::Faint, text, style));
    lines
}
