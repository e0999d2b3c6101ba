//! One thread, many connections, none of which can hold up another: each has so
//! long and so many bytes, and when there are too many the oldest goes.
//!
//! Waits in `poll(2)` and nowhere else.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::answer::{LONGEST_HEAD, Verdict, verdict};

/// Connections at a time; one more, and the oldest is closed.
const MOST_CONNECTIONS: usize = 32;
/// A connection's whole life.
const LONGEST_LIFE: Duration = Duration::from_secs(10);
/// After the kernel had no descriptor or no memory for a connection.
const PAUSE: Duration = Duration::from_millis(100);

/// A listener and its connections, the oldest first.
pub(super) struct Server {
    listener: TcpListener,
    ended: UnixStream,
    connections: Vec<Connection>,
    paused_until: Option<Instant>,
}

struct Connection {
    stream: TcpStream,
    /// When it is closed, whatever became of it.
    until: Instant,
    stage: Stage,
}

/// ```text
///  reading ──head whole──► writing ──all written──► draining ──end or time──► closed
/// ```
enum Stage {
    Reading(Vec<u8>),
    Writing {
        answer: Vec<u8>,
        written: usize,
    },
    /// What the client still sends is read: closing before would take the answer
    /// from it.
    Draining,
}

/// What became of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Stay,
    Close,
}

impl Server {
    /// Ends when the other end of `ended` is closed.
    pub(super) fn new(listener: TcpListener, ended: UnixStream) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener,
            ended,
            connections: Vec::new(),
            paused_until: None,
        })
    }

    /// Answers until it is ended.
    pub(super) fn run(&mut self, figures: &dyn Fn() -> Result<String, String>) {
        while let Ok(ready) = self.wait() {
            if ready.first().is_some_and(|ended| *ended) {
                return;
            }
            let now = Instant::now();
            let mut turn = ready.iter().skip(2);
            self.connections.retain_mut(|connection| {
                let is_ready = turn.next().is_some_and(|ready| *ready);
                let turn = if is_ready {
                    connection.turn(figures)
                } else {
                    Turn::Stay
                };
                turn == Turn::Stay && now < connection.until
            });
            if ready.get(1).is_some_and(|listener| *listener) {
                self.accept(now);
            }
        }
    }

    /// Which of the end, the listener and the connections have news.
    fn wait(&self) -> io::Result<Vec<bool>> {
        let now = Instant::now();
        let paused = self.paused_until.filter(|until| *until > now);
        let listening = match paused {
            None => PollFlags::POLLIN,
            Some(_) => PollFlags::empty(),
        };
        let mut watched = vec![
            PollFd::new(self.ended.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.listener.as_fd(), listening),
        ];
        watched.extend(self.connections.iter().map(|connection| {
            let events = match connection.stage {
                Stage::Writing { .. } => PollFlags::POLLOUT,
                Stage::Reading(_) | Stage::Draining => PollFlags::POLLIN,
            };
            PollFd::new(connection.stream.as_fd(), events)
        }));
        let deadlines = self.connections.iter().map(|connection| connection.until);
        let timeout = deadlines
            .chain(paused)
            .min()
            .map_or(PollTimeout::NONE, |at| {
                let left = at.saturating_duration_since(now) + Duration::from_millis(1);
                PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
            });
        match poll(&mut watched, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let news = |one: &PollFd<'_>| one.revents().is_some_and(|events| !events.is_empty());
        Ok(watched.iter().map(news).collect())
    }

    fn accept(&mut self, now: Instant) {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => self.admit(stream, now),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    self.paused_until = Some(now + PAUSE);
                    return;
                }
            }
        }
    }

    fn admit(&mut self, stream: TcpStream, now: Instant) {
        if stream.set_nonblocking(true).is_err() {
            return;
        }
        if self.connections.len() >= MOST_CONNECTIONS {
            self.connections.remove(0);
        }
        self.connections.push(Connection {
            stream,
            until: now + LONGEST_LIFE,
            stage: Stage::Reading(Vec::new()),
        });
    }
}

impl Connection {
    fn turn(&mut self, figures: &dyn Fn() -> Result<String, String>) -> Turn {
        let turn = match &mut self.stage {
            Stage::Reading(_) => self.read(figures),
            Stage::Writing { .. } => self.write(),
            Stage::Draining => self.drain(),
        };
        match turn {
            Ok(turn) => turn,
            Err(error) if error.kind() == ErrorKind::WouldBlock => Turn::Stay,
            Err(error) if error.kind() == ErrorKind::Interrupted => Turn::Stay,
            Err(_) => Turn::Close,
        }
    }

    fn read(&mut self, figures: &dyn Fn() -> Result<String, String>) -> io::Result<Turn> {
        let Stage::Reading(head) = &mut self.stage else {
            return Ok(Turn::Stay);
        };
        let mut part = [0; LONGEST_HEAD];
        let room = LONGEST_HEAD - head.len();
        let count = self.stream.read(&mut part[..room])?;
        if count == 0 {
            return Ok(Turn::Close);
        }
        head.extend_from_slice(&part[..count]);
        if let Verdict::Answer(answer) = verdict(head, figures) {
            let written = 0;
            self.stage = Stage::Writing { answer, written };
            return self.write();
        }
        Ok(Turn::Stay)
    }

    fn write(&mut self) -> io::Result<Turn> {
        let Stage::Writing { answer, written } = &mut self.stage else {
            return Ok(Turn::Stay);
        };
        while *written < answer.len() {
            *written += self.stream.write(&answer[*written..])?;
        }
        self.stream.shutdown(Shutdown::Write)?;
        self.stage = Stage::Draining;
        Ok(Turn::Stay)
    }

    fn drain(&mut self) -> io::Result<Turn> {
        let mut rest = [0; LONGEST_HEAD];
        match self.stream.read(&mut rest)? {
            0 => Ok(Turn::Close),
            _ => Ok(Turn::Stay),
        }
    }
}
