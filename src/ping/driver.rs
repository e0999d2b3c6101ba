//! The loop of a ping run: sends what [`Core`] wants sent, hands it what
//! arrives, and sleeps in `ppoll(2)` until its next deadline.
//!
//! Owns no policy: when to send and what counts is the core's. Never prints and
//! never waits for anything but `ppoll(2)`.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::core::{Core, Plan, Probe, Refused};
use super::names::Names;
use super::outbox::Outbox;
use super::signals::Signals;
use super::{Target, wire};
use crate::error::Error;
use crate::event::{Echo, EchoRequest, EchoStarted, EchoSummary, Sink};
use crate::socket::icmp::IcmpSocket;

/// What to ping, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Whom.
    pub target: Target,
    /// When to send and when to stop.
    pub plan: Plan,
    /// Bytes after the ICMP header in each request (`-s`).
    pub payload_bytes: usize,
    /// What to call addresses (`-n`).
    pub naming: Naming,
}

/// What to call the addresses that replies and errors come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// By name, where the target was given by name.
    Names,
    /// By number.
    Numbers,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The figures.
    pub summary: EchoSummary,
    /// Whether `ping(8)` would exit with 0.
    pub success: bool,
}

/// Pings until the plan is fulfilled or a signal says stop.
///
/// The socket may belong to any network namespace; the target must have been
/// resolved there.
pub fn run(
    config: &Config,
    socket: &IcmpSocket,
    signals: &Signals,
    sink: &dyn Sink,
) -> Result<Outcome, Error> {
    let mut run = Run::begin(config, socket, sink)?;
    // Time is over once the socket was looked at after its end: what was there
    // in time counts, however late this process got to run.
    let mut looked_at = Instant::now();
    while !signals.is_stopped() {
        run.show_status_if_asked(signals);
        run.send_if_due();
        if run.core.is_finished(looked_at) {
            break;
        }
        looked_at = run.wait_and_receive(signals)?;
        run.outbox.flush(Instant::now());
    }
    run.end(signals)
}

pub(super) struct Run<'a> {
    pub(super) config: &'a Config,
    pub(super) socket: &'a IcmpSocket,
    pub(super) core: Core,
    pub(super) outbox: Outbox<'a>,
    pub(super) buffer: Vec<u8>,
    request: Vec<u8>,
}

impl<'a> Run<'a> {
    fn begin(
        config: &'a Config,
        socket: &'a IcmpSocket,
        sink: &'a dyn Sink,
    ) -> Result<Self, Error> {
        let by_name = config.naming == Naming::Names && !config.target.numeric;
        let names = by_name.then(Names::start).transpose();
        let names = names.map_err(|cause| Error::new("start", "name look-up", cause))?;
        let echo = wire::Echo {
            identifier: socket.identifier(),
            sequence: 0,
        };
        let started = Instant::now();
        let mut run = Self {
            config,
            socket,
            core: Core::new(config.plan.clone(), started),
            outbox: Outbox::new(sink, started, names),
            buffer: vec![0; 1 << 16],
            request: wire::request(socket.family(), &echo, config.payload_bytes),
        };
        run.announce(started);
        // What the announcement took is not the run's time.
        run.core = Core::new(config.plan.clone(), Instant::now());
        Ok(run)
    }

    fn announce(&mut self, now: Instant) {
        let target = &self.config.target;
        let started = EchoStarted {
            name: target.name.clone(),
            target: super::arrival::named_zone(target.address),
            target_name: None,
            source: super::arrival::named_zone(target.source),
            socket: self.socket.kind(),
            identifier: self.socket.identifier(),
            payload_bytes: self.config.payload_bytes,
            interval: self.config.plan.interval,
        };
        self.outbox
            .record(now, Echo::Started(started), target.address);
    }

    fn show_status_if_asked(&mut self, signals: &Signals) {
        if signals.take_status_request() {
            let status = self.core.summary(&self.config.target.name);
            self.tell(Instant::now(), Echo::Status(status));
        }
    }

    /// One probe a turn: what has arrived meanwhile is looked at in between.
    fn send_if_due(&mut self) {
        let now = Instant::now();
        if let Some(probe) = self.core.poll_transmit(now) {
            self.transmit(now, probe);
        }
    }

    fn transmit(&mut self, now: Instant, probe: Probe) {
        let echo = wire::Echo {
            identifier: self.socket.identifier(),
            sequence: probe.sequence,
        };
        wire::write_header(self.socket.family(), &echo, &mut self.request);
        let Err(errno) = self.send() else {
            return self.sent(now, probe);
        };
        if matches!(errno, Errno::EAGAIN | Errno::ENOBUFS | Errno::ENOMEM) {
            if self.core.handle_refused(now) == Refused::Counted {
                self.send_failed(now, probe, errno);
            }
            return;
        }
        // An error that an earlier request met is reported by the next call on
        // the socket; that call then did nothing and is repeated.
        if self.receive_errors() > 0 {
            return;
        }
        match self.send() {
            Ok(()) => self.sent(now, probe),
            Err(_) if self.receive_errors() > 0 => {}
            Err(errno) => self.send_failed(now, probe, errno),
        }
    }

    fn send(&self) -> Result<(), Errno> {
        let sent = self.socket.send(&self.request, self.config.target.address);
        sent.map(drop).map_err(|error| errno_of(&error))
    }

    fn sent(&mut self, now: Instant, probe: Probe) {
        self.core.handle_accepted();
        let request = EchoRequest {
            number: probe.number,
            icmp_sequence: probe.sequence,
            message: (&self.request[..]).into(),
        };
        let about = self.config.target.address;
        self.outbox.record(now, Echo::Request(request), about);
    }

    /// Sleeps until there is news and takes it. Everything that had arrived by
    /// the time returned has been seen.
    fn wait_and_receive(&mut self, signals: &Signals) -> Result<Instant, Error> {
        let asleep_at = Instant::now();
        let ready = self.wait(signals)?;
        self.receive(ready);
        Ok(asleep_at)
    }

    /// Sleeps until something arrives, a signal comes, a name is known or the
    /// core has something to do. The socket's part of the news.
    fn wait(&self, signals: &Signals) -> Result<PollFlags, Error> {
        let mut descriptors = vec![
            PollFd::new(self.socket.as_fd(), PollFlags::POLLIN),
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
        ];
        let mut deadline = self.core.next_deadline();
        if let Some(names) = self.outbox.pending() {
            descriptors.push(PollFd::new(names.as_fd(), PollFlags::POLLIN));
            deadline = deadline.into_iter().chain(names.next_deadline()).min();
        }
        sleep(&mut descriptors, deadline)?;
        Ok(descriptors[0].revents().unwrap_or(PollFlags::empty()))
    }

    /// The last events, once their names are known or nobody waits any longer.
    fn end(mut self, signals: &Signals) -> Result<Outcome, Error> {
        let summary = self.core.summary(&self.config.target.name);
        self.tell(Instant::now(), Echo::Summary(summary.clone()));
        while let (false, Some(names)) = (signals.is_stopped(), self.outbox.pending()) {
            let mut descriptors = [
                PollFd::new(names.as_fd(), PollFlags::POLLIN),
                PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            ];
            sleep(&mut descriptors, names.next_deadline())?;
            signals.take_status_request();
            self.outbox.flush(Instant::now());
        }
        self.outbox.close();
        Ok(Outcome {
            summary,
            success: self.core.is_success(),
        })
    }

    pub(super) fn tell(&mut self, now: Instant, echo: Echo<'_>) {
        let about: SocketAddr = self.config.target.address;
        self.outbox.record(now, echo, about);
    }
}

fn errno_of(error: &io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or_default())
}

fn sleep(descriptors: &mut [PollFd<'_>], deadline: Option<Instant>) -> Result<(), Error> {
    let timeout =
        deadline.map(|at| TimeSpec::from_duration(at.saturating_duration_since(Instant::now())));
    match ppoll(descriptors, timeout, None) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(Error::new("ppoll", "", errno)),
    }
}
