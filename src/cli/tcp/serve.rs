//! `socklab tcp listen --model` and `--serve`: many clients at once, in the way
//! that was chosen, or by a server that knows each of them, as typed.
//!
//! Owns what the options mean together; how clients are served is the engine's.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;

use super::tool::ToolArgs;
use crate::cli::interrupt::left_to_this_thread;
use crate::cli::output::{Colour, unwritten, whole};
use crate::cli::packets::Packets;
use crate::error::Error;
use crate::event::{Place, Told};
use crate::pipe::say;
use crate::recorder::Recorder;
use crate::report::{self, Style};
use crate::serve::registry::{self, Console, Happening, House, Order};
use crate::serve::{Asked, Entrance, Families, Journal, Model, Names, Service, Stop, Terms, Watch};
use crate::tcp::listen::{Listen, Stack};

/// What the listener's other options ask for.
pub(super) struct Shared<'a> {
    pub(super) tool: &'a ToolArgs,
    pub(super) config: &'a Listen,
    /// Clients at once, where so many were asked for.
    pub(super) most: Option<usize>,
    /// The built-in service, where one was asked for.
    pub(super) service: Option<Service>,
}

/// Options of a listener that serves many clients.
#[derive(Debug, clap::Args)]
pub(super) struct ServeArgs {
    /// Serve many clients at once, in this way: one after another, a process, a
    /// thread or a task each, a fixed pool of threads, or a loop over poll(2),
    /// epoll(7) or io_uring(7).
    #[arg(long, value_name = "MODEL", group = "manner", value_parser = model())]
    model: Option<Model>,

    /// What --model does with each client (RFC 862, 863, 864, 867); echo where
    /// nothing else is asked for.
    #[arg(long, value_name = "SERVICE", requires = "model", conflicts_with = "built-in",
          value_parser = service())]
    service: Option<Service>,

    /// Know each client: show who comes, what they say and who leaves, and take
    /// orders on standard input (`help` lists them). A client may say who it is:
    /// `/name TEXT`.
    #[arg(long, group = "manner")]
    serve: bool,

    /// Take --serve's orders and tell what happens as JSON Lines.
    #[arg(long, requires = "serve")]
    control: bool,

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
    pub(super) fn run(&self, shared: &Shared<'_>, colour: Colour) -> Result<ExitCode, Error> {
        let model = self.model.unwrap_or(Model::Epoll);
        self.refuse(shared)?;
        let stop = Stop::on_signals().map_err(|error| Error::new("sigaction", "SIGINT", error))?;
        if self.measured {
            prctl::set_pdeathsig(Signal::SIGKILL)
                .map_err(|errno| Error::new("prctl", "PR_SET_PDEATHSIG", errno))?;
        }
        allow_descriptors(self.descriptors)?;
        let telling = shared.tool.telling.begin(colour);
        let recorder = telling.recorder(Place::Server);
        let entrance = Entrance::open(&self.asked(shared, model), model, &recorder)?;
        let tells = shared.tool.telling.tells_steps();
        let watch = tells.then(|| Watch::new(recorder.clone(), names(model)));
        let packets = if shared.tool.telling.packets {
            left_to_this_thread(|| Packets::at(&[entrance.address], &recorder))
        } else {
            Packets::default()
        };
        let log = recorder.clone();
        let journal = Journal::new(move |line| log.note(line));
        let terms = Terms {
            service: self.service.or(shared.service).unwrap_or(Service::Echo),
            stop: &stop,
            journal: &journal,
            most: self.most(shared),
            workers: self.workers(model),
            recorder: &recorder,
            watch: watch.as_ref(),
            options: &shared.config.options,
            admission: &shared.config.admission,
            patience: PATIENCE,
        };
        if self.serve {
            announce(&entrance, &recorder, tells, "help lists the orders");
            let counts = self.host(&entrance, &terms, (shared, colour));
            packets.finish();
            telling.conclude("tcp listen", &counts?);
            return Ok(ExitCode::SUCCESS);
        }
        let what = format!("{}, {}", terms.service, model.meaning());
        announce(&entrance, &recorder, tells, &what);
        let served = model.serve(&entrance, &terms);
        packets.finish();
        let served = served?;
        if self.measured {
            let line = serde_json::to_string(&served).map_err(|error| unwritten(error.into()))?;
            writeln!(io::stdout(), "{line}").map_err(unwritten)?;
        } else {
            recorder.note(sum(&served.accepted));
        }
        telling.conclude("tcp listen", &served);
        Ok(ExitCode::SUCCESS)
    }

    fn asked<'a>(&self, shared: &Shared<'a>, model: Model) -> Asked<'a> {
        Asked {
            addresses: &shared.config.addresses,
            families: match shared.config.stack {
                Stack::Dual => Families::Both,
                Stack::Single => Families::One,
            },
            options: &shared.config.options,
            backlog: shared.config.backlog,
            workers: self.workers(model),
        }
    }

    fn most(&self, shared: &Shared<'_>) -> usize {
        shared.most.unwrap_or(match self.model {
            _ if self.serve => GUESTS,
            Some(Model::Fork) => CHILDREN,
            _ => usize::MAX,
        })
    }

    /// Refuses what was asked for and cannot be had in this manner, and says why
    /// and what to do instead.
    fn refuse(&self, shared: &Shared<'_>) -> Result<(), Error> {
        let manner = match self.model {
            Some(model) => format!("--model {model}"),
            None => "--serve".to_owned(),
        };
        let refusals = if self.serve {
            of_a_registry(shared)
        } else {
            of_a_model(shared, self.model)
        };
        judge(refusals, &manner)
    }

    fn host(
        &self,
        entrance: &Entrance,
        terms: &Terms<'_>,
        (shared, colour): (&Shared<'_>, Colour),
    ) -> Result<registry::Counts, Error> {
        let output = shared.tool.output.as_deref();
        let (mut out, style, output_name): (Box<dyn Write>, _, _) = match output {
            None => (
                Box::new(io::stdout()),
                colour.style(),
                "standard output".into(),
            ),
            Some(path) => {
                let file = File::create(path);
                let file = file.map_err(|error| Error::new("create", path.display(), error))?;
                (Box::new(file), Style::default(), path.display().to_string())
            }
        };
        let house = House {
            console: Console {
                lines: Box::new(BufReader::new(io::stdin())),
                read: if self.control {
                    Order::json
                } else {
                    Order::typed
                },
            },
            output_name,
            line_end: if shared.tool.crlf { "\r\n" } else { "\n" },
            idle: shared.tool.idle_timeout,
            alone: shared.config.timeout,
        };
        let mut tell = |at, happening: &Happening| {
            if self.control {
                report::serve::json(&mut out, at, happening)
            } else {
                report::serve::text(&mut out, at, happening, &style)
            }
        };
        registry::host(entrance, terms, house, &mut tell)
    }

    fn workers(&self, model: Model) -> usize {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        self.workers.unwrap_or(match model {
            Model::Pool => POOL,
            _ => processors,
        })
    }
}

/// Says where it listens.
fn announce(entrance: &Entrance, recorder: &Recorder, tells: bool, what: &str) {
    let local = entrance.address;
    if tells {
        say(recorder, "listener", Told::Listening { local });
        recorder.note(what);
    } else {
        note!("listening on {local}; {what}");
    }
}

/// A process that is to fork may have no other threads.
fn names(model: Model) -> Names {
    match model {
        Model::Fork => Names::Left,
        _ => Names::Asked,
    }
}

/// An option that does not go with another.
struct Refusal {
    is_due: bool,
    flag: &'static str,
    why: &'static str,
    remedy: &'static str,
}

/// The first of these that is due, as an error.
fn judge(refusals: Vec<Refusal>, manner: &str) -> Result<(), Error> {
    match refusals.into_iter().find(|refusal| refusal.is_due) {
        None => Ok(()),
        Some(refusal) => {
            let flags = format!("{} with {manner}", refusal.flag);
            Err(Error::new(flags, "", refusal.why).remedy(refusal.remedy))
        }
    }
}

/// Refuses what a service that answers by itself has no use for.
pub(super) fn refuse_beside_a_service(tool: &ToolArgs, service: Service) -> Result<(), Error> {
    let manner = match service {
        Service::Echo => "--echo",
        Service::Discard => "--discard",
        Service::Chargen => "--chargen",
        Service::Daytime => "--daytime",
    };
    judge(of_a_service(tool), manner)
}

fn of_a_registry(shared: &Shared<'_>) -> Vec<Refusal> {
    vec![
        Refusal {
            is_due: shared.service.is_some(),
            flag: "a built-in service",
            why: "it is the operator who answers",
            remedy: "leave one of them out; --model MODEL serves many clients without an operator",
        },
        Refusal {
            is_due: shared.tool.line_delay.is_some(),
            flag: "--line-delay",
            why: "it never waits for one client while others are there",
            remedy: "leave it out; without --serve, one client after another is spoken to",
        },
    ]
}

fn of_a_model(shared: &Shared<'_>, model: Option<Model>) -> Vec<Refusal> {
    let tool = shared.tool;
    let mut refusals = of_a_service(tool);
    refusals.extend(of_each_model(shared, model));
    refusals
}

fn of_a_service(tool: &ToolArgs) -> Vec<Refusal> {
    vec![
        Refusal {
            is_due: tool.output.is_some(),
            flag: "--output",
            why: "a service answers its clients and writes nothing besides",
            remedy: "leave it out; --serve --output FILE keeps what clients say",
        },
        Refusal {
            is_due: tool.crlf || tool.line_delay.is_some(),
            flag: if tool.crlf { "--crlf" } else { "--line-delay" },
            why: "a service sends no lines that were typed here",
            remedy: "leave it out; --serve sends lines",
        },
    ]
}

fn of_each_model(shared: &Shared<'_>, model: Option<Model>) -> [Refusal; 5] {
    let tool = shared.tool;
    [
        Refusal {
            is_due: tool.idle_timeout.is_some(),
            flag: "--idle-timeout",
            why: "a model waits for each client as long as it stays",
            remedy: "leave out --model: `tcp listen --echo --idle-timeout TIME` ends the idle ones",
        },
        Refusal {
            is_due: shared.config.timeout.is_some(),
            flag: "--listen-timeout",
            why: "a model serves until it is stopped",
            remedy: "leave out --model: `tcp listen --echo --listen-timeout TIME` gives up",
        },
        Refusal {
            is_due: tool.telling.packets && model == Some(Model::Fork),
            flag: "--packets",
            why: "a capture is a thread, and a process that forks may have no other",
            remedy: "run `tcpdump -ni any tcp` beside it, or take --model thread",
        },
        Refusal {
            is_due: tool.telling.trace && model == Some(Model::Async),
            flag: "--trace",
            why: "tokio makes the system calls, out of this program's sight",
            remedy: "-v tells each step; for the calls take --model epoll",
        },
        Refusal {
            is_due: tool.telling.trace && model == Some(Model::IoUring),
            flag: "--trace",
            why: "there are no system calls to record: the kernel takes them from a ring",
            remedy: "-v tells each step; for the calls take --model epoll",
        },
    ]
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
