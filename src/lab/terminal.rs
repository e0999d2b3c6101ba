//! Who has the terminal: the group that is in its foreground (tty(4)).
//!
//! Most programs share socklab's group, and with it the terminal. A shell leads
//! a group of its own; its number means nothing outside, and ours is 0 inside.

#![expect(unsafe_code, reason = "kernel edge: between fork and exec")]

use std::fs::File;
use std::os::fd::BorrowedFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::libc::STDIN_FILENO;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpgid, getpgrp, getpid, tcgetpgrp, tcsetpgrp};

/// Where socklab was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seat {
    /// In the foreground of a terminal.
    Foreground,
    /// Anywhere else.
    Elsewhere,
}

impl Seat {
    pub(super) fn of(terminal: Option<&File>) -> Self {
        match terminal {
            Some(_) => Seat::Foreground,
            None => Seat::Elsewhere,
        }
    }
}

/// The controlling terminal, where this process's group is in its foreground.
pub(super) fn foreground_terminal() -> Option<File> {
    let terminal = File::open("/dev/tty").ok()?;
    is_ours(&terminal).then_some(terminal)
}

/// Whether this process's group is in the terminal's foreground.
pub(super) fn is_ours(terminal: &File) -> bool {
    tcgetpgrp(terminal) == Ok(getpgrp())
}

/// Has a shell start in a group of its own and in the foreground of the terminal
/// that is its standard input. Without, a
/// shell tries to give the terminal back to group 0 when it ends, and some take
/// the failure for their own.
pub(super) fn seat_shell(command: &mut Command) {
    command.process_group(0);
    // SAFETY: between fork and exec only two system calls are made, getpid and
    // an ioctl, which are async-signal-safe; nothing allocates. SIGTTOU, which
    // the second would bring, is blocked until the host unblocks all.
    unsafe {
        command.pre_exec(|| {
            let terminal = BorrowedFd::borrow_raw(STDIN_FILENO);
            Ok(tcsetpgrp(terminal, getpid())?)
        });
    }
}

/// Whether the terminal's foreground is the program's own group, as a shell's is.
pub(super) fn has_terminal(program: Pid) -> bool {
    let own = own_group(program);
    let terminal = File::open("/dev/tty");
    own.is_some_and(|own| terminal.is_ok_and(|terminal| tcgetpgrp(terminal) == Ok(own)))
}

/// Continues a program in the foreground; one with a group of its own gets the
/// terminal first.
pub(super) fn resume(program: Pid) {
    if let (Some(group), Ok(terminal)) = (own_group(program), File::open("/dev/tty")) {
        // Where that is refused the program stops once more, as in the
        // background, and nothing is lost.
        let _ = tcsetpgrp(terminal, group);
    }
    // A program that has ended in this moment needs no signal.
    let _ = kill(program, Signal::SIGCONT);
}

fn own_group(program: Pid) -> Option<Pid> {
    let group = getpgid(Some(program)).ok();
    group.filter(|&group| group != getpgrp())
}
