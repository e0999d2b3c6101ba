//! `socklab tcp models`: the concurrency models side by side, as typed.
//!
//! Owns the ground that they are measured on (a private host's loopback, or the
//! machine's) and where the figures go.

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::serve::model;
use crate::cli::output::{Colour, environment, unwritten, whole};
use crate::error::Error;
use crate::event::Silence;
use crate::link::{self, Link};
use crate::recorder::Clock;
use crate::report::json::JsonLines;
use crate::report::models::{self, Shown};
use crate::serve::measure::{Config, measure};
use crate::serve::{BACKLOG, Model, Stop};

/// Measure the ways to serve many clients, side by side.
///
/// Each way serves echoes in a process of its own, one after another, under the
/// same load: connections opened and closed, many clients idle and all at once,
/// one that sends and never reads, one that says a byte at a time, and more
/// clients than there are descriptors. Takes about three seconds a model.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  socklab tcp models                        all nine
  socklab tcp models --only thread,epoll    two of them
  socklab tcp models --clients 1000 --html models.html")]
pub(super) struct Args {
    /// Clients at once.
    #[arg(short, long, value_name = "N", default_value = "100",
          allow_negative_numbers = true, value_parser = whole(1_usize, 15_000))]
    clients: usize,

    /// Messages of 64 bytes that each of them sends.
    #[arg(short, long, value_name = "N", default_value = "100",
          allow_negative_numbers = true, value_parser = whole(1_u32, 1_000_000))]
    messages: u32,

    /// Let so many connections wait to be accepted, as far as
    /// net.core.somaxconn allows.
    #[arg(long, value_name = "N", default_value_t = BACKLOG,
          allow_negative_numbers = true, value_parser = whole(0_i32, i32::MAX))]
    backlog: i32,

    /// Measure only these.
    #[arg(long, value_name = "MODELS", value_delimiter = ',', value_parser = model())]
    only: Vec<Model>,

    /// Print JSON.
    #[arg(long)]
    json: bool,

    /// Write the figures as a page that needs nothing else.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Run on the machine's loopback interface instead of a private one.
    #[arg(long)]
    no_link: bool,
}

/// Runs the subcommand.
pub(super) fn run(args: &Args, colour: Colour) -> anyhow::Result<ExitCode> {
    let clock = Clock::start();
    let page = args.html.as_ref().map(|path| {
        let created = File::create(path);
        created.map_err(|error| Error::new("create", path.display(), error))
    });
    let page = page.transpose()?;
    let ground = Ground::prepare(args.no_link);
    let stop = Stop::on_signals().map_err(|error| Error::new("sigaction", "SIGINT", error))?;
    let config = args.config();
    let (place, figures) = ground.measure(config.clone(), stop)?;
    let shown = Shown {
        config: &config,
        place: &place,
        models: &figures,
    };
    if let (Some(page), Some(path)) = (page, &args.html) {
        let mut out = BufWriter::new(page);
        let written = models::page(&mut out, &shown).and_then(|()| out.flush());
        written.map_err(|error| Error::new("write", path.display(), error))?;
    }
    if args.json {
        let json = JsonLines::new(std::io::stdout(), Arc::new(AtomicBool::new(false)));
        json.result("tcp models", &environment(clock, place.clone()), &shown);
        json.into_result().map_err(unwritten)?;
    } else {
        let mut out = anstream::AutoStream::always(std::io::stdout()).lock();
        models::render(&mut out, &shown, &colour.style())?;
    }
    let is_any = figures.iter().any(|(_, measured)| measured.is_ok());
    Ok(ExitCode::from(if is_any { 0 } else { 2 }))
}

impl Args {
    fn config(&self) -> Config {
        Config {
            models: if self.only.is_empty() {
                Model::ALL.to_vec()
            } else {
                self.only.clone()
            },
            clients: self.clients,
            backlog: self.backlog,
            messages: self.messages,
        }
    }
}

/// Where it is measured.
enum Ground {
    /// On the loopback interface of a private host, whose counters nobody else
    /// moves.
    Private(Box<Link>),
    /// On the machine's.
    Loopback,
}

impl Ground {
    fn prepare(no_link: bool) -> Self {
        if no_link {
            return Self::Loopback;
        }
        let build = || {
            link::enter_private_user_namespace()?;
            Link::build(&link::Config::default(), Clock::start(), Arc::new(Silence))
        };
        match build() {
            Ok(link) => Self::Private(Box::new(link)),
            Err(error) => {
                note!("no private host, running on the machine's loopback: {error}");
                Self::Loopback
            }
        }
    }

    fn measure(self, config: Config, stop: Stop) -> Result<(String, Figures), Error> {
        Ok(match self {
            Self::Private(link) => {
                let figures = link.server().run(move || all(&config, &stop))?;
                ("private loopback".to_owned(), figures)
            }
            Self::Loopback => ("loopback".to_owned(), all(&config, &stop)?),
        })
    }
}

type Figures = Vec<models::Entry>;

fn all(config: &Config, stop: &Stop) -> Result<Figures, Error> {
    let program = std::env::current_exe()
        .map_err(|error| Error::new("find", "this program's own file", error))?;
    super::serve::allow_descriptors(None)?;
    let server = |model: Model, descriptors: Option<usize>| {
        let mut command = Command::new(&program);
        command.args(["tcp", "listen", "127.0.0.1:0", "--measured"]);
        command.args(["--model", model.name()]);
        command.args(["--backlog", &config.backlog.to_string()]);
        if let Some(descriptors) = descriptors {
            command.args(["--descriptors", &descriptors.to_string()]);
        }
        command
    };
    let mut figures = Vec::new();
    let is_watched = std::io::stderr().is_terminal();
    let mut tell = |model, measured: Result<_, Error>| {
        if is_watched {
            note!("{model} measured");
        }
        figures.push((model, measured.map_err(|error| error.to_string())));
    };
    measure(config, &server, stop, &mut tell);
    Ok(figures)
}
