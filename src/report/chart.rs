//! How a TCP sender got on, drawn from its samples: the congestion window over
//! time with the slow-start threshold, the round trip, where the link lost a
//! packet, and in a sentence what held the sender back.
//!
//! Owns drawing and wording; every figure is a sample's.

use std::fmt::Write as _;
use std::time::Duration;

use super::figure::{counted, duration, percent};
use super::line::Line;
use super::style::{Paint, Style};
use super::table;
use crate::event::{CongestionState, Event, Fate, Limit, Sample, What};
use crate::flow::{Direction, FiveTuple};
use crate::packet::{Heading, Transport};

/// One sender.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    /// Which way it sends, in words.
    pub(super) name: &'a str,
    pub(super) direction: Direction,
    /// The connection as the sender names it.
    pub(super) connection: FiveTuple,
}

/// A sender's samples while it had anything under way, and the losses it met.
struct Course {
    samples: Vec<(Duration, Sample)>,
    losses: Vec<Duration>,
}

/// Fewer samples are told by the ladder.
const LEAST: usize = 20;

/// Rows of the graph.
const HEIGHT: usize = 6;

/// Columns left of the graph.
const GUTTER: usize = 12;

/// The blocks that fill an eighth to the whole of a cell.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The chart of one sender; nothing where there is too little to draw.
pub(super) fn lines(subject: Subject<'_>, events: &[Event<'_>], style: &Style) -> Vec<Line> {
    let course = Course::of(subject, events);
    if course.samples.len() < LEAST {
        return Vec::new();
    }
    let width = style.columns() - GUTTER - 1;
    let heading = format!("How the sender got on: {}", subject.name);
    let mut lines = table::heading(&heading, style);
    lines.extend(course.graph(width));
    lines.extend(course.loss_row(width));
    lines.extend(course.round_trip_row(width));
    lines.push(course.axis(width));
    for text in [Some(course.summary()), course.held_back()] {
        let said = text.map(|text| table::sentence(Paint::Plain, &text, style));
        lines.extend(said.unwrap_or_default());
    }
    lines
}

impl Course {
    fn of(subject: Subject<'_>, events: &[Event<'_>]) -> Self {
        let mut samples: Vec<(Duration, Sample)> = events
            .iter()
            .filter_map(|event| match &event.what {
                What::Sample(sample) if sample.connection == subject.connection => {
                    Some((event.at, *sample))
                }
                _ => None,
            })
            .collect();
        // A connection that waits tells nothing of the network, nor does one
        // that is being opened.
        let is_sending =
            |(_, sample): &(Duration, Sample)| sample.in_flight > 0 && !sample.rtt.is_zero();
        let first = samples.iter().position(is_sending).unwrap_or(samples.len());
        let end = samples
            .iter()
            .rposition(is_sending)
            .map_or(0, |last| last + 1);
        // The one after the last says when it was acknowledged.
        samples.truncate((end + 1).min(samples.len()));
        samples.drain(..first.min(samples.len()));
        let losses = events
            .iter()
            .filter_map(|event| match &event.what {
                What::Packet(packet) if packet.direction == subject.direction => {
                    let is_lost = matches!(packet.fate, Fate::Lost { .. });
                    let is_ours =
                        is_lost && port(&packet.bytes) == Some(subject.connection.local.port());
                    is_ours.then_some(packet.sent_at)
                }
                _ => None,
            })
            .collect();
        Self { samples, losses }
    }

    fn start(&self) -> Duration {
        self.samples.first().map_or(Duration::ZERO, |(at, _)| *at)
    }

    fn span(&self) -> Duration {
        let end = self.samples.last().map_or(Duration::ZERO, |(at, _)| *at);
        end.saturating_sub(self.start())
            .max(Duration::from_nanos(1))
    }

    /// The column of a time, among `width`.
    fn column(&self, at: Duration, width: usize) -> usize {
        let share = at.saturating_sub(self.start()).as_secs_f64() / self.span().as_secs_f64();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a column of a terminal"
        )]
        let column = (share * width as f64) as usize;
        column.min(width.saturating_sub(1))
    }

    /// The last sample up to the end of each column.
    fn columns(&self, width: usize) -> Vec<Sample> {
        let mut columns = Vec::with_capacity(width);
        let mut samples = self.samples.iter().peekable();
        let mut current = None;
        for column in 0..width {
            while let Some((_, sample)) =
                samples.next_if(|(at, _)| self.column(*at, width) <= column)
            {
                current = Some(*sample);
            }
            columns.extend(current);
        }
        columns
    }

    fn most(&self) -> u32 {
        let windows = self
            .samples
            .iter()
            .map(|(_, sample)| sample.congestion_window);
        windows.max().unwrap_or(1).max(1)
    }

    /// The congestion window as bars, the slow-start threshold as a line where
    /// it is above them.
    fn graph(&self, width: usize) -> Vec<Line> {
        let most = u64::from(self.most());
        let columns = self.columns(width);
        let eighths = |value: u32| u64::from(value) * (HEIGHT as u64) * 8 / most;
        let row = |row: usize| {
            let below = (HEIGHT - 1 - row) as u64 * 8;
            let mut line = gutter(&match row {
                0 => format!("cwnd {most}"),
                1 => "segments".to_owned(),
                _ => String::new(),
            });
            line.push(Paint::Faint, "│");
            for sample in &columns {
                let filled = eighths(sample.congestion_window)
                    .saturating_sub(below)
                    .min(8);
                let threshold = sample.slow_start_threshold.map(eighths);
                let is_threshold = threshold.is_some_and(|at| (below..below + 8).contains(&at));
                match usize::try_from(filled).unwrap_or(0).checked_sub(1) {
                    Some(block) => line.fill(bar(sample), BLOCKS[block], 1),
                    None if is_threshold => line.fill(Paint::Faint, '╌', 1),
                    None => line.fill(Paint::Plain, ' ', 1),
                }
            }
            line
        };
        (0..HEIGHT).map(row).collect()
    }

    fn loss_row(&self, width: usize) -> Option<Line> {
        let end = self.start() + self.span();
        let mut row = vec![' '; width];
        for at in &self.losses {
            if (self.start()..=end).contains(at) {
                row[self.column(*at, width)] = '✗';
            }
        }
        row.contains(&'✗').then(|| {
            let mut line = gutter("lost");
            line.push(Paint::Faint, "│");
            let row: String = row.into_iter().collect();
            line.push(Paint::Failure, row.trim_end());
            line
        })
    }

    /// From the shortest round trip to the longest.
    fn round_trip_row(&self, width: usize) -> Option<Line> {
        let (least, most) = self.round_trips()?;
        let spread = most.saturating_sub(least).as_nanos();
        let mut line = gutter("round trip");
        line.push(Paint::Faint, "│");
        for sample in self.columns(width) {
            let above = sample.rtt.saturating_sub(least).as_nanos() * 7;
            let block = above.checked_div(spread).unwrap_or(0);
            let block = usize::try_from(block).unwrap_or(0).min(7);
            if sample.rtt.is_zero() {
                line.fill(Paint::Plain, ' ', 1);
            } else {
                line.fill(Paint::Plain, BLOCKS[block], 1);
            }
        }
        Some(line)
    }

    fn round_trips(&self) -> Option<(Duration, Duration)> {
        let measured = self.samples.iter().map(|(_, sample)| sample.rtt);
        let measured = measured.filter(|rtt| !rtt.is_zero());
        Some((measured.clone().min()?, measured.max()?))
    }

    fn axis(&self, width: usize) -> Line {
        let mut line = gutter("");
        line.push(Paint::Faint, "└");
        let end = format!(" {}", duration(self.span()));
        let room = width.saturating_sub(end.chars().count());
        line.fill(Paint::Faint, '─', room);
        line.push(Paint::Faint, &end);
        line
    }

    /// The figures in a sentence.
    fn summary(&self) -> String {
        let windows = self
            .samples
            .iter()
            .map(|(_, sample)| sample.congestion_window);
        let narrowest = windows.min().unwrap_or(0);
        let mut text = format!("Congestion window {narrowest} to {} segments", self.most());
        let end = self.samples.last().map(|(_, sample)| sample);
        if let Some(threshold) = end.and_then(|sample| sample.slow_start_threshold) {
            let _ = write!(text, ", slow-start threshold {threshold} at the end");
        }
        if let Some((shortest, longest)) = self.round_trips() {
            let (shortest, longest) = (duration(shortest), duration(longest));
            let _ = write!(text, "; round trip {shortest} to {longest}");
        }
        let before = self.samples.first().map(|(_, sample)| sample);
        let retransmits = |sample: Option<&Sample>| sample.map_or(0, |sample| sample.retransmits);
        let again = retransmits(end).saturating_sub(retransmits(before));
        if again > 0 {
            let _ = write!(text, "; {} sent again", counted(again.into(), "segment"));
        }
        for (state, one, several) in [
            (
                CongestionState::Recovery,
                "fast recovery",
                "fast recoveries",
            ),
            (CongestionState::Loss, "timeout", "timeouts"),
        ] {
            let _ = match self.entered(state) {
                0 => Ok(()),
                1 => write!(text, "; 1 {one}"),
                times => write!(text, "; {times} {several}"),
            };
        }
        text + "."
    }

    /// How often the sender came to judge the network so.
    fn entered(&self, state: CongestionState) -> usize {
        let is_in = |(_, sample): &(Duration, Sample)| sample.congestion_state == state;
        let pairs = self.samples.windows(2);
        pairs
            .filter(|pair| !is_in(&pair[0]) && is_in(&pair[1]))
            .count()
    }

    /// What held the sender back, by the time it did.
    fn held_back(&self) -> Option<String> {
        const LIMITS: [Limit; 4] = [
            Limit::CongestionWindow,
            Limit::ReceiveWindow,
            Limit::SendBuffer,
            Limit::Application,
        ];
        let time = |limit: Limit| -> Duration {
            let pairs = self.samples.windows(2);
            let limited = pairs.filter(|pair| pair[0].1.limited_by == Some(limit));
            limited
                .map(|pair| pair[1].0.saturating_sub(pair[0].0))
                .sum()
        };
        let mut times = LIMITS.map(|limit| (time(limit), limit));
        times.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        // Less than that is the time of a single look.
        let counts = |time: &Duration| nanoseconds(*time) * 100 >= nanoseconds(self.span());
        let mut said: Vec<String> = times
            .iter()
            .filter(|(time, _)| counts(time))
            .map(|(time, limit)| {
                let share = percent(nanoseconds(*time), nanoseconds(self.span()));
                format!("{limit} {share}")
            })
            .collect();
        *said.first_mut()? += " of the time";
        Some(format!("What held it back: {}.", said.join(", ")))
    }
}

/// A bar's paint: what the sender thought of the network then.
fn bar(sample: &Sample) -> Paint {
    match sample.congestion_state {
        CongestionState::Recovery | CongestionState::Loss => Paint::Warning,
        _ => Paint::Good,
    }
}

fn gutter(text: &str) -> Line {
    let mut line = Line::default();
    line.push_fit(Paint::Faint, text, GUTTER - 1);
    line.pad(GUTTER);
    line
}

/// A TCP segment's source port.
fn port(bytes: &[u8]) -> Option<u16> {
    match Heading::of(bytes)?.transport {
        Transport::Tcp { source, .. } => Some(source),
        _ => None,
    }
}
