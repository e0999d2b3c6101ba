//! `socklab ping --trace` and `--mtu`: what lies between here and the host.

mod refused;

use std::io::{self, Stdout};
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

use super::{Args, Ground};
use crate::cli::output::{environment, unwritten, whole};
use crate::error::Error;
use crate::event::{EchoSocket, EchoTraceEnd, Sink};
use crate::flow::Family;
use crate::ping::path::trace::Plan;
use crate::ping::path::{MtuConfig, TraceConfig, mtu_options, search_mtu, trace_path};
use crate::ping::{Naming, Signals, Target};
use crate::recorder::Clock;
use crate::report::json::JsonLines;
use crate::report::ping::{PathDetail, PathLayout, PathText};
use crate::socket::icmp::IcmpSocket;

/// How long a probe waits for an answer, where `-W` says nothing else.
const WAIT: Duration = Duration::from_secs(1);
/// Probes for each hop, and tries of each size, where `-c` says nothing else.
const PROBES: u8 = 3;
const MOST_PROBES: u64 = 100;

/// What to find out about the path.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "The path")]
pub struct PathArgs {
    /// Walk along the path, hop by hop: who is there, how far, what came back
    ///
    /// -c is the number of requests for each hop (3), -W how long each waits
    /// for an answer (1 second), -i the time from one request to the next, -w how
    /// long all of it may take.
    #[arg(long, conflicts_with = "mtu")]
    trace: bool,
    /// Find the largest packet that the path carries whole, and what limits it
    ///
    /// Sends requests with Don't Fragment set. -c is how often a size is tried
    /// before it counts as vanished (3), -W how long to wait (1 second).
    #[arg(long)]
    mtu: bool,
    /// The farthest hop to ask, with --trace and --mtu
    #[arg(long, value_name = "HOPS", default_value_t = 30, value_parser = whole(1, u8::MAX))]
    max_hops: u8,
}

impl PathArgs {
    /// Whether the path is asked about at all.
    pub(super) const fn is_asked(args: &Self) -> bool {
        args.trace || args.mtu
    }
}

/// What is asked about the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    Trace,
    Mtu,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Error> {
    let question = if args.path.trace {
        Question::Trace
    } else {
        Question::Mtu
    };
    args.refuse_meaningless(question)?;
    let mut ground = args.ground()?;
    let (host, family) = match &args.hosts[..] {
        [] => ground.server(args.family())?,
        [host] => (host.clone(), args.family()),
        several => {
            let error = Error::new("ping", several.join(" "), "several hosts are not one path");
            return Err(error.remedy("ask about one at a time"));
        }
    };
    let target = ground.resolve(&host, family)?;
    let socket = ground.take_socket(Family::of(target.address.ip()))?;
    let code = ask(args, question, target, &socket, &ground)?;
    drop(socket);
    ground.close()?;
    Ok(code)
}

fn ask(
    args: &Args,
    question: Question,
    target: Target,
    socket: &IcmpSocket,
    ground: &Ground,
) -> Result<ExitCode, Error> {
    let signals = Signals::install().map_err(|cause| Error::new("sigaction", "", cause))?;
    let output = Output::new(args, &signals);
    let answer = match question {
        Question::Trace => {
            let config = args.trace_config(target)?;
            if socket.kind() == EchoSocket::Raw {
                let admitted = socket.admit_errors();
                admitted.map_err(|cause| Error::new("setsockopt", "ICMP_FILTER", cause))?;
            }
            let trace = trace_path(&config, socket, &signals, output.sink())?;
            output.result("trace", ground, &trace);
            trace.end == EchoTraceEnd::Reached
        }
        Question::Mtu => {
            let config = args.mtu_config(target)?;
            let apply = socket.apply(&mtu_options());
            apply.map_err(|error| Error::new("setsockopt", error.option, error.cause))?;
            let mtu = search_mtu(&config, socket, &signals, output.sink())?;
            output.result("mtu", ground, &mtu);
            mtu.complete && mtu.mtu_bytes.is_some()
        }
    };
    match output.finish() {
        // The reader has what it wanted: head(1), say.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(unwritten(error)),
        Ok(()) if answer => Ok(ExitCode::SUCCESS),
        Ok(()) => Ok(ExitCode::FAILURE),
    }
}

impl Args {
    fn trace_config(&self, target: Target) -> Result<TraceConfig, Error> {
        Ok(TraceConfig {
            plan: Plan {
                most_hops: self.path.max_hops,
                probes: self.probes()?,
                wait: self.path_wait(),
                gap: self.path_gap(),
                ..Plan::default()
            },
            deadline: self.path_deadline(),
            payload_bytes: self.size,
            class: self.ping.class.unwrap_or_default(),
            naming: self.path_naming(),
            target,
        })
    }

    fn mtu_config(&self, target: Target) -> Result<MtuConfig, Error> {
        Ok(MtuConfig {
            deadline: self.path_deadline(),
            wait: self.path_wait(),
            tries: self.probes()?,
            most_hops: self.path.max_hops,
            naming: self.path_naming(),
            target,
        })
    }

    fn probes(&self) -> Result<u8, Error> {
        let asked = self.count.unwrap_or(PROBES.into());
        let few = u8::try_from(asked)
            .ok()
            .filter(|&few| u64::from(few) <= MOST_PROBES);
        few.ok_or_else(|| {
            let cause = format!("must be 1 to {MOST_PROBES} with --trace and --mtu");
            Error::new("ping", format!("-c {asked}"), cause)
        })
    }

    fn path_wait(&self) -> Duration {
        self.wait.unwrap_or(WAIT)
    }

    fn path_gap(&self) -> Duration {
        self.interval.unwrap_or_default()
    }

    fn path_deadline(&self) -> Option<Duration> {
        self.deadline.filter(|deadline| !deadline.is_zero())
    }

    fn path_naming(&self) -> Naming {
        if self.numeric {
            Naming::Numbers
        } else {
            Naming::Names
        }
    }
}

enum Output {
    Text(PathText<Stdout>),
    Json(JsonLines<Stdout>, Clock),
}

impl Output {
    fn new(args: &Args, signals: &Signals) -> Self {
        let stop = signals.stop_flag();
        if args.output.json {
            return Output::Json(JsonLines::new(io::stdout(), stop), Clock::start());
        }
        let layout = PathLayout {
            detail: match (args.quiet, args.output.hex) {
                (true, _) => PathDetail::Summary,
                (_, true) => PathDetail::Bytes,
                _ if args.ping.verbose => PathDetail::Steps,
                _ => PathDetail::Lines,
            },
            names: !args.numeric,
            style: args.output.colour.style(),
        };
        Output::Text(PathText::new(layout, io::stdout(), stop))
    }

    fn sink(&self) -> &dyn Sink {
        match self {
            Output::Text(text) => text,
            Output::Json(json, _) => json,
        }
    }

    fn result(&self, question: &str, ground: &Ground, answer: &impl Serialize) {
        if let Output::Json(json, clock) = self {
            json.result(question, &environment(*clock, ground.stage()), answer);
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Output::Text(text) => text.into_result(),
            Output::Json(json, _) => json.into_result(),
        }
    }
}
