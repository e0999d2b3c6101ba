//! Where a demonstration plays: on a private link, or on the machine's own
//! loopback where no link can be had.
//!
//! Both give the same two seats, client and server, with addresses and a
//! recorder. On the link the wire sees every packet and its fate. On loopback
//! a capture sees packets where it is allowed, and TCP states are asked for
//! after each step.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use crate::capture::Capture;
use crate::error::Error;
use crate::event::{Place, Sink, Topic};

use crate::flow::{Family, FiveTuple};
use crate::link::{self, Account, Host, Link};
use crate::recorder::{Clock, Recorder};
use crate::socket::watch::StateWatch;

/// A place for two programs to talk.
pub enum Stage {
    /// On a private link.
    Link(Box<Link>),
    /// On the machine's loopback interface.
    Loopback(Box<Loopback>),
}

/// The machine's own loopback, watched as far as privileges allow.
pub struct Loopback {
    client: Recorder,
    server: Recorder,
    capture: Option<Capture>,
    /// Why no packets are seen, where none are.
    blind: Option<Error>,
    states: Option<Mutex<[StateWatch; 2]>>,
}

/// What is known of the packets when a stage has been taken down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// What the wire carried, where there was a link.
    pub account: Option<Account>,
    /// Packets that a capture had no room for: where there are any, what was
    /// counted from packets is too little.
    pub missed: u64,
}

/// One of the two ends.
#[derive(Clone, Copy)]
pub struct Seat<'a> {
    host: Option<&'a Host>,
    recorder: &'a Recorder,
}

impl Stage {
    /// A private link.
    pub fn link(config: &link::Config, clock: Clock, sink: Arc<dyn Sink>) -> Result<Self, Error> {
        Link::build(config, clock, sink).map(|link| Self::Link(Box::new(link)))
    }

    /// The loopback interface, with a capture of the packets to and from
    /// `ports` where the process may capture.
    pub fn loopback(ports: &[u16], clock: Clock, sink: Arc<dyn Sink>) -> Self {
        let wire = Recorder::new(Place::Wire, clock, sink);
        let (capture, blind) = if wire.wants(Topic::Packet) {
            match Capture::start("lo", ports, &wire) {
                Ok(capture) => (Some(capture), None),
                Err(error) => (None, Some(error)),
            }
        } else {
            (None, None)
        };
        let (client, server) = (wire.at(Place::Client), wire.at(Place::Server));
        // Without sock_diag the states' lanes stay empty; the rest is whole.
        let watch = || {
            Some([
                StateWatch::open(client.clone()).ok()?,
                StateWatch::open(server.clone()).ok()?,
            ])
        };
        let states = wire.wants(Topic::State).then(watch).flatten();
        Self::Loopback(Box::new(Loopback {
            states: states.map(Mutex::new),
            client,
            server,
            capture,
            blind,
        }))
    }

    /// The client's seat.
    pub fn client(&self) -> Seat<'_> {
        match self {
            Stage::Link(link) => Seat::on(link.client()),
            Stage::Loopback(loopback) => Seat {
                host: None,
                recorder: &loopback.client,
            },
        }
    }

    /// The server's seat.
    pub fn server(&self) -> Seat<'_> {
        match self {
            Stage::Link(link) => Seat::on(link.server()),
            Stage::Loopback(loopback) => Seat {
                host: None,
                recorder: &loopback.server,
            },
        }
    }

    /// The link, where there is one.
    pub fn as_link(&self) -> Option<&Link> {
        match self {
            Stage::Link(link) => Some(link),
            Stage::Loopback(_) => None,
        }
    }

    /// Why packets are not seen, where they are not.
    pub fn blind(&self) -> Option<&Error> {
        match self {
            Stage::Link(_) => None,
            Stage::Loopback(loopback) => loopback.blind.as_ref(),
        }
    }

    /// Makes [`settle`](Self::settle) end early, with `EINTR`, once `interrupt`
    /// is set.
    pub fn heed(&mut self, interrupt: Arc<AtomicBool>) {
        match self {
            Stage::Link(link) => link.heed(interrupt),
            // There is nothing to wait for.
            Stage::Loopback(_) => {}
        }
    }

    /// Waits until every packet so far has arrived, so that the next call comes
    /// after them. On loopback they have, by then.
    pub fn settle(&self) -> Result<(), Error> {
        match self {
            Stage::Link(link) => link.settle(),
            Stage::Loopback(_) => Ok(()),
        }
    }

    /// Records what became of `connection` at both ends, where no wire does so
    /// by itself. `connection` is named as the client names it.
    pub fn observe(&self, connection: FiveTuple) {
        let Stage::Loopback(loopback) = self else {
            return;
        };
        let Some(states) = &loopback.states else {
            return;
        };
        let now = loopback.client.clock().now();
        let [client, server] = &mut *states.lock().unwrap_or_else(PoisonError::into_inner);
        client.look(connection, now);
        server.look(connection.mirrored(), now);
    }

    /// Takes everything down, and tells what is known of the packets.
    pub fn finish(self) -> Result<Ending, Error> {
        Ok(match self {
            Stage::Link(link) => Ending {
                account: Some(link.finish()?),
                missed: 0,
            },
            Stage::Loopback(loopback) => Ending {
                account: None,
                missed: match loopback.capture {
                    Some(capture) => capture.finish()?,
                    None => 0,
                },
            },
        })
    }
}

impl<'a> Seat<'a> {
    fn on(host: &'a Host) -> Self {
        Self {
            host: Some(host),
            recorder: host.recorder(),
        }
    }

    /// This machine itself: one end of a conversation with another machine, or
    /// with itself. Only [`run`](Self::run), [`recorder`](Self::recorder) and
    /// [`is_private`](Self::is_private) mean anything then.
    pub fn here(recorder: &'a Recorder) -> Self {
        Self {
            host: None,
            recorder,
        }
    }

    /// Whether it is a private host, whose settings are nobody else's.
    pub fn is_private(self) -> bool {
        self.host.is_some()
    }

    /// Runs `work` where sockets belong to this end.
    pub fn run<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> T {
        match self.host {
            Some(host) => host.run(work),
            None => work(),
        }
    }

    /// This end's address.
    pub fn ip(self, family: Family) -> IpAddr {
        match (self.host, family) {
            (Some(host), family) => host.addresses().of(family),
            (None, Family::Ipv4) => Ipv4Addr::LOCALHOST.into(),
            (None, Family::Ipv6) => Ipv6Addr::LOCALHOST.into(),
        }
    }

    /// This end's address with a port.
    pub fn address(self, family: Family, port: u16) -> SocketAddr {
        SocketAddr::new(self.ip(family), port)
    }

    /// A recorder for what happens here.
    pub fn recorder(self) -> &'a Recorder {
        self.recorder
    }
}
