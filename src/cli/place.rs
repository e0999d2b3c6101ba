//! Where a demonstration plays, as typed: the address family, the port, the
//! link or loopback.
//!
//! Tries the private link and falls back to loopback with one line that says
//! what would enable the link.

use std::net::IpAddr;
use std::sync::Arc;

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
}

impl PlaceArgs {
    /// The address family.
    pub(super) fn family(&self) -> Family {
        if self.v6 { Family::Ipv6 } else { Family::Ipv4 }
    }

    /// Enters the user namespace that a link needs. Must come before any other
    /// thread starts.
    pub(super) fn prepare(&self) -> Prepared {
        if self.no_link {
            return Prepared::Loopback;
        }
        match link::enter_private_user_namespace() {
            Ok(_) => Prepared::Link,
            Err(error) => Prepared::Refused(error),
        }
    }

    /// Builds the stage.
    pub(super) fn build(&self, prepared: Prepared, clock: Clock, sink: &Arc<dyn Sink>) -> Stage {
        let refusal = match prepared {
            Prepared::Loopback => None,
            Prepared::Refused(error) => Some(error),
            Prepared::Link => {
                match Stage::link(&link::Config::default(), clock, Arc::clone(sink)) {
                    Ok(stage) => return stage,
                    Err(error) => Some(error),
                }
            }
        };
        if let Some(error) = refusal {
            eprintln!("socklab: no private link, running on loopback: {error}");
        }
        let closed = self.port.checked_add(1).unwrap_or(self.port - 1);
        let stage = Stage::loopback(&[self.port, closed], clock, Arc::clone(sink));
        if let Some(error) = stage.blind() {
            eprintln!("socklab: packets are not shown: {error}");
        }
        stage
    }
}

/// What was found when the process was made ready.
pub(super) enum Prepared {
    /// A link may be built.
    Link,
    /// Loopback was asked for.
    Loopback,
    /// A link was refused.
    Refused(Error),
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
