//! `udp listen`: one socket, whoever writes to it. What they write becomes
//! output or is answered by a service; input goes back to them.
//!
//! Owns the order of things. A reply leaves from the address that was written
//! to (`IP_PKTINFO`). What goes wrong with one peer is told and disturbs no
//! other.

mod peers;

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use nix::errno::Errno;
use serde::Serialize;

use peers::{Choice, Peers};

use super::connect::{Ends, Until, deliver, is_for_many};
use super::cut::{Cut, Cutter};
use super::mailbox::{Incoming, Mailbox, Opened, Plan, canonical};
use super::tally::{Count, Ending, Tally};
use crate::address::Admission;
use crate::error::Error;
use crate::event::{Passage, Topic};
pub use crate::protocol::services::Service;
use crate::recorder::Recorder;
use crate::socket::message::Arrival;
use crate::socket::options::{Role, SocketOption};

/// What to do.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub local: SocketAddr,
    /// The socket's options.
    pub options: Vec<SocketOption>,
    /// What is answered; where nothing is, datagrams become output.
    pub service: Option<Service>,
    /// Who may write.
    pub admission: Admission,
    /// How many peers there may be.
    pub most_peers: usize,
    /// To whom input goes.
    pub reply: Reply,
    /// How the input is cut.
    pub cut: Cut,
    /// Room for one datagram in bytes; a longer one loses its tail.
    pub buffer: usize,
    /// When to end.
    pub until: Until,
}

/// To whom a datagram of the input goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reply {
    /// Who wrote last.
    #[default]
    Last,
    /// Everybody who has written.
    All,
    /// Whom the line names.
    Named,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// Where it listened.
    pub local: SocketAddr,
    /// What went and came.
    #[serde(flatten)]
    pub tally: Tally,
    /// Datagrams of those who may not write, or may not be answered.
    pub ignored: u64,
    /// Each who wrote, in the order of their first datagrams.
    pub peers: Vec<PeerOutcome>,
    /// Why it ended.
    pub ending: Ending,
}

/// One peer.
#[derive(Debug, Clone, Serialize)]
pub struct PeerOutcome {
    /// Its address.
    pub peer: SocketAddr,
    /// What came from it.
    pub received: Count,
    /// What was sent to it.
    pub sent: Count,
}

/// A socket that listens.
pub struct Listening {
    config: Config,
    mailbox: Mailbox,
    opened: Opened,
    peers: Peers,
    ignored: u64,
    /// When drops were last asked for.
    counted_at: Duration,
}

impl Listening {
    /// Opens and binds the socket, in the calling thread's network namespace.
    pub fn open(config: Config, recorder: &Recorder) -> Result<Self, Error> {
        let plan = Plan {
            name: "server",
            local: Some(config.local),
            peer: None,
            options: &config.options,
            role: Role::Listening,
        };
        let (mailbox, opened) = Mailbox::open(recorder, &plan)?;
        Ok(Self {
            peers: Peers::new(config.most_peers),
            config,
            mailbox,
            opened,
            ignored: 0,
            counted_at: Duration::ZERO,
        })
    }

    /// What opening it found out.
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// Listens until one of the reasons to end.
    pub fn run(mut self, ends: &mut Ends<'_>) -> Result<Outcome, Error> {
        let mut cutter = Cutter::new(self.config.cut);
        let mut buffer = vec![0; self.config.buffer];
        let mut input = ends.input;
        let clock = self.mailbox.recorder().clock();
        let mut moved = clock.now();
        let ending = loop {
            if ends.stop.load(Ordering::Relaxed) {
                break Ending::Interrupted;
            }
            let quiet = clock.now().saturating_sub(moved);
            let rest = self
                .config
                .until
                .idle
                .map(|idle| idle.saturating_sub(quiet));
            // Nobody can be answered who has not written.
            let heard = input.filter(|_| self.peers.len() > 0);
            let ready = self.mailbox.wait(heard, rest)?;
            // Only who has looked may say that nothing came.
            if rest == Some(Duration::ZERO) && !ready.datagram {
                break Ending::Idle;
            }
            if ready.error {
                self.mailbox.errors()?;
            }
            if ready.datagram {
                moved = clock.now();
                let ending = if self.counts_only() {
                    self.count()?
                } else {
                    self.take(&mut buffer, ends)?
                };
                if let Some(ending) = ending {
                    break ending;
                }
                self.tell_drops(moved);
            }
            if ready.input && !self.give(input, &mut cutter)? {
                input = None;
            }
        };
        self.tell_drops(Duration::MAX);
        Ok(self.outcome(ending))
    }

    /// Whether nobody wants to know of any single datagram.
    fn counts_only(&self) -> bool {
        let recorder = self.mailbox.recorder();
        self.config.service == Some(Service::Discard)
            && !recorder.wants(Topic::Datagram)
            && !recorder.wants(Topic::Call)
    }

    /// Takes all that waits, many in one call, and counts.
    fn count(&mut self) -> Result<Option<Ending>, Error> {
        loop {
            let (peers, admission) = (&mut self.peers, &self.config.admission);
            let ignored = &mut self.ignored;
            let has_more = self.mailbox.count(|bytes, from| {
                let is_heard =
                    admission.admits(from.ip()) && peers.heard(from, bytes, None).is_some();
                *ignored += u64::from(!is_heard);
            })?;
            let most = self.config.until.count;
            if most.is_some_and(|most| self.mailbox.tally.received.datagrams >= most) {
                return Ok(Some(Ending::Count));
            }
            if !has_more {
                return Ok(None);
            }
        }
    }

    /// Takes one datagram after another; why to end, where there is a reason.
    fn take(&mut self, buffer: &mut [u8], ends: &mut Ends<'_>) -> Result<Option<Ending>, Error> {
        /// A flood must not keep the input and the stop signal waiting.
        const AT_ONCE: usize = 1000;
        for _ in 0..AT_ONCE {
            let Some(incoming) = self.mailbox.receive(buffer)? else {
                return Ok(None);
            };
            let data = &buffer[..incoming.received.bytes];
            if let Some(reason) = self.refusal(&incoming) {
                self.ignored += 1;
                let reason = reason.into();
                let passage = Passage::Ignored { reason };
                self.mailbox.tell(&incoming, data, passage);
            } else {
                self.mailbox.tell(&incoming, data, Passage::Received);
                if self.config.service.is_some() {
                    self.answer(data);
                } else if !deliver(ends.output, data)? {
                    return Ok(Some(Ending::OutputClosed));
                }
            }
            let most = self.config.until.count;
            if most.is_some_and(|most| self.mailbox.tally.received.datagrams >= most) {
                return Ok(Some(Ending::Count));
            }
        }
        Ok(None)
    }

    /// Why a datagram is not heard, where it is not; counts it where it is.
    fn refusal(&mut self, incoming: &Incoming) -> Option<String> {
        let Incoming { received, arrival } = *incoming;
        let from = received.from;
        if !self.config.admission.admits(from.ip()) {
            return Some("its address is not admitted".into());
        }
        if let Some(reason) = self
            .config
            .service
            .and_then(|service| service.refuses(from.port()))
        {
            return Some(reason.into());
        }
        if self.peers.heard(from, received.length, arrival).is_none() {
            let most = self.config.most_peers;
            return Some(format!("there are {most} peers, and more are not heard"));
        }
        None
    }

    fn answer(&mut self, data: &[u8]) {
        let number = self.mailbox.tally.sent.datagrams;
        let now = SystemTime::now();
        let service = self.config.service;
        if let Some(answer) = service.and_then(|service| service.answer(data, number, now)) {
            self.send(&answer, &Choice::Last);
        }
    }

    /// Sends what the input has; whether it may have more.
    fn give(&mut self, input: Option<BorrowedFd<'_>>, cutter: &mut Cutter) -> Result<bool, Error> {
        let Some(input) = input else {
            return Ok(false);
        };
        let mut bytes = [0; 16 << 10];
        match nix::unistd::read(input, &mut bytes) {
            Ok(0) => {
                if let Some(last) = cutter.finish() {
                    self.reply(&last);
                }
                Ok(false)
            }
            Ok(count) => {
                for datagram in cutter.push(&bytes[..count]) {
                    self.reply(&datagram);
                }
                Ok(true)
            }
            Err(Errno::EINTR | Errno::EAGAIN) => Ok(true),
            Err(errno) => Err(Error::new("read", "standard input", errno)),
        }
    }

    fn reply(&mut self, data: &[u8]) {
        match self.config.reply {
            Reply::Last => self.send(data, &Choice::Last),
            Reply::All => self.send(data, &Choice::All),
            Reply::Named => match self.peers.read(data) {
                Ok((choice, text)) => self.send(&data[text..], &choice),
                Err(why) => self.mailbox.recorder().note(why),
            },
        }
    }

    /// Sends to the chosen; one who cannot be sent to is told of, and the others
    /// get theirs.
    fn send(&mut self, data: &[u8], choice: &Choice) {
        for peer in self.peers.chosen(choice) {
            let from = peer.arrival.filter(|arrival| !is_shared(arrival));
            match self.mailbox.send(data, Some(peer.address), from) {
                Ok(()) => peer.sent.add(data.len()),
                Err(error) => self.mailbox.recorder().note(error),
            }
        }
    }

    /// Says once a second at most how many datagrams found no room.
    fn tell_drops(&mut self, now: Duration) {
        const PAUSE: Duration = Duration::from_secs(1);
        if now.saturating_sub(self.counted_at) < PAUSE {
            return;
        }
        self.counted_at = now;
        let dropped = self.mailbox.count_drops();
        if dropped > 0 {
            self.mailbox.recorder().note(format_args!(
                "the kernel dropped {dropped} datagrams: the receive buffer was full, or a checksum \
                 wrong; --opt rcvbuf=4m gives more room"
            ));
        }
    }

    fn outcome(mut self, ending: Ending) -> Outcome {
        let peers = self.peers.chosen(&Choice::All);
        let outcome = |peer: &mut peers::Peer| PeerOutcome {
            peer: canonical(peer.address),
            received: peer.received,
            sent: peer.sent,
        };
        Outcome {
            local: self.opened.local,
            peers: peers.iter_mut().map(outcome).collect(),
            tally: self.mailbox.tally,
            ignored: self.ignored,
            ending,
        }
    }
}

/// Whether an address is one that nothing can be sent from.
fn is_shared(arrival: &Arrival) -> bool {
    arrival.own.is_unspecified() || is_for_many(arrival.own)
}
