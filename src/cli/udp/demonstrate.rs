//! `socklab udp` alone: the datagram socket's demonstration, as typed.
//!
//! Owns its arguments and their meaning as the engine's configuration.

use std::process::ExitCode;

use crate::cli::demonstration::{DemonstrationArgs, Shown};
use crate::cli::output::{Colour, bytes, text};
use crate::packet::Numbering;
use crate::report;
use crate::stage::Stage;
use crate::udp::{self, Config, Pace};

/// What the demonstration takes.
#[derive(Debug, clap::Args)]
pub(super) struct UdpArgs {
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
pub(super) fn run(args: &UdpArgs, colour: Colour) -> anyhow::Result<ExitCode> {
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

impl UdpArgs {
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
