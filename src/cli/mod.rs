//! What was typed → what it means. The only room that knows clap.
//!
//! One file a subcommand: its arguments, their meaning as an engine's `Config`,
//! and the order of events: build the stage, run the engine, render.

/// Says one line on standard error, after the program's name. Where nobody takes
/// it, it is lost: what is said besides must not change what is done.
macro_rules! note {
    ($($text:tt)*) => {
        $crate::cli::note(format_args!($($text)*))
    };
}

mod chat;
mod compare;
mod compare_remote;
mod demonstration;
mod file;
mod ground;
mod interrupt;
mod lab;
mod link;
mod output;
mod packets;
mod page;
mod ping;
mod place;
mod proxy;
mod remote;
mod schedule;
mod tcp;
mod telling;
mod udp;
mod verdict;

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use output::Colour;

/// Exercises TCP, UDP and raw sockets on the real kernel, and shows the socket
/// calls of both ends, the TCP states, and every packet on the wire in one
/// picture. Needs no root where user namespaces are allowed.
#[derive(Debug, Parser)]
#[command(name = "socklab", version, max_term_width = 100)]
#[command(arg_required_else_help = true, propagate_version = true)]
#[command(after_help = "\
Examples:
  socklab tcp                         a stream socket's whole life
  socklab udp --hex short             datagrams, and their bytes
  socklab ping --link -c 3            a raw socket, without root
  socklab compare                     the three side by side
  socklab lab -- ping -c 3 server     any program, between two private hosts")]
struct Cli {
    /// When to use colour.
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        display_order = 900
    )]
    color: Colour,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Tcp(tcp::Args),
    Udp(udp::Args),
    Ping(ping::Args),
    Compare(compare::Args),
    Lab(lab::Args),
    Chat(chat::Args),
    File(Box<file::Args>),
    Proxy(proxy::Args),
    Remote(remote::Args),
}

/// Says one line on standard error, after the program's name. Where nobody takes
/// it, it is lost.
pub fn note(text: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "socklab: {text}");
}

/// Parses the command line and runs what it says.
///
/// # Errors
///
/// Whatever went wrong, for `main` to print once.
pub fn run() -> anyhow::Result<ExitCode> {
    let cli = Cli::try_parse().unwrap_or_else(|error| refuse(&error));
    match &cli.command {
        Command::Tcp(args) => tcp::run(args, cli.color),
        Command::Udp(args) => udp::run(args, cli.color),
        Command::Compare(args) => compare::run(args, cli.color),
        Command::Chat(args) => chat::run(args, cli.color),
        Command::File(args) => file::run(args, cli.color),
        Command::Proxy(args) => proxy::run(args, cli.color),
        Command::Lab(args) => Ok(lab::run(args, cli.color)?),
        Command::Remote(args) => remote::run(args, cli.color),
        Command::Ping(args) => Ok(ping::run(&args.clone().coloured(cli.color))?),
    }
}

/// Says what is wrong with the arguments, or the help that they ask for; without
/// colour where they hold control characters, which then are left out with it and
/// do not reach the terminal.
fn refuse(error: &clap::Error) -> ! {
    let mut arguments = std::env::args_os();
    let has_control = |word: OsString| word.to_string_lossy().contains(char::is_control);
    if !arguments.any(has_control) {
        error.exit();
    }
    eprint!("{}", error.render());
    std::process::exit(error.exit_code());
}
