//! A program that runs for somebody else: started without a shell, with nothing
//! but what it was given, in a process group of its own, which is never left
//! behind. What leaves the group (setsid(2)) is not ours any more; and where this
//! server is killed (SIGKILL), the program dies with it, but not what it started.
//!
//! Owns the process: dropping it kills the whole group. Its number is not free
//! for another process until then, so that no signal can reach a stranger.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use tokio::process::{ChildStderr, ChildStdout};
use tokio::sync::oneshot;

use super::bounds;
use crate::protocol::remote::Outcome;
use crate::protocol::remote::allow::{Prepared, Program};

/// A program that runs.
pub(super) struct Process {
    group: Pid,
    pub(super) stdout: Option<ChildStdout>,
    pub(super) stderr: Option<ChildStderr>,
    ended: oneshot::Receiver<Outcome>,
    /// Dropped when nobody needs the process any more.
    release: Option<mpsc::Sender<()>>,
}

impl Process {
    /// Starts it. `own` is this program, which the built-in commands are run by.
    pub(super) fn start(prepared: &Prepared, own: &Path) -> io::Result<Self> {
        let mut command = match &prepared.program {
            Program::Path(path) => Command::new(path),
            Program::BuiltIn(built_in) => {
                let mut command = Command::new(own);
                command
                    .arg0("socklab")
                    .args(["remote", "report", built_in.name()]);
                command
            }
        };
        command
            .args(&prepared.arguments)
            .env_clear()
            .envs(&prepared.environment)
            .current_dir(&prepared.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        bounds::set(&mut command, &prepared.bounds);
        Self::spawn(&mut command)
    }

    fn spawn(command: &mut Command) -> io::Result<Self> {
        let (tell, ended) = oneshot::channel();
        let (release, released) = mpsc::channel();
        let (hand, handed) = mpsc::channel::<Child>();
        // The thread first: a process that nobody attends must not be there.
        std::thread::Builder::new()
            .name("child".into())
            .stack_size(64 << 10)
            .spawn(move || {
                if let Ok(child) = handed.recv() {
                    attend(child, tell, &released);
                }
            })?;
        let mut child = command.spawn()?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let group = number(&child);
        // The thread is there.
        let _ = hand.send(child);
        let mut process = Self {
            group,
            stdout: None,
            stderr: None,
            ended,
            release: Some(release),
        };
        process.stdout = stdout.map(ChildStdout::from_std).transpose()?;
        process.stderr = stderr.map(ChildStderr::from_std).transpose()?;
        Ok(process)
    }

    /// Waits until it has ended. What it started may still run.
    pub(super) async fn ended(&mut self) -> Outcome {
        // The thread tells before it ends.
        (&mut self.ended).await.unwrap_or(Outcome::Signalled(0))
    }

    /// Sends a signal to it and all that it started.
    pub(super) fn signal(&self, signal: Signal) {
        // Whoever is gone needs none.
        let _ = killpg(self.group, signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
        self.release = None;
    }
}

/// Waits for the program, and frees its number only when nobody needs it.
fn attend(mut child: Child, tell: oneshot::Sender<Outcome>, released: &mpsc::Receiver<()>) {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    let status = loop {
        match waitid(Id::Pid(number(&child)), flags) {
            Err(Errno::EINTR) => {}
            other => break other,
        }
    };
    // Nobody may be there any more.
    let _ = tell.send(match status {
        Ok(WaitStatus::Exited(_, code)) => Outcome::Exited(u8::try_from(code).unwrap_or(u8::MAX)),
        Ok(WaitStatus::Signaled(_, signal, _)) => {
            Outcome::Signalled(u8::try_from(signal as i32).unwrap_or(u8::MAX))
        }
        _ => Outcome::Signalled(0),
    });
    // It ends when the other end is dropped.
    let _ = released.recv();
    let _ = child.wait();
}

/// Its number, which is its group's too.
fn number(child: &Child) -> Pid {
    // The kernel's are positive and fit (pid_max is at most 2^22).
    Pid::from_raw(child.id().cast_signed())
}
