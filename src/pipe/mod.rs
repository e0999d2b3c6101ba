//! Standard input and output joined to a connected socket, each way on a thread
//! of its own.
//!
//! ```text
//!   input ──► send ──► shutdown(SHUT_WR)        both have ended ─► over
//!   output ◄─ recv ◄── end of stream            reset, idle, Ctrl-C ─► over
//! ```
//!
//! A half-close is passed on, and the other way goes on to its end (RFC 9293
//! section 3.6). Owns the conversation; which socket it is, and what is shown of
//! it, is the caller's business.

mod lines;
mod telling;
mod vigil;
mod way;

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::sys::eventfd::EventFd;
use nix::sys::signal::SigSet;

use crate::error::{Error, Exit};
use crate::event::{Figures, Side, Told};
use crate::flow::TcpState;
use crate::socket::Stream;

pub use telling::{ask_name, figures, say, show, tell};
use telling::{is_late, is_reset, lost};
pub use vigil::Vigil;
pub use way::Treatment;
use way::{Broken, Carrier};

/// What the socket is joined to.
#[derive(Debug, Clone)]
pub struct Ends {
    /// What goes to the peer.
    pub input: Arc<OwnedFd>,
    /// Where what comes from the peer goes.
    pub output: Arc<OwnedFd>,
    /// What errors call it.
    pub output_name: String,
}

/// How a conversation goes and ends.
#[derive(Debug, Clone)]
pub struct Terms {
    /// What is done to the bytes on their way to the peer.
    pub treatment: Treatment,
    /// How long nothing may move before it is over.
    pub idle: Option<Duration>,
    /// Whether the peer's end is the end of all, whatever is still to be said.
    pub ends_with_peer: bool,
    /// Raised when it is to end now.
    pub stop: Arc<AtomicBool>,
}

/// Converses on `stream` until both ways have ended, and closes it.
///
/// # Errors
///
/// A reset, a time-out, or a file that cannot be read or written.
pub fn converse(
    stream: Stream,
    peer: SocketAddr,
    ends: &Ends,
    terms: &Terms,
) -> Result<Figures, Error> {
    let started = Instant::now();
    let mut talk = Conversation::begin(stream, peer, ends, terms)
        .map_err(|error| Error::new("start a thread for", peer, error))?;
    let result = talk.run(terms);
    let figures = talk.finish(started.elapsed());
    match result {
        Ok(()) => Ok(figures),
        Err(Failure::Socket(operation, error)) => Err(lost(operation, peer, error, &figures)),
        Err(Failure::Told(error)) => Err(error),
    }
}

/// What the ways tell the one who waits for them.
enum News {
    Sent(Result<bool, Broken>),
    Received(Result<(), Broken>),
}

enum Failure {
    Socket(&'static str, io::Error),
    Told(Error),
}

struct Conversation {
    stream: Arc<Stream>,
    peer: SocketAddr,
    output_name: String,
    news: Receiver<News>,
    /// Readable when there is news.
    bell: Arc<EventFd>,
    halt: Arc<EventFd>,
    sender: Option<JoinHandle<()>>,
    sent: Arc<AtomicU64>,
    received: Arc<AtomicU64>,
    we_ended: bool,
    peer_ended: bool,
    /// It is not yet sure that this was an end and no reset.
    end_untold: bool,
    /// The socket failed to send; what the peer had said before is still read.
    send_failure: Option<io::Error>,
}

impl Conversation {
    fn begin(stream: Stream, peer: SocketAddr, ends: &Ends, terms: &Terms) -> io::Result<Self> {
        let (tell, news) = channel();
        let mut talk = Self {
            stream: Arc::new(stream),
            peer,
            output_name: ends.output_name.clone(),
            news,
            bell: Arc::new(EventFd::new()?),
            halt: Arc::new(EventFd::new()?),
            sender: None,
            sent: Arc::default(),
            received: Arc::default(),
            we_ended: false,
            peer_ended: false,
            end_untold: false,
            send_failure: None,
        };
        let sending = talk.carrier(&ends.input, &talk.sent, terms.treatment);
        let receiving = talk.carrier(&ends.output, &talk.received, Treatment::default());
        talk.way("receive", tell.clone(), move || {
            News::Received(receiving.receive())
        })?;
        let sender = talk.way("send", tell, move || News::Sent(sending.send()))?;
        talk.sender = Some(sender);
        Ok(talk)
    }

    fn carrier(
        &self,
        file: &Arc<OwnedFd>,
        moved: &Arc<AtomicU64>,
        treatment: Treatment,
    ) -> Carrier {
        Carrier {
            stream: Arc::clone(&self.stream),
            file: Arc::clone(file),
            moved: Arc::clone(moved),
            halt: Arc::clone(&self.halt),
            treatment,
        }
    }

    /// Starts one way. Signals are left to who waits.
    fn way(
        &self,
        name: &str,
        tell: Sender<News>,
        go: impl FnOnce() -> News + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        let bell = Arc::clone(&self.bell);
        let everything = SigSet::all();
        let before = everything.thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK)?;
        let thread = std::thread::Builder::new()
            .name(name.into())
            .spawn(move || {
                // Nobody listens any more where the conversation is over.
                let _ = tell.send(go());
                let _ = bell.write(1);
            });
        before.thread_set_mask()?;
        thread
    }

    /// Waits for both ways to end.
    fn run(&mut self, terms: &Terms) -> Result<(), Failure> {
        let vigil =
            Vigil::begin(&terms.stop).map_err(|errno| Failure::Socket("wait for", errno.into()))?;
        let mut seen = self.moved();
        let mut last_move = Instant::now();
        loop {
            if self.is_over(terms) {
                return match self.send_failure.take() {
                    Some(error) => {
                        self.tell_reset(&error);
                        Err(Failure::Socket("send to", error))
                    }
                    None if self.we_ended => self.settle(&vigil, terms),
                    None => Ok(()),
                };
            }
            let patience = terms
                .idle
                .map(|idle| (last_move + idle).saturating_duration_since(Instant::now()));
            if self.wait(&vigil, patience)? {
                self.gone_by_itself()?;
            }
            if vigil.is_over() {
                return Ok(());
            }
            while let Ok(news) = self.news.try_recv() {
                self.take(news)?;
            }
            if self.moved() != seen {
                seen = self.moved();
                last_move = Instant::now();
            } else if let Some(idle) = terms.idle.filter(|idle| last_move.elapsed() >= *idle) {
                return Err(self.idle(idle));
            }
        }
    }

    fn is_over(&self, terms: &Terms) -> bool {
        self.peer_ended && (self.we_ended || terms.ends_with_peer || self.send_failure.is_some())
    }

    /// Waits for news, or, while the peer has ended and we have not, for the
    /// connection's end. Whether it was that end.
    fn wait(&self, vigil: &Vigil<'_>, patience: Option<Duration>) -> Result<bool, Failure> {
        let mut waiting = vec![PollFd::new(self.bell.as_fd(), PollFlags::POLLIN)];
        if self.peer_ended {
            // POLLHUP and POLLERR come unasked (poll(2)).
            waiting.push(PollFd::new(self.stream.as_fd(), PollFlags::empty()));
        }
        let waited = vigil.wait(&mut waiting, patience);
        waited.map_err(|errno| Failure::Socket("wait for", errno.into()))?;
        let is_ready = |at: usize| {
            let one: Option<&PollFd<'_>> = waiting.get(at);
            one.is_some_and(|one| one.any() == Some(true))
        };
        if is_ready(0) {
            // One count for all news so far.
            let _ = self.bell.read();
            return Ok(false);
        }
        Ok(is_ready(1))
    }

    /// The peer reset what it had only half closed, and our input says nothing.
    fn gone_by_itself(&mut self) -> Result<(), Failure> {
        self.tell_end();
        let why = self.stream.pending_error().err();
        let why = why.unwrap_or_else(|| Errno::EPIPE.into());
        self.tell_reset(&why);
        Err(Failure::Socket("send to", why))
    }

    fn take(&mut self, news: News) -> Result<(), Failure> {
        match news {
            News::Sent(Ok(true)) => {
                self.we_ended = true;
                self.tell_end();
                let bytes = self.sent.load(Ordering::Relaxed);
                // Where the peer has gone meanwhile, receiving tells.
                if self.stream.shutdown(Shutdown::Write).is_ok() {
                    self.tell(|| Told::Ended {
                        by: Side::Us,
                        bytes,
                    });
                }
            }
            News::Sent(Ok(false)) => {}
            News::Sent(Err(Broken::File(error))) => {
                return Err(Failure::Told(Error::new("read", "standard input", error)));
            }
            News::Sent(Err(Broken::Socket(error))) => {
                if is_late(&error) {
                    self.tell_end();
                }
                // What the connection died of, receiving may still tell.
                self.send_failure = Some(error);
            }
            News::Received(Ok(())) => {
                self.peer_ended = true;
                self.end_untold = true;
                if self.send_failure.as_ref().map_or(!self.is_gone(), is_late) {
                    self.tell_end();
                }
            }
            News::Received(Err(Broken::File(error))) => {
                return Err(Failure::Told(Error::new("write", &self.output_name, error)));
            }
            News::Received(Err(Broken::Socket(error))) => {
                // One call is told the cause, and the other only that it came too
                // late.
                let first = self.send_failure.take().filter(|first| !is_late(first));
                let (operation, cause) = match first {
                    Some(first) => ("send to", first),
                    None => ("receive from", error),
                };
                self.tell_reset(&cause);
                return Err(Failure::Socket(operation, cause));
            }
        }
        Ok(())
    }

    /// Whether the connection is no more although we have not ended: what looked
    /// like the peer's end may have been a reset that sending is told of.
    fn is_gone(&self) -> bool {
        let state = self.stream.info().map(|info| info.state);
        !self.we_ended && state.is_ok_and(|state| state == TcpState::Closed)
    }

    /// The peer did end, whatever came after.
    fn tell_end(&mut self) {
        if std::mem::take(&mut self.end_untold) {
            let (by, bytes) = (Side::Peer, self.received.load(Ordering::Relaxed));
            self.tell(|| Told::Ended { by, bytes });
        }
    }

    fn moved(&self) -> (u64, u64) {
        (
            self.sent.load(Ordering::Relaxed),
            self.received.load(Ordering::Relaxed),
        )
    }

    fn tell_reset(&self, error: &io::Error) {
        if is_reset(error) {
            self.tell(|| Told::Reset { by: Side::Peer });
        }
    }

    fn tell(&self, told: impl FnOnce() -> Told<'static>) {
        tell(&self.stream, told);
    }

    /// Waits until the peer's kernel has acknowledged everything, our FIN too:
    /// who closes before does not learn that the last bytes never arrived. No
    /// event tells that, so the kernel is asked again and again.
    fn settle(&self, vigil: &Vigil<'_>, terms: &Terms) -> Result<(), Failure> {
        const SHORTEST: Duration = Duration::from_micros(200);
        const LONGEST: Duration = Duration::from_millis(50);
        let since = Instant::now();
        let mut pause = SHORTEST;
        while !vigil.is_over() {
            let Ok(info) = self.stream.info() else {
                return Ok(());
            };
            if info.state == TcpState::Closed {
                let gone = self.stream.pending_error();
                return gone.map_err(|error| {
                    self.tell_reset(&error);
                    Failure::Socket("send to", error)
                });
            }
            if info.unacked == 0 && info.not_sent.unwrap_or(0) == 0 {
                return Ok(());
            }
            if let Some(idle) = terms.idle.filter(|idle| since.elapsed() >= *idle) {
                return Err(self.idle(idle));
            }
            let waited = vigil.wait(&mut [], Some(pause));
            waited.map_err(|errno| Failure::Socket("wait for", errno.into()))?;
            pause = (pause * 2).min(LONGEST);
        }
        Ok(())
    }

    fn idle(&self, idle: Duration) -> Failure {
        let cause = format!("nothing moved for {idle:?} (--idle-timeout)");
        let error = Error::new("converse with", self.peer, cause);
        Failure::Told(error.exiting(Exit::Network))
    }

    /// Stops both ways, says the figures, closes.
    fn finish(mut self, lasted: Duration) -> Figures {
        // A full event counter rings as well.
        let _ = self.halt.write(1);
        if !(self.we_ended && self.peer_ended) {
            // Wakes whoever sends or receives; a socket that is gone needs none.
            let _ = self.stream.shutdown(Shutdown::Both);
        }
        if let Some(sender) = self.sender.take() {
            // So that all it sent is counted, and that no old conversation reads
            // what is meant for the next.
            let _ = sender.join();
        }
        let figures = self.figures(lasted);
        self.tell(|| Told::Over(Box::new(figures.clone())));
        if let Some(stream) = Arc::into_inner(self.stream) {
            // Nothing is left to be done about a failure.
            let _ = stream.close();
        }
        figures
    }

    fn figures(&self, lasted: Duration) -> Figures {
        figures(&self.stream, lasted, self.moved())
    }
}
