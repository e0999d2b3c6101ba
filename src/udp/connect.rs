//! `udp connect`: input becomes datagrams to one peer, its datagrams become
//! output.
//!
//! Owns the order of things and when they end. Of a name's addresses the next is
//! spoken to where one refuses before it ever answered. A multicast or broadcast
//! peer is not connected to, since whoever answers does so from an address of
//! its own.

use std::collections::VecDeque;
use std::io::{ErrorKind, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use serde::Serialize;

use super::cut::{Cut, Cutter};
use super::mailbox::{Incoming, Mailbox, Opened, Plan};
use super::returned::Returned;
use super::tally::{Ending, Tally};
use crate::error::{Error, Exit};
use crate::event::Passage;
use crate::recorder::Recorder;
use crate::socket::options::{Role, SocketOption};

/// What to do.
#[derive(Debug, Clone)]
pub struct Config {
    /// How the input is cut.
    pub cut: Cut,
    /// Room for one datagram in bytes; a longer one loses its tail.
    pub buffer: usize,
    /// When to end.
    pub until: Until,
}

/// One of the peer's addresses, and how to reach it.
#[derive(Debug, Clone)]
pub struct Path {
    /// With whom to speak.
    pub peer: SocketAddr,
    /// From which address, where one was asked for.
    pub source: Option<SocketAddr>,
    /// The socket's options.
    pub options: Vec<SocketOption>,
}

/// When a conversation is over, besides a refusal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Until {
    /// Nothing came or went for so long.
    pub idle: Option<Duration>,
    /// Nothing came or went for so long, and the input has ended.
    pub linger: Option<Duration>,
    /// So many datagrams have been received.
    pub count: Option<u64>,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// This side.
    pub local: SocketAddr,
    /// The other.
    pub peer: SocketAddr,
    /// What went and came.
    #[serde(flatten)]
    pub tally: Tally,
    /// Why it ended.
    pub ending: Ending,
    /// What the other side's no amounts to.
    #[serde(skip)]
    refusal: Option<Returned>,
}

impl Outcome {
    /// The no that ended it.
    pub fn failure(&self) -> Option<Error> {
        self.refusal.as_ref().map(Returned::error)
    }
}

/// A conversation that may begin.
pub struct Conversation {
    config: Config,
    recorder: Recorder,
    /// The peer's other addresses, which are tried where this one refuses.
    others: VecDeque<Path>,
    line: Line,
    /// What has been sent and nothing has been heard of yet, for the next
    /// address; none where it has become too much, or is no longer needed.
    unanswered: Option<Vec<Vec<u8>>>,
    /// What went and came by addresses that refused.
    before: Tally,
}

/// The socket to one of the peer's addresses.
struct Line {
    peer: SocketAddr,
    mailbox: Mailbox,
    opened: Opened,
    /// Where to send, where the socket is not connected.
    to: Option<SocketAddr>,
}

/// What the conversation reads and writes.
pub struct Ends<'a> {
    /// Its input; none where nothing is to be sent.
    pub input: Option<BorrowedFd<'a>>,
    /// Where received bytes go.
    pub output: &'a mut dyn Write,
    /// Ends it when set.
    pub stop: &'a AtomicBool,
}

impl Line {
    fn open(path: &Path, recorder: &Recorder) -> Result<Self, Error> {
        let is_group = is_for_many(path.peer.ip());
        let any = match path.peer {
            SocketAddr::V4(_) => SocketAddr::from(([0; 4], 0)),
            SocketAddr::V6(_) => SocketAddr::from(([0_u16; 8], 0)),
        };
        let plan = Plan {
            name: "client",
            local: path.source.or(is_group.then_some(any)),
            peer: (!is_group).then_some(path.peer),
            options: &path.options,
            role: Role::Connecting,
        };
        let (mailbox, opened) = Mailbox::open(recorder, &plan)?;
        Ok(Self {
            peer: path.peer,
            mailbox,
            opened,
            to: is_group.then_some(path.peer),
        })
    }

    /// The first of the addresses that a socket can be had for; those before it
    /// are told of.
    fn first(paths: &mut VecDeque<Path>, recorder: &Recorder) -> Result<Self, Error> {
        loop {
            let Some(path) = paths.pop_front() else {
                return Err(Error::new("connect", "", "no address was given"));
            };
            match (Self::open(&path, recorder), paths.front()) {
                (Err(error), Some(next)) if error.exit() == Exit::Network => {
                    recorder.note(format_args!("{error}; trying {}", next.peer));
                }
                (line, _) => return line,
            }
        }
    }
}

/// Bytes that are kept for the next address at most.
const KEPT: usize = 256 << 10;

impl Conversation {
    /// Opens a socket to the first of the peer's addresses that one can be had
    /// for, in the calling thread's network namespace.
    pub fn open(config: Config, paths: Vec<Path>, recorder: &Recorder) -> Result<Self, Error> {
        let mut others = VecDeque::from(paths);
        let line = Line::first(&mut others, recorder)?;
        Ok(Self {
            config,
            recorder: recorder.clone(),
            unanswered: (!others.is_empty()).then(Vec::new),
            others,
            line,
            before: Tally::default(),
        })
    }

    /// What opening it found out.
    pub fn opened(&self) -> &Opened {
        &self.line.opened
    }

    /// Goes on with the peer's next address, where this one refused before it
    /// ever answered: what it was sent is sent there. Whether there was one.
    fn turn_to_next(&mut self, refusal: &Returned) -> Result<bool, Error> {
        let (Some(unanswered), Some(next)) = (self.unanswered.take(), self.others.front()) else {
            return Ok(false);
        };
        let (why, next) = (refusal.error(), next.peer);
        self.recorder.note(format_args!("{why}; trying {next}"));
        let line = Line::first(&mut self.others, &self.recorder)?;
        let left = std::mem::replace(&mut self.line, line);
        self.before = self.before.with(left.mailbox.tally);
        self.unanswered = (!self.others.is_empty()).then(Vec::new);
        for datagram in unanswered {
            self.send(&datagram)?;
        }
        Ok(true)
    }

    /// Keeps what is sent, while it may have to be sent elsewhere.
    fn keep(&mut self, data: &[u8]) {
        if let Some(kept) = &mut self.unanswered {
            let held: usize = kept.iter().map(Vec::len).sum();
            if held + data.len() <= KEPT {
                kept.push(data.to_vec());
            } else {
                self.unanswered = None;
            }
        }
    }

    /// Speaks until one of the reasons to end.
    pub fn run(mut self, ends: &mut Ends<'_>) -> Result<Outcome, Error> {
        let mut cutter = Cutter::new(self.config.cut);
        let mut buffer = vec![0; self.config.buffer];
        let mut input = ends.input;
        let clock = self.recorder.clock();
        let mut moved = clock.now();
        let mut refusal = None;
        let ending = loop {
            if ends.stop.load(Ordering::Relaxed) {
                break Ending::Interrupted;
            }
            let patience = match input {
                Some(_) => self.config.until.idle,
                None => shorter(self.config.until.idle, self.config.until.linger),
            };
            let quiet = clock.now().saturating_sub(moved);
            let rest = patience.map(|patience| patience.saturating_sub(quiet));
            let ready = self.line.mailbox.wait(input, rest)?;
            if ready.error {
                moved = clock.now();
                let mut errors = self.line.mailbox.errors()?.into_iter();
                if let Some(error) = errors.find(Returned::is_final) {
                    if self.turn_to_next(&error)? {
                        continue;
                    }
                    refusal = Some(error);
                    break Ending::Refused;
                }
            }
            if ready.datagram {
                moved = clock.now();
                if let Some(ending) = self.take(&mut buffer, ends.output)? {
                    break ending;
                }
            }
            if ready.input {
                moved = clock.now();
                if !self.give(input, &mut cutter)? {
                    input = None;
                }
            }
            let is_quiet = !(ready.error || ready.datagram || ready.input);
            if is_quiet
                && rest.is_some_and(|rest| clock.now().saturating_sub(moved) >= quiet + rest)
            {
                break match input {
                    Some(_) => Ending::Idle,
                    None => Ending::InputOver,
                };
            }
        };
        self.line.mailbox.count_drops();
        Ok(Outcome {
            local: self.line.opened.local,
            peer: self.line.peer,
            tally: self.before.with(self.line.mailbox.tally),
            ending,
            refusal,
        })
    }

    /// Writes out all that waits; why to end, where there is a reason.
    fn take(&mut self, buffer: &mut [u8], output: &mut dyn Write) -> Result<Option<Ending>, Error> {
        while let Some(incoming) = self.line.mailbox.receive(buffer)? {
            self.unanswered = None;
            let Incoming { received, .. } = incoming;
            let data = &buffer[..received.bytes];
            self.line.mailbox.tell(&incoming, data, Passage::Received);
            if !deliver(output, data)? {
                return Ok(Some(Ending::OutputClosed));
            }
            let most = self.config.until.count;
            if most.is_some_and(|most| self.line.mailbox.tally.received.datagrams >= most) {
                return Ok(Some(Ending::Count));
            }
        }
        Ok(None)
    }

    /// Sends what the input has; whether it may have more.
    fn give(&mut self, input: Option<BorrowedFd<'_>>, cutter: &mut Cutter) -> Result<bool, Error> {
        let Some(input) = input else {
            return Ok(false);
        };
        let mut bytes = [0; 16 << 10];
        let datagrams = match nix::unistd::read(input, &mut bytes) {
            Ok(0) => {
                let last = cutter.finish();
                if let Some(last) = last {
                    self.send(&last)?;
                }
                return Ok(false);
            }
            Ok(count) => cutter.push(&bytes[..count]),
            Err(Errno::EINTR | Errno::EAGAIN) => return Ok(true),
            Err(errno) => return Err(Error::new("read", "standard input", errno)),
        };
        for datagram in datagrams {
            self.send(&datagram)?;
        }
        Ok(true)
    }

    fn send(&mut self, data: &[u8]) -> Result<(), Error> {
        self.keep(data);
        self.line.mailbox.send(data, self.line.to, None)
    }
}

/// Writes and flushes; whether somebody reads it.
pub(super) fn deliver(output: &mut dyn Write, data: &[u8]) -> Result<bool, Error> {
    match output.write_all(data).and_then(|()| output.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Error::new("write", "standard output", error)),
    }
}

fn shorter(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Whether an address is one that no answer can come from.
pub(super) fn is_for_many(address: IpAddr) -> bool {
    // A subnet's own broadcast address looks like any other; who asks for
    // --broadcast knows.
    address.is_multicast() || matches!(address, IpAddr::V4(v4) if v4.is_broadcast())
}
