//! What the demonstrations have in common: their options, and the order of
//! things: prepare, build the stage, play, take it down, render.

use std::io::{self, Write};
use std::process::ExitCode;

use serde::Serialize;

use super::interrupt::{Interrupt, left_to_this_thread};
use super::output::{self, Colour, LadderArgs, OutputArgs};
use super::place::{Hosts, PlaceArgs};
use crate::error::{Error, Exit};
use crate::event::Event;
use crate::link::Account;
use crate::packet::Numbering;
use crate::recorder::Clock;
use crate::report::{Evidence, Style, ladder};
use crate::stage::{Ending, Stage};

/// Options of every demonstration.
#[derive(Debug, clap::Args)]
pub(super) struct DemonstrationArgs {
    #[command(flatten)]
    ladder: LadderArgs,

    #[command(flatten)]
    output: OutputArgs,

    // The last, so that its heading is over nothing else.
    #[command(flatten)]
    pub(super) place: PlaceArgs,
}

/// What a demonstration's outcome looks like, and what is wrong with it.
pub(super) struct Shown<Outcome> {
    pub(super) numbering: Numbering,
    pub(super) render: fn(&mut dyn Write, &Outcome, Evidence<'_>, &Style) -> io::Result<()>,
    pub(super) disagreements: fn(&Outcome, Evidence<'_>) -> Vec<String>,
}

/// What the last line of JSON holds.
#[derive(Serialize)]
struct Report<'a, Outcome> {
    #[serde(flatten)]
    outcome: &'a Outcome,
    link: Option<&'a Account>,
    /// What the link did to packets, as a description of it.
    plan: Option<&'a str>,
}

/// Takes the stage down and says on standard error what its capture missed.
pub(super) fn ended(stage: Stage) -> Result<Option<Account>, Error> {
    let Ending { account, missed } = stage.finish()?;
    if missed > 0 {
        note!("the capture missed {missed} packets: figures counted from packets are too low");
    }
    Ok(account)
}

/// Says what the link does to packets, where it does anything.
pub(super) fn describe(out: &mut impl Write, plan: Option<&str>) -> io::Result<()> {
    match plan {
        Some(plan) => writeln!(out, "link: {plan}"),
        None => Ok(()),
    }
}

impl DemonstrationArgs {
    /// Plays `command` on a stage and shows what came of it: the ladder, then
    /// what `shown` says, then the bytes. Figures that should agree and do not
    /// are exit code 1.
    pub(super) fn run<Outcome: Serialize>(
        &self,
        command: &'static str,
        colour: Colour,
        play: impl FnOnce(&Stage) -> Result<Outcome, Error>,
        shown: &Shown<Outcome>,
    ) -> anyhow::Result<ExitCode> {
        let prepared = self.place.prepare()?;
        let clock = Clock::start();
        let interrupt = Interrupt::catch()?;
        let sinks = self.output.open(command, clock)?.recording();
        let mut stage = left_to_this_thread(|| {
            let sink = sinks.tee()?;
            self.place.build(&prepared, clock, &sink)
        })?;
        stage.heed(interrupt.flag());
        let described = prepared.plan();
        let hosts = Hosts::of(&stage, self.place.family());
        let played = play(&stage);
        let account = ended(stage)?;
        let outcome = match played {
            Ok(outcome) => outcome,
            Err(error) => {
                let finished = sinks.abandon();
                // What the network refused is worth seeing; bad usage is not.
                if let Some(events) = &finished.events
                    && (error.exit() == Exit::Network || interrupt.came())
                {
                    self.show_failure(events, described.as_deref(), hosts, shown, colour)?;
                }
                finished.pcap?;
                if interrupt.came() {
                    note!("interrupted");
                    return Ok(ExitCode::FAILURE);
                }
                return Err(error.into());
            }
        };
        let result = Report {
            outcome: &outcome,
            link: account.as_ref(),
            plan: described.as_deref(),
        };
        let finished = sinks.conclude(&result, account.as_ref())?;
        let evidence = Evidence {
            events: finished.events.as_deref().unwrap_or_default(),
            link: account.as_ref(),
        };
        if finished.events.is_some() {
            let (mut out, style) = (io::stdout().lock(), colour.style());
            describe(&mut out, described.as_deref()).map_err(output::unwritten)?;
            self.show(&mut out, (&outcome, evidence), hosts, shown, &style)
                .map_err(output::unwritten)?;
        }
        finished.pcap?;
        let lost_by_itself = account.as_ref().map_or(0, Account::unmodelled_loss);
        let is_right = (shown.disagreements)(&outcome, evidence).is_empty() && lost_by_itself == 0;
        Ok(if is_right {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    /// The ladder of what came before an error.
    fn show_failure<Outcome>(
        &self,
        events: &[Event<'_>],
        described: Option<&str>,
        hosts: Hosts,
        shown: &Shown<Outcome>,
        colour: Colour,
    ) -> Result<(), Error> {
        let (mut out, style) = (io::stdout().lock(), colour.style());
        let mut options = ladder::Options::default().with_addresses(hosts.client, hosts.server);
        options.numbering = shown.numbering;
        describe(&mut out, described)
            .and_then(|()| ladder::render(&mut out, events, &options, &style))
            .and_then(|()| self.ladder.dump(&mut out, events, &style))
            .and_then(|()| out.flush())
            .map_err(output::unwritten)
    }

    fn show<Outcome>(
        &self,
        out: &mut impl Write,
        (outcome, evidence): (&Outcome, Evidence<'_>),
        hosts: Hosts,
        shown: &Shown<Outcome>,
        style: &Style,
    ) -> io::Result<()> {
        let mut options = ladder::Options::default().with_addresses(hosts.client, hosts.server);
        options.numbering = shown.numbering;
        ladder::render(&mut &mut *out, evidence.events, &options, style)?;
        (shown.render)(out, outcome, evidence, style)?;
        self.ladder.dump(out, evidence.events, style)?;
        out.flush()
    }
}
