//! `socklab file --demo`: a transfer between two private hosts, as typed.
//!
//! Owns the demonstration's options; plays nothing itself.

use std::process::ExitCode;

use super::super::demonstration::{DemonstrationArgs, Shown};
use super::super::output::Colour;
use crate::app::file::demo::{Scene, play};
use crate::packet::Numbering;
use crate::report::app::file;
use crate::stage::Stage;

/// The demonstration's options.
#[derive(Debug, clap::Args)]
pub(super) struct Demonstration {
    /// Play a transfer of two files between two private hosts, one of them
    /// resumed, and draw the ladder
    #[arg(long)]
    demo: bool,

    #[command(flatten)]
    common: DemonstrationArgs,
}

/// Runs it.
pub(super) fn run(args: &Demonstration, colour: Colour) -> anyhow::Result<ExitCode> {
    let scene = Scene {
        family: args.common.place.family(),
        port: args.common.place.port,
    };
    let shown = Shown {
        numbering: Numbering::Relative,
        render: |mut out, played, evidence, style| file::render(&mut out, played, evidence, style),
        disagreements: file::disagreements,
    };
    let play = |stage: &Stage| play(scene, stage);
    args.common.run("file", colour, play, &shown)
}

impl Demonstration {
    /// Whether it was typed.
    pub(super) fn is_asked_for(&self) -> bool {
        self.demo
    }
}
