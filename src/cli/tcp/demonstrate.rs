//! `socklab tcp` alone: the stream socket's demonstration, as typed.
//!
//! Owns the demonstration's options; plays nothing itself.

use std::process::ExitCode;
use std::time::Duration;

use super::super::demonstration::{DemonstrationArgs, Shown};
use super::super::output::{Colour, bytes, text, whole};
use crate::packet::Numbering;
use crate::report;
use crate::stage::Stage;
use crate::tcp::{self, Config, Nagle};

/// The demonstration's options.
#[derive(Debug, clap::Args)]
pub(super) struct Demonstration {
    /// A small write; repeat for more.
    #[arg(short, long = "message", value_name = "TEXT", value_parser = text(),
          default_values = ["one", "two", "three"])]
    messages: Vec<String>,

    /// Length of the larger write in bytes; 0 leaves it out.
    #[arg(short, long, value_name = "BYTES", default_value = "4000",
          allow_negative_numbers = true,
          value_parser = bytes(0, LARGEST))]
    size: usize,

    /// The client's congestion control.
    #[arg(long, value_name = "tcp", default_value = tcp::CONGESTION_CONTROL)]
    congestion: String,

    /// Send small writes at once (TCP_NODELAY).
    #[arg(long)]
    nodelay: bool,

    /// Show absolute sequence numbers.
    #[arg(long)]
    absolute: bool,

    /// Give up when nothing moves for this many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = tcp::TIMEOUT.as_secs(),
          allow_negative_numbers = true, value_parser = whole(1_u64, 86_400))]
    timeout: u64,

    #[command(flatten)]
    common: DemonstrationArgs,
}

/// A demonstration keeps every packet in memory until it is drawn.
const LARGEST: usize = 16 << 20;

/// Runs the subcommand.
pub(super) fn run(args: &Demonstration, colour: Colour) -> anyhow::Result<ExitCode> {
    let play = |stage: &Stage| tcp::demonstrate(&args.config(), stage);
    let shown = Shown {
        numbering: args.numbering(),
        render: |mut out, outcome, evidence, style| {
            report::tcp::render(&mut out, outcome, evidence, style)
        },
        disagreements: report::tcp::disagreements,
    };
    args.common.run("tcp", colour, play, &shown)
}

impl Demonstration {
    fn numbering(&self) -> Numbering {
        if self.absolute {
            Numbering::Absolute
        } else {
            Numbering::Relative
        }
    }

    fn config(&self) -> Config {
        Config {
            family: self.common.place.family(),
            port: self.common.place.port,
            messages: self.messages.clone(),
            size: self.size,
            congestion: self.congestion.clone(),
            timeout: Duration::from_secs(self.timeout),
            nagle: if self.nodelay { Nagle::Off } else { Nagle::On },
        }
    }
}
