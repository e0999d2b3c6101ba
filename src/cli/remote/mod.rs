//! `socklab remote`, as typed: the server, the client's questions, the keys, and
//! the demonstration.
//!
//! Owns which of them is meant. No socket: those are the engine's.

mod ask;
mod demonstrate;
mod keys;
mod printed;
mod serve;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::CommandFactory;

use super::demonstration::DemonstrationArgs;
use super::output::{Colour, unwritten};
use crate::app::remote::{keep, report};
use crate::error::Error;

/// Run commands on another machine: those that it allows, by name, for those
/// whose key it knows.
///
/// Both ends know each other's key beforehand (Noise KK, Curve25519, ChaCha20):
/// nobody is trusted at first sight, and all that is said is sealed. There is no
/// shell at the other end: a list (TOML) says which programs there are, with
/// which parameters.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
Examples:
  socklab remote keys generate          this machine's key
  socklab remote keys authorize KEY bob on the server: let bob in
  socklab remote keys authorize KEY --server example.org
                                        on the client: know the server
  socklab remote serve 192.0.2.1        run what remote.toml allows
  socklab remote list example.org       what may be run there
  socklab remote run example.org disks  run it
  socklab remote --demo --loss 5%       the whole of it on a private link")]
pub(super) struct Args {
    #[command(subcommand)]
    tool: Option<Tool>,

    /// Play a scripted scene on a private link, and show every call and packet
    #[arg(long)]
    demo: bool,

    #[command(flatten)]
    demonstration: DemonstrationArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Tool {
    Serve(serve::Args),
    Run(ask::RunArgs),
    List(ask::ListArgs),
    Keys(keys::Args),
    /// Run a program for the server, and end with it what came of it: the server
    /// starts this for itself
    #[command(hide = true)]
    Keep,
    #[command(hide = true)]
    Report(ReportArgs),
}

/// Print what a built-in command reports: the server runs this for itself.
#[derive(Debug, clap::Args)]
struct ReportArgs {
    name: String,
}

/// Runs the subcommand.
pub(super) fn run(args: &Args, colour: Colour) -> anyhow::Result<ExitCode> {
    match &args.tool {
        Some(Tool::Serve(args)) => Ok(serve::run(args, colour)?),
        Some(Tool::Run(args)) => Ok(ask::run(args, colour)?),
        Some(Tool::List(args)) => Ok(ask::list(args, colour)?),
        Some(Tool::Keys(args)) => Ok(keys::run(args)?),
        Some(Tool::Keep) => Ok(keep().map(|()| ExitCode::SUCCESS)?),
        Some(Tool::Report(args)) => Ok(print(&args.name)?),
        None if args.demo => demonstrate::run(&args.demonstration, colour),
        None => {
            let mut command = super::Cli::command();
            command.build();
            if let Some(own) = command.find_subcommand_mut("remote") {
                own.print_help()?;
            }
            Ok(ExitCode::from(2))
        }
    }
}

fn print(name: &str) -> Result<ExitCode, Error> {
    let text = report(name).unwrap_or_else(|| {
        let known = "there are info, processes, disks and reboot";
        Err(Error::new("report", name, known))
    })?;
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(unwritten)?;
    Ok(ExitCode::SUCCESS)
}
