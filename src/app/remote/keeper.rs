//! The keeper of one run: a process between the server and the program. Whatever
//! the program starts becomes its child once its own parent has ended
//! (`PR_SET_CHILD_SUBREAPER`, prctl(2)), so that neither a double fork nor
//! setsid(2) leads out of the run.
//!
//! ```text
//! order ──► starts it ──► tells how it ended ──► the server hangs up ──► kills all that is left
//! ```
//!
//! Owns the program and all that came of it. Its standard input is a socket: when
//! the server wants it, and when the server is no more, its end ends the run.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Pid, dup2_stderr, dup2_stdout, getpgid, getpgrp, getpid};
use serde::{Deserialize, Serialize};

use super::bounds;
use crate::error::Error;
use crate::protocol::remote::Outcome;
use crate::protocol::remote::allow::{Prepared, Program};

/// From the server: ask the program to end, SIGTERM.
pub(super) const ASK: u8 = b't';

/// How often it looks for what it must kill and finds nothing that it may: then
/// that has gained privileges, and stays.
const FRUITLESS: u32 = 100;

const KILLED: Outcome = Outcome::Signalled(Signal::SIGKILL as u8);

/// What it tells the server, a line each.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Told {
    /// The program runs.
    Started,
    /// It could not be started: errno.
    Failed(i32),
    /// It ended; what it started may still run.
    Ended(Outcome),
    /// Nothing runs any more, but for what could not be killed.
    Over {
        /// What it had left, and was killed.
        killed: u32,
        left: u32,
    },
}

/// Keeps a run: what `socklab remote serve` starts for each.
///
/// # Errors
///
/// Standard input is not the server's, or the kernel refuses what this is for.
pub fn keep() -> Result<(), Error> {
    let failed = |call: &'static str| move |errno: Errno| Error::new(call, "the keeper", errno);
    set_child_subreaper(true).map_err(failed("prctl"))?;
    let mut watched = SigSet::empty();
    watched.add(Signal::SIGCHLD);
    watched.thread_block().map_err(failed("sigprocmask"))?;
    let signals = SignalFd::with_flags(&watched, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        .map_err(failed("signalfd"))?;
    let lost = |error| Error::new("read from", "the server", error);
    let server = io::stdin().as_fd().try_clone_to_owned().map_err(lost)?;
    let mut server = UnixStream::from(server);
    let order = order(&server).map_err(lost)?;
    let program = match start(&order) {
        Ok(program) => program,
        Err(error) => {
            let errno = error.raw_os_error().unwrap_or(Errno::EINVAL as i32);
            tell(&mut server, &Told::Failed(errno));
            return Ok(());
        }
    };
    tell(&mut server, &Told::Started);
    let mut keeper = Keeper {
        program: Some(program),
        server,
    };
    let attended = keeper.attend(&signals);
    let over = keeper.kill_all();
    tell(&mut keeper.server, &over);
    attended.map_err(failed("poll"))
}

fn order(server: &UnixStream) -> io::Result<Prepared> {
    let mut line = String::new();
    // Nothing is sent before this has been answered.
    BufReader::new(server).read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

/// Starts the program on this process's outputs, and lets go of them.
fn start(order: &Prepared) -> io::Result<Pid> {
    let mut command = match &order.program {
        Program::Path(path) => Command::new(path),
        Program::BuiltIn(built_in) => {
            let mut command = Command::new("/proc/self/exe");
            command
                .arg0("socklab")
                .args(["remote", "report", built_in.name()]);
            command
        }
    };
    command
        .args(&order.arguments)
        .env_clear()
        .envs(&order.environment)
        .current_dir(&order.directory)
        .stdin(Stdio::null());
    bounds::set(&mut command, &order.bounds);
    let child = command.spawn()?;
    let nothing = File::options().write(true).open("/dev/null")?;
    dup2_stdout(&nothing)?;
    dup2_stderr(&nothing)?;
    // The kernel's are positive and fit (pid_max is at most 2^22).
    Ok(Pid::from_raw(child.id().cast_signed()))
}

/// Where nobody listens the server is gone, and standard input says so too.
fn tell(server: &mut UnixStream, told: &Told) {
    if let Ok(mut line) = serde_json::to_vec(told) {
        line.push(b'\n');
        let _ = server.write_all(&line);
    }
}

/// A run whose program has been started.
struct Keeper {
    /// Until it has been waited for: its number may be a stranger's then.
    program: Option<Pid>,
    server: UnixStream,
}

/// What has become of this process's children.
enum Children {
    /// This one has ended, and waits to be waited for.
    Ended(Pid, Outcome),
    Live,
    None,
}

impl Keeper {
    /// Until the server hangs up.
    fn attend(&mut self, signals: &SignalFd) -> Result<(), Errno> {
        loop {
            let mut watched = [self.server.as_fd(), signals.as_fd()]
                .map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN));
            match poll(&mut watched, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
            let [server, children] = watched.map(|one| one.any().unwrap_or(false));
            if children {
                while let Ok(Some(_)) = signals.read_signal() {}
                while let Children::Ended(pid, outcome) = look(WaitPidFlag::WNOHANG) {
                    self.bury(pid, outcome);
                }
            }
            if server && !self.hear() {
                return Ok(());
            }
        }
    }

    /// Whether the server is still there.
    fn hear(&mut self) -> bool {
        let mut asked = [0];
        match self.server.read(&mut asked) {
            Ok(1..) => {
                if let (Some(program), [ASK]) = (self.program, asked) {
                    // Whoever is gone needs none.
                    let _ = killpg(program, Signal::SIGTERM);
                }
                true
            }
            Ok(_) => false,
            Err(error) => error.kind() == io::ErrorKind::Interrupted,
        }
    }

    /// Lets one that has ended go, and tells whether it was the program.
    fn bury(&mut self, pid: Pid, outcome: Outcome) -> bool {
        // It has ended: this does not wait, and nobody else waits for it.
        let _ = waitid(Id::Pid(pid), WaitPidFlag::WEXITED);
        let is_program = self.program == Some(pid);
        if is_program {
            self.program = None;
            tell(&mut self.server, &Told::Ended(outcome));
        }
        is_program
    }

    /// Kills its children, and those that become its children by that, until none
    /// is left.
    fn kill_all(&mut self) -> Told {
        let (mut killed, mut fruitless) = (0, 0);
        loop {
            match look(WaitPidFlag::WNOHANG) {
                Children::None => return Told::Over { killed, left: 0 },
                Children::Ended(pid, outcome) => {
                    kill_group(pid);
                    let was_killed = outcome == KILLED;
                    if !self.bury(pid, outcome) && was_killed {
                        killed += 1;
                    }
                    continue;
                }
                Children::Live => {}
            }
            let (reached, refused) = kill_children();
            if reached > 0 {
                fruitless = 0;
                // One of them is about to end.
                look(WaitPidFlag::empty());
            } else if fruitless == FRUITLESS {
                let left = refused.max(1);
                return Told::Over { killed, left };
            } else {
                fruitless += 1;
            }
        }
    }
}

/// One of the children that has ended; it stays to be buried, so that its number
/// is nobody else's.
fn look(how: WaitPidFlag) -> Children {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | how;
    loop {
        return match waitid(Id::All, flags) {
            Ok(WaitStatus::Exited(pid, code)) => {
                let code = u8::try_from(code).unwrap_or(u8::MAX);
                Children::Ended(pid, Outcome::Exited(code))
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) => {
                let number = u8::try_from(signal as i32).unwrap_or(u8::MAX);
                Children::Ended(pid, Outcome::Signalled(number))
            }
            Err(Errno::EINTR) => continue,
            Err(_) => Children::None,
            Ok(_) => Children::Live,
        };
    }
}

/// Kills those that are in one group with a dead child. What forks and ends, and
/// forks again, is never there when it is looked for; here it is: a whole group
/// is killed at once, and no fork(2) comes between.
fn kill_group(dead: Pid) {
    if let Ok(group) = getpgid(Some(dead))
        && group != getpgrp()
    {
        // Whoever is gone needs none.
        let _ = killpg(group, Signal::SIGKILL);
    }
}

/// Kills the children that /proc shows: how many, and how many it may not kill.
fn kill_children() -> (u32, u32) {
    let own = getpid();
    let (mut reached, mut refused) = (0, 0);
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let number = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        let Some(pid) = number.map(Pid::from_raw) else {
            continue;
        };
        // The kernel says whether it is ours, and while it is, its number is.
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG;
        if parent(pid) != Some(own) || waitid(Id::Pid(pid), flags).is_err() {
            continue;
        }
        match kill(pid, Signal::SIGKILL) {
            Ok(()) => reached += 1,
            Err(_) => refused += 1,
        }
    }
    (reached, refused)
}

/// proc_pid_stat(5): the name, in parentheses, may hold anything.
fn parent(pid: Pid) -> Option<Pid> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    let (_, rest) = stat.rsplit_once(')')?;
    let number = rest.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(Pid::from_raw(number))
}
