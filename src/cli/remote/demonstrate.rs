//! `socklab remote --demo`: the scripted scene, as typed.
//!
//! Plays nothing itself.

use std::process::ExitCode;

use crate::app::remote::demo;
use crate::cli::demonstration::{DemonstrationArgs, Shown};
use crate::cli::output::Colour;
use crate::packet::Numbering;
use crate::report::app::remote as report;
use crate::stage::Stage;

/// Runs the demonstration.
pub(super) fn run(args: &DemonstrationArgs, colour: Colour) -> anyhow::Result<ExitCode> {
    let play = |stage: &Stage| demo::play(stage, args.place.family(), args.place.port);
    let shown = Shown {
        numbering: Numbering::Relative,
        render: |mut out, outcome, evidence, style| {
            report::render(&mut out, outcome, evidence, style)
        },
        disagreements: report::disagreements,
    };
    args.run("remote", colour, play, &shown)
}
