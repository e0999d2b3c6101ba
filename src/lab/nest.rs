//! The process divided in two: a keeper outside, and the first process of a PID
//! namespace inside (pid_namespaces(7)).
//!
//! Whatever runs inside is killed by the kernel when the first process ends, and
//! that one when the keeper does, however it ends: no double fork, `setsid` or
//! file capability gets out of it, which is more than `PR_SET_PDEATHSIG` on each
//! program can promise.

#![expect(unsafe_code, reason = "kernel edge: fork and signal dispositions")]

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::unistd::{ForkResult, fork};

use super::keeper::Keeper;
use super::terminal::{Seat, foreground_terminal};
use super::warden::{self, Warden};
use crate::error::Error;
use crate::link;

/// Which of the two the calling process is now.
pub enum Side {
    /// The one that was called: it only waits.
    Outside(Keeper),
    /// The first process inside: it does everything else.
    Inside(Warden),
}

/// Enters the namespaces that a lab needs and divides the process. Both sides
/// return from it.
///
/// Must be called before the process starts a second thread.
pub fn enter() -> Result<Side, Error> {
    link::enter_private_user_namespace()?;
    link::begin_private_process_namespace()?;
    // SAFETY: the default disposition runs no code of ours. A parent may have
    // left it ignored, and then children could not be waited for.
    unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) }
        .map_err(|errno| Error::new("sigaction", "SIGCHLD", errno))?;
    // Before the fork, so that no signal falls between the two.
    warden::block_signals()?;
    let (outside, inside) =
        UnixStream::pair().map_err(|error| Error::new("socketpair", "", error))?;
    let terminal = foreground_terminal();
    // SAFETY: the process has one thread, so that the child may do whatever
    // this one may.
    match unsafe { fork() }.map_err(|errno| Error::new("fork", "", errno))? {
        ForkResult::Parent { child } => {
            drop(inside);
            Ok(Side::Outside(Keeper::new(child, outside, terminal)?))
        }
        ForkResult::Child => {
            drop(outside);
            die_with_keeper(&inside)?;
            Ok(Side::Inside(Warden::new(
                inside,
                Seat::of(terminal.as_ref()),
            )?))
        }
    }
}

/// Has the kernel kill this process when the keeper ends. Comes after the last
/// change of credentials, which would undo it.
fn die_with_keeper(keeper: &UnixStream) -> Result<(), Error> {
    prctl::set_pdeathsig(Signal::SIGKILL)
        .map_err(|errno| Error::new("prctl", "PR_SET_PDEATHSIG", errno))?;
    // The keeper may have ended before that. getppid(2) is 0 here either way;
    // its end of the socket tells.
    let mut ends = [PollFd::new(keeper.as_fd(), PollFlags::POLLIN)];
    poll(&mut ends, PollTimeout::ZERO).map_err(|errno| Error::new("poll", "the keeper", errno))?;
    let events = ends[0].revents().unwrap_or(PollFlags::empty());
    if events.contains(PollFlags::POLLHUP) {
        return Err(Error::new("wait for", "the keeper", Errno::ESRCH));
    }
    // So that `killall socklab` means the keeper, which passes signals on.
    let _ = prctl::set_name(c"lab");
    Ok(())
}
