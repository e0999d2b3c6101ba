//! `socklab proxy`: the proxy, and its demonstration, as typed.
//!
//! Owns which of them is meant. One file each.

mod demonstrate;
mod serve;

use std::process::ExitCode;

use super::output::Colour;

/// Connect on behalf of others: SOCKS5, SOCKS4a and HTTP CONNECT on one port.
///
/// `serve` runs the proxy; `--demo` shows a client, the proxy and a server on a
/// private link, and every packet of theirs.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(arg_required_else_help = true)]
#[command(after_help = "\
Examples:
  socklab proxy serve -v                on 127.0.0.1:1080, each step told
  curl -x socks5h://127.0.0.1:1080 http://example.org/
  socklab proxy --demo                  a whole scene, with its packets
  socklab proxy --demo --loss 5% --seed 1")]
pub(super) struct Args {
    #[command(subcommand)]
    tool: Option<Tool>,

    /// Play a scene on a private link, and draw it
    #[arg(long, required = true)]
    demo: bool,

    #[command(flatten)]
    demonstration: demonstrate::Demonstration,
}

/// The port of proxies (RFC 1928 section 3).
const PORT: &str = "1080";

#[derive(Debug, clap::Subcommand)]
enum Tool {
    Serve(serve::Args),
}

/// Runs the subcommand.
pub(super) fn run(args: &Args, colour: Colour) -> anyhow::Result<ExitCode> {
    match &args.tool {
        Some(Tool::Serve(args)) => Ok(serve::run(args, colour)?),
        None => demonstrate::run(&args.demonstration, colour),
    }
}
