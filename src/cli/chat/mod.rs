//! `socklab chat`, as typed: which of its tools is meant, or the demonstration.
//!
//! Owns no socket: those are the engine's. One file a tool.

mod aside;
mod desk;
mod editor;
mod host;
mod join;

use std::process::ExitCode;
use std::time::Duration;

use super::demonstration::{DemonstrationArgs, Shown};
use super::output::Colour;
use crate::app::chat::{Carrier, Scene, demonstrate};
use crate::error::Error;
use crate::packet::Numbering;
use crate::report;
use crate::stage::Stage;

/// A chat room: host one, join one, or see one.
///
/// Lines over a byte stream: nc, ncat and telnet are members as good as
/// `socklab chat join`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
#[command(after_help = "\
Examples:
  socklab chat host                     a room for this machine, on port 5073
  socklab chat host 0.0.0.0 --max 100   for everybody, over IPv4
  socklab chat join example.org --nick ann
  nc example.org 5073                   the same, bare
  socklab chat --demo                   two members on a private link: every call
                                        and every packet
  socklab chat --demo --loss 5% --seed 1
  socklab chat --demo --udp --loss 20%  numbered messages: what is lost shows
  socklab chat --demo --multicast       two members and no host")]
pub(super) struct Args {
    #[command(subcommand)]
    tool: Option<Tool>,

    /// Play a scene with two members on a private link, and show the ladder
    #[arg(long)]
    demo: bool,

    /// Play it over datagrams: each message has a number, so that what the link
    /// loses shows
    #[arg(short, long, requires = "demo", conflicts_with = "multicast")]
    udp: bool,

    /// Play it without a host: both send to a multicast group
    #[arg(long, requires = "demo")]
    multicast: bool,

    #[command(flatten)]
    demonstration: DemonstrationArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Tool {
    Host(host::Args),
    Join(join::Args),
}

/// How long one step of the demonstration may take, apart from the link's own
/// delays: several retransmissions of a segment that is lost again and again.
const STEP: Duration = Duration::from_secs(30);

/// Runs the subcommand.
pub(super) fn run(args: &Args, colour: Colour) -> anyhow::Result<ExitCode> {
    match &args.tool {
        Some(Tool::Host(args)) => Ok(host::run(args, colour)?),
        Some(Tool::Join(args)) => Ok(join::run(args, colour)?),
        None if !args.demo => Err(
            Error::new("chat", "", "these options are the demonstration's")
                .remedy("add --demo, or say host or join")
                .into(),
        ),
        None => {
            let place = &args.demonstration.place;
            let scene = Scene {
                carrier: args.carrier(),
                family: place.family(),
                port: place.port,
                patience: STEP + place.longest_way(1500) * 10,
            };
            let play = |stage: &Stage| demonstrate(&scene, stage);
            let shown = Shown {
                numbering: Numbering::Relative,
                render: |mut out, told, evidence, style| {
                    report::app::chat_scene::render(&mut out, told, evidence, style)
                },
                disagreements: report::app::chat_scene::disagreements,
            };
            args.demonstration.run("chat", colour, play, &shown)
        }
    }
}

impl Args {
    fn carrier(&self) -> Carrier {
        match (self.udp, self.multicast) {
            (true, _) => Carrier::Datagrams,
            (_, true) => Carrier::Group,
            _ => Carrier::Streams,
        }
    }
}
