//! The process outside: it waits for the lab, passes signals on, stops and
//! continues with the lab's program, and gives the terminal back.
//!
//! It stays in the process group that it was started in, together with the
//! program, so that the terminal's signals reach the program directly. Which
//! signals are passed on is the warden's decision; the keeper says what came and
//! from where (sigaction(2), `si_code`).

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, raise};
use nix::sys::signalfd::{SignalFd, siginfo};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpgrp, getpid, getsid, setpgid, tcsetpgrp};

use super::program::code_of_signal;
use super::terminal::is_ours;
use super::warden;
use crate::error::Error;

/// The lab as seen from outside.
pub struct Keeper {
    lab: Pid,
    warden: UnixStream,
    signals: SignalFd,
    /// The terminal, where this process's group is in its foreground.
    terminal: Option<File>,
}

impl Keeper {
    pub(super) fn new(lab: Pid, warden: UnixStream, terminal: Option<File>) -> Result<Self, Error> {
        warden
            .set_nonblocking(true)
            .map_err(|error| Error::new("fcntl", "the warden's socket", error))?;
        Ok(Self {
            lab,
            warden,
            signals: warden::watch_signals()?,
            terminal,
        })
    }

    /// Waits until the lab has ended with everything in it, and gives its exit
    /// code.
    pub fn wait(mut self) -> Result<u8, Error> {
        loop {
            let mut ready = [
                PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.warden.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut ready, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::new("poll", "signals", errno)),
            }
            while let Ok(Some(came)) = self.signals.read_signal() {
                self.pass_on(&came);
            }
            if self.hear()? == Heard::End {
                return self.end();
            }
        }
    }

    /// Tells the warden of a signal.
    fn pass_on(&mut self, came: &siginfo) {
        let Ok(number) = u8::try_from(came.ssi_signo) else {
            return;
        };
        if came.ssi_signo == Signal::SIGCHLD as u32 {
            return; // The warden's socket tells more.
        }
        // Once this call has had the kernel's lock on process groups, a signal
        // to the whole group has reached the warden too, and it can tell.
        let _ = setpgid(getpid(), getpgrp());
        let told = [number, self.kind(came)];
        // Where the warden is ending it needs no signal any more.
        let _ = self.warden.write(&told);
    }

    /// Whether the terminal sent it, and so to the program as well. A hangup goes
    /// to the session's leader alone.
    fn kind(&self, came: &siginfo) -> u8 {
        let is = |signal: Signal| came.ssi_signo == signal as u32;
        let leader = getsid(None).is_ok_and(|session| session == getpid());
        if is(Signal::SIGCONT) && self.terminal.as_ref().is_some_and(is_ours) {
            warden::FOREGROUND
        } else if came.ssi_code <= 0 || (is(Signal::SIGHUP) && leader) {
            warden::PROCESS
        } else {
            warden::TERMINAL
        }
    }

    /// Reads what the warden says: that its program has stopped, or, with the
    /// end of its socket, that it ends.
    fn hear(&mut self) -> Result<Heard, Error> {
        let mut words = [0; 16];
        match self.warden.read(&mut words) {
            Ok(0) => Ok(Heard::End),
            Ok(_) => {
                // So that the shell outside sees its job stopped; it continues
                // this process, and the warden is told of that.
                raise(Signal::SIGSTOP).map_err(|errno| Error::new("stop", "", errno))?;
                Ok(Heard::Word)
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(Heard::Word),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(Heard::End),
            Err(error) => Err(Error::new("read", "the warden's socket", error)),
        }
    }

    fn end(self) -> Result<u8, Error> {
        let status = loop {
            match waitpid(self.lab, Some(WaitPidFlag::empty())) {
                Err(Errno::EINTR) => {}
                other => break other,
            }
        };
        // A shell inside may have left the terminal to a group that is gone.
        if let Some(terminal) = &self.terminal {
            let _ = tcsetpgrp(terminal, getpgrp());
        }
        match status {
            Ok(WaitStatus::Exited(_, code)) => Ok(u8::try_from(code).unwrap_or(u8::MAX)),
            Ok(WaitStatus::Signaled(_, signal, _)) => Ok(code_of_signal(signal)),
            Ok(status) => Err(Error::new("wait for", "the lab", format!("{status:?}"))),
            Err(errno) => Err(Error::new("wait for", "the lab", errno)),
        }
    }
}

#[derive(PartialEq, Eq)]
enum Heard {
    Word,
    End,
}
