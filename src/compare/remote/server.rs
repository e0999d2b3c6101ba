//! `socklab compare --listen`: the doors, and who comes in.
//!
//! One port for everything: control connections and streams of messages come to
//! the listener, datagrams to a socket of the same number. A datagram that
//! proves its address gets a socket of its own, connected to it; from then on
//! the kernel keeps everybody else's datagrams out of it.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Scope;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::ear::{self, Ear};
use super::journal::Journal;
use super::limits::Limits;
use super::proof::{LENGTH, Proof};
use super::protocol::Token;
use super::registry::Registry;
use super::visit;
use crate::compare::Variant;
use crate::compare::lane::GLANCE;
use crate::error::Error;
use crate::flow::Kind;
use crate::recorder::Recorder;
use crate::socket::{Datagram, Listener, bind_failure};

/// A server that is bound and listens.
pub struct Server {
    doors: Vec<Door>,
    pub(super) limits: Limits,
    pub(super) registry: Arc<Registry>,
    pub(super) recorder: Recorder,
    pub(super) journal: Journal,
}

struct Door {
    listener: Listener,
    datagrams: Datagram,
    address: SocketAddr,
}

/// Connections that wait to be accepted.
const BACKLOG: i32 = 64;

impl Server {
    /// Listens on `address`, or where only a port is given on all addresses of
    /// both families, as far as this host has them.
    pub fn bind(
        address: Result<SocketAddr, u16>,
        limits: Limits,
        (recorder, journal): (Recorder, Journal),
    ) -> Result<Self, Error> {
        let doors = match address {
            Ok(address) => vec![Door::open(&recorder, address)?],
            Err(port) => {
                let first = Door::open(&recorder, (Ipv4Addr::UNSPECIFIED, port).into())?;
                let port = first.address.port();
                let second = Door::open(&recorder, (Ipv6Addr::UNSPECIFIED, port).into());
                match second {
                    Ok(second) => vec![first, second],
                    Err(error) if has_no_ipv6(&error) => vec![first],
                    Err(error) => return Err(error),
                }
            }
        };
        Ok(Self {
            doors,
            limits,
            registry: Registry::new(limits),
            recorder,
            journal,
        })
    }

    /// Where it listens.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.doors.iter().map(|door| door.address)
    }

    /// Serves clients until `stop` is set; then each session is told so and gets
    /// the report of what arrived.
    pub fn run(&self, stop: &AtomicBool) -> Result<(), Error> {
        std::thread::scope(|scope| {
            let ran = self.open_doors(scope, stop);
            // Nobody waits for a session that nobody can end.
            if ran.is_err() {
                stop.store(true, Ordering::Relaxed);
            }
            ran
        })
    }

    fn open_doors<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        stop: &'scope AtomicBool,
    ) -> Result<(), Error> {
        let wait = PollTimeout::try_from(GLANCE).unwrap_or(PollTimeout::ZERO);
        while !stop.load(Ordering::Relaxed) {
            let sockets = self.doors.iter();
            let mut ready: Vec<PollFd<'_>> = sockets
                .flat_map(|door| [door.listener.as_fd(), door.datagrams.as_fd()])
                .map(|socket| PollFd::new(socket, PollFlags::POLLIN))
                .collect();
            match poll(&mut ready, wait) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::new("poll", "the listeners", errno)),
            }
            let is_ready = |at: usize| ready.get(at).and_then(PollFd::any).unwrap_or(false);
            for (at, door) in self.doors.iter().enumerate() {
                if is_ready(2 * at) {
                    self.accept(door, scope, stop);
                }
                if is_ready(2 * at + 1) {
                    self.answer(door, scope);
                }
            }
        }
        Ok(())
    }

    /// One connection; whatever is wrong with it costs nobody else anything.
    fn accept<'scope>(
        &'scope self,
        door: &Door,
        scope: &'scope Scope<'scope, '_>,
        stop: &'scope AtomicBool,
    ) {
        let Ok((stream, peer)) = door.listener.accept("connection") else {
            return;
        };
        let Some(ticket) = self.registry.admit(peer.ip()) else {
            self.journal
                .say(format_args!("{peer}: too many connections; closed"));
            return;
        };
        let visit = move || {
            let _ticket = ticket;
            visit::receive(self, scope, stop, (stream, peer));
        };
        let thread = std::thread::Builder::new().name("visit".into());
        if let Err(error) = thread.spawn_scoped(scope, visit) {
            self.journal.say(format_args!("{peer}: no thread: {error}"));
        }
    }

    /// One datagram: a proof is answered, anything else is not.
    fn answer<'scope>(&'scope self, door: &Door, scope: &'scope Scope<'scope, '_>) {
        // A byte more than a proof has: what is longer is none.
        let mut buffer = [0; LENGTH + 1];
        let Ok(received) = door.datagrams.recv_from(&mut buffer) else {
            return;
        };
        let from = received.from;
        let Some(Proof::Question(token, variant)) = Proof::parse(&buffer[..received.bytes]) else {
            return;
        };
        let Some(session) = self.registry.session(token, from.ip()) else {
            self.journal
                .say(format_args!("{from}: a datagram with a wrong token"));
            return;
        };
        if variant.kind() != Kind::Udp || !session.attach(variant) {
            return;
        }
        match self.connect(session.local, from, (token, variant)) {
            Ok(socket) => {
                let clock = self.recorder.clock();
                let ear = Ear::Datagram(socket, from);
                let reader = std::thread::Builder::new().name("datagrams".into());
                let listening = Arc::clone(&session);
                let spawned = reader.spawn_scoped(scope, move || {
                    ear::listen(&ear, variant, &listening, clock);
                });
                if spawned.is_err() {
                    session.detach(variant, None);
                }
            }
            Err(error) => {
                session.detach(variant, None);
                let why = crate::error::explain(&error);
                self.journal
                    .say(format_args!("{from}: no socket for its datagrams: {why}"));
            }
        }
    }

    /// A socket for one peer's datagrams, and the answer to its proof. It has
    /// the door's own port: for a datagram the kernel chooses the socket that is
    /// connected to its sender.
    fn connect(
        &self,
        local: SocketAddr,
        peer: SocketAddr,
        (token, variant): (Token, Variant),
    ) -> io::Result<Datagram> {
        let socket = Datagram::open(&self.recorder, "udp server", local)?;
        socket.set_option("SO_REUSEADDR, 1", |socket| socket.set_reuse_address(true))?;
        socket.bind(local)?;
        socket.connect(peer)?;
        socket.set_receive_timeout(GLANCE)?;
        socket.send(&Proof::Answer(token, variant).emit())?;
        Ok(socket)
    }
}

impl Door {
    /// The datagrams' socket first: whoever sees the listener may use both.
    fn open(recorder: &Recorder, address: SocketAddr) -> Result<Self, Error> {
        let opening = |error: io::Error| Error::new("listen on", address, error);
        let listener = Listener::open(recorder, "listener", address).map_err(opening)?;
        let share = |socket: &socket2::Socket| {
            socket.set_reuse_address(true)?;
            if address.is_ipv6() {
                socket.set_only_v6(true)?;
            }
            Ok(())
        };
        let options = "SO_REUSEADDR, 1 and IPV6_V6ONLY, 1";
        listener.set_option(options, share).map_err(opening)?;
        listener
            .bind(address)
            .map_err(|error| bind_failure(address, error))?;
        let address = listener.local_address().map_err(opening)?;
        let datagrams = Datagram::open(recorder, "udp listener", address).map_err(opening)?;
        datagrams.set_option(options, share).map_err(opening)?;
        datagrams
            .bind(address)
            .map_err(|error| bind_failure(address, error))?;
        // What poll(2) saw may be gone by the time it is asked for.
        datagrams.set_receive_timeout(GLANCE).map_err(opening)?;
        listener.set_receive_timeout(GLANCE).map_err(opening)?;
        listener.listen(BACKLOG).map_err(opening)?;
        Ok(Self {
            listener,
            datagrams,
            address,
        })
    }
}

fn has_no_ipv6(error: &Error) -> bool {
    matches!(
        error.errno(),
        Some(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL)
    )
}
