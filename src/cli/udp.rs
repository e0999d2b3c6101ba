//! `socklab udp`: the datagram socket's demonstration.

use std::process::ExitCode;

use super::demonstration::{DemonstrationArgs, Shown};
use super::output::{Colour, bytes, text};
use crate::packet::Numbering;
use crate::report;
use crate::stage::Stage;
use crate::udp::{self, Config, Pace};

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
  socklab udp --delay 20ms --jitter 9ms --loss 20%
  socklab udp --json | jq .type        every event, the result last")]
pub(super) struct Args {
    /// A datagram; repeat for more.
    #[arg(short, long = "message", value_name = "TEXT", value_parser = text(),
          default_values = ["one", "two", "three"])]
    messages: Vec<String>,

    /// Length of the larger datagram in bytes, at most 65507, IPv4's limit; 0
    /// leaves it out.
    #[arg(short, long, value_name = "BYTES", default_value = "4000",
          allow_negative_numbers = true,
          value_parser = bytes(0, udp::LARGEST))]
    size: usize,

    #[command(flatten)]
    common: DemonstrationArgs,
}

/// Runs the subcommand.
pub(super) fn run(args: &Args, colour: Colour) -> anyhow::Result<ExitCode> {
    let play = |stage: &Stage| udp::demonstrate(&args.config(), stage);
    let shown = Shown {
        numbering: Numbering::Relative,
        render: |mut out, outcome, evidence, style| {
            report::udp::render(&mut out, outcome, evidence, style)
        },
        disagreements: report::udp::disagreements,
    };
    args.common.run("udp", colour, play, &shown)
}

impl Args {
    fn config(&self) -> Config {
        Config {
            family: self.common.place.family(),
            port: self.common.place.port,
            messages: self.messages.clone(),
            size: self.size,
            pace: if self.common.place.is_impaired() {
                Pace::AtOnce
            } else {
                Pace::OneByOne
            },
            ..Config::default()
        }
    }
}
