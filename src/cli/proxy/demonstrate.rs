//! `socklab proxy --demo`: the scene, as typed.
//!
//! Owns the demonstration's options; plays nothing itself.

use std::process::ExitCode;

use crate::app::proxy::demonstration::{Scene, demonstrate};
use crate::cli::demonstration::{DemonstrationArgs, Shown};
use crate::cli::output::Colour;
use crate::packet::Numbering;
use crate::report::app::proxy;
use crate::stage::Stage;

/// The demonstration's options.
#[derive(Debug, clap::Args)]
pub(super) struct Demonstration {
    #[command(flatten)]
    common: DemonstrationArgs,
}

/// Plays it, and draws it.
pub(super) fn run(args: &Demonstration, colour: Colour) -> anyhow::Result<ExitCode> {
    let scene = Scene {
        family: args.common.place.family(),
        port: args.common.place.port,
    };
    let play = |stage: &Stage| demonstrate(scene, stage);
    let shown = Shown {
        numbering: Numbering::Relative,
        render: |mut out, outcome, evidence, style| {
            proxy::render(&mut out, outcome, evidence, style)
        },
        disagreements: |outcome, _| proxy::disagreements(outcome),
    };
    args.common.run("proxy", colour, play, &shown)
}
