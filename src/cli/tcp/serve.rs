//! `socklab tcp listen --model` and `--serve`: many clients at once, in the way
//! that was chosen, or by a server that knows each of them, as typed.
//!
//! Owns what the options mean together; how clients are served is the engine's.

use std::io::{BufReader, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;

use crate::cli::output::{Colour, unwritten, whole};
use crate::error::Error;
use crate::report;
use crate::serve::registry::{self, Console, Happening, Order};
use crate::serve::{Entrance, Families, Journal, Model, Service, Stop, Terms};
use crate::tcp::listen::{Listen, Stack};

/// The listener's options that are about one conversation, or about telling its
/// steps: a server of many does neither.
const CONVERSATIONS: [&str; 12] = [
    "keep_open",
    "max_connections",
    "listen_timeout",
    "output",
    "crlf",
    "line_delay",
    "idle_timeout",
    "options",
    "verbose",
    "trace",
    "packets",
    "json",
];

/// Options of a listener that serves many clients.
#[derive(Debug, clap::Args)]
pub(super) struct ServeArgs {
    /// Serve many clients at once, in this way: one after another, a process, a
    /// thread or a task each, a fixed pool of threads, or a loop over poll(2),
    /// epoll(7) or io_uring(7).
    #[arg(long, value_name = "MODEL", group = "manner",
          conflicts_with_all = CONVERSATIONS, value_parser = model())]
    model: Option<Model>,

    /// What --model does with each client (RFC 862, 863, 864, 867).
    #[arg(long, value_name = "SERVICE", default_value = "echo", requires = "model",
          value_parser = service())]
    service: Service,

    /// Know each client: show who comes, what they say and who leaves, and take
    /// orders on standard input (`help` lists them). A client may say who it is:
    /// `/name TEXT`.
    #[arg(long, group = "manner", conflicts_with = "built-in",
          conflicts_with_all = CONVERSATIONS)]
    serve: bool,

    /// Take --serve's orders and tell what happens as JSON Lines.
    #[arg(long, requires = "serve")]
    control: bool,

    /// Clients at once: with --serve 10 unless told otherwise, and one more is
    /// told so and closed; with --model one more waits in the kernel's queue.
    #[arg(long, value_name = "N", requires = "manner",
          allow_negative_numbers = true, value_parser = whole(1_usize, 1_000_000))]
    max_clients: Option<usize>,

    /// Threads of the models that have a fixed number of them; the default is 8
    /// for pool, else one for each processor.
    #[arg(long, value_name = "N", requires = "model",
          allow_negative_numbers = true, value_parser = whole(1_usize, 1024))]
    workers: Option<usize>,

    /// Allow so many descriptors (RLIMIT_NOFILE), to see what happens when they
    /// run out; the default is as many as the system lets this user have.
    #[arg(long, value_name = "N", requires = "manner",
          allow_negative_numbers = true, value_parser = whole(16_u64, 10_000_000))]
    descriptors: Option<u64>,

    /// Started to be measured: end with the parent, and say in JSON what was
    /// served.
    #[arg(long, hide = true, requires = "model")]
    measured: bool,
}

/// How long a client may take to receive what it is owed at the end.
const PATIENCE: Duration = Duration::from_secs(1);
/// Children at once, unless told otherwise: each is a process.
const CHILDREN: usize = 512;
/// Clients of a server that knows them, unless told otherwise.
const GUESTS: usize = 10;
/// Threads of a pool, unless told otherwise.
const POOL: usize = 8;

/// A model by its name.
pub(super) fn model() -> impl TypedValueParser<Value = Model> {
    PossibleValuesParser::new(Model::ALL.map(Model::name)).try_map(|name| name.parse::<Model>())
}

fn service() -> impl TypedValueParser<Value = Service> {
    PossibleValuesParser::new(Service::ALL.map(Service::name))
        .try_map(|name| name.parse::<Service>())
}

impl ServeArgs {
    /// Whether many clients are to be served.
    pub(super) fn is_asked_for(&self) -> bool {
        self.model.is_some() || self.serve
    }

    /// Serves clients on the first of the addresses until Ctrl-C.
    pub(super) fn run(&self, config: &Listen, colour: Colour) -> Result<ExitCode, Error> {
        let model = self.model.unwrap_or(Model::Epoll);
        let stop = Stop::on_signals().map_err(|error| Error::new("sigaction", "SIGINT", error))?;
        if self.measured {
            prctl::set_pdeathsig(Signal::SIGKILL)
                .map_err(|errno| Error::new("prctl", "PR_SET_PDEATHSIG", errno))?;
        }
        allow_descriptors(self.descriptors)?;
        let workers = self.workers(model);
        let families = match config.stack {
            Stack::Dual => Families::Both,
            Stack::Single => Families::One,
        };
        let entrance = Entrance::open((&config.addresses, families), model, workers)?;
        let address = entrance.address;
        let (service, meaning) = (self.service, model.meaning());
        let journal = Journal::new(|line| note!("{line}"));
        let terms = Terms {
            service,
            stop: &stop,
            journal: &journal,
            most: self.max_clients.unwrap_or(match model {
                _ if self.serve => GUESTS,
                Model::Fork => CHILDREN,
                _ => usize::MAX,
            }),
            workers,
            admission: &config.admission,
            patience: PATIENCE,
        };
        if self.serve {
            note!("listening on {address}; help lists the orders");
            self.host(&entrance, &terms, colour)?;
            return Ok(ExitCode::SUCCESS);
        }
        note!("listening on {address}; {service}, {meaning}");
        let served = model.serve(&entrance, &terms)?;
        if self.measured {
            let line = serde_json::to_string(&served).map_err(|error| unwritten(error.into()))?;
            writeln!(std::io::stdout(), "{line}").map_err(unwritten)?;
        } else {
            note!("{}", sum(&served.accepted));
        }
        Ok(ExitCode::SUCCESS)
    }

    fn host(&self, entrance: &Entrance, terms: &Terms<'_>, colour: Colour) -> Result<(), Error> {
        let console = Console {
            lines: Box::new(BufReader::new(std::io::stdin())),
            read: if self.control {
                Order::json
            } else {
                Order::typed
            },
        };
        let style = colour.style();
        let mut out = std::io::stdout();
        let mut tell = |at, happening: &Happening| {
            if self.control {
                report::serve::json(&mut out, at, happening)
            } else {
                report::serve::text(&mut out, at, happening, &style)
            }
        };
        registry::host(entrance, terms, console, &mut tell)
    }

    fn workers(&self, model: Model) -> usize {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        self.workers.unwrap_or(match model {
            Model::Pool => POOL,
            _ => processors,
        })
    }
}

/// `120 clients served; by worker 63, 57`.
fn sum(accepted: &[u64]) -> String {
    let total: u64 = accepted.iter().sum();
    let s = if total == 1 { "" } else { "s" };
    match accepted {
        [_] => format!("{total} client{s} served"),
        several => {
            let each: Vec<String> = several.iter().map(u64::to_string).collect();
            format!("{total} client{s} served; by worker {}", each.join(", "))
        }
    }
}

/// Sets how many descriptors this process may have: as many as were asked for,
/// else as many as it may give itself.
pub(super) fn allow_descriptors(asked: Option<u64>) -> Result<(), Error> {
    let failed = |errno| Error::new("setrlimit", "RLIMIT_NOFILE", errno);
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(failed)?;
    let wanted = asked.unwrap_or(hard);
    setrlimit(Resource::RLIMIT_NOFILE, wanted, hard.max(wanted))
        .map_err(|errno| failed(errno).remedy(format!("--descriptors can be up to {hard} here")))
}
