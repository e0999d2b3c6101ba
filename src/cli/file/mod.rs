//! `socklab file`: send files, receive files, and see how that goes, as typed.
//!
//! Owns no socket: those are the engine's.

mod demonstrate;
mod progress;
mod receive;
mod send;
mod tool;

use std::process::ExitCode;

use clap::CommandFactory;

use super::output::Colour;

/// Send files, receive files: whole, checked, and resumed where a transfer broke.
///
/// Either end may be the one that listens. What has arrived is hashed, synced
/// and only then gets its name; a hash proves that nothing was damaged, not who
/// sent it.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
Examples:
  socklab file send --listen photo.jpg          on this machine: for whoever asks
  socklab file receive localhost --into inbox   fetch it
  socklab file receive --listen --into inbox    or the other way round
  socklab file send album/ --to localhost       a folder and all that is in it
  socklab file --demo --loss 5% --seed 1        both ends on a private link")]
pub(super) struct Args {
    #[command(subcommand)]
    tool: Option<Tool>,

    #[command(flatten)]
    demonstration: demonstrate::Demonstration,
}

#[derive(Debug, clap::Subcommand)]
enum Tool {
    Send(send::Args),
    Receive(receive::Args),
}

/// Runs the subcommand.
pub(super) fn run(args: &Args, colour: Colour) -> anyhow::Result<ExitCode> {
    match &args.tool {
        Some(Tool::Send(args)) => Ok(send::run(args, colour)?),
        Some(Tool::Receive(args)) => Ok(receive::run(args, colour)?),
        None if args.demonstration.is_asked_for() => demonstrate::run(&args.demonstration, colour),
        None => {
            let mut command = super::Cli::command();
            command.build();
            if let Some(command) = command.find_subcommand_mut("file") {
                command.print_help()?;
            }
            Ok(ExitCode::from(2))
        }
    }
}
