//! Where a demonstration plays, as typed: the address family, the port, the
//! link or loopback.
//!
//! Tries the private link and falls back to loopback with one line that says
//! what would enable the link.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::link::LinkArgs;
use super::output::whole;
use crate::error::Error;
use crate::event::Sink;
use crate::flow::Family;
use crate::link;
use crate::recorder::Clock;
use crate::stage::Stage;

/// Options of every command that plays on the link.
#[derive(Debug, clap::Args)]
pub(super) struct PlaceArgs {
    /// Use IPv4 (the default).
    #[arg(short = '4', long = "ipv4", conflicts_with = "v6")]
    v4: bool,

    /// Use IPv6.
    #[arg(short = '6', long = "ipv6")]
    v6: bool,

    /// The server's port.
    #[arg(short, long, default_value_t = crate::DEFAULT_PORT,
          allow_negative_numbers = true, value_parser = whole(1, u16::MAX))]
    pub(super) port: u16,

    /// Run on the machine's loopback interface instead of a private link.
    #[arg(long)]
    no_link: bool,

    #[command(flatten)]
    link: LinkArgs,
}

impl PlaceArgs {
    /// The address family.
    pub(super) fn family(&self) -> Family {
        if self.v6 { Family::Ipv6 } else { Family::Ipv4 }
    }

    /// The address family, where one was asked for.
    pub(super) fn asked_family(&self) -> Option<Family> {
        (self.v4 || self.v6).then(|| self.family())
    }

    /// Refuses link options where there is no link, and says why.
    pub(super) fn refuse_link(&self, why: &str) -> Result<(), Error> {
        self.link.refused_without_link(why)
    }

    /// Whether the link is asked to do anything to packets.
    pub(super) fn is_impaired(&self) -> bool {
        let plan = self.link.plan();
        plan.is_ok_and(|(plan, _)| !plan.is_transparent())
    }

    /// How long a message of so many bytes may be under way, both directions'
    /// delays and the bottleneck's rate taken together.
    pub(super) fn longest_way(&self, bytes: usize) -> Duration {
        let plan = self.link.plan();
        plan.map_or(Duration::ZERO, |(plan, _)| plan.longest_way(bytes as u64))
    }

    /// The lowest rate of the link, where it is held to one.
    pub(super) fn narrowest(&self) -> Option<crate::units::Rate> {
        self.link.plan().ok()?.0.narrowest()
    }

    /// Finds out what link is meant, and enters the user namespace that it
    /// needs. Must come before any other thread starts.
    pub(super) fn prepare(&self) -> Result<Prepared, Error> {
        if self.no_link {
            let why =
                "--no-link runs on loopback, whose packets meet nothing; leave one of the two";
            self.link.refused_without_link(why)?;
            return Ok(Prepared::Loopback);
        }
        let config = self.link.config()?;
        match link::enter_private_user_namespace() {
            Ok(_) => Ok(Prepared::Link(Box::new(config))),
            Err(error) => self.fall_back(error).map(|()| Prepared::Loopback),
        }
    }

    /// Builds the stage.
    pub(super) fn build(
        &self,
        prepared: &Prepared,
        clock: Clock,
        sink: &Arc<dyn Sink>,
    ) -> Result<Stage, Error> {
        if let Prepared::Link(config) = prepared {
            match Stage::link(config, clock, Arc::clone(sink)) {
                Ok(stage) => return Ok(stage),
                Err(error) => self.fall_back(error)?,
            }
        }
        let closed = self.port.checked_add(1).unwrap_or(self.port - 1);
        let stage = Stage::loopback(&[self.port, closed], clock, Arc::clone(sink));
        if let Some(error) = stage.blind() {
            note!("packets are not shown: {error}");
        }
        Ok(stage)
    }

    /// Says that there is no link; an error where one was asked for.
    fn fall_back(&self, error: Error) -> Result<(), Error> {
        if self.link.is_asked_for() {
            return Err(error);
        }
        note!("no private link, running on loopback: {error}");
        Ok(())
    }
}

/// What was found when the process was made ready.
pub(super) enum Prepared {
    /// A link may be built.
    Link(Box<link::Config>),
    /// It plays on loopback.
    Loopback,
}

impl Prepared {
    /// The same for a link that is built when so much of the run has passed.
    pub(super) fn starting_at(&self, time: Duration) -> Self {
        match self {
            Prepared::Link(config) => Prepared::Link(Box::new(link::Config {
                plan: config.plan.starting_at(time),
                ..(**config).clone()
            })),
            Prepared::Loopback => Prepared::Loopback,
        }
    }

    /// The seed of the link's draws; 0 on loopback, where nothing is drawn.
    pub(super) fn seed(&self) -> u64 {
        match self {
            Prepared::Link(config) => config.plan.seed,
            Prepared::Loopback => 0,
        }
    }

    /// What the link does to packets, where it does anything: a description from
    /// which the same run can be had again.
    pub(super) fn plan(&self) -> Option<String> {
        match self {
            Prepared::Link(config) if !config.plan.is_transparent() => {
                Some(config.plan.to_string())
            }
            Prepared::Link(_) | Prepared::Loopback => None,
        }
    }
}

/// The addresses of the two ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hosts {
    pub(super) client: IpAddr,
    pub(super) server: IpAddr,
}

impl Hosts {
    /// Those of a stage.
    pub(super) fn of(stage: &Stage, family: Family) -> Self {
        Self {
            client: stage.client().ip(family),
            server: stage.server().ip(family),
        }
    }
}
