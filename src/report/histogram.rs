//! Times as small histograms: bars over bins that grow by one factor and are
//! common to all, so that they stand under each other.
//!
//! Below the bars stand the percentiles: the bins where half, nine in ten, and
//! ninety-nine in a hundred had come. Owns the axis and the bars; the
//! percentiles are the caller's own.

use std::time::Duration;

use super::figure::counted;
use super::glyph;
use super::line::Line;
use super::style::{Paint, Style};

/// One histogram.
#[derive(Debug, Clone)]
pub(super) struct Subject<'a> {
    /// What stands beside it.
    pub(super) title: &'a str,
    /// What is counted, such as `message`.
    pub(super) unit: &'a str,
    /// The times, each with how often it was.
    pub(super) times: Vec<(Duration, u64)>,
    /// The times that 50, 90 and 99 in a hundred did not exceed.
    pub(super) percentiles: Option<[Duration; 3]>,
}

/// The blocks that fill an eighth to the whole of a cell.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// With at most so many histograms, bars are two cells high.
const FEW: usize = 4;

/// The columns that the words of the marks may take beyond the last bin.
const MARGIN: usize = "50 90 99".len() + 1;

/// The longest latency is at least so many times the shortest on the axis.
const LEAST_SPAN: f64 = 1.5;

/// The bins that all histograms share.
#[derive(Debug, Clone, Copy)]
struct Axis {
    /// The logarithm of the first bin's beginning in nanoseconds.
    low: f64,
    /// The logarithm of the last bin's end.
    high: f64,
    bins: usize,
}

impl Axis {
    fn over(latencies: impl Iterator<Item = Duration>, bins: usize) -> Option<Self> {
        let extremes = |(low, high): (f64, f64), value: f64| (low.min(value), high.max(value));
        let (low, high) = latencies
            .map(logarithm)
            .fold((f64::INFINITY, f64::NEG_INFINITY), extremes);
        if low > high {
            return None;
        }
        let missing = (LEAST_SPAN.ln() - (high - low)).max(0.0) / 2.0;
        Some(Self {
            low: low - missing,
            high: high + missing,
            bins,
        })
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a column of a terminal"
    )]
    fn bin(self, latency: Duration) -> usize {
        let share = (logarithm(latency) - self.low) / (self.high - self.low);
        ((share * self.bins as f64) as usize).min(self.bins - 1)
    }

    fn count(self, times: &[(Duration, u64)]) -> Vec<u64> {
        let mut counts = vec![0; self.bins];
        for (time, count) in times {
            counts[self.bin(*time)] += count;
        }
        counts
    }

    /// Round times on the axis, as round as give a few.
    fn ticks(self) -> Vec<(usize, String)> {
        const FEW: usize = 3;
        let roundest = [10, 20, 50].as_slice();
        let digits: Vec<u64> = (1..10).map(|digit| digit * 10).collect();
        let all: Vec<u64> = (10..100).collect();
        let sets = [roundest, &digits, &all].map(|set| self.ticks_of(set));
        let enough = sets.iter().position(|ticks| ticks.len() >= FEW);
        let [.., last] = &sets;
        enough.map_or(last, |index| &sets[index]).clone()
    }

    /// The times of two digits that are on the axis: these, in each decade.
    fn ticks_of(self, tenths: &[u64]) -> Vec<(usize, String)> {
        let decades = (0..12).map(|power| 10_u64.pow(power));
        let times = decades.flat_map(|decade| tenths.iter().map(move |tenth| tenth * decade));
        times
            .map(|nanoseconds| (Duration::from_nanos(nanoseconds), nanoseconds))
            .filter(|(time, _)| (self.low..=self.high).contains(&logarithm(*time)))
            .map(|(time, nanoseconds)| (self.bin(time), round_time(nanoseconds)))
            .collect()
    }
}

fn logarithm(time: Duration) -> f64 {
    time.as_secs_f64().max(1e-9).ln()
}

/// `20 ms`, `1.5 ms`: a time of two digits.
fn round_time(nanoseconds: u64) -> String {
    let units = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs")];
    let unit = units.iter().find(|(scale, _)| nanoseconds >= *scale);
    let (scale, name) = unit.unwrap_or(&(1, "ns"));
    let (whole, tenths) = (nanoseconds / scale, nanoseconds % scale * 10 / scale);
    match tenths {
        0 => format!("{whole} {name}"),
        _ => format!("{whole}.{tenths} {name}"),
    }
}

/// How the histograms lie on the page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Columns before the bars.
    pub(super) gutter: usize,
    /// Columns of each bar.
    pub(super) bar: usize,
}

impl Place {
    /// Bars as wide as gives so many values a shape: about two for each of the
    /// root of their number.
    pub(super) fn shaping(gutter: usize, values: u64, style: &Style) -> Self {
        const WIDEST: usize = 4;
        let columns = style.columns().saturating_sub(gutter + MARGIN);
        let bars = usize::try_from(values.isqrt() * 2).unwrap_or(usize::MAX);
        let bar = (columns / bars.max(1)).clamp(1, WIDEST);
        Self { gutter, bar }
    }
}

/// The histograms with their common axis; nothing where there is no time.
pub(super) fn lines(subjects: &[Subject<'_>], place: Place, style: &Style) -> Vec<Line> {
    let Place { gutter, bar } = place;
    let bins = (style.columns() - gutter - MARGIN) / bar * bar;
    let times = subjects.iter().flat_map(|subject| &subject.times);
    let Some(axis) = Axis::over(times.map(|(time, _)| *time), bins) else {
        return Vec::new();
    };
    let height = if subjects.len() <= FEW { 2 } else { 1 };
    let mut lines = Vec::new();
    for subject in subjects {
        lines.extend(bars(subject, axis, place, height));
        lines.extend(subject.percentiles.map(|times| {
            let mut line = Line::default();
            line.pad(gutter);
            line.append(&percentiles(times, axis));
            line
        }));
    }
    lines.extend(scale(axis, gutter));
    lines
}

/// One subject's bars, `height` cells high, the name beside the lowest.
fn bars(subject: &Subject<'_>, axis: Axis, place: Place, height: usize) -> Vec<Line> {
    let Place { gutter, bar } = place;
    let mut counts = axis.count(&subject.times);
    let total = counts.iter().sum();
    for bar in counts.chunks_mut(bar) {
        let sum = bar.iter().sum();
        bar.fill(sum);
    }
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let levels = height as u64 * 8;
    // What is not nothing is seen.
    let level = |count: u64| (count * levels).div_ceil(most);
    let mut lines = Vec::new();
    for cell in (0..height).rev() {
        let below = cell as u64 * 8;
        let mut line = Line::default();
        if cell == 0 {
            line.push_fit(Paint::Heading, subject.title, gutter - 1);
        } else if cell + 1 == height {
            line.push_fit(Paint::Faint, &counted(total, subject.unit), gutter - 1);
        }
        line.pad(gutter);
        for count in &counts {
            let filled = level(*count).saturating_sub(below).min(8);
            let block = usize::try_from(filled)
                .ok()
                .and_then(|filled| filled.checked_sub(1));
            let glyph = block.map_or(' ', |block| BLOCKS[block.min(7)]);
            line.push(Paint::Good, &glyph.to_string());
        }
        lines.push(line);
    }
    lines
}

/// The marks below the bars; marks that would touch are one.
fn percentiles(times: [Duration; 3], axis: Axis) -> Line {
    let marks = times.into_iter().zip(["50", "90", "99"]);
    let mut placed: Vec<(usize, String)> = Vec::new();
    for (time, name) in marks {
        let column = axis.bin(time);
        match placed.last_mut() {
            Some((start, text)) if *start + glyph::width(text) + 2 > column => {
                text.push(' ');
                text.push_str(name);
            }
            _ => placed.push((column, format!("│{name}"))),
        }
    }
    let mut line = Line::default();
    for (column, text) in placed {
        line.pad(column);
        line.push(Paint::Faint, &text);
    }
    line
}

/// The axis with as many of its round times as have room.
fn scale(axis: Axis, gutter: usize) -> [Line; 2] {
    let (mut rule, mut labels) = (Line::default(), Line::default());
    rule.pad(gutter);
    let mut columns = vec!['─'; axis.bins];
    for (column, text) in axis.ticks() {
        columns[column] = '┴';
        let start = gutter + column;
        let fits = start + glyph::width(&text) <= gutter + axis.bins;
        if fits && (labels.width() == 0 || labels.width() + 2 <= start) {
            labels.pad(start);
            labels.push(Paint::Faint, &text);
        }
    }
    rule.push(Paint::Faint, &columns.into_iter().collect::<String>());
    [rule, labels]
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn bins_are_within_the_axis_and_grow_by_one_factor() {
        let axis = Axis::over([MS, MS * 100].into_iter(), 20).expect("two latencies");
        assert_eq!(axis.bin(MS), 0);
        assert_eq!(axis.bin(MS * 10), 10);
        assert_eq!(axis.bin(MS * 100), 19);
        assert_eq!(axis.bin(Duration::ZERO), 0);
        let ticks: Vec<_> = axis.ticks().into_iter().map(|(_, text)| text).collect();
        let round = ["1 ms", "2 ms", "5 ms", "10 ms", "20 ms", "50 ms", "100 ms"];
        assert_eq!(ticks, round);
    }

    #[test]
    fn one_latency_stands_in_the_middle() {
        let axis = Axis::over([MS].into_iter(), 21).expect("a latency");
        assert_eq!(axis.bin(MS), 10);
        assert!(Axis::over(std::iter::empty(), 21).is_none());
    }
}
