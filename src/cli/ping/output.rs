//! Where a ping run's events go, as typed: text or JSON Lines or the graph on
//! standard output, a file of CSV, whoever scrapes the figures, and the pictures
//! at the end.
//!
//! Everything is a sink over the same events, so that all of them can be had at
//! once, but for two that would both write to standard output.

mod begin;

use std::io::{self, Stdout, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use clap::ValueEnum;
use serde::Serialize;

use super::scrape::{Scrape, ScrapeAddress};
use super::screen::Screen;
use crate::cli::output::{Colour, unwritten};
use crate::error::Error;
use crate::event::{Echo, Event, Sink, Tee, Topic, What};
use crate::report::json::{Environment, JsonLines};
use crate::report::ping::PingText;
use crate::report::ping::closing::Closing;
use crate::report::ping::csv::CsvLines;
use crate::report::ping::sweep::SweepText;

pub(super) use begin::Opened;

/// What is printed.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Output")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag that is typed"
)]
pub struct OutputArgs {
    /// Print requests and replies in hex
    #[arg(long, conflicts_with_all = ["quiet", "json"])]
    pub hex: bool,
    /// Print every event as a line of JSON, the summary last; with -q, only the
    /// beginning and the figures
    #[arg(long)]
    pub json: bool,
    /// After the summary, show percentiles, jitter, order, both clocks and the
    /// source; auto: on a terminal, unless -q is given
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "auto",
        conflicts_with = "json"
    )]
    stats: When,
    /// After the summary, show how the round trips are spread
    #[arg(long, conflicts_with = "json")]
    histogram: bool,
    /// Draw the round trips of all hosts as they come; q or Ctrl-C ends, space
    /// pauses
    #[arg(long, conflicts_with_all = ["json", "hex", "quiet"])]
    graph: bool,
    /// Write a line for each reply, loss and error to FILE (RFC 4180); `-`:
    /// standard output, instead of the text
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Serve the running figures at http://ADDR/metrics for Prometheus, such as
    /// 127.0.0.1:9427; without a host, on every address
    #[arg(long, value_name = "ADDR")]
    prometheus: Option<ScrapeAddress>,
    /// When to use colour, as the program as a whole was told.
    #[arg(skip = Colour::Auto)]
    pub(in crate::cli) colour: Colour,
}

/// When to show what `ping(8)` has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum When {
    /// On a terminal, unless -q is given.
    Auto,
    /// Always, in a pipe too.
    Always,
    /// Never.
    Never,
}

/// A rendering for people, on standard output and error.
pub(super) trait Text: Sink {
    /// The error that ended it, if one did. Nobody else holds it any longer.
    fn finish(self: Arc<Self>) -> io::Result<()>;
}

impl<Out: Write + Send, Err: Write + Send> Text for PingText<Out, Err> {
    fn finish(self: Arc<Self>) -> io::Result<()> {
        Arc::into_inner(self).map_or(Ok(()), PingText::into_result)
    }
}

impl<Out: Write + Send, Err: Write + Send> Text for SweepText<Out, Err> {
    fn finish(self: Arc<Self>) -> io::Result<()> {
        Arc::into_inner(self).map_or(Ok(()), SweepText::into_result)
    }
}

/// One of the process's streams, or what holds its text back.
pub(super) type Stream = Box<dyn Write + Send>;

/// What standard output shows.
enum Face {
    Text(Arc<dyn Text>),
    Graph(Screen, Arc<dyn Text>, HeldBack),
    Json(Arc<JsonLines<Stdout>>, Extent),
    Csv,
}

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Each packet.
    All,
    /// The run's beginning and its figures (`-q`).
    Figures,
}

/// Of a run's events the beginning and the figures.
struct Figures(Arc<JsonLines<Stdout>>);

impl Sink for Figures {
    fn wants(&self, topic: Topic) -> bool {
        topic == Topic::EchoFigures
    }

    fn record(&self, event: &Event<'_>) {
        if let What::Echo(
            Echo::Started(_) | Echo::Unresolved(_) | Echo::Status(_) | Echo::Summary(_),
        ) = &event.what
        {
            self.0.record(event);
        }
    }
}

/// The sinks of one run, and how they end.
pub(super) struct Output {
    face: Face,
    csv: Option<(Arc<CsvLines<Stream>>, String)>,
    closing: Option<Arc<Closing>>,
    scrape: Option<Scrape>,
    colour: Colour,
    tee: Tee,
}

/// How a run's output ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Everything was written.
    Whole,
    /// The reader has what it wanted: `head(1)`, say.
    ReaderGone,
}

impl Output {
    pub(super) fn sink(&self) -> &dyn Sink {
        &self.tee
    }

    /// The last line of JSON, where there are such lines.
    pub(super) fn result(&self, environment: &Environment, result: &impl Serialize) {
        if let Face::Json(json, _) = &self.face {
            json.result("ping", environment, result);
        }
    }

    /// Ends what is shown while the run goes on, and shows what comes after it.
    pub(super) fn finish(self) -> Result<Ending, Error> {
        drop(self.tee);
        drop(self.scrape);
        let written = self.face.finish().and_then(|()| match self.closing {
            Some(closing) => closing.render(&mut io::stdout().lock(), &self.colour.style()),
            None => Ok(()),
        });
        let csv = self.csv.map_or(Ok(Ending::Whole), |(lines, name)| {
            let lines = Arc::into_inner(lines).map_or(Ok(()), CsvLines::into_result);
            ending(lines, |cause| Error::new("write", name, cause))
        });
        match (ending(written, unwritten)?, csv?) {
            (Ending::Whole, Ending::Whole) => Ok(Ending::Whole),
            _ => Ok(Ending::ReaderGone),
        }
    }
}

fn ending(
    written: io::Result<()>,
    failed: impl FnOnce(io::Error) -> Error,
) -> Result<Ending, Error> {
    match written {
        Ok(()) => Ok(Ending::Whole),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Ending::ReaderGone),
        Err(error) => Err(failed(error)),
    }
}

impl Face {
    fn finish(self) -> io::Result<()> {
        match self {
            Face::Text(text) => text.finish(),
            Face::Json(json, _) => Arc::into_inner(json).map_or(Ok(()), JsonLines::into_result),
            Face::Csv => Ok(()),
            Face::Graph(screen, text, held_back) => {
                drop(screen);
                text.finish()?;
                held_back.release(&mut io::stdout().lock())
            }
        }
    }
}

/// Text that waits for the graph to leave the screen.
#[derive(Debug, Clone, Default)]
struct HeldBack(Arc<Mutex<Vec<u8>>>);

impl HeldBack {
    fn release(self, out: &mut impl Write) -> io::Result<()> {
        let text = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        out.write_all(&text)?;
        out.flush()
    }
}

impl Write for HeldBack {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
