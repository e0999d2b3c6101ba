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

use super::PORT;

/// The demonstration's options.
#[derive(Debug)]
pub(super) struct Demonstration {
    common: DemonstrationArgs,
}

/// Those of every demonstration, with the port of proxies.
impl clap::Args for Demonstration {
    fn augment_args(command: clap::Command) -> clap::Command {
        let command = DemonstrationArgs::augment_args(command);
        command.mut_arg("port", |port| port.default_value(PORT))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for Demonstration {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        let common = DemonstrationArgs::from_arg_matches(matches)?;
        Ok(Self { common })
    }

    fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
        self.common.update_from_arg_matches(matches)
    }
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
