//! Where a comparison is played: on a stage of this machine, at once or one kind
//! after another, or between two machines.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::demonstration::ended;
use super::place::{PlaceArgs, Prepared};
use crate::compare::remote::{self, Clocks};
use crate::compare::{self, Config, Order, Outcome};
use crate::error::Error;
use crate::event::{Place, Sink};
use crate::link::Account;
use crate::recorder::{Clock, Recorder};
use crate::stage::Stage;

/// Where it is played.
pub(super) enum Ground {
    Stage(Prepared),
    Network(SocketAddr),
}

/// A run that has ended, wherever it was played.
pub(super) struct Played {
    pub(super) outcome: Outcome,
    /// Why packets could not be seen, where they could not.
    pub(super) blind: Option<String>,
    pub(super) account: Option<Account>,
    /// What the link did to packets.
    pub(super) described: Option<String>,
    /// How the two clocks stand, between machines.
    pub(super) clocks: Option<Clocks>,
}

/// What a run needs beside its configuration.
pub(super) struct Equipment<'a> {
    pub(super) place: &'a PlaceArgs,
    pub(super) clock: Clock,
    pub(super) sink: Arc<dyn Sink>,
    pub(super) stop: &'a AtomicBool,
}

impl Ground {
    /// What the draws of a run here are keyed by.
    pub(super) fn seed(&self) -> u64 {
        match self {
            Ground::Stage(prepared) => prepared.seed(),
            Ground::Network(_) => 0,
        }
    }

    /// Plays a comparison here.
    pub(super) fn play(&self, config: &Config, with: Equipment<'_>) -> Result<Played, Error> {
        match self {
            Ground::Stage(prepared) => on_stage(prepared, config, &with),
            Ground::Network(peer) => {
                let recorder = Recorder::new(Place::Client, with.clock, with.sink);
                let ran = remote::run(config, *peer, &recorder, with.stop)?;
                if let Some(why) = &ran.cut {
                    note!("the server ended the run: {why}");
                }
                Ok(Played {
                    outcome: ran.outcome,
                    blind: Some("they crossed a real network".to_owned()),
                    account: None,
                    described: None,
                    clocks: Some(ran.clocks),
                })
            }
        }
    }
}

/// Sends at once, or through one kind after another: then each over a link of
/// its own, so that none meets what another left behind.
fn on_stage(prepared: &Prepared, config: &Config, with: &Equipment<'_>) -> Result<Played, Error> {
    let build = || {
        let prepared = match config.order {
            Order::AtOnce => prepared,
            Order::InTurn => &prepared.starting_at(with.clock.now()),
        };
        with.place.build(prepared, with.clock, &with.sink)
    };
    let mut runs = match config.order {
        Order::AtOnce => vec![config.clone()],
        Order::InTurn => config
            .variants
            .iter()
            .map(|one| config.alone(*one))
            .collect(),
    }
    .into_iter();
    let mut stage: Stage = build()?;
    let mut outcome = Outcome::default();
    let mut accounts: Option<Account> = None;
    let mut run = runs.next();
    while let Some(config) = run {
        outcome.add(compare::run(&config, &stage, with.stop)?);
        run = runs.next();
        if run.is_some() && stage.as_link().is_some() {
            let account = ended(stage)?;
            accounts = merged(accounts, account);
            stage = build()?;
        }
    }
    Ok(Played {
        outcome,
        blind: stage.blind().map(ToString::to_string),
        account: merged(accounts, ended(stage)?),
        described: prepared.plan(),
        clocks: None,
    })
}

fn merged(before: Option<Account>, last: Option<Account>) -> Option<Account> {
    match (before, last) {
        (Some(before), Some(last)) => Some(before.and(last)),
        (before, last) => before.or(last),
    }
}
