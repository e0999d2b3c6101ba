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

use super::{Extent, Face, Figures, HeldBack, Output, OutputArgs, Stream, Text, When};
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
    /// How much JSON tells. The figures of a path are all that there is of it.
    fn extent(&self) -> Extent {
        if self.quiet && !self.is_path() {
            Extent::Figures
        } else {
            Extent::All
        }
    }

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

    /// What is asked for that is made of a series of replies.
    fn series(&self) -> Option<&'static str> {
        let series = [
            (self.graph, "--graph"),
            (self.csv.is_some(), "--csv"),
            (self.prometheus.is_some(), "--prometheus"),
            (self.histogram, "--histogram"),
            (self.stats == When::Always, "--stats"),
        ];
        let asked = series.into_iter().find(|(is_asked, _)| *is_asked);
        asked.map(|(_, option)| option)
    }

    /// Whether there is someone to tell of everything that happens.
    pub(in crate::cli::ping) fn tells_everything(&self) -> bool {
        self.json || self.series().is_some()
    }

    /// Whether the text makes way for a picture, and follows it.
    pub(in crate::cli::ping) const fn is_drawn(&self) -> bool {
        self.graph
    }

    /// Whether the running figures are served.
    pub(in crate::cli::ping) const fn is_scraped(&self) -> bool {
        self.prometheus.is_some()
    }

    /// Refuses what is drawn from a series of replies, for a way to ping that has
    /// none.
    pub(in crate::cli::ping) fn refuse_series(&self, way: &str) -> Result<(), Error> {
        match self.series() {
            Some(option) => {
                let cause = format!("not for {way}");
                Err(Error::new("ping", option, cause).remedy("--json tells all there is"))
            }
            None => Ok(()),
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
                // Of a sweep, fping's lines are enough.
                When::Auto => !args.quiet && !args.is_sweep() && io::stdout().is_terminal(),
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
        let is_drawn = args.output.graph;
        if is_drawn {
            layout.detail = Detail::Summary;
            layout.extras = Extras::default();
        }
        self.with_text(args, clock, signals, move |out, err, stop| {
            let err = if is_drawn { Box::new(io::sink()) } else { err };
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
            let lines = Arc::new(JsonLines::new(io::stdout(), stop));
            Face::Json(lines, args.extent())
        } else if asked.graph {
            let held_back = HeldBack::default();
            let (out, err) = (held_back.clone(), held_back.clone());
            let text = text(Box::new(out), Box::new(err), stop);
            Face::Graph(Screen::open(clock, asked.colour.style())?, text, held_back)
        } else if asked.csv_on_standard_output() {
            Face::Csv
        } else {
            Face::Text(text(Box::new(io::stdout()), Box::new(io::stderr()), stop))
        };
        let mut sinks: Vec<Arc<dyn Sink>> = Vec::new();
        sinks.extend(closing.iter().map(|one| Arc::clone(one) as Arc<dyn Sink>));
        sinks.extend(
            scrape
                .iter()
                .map(|scrape| scrape.metrics() as Arc<dyn Sink>),
        );
        // Last: whoever has seen a line finds it counted.
        sinks.extend(
            csv.iter()
                .map(|(lines, _)| Arc::clone(lines) as Arc<dyn Sink>),
        );
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
            Face::Json(json, Extent::All) => vec![Arc::clone(json) as Arc<dyn Sink>],
            Face::Json(json, Extent::Figures) => vec![Arc::new(Figures(Arc::clone(json)))],
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
