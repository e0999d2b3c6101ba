//! What ends a server: a flag to look at, and a descriptor that becomes readable
//! and stays so, for whoever sleeps in poll(2), epoll(7) or io_uring(7).
//!
//! The descriptor is shared with child processes, so that one ring is heard by
//! all of them.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, low_level::pipe};

/// A request to end.
#[derive(Debug)]
pub struct Stop {
    asked: Arc<AtomicBool>,
    /// Readable once the bell was rung; nobody reads it.
    ear: UnixStream,
    bell: UnixStream,
}

impl Stop {
    /// A request that nobody has made yet.
    pub fn new() -> io::Result<Self> {
        let (ear, bell) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        ear.set_nonblocking(true)?;
        Ok(Self {
            asked: Arc::default(),
            ear,
            bell,
        })
    }

    /// One that SIGINT and SIGTERM make; a second signal ends the process.
    pub fn on_signals() -> io::Result<Self> {
        let stop = Self::new()?;
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_default(signal, Arc::clone(&stop.asked))?;
            flag::register(signal, Arc::clone(&stop.asked))?;
            pipe::register(signal, stop.bell.try_clone()?)?;
        }
        Ok(stop)
    }

    /// Makes the request.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::Release);
        // A bell that takes no more has been rung.
        let _ = (&self.bell).write(b"!");
    }

    /// Whether it was made.
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    /// The descriptor that becomes readable, for a loop that wants its own.
    pub(super) fn ear(&self) -> io::Result<UnixStream> {
        self.ear.try_clone()
    }

    /// Waits until `socket` has something (a connection, data, an end) or the
    /// request is made, which is what it answers.
    pub(super) fn or_readable(&self, socket: BorrowedFd<'_>) -> io::Result<bool> {
        let mut both = [
            PollFd::new(self.ear.as_fd(), PollFlags::POLLIN),
            PollFd::new(socket, PollFlags::POLLIN),
        ];
        sleep(&mut both, PollTimeout::NONE)?;
        Ok(self.is_asked())
    }

    /// Sleeps for so long, or until the request is made, which is what it
    /// answers.
    pub(super) fn or_later(&self, pause: Duration) -> io::Result<bool> {
        let pause = PollTimeout::try_from(pause).unwrap_or(PollTimeout::MAX);
        sleep(
            &mut [PollFd::new(self.ear.as_fd(), PollFlags::POLLIN)],
            pause,
        )?;
        Ok(self.is_asked())
    }
}

impl AsFd for Stop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ear.as_fd()
    }
}

fn sleep(on: &mut [PollFd<'_>], most: PollTimeout) -> io::Result<()> {
    match poll(on, most) {
        // A signal is heard by its flag.
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
