//! Events on their way to the sink, in order, each with the name of the address
//! it speaks of where names are wanted.
//!
//! An event whose name is pending holds up the events behind it, never the run.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use super::names::{Name, Names};
use nix::net::if_::if_indextoname;

use crate::event::{Echo, EchoAddress, EchoCause, Event, Place, Sink, Topic, What};

/// Beyond this many waiting events, names are done without.
const MOST_WAITING: usize = 1024;

/// Hands events to a sink.
pub struct Outbox<'a> {
    sink: &'a dyn Sink,
    /// Whether the sink wants each packet, as it said beforehand.
    is_wanted: bool,
    started: Instant,
    names: Option<Names>,
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    at: Instant,
    echo: Echo<'static>,
    about: SocketAddr,
}

impl<'a> Outbox<'a> {
    /// Times are counted from `started`. Without `names`, none are looked up.
    pub fn new(sink: &'a dyn Sink, started: Instant, names: Option<Names>) -> Self {
        Self {
            sink,
            is_wanted: sink.wants(Topic::Echo),
            started,
            names,
            waiting: VecDeque::new(),
        }
    }

    /// Whether anyone wants to know of each packet.
    pub fn is_wanted(&self) -> bool {
        self.is_wanted
    }

    fn wants(&self, echo: &Echo<'_>) -> bool {
        let figures = matches!(echo, Echo::Started(_) | Echo::Status(_) | Echo::Summary(_));
        self.is_wanted() || (figures && self.sink.wants(Topic::EchoFigures))
    }

    /// Records `echo`, which happened at `at` and speaks of the address
    /// `about`.
    pub fn record(&mut self, at: Instant, mut echo: Echo<'_>, about: SocketAddr) {
        if !self.wants(&echo) {
            return;
        }
        if !self.waiting.is_empty() || !self.name(at, &mut echo, about) {
            let echo = echo.into_owned();
            self.waiting.push_back(Waiting { at, echo, about });
            return;
        }
        self.emit(at, echo);
    }

    /// Hands over what has its name by now, or has waited long enough.
    pub fn flush(&mut self, now: Instant) {
        while let Some(mut first) = self.waiting.pop_front() {
            let named = self.name(now, &mut first.echo, first.about);
            if !named && self.waiting.len() < MOST_WAITING {
                self.waiting.push_front(first);
                return;
            }
            self.emit(first.at, first.echo);
        }
    }

    /// Hands over everything, with the names that are known.
    pub fn close(&mut self) {
        self.names = None;
        while let Some(first) = self.waiting.pop_front() {
            self.emit(first.at, first.echo);
        }
    }

    /// The names waited for; `None` if nothing waits.
    pub fn pending(&self) -> Option<&Names> {
        let names = self.names.as_ref()?;
        (!self.waiting.is_empty()).then_some(names)
    }

    /// Puts the name into `echo`. False: it is still pending.
    fn name(&mut self, now: Instant, echo: &mut Echo<'_>, about: SocketAddr) -> bool {
        let (Some(slot), Some(names)) = (name_slot(echo), &mut self.names) else {
            return true;
        };
        match names.name(now, about) {
            Name::Pending => false,
            Name::Known(name) => {
                *slot = Some(name);
                true
            }
            Name::Missing => true,
        }
    }

    fn emit(&self, at: Instant, echo: Echo<'_>) {
        self.sink.record(&Event {
            at: at.saturating_duration_since(self.started),
            host: Place::Client,
            what: What::Echo(echo),
        });
    }
}

fn name_slot<'e>(echo: &'e mut Echo<'_>) -> Option<&'e mut Option<String>> {
    match echo {
        Echo::Started(started) => Some(&mut started.address_name),
        Echo::Reply(reply) => Some(&mut reply.from_name),
        Echo::Failure(failure) => match &mut failure.cause {
            EchoCause::Icmp { from_name, .. } => Some(from_name),
            _ => None,
        },
        Echo::Redirect(redirect) => Some(&mut redirect.from_name),
        _ => None,
    }
}

/// An address for an event: the zone by its interface's name.
pub(super) fn named_zone(address: SocketAddr) -> EchoAddress {
    let zone = match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => if_indextoname(v6.scope_id()).ok(),
        _ => None,
    };
    EchoAddress {
        ip: address.ip(),
        zone: zone.map(|name| name.to_string_lossy().into()),
    }
}
