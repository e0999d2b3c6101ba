//! Findings on their way to the sink, in order, each with the names of all the
//! addresses it speaks of where names are wanted.
//!
//! A finding whose names are pending holds up those behind it, never the run.
//! Decides nothing.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::event::{Echo, EchoEnds, EchoPath, EchoTarget, Event, Place, Sink, Topic, What};
use crate::ping::exchange::{Exchange, Ready};
use crate::ping::names::{Name, Names};
use crate::ping::outbox::named_zone;
use crate::ping::{Naming, Signals, Target};
use crate::socket::icmp::IcmpSocket;

pub(super) struct Tell<'a> {
    sink: &'a dyn Sink,
    began: Instant,
    over: Option<Instant>,
    names: Option<Names>,
    waiting: VecDeque<(Instant, EchoPath)>,
}

impl<'a> Tell<'a> {
    /// Begins now, for a run that takes no longer than `most`.
    pub(super) fn begin(
        sink: &'a dyn Sink,
        naming: Naming,
        most: Option<Duration>,
    ) -> Result<Self, Error> {
        let began = Instant::now();
        let names = (naming == Naming::Names).then(Names::start).transpose();
        Ok(Self {
            sink,
            began,
            over: most.map(|most| began + most),
            names: names.map_err(|cause| Error::new("start", "name look-up", cause))?,
            waiting: VecDeque::new(),
        })
    }

    /// When the run began.
    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// Whether a signal says stop, or the run's time is over.
    pub(super) fn is_over(&self, signals: &Signals) -> bool {
        signals.is_stopped() || self.over.is_some_and(|over| Instant::now() >= over)
    }

    pub(super) fn record(&mut self, at: Instant, path: EchoPath) {
        if self.sink.wants(Topic::Echo) {
            self.waiting.push_back((at, path));
            self.flush(at);
        }
    }

    /// Sleeps until a socket has news, a signal comes, a name is known, the
    /// run's time is over, or `deadline`.
    pub(super) fn wait(
        &self,
        exchange: &Exchange<'_>,
        signals: &Signals,
        deadline: Option<Instant>,
    ) -> Result<Ready, Error> {
        let pending = self.pending();
        let mut others: Vec<BorrowedFd<'_>> = vec![signals.as_fd()];
        others.extend(pending.map(AsFd::as_fd));
        let patience = pending.and_then(Names::next_deadline);
        let deadlines = deadline.into_iter().chain(patience).chain(self.over);
        exchange.wait(&others, deadlines.min())
    }

    /// Hands over what has its names by now, or has waited long enough.
    pub(super) fn flush(&mut self, now: Instant) {
        while let Some((at, mut path)) = self.waiting.pop_front() {
            if !self.name(now, &mut path) {
                self.waiting.push_front((at, path));
                return;
            }
            self.emit(at, path);
        }
    }

    /// Hands over everything, once the names are known or nobody waits any
    /// longer.
    pub(super) fn close(mut self, signals: &Signals) -> Result<(), Error> {
        let nothing = Exchange::new([], &[], 1);
        while self.pending().is_some() && !self.is_over(signals) {
            self.wait(&nothing, signals, None)?;
            signals.take_status_request();
            self.flush(Instant::now());
        }
        while let Some((at, path)) = self.waiting.pop_front() {
            self.emit(at, path);
        }
        Ok(())
    }

    fn pending(&self) -> Option<&Names> {
        let names = self.names.as_ref()?;
        (!self.waiting.is_empty()).then_some(names)
    }

    /// Puts in the names. False: one is still pending. All are asked for at
    /// once.
    fn name(&mut self, now: Instant, path: &mut EchoPath) -> bool {
        let Some(names) = &mut self.names else {
            return true;
        };
        loop {
            let mut complete = true;
            for (address, slot) in path.names() {
                match names.name(now, SocketAddr::new(address.ip, 0)) {
                    Name::Known(name) => *slot = Some(name),
                    Name::Pending => complete = false,
                    Name::Missing => {}
                }
            }
            // Asking for one name may take in the answer for another: whoever
            // waits must have something to wait for.
            if complete || names.next_deadline().is_some() {
                return complete;
            }
        }
    }

    fn emit(&self, at: Instant, path: EchoPath) {
        self.sink.record(&Event {
            at: at.saturating_duration_since(self.began),
            host: Place::Client,
            what: What::Echo(Echo::Path(Box::new(path))),
        });
    }
}

/// The ends of the path to `target`.
pub(super) fn ends(target: &Target, socket: &IcmpSocket) -> EchoEnds {
    EchoEnds {
        target: EchoTarget {
            index: 0,
            name: target.name.as_str().into(),
        },
        address: named_zone(target.address),
        source: named_zone(target.source),
        interface: target.interface.clone(),
        socket: socket.kind(),
    }
}
