//! The first process of the PID namespace: it reaps whatever ends inside and
//! learns from the keeper which signals came.
//!
//! All signals that may be passed on are blocked in both processes and read from
//! a descriptor (signalfd(2)); programs start with none blocked.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Pid, getpgid, getpgrp};

use super::program::Ending;
use super::terminal::Seat;
use crate::error::Error;

/// The signals that are passed on.
const PASSED: [Signal; 12] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGWINCH,
    Signal::SIGCONT,
    Signal::SIGTSTP,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
];

/// What the keeper tells after a signal's number: the terminal sent it,
pub(super) const TERMINAL: u8 = 0;
/// a process sent it,
pub(super) const PROCESS: u8 = 1;
/// or it is SIGCONT, and the terminal is this group's.
pub(super) const FOREGROUND: u8 = 2;

/// Who a signal came from, and who got it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The terminal, to its whole foreground group.
    Terminal,
    /// A process, to socklab alone.
    Process,
    /// A process, to the whole group.
    Group,
}

/// What happened inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Happening {
    /// A process ended and was reaped.
    Ended(Pid, Ending),
    /// A child stopped.
    Stopped(Pid, Signal),
    /// A signal came to socklab.
    Signal(Signal, Origin),
    /// socklab was continued in the foreground of its terminal.
    Resumed,
}

/// What the first process inside holds.
pub struct Warden {
    keeper: UnixStream,
    signals: SignalFd,
    /// Signals that came here too, so went to the whole group.
    direct: SigSet,
    seat: Seat,
}

impl Warden {
    pub(super) fn new(keeper: UnixStream, seat: Seat) -> Result<Self, Error> {
        keeper
            .set_nonblocking(true)
            .map_err(|error| Error::new("fcntl", "the keeper's socket", error))?;
        Ok(Self {
            keeper,
            signals: watch_signals()?,
            direct: SigSet::empty(),
            seat,
        })
    }

    /// Waits for the next thing to happen, at most until `deadline`.
    pub(super) fn next(&mut self, deadline: Option<Instant>) -> Result<Option<Happening>, Error> {
        loop {
            let happening = reap()?.or_else(|| self.hear());
            if happening.is_some() {
                return Ok(happening);
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(None);
            }
            // Rounded up, so that the wait does not end just before the deadline.
            let left = left.map_or(PollTimeout::NONE, |left| {
                let whole = left.as_millis().saturating_add(1);
                PollTimeout::try_from(whole).unwrap_or(PollTimeout::MAX)
            });
            let mut ready = [
                PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.keeper.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut ready, left) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::new("poll", "signals", errno)),
            }
            while let Ok(Some(came)) = self.signals.read_signal() {
                self.note(came.ssi_signo);
            }
        }
    }

    /// Where socklab was started.
    pub(super) fn seat(&self) -> Seat {
        self.seat
    }

    /// Whether no process is left inside but this one.
    pub(super) fn is_alone() -> bool {
        let look = WaitPidFlag::WNOHANG | WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        waitid(Id::All, look) == Err(Errno::ECHILD)
    }

    /// Tells the keeper that its program has stopped, so that it stops too.
    pub(super) fn tell_stopped(&mut self) {
        // Where the keeper is gone, this process is about to be.
        let _ = self.keeper.write(b"s");
    }

    fn hear(&mut self) -> Option<Happening> {
        let mut told = [0; 2];
        self.keeper.read_exact(&mut told).ok()?;
        let signal = Signal::try_from(i32::from(told[0])).ok()?;
        while let Ok(Some(came)) = self.signals.read_signal() {
            self.note(came.ssi_signo);
        }
        let came_here = self.direct.contains(signal);
        self.direct.remove(signal);
        Some(match told[1] {
            FOREGROUND => Happening::Resumed,
            TERMINAL => Happening::Signal(signal, Origin::Terminal),
            _ if came_here => Happening::Signal(signal, Origin::Group),
            _ => Happening::Signal(signal, Origin::Process),
        })
    }

    fn note(&mut self, number: u32) {
        let signal = i32::try_from(number).map(Signal::try_from);
        if let Ok(Ok(signal)) = signal {
            self.direct.add(signal);
        }
    }
}

/// Reaps one process, the program's or an orphan.
fn reap() -> Result<Option<Happening>, Error> {
    let flags = WaitPidFlag::WNOHANG | WaitPidFlag::WEXITED | WaitPidFlag::WSTOPPED;
    match waitid(Id::All, flags) {
        Ok(WaitStatus::Exited(pid, code)) => Ok(Some(Happening::Ended(pid, Ending::Exited(code)))),
        Ok(WaitStatus::Signaled(pid, signal, _)) => {
            Ok(Some(Happening::Ended(pid, Ending::Killed(signal))))
        }
        Ok(WaitStatus::Stopped(pid, signal)) => Ok(Some(Happening::Stopped(pid, signal))),
        Ok(_) | Err(Errno::ECHILD | Errno::EINTR) => Ok(None),
        Err(errno) => Err(Error::new("wait for", "the programs", errno)),
    }
}

/// Passes a signal on to `program`, unless it has got it already.
///
/// The signals that ask to end are passed on even then: `pkill -f` means every
/// process of socklab and leaves the program alone, and twice is better than
/// never.
pub(super) fn pass_on(signal: Signal, origin: Origin, program: Pid) {
    let shares_group = getpgid(Some(program)) == Ok(getpgrp());
    let asks_to_end = matches!(signal, Signal::SIGTERM | Signal::SIGHUP);
    let has_it = match origin {
        Origin::Terminal => true,
        Origin::Group => shares_group && !asks_to_end,
        Origin::Process => false,
    };
    if !has_it {
        // A program that has ended in this moment needs no signal.
        let _ = kill(program, signal);
    }
}

/// Blocks the signals that are passed on, for this thread and those it starts.
pub(super) fn block_signals() -> Result<(), Error> {
    watched()
        .thread_block()
        .map_err(|errno| Error::new("block", "signals", errno))
}

/// A descriptor of the blocked signals that come to the process.
pub(super) fn watch_signals() -> Result<SignalFd, Error> {
    SignalFd::with_flags(&watched(), SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        .map_err(|errno| Error::new("signalfd", "", errno))
}

fn watched() -> SigSet {
    let mut set: SigSet = PASSED.into_iter().collect();
    set.add(Signal::SIGCHLD);
    set
}
