//! Waiting for connections (listen(2), accept(2)), and what is done with those
//! who come: a conversation with standard input and output, one at a time, or a
//! small service for many at once.
//!
//! A client that leaves or resets disturbs nobody; descriptors that have run out
//! are waited for. Owns who is let in.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::sys::eventfd::EventFd;
use serde::Serialize;

use super::bound::target;
use super::service::{Client, Counts, Service};
use crate::address::canonical;
use crate::error::{Error, Exit, explain};
use crate::event::{Figures, Told};
use crate::pipe::{Ends, Terms, Vigil, ask_name, converse, say, tell};
use crate::recorder::Recorder;
use crate::socket::options::{self, Moment};
use crate::socket::{Listener, Stream};

pub use super::bound::{After, BACKLOG, Listen, Stack};

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Served {
    /// Clients that were let in.
    pub connections: u64,
    /// Clients that were sent away.
    pub rejected: u64,
    /// Bytes that conversations sent.
    #[serde(rename = "sent_bytes")]
    pub sent: u64,
    /// Bytes that conversations received.
    #[serde(rename = "received_bytes")]
    pub received: u64,
}

/// How long accepting rests where descriptors have run out.
const REST: Duration = Duration::from_millis(100);
/// How often it is said that they have.
const REMINDER: Duration = Duration::from_secs(1);

/// The descriptors that a conversation opens.
const CONVERSATION: usize = 2;

/// The listening sockets.
pub struct Door<'a> {
    config: &'a Listen,
    recorder: &'a Recorder,
    listeners: Vec<Listener>,
    served: Served,
    reminded: Option<Instant>,
    /// Descriptors that a client needs besides its socket's.
    needs: usize,
}

impl<'a> Door<'a> {
    /// Binds every address, and listens.
    pub fn open(config: &'a Listen, recorder: &'a Recorder) -> Result<Self, Error> {
        let listeners = config.open(recorder)?;
        Ok(Self {
            config,
            recorder,
            listeners,
            served: Served::default(),
            reminded: None,
            needs: 0,
        })
    }

    /// Where it listens.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let addresses = self
            .listeners
            .iter()
            .map(|listener| listener.local_address());
        addresses.filter_map(Result::ok).collect()
    }

    /// Joins clients to `ends`, one at a time.
    pub fn converse(mut self, ends: &Ends, terms: &Terms) -> Result<Served, Error> {
        let vigil = begin(terms)?;
        self.needs = CONVERSATION;
        while let Some((stream, peer)) = self.next(&vigil, || 0)? {
            if self.config.after == After::Leave {
                // Whoever comes now is refused rather than kept waiting.
                self.listeners.clear();
            }
            match converse(stream, peer, ends, terms) {
                Ok(figures) => self.count(&figures),
                Err(error) if self.config.after == After::Leave || error.is_broken_pipe() => {
                    return Err(error);
                }
                Err(error) => self.recorder.note(error),
            }
            if self.config.after == After::Leave {
                break;
            }
        }
        Ok(self.served)
    }

    /// Gives every client the service, a thread each.
    pub fn serve(mut self, service: Service, terms: &Terms) -> Result<Served, Error> {
        let vigil = begin(terms)?;
        let present = Arc::new(AtomicUsize::new(0));
        let counts = Arc::new(Counts::default());
        while let Some((stream, peer)) = self.next(&vigil, || present.load(Ordering::Relaxed))? {
            let idle = terms.idle;
            let guest = Guest::enter(&present);
            let counts = Arc::clone(&counts);
            let thread = std::thread::Builder::new()
                .name("client".into())
                .stack_size(128 << 10)
                .spawn(move || {
                    Client::new(stream, &counts).serve(service, idle);
                    drop(guest);
                });
            if let Err(error) = thread {
                // The closure, and with it the client, is gone.
                self.short(&error);
                self.reject(peer, explain(&error));
            }
        }
        self.served.sent = counts.sent.load(Ordering::Relaxed);
        self.served.received = counts.received.load(Ordering::Relaxed);
        Ok(self.served)
    }

    fn count(&mut self, figures: &Figures) {
        self.served.sent += figures.sent;
        self.served.received += figures.received;
    }

    /// The next client that is let in; none where it is to end.
    fn next(
        &mut self,
        vigil: &Vigil<'_>,
        present: impl Fn() -> usize,
    ) -> Result<Option<(Stream, SocketAddr)>, Error> {
        let mut since = Instant::now();
        loop {
            if vigil.is_over() {
                return Ok(None);
            }
            if present() > 0 {
                since = Instant::now();
            }
            let patience = self
                .config
                .timeout
                .map(|most| most.saturating_sub(since.elapsed()));
            if patience.is_some_and(|patience| patience.is_zero()) {
                return Err(self.nobody());
            }
            let Some(index) = self.wait(vigil, patience)? else {
                continue;
            };
            let name = format!(
                "client {}",
                self.served.connections + self.served.rejected + 1
            );
            // Whoever is accepted is also spoken to.
            let room = self.room();
            let accepted = room.and_then(|_room| self.listeners[index].accept(name));
            match accepted {
                Ok((stream, peer)) => {
                    let peer = canonical(peer);
                    if let Some(stream) = self.admit(stream, peer, present())? {
                        return Ok(Some((stream, peer)));
                    }
                }
                Err(error) if is_exhaustion(&error) => {
                    self.short(&error);
                    // Where waiting fails, the next wait says so.
                    let _ = vigil.wait(&mut [], Some(REST));
                }
                // It left before it was let in (accept(2)), or somebody else has
                // accepted it.
                Err(_) => {}
            }
        }
    }

    /// Descriptors held for a client until it is there.
    fn room(&self) -> io::Result<Vec<EventFd>> {
        let room = (0..self.needs).map(|_| EventFd::new().map_err(Into::into));
        room.collect()
    }

    fn wait(&self, vigil: &Vigil<'_>, patience: Option<Duration>) -> Result<Option<usize>, Error> {
        let mut waiting: Vec<PollFd<'_>> = self
            .listeners
            .iter()
            .map(|listener| PollFd::new(listener.as_fd(), PollFlags::POLLIN))
            .collect();
        let waited = vigil.wait(&mut waiting, patience);
        waited.map_err(|errno| Error::new("wait on", "the listening socket", errno))?;
        Ok(waiting.iter().position(|one| one.any() == Some(true)))
    }

    /// Lets a client in, or sends it away.
    fn admit(
        &mut self,
        stream: Stream,
        peer: SocketAddr,
        present: usize,
    ) -> Result<Option<Stream>, Error> {
        if !self.config.admission.admits(peer.ip()) {
            self.reject(peer, "its address is not allowed".into());
            return Ok(None);
        }
        if present >= self.config.most {
            self.reject(
                peer,
                format!("{present} are here already (--max-connections)"),
            );
            return Ok(None);
        }
        self.served.connections += 1;
        if let Ok(local) = stream.local_address() {
            tell(&stream, || Told::Accepted {
                local: canonical(local),
                remote: peer,
            });
        }
        if self.config.names {
            ask_name(self.recorder, peer);
        }
        let target = target(peer);
        for applied in options::apply(&self.config.options, Moment::Connected, target, &stream)? {
            tell(&stream, || Told::Option {
                text: applied.to_string(),
            });
        }
        Ok(Some(stream))
    }

    fn reject(&mut self, remote: SocketAddr, reason: String) {
        self.served.rejected += 1;
        say(self.recorder, "listener", Told::Rejected { remote, reason });
    }

    /// Says that descriptors have run out, but not all the time.
    fn short(&mut self, error: &io::Error) {
        let now = Instant::now();
        if self
            .reminded
            .is_none_or(|last| now.duration_since(last) >= REMINDER)
        {
            self.reminded = Some(now);
            let cause = explain(error);
            say(self.recorder, "listener", Told::Short { cause });
        }
    }

    fn nobody(&self) -> Error {
        let timeout = self.config.timeout.unwrap_or_default();
        let address = self.config.addresses.first();
        let address = address.map_or_else(String::new, ToString::to_string);
        let cause = format!("nobody connected within {timeout:?} (--listen-timeout)");
        Error::new("listen on", address, cause).exiting(Exit::Network)
    }
}

fn begin(terms: &Terms) -> Result<Vigil<'_>, Error> {
    Vigil::begin(&terms.stop).map_err(|errno| Error::new("wait on", "the listening socket", errno))
}

/// A client that is here as long as this value is.
struct Guest(Arc<AtomicUsize>);

impl Guest {
    fn enter(present: &Arc<AtomicUsize>) -> Self {
        present.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(present))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(crate) fn is_exhaustion(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(
        errno,
        Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM)
    )
}
