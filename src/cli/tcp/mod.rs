//! `socklab tcp`: the stream socket's demonstration, and the tools that talk to
//! other machines.
//!
//! Owns which of them is meant. One file each.

mod connect;
mod demonstrate;
mod listen;
mod models;
mod serve;
mod tool;

use std::process::ExitCode;

use super::output::Colour;

/// Demonstrate a stream socket; connect to one, or listen.
///
/// Alone, on a private link: the listening and the connected socket, the
/// three-way handshake, writes that become segments, half-close with the reply
/// still arriving, and the way to TIME_WAIT.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
Examples:
  socklab tcp                           the whole story
  socklab tcp -6 --nodelay              over IPv6, each write sent at once
  socklab tcp --message hello --size 0  one small write only
  socklab tcp --hex full --pcap t.pcapng
  socklab tcp --delay 20ms --drop 'c2s data#2'  a segment lost, and sent again
  socklab tcp listen                    wait for a connection on port 5073
  socklab tcp connect example.org 80    standard input there, its answer here
  socklab tcp listen --model thread     echoes for many, a thread each
  socklab tcp listen --serve            know each client, and speak to them
  socklab tcp models                    what each way to serve many costs")]
pub(super) struct Args {
    #[command(subcommand)]
    tool: Option<Tool>,

    #[command(flatten)]
    demonstration: demonstrate::Demonstration,
}

#[derive(Debug, clap::Subcommand)]
enum Tool {
    Connect(connect::Args),
    Listen(listen::Args),
    Models(models::Args),
}

/// Runs the subcommand.
pub(super) fn run(args: &Args, colour: Colour) -> anyhow::Result<ExitCode> {
    match &args.tool {
        None => demonstrate::run(&args.demonstration, colour),
        Some(Tool::Connect(args)) => Ok(connect::run(args, colour)?),
        Some(Tool::Listen(args)) => Ok(listen::run(args, colour)?),
        Some(Tool::Models(args)) => models::run(args, colour),
    }
}
