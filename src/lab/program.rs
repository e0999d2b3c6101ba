//! A program to run: what to start and where, how it ended, and what that is as
//! an exit code (POSIX `sh`, exit status; env(1)).

use std::ffi::OsString;
use std::fmt;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::terminal::{Seat, seat_shell};
use crate::error::{Error, Exit};
use crate::event::Place;
use crate::link::Host;

/// A program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// The program's name or path.
    pub program: OsString,
    /// What follows it.
    pub arguments: Vec<OsString>,
}

/// What is to be run, and on which host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Errand {
    /// A command.
    Command(Place, Words),
    /// An interactive shell.
    Shell(Place, OsString),
}

impl Errand {
    /// The host to run it on.
    pub fn place(&self) -> Place {
        match self {
            Errand::Command(place, _) | Errand::Shell(place, _) => *place,
        }
    }

    pub(super) fn is_shell(&self) -> bool {
        matches!(self, Errand::Shell(..))
    }

    /// Starts it with this process's own standard streams.
    pub(super) fn start(&self, host: &Host, seat: Seat) -> Result<Pid, Error> {
        let (program, arguments): (_, &[OsString]) = match self {
            Errand::Command(_, words) => (&words.program, &words.arguments),
            Errand::Shell(_, shell) => (shell, &[]),
        };
        let mut command = Command::new(program);
        command.args(arguments);
        // Elsewhere it is not interactive, and stays in the group that ^C is for.
        if self.is_shell() && seat == Seat::Foreground && io::stdin().is_terminal() {
            seat_shell(&mut command);
        }
        spawn(command, host).map_err(|error| unstartable(program, error))
    }
}

/// Starts a shell command line as a server: in a group of its own, since the
/// terminal's ^C is meant for the program that uses it; with no input; and with
/// standard error for its output, since standard output is that program's.
pub(super) fn start_server(line: &OsString, host: &Host) -> Result<Pid, Error> {
    use std::os::fd::AsFd;
    use std::os::unix::process::CommandExt;

    let stderr = io::stderr().as_fd().try_clone_to_owned();
    let stderr = stderr.map_err(|error| Error::new("dup", "standard error", error))?;
    let mut command = Command::new("/bin/sh");
    command
        .arg("-c")
        .arg(line)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(stderr);
    spawn(command, host).map_err(|error| unstartable(&"/bin/sh".into(), error))
}

fn spawn(mut command: Command, host: &Host) -> io::Result<Pid> {
    command.env("SOCKLAB_HOST", host.place().to_string());
    // Reaped by the warden, with whatever else ends inside.
    let child = host.spawn(command)?;
    i32::try_from(child.id())
        .map(Pid::from_raw)
        .map_err(io::Error::other)
}

/// The error of a program that did not start, with env(1)'s exit codes.
fn unstartable(program: &OsString, cause: io::Error) -> Error {
    let path = Path::new(program);
    let missing = cause.kind() == io::ErrorKind::NotFound;
    let error = Error::new("run", path.display(), cause).exiting(if missing {
        Exit::NoProgram
    } else {
        Exit::NotExecutable
    });
    let by_path = path.components().count() > 1;
    match (missing, error.errno()) {
        (true, _) if by_path && path.exists() => {
            error.remedy("the file is there: does the interpreter in its first line exist?")
        }
        (true, _) if by_path => error.remedy("check the path"),
        (true, _) => error.remedy(
            "no folder of PATH holds such a program; for a shell's command line, say \
             `socklab lab -- sh -c '…'`",
        ),
        (false, Some(Errno::EACCES)) => error.remedy("is it executable? see chmod +x"),
        _ => error,
    }
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this code.
    Exited(i32),
    /// By a signal.
    Killed(Signal),
}

impl Ending {
    /// As a shell gives it: the program's own, or 128 and the signal's number.
    pub(super) fn code(self) -> u8 {
        match self {
            Ending::Exited(code) => u8::try_from(code).unwrap_or(u8::MAX),
            Ending::Killed(signal) => code_of_signal(signal),
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Exited(code) => write!(f, "with exit code {code}"),
            Ending::Killed(signal) => write!(f, "killed by {signal}"),
        }
    }
}

/// 128 and the signal's number.
pub(super) fn code_of_signal(signal: Signal) -> u8 {
    u8::try_from(signal as i32).map_or(u8::MAX, |number| number.saturating_add(128))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_a_shell() {
        assert_eq!(Ending::Exited(3).code(), 3);
        assert_eq!(Ending::Killed(Signal::SIGKILL).code(), 137);
        assert_eq!(Ending::Exited(3).to_string(), "with exit code 3");
        assert_eq!(
            Ending::Killed(Signal::SIGTERM).to_string(),
            "killed by SIGTERM"
        );
    }

    #[test]
    fn a_program_that_did_not_start_says_why() {
        let error = |errno: Errno, name: &str| unstartable(&name.into(), errno.into());
        let missing = error(Errno::ENOENT, "no-such");
        assert_eq!(missing.exit().code(), 127);
        assert!(missing.to_string().starts_with("run no-such: no such file"));
        assert_eq!(error(Errno::EACCES, "/etc/hosts").exit().code(), 126);
        let interpreter = error(Errno::ENOENT, "/").to_string();
        assert!(!interpreter.contains("check the path"), "{interpreter}");
    }
}
