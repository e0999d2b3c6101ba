//! `socklab tcp`: the stream socket's demonstration.

use std::process::ExitCode;

use serde::Serialize;

use super::output::{Colour, LadderArgs, OutputArgs, bytes, text};
use super::place::{Hosts, PlaceArgs};
use crate::link::Account;
use crate::recorder::Clock;
use crate::report::{self, Evidence};
use crate::tcp::{self, Config, Nagle, Outcome};

/// Demonstrate a stream socket: handshake, segments, half-close, TIME_WAIT.
///
/// On a private link: the listening and the connected socket, the three-way
/// handshake, writes that become segments, half-close with the reply still
/// arriving, and the way to TIME_WAIT.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  socklab tcp                           the whole story
  socklab tcp -6 --nodelay              over IPv6, each write sent at once
  socklab tcp --message hello --size 0  one small write only
  socklab tcp --hex full --pcap t.pcapng")]
pub(super) struct Args {
    #[command(flatten)]
    place: PlaceArgs,

    /// A small write; repeat for more.
    #[arg(short, long = "message", value_name = "TEXT", value_parser = text(),
          default_values = ["one", "two", "three"])]
    messages: Vec<String>,

    /// Length of the larger write in bytes; 0 leaves it out.
    #[arg(short, long, value_name = "BYTES", default_value = "4000",
          value_parser = bytes(0, LARGEST))]
    size: usize,

    /// The client's congestion control.
    #[arg(long, value_name = "NAME", default_value = tcp::CONGESTION_CONTROL)]
    congestion: String,

    /// Send small writes at once (TCP_NODELAY).
    #[arg(long)]
    nodelay: bool,

    #[command(flatten)]
    ladder: LadderArgs,

    #[command(flatten)]
    output: OutputArgs,
}

/// A demonstration keeps every packet in memory until it is drawn.
const LARGEST: usize = 16 << 20;

/// What the last line of JSON holds.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    outcome: &'a Outcome,
    link: Option<&'a Account>,
}

/// Runs the subcommand.
pub(super) fn run(args: &Args, colour: Colour) -> anyhow::Result<ExitCode> {
    let prepared = args.place.prepare();
    let clock = Clock::start();
    let sinks = args.output.open("tcp", clock)?.recording();
    let stage = args.place.build(prepared, clock, &sinks.tee());
    let hosts = Hosts::of(&stage, args.place.family());
    let outcome = tcp::demonstrate(&args.config(), &stage)?;
    let account = stage.finish()?;
    let result = Report {
        outcome: &outcome,
        link: account.as_ref(),
    };
    let Some(events) = sinks.finish(&result, account.as_ref())? else {
        return Ok(ExitCode::SUCCESS);
    };
    let (mut out, style) = (std::io::stdout().lock(), colour.style());
    let evidence = Evidence {
        events: &events,
        link: account.as_ref(),
    };
    args.ladder.draw(&mut out, &events, hosts, &style)?;
    report::tcp::render(&mut out, &outcome, evidence, &style)?;
    args.ladder.dump(&mut out, &events, &style)?;
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn config(&self) -> Config {
        Config {
            family: self.place.family(),
            port: self.place.port,
            messages: self.messages.clone(),
            size: self.size,
            congestion: self.congestion.clone(),
            nagle: if self.nodelay { Nagle::Off } else { Nagle::On },
        }
    }
}
