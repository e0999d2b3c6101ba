//! Connecting to one of several addresses (connect(2), RFC 8305): attempts in
//! turn, each told, and the first that succeeds is the connection.
//!
//! Owns the sockets of the attempts. When which address is tried is
//! [`Attempts`]' decision.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};

use crate::address::Attempts;
use crate::error::{Error, Exit, explain};
use crate::event::{SocketName, Told};
use crate::flow::{Family, Kind};
use crate::pipe::{Vigil, tell};
use crate::recorder::Recorder;
use crate::socket::Stream;
use crate::socket::options::{self, Moment, Role, SocketOption, Target};

/// Where to connect to, and how.
#[derive(Debug, Clone)]
pub struct Connect {
    /// What was typed, for errors.
    pub endpoint: String,
    /// The addresses, in the resolver's order.
    pub addresses: Vec<SocketAddr>,
    /// The addresses to connect from, one of each family at most; none leaves
    /// it to the kernel.
    pub from: Vec<SocketAddr>,
    /// How long all attempts may take together.
    pub timeout: Option<Duration>,
    /// Options to set.
    pub options: Vec<SocketOption>,
    /// Raised when it is to end now.
    pub stop: Arc<AtomicBool>,
}

/// A connection, and its other end.
pub struct Connected {
    /// The connected socket.
    pub stream: Stream,
    /// This end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// How long the attempt took.
    pub took: Duration,
}

/// Connects; `None` where it was stopped before.
///
/// # Errors
///
/// No address could be reached, or the source address or an option cannot be
/// had.
pub fn connect(config: &Connect, recorder: &Recorder) -> Result<Option<Connected>, Error> {
    let failed = |errno| Error::new("wait for", &config.endpoint, errno);
    let vigil = Vigil::begin(&config.stop).map_err(failed)?;
    let mut race = Race::begin(config, recorder, Opens::Blocking)?;
    loop {
        let due = race.advance(Instant::now())?;
        let ready = {
            let mut waiting: Vec<PollFd<'_>> = race
                .sockets()
                .map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLOUT))
                .collect();
            let patience = due.map(|due| due.saturating_duration_since(Instant::now()));
            vigil.wait(&mut waiting, patience).map_err(failed)?;
            waiting.iter().position(|one| one.any() == Some(true))
        };
        if let Some(index) = ready
            && let Some(won) = race.conclude(index)?
        {
            return won.alone().map(Some);
        }
        if vigil.is_over() {
            return Ok(None);
        }
    }
}

impl Connect {
    /// Those addresses that a socket bound to `from` can reach.
    fn reachable(&self) -> Result<Vec<SocketAddr>, Error> {
        let has_source =
            |address: &&SocketAddr| self.from.is_empty() || self.source(**address).is_some();
        let reachable: Vec<SocketAddr> =
            self.addresses.iter().filter(has_source).copied().collect();
        match (reachable.is_empty(), self.from.first()) {
            (true, Some(from)) => Err(Error::new(
                "bind",
                from,
                format!("{} has no address of this family", self.endpoint),
            )
            .remedy("--from and the endpoint must both be IPv4, or both IPv6")),
            _ => Ok(reachable),
        }
    }

    fn source(&self, remote: SocketAddr) -> Option<SocketAddr> {
        let mut sources = self.from.iter();
        sources
            .find(|from| from.is_ipv4() == remote.is_ipv4())
            .copied()
    }
}

/// The attempts under way. Who waits for them, and how, is the caller's
/// business: a socket whose attempt has ended is writable.
pub(crate) struct Race<'a> {
    config: &'a Connect,
    recorder: &'a Recorder,
    opens: Opens,
    attempts: Attempts,
    under_way: Vec<Attempt>,
    failures: Vec<(SocketAddr, io::Error)>,
    begun: usize,
    deadline: Option<Instant>,
}

/// What sockets are opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opens {
    /// Those that wait, as they will when they are connected.
    Blocking,
    /// Those that never do (`SOCK_NONBLOCK`).
    Nonblocking,
}

/// The attempt that succeeded.
pub(crate) struct Won {
    /// Its socket, which does not block.
    pub(crate) stream: Arc<Stream>,
    /// This end.
    pub(crate) local: SocketAddr,
    /// The other end.
    pub(crate) remote: SocketAddr,
    took: Duration,
}

impl Won {
    /// The connection, whose socket nobody else may hold any more, and which waits.
    fn alone(self) -> Result<Connected, Error> {
        let failed = |error| Error::new("connect", self.remote, error);
        let stream = Arc::into_inner(self.stream)
            .ok_or_else(|| failed(io::Error::other("somebody else holds the socket")))?;
        stream.set_nonblocking(false).map_err(failed)?;
        Ok(Connected {
            stream,
            local: self.local,
            remote: self.remote,
            took: self.took,
        })
    }
}

struct Attempt {
    stream: Arc<Stream>,
    remote: SocketAddr,
    since: Instant,
}

impl<'a> Race<'a> {
    /// Before the first attempt.
    pub(crate) fn begin(
        config: &'a Connect,
        recorder: &'a Recorder,
        opens: Opens,
    ) -> Result<Self, Error> {
        Ok(Self {
            config,
            recorder,
            opens,
            attempts: Attempts::at(&config.reachable()?),
            under_way: Vec::new(),
            failures: Vec::new(),
            begun: 0,
            deadline: config.timeout.map(|timeout| Instant::now() + timeout),
        })
    }

    /// Begins the attempts that are due; when it is to be called again, at the
    /// latest.
    pub(crate) fn advance(&mut self, now: Instant) -> Result<Option<Instant>, Error> {
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            return Err(self.late());
        }
        while let Some(remote) = self.attempts.poll_attempt(now) {
            if let Some(attempt) = self.attempt(remote)? {
                self.under_way.push(attempt);
            }
        }
        if self.attempts.is_over() {
            return Err(self.lost());
        }
        let due = [self.attempts.next_deadline(), self.deadline];
        Ok(due.into_iter().flatten().min())
    }

    /// The sockets of the attempts, in the order that
    /// [`conclude`](Self::conclude) counts.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = &Arc<Stream>> {
        self.under_way.iter().map(|attempt| &attempt.stream)
    }

    /// Opens a socket and begins to connect; none where that failed at once.
    fn attempt(&mut self, remote: SocketAddr) -> Result<Option<Attempt>, Error> {
        self.begun += 1;
        let name = match self.begun {
            1 => SocketName::from("connection"),
            number => SocketName::from(format!("connection {number}")),
        };
        let opened = match self.opens {
            Opens::Blocking => Stream::open(self.recorder, name, remote),
            Opens::Nonblocking => Stream::open_nonblocking(self.recorder, name, remote),
        };
        let stream = opened.map_err(|error| Error::new("socket for", remote, error))?;
        tell(&stream, || Told::Attempt { remote });
        self.apply(Moment::Opened, &stream, remote)?;
        if let Some(from) = self.config.source(remote) {
            if from.port() != 0 {
                stream
                    .set_option("SO_REUSEADDR, 1", |socket| socket.set_reuse_address(true))
                    .map_err(|error| Error::new("setsockopt SO_REUSEADDR for", from, error))?;
            }
            stream.bind(from).map_err(|error| unbound(from, error))?;
        }
        if self.opens == Opens::Blocking {
            stream
                .set_nonblocking(true)
                .map_err(|error| Error::new("fcntl for", remote, error))?;
        }
        let since = Instant::now();
        match stream.connect(remote) {
            Err(error) if !is_under_way(&error) => {
                self.fail(&stream, remote, since, error);
                Ok(None)
            }
            _ => Ok(Some(Attempt {
                stream: Arc::new(stream),
                remote,
                since,
            })),
        }
    }

    /// The attempt that need not be waited for, if there is one: loopback answers
    /// before connect(2) returns.
    pub(crate) fn connected_at_once(&self) -> Option<usize> {
        let is_connected = |attempt: &Attempt| {
            attempt.remote.ip().is_loopback() && attempt.stream.peer_address().is_ok()
        };
        self.under_way.iter().position(is_connected)
    }

    /// What the attempt on that socket came to: the last of it.
    pub(crate) fn conclude(&mut self, index: usize) -> Result<Option<Won>, Error> {
        let attempt = &self.under_way[index];
        match attempt.stream.pending_error() {
            Ok(()) => self.win(index).map(Some),
            Err(error) => {
                let attempt = self.under_way.remove(index);
                self.fail(&attempt.stream, attempt.remote, attempt.since, error);
                Ok(None)
            }
        }
    }

    /// Takes the attempt on that socket, which has succeeded; the others are left.
    pub(crate) fn win(&mut self, index: usize) -> Result<Won, Error> {
        let Attempt {
            stream,
            remote,
            since,
        } = self.under_way.remove(index);
        let took = since.elapsed();
        for left in self.under_way.drain(..) {
            tell(&left.stream, || Told::AttemptLeft {
                remote: left.remote,
            });
        }
        let failed = |error| Error::new("connect", remote, error);
        let local = stream.local_address().map_err(failed)?;
        tell(&stream, || Told::Connected {
            local,
            remote,
            took,
        });
        self.apply(Moment::Connected, &stream, remote)?;
        Ok(Won {
            stream,
            local,
            remote,
            took,
        })
    }

    fn fail(&mut self, stream: &Stream, remote: SocketAddr, since: Instant, error: io::Error) {
        tell(stream, || Told::AttemptFailed {
            remote,
            cause: explain(&error),
            took: since.elapsed(),
        });
        self.failures.push((remote, error));
        self.attempts.handle_failure();
    }

    fn apply(&self, moment: Moment, stream: &Stream, remote: SocketAddr) -> Result<(), Error> {
        let target = Target {
            kind: Kind::Tcp,
            family: Family::of(remote.ip()),
            role: Role::Connecting,
        };
        for applied in options::apply(&self.config.options, moment, target, stream)? {
            tell(stream, || Told::Option {
                text: applied.to_string(),
            });
        }
        Ok(())
    }

    /// Every attempt failed: the first one's cause, which the resolver's order
    /// preferred.
    fn lost(&mut self) -> Error {
        let target = self.target();
        if self.failures.is_empty() {
            return Error::new("connect", target, "no address to try");
        }
        let (remote, error) = self.failures.swap_remove(0);
        let errno = error.raw_os_error().map(Errno::from_raw);
        let failure = Error::new("connect", target, error);
        match errno {
            Some(Errno::ECONNREFUSED) => {
                failure.remedy("the host is there, and nothing listens on this port")
            }
            Some(Errno::EHOSTUNREACH) => failure.remedy("a router or this host found no way to it"),
            Some(Errno::ENETUNREACH) => {
                failure.remedy(format!("see `ip route get {}`", remote.ip()))
            }
            Some(Errno::ETIMEDOUT) => {
                failure.remedy("no answer: is the host up, or does a firewall drop?")
            }
            Some(Errno::EINVAL) if remote.is_ipv6() => {
                failure.remedy("a link-local address needs an interface: fe80::1%eth0")
            }
            _ => failure,
        }
    }

    /// The time that was given is over.
    fn late(&self) -> Error {
        let timeout = self.config.timeout.unwrap_or_default();
        Error::new("connect", self.target(), Errno::ETIMEDOUT)
            .exiting(Exit::Network)
            .remedy(format!("no answer within {timeout:?} (--connect-timeout)"))
    }

    /// What was tried.
    fn target(&self) -> String {
        match &self.config.addresses[..] {
            [only] => only.to_string(),
            several => {
                let all: Vec<String> = several.iter().map(ToString::to_string).collect();
                format!("{} ({})", self.config.endpoint, all.join(", "))
            }
        }
    }
}

fn is_under_way(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::EINPROGRESS as i32)
}

fn unbound(from: SocketAddr, error: io::Error) -> Error {
    let remedy = match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EADDRNOTAVAIL) => "this host has no such address; `ip address` lists them",
        Some(Errno::EADDRINUSE) => "another socket has this port; leave the port out of --from",
        Some(Errno::EACCES) => "ports below 1024 need CAP_NET_BIND_SERVICE",
        _ => return Error::new("bind", from, error),
    };
    Error::new("bind", from, error).remedy(remedy)
}
