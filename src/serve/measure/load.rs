//! Many clients in one epoll loop: they connect, say the message and wait for its
//! echo, as often as they are told to.
//!
//! A client has one message under way at a time, so that a slow server is asked
//! less, and the times are those of echoes and not of queues of our own.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::{MESSAGE, histogram};
use crate::error::Error;

/// A server that attends to nobody for so long is taken to attend to nobody
/// more.
const QUIET: Duration = Duration::from_millis(200);

/// Clients that come before any is waited for: fewer than a listener's queue
/// holds, so that it does not overflow by our own haste.
const WAVE: usize = 1000;

/// Clients that stay.
pub struct Crowd {
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
    times: Histogram<u64>,
    dripper: Option<Dripper>,
}

struct Client {
    /// `None` once it failed or left.
    stream: Option<TcpStream>,
    /// Messages still to be sent, the one under way among them.
    left: u32,
    /// Bytes of the echo that have arrived.
    echoed: usize,
    is_asking: bool,
    asked: Instant,
    is_answered: bool,
}

/// What an exchange of messages came to.
pub(super) struct Exchange {
    pub(super) times: Histogram<u64>,
    pub(super) took: Duration,
}

impl Crowd {
    /// Clients that connect, each saying one message; those that the server
    /// does not attend to stay and wait.
    pub fn gather(address: SocketAddr, count: usize) -> Result<Self, Error> {
        let failed = |error| Error::new("connect", address, error);
        let mut crowd = Self {
            poll: Poll::new().map_err(failed)?,
            events: Events::with_capacity(1024),
            clients: Vec::with_capacity(count),
            times: histogram(),
            dripper: None,
        };
        for number in 0..count {
            let mut stream = TcpStream::connect(address).map_err(failed)?;
            let both = Interest::READABLE | Interest::WRITABLE;
            let registry = crowd.poll.registry();
            let watched = registry.register(&mut stream, Token(number), both);
            watched.map_err(failed)?;
            crowd.clients.push(Client {
                stream: Some(stream),
                left: 1,
                echoed: 0,
                is_asking: false,
                asked: Instant::now(),
                is_answered: false,
            });
            if (number + 1) % WAVE == 0 {
                crowd.settle()?;
            }
        }
        crowd.settle()?;
        Ok(crowd)
    }

    /// Goes on until all have been answered, or nobody is any more.
    pub(super) fn settle(&mut self) -> Result<(), Error> {
        self.go_on(QUIET, None, |_| true)
    }

    /// Goes on for so long, whatever happens.
    pub(super) fn watch(&mut self, time: Duration) -> Result<(), Error> {
        self.go_on(time, Some(Instant::now() + time), |_| true)
    }

    /// How many have ever been answered and are still there.
    pub fn answered(&self) -> usize {
        let there = |client: &&Client| client.is_answered && client.stream.is_some();
        self.clients.iter().filter(there).count()
    }

    /// From now on this one says a byte whenever all others could have had an
    /// echo.
    pub(super) fn beside(&mut self, dripper: Dripper) {
        self.dripper = Some(dripper);
    }

    /// Those that were answered leave.
    pub(super) fn dismiss_answered(&mut self) {
        let answered = self.clients.iter_mut().filter(|client| client.is_answered);
        answered.for_each(|client| client.stream = None);
    }

    /// The first `count` of those that were answered send so many messages each,
    /// all at once, one after another, but for no longer than `most`.
    pub(super) fn exchange(
        &mut self,
        count: usize,
        messages: u32,
        most: Duration,
    ) -> Result<Exchange, Error> {
        self.times = histogram();
        let began = Instant::now();
        let there = |client: &&mut Client| client.is_answered && client.stream.is_some();
        for client in self.clients.iter_mut().filter(there).take(count) {
            client.left = messages;
            client.go_on(&mut self.times);
        }
        // Those who still wait for their first answer are not waited for.
        self.go_on(QUIET, Some(began + most), |client| client.is_answered)?;
        let took = began.elapsed();
        for client in self.clients.iter_mut().filter(|client| client.is_answered) {
            // The time was up; what is under way is not asked for again.
            client.left = client.left.min(1);
        }
        self.go_on(QUIET, None, |client| client.is_answered)?;
        let times = std::mem::replace(&mut self.times, histogram());
        Ok(Exchange { times, took })
    }

    /// Until nobody who counts has anything to say, or nothing has happened for `quiet`, or
    /// the deadline.
    fn go_on(
        &mut self,
        quiet: Duration,
        deadline: Option<Instant>,
        counts: impl Fn(&Client) -> bool,
    ) -> Result<(), Error> {
        let mut heard = Instant::now();
        loop {
            let now = Instant::now();
            let until = deadline.map_or(heard + quiet, |deadline| deadline.min(heard + quiet));
            let is_busy =
                |client: &Client| client.left > 0 && client.stream.is_some() && counts(client);
            if now >= until || !self.clients.iter().any(is_busy) {
                return Ok(());
            }
            match self.poll.poll(&mut self.events, Some(until - now)) {
                Err(error) if error.kind() != ErrorKind::Interrupted => {
                    return Err(Error::new("epoll", "the clients", error));
                }
                _ => {}
            }
            for event in &self.events {
                if let Some(client) = self.clients.get_mut(event.token().0)
                    && client.go_on(&mut self.times)
                {
                    heard = Instant::now();
                    if let Some(dripper) = &mut self.dripper {
                        dripper.hear_of_an_echo(self.clients.len());
                    }
                }
            }
        }
    }
}

impl Client {
    /// Says and hears what it can; whether it was answered.
    fn go_on(&mut self, times: &mut Histogram<u64>) -> bool {
        let before = self.left;
        if self.try_to(times).is_err() {
            self.stream = None;
            self.left = 0;
        }
        self.left < before
    }

    fn try_to(&mut self, times: &mut Histogram<u64>) -> io::Result<()> {
        let mut buffer = [0; 256];
        loop {
            let Some(stream) = &mut self.stream else {
                return Ok(());
            };
            if !self.is_asking && self.left > 0 {
                self.asked = Instant::now();
                match stream.write(MESSAGE) {
                    Ok(_) => self.is_asking = true,
                    Err(error) if is_early(&error) => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
            match stream.read(&mut buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.echoed += count,
                Err(error) if is_early(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
            if self.is_asking && self.echoed >= MESSAGE.len() {
                let took = u64::try_from(self.asked.elapsed().as_nanos()).unwrap_or(u64::MAX);
                times.saturating_record(took);
                (self.echoed, self.is_asking, self.is_answered) = (0, false, true);
                self.left = self.left.saturating_sub(1);
            }
        }
    }
}

/// A client that says a byte at a time, and hears what comes back.
pub(super) struct Dripper {
    stream: std::net::TcpStream,
    echoes: usize,
}

impl Dripper {
    /// Comes first, and says its first byte.
    pub(super) fn come(address: SocketAddr) -> Result<Self, Error> {
        let failed = |error| Error::new("connect", address, error);
        let stream = std::net::TcpStream::connect(address).map_err(failed)?;
        stream.set_nonblocking(true).map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let mut dripper = Self { stream, echoes: 0 };
        dripper.drip();
        Ok(dripper)
    }

    fn hear_of_an_echo(&mut self, others: usize) {
        self.echoes += 1;
        if self.echoes.is_multiple_of(others.max(1)) {
            self.drip();
        }
    }

    fn drip(&mut self) {
        // What it cannot say or hear now is of no interest: the others are.
        let _ = self.stream.write(b".");
        while matches!(self.stream.read(&mut [0; 256]), Ok(1..)) {}
    }
}

/// Not yet: nothing there, or not even connected.
pub(super) fn is_early(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::NotConnected | ErrorKind::Interrupted
    )
}

/// One client's whole visit: what a server makes ready for its first client is
/// not what each of the others costs.
pub(super) fn warm(address: SocketAddr) -> Result<(), Error> {
    let failed = |error| Error::new("connect", address, error);
    let mut stream = std::net::TcpStream::connect(address).map_err(failed)?;
    stream.write_all(MESSAGE).map_err(failed)?;
    stream.shutdown(Shutdown::Write).map_err(failed)?;
    // The echo, and the end of the stream.
    let echoed = stream.read_to_end(&mut Vec::new()).map_err(failed)?;
    if echoed == MESSAGE.len() {
        return Ok(());
    }
    Err(Error::new("measure", address, "it is no echo"))
}

/// A client that sends until nothing more is taken, and reads nothing.
pub(super) fn flood(address: SocketAddr) -> Result<std::net::TcpStream, Error> {
    let failed = |error| Error::new("connect", address, error);
    let mut stream = std::net::TcpStream::connect(address).map_err(failed)?;
    stream.set_write_timeout(Some(QUIET)).map_err(failed)?;
    // Every buffer on the way is full when a write has waited in vain.
    let block = vec![b'.'; 64 << 10];
    while stream.write(&block).is_ok() {}
    Ok(stream)
}
