//! How a ping run's output begins: what excludes what, what is opened when, and
//! which sinks a run has.
//!
//! The port for scrapes is bound while there are still privileges and the
//! machine's own network is at hand; files are opened and threads started after
//! privileges are dropped.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::{Face, HeldBack, Output, OutputArgs, Stream, Text, When};
use crate::cli::output::Colour;
use crate::cli::ping::Args;
use crate::cli::ping::scrape::{Scrape, ScrapeAddress};
use crate::cli::ping::screen::Screen;
use crate::error::Error;
use crate::event::{Sink, Tee};
use crate::ping::Signals;
use crate::recorder::Clock;
use crate::report::json::JsonLines;
use crate::report::ping::closing::{Closing, Pictures};
use crate::report::ping::csv::CsvLines;
use crate::report::ping::{Detail, Extras, Layout, PingText};

/// What had to be opened before privileges are dropped and a private network is
/// entered.
#[must_use]
pub(in crate::cli::ping) struct Opened {
    listener: Option<TcpListener>,
}

impl Args {
    /// The same, shown in this colour.
    #[must_use]
    pub(in crate::cli) fn coloured(mut self, colour: Colour) -> Self {
        self.output.colour = colour;
        self
    }
}

impl OutputArgs {
    /// Refuses what cannot be had together, and binds the port for scrapes. To
    /// be called before [`Ground`](crate::cli::ping::ground::Ground) is entered.
    pub(in crate::cli::ping) fn open(&self) -> Result<Opened, Error> {
        self.refuse_two_on_standard_output()?;
        if self.graph && !io::stdout().is_terminal() {
            let cause = "standard output is not a terminal";
            let remedy = "--csv FILE and --json write the same for programs";
            return Err(Error::new("draw", "--graph", cause).remedy(remedy));
        }
        let listener = self.prometheus.map(ScrapeAddress::bind).transpose()?;
        Ok(Opened { listener })
    }

    fn refuse_two_on_standard_output(&self) -> Result<(), Error> {
        let others = [
            (self.json, "--json"),
            (self.graph, "--graph"),
            (self.hex, "--hex"),
            (self.histogram, "--histogram"),
            (self.stats == When::Always, "--stats"),
        ];
        let other = others.iter().find(|(is_asked, _)| *is_asked);
        match (self.csv_on_standard_output(), other) {
            (true, Some((_, other))) => {
                let cause = format!("{other} writes to standard output too");
                Err(Error::new("write", "--csv -", cause).remedy("give --csv a file"))
            }
            _ => Ok(()),
        }
    }

    fn csv_on_standard_output(&self) -> bool {
        self.csv.as_deref() == Some(Path::new("-"))
    }

    fn closing(&self, args: &Args) -> Option<Arc<Closing>> {
        if self.json || self.csv_on_standard_output() {
            return None;
        }
        let pictures = Pictures {
            stats: match self.stats {
                When::Always => true,
                When::Never => false,
                When::Auto => !args.quiet && io::stdout().is_terminal(),
            },
            histogram: self.histogram,
        };
        let closing = Closing::of(pictures);
        // Neither shows each packet, and a flood has many.
        let closing = if args.quiet || args.ping.flood {
            closing.of_figures_alone()
        } else {
            closing
        };
        (pictures != Pictures::default()).then(|| Arc::new(closing))
    }
}

impl Opened {
    /// The output of a run against one host.
    pub(in crate::cli::ping) fn for_host(
        self,
        args: &Args,
        mut layout: Layout,
        clock: Clock,
        signals: &Signals,
    ) -> Result<Output, Error> {
        if args.output.graph {
            layout.detail = Detail::Summary;
            layout.extras = Extras::default();
        }
        self.with_text(args, clock, signals, move |out, err, stop| {
            Arc::new(PingText::new(layout, out, err, stop))
        })
    }

    /// The output of a run whose text is `text`, over standard output and error
    /// or what stands for them. `clock` starts with the run.
    pub(in crate::cli::ping) fn with_text(
        self,
        args: &Args,
        clock: Clock,
        signals: &Signals,
        text: impl FnOnce(Stream, Stream, Arc<AtomicBool>) -> Arc<dyn Text>,
    ) -> Result<Output, Error> {
        let asked = &args.output;
        let stop = signals.stop_flag();
        let csv = match &asked.csv {
            Some(path) => Some(begin_csv(path, clock, &stop)?),
            None => None,
        };
        let closing = asked.closing(args);
        let scrape = self.listener.map(|listener| Scrape::serve(listener, clock));
        let scrape = scrape.transpose()?;
        let face = if asked.json {
            Face::Json(Arc::new(JsonLines::new(io::stdout(), stop)))
        } else if asked.graph {
            let held_back = HeldBack::default();
            let text = text(Box::new(held_back.clone()), Box::new(io::sink()), stop);
            Face::Graph(Screen::open(clock, asked.colour.style())?, text, held_back)
        } else if asked.csv_on_standard_output() {
            Face::Csv
        } else {
            Face::Text(text(Box::new(io::stdout()), Box::new(io::stderr()), stop))
        };
        let mut sinks: Vec<Arc<dyn Sink>> = Vec::new();
        sinks.extend(
            csv.iter()
                .map(|(lines, _)| Arc::clone(lines) as Arc<dyn Sink>),
        );
        sinks.extend(closing.iter().map(|one| Arc::clone(one) as Arc<dyn Sink>));
        sinks.extend(
            scrape
                .iter()
                .map(|scrape| scrape.metrics() as Arc<dyn Sink>),
        );
        // Last: whoever has seen a line finds it counted.
        sinks.extend(face.sinks());
        Ok(Output {
            face,
            csv,
            closing,
            scrape,
            colour: asked.colour,
            tee: Tee::new(sinks),
        })
    }
}

impl Face {
    fn sinks(&self) -> Vec<Arc<dyn Sink>> {
        match self {
            Face::Text(text) => vec![Arc::clone(text) as Arc<dyn Sink>],
            Face::Graph(screen, text, _) => vec![screen.sink(), Arc::clone(text) as Arc<dyn Sink>],
            Face::Json(json) => vec![Arc::clone(json) as Arc<dyn Sink>],
            Face::Csv => Vec::new(),
        }
    }
}

type Csv = (Arc<CsvLines<Stream>>, String);

fn begin_csv(path: &PathBuf, clock: Clock, stop: &Arc<AtomicBool>) -> Result<Csv, Error> {
    let (out, name): (Stream, String) = if path == Path::new("-") {
        (Box::new(io::stdout()), "standard output".to_owned())
    } else {
        let file = File::create(path).map_err(|cause| {
            Error::new("create", path.display(), cause)
                .remedy("--csv needs a path in a folder that you may write to")
        })?;
        (Box::new(file), path.display().to_string())
    };
    let lines = CsvLines::begin(out, clock.wall_origin(), Arc::clone(stop));
    Ok((Arc::new(lines), name))
}
