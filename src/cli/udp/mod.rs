//! `socklab udp`: the datagram socket's demonstration, and the tools that talk
//! to other machines.
//!
//! Owns which of them is meant. One file each; what the tools share is
//! [`tool`]'s.

mod connect;
mod demonstrate;
mod listen;
mod send;
mod tool;

use std::process::ExitCode;

use super::output::Colour;

/// Demonstrate datagram sockets; send to one, or listen.
///
/// Alone, on a private link: addresses a datagram, boundaries, an empty
/// datagram, IP fragments, truncation, and what the closed port's ICMP error does
/// to an unconnected and to a connected socket.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
Examples:
  socklab udp                          the whole story
  socklab udp -6 --size 20000          a larger datagram, over IPv6
  socklab udp --message a --message b  two datagrams of your own
  socklab udp --delay 20ms --jitter 9ms --loss 20%
  socklab udp --json | jq .type        every event, the result last
  socklab udp listen                   on port 5073, of whoever writes
  socklab udp connect HOST 5073        each line of input a datagram
  socklab udp send HOST:5073 -M hello  one datagram, to one peer or many")]
pub(super) struct Args {
    #[command(subcommand)]
    tool: Option<Tool>,

    #[command(flatten)]
    demonstration: demonstrate::UdpArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Tool {
    Connect(connect::ConnectArgs),
    Listen(listen::ListenArgs),
    Send(send::SendArgs),
}

/// Runs the subcommand.
pub(super) fn run(args: &Args, colour: Colour) -> anyhow::Result<ExitCode> {
    match &args.tool {
        None => demonstrate::run(&args.demonstration, colour),
        Some(Tool::Connect(args)) => Ok(connect::run(args, colour)?),
        Some(Tool::Listen(args)) => Ok(listen::run(args, colour)?),
        Some(Tool::Send(args)) => Ok(send::run(args, colour)?),
    }
}
