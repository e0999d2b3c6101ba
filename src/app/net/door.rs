//! Where clients come in: listening sockets, who is let in, and what is done
//! when descriptors have run out (listen(2), accept(2)).
//!
//! A client that leaves before it is let in disturbs nobody. Owns no client.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::unix::AsyncFd;

use super::{Connection, Stack, watch};
use crate::address::{Admission, canonical};
use crate::error::{Error, explain};
use crate::event::{Talk, Told, Topic, What};
use crate::recorder::Recorder;
use crate::socket::options::{self, Moment, SocketOption};
use crate::socket::{Listener, Stream};
use crate::tcp::bound::{say, target};
use crate::tcp::listen::{After, BACKLOG, Listen, is_exhaustion};

/// How clients come in.
#[derive(Debug, Clone)]
pub struct Doorway {
    /// The addresses to listen on.
    pub addresses: Vec<SocketAddr>,
    /// Whether IPv6 sockets take IPv4 too (RFC 3493 section 5.3).
    pub stack: Stack,
    /// Options to set.
    pub options: Vec<SocketOption>,
    /// Who is let in.
    pub admission: Admission,
}

/// The listening sockets.
pub struct Door {
    doorway: Doorway,
    recorder: Recorder,
    /// Records what clients do.
    clients: Recorder,
    listeners: Vec<AsyncFd<Listener>>,
    come: AtomicU64,
    reminded: Mutex<Option<Instant>>,
}

/// How long accepting rests where descriptors have run out.
const REST: Duration = Duration::from_millis(100);
/// How often it is said that they have.
const REMINDER: Duration = Duration::from_secs(1);

impl Door {
    /// Binds every address, and listens. Must be called within a runtime.
    pub fn open(doorway: Doorway, recorder: &Recorder) -> Result<Self, Error> {
        let listen = Listen {
            addresses: doorway.addresses.clone(),
            stack: doorway.stack,
            options: doorway.options.clone(),
            backlog: BACKLOG,
            admission: doorway.admission.clone(),
            after: After::KeepOpen,
            most: usize::MAX,
            timeout: None,
            names: false,
        };
        let mut listeners = Vec::new();
        for listener in listen.open(recorder)? {
            let failed = |error| Error::new("epoll_ctl", "the listening socket", error);
            listeners.push(watch::listener(listener).map_err(failed)?);
        }
        Ok(Self {
            doorway,
            recorder: recorder.clone(),
            clients: recorder.clone(),
            listeners,
            come: AtomicU64::new(0),
            reminded: Mutex::new(None),
        })
    }

    /// The same door, whose clients are told of to `recorder`.
    #[must_use]
    pub fn telling_of_clients_to(self, recorder: &Recorder) -> Self {
        let clients = recorder.clone();
        Self { clients, ..self }
    }

    /// Where it listens.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let addresses = self.listeners.iter();
        let addresses = addresses.map(|listener| listener.get_ref().local_address());
        addresses.filter_map(Result::ok).collect()
    }

    /// The next client that is let in. Its socket is named `client` and its
    /// number.
    pub async fn accept(&self) -> Connection {
        loop {
            let (stream, peer) = match poll_fn(|context| self.poll_accept(context)).await {
                Ok(accepted) => accepted,
                Err(error) if is_exhaustion(&error) => {
                    self.short(&error);
                    tokio::time::sleep(REST).await;
                    continue;
                }
                // It left before it was let in (accept(2)).
                Err(_) => continue,
            };
            let peer = canonical(peer);
            if !self.doorway.admission.admits(peer.ip()) {
                self.turn_away(&stream, peer);
                continue;
            }
            match self.let_in(stream, peer) {
                Ok(connection) => return connection,
                Err(error) if is_exhaustion(&error) => self.short(&error),
                Err(error) => self.recorder.note(Error::new("let in", peer, error)),
            }
        }
    }

    fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<(Stream, SocketAddr)>> {
        for listener in &self.listeners {
            while let Poll::Ready(ready) = listener.poll_read_ready(context) {
                let mut ready = ready?;
                let name = format!("client {}", self.come.load(Ordering::Relaxed) + 1);
                match listener.get_ref().accept_nonblocking(name, &self.clients) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
                    Err(error) => return Poll::Ready(Err(error)),
                    Ok(accepted) => {
                        self.come.fetch_add(1, Ordering::Relaxed);
                        return Poll::Ready(Ok(accepted));
                    }
                }
            }
        }
        Poll::Pending
    }

    fn let_in(&self, stream: Stream, peer: SocketAddr) -> io::Result<Connection> {
        let applied = options::apply(
            &self.doorway.options,
            Moment::Connected,
            target(peer),
            &stream,
        );
        let applied = applied.map_err(io::Error::other)?;
        let connection = Connection::new(stream, peer)?;
        connection.tell(|| Told::Accepted {
            local: connection.local(),
            remote: peer,
        });
        for option in applied {
            let text = option.to_string();
            connection.tell(|| Told::Option { text });
        }
        Ok(connection)
    }

    fn turn_away(&self, stream: &Stream, peer: SocketAddr) {
        if self.recorder.wants(Topic::Talk) {
            let socket = stream.name().clone();
            let told = Told::Rejected {
                remote: peer,
                reason: "its address is not allowed".into(),
            };
            let talk = Talk { socket, told };
            self.recorder
                .record(self.recorder.clock().now(), What::Talk(talk));
        }
    }

    /// Says that descriptors have run out, but not all the time.
    fn short(&self, error: &io::Error) {
        let mut reminded = self.reminded.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if reminded.is_none_or(|last| now.duration_since(last) >= REMINDER) {
            *reminded = Some(now);
            let cause = explain(error);
            say(&self.recorder, "listener", Told::Short { cause });
        }
    }
}
