//! Where clients come in: bind(2), listen(2), and what a failed accept(2) means.
//!
//! The listener never blocks, so that a client who has left again between
//! poll(2) and accept(2) cannot hold a server up. What each failure means is
//! decided here once for all models.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use socket2::{Domain, Socket, Type};

use super::model::{Model, Terms};
use crate::error::Error;
use crate::socket::bind_failure;

/// Connections that may wait to be accepted, as far as the kernel's
/// `net.core.somaxconn` allows.
const BACKLOG: i32 = 4096;

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

impl Entrance {
    /// Listens on the first of the addresses that this host has, as `model`
    /// needs it: with a listener for each of so many workers, or with one.
    pub fn open(
        (addresses, families): (&[SocketAddr], Families),
        model: Model,
        workers: usize,
    ) -> Result<Self, Error> {
        let mut failure = Error::new("listen on", "", "no address was given");
        for address in addresses {
            match Self::at((*address, families), model, workers) {
                Ok(entrance) => return Ok(entrance),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn at(
        (address, families): (SocketAddr, Families),
        model: Model,
        workers: usize,
    ) -> Result<Self, Error> {
        let first = bind(address, families, model)?;
        let address = first
            .local_addr()
            .map_err(|error| Error::new("getsockname", address, error))?;
        let mut listeners = vec![first];
        if model == Model::Reuseport {
            for _ in 1..workers {
                listeners.push(bind(address, families, model)?);
            }
        }
        Ok(Self { listeners, address })
    }
}

fn bind(address: SocketAddr, families: Families, model: Model) -> Result<TcpListener, Error> {
    let failed = |error| Error::new("listen on", address, error);
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).map_err(failed)?;
    socket.set_reuse_address(true).map_err(failed)?;
    if address.is_ipv6() {
        let is_alone = families == Families::One;
        socket.set_only_v6(is_alone).map_err(failed)?;
    }
    if model == Model::Reuseport {
        socket.set_reuse_port(true).map_err(failed)?;
    }
    socket
        .bind(&address.into())
        .map_err(|error| bind_failure(address, error))?;
    socket.listen(BACKLOG).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    Ok(socket.into())
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
    Client(T),
    /// Nobody is waiting.
    Nobody,
    /// Somebody had been waiting and has left, or was sent away; the next may be there already.
    Gone,
    /// There is no descriptor or memory for anybody.
    Full,
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
    pub(super) fn next(&self) -> Result<Option<TcpStream>, Error> {
        loop {
            let knock = self.knock()?;
            if self.terms.stop.is_asked() {
                return Ok(None);
            }
            match knock {
                Knock::Client(client) => return Ok(Some(client)),
                Knock::Nobody => self.wait()?,
                Knock::Gone => {}
                Knock::Full => self.rest()?,
            }
        }
    }

    /// One accept(2).
    pub(super) fn knock(&self) -> Result<Knock<TcpStream>, Error> {
        self.judge(self.listener.accept())
    }

    /// What the result of an accept(2) means.
    pub(super) fn judge<T>(&self, result: io::Result<(T, SocketAddr)>) -> Result<Knock<T>, Error> {
        let error = match result {
            // IPv4's addresses are the same through a listener for both.
            Ok((_, address)) if !self.terms.admission.admits(address.ip().to_canonical()) => {
                return Ok(Knock::Gone);
            }
            Ok((client, _)) => {
                self.accepted.fetch_add(1, Ordering::Relaxed);
                return Ok(Knock::Client(client));
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
