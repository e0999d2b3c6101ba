//! The client's half of a session: what it asks on the control connection, and
//! the server's report as it comes in, held to what was planned.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::control::{Control, Silence};
use super::frame::LONGEST_TOLD;
use super::limits::Limits;
use super::offset::RoundTrip;
use super::protocol::{Arrival, ClientSays, Offer, Plan, Receipts, ServerSays, Token, VERSION};
use crate::compare::Variant;
use crate::error::{Error, Exit};
use crate::recorder::Recorder;
use crate::socket::Stream;

/// An open session.
pub(super) struct Caller<'a> {
    control: Control,
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) token: Token,
    pub(super) limits: Limits,
    /// The origin of the server's clock, since the Unix epoch.
    pub(super) wall_origin: Duration,
    recorder: &'a Recorder,
    stop: &'a AtomicBool,
}

/// What the server says arrived.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Each kind that took part.
    pub(super) kinds: BTreeMap<Variant, (Vec<Arrival>, Receipts)>,
    /// Why the server ended the session, where it did.
    pub(super) cut: Option<String>,
}

/// How long the server may take to say something.
const ANSWER: Duration = Duration::from_secs(15);

/// Round trips before the run, and after it.
const TRIPS: u32 = 8;

impl<'a> Caller<'a> {
    /// Connects and opens a session.
    pub(super) fn open(
        peer: SocketAddr,
        recorder: &'a Recorder,
        stop: &'a AtomicBool,
    ) -> Result<Self, Error> {
        let connect = || -> io::Result<(Control, SocketAddr)> {
            let stream = Stream::open(recorder, "control", peer)?;
            stream.set_option(format_args!("TCP_USER_TIMEOUT, {ANSWER:?}"), |socket| {
                socket.set_tcp_user_timeout(Some(ANSWER))
            })?;
            stream.connect(peer)?;
            let local = stream.local_address()?;
            Ok((Control::new(stream, LONGEST_TOLD)?, local))
        };
        let (control, local) = connect().map_err(|error| unreachable_server(peer, error))?;
        let mut caller = Self {
            control,
            peer,
            local,
            token: Token([0; 16]),
            limits: Limits::default(),
            wall_origin: Duration::ZERO,
            recorder,
            stop,
        };
        match caller.ask(&ClientSays::Hello { version: VERSION })? {
            ServerSays::Welcome {
                token,
                limits,
                wall_origin_ns,
            } => {
                caller.token = token;
                caller.limits = limits;
                caller.wall_origin = Duration::from_nanos(wall_origin_ns);
                Ok(caller)
            }
            other => Err(caller.unexpected("open a session with", other)),
        }
    }

    /// Measures how far apart the clocks are.
    pub(super) fn measure(&mut self) -> Result<Vec<RoundTrip>, Error> {
        let clock = self.recorder.clock();
        let mut trips = Vec::new();
        for number in 0..TRIPS {
            let asked = clock.now();
            match self.ask(&ClientSays::Ping { number })? {
                ServerSays::Pong {
                    number: same,
                    received_at_ns,
                    sent_at_ns,
                } if same == number => trips.push(RoundTrip {
                    asked,
                    received: Duration::from_nanos(received_at_ns),
                    answered: Duration::from_nanos(sent_at_ns),
                    returned: clock.now(),
                }),
                other => return Err(self.unexpected("ask the time of", other)),
            }
        }
        Ok(trips)
    }

    /// Says what is to be sent; what of it the server takes.
    pub(super) fn plan(&mut self, plan: Plan) -> Result<Vec<Offer>, Error> {
        match self.ask(&ClientSays::Plan(plan))? {
            ServerSays::Ready { kinds } => Ok(kinds),
            other => Err(self.unexpected("agree with", other)),
        }
    }

    /// The sending may begin.
    pub(super) fn go(&mut self) -> Result<(), Error> {
        match self.ask(&ClientSays::Go)? {
            ServerSays::Started => Ok(()),
            other => Err(self.unexpected("start with", other)),
        }
    }

    /// The sending is over; the server's report.
    pub(super) fn end(&mut self, sent: u32, plan: &Plan) -> Result<Report, Error> {
        // A server that was stopped has closed, and its report is there.
        let _ = self.control.say(&ClientSays::End { sent });
        let waits = Duration::from_nanos(plan.patience_ns.max(plan.timeout_ns));
        let mut until = Instant::now() + waits + ANSWER;
        let mut report = Report::default();
        let mut told = Vec::new();
        // Each turn brings more than the one before, and all of it is bounded.
        loop {
            let said = self.control.hear(until, &|| false);
            match said.map_err(|why| self.lost("get the report of", &why))? {
                ServerSays::Done => return Ok(report),
                ServerSays::Over { cut } if report.kinds.is_empty() && report.cut.is_none() => {
                    report.cut = cut.map(|why| printable(&why));
                }
                ServerSays::Arrivals { kind, messages } if !messages.is_empty() => {
                    let entry = self.entry(&mut report, &kind, plan)?;
                    entry.0.extend(messages);
                    // As many as a server notes, and no more.
                    if entry.0.len() > plan.count as usize * 4 + 4 {
                        return Err(self.wrong("more arrivals than it can have noted"));
                    }
                }
                ServerSays::Heard { kind, heard } if !told.contains(&kind) => {
                    self.entry(&mut report, &kind, plan)?.1 = heard;
                    told.push(kind);
                }
                other => return Err(self.unexpected("get the report of", other)),
            }
            until = Instant::now() + ANSWER;
        }
    }

    fn entry<'r>(
        &self,
        report: &'r mut Report,
        kind: &str,
        plan: &Plan,
    ) -> Result<&'r mut (Vec<Arrival>, Receipts), Error> {
        let planned = plan.kinds.iter().any(|ask| ask.kind == kind);
        let variant = kind.parse::<Variant>().ok().filter(|_| planned);
        let variant = variant.ok_or_else(|| self.wrong("a kind that was not planned"))?;
        Ok(report.kinds.entry(variant).or_default())
    }

    /// Nothing more is wanted.
    pub(super) fn leave(self) {
        // Whether the server hears that or not, it is over.
        let _ = self.control.say(&ClientSays::Bye);
    }

    /// Whether the user wants no more.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Whether the server says something unasked within so long, or is gone.
    pub(super) fn is_called(&self, within: Duration) -> bool {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        use std::os::fd::AsFd;
        let socket = self.control.stream().as_fd();
        let mut ready = [PollFd::new(socket, PollFlags::POLLIN)];
        let within = PollTimeout::try_from(within).unwrap_or(PollTimeout::ZERO);
        poll(&mut ready, within).is_ok_and(|count| count > 0)
    }

    fn ask(&mut self, question: &ClientSays) -> Result<ServerSays, Error> {
        let said = self.control.say(question).map_err(Silence::Io);
        let (stop, control) = (self.stop, &mut self.control);
        let stopped = || stop.load(Ordering::Relaxed);
        let heard = said.and_then(|()| control.hear(Instant::now() + ANSWER, &stopped));
        heard.map_err(|why| self.lost("talk to", &why))
    }

    fn lost(&self, operation: &str, why: &Silence) -> Error {
        let error = Error::new(operation, self.peer, why.to_string());
        match why {
            Silence::Malformed(_) => {
                error.remedy("is that a `socklab compare --listen` of the same version?")
            }
            _ => error,
        }
        .exiting(Exit::Network)
    }

    fn wrong(&self, what: &str) -> Error {
        Error::new("get the report of", self.peer, what).exiting(Exit::Network)
    }

    fn unexpected(&self, operation: &str, said: ServerSays) -> Error {
        let error = match said {
            ServerSays::Busy { why } => {
                Error::new(operation, self.peer, format!("busy: {}", printable(&why)))
                    .remedy("try again when another client is done")
            }
            ServerSays::Refused { why } => Error::new(operation, self.peer, printable(&why)),
            _ => Error::new(operation, self.peer, "it answered something else"),
        };
        error.exiting(Exit::Network)
    }
}

/// A peer's words, safe for a terminal and of bounded length.
pub(super) fn printable(words: &str) -> String {
    let safe = words.chars().map(|letter| match letter {
        letter if letter.is_control() => '·',
        letter => letter,
    });
    safe.take(200).collect()
}

fn unreachable_server(peer: SocketAddr, error: io::Error) -> Error {
    let refused = error.kind() == io::ErrorKind::ConnectionRefused;
    let error = Error::new("connect", peer, error).exiting(Exit::Network);
    if refused {
        return error.remedy("is `socklab compare --listen` running there?");
    }
    error
}
