//! The concurrency models side by side: tables for people, the same as a page,
//! and the figures for programs.
//!
//! Each table answers one question, a row a model, so that all fit 80 columns.

use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;

use super::figure::{counted, duration, grouped, percent, rate};
use super::html;
use super::style::{Paint, Style};
use super::table::{self, Align};
use crate::serve::Model;
use crate::serve::measure::{Config, Latency, Measured, Seated};

/// One model's figures, or why there are none.
pub type Entry = (Model, Result<Measured, String>);

/// What is shown.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// What was measured,
    pub config: &'a Config,
    /// and where.
    pub place: &'a str,
    /// The models in their order.
    pub models: &'a [Entry],
}

/// One table: its heading, its columns, its rows, and what to see in it.
pub(super) struct Sheet {
    pub(super) title: String,
    pub(super) head: Vec<(&'static str, Align)>,
    pub(super) rows: Vec<Vec<String>>,
    pub(super) lesson: &'static str,
}

/// Writes the tables.
pub fn render(out: &mut impl Write, shown: &Shown<'_>, style: &Style) -> io::Result<()> {
    for sheet in shown.sheets() {
        let head = table::heading(&sheet.title, style);
        let body = table::table(&sheet.head, &sheet.rows, style);
        let lesson = table::sentence(Paint::Faint, sheet.lesson, style);
        for line in head.iter().chain(&body).chain(&lesson) {
            line.write(out, style)?;
        }
    }
    for failure in shown.failures() {
        for line in table::sentence(Paint::Failure, &format!("✗ {failure}"), style) {
            line.write(out, style)?;
        }
    }
    Ok(())
}

/// Writes the tables as a page that needs nothing else.
pub fn page(out: &mut impl Write, shown: &Shown<'_>) -> io::Result<()> {
    html::sheets(out, shown)
}

impl Shown<'_> {
    /// The tables, one a question.
    pub(super) fn sheets(&self) -> Vec<Sheet> {
        vec![
            self.churn(),
            self.crowd(),
            self.echo(),
            self.slow(),
            self.exhausted(),
        ]
    }

    /// What was measured, in a sentence.
    pub(super) fn setting(&self) -> String {
        format!(
            "{} at once, {} of 64 bytes each, on {}.",
            counted(self.config.clients as u64, "client"),
            counted(u64::from(self.config.messages), "message"),
            self.place
        )
    }

    /// Models that could not be measured, a sentence each.
    pub(super) fn failures(&self) -> impl Iterator<Item = String> {
        let failed = |(model, measured): &Entry| {
            let why = measured.as_ref().err()?;
            Some(format!("{model} could not be measured: {why}"))
        };
        self.models.iter().filter_map(failed)
    }

    fn rows(&self, cells: impl Fn(&Measured) -> Vec<String>) -> Vec<Vec<String>> {
        let measured = self
            .models
            .iter()
            .filter_map(|(_, measured)| measured.as_ref().ok());
        let row = |measured: &Measured| {
            let name = std::iter::once(measured.model.to_string());
            name.chain(cells(measured)).collect()
        };
        measured.map(row).collect()
    }

    fn churn(&self) -> Sheet {
        Sheet {
            title: "Connections opened, used once and closed".into(),
            head: head(&["connections", "failed", "queue", "overflows", "by worker"]),
            rows: self.rows(|it| {
                let spread: Vec<String> = it.spread.iter().map(|&count| grouped(count)).collect();
                let spread = if spread.len() > 1 {
                    spread.join(" / ")
                } else {
                    "–".into()
                };
                vec![
                    rate(it.churn.done, it.churn.took, "conn"),
                    grouped(it.churn.failed),
                    it.backlog
                        .map_or_else(|| "–".into(), |most| grouped(most.into())),
                    grouped(it.backlog_overflows),
                    spread,
                ]
            }),
            lesson: "A process costs most to begin, a thread less, a loop nothing. SO_REUSEPORT \
                     spreads by a hash, not by who is free.",
        }
    }

    fn crowd(&self) -> Sheet {
        Sheet {
            title: format!(
                "{} that stay",
                counted(self.config.clients as u64, "client")
            ),
            head: head(&[
                "answered",
                "processes",
                "threads",
                "descriptors",
                "memory/client",
            ]),
            rows: self.rows(|it| {
                vec![
                    seated(it.crowd),
                    grouped(it.cost.processes as u64),
                    grouped(it.cost.threads as u64),
                    grouped(it.cost.descriptors as u64),
                    kibibytes(it.cost.bytes_a_client),
                ]
            }),
            lesson: "Who is not answered is connected all the same: it waits in the kernel's \
                     queue for somebody to leave. Memory is PSS, without the kernel's own.",
        }
    }

    fn echo(&self) -> Sheet {
        Sheet {
            title: "Echoes: one client while the others are idle, then all at once".into(),
            head: head(&[
                "p50", "p99", "all p50", "p99", "echoes", "CPU each", "switches",
            ]),
            rows: self.rows(|it| {
                let loaded = it.loaded;
                vec![
                    time(it.idle, it.idle.p50),
                    time(it.idle, it.idle.p99),
                    time(loaded, loaded.p50),
                    time(loaded, loaded.p99),
                    rate(loaded.echoes, loaded.took, ""),
                    each(it.effort.cpu, loaded.echoes),
                    ratio(it.effort.context_switches, loaded.echoes),
                ]
            }),
            lesson: "CPU and context switches are the server's, for each echo when all clients \
                     ask at once: where threads share the work, each message switches to one.",
        }
    }

    fn slow(&self) -> Sheet {
        Sheet {
            title: "Beside a client that never reads, and one that says a byte at a time".into(),
            head: head(&[
                "never reads",
                "p50",
                "p99",
                "a byte",
                "p50",
                "p99",
                "neither p99",
            ]),
            rows: self.rows(|it| {
                let (slow, drip) = (it.beside_slow_echo, it.beside_dripper_echo);
                let alone = it.undisturbed_echo;
                vec![
                    seated(it.beside_slow),
                    time(slow, slow.p50),
                    time(slow, slow.p99),
                    seated(it.beside_dripper),
                    time(drip, drip.p50),
                    time(drip, drip.p99),
                    time(alone, alone.p99),
                ]
            }),
            lesson: "How many others are answered. Where a client has the server, or one of few \
                     threads, to itself, it need only stop reading, or be slow, to keep them out.",
        }
    }

    fn exhausted(&self) -> Sheet {
        let few = self.models.iter().find_map(|(_, it)| it.as_ref().ok());
        let few = few.map_or(0, |it| it.exhausted.descriptors);
        Sheet {
            title: format!("More clients than descriptors ({few} a process)"),
            head: head(&["answered", "CPU meanwhile", "answered later"]),
            rows: self.rows(|it| {
                let starved = it.exhausted;
                let left = starved.seated.came - starved.seated.answered;
                let later = match left {
                    0 => "nobody waited".to_owned(),
                    left => format!("{} of {left}", starved.answered_later),
                };
                let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
                vec![
                    seated(starved.seated),
                    percent(nanos(starved.cpu), nanos(starved.watched)),
                    later,
                ]
            }),
            lesson: "Whoever cannot be accepted waits, and is answered once others have left. \
                     Child processes have descriptors of their own; one at a time, or a pool, \
                     does not come to the limit.",
        }
    }
}

/// The head of a table whose first column is the model's name.
fn head(names: &[&'static str]) -> Vec<(&'static str, Align)> {
    let others = names.iter().map(|name| (*name, Align::Right));
    std::iter::once(("model", Align::Left))
        .chain(others)
        .collect()
}

fn seated(seated: Seated) -> String {
    format!(
        "{} of {}",
        grouped(seated.answered as u64),
        grouped(seated.came as u64)
    )
}

/// A time that was measured, if any was.
fn time(latency: Latency, time: Duration) -> String {
    match latency.echoes {
        0 => "–".to_owned(),
        _ => duration(time),
    }
}

fn each(time: Duration, count: u64) -> String {
    match u32::try_from(count) {
        Ok(count @ 1..) => duration(time / count),
        _ => "–".to_owned(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
fn ratio(part: u64, whole: u64) -> String {
    match whole {
        0 => "–".to_owned(),
        whole => format!("{:.2}", part as f64 / whole as f64),
    }
}

#[expect(clippy::cast_precision_loss, reason = "one digit is shown")]
fn kibibytes(bytes: u64) -> String {
    format!("{:.1} KiB", bytes as f64 / 1024.0)
}

/// The figures as programs read them.
#[derive(Serialize)]
struct All<'a> {
    clients: usize,
    messages_each: u32,
    models: Vec<One<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum One<'a> {
    Measured(&'a Measured),
    Failed { model: Model, failed: &'a str },
}

impl<'a> One<'a> {
    fn of((model, measured): &'a Entry) -> Self {
        match measured {
            Ok(measured) => Self::Measured(measured),
            Err(failed) => Self::Failed {
                model: *model,
                failed,
            },
        }
    }
}

impl Serialize for Shown<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let all = All {
            clients: self.config.clients,
            messages_each: self.config.messages,
            models: self.models.iter().map(One::of).collect(),
        };
        all.serialize(serializer)
    }
}
