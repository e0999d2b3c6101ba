//! Where clients come in: bind(2), listen(2), and what a failed accept(2) means.
//!
//! The listener never blocks, so that a client who has left again between
//! poll(2) and accept(2) cannot hold a server up. What each failure means is
//! decided here once for all models.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::errno::Errno;

use super::model::{Model, Terms};
use super::tale::Witness;
use crate::error::Error;
use crate::event::{SocketName, Told, Topic};
use crate::flow::{Family, Kind};
use crate::pipe::say;
use crate::recorder::{Recorder, Returned};
use crate::socket::options::{self, Moment, Role, SocketOption, Target};
use crate::socket::{Listener, Stream, TcpInfo, bind_failure, is_without_ipv6};

/// Connections that may wait to be accepted where nothing else is asked for, as
/// far as the kernel's `net.core.somaxconn` allows.
pub const BACKLOG: i32 = 4096;

/// How long a server without descriptors leaves the door alone.
pub(super) const PAUSE: Duration = Duration::from_millis(50);

/// Where the clients of a server come in.
pub struct Entrance {
    pub(super) listeners: Vec<TcpListener>,
    /// Where it is.
    pub address: SocketAddr,
}

/// Whether a listener on all IPv6 addresses takes IPv4's clients too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Families {
    /// It does, whatever the system's default.
    Both,
    /// It does not (`IPV6_V6ONLY`).
    One,
}

/// What is asked of an entrance.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The addresses, of which the first that this host has is taken.
    pub addresses: &'a [SocketAddr],
    /// Whether an IPv6 listener takes IPv4 too.
    pub families: Families,
    /// Options of the listeners.
    pub options: &'a [SocketOption],
    /// Connections that may wait to be accepted.
    pub backlog: i32,
    /// Listeners where each worker has one of its own.
    pub workers: usize,
}

impl Entrance {
    /// Listens on the first of the addresses that this host has, as `model`
    /// needs it: with a listener for each of so many workers, or with one. A
    /// host without IPv6 is listened to by IPv4 where both were meant.
    pub fn open(asked: &Asked<'_>, model: Model, recorder: &Recorder) -> Result<Self, Error> {
        let mut failure = Error::new("listen on", "", "no address was given");
        for address in asked.addresses {
            let without_ipv6 = (Ipv4Addr::UNSPECIFIED, address.port()).into();
            match asked.at(*address, model, recorder) {
                Ok(entrance) => return Ok(entrance),
                Err(error) if asked.families == Families::Both && is_without_ipv6(&error) => {
                    return asked.at(without_ipv6, model, recorder);
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Connections that may wait, as the kernel has it.
    pub(super) fn backlog(&self) -> Option<u32> {
        // Of a socket that listens, this is what that field says (tcp_diag).
        let info = TcpInfo::of(self.listeners.first()?.as_fd()).ok()?;
        Some(info.sacked)
    }
}

impl Asked<'_> {
    fn at(
        &self,
        address: SocketAddr,
        model: Model,
        recorder: &Recorder,
    ) -> Result<Entrance, Error> {
        let first = self.bind(address, model, recorder)?;
        let address = first
            .local_addr()
            .map_err(|error| Error::new("getsockname", address, error))?;
        let mut listeners = vec![first];
        if model == Model::Reuseport {
            for _ in 1..self.workers {
                listeners.push(self.bind(address, model, recorder)?);
            }
        }
        Ok(Entrance { listeners, address })
    }

    fn bind(
        &self,
        address: SocketAddr,
        model: Model,
        recorder: &Recorder,
    ) -> Result<TcpListener, Error> {
        let failed = |error| Error::new("listen on", address, error);
        let listener = Listener::open(recorder, "listener", address).map_err(failed)?;
        let reuse = listener.set_option("SO_REUSEADDR, 1", |it| it.set_reuse_address(true));
        reuse.map_err(failed)?;
        if address.is_ipv6() {
            let is_alone = self.families == Families::One;
            let option = format!("IPV6_V6ONLY, {}", u8::from(is_alone));
            let only = listener.set_option(option, |it| it.set_only_v6(is_alone));
            only.map_err(failed)?;
        }
        if model == Model::Reuseport {
            let shared = listener.set_option("SO_REUSEPORT, 1", |it| it.set_reuse_port(true));
            shared.map_err(failed)?;
        }
        let target = target(address);
        for applied in options::apply(self.options, Moment::Opened, target, &listener)? {
            let text = applied.to_string();
            say(recorder, "listener", Told::Option { text });
        }
        listener
            .bind(address)
            .map_err(|error| bind_failure(address, error))?;
        listener.listen(self.backlog).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(listener.into_inner())
    }
}

fn target(address: SocketAddr) -> Target {
    Target {
        kind: Kind::Tcp,
        family: Family::of(address.ip()),
        role: Role::Listening,
    }
}

/// A listener, and how those who come are received.
pub(super) struct Door<'a> {
    pub(super) listener: &'a TcpListener,
    pub(super) terms: &'a Terms<'a>,
    accepted: AtomicU64,
}

/// What one accept(2) came to.
pub(super) enum Knock<T> {
    /// A client.
    Client(Arrival<T>),
    /// Nobody is waiting.
    Nobody,
    /// Somebody had been waiting and has left, or was sent away; the next may be there already.
    Gone,
    /// There is no descriptor or memory for anybody.
    Full,
}

/// A client who has come in.
pub(super) struct Arrival<T> {
    pub(super) client: T,
    pub(super) address: SocketAddr,
    pub(super) tale: Witness,
}

impl<'a> Door<'a> {
    pub(super) fn new(listener: &'a TcpListener, terms: &'a Terms<'a>) -> Self {
        Self {
            listener,
            terms,
            accepted: AtomicU64::new(0),
        }
    }

    /// How many came in.
    pub(super) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// The next client, waited for; `None` when it is time to end.
    pub(super) fn next(&self) -> Result<Option<Arrival<TcpStream>>, Error> {
        loop {
            let knock = self.knock()?;
            if self.terms.stop.is_asked() {
                return Ok(None);
            }
            match knock {
                Knock::Client(arrival) => return Ok(Some(arrival)),
                Knock::Nobody => self.wait()?,
                Knock::Gone => {}
                Knock::Full => self.rest()?,
            }
        }
    }

    /// One accept(2).
    pub(super) fn knock(&self) -> Result<Knock<TcpStream>, Error> {
        self.judge(|| self.listener.accept())
    }

    /// Makes an accept(2), and says what its result means.
    pub(super) fn judge<T: AsFd>(
        &self,
        accept: impl FnOnce() -> io::Result<(T, SocketAddr)>,
    ) -> Result<Knock<T>, Error> {
        let returned = |(_, peer): &(T, SocketAddr)| Returned::with(peer);
        let recorder = self.terms.recorder;
        let result = if recorder.wants(Topic::Call) {
            let name = SocketName::from("listener");
            recorder.call(&name, "accept", "", accept, returned)
        } else {
            accept()
        };
        let error = match result {
            // IPv4's addresses are the same through a listener for both.
            Ok((_, address)) if !self.terms.admission.admits(address.ip().to_canonical()) => {
                if let Some(watch) = self.terms.watch {
                    watch.reject(address, "its address is not allowed");
                }
                return Ok(Knock::Gone);
            }
            Ok((client, address)) => {
                self.accepted.fetch_add(1, Ordering::Relaxed);
                let watch = self.terms.watch;
                let tale = watch.and_then(|watch| watch.begin(client.as_fd(), address));
                self.dress(client.as_fd(), address);
                return Ok(Knock::Client(Arrival {
                    client,
                    address,
                    tale,
                }));
            }
            Err(error) => error,
        };
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EAGAIN) => Ok(Knock::Nobody),
            Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM) => {
                self.terms.journal.exhausted(&error);
                Ok(Knock::Full)
            }
            Some(Errno::EBADF | Errno::EINVAL | Errno::ENOTSOCK | Errno::EOPNOTSUPP) | None => {
                Err(self.failure("accept on", error))
            }
            // The error of a connection that came and went (accept(2)).
            Some(_) => Ok(Knock::Gone),
        }
    }

    /// Sets the options that a connection does not inherit.
    fn dress(&self, client: BorrowedFd<'_>, address: SocketAddr) {
        let moment = Moment::Connected;
        if !self.terms.options.iter().any(|it| it.moment() == moment) {
            return;
        }
        let stream = Stream::sharing(self.terms.recorder, "client", client);
        let stream = stream.map_err(|error| Error::new("dup", address, error));
        let applied = stream.and_then(|stream| {
            options::apply(self.terms.options, moment, target(address), &stream)
        });
        // The client may have left; the others are served all the same.
        if let Err(error) = applied {
            self.terms.journal.say(error);
        }
    }

    /// Waits for somebody at the door, or the end.
    pub(super) fn wait(&self) -> Result<(), Error> {
        let waited = self.terms.stop.or_readable(self.listener.as_fd());
        waited
            .map(drop)
            .map_err(|error| self.failure("poll", error))
    }

    /// Waits for nothing but the end.
    pub(super) fn wait_for_stop(&self) -> Result<(), Error> {
        let waited = self.terms.stop.or_readable(self.terms.stop.as_fd());
        waited
            .map(drop)
            .map_err(|error| self.failure("poll", error))
    }

    /// Leaves the door alone for a moment.
    pub(super) fn rest(&self) -> Result<(), Error> {
        let waited = self.terms.stop.or_later(PAUSE);
        waited
            .map(drop)
            .map_err(|error| self.failure("poll", error))
    }

    /// A failed call on the listener.
    pub(super) fn failure(&self, operation: &'static str, error: io::Error) -> Error {
        match self.listener.local_addr() {
            Ok(address) => Error::new(operation, address, error),
            Err(_) => Error::new(operation, "the listener", error),
        }
    }
}
