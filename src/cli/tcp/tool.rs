//! What `tcp connect` and `tcp listen` have in common, as typed: the family, how
//! bytes are treated, socket options.
//!
//! Owns no socket: those are the engine's.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use crate::cli::interrupt::Interrupt;
use crate::cli::output::unwritten;
use crate::cli::telling::{TellingArgs, some_time, time};
use crate::error::Error;
use crate::flow::Family;
use crate::pipe::{Ends, Terms, Treatment};
use crate::socket::options::{self, OptionError, SocketOption};

/// Options of both tools.
#[derive(Debug, clap::Args)]
pub(super) struct ToolArgs {
    /// Use IPv4 only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,

    /// Use IPv6 only
    #[arg(short = '6', long)]
    ipv6: bool,

    /// Write what is received to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,

    /// Send each line's end as CR LF
    #[arg(short = 'C', long)]
    pub(super) crlf: bool,

    /// Wait so long after each line that is sent
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) line_delay: Option<Duration>,

    /// Give up when nothing has moved for so long; seconds, or with a unit
    #[arg(short = 'w', long, value_name = "TIME", value_parser = some_time)]
    pub(super) idle_timeout: Option<Duration>,

    /// Set a socket option, such as nodelay, keepalive=30,5,3 or rcvbuf=64k;
    /// repeat for more; help lists them
    #[arg(long = "opt", value_name = "NAME[=VALUE]", value_parser = option)]
    options: Vec<Asked>,

    #[command(flatten)]
    pub(super) telling: TellingArgs,
}

/// What `--opt` asks for.
#[derive(Debug, Clone)]
enum Asked {
    Option(SocketOption),
    Help,
}

fn option(typed: &str) -> Result<Asked, OptionError> {
    match typed {
        "help" => Ok(Asked::Help),
        _ => typed.parse().map(Asked::Option),
    }
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

    /// Lists the options that TCP sockets have, where that was asked for.
    pub(super) fn help(&self) -> Result<Option<ExitCode>, Error> {
        let mut asked = self.options.iter();
        if !asked.any(|asked| matches!(asked, Asked::Help)) {
            return Ok(None);
        }
        let mut out = io::stdout().lock();
        for option in options::catalogue().filter(|option| option.sockets != "udp") {
            let name = format!("{}{}", option.name, option.value);
            writeln!(out, "{name:<28} {}", option.about).map_err(unwritten)?;
        }
        Ok(Some(ExitCode::SUCCESS))
    }

    /// The options to set.
    pub(super) fn options(&self) -> Vec<SocketOption> {
        let options = self.options.iter().filter_map(|asked| match asked {
            Asked::Option(option) => Some(option.clone()),
            Asked::Help => None,
        });
        options.collect()
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
