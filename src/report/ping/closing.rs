//! What is shown after a ping run: the figures that `ping(8)` has none for, and
//! how the round trips are spread.
//!
//! Takes the run's events and keeps what it shows, of a bounded number of hosts;
//! writes nothing before it is asked.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use super::ledger::Ledger;
use super::{histogram, stats};
use crate::event::{Echo, EchoSummary, Event, Sink, Topic, What};
use crate::report::Style;
use crate::report::figure::counted;
use crate::report::style::Paint;
use crate::report::table;

/// Of more hosts nothing is kept.
const MOST_HOSTS: usize = 1000;

/// Which pictures are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pictures {
    /// The figures.
    pub stats: bool,
    /// The histograms.
    pub histogram: bool,
}

/// Keeps what the closing pictures show.
#[derive(Debug)]
pub struct Closing {
    pictures: Pictures,
    topic: Topic,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    ledger: Ledger,
    summaries: Vec<EchoSummary>,
    not_shown: u64,
}

/// One host as the pictures have it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Host<'a> {
    pub(super) summary: &'a EchoSummary,
    pub(super) account: &'a super::ledger::Account,
}

impl Closing {
    /// Takes every event.
    pub fn of(pictures: Pictures) -> Self {
        Self {
            pictures,
            topic: Topic::Echo,
            kept: Mutex::default(),
        }
    }

    /// Takes the figures alone, so that a run that shows nothing else makes no
    /// event of each packet; what the clocks made of the replies is not shown.
    #[must_use]
    pub fn of_figures_alone(self) -> Self {
        let topic = if self.pictures.histogram {
            Topic::Echo
        } else {
            Topic::EchoFigures
        };
        Self { topic, ..self }
    }

    /// Writes the pictures of the runs that have ended.
    pub fn render(&self, out: &mut impl Write, style: &Style) -> io::Result<()> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let hosts = kept.summaries.iter().filter_map(|summary| {
            let account = kept.ledger.account(summary.target.index)?;
            Some(Host { summary, account })
        });
        let hosts: Vec<Host<'_>> = hosts.collect();
        let mut lines = Vec::new();
        if self.pictures.stats {
            lines.extend(stats::lines(&hosts, style));
        }
        if self.pictures.histogram {
            lines.extend(histogram::lines(&hosts, style));
        }
        if kept.not_shown > 0 && !lines.is_empty() {
            let text = format!("{} more are not shown.", counted(kept.not_shown, "host"));
            lines.extend(table::sentence(Paint::Faint, &text, style));
        }
        lines.iter().try_for_each(|line| line.write(out, style))
    }
}

impl Sink for Closing {
    fn wants(&self, topic: Topic) -> bool {
        topic == self.topic || topic == Topic::EchoFigures
    }

    fn record(&self, event: &Event<'_>) {
        let What::Echo(echo) = &event.what else {
            return;
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(echo, Echo::Started(_)) && kept.ledger.accounts().count() >= MOST_HOSTS {
            kept.not_shown += 1;
            return;
        }
        kept.ledger.record(event.at, echo);
        if let Echo::Summary(summary) = echo
            && kept.ledger.account(summary.target.index).is_some()
        {
            kept.summaries.push(summary.as_ref().clone());
        }
    }
}

#[cfg(test)]
mod tests;
