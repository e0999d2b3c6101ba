//! What the demonstrations have in common: their options, and the order of
//! things: prepare, build the stage, play, take it down, render.

use std::io::{self, Write};
use std::process::ExitCode;

use serde::Serialize;

use super::output::{Colour, LadderArgs, OutputArgs};
use super::place::{Hosts, PlaceArgs};
use crate::error::Error;
use crate::link::Account;
use crate::recorder::Clock;
use crate::report::{Evidence, Style};
use crate::stage::{Ending, Stage};

/// Options of every demonstration.
#[derive(Debug, clap::Args)]
pub(super) struct DemonstrationArgs {
    #[command(flatten)]
    pub(super) place: PlaceArgs,

    #[command(flatten)]
    ladder: LadderArgs,

    #[command(flatten)]
    output: OutputArgs,
}

/// What the last line of JSON holds.
#[derive(Serialize)]
struct Report<'a, Outcome> {
    #[serde(flatten)]
    outcome: &'a Outcome,
    link: Option<&'a Account>,
}

/// Takes the stage down and says on standard error what its capture missed.
pub(super) fn ended(stage: Stage) -> Result<Option<Account>, Error> {
    let Ending { account, missed } = stage.finish()?;
    if missed > 0 {
        eprintln!(
            "socklab: the capture missed {missed} packets: figures counted from packets are too low"
        );
    }
    Ok(account)
}

impl DemonstrationArgs {
    /// Plays `command` on a stage and shows what came of it: the ladder, then
    /// what `render` says, then the bytes.
    pub(super) fn run<Outcome: Serialize>(
        &self,
        command: &'static str,
        colour: Colour,
        play: impl FnOnce(&Stage) -> Result<Outcome, Error>,
        render: impl FnOnce(&mut dyn Write, &Outcome, Evidence<'_>, &Style) -> io::Result<()>,
    ) -> anyhow::Result<ExitCode> {
        let prepared = self.place.prepare();
        let clock = Clock::start();
        let sinks = self.output.open(command, clock)?.recording();
        let stage = self.place.build(prepared, clock, &sinks.tee());
        let hosts = Hosts::of(&stage, self.place.family());
        let outcome = play(&stage)?;
        let account = ended(stage)?;
        let result = Report {
            outcome: &outcome,
            link: account.as_ref(),
        };
        let Some(events) = sinks.finish(&result, account.as_ref())? else {
            return Ok(ExitCode::SUCCESS);
        };
        let (mut out, style) = (io::stdout().lock(), colour.style());
        let evidence = Evidence {
            events: &events,
            link: account.as_ref(),
        };
        self.ladder.draw(&mut out, &events, hosts, &style)?;
        render(&mut out, &outcome, evidence, &style)?;
        self.ladder.dump(&mut out, &events, &style)?;
        Ok(ExitCode::SUCCESS)
    }
}
