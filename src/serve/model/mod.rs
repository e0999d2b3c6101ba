//! The ways to serve many clients at once: one small file each, behind one
//! function, so that the difference between the files is the difference between
//! the ways.
//!
//! Every way serves the same [`Service`]s, backs off where descriptors run out,
//! and ends when it is told to: the door is closed first, then conversations are
//! ended, and those who do not take their last bytes are cut off.

mod epoll;
mod fork;
mod one;
mod poll;
mod pool;
mod reuseport;
mod tasks;
mod thread;
mod uring;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

use super::door::{Door, Entrance};
use super::{Journal, Service, Stop, Watch};
use crate::address::Admission;
use crate::error::Error;
use crate::recorder::Recorder;
use crate::socket::options::SocketOption;

/// A way to serve many clients at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Model {
    /// One client after another.
    One,
    /// A process for each client.
    Fork,
    /// A thread for each client.
    Thread,
    /// A fixed number of threads, each with one client at a time.
    Pool,
    /// One thread that asks poll(2) about all its sockets.
    Poll,
    /// One thread that epoll(7) tells which socket is ready.
    Epoll,
    /// Several such threads, each with a listener of its own (`SO_REUSEPORT`).
    Reuseport,
    /// A task for each client, on tokio's threads.
    Async,
    /// One thread that hands whole calls to the kernel (io_uring(7)).
    IoUring,
}

impl Model {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::One,
        Self::Fork,
        Self::Thread,
        Self::Pool,
        Self::Poll,
        Self::Epoll,
        Self::Reuseport,
        Self::Async,
        Self::IoUring,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Fork => "fork",
            Self::Thread => "thread",
            Self::Pool => "pool",
            Self::Poll => "poll",
            Self::Epoll => "epoll",
            Self::Reuseport => "reuseport",
            Self::Async => "async",
            Self::IoUring => "io-uring",
        }
    }

    /// What it is, in a few words.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::One => "one client after another",
            Self::Fork => "a process for each client",
            Self::Thread => "a thread for each client",
            Self::Pool => "a fixed number of threads",
            Self::Poll => "one thread, poll(2)",
            Self::Epoll => "one thread, epoll(7)",
            Self::Reuseport => "a loop and a listener per core, SO_REUSEPORT",
            Self::Async => "a task for each client, tokio",
            Self::IoUring => "one thread, io_uring(7)",
        }
    }

    /// Serves whoever comes to the entrance, which was opened for this model,
    /// until the terms' stop is asked for.
    pub fn serve(self, entrance: &Entrance, terms: &Terms<'_>) -> Result<Served, Error> {
        let door = |listener| Door::new(listener, terms);
        let doors: Vec<Door<'_>> = entrance.listeners.iter().map(door).collect();
        // Every entrance has a listener; that of SO_REUSEPORT has several.
        let serve: fn(&[Door<'_>]) -> Result<(), Error> = match self {
            Self::One => |doors| one::serve(&doors[0]),
            Self::Fork => |doors| fork::serve(&doors[0]),
            Self::Thread => |doors| thread::serve(&doors[0]),
            Self::Pool => |doors| pool::serve(&doors[0]),
            Self::Poll => |doors| poll::serve(&doors[0]),
            Self::Epoll => |doors| epoll::serve(&doors[0]),
            Self::Reuseport => reuseport::serve,
            Self::Async => |doors| tasks::serve(&doors[0]),
            Self::IoUring => |doors| uring::serve(&doors[0]),
        };
        serve(&doors)?;
        Ok(Served {
            accepted: doors.iter().map(Door::accepted).collect(),
            backlog: entrance.backlog(),
        })
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Model {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.into_iter();
        all.find(|model| model.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("expected one of {names}")
        })
    }
}

/// On what terms clients are served.
pub struct Terms<'a> {
    /// What is done with each.
    pub service: Service,
    /// What ends the server.
    pub stop: &'a Stop,
    /// What it says.
    pub journal: &'a Journal,
    /// Clients at once; one more waits in the kernel's queue.
    pub most: usize,
    /// Where calls are recorded.
    pub recorder: &'a Recorder,
    /// What tells of each client, where it is asked for.
    pub watch: Option<&'a Watch>,
    /// Options of the clients' sockets.
    pub options: &'a [SocketOption],
    /// Who is let in; others are closed at once.
    pub admission: &'a Admission,
    /// Threads of the models that have a fixed number of them.
    pub workers: usize,
    /// How long a client may take to receive what it is owed at the end.
    pub patience: Duration,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Served {
    /// Connections accepted, by worker where each has a listener of its own.
    pub accepted: Vec<u64>,
    /// Connections that could wait to be accepted, as the kernel had it.
    pub backlog: Option<u32>,
}
