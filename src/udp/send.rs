//! `udp send`: the same datagrams to many peers from one unconnected socket a
//! family, at a rate, and what came back of them.
//!
//! Owns the order and the pace. An answer goes to the output; an ICMP error is
//! laid at the peer it came for, and the others still get theirs.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;

use super::connect::deliver;
use super::mailbox::{Mailbox, Plan, canonical};
use super::returned::Returned;
use super::tally::{Count, Ending, Tally};
use crate::error::Error;
use crate::event::Passage;
use crate::recorder::Recorder;
use crate::socket::options::{Role, SocketOption};

/// What to send.
#[derive(Debug, Clone)]
pub struct Config {
    /// To whom, each with the options of a socket that sends there.
    pub peers: Vec<SocketAddr>,
    /// The sockets' options.
    pub options: Vec<SocketOption>,
    /// The datagrams, in turn.
    pub datagrams: Vec<Vec<u8>>,
    /// How often all of them are sent.
    pub rounds: u64,
    /// From one datagram to the next.
    pub interval: Duration,
    /// How long to wait for answers and errors afterwards.
    pub wait: Duration,
    /// Room for one answer in bytes; a longer one loses its tail.
    pub buffer: usize,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// What went.
    #[serde(flatten)]
    pub tally: Tally,
    /// Each peer, in the order in which they were given.
    pub peers: Vec<PeerOutcome>,
    /// Why it ended.
    pub ending: Ending,
    #[serde(skip)]
    failure: Option<Failure>,
}

/// What came of one peer.
#[derive(Debug, Clone, Serialize)]
pub struct PeerOutcome {
    /// Its address.
    pub peer: SocketAddr,
    /// What was sent to it.
    pub sent: Count,
    /// What it answered.
    pub received: Count,
    /// Errors that came back for it.
    pub refused: u64,
}

#[derive(Debug, Clone)]
struct Failure {
    first: Returned,
    others: usize,
}

impl Outcome {
    /// The first peer's no, and how many others said the same.
    pub fn failure(&self) -> Option<Error> {
        let Failure { first, others } = self.failure.as_ref()?;
        let error = first.error();
        Some(match others {
            0 => error,
            1 => error.remedy("and one other peer refused"),
            others => error.remedy(format!("and {others} other peers refused")),
        })
    }
}

/// Sends, and waits for what comes back: answers go to `output`.
pub fn send(
    config: &Config,
    output: &mut dyn Write,
    stop: &AtomicBool,
    recorder: &Recorder,
) -> Result<Outcome, Error> {
    let mut run = Run::open(config, output, recorder)?;
    let clock = recorder.clock();
    let begin = clock.now();
    let mut due = begin;
    let ending = 'sending: {
        for _ in 0..config.rounds {
            for datagram in &config.datagrams {
                for index in 0..config.peers.len() {
                    run.attend(due.saturating_sub(clock.now()), stop)?;
                    if stop.load(Ordering::Relaxed) {
                        break 'sending Ending::Interrupted;
                    }
                    if run.is_closed {
                        break 'sending Ending::OutputClosed;
                    }
                    run.send(index, datagram)?;
                    due += config.interval;
                }
            }
        }
        Ending::Count
    };
    if ending != Ending::OutputClosed {
        run.attend(config.wait, stop)?;
    }
    Ok(run.outcome(ending))
}

/// The sockets and what is known of each peer.
struct Run<'a> {
    recorder: &'a Recorder,
    peers: Vec<PeerOutcome>,
    /// IPv4's and IPv6's, where there are peers of it.
    mailboxes: Vec<Mailbox>,
    /// Which of them a peer's is.
    places: Vec<usize>,
    refusals: Vec<Returned>,
    buffer: Vec<u8>,
    output: &'a mut dyn Write,
    /// Nobody reads the output any more.
    is_closed: bool,
}

impl<'a> Run<'a> {
    fn open(
        config: &Config,
        output: &'a mut dyn Write,
        recorder: &'a Recorder,
    ) -> Result<Self, Error> {
        let is_v4 = |peer: &SocketAddr| peer.is_ipv4();
        let mut mailboxes = Vec::new();
        for family in [
            SocketAddr::from(([0; 4], 0)),
            SocketAddr::from(([0_u16; 8], 0)),
        ] {
            if config
                .peers
                .iter()
                .any(|peer| is_v4(peer) == is_v4(&family))
            {
                let plan = Plan {
                    name: if is_v4(&family) { "sender" } else { "sender6" },
                    local: Some(family),
                    peer: None,
                    options: &config.options,
                    role: Role::Connecting,
                };
                mailboxes.push(Mailbox::open(recorder, &plan)?.0);
            }
        }
        // IPv6's is the last, and may be the only one.
        let last = mailboxes.len().saturating_sub(1);
        let place = |peer: &SocketAddr| if is_v4(peer) { 0 } else { last };
        let places = config.peers.iter().map(place).collect();
        let peers = config.peers.iter().map(|peer| PeerOutcome {
            peer: *peer,
            sent: Count::default(),
            received: Count::default(),
            refused: 0,
        });
        Ok(Self {
            recorder,
            peers: peers.collect(),
            mailboxes,
            places,
            refusals: Vec::new(),
            buffer: vec![0; config.buffer],
            output,
            is_closed: false,
        })
    }

    fn send(&mut self, index: usize, datagram: &[u8]) -> Result<(), Error> {
        let to = self.peers[index].peer;
        self.mailboxes[self.places[index]].send(datagram, Some(to), None)?;
        self.peers[index].sent.add(datagram.len());
        Ok(())
    }

    /// Takes answers and errors that come within this time.
    fn attend(&mut self, time: Duration, stop: &AtomicBool) -> Result<(), Error> {
        let clock = self.recorder.clock();
        let until = clock.now() + time;
        loop {
            let rest = until.saturating_sub(clock.now());
            let share = rest / u32::try_from(self.mailboxes.len()).unwrap_or(1).max(1);
            for index in 0..self.mailboxes.len() {
                let ready = self.mailboxes[index].wait(None, Some(share))?;
                if ready.error {
                    self.take_errors(index)?;
                }
                if ready.datagram {
                    self.take_answers(index)?;
                }
            }
            if self.is_closed || clock.now() >= until || stop.load(Ordering::Relaxed) {
                return Ok(());
            }
        }
    }

    fn take_errors(&mut self, index: usize) -> Result<(), Error> {
        for error in self.mailboxes[index].errors()? {
            let peer = error.peer.map(canonical);
            if let Some(known) = self.peers.iter_mut().find(|p| Some(p.peer) == peer) {
                known.refused += 1;
            }
            if error.is_refusal() {
                self.refusals.push(error);
            }
        }
        Ok(())
    }

    fn take_answers(&mut self, index: usize) -> Result<(), Error> {
        let mailbox = &mut self.mailboxes[index];
        while let Some(incoming) = mailbox.receive(&mut self.buffer)? {
            let received = incoming.received;
            let data = &self.buffer[..received.bytes];
            mailbox.tell(&incoming, data, Passage::Received);
            let from = canonical(received.from);
            if let Some(known) = self.peers.iter_mut().find(|peer| peer.peer == from) {
                known.received.add(received.length);
            }
            if !deliver(self.output, data)? {
                self.is_closed = true;
                break;
            }
        }
        Ok(())
    }

    fn outcome(self, ending: Ending) -> Outcome {
        let mut tally = Tally::default();
        for mailbox in &self.mailboxes {
            tally = tally.with(mailbox.tally);
        }
        let refusing = self.peers.iter().filter(|peer| peer.refused > 0).count();
        let failure = self.refusals.into_iter().next().map(|first| Failure {
            first,
            others: refusing.saturating_sub(1),
        });
        Outcome {
            tally,
            peers: self.peers,
            ending,
            failure,
        }
    }
}
