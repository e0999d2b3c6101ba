//! `socklab chat`, as typed: which of its tools is meant.
//!
//! Owns no socket: those are the engine's. One file a tool.

mod desk;
mod host;
mod join;

use std::process::ExitCode;

use super::output::Colour;

/// A chat room: host one, or join one.
///
/// Lines over a byte stream: nc, ncat and telnet are members as good as
/// `socklab chat join`.
#[derive(Debug, clap::Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
#[command(after_help = "\
Examples:
  socklab chat host                     a room for this machine, on port 5073
  socklab chat host 0.0.0.0 --max 100   for everybody, over IPv4
  socklab chat join example.org --nick ann
  nc example.org 5073                   the same, bare")]
pub(super) struct Args {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Debug, clap::Subcommand)]
enum Tool {
    Host(host::Args),
    Join(join::Args),
}

/// Runs the subcommand.
pub(super) fn run(args: &Args, colour: Colour) -> anyhow::Result<ExitCode> {
    match &args.tool {
        Tool::Host(args) => Ok(host::run(args, colour)?),
        Tool::Join(args) => Ok(join::run(args, colour)?),
    }
}
