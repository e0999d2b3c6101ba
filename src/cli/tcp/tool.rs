//! What `tcp connect` and `tcp listen` have in common, as typed: the family, how
//! bytes are treated, socket options, how much is told; and the sinks that
//! follow from it.
//!
//! Owns no socket: those are the engine's.

use std::fs::File;
use std::io::{self, IsTerminal, Stderr};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde::Serialize;

use crate::cli::interrupt::Interrupt;
use crate::cli::output::{Colour, environment};
use crate::error::Error;
use crate::event::{Event, Place, Sink, Topic};
use crate::flow::Family;
use crate::pipe::{Ends, Terms, Treatment};
use crate::recorder::{Clock, Recorder};
use crate::report::Stream;
use crate::report::json::JsonLines;
use crate::report::talk::{Detail, Teller};
use crate::socket::options::{OptionError, SocketOption};

/// Options of both tools.
#[derive(Debug, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag that is typed"
)]
pub(super) struct ToolArgs {
    /// Use IPv4 only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,

    /// Use IPv6 only
    #[arg(short = '6', long)]
    ipv6: bool,

    /// Write what is received to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Send each line's end as CR LF
    #[arg(short = 'C', long)]
    crlf: bool,

    /// Wait so long after each line that is sent
    #[arg(long, value_name = "TIME", value_parser = time)]
    line_delay: Option<Duration>,

    /// Give up when nothing has moved for so long; seconds, or with a unit
    #[arg(short = 'w', long, value_name = "TIME", value_parser = some_time)]
    pub(super) idle_timeout: Option<Duration>,

    /// Set a socket option, such as nodelay, keepalive=30,5,3 or rcvbuf=64k;
    /// repeat for more
    #[arg(long = "opt", value_name = "NAME[=VALUE]", value_parser = option)]
    pub(super) options: Vec<SocketOption>,

    /// Tell each step on standard error, and the kernel's figures at the end
    #[arg(short, long)]
    verbose: bool,

    /// Tell every system call too, and show the bytes
    #[arg(long)]
    trace: bool,

    /// Show the packets too, where capture is allowed
    #[arg(long)]
    pub(super) packets: bool,

    /// Tell it as JSON Lines on standard error, the result last; with --trace
    /// the calls and the bytes too
    #[arg(long)]
    json: bool,
}

fn option(typed: &str) -> Result<SocketOption, OptionError> {
    typed.parse()
}

/// A time: seconds where no unit is given.
pub(super) fn time(typed: &str) -> Result<Duration, String> {
    const LONGEST: f64 = 365.0 * 24.0 * 3600.0;
    match typed.parse::<f64>() {
        Ok(seconds @ 0.0..=LONGEST) => Ok(Duration::from_secs_f64(seconds)),
        Ok(_) => Err("must be 0 seconds to a year".into()),
        Err(_) => {
            let time = typed.parse::<crate::units::Time>();
            time.map(|time| time.0).map_err(|error| error.to_string())
        }
    }
}

/// A time that passes.
pub(super) fn some_time(typed: &str) -> Result<Duration, String> {
    let time = time(typed)?;
    if time.is_zero() {
        return Err("must be more than nothing".into());
    }
    Ok(time)
}

impl ToolArgs {
    /// The address family, where one was asked for.
    pub(super) fn family(&self) -> Option<Family> {
        match (self.ipv4, self.ipv6) {
            (true, _) => Some(Family::Ipv4),
            (_, true) => Some(Family::Ipv6),
            _ => None,
        }
    }

    /// Whether each step is told.
    pub(super) fn tells_steps(&self) -> bool {
        self.verbose || self.trace || self.packets || self.json
    }

    /// How a conversation goes.
    pub(super) fn terms(&self, stop: &Interrupt) -> Terms {
        Terms {
            treatment: Treatment {
                crlf: self.crlf,
                line_delay: self.line_delay.filter(|delay| !delay.is_zero()),
            },
            idle: self.idle_timeout,
            ends_with_peer: false,
            stop: stop.flag(),
        }
    }

    /// Standard input and output, or the file instead.
    pub(super) fn ends(&self) -> Result<Ends, Error> {
        let failed = |name: &'static str| move |error| Error::new("dup", name, error);
        let input = io::stdin().as_fd().try_clone_to_owned();
        let input = input.map_err(failed("standard input"))?;
        let (output, output_name) = if let Some(path) = &self.output {
            (create(path)?, path.display().to_string())
        } else {
            let output = io::stdout().as_fd().try_clone_to_owned();
            let output = output.map_err(failed("standard output"))?;
            (output, "standard output".into())
        };
        Ok(Ends {
            input: Arc::new(input),
            output: Arc::new(output),
            output_name,
        })
    }

    /// Where what happens is told.
    pub(super) fn telling(&self, colour: Colour) -> Telling {
        let clock = Clock::start();
        let outlet = if self.json {
            let stop = Arc::new(AtomicBool::new(false));
            Outlet::Json(Arc::new(Chosen {
                lines: JsonLines::new(io::stderr(), stop),
                everything: self.trace,
            }))
        } else {
            let detail = match (self.trace, self.verbose) {
                (true, _) => Detail::Everything,
                (_, true) => Detail::Steps,
                _ if self.packets => Detail::Steps,
                _ => Detail::Least,
            };
            let style = colour.style_of(Stream::Err);
            Outlet::Text(Arc::new(Teller::new(io::stderr(), detail, style)))
        };
        Telling { clock, outlet }
    }
}

/// Whether somebody types what is sent.
pub(super) fn is_typed() -> bool {
    io::stdin().is_terminal()
}

fn create(path: &Path) -> Result<OwnedFd, Error> {
    File::create(path)
        .map(OwnedFd::from)
        .map_err(|error| Error::new("create", path.display(), error))
}

/// Where what happens is told.
pub(super) struct Telling {
    clock: Clock,
    outlet: Outlet,
}

enum Outlet {
    Text(Arc<Teller<Stderr>>),
    Json(Arc<Chosen>),
}

impl Telling {
    /// Whoever stands at `place` tells it here.
    pub(super) fn recorder(&self, place: Place) -> Recorder {
        let sink: Arc<dyn Sink> = match &self.outlet {
            Outlet::Text(teller) => teller.clone(),
            Outlet::Json(chosen) => chosen.clone(),
        };
        Recorder::new(place, self.clock, sink)
    }

    /// The last line of JSON, where that is told.
    pub(super) fn conclude(&self, command: &str, result: &impl Serialize) {
        if let Outlet::Json(chosen) = &self.outlet {
            let environment = environment(self.clock, "network");
            chosen.lines.result(command, &environment, result);
        }
    }
}

/// JSON Lines of what was asked for.
struct Chosen {
    lines: JsonLines<Stderr>,
    everything: bool,
}

impl Sink for Chosen {
    fn wants(&self, topic: Topic) -> bool {
        self.everything || !matches!(topic, Topic::Call | Topic::Chunk)
    }

    fn record(&self, event: &Event<'_>) {
        self.lines.record(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_have_a_unit() {
        assert_eq!(time("5"), Ok(Duration::from_secs(5)));
        assert_eq!(time("0.25"), Ok(Duration::from_millis(250)));
        assert_eq!(time("20ms"), Ok(Duration::from_millis(20)));
        for wrong in ["-1", "NaN", "inf", "1e99", "", "5 parsecs"] {
            time(wrong).expect_err(wrong);
        }
        some_time("0").expect_err("it would never wait");
    }
}
