//! `socklab udp`: the datagram socket's demonstration.

use std::process::ExitCode;

use serde::Serialize;

use super::output::{Colour, LadderArgs, OutputArgs, bytes, text};
use super::place::{Hosts, PlaceArgs};
use crate::link::Account;
use crate::recorder::Clock;
use crate::report::{self, Evidence};
use crate::udp::{self, Config, Outcome};

/// Demonstrate datagram sockets: boundaries, fragments, truncation, ICMP errors.
///
/// On a private link: addresses a datagram, boundaries, an empty datagram, IP
/// fragments, truncation, and what the closed port's ICMP error does to an
/// unconnected and to a connected socket.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  socklab udp                          the whole story
  socklab udp -6 --size 20000          a larger datagram, over IPv6
  socklab udp --message a --message b  two datagrams of your own
  socklab udp --json | jq .type        every event, the result last")]
pub(super) struct Args {
    #[command(flatten)]
    place: PlaceArgs,

    /// A datagram; repeat for more.
    #[arg(short, long = "message", value_name = "TEXT", value_parser = text(),
          default_values = ["one", "two", "three"])]
    messages: Vec<String>,

    /// Length of the larger datagram in bytes; 0 leaves it out.
    #[arg(short, long, value_name = "BYTES", default_value = "4000",
          value_parser = bytes(0, udp::LARGEST))]
    size: usize,

    #[command(flatten)]
    ladder: LadderArgs,

    #[command(flatten)]
    output: OutputArgs,
}

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
    let sinks = args.output.open("udp", clock)?.recording();
    let stage = args.place.build(prepared, clock, &sinks.tee());
    let hosts = Hosts::of(&stage, args.place.family());
    let outcome = udp::demonstrate(&args.config(), &stage)?;
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
    report::udp::render(&mut out, &outcome, evidence, &style)?;
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
            ..Config::default()
        }
    }
}
