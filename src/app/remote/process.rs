//! A program that runs for somebody else, as its server sees it: started without
//! a shell, with nothing but what it was given, in a session of its own, by a
//! [`keeper`](super::keeper) that ends with it all that came of it.
//!
//! Owns the line to the keeper: when that is dropped, and when this server dies,
//! all is killed. No signal is sent from here, so that none can reach a stranger.

use std::io::{self, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::time::timeout;

use super::keeper::{ASK, Told};
use crate::protocol::remote::Outcome;
use crate::protocol::remote::allow::Prepared;

/// How long the kernel may take to end what was killed.
const PATIENCE: Duration = Duration::from_secs(5);

/// A program that runs.
pub(super) struct Process {
    /// Waited for by the runtime where nobody else does.
    keeper: Child,
    pub(super) stdout: Option<ChildStdout>,
    pub(super) stderr: Option<ChildStderr>,
    told: Lines<BufReader<UnixStream>>,
    /// The same socket, for what must not wait.
    line: net::UnixStream,
}

/// What was left when it was over.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Left {
    /// What it had started and was killed.
    pub(super) killed: u32,
    /// What could not be killed.
    pub(super) alive: u32,
}

impl Process {
    /// Starts it. `own` is this program, by which it is kept.
    pub(super) async fn start(prepared: &Prepared, own: &Path) -> io::Result<Self> {
        let (line, other) = net::UnixStream::pair()?;
        line.set_nonblocking(true)?;
        let socket = UnixStream::from_std(line.try_clone()?)?;
        let mut keeper = spawn(own, other)?;
        let mut process = Self {
            stdout: keeper.stdout.take(),
            stderr: keeper.stderr.take(),
            keeper,
            told: BufReader::new(socket).lines(),
            line,
        };
        let mut order = serde_json::to_vec(prepared)?;
        order.push(b'\n');
        process.told.get_mut().write_all(&order).await?;
        match process.hear().await {
            Some(Told::Started) => Ok(process),
            Some(Told::Failed(errno)) => Err(io::Error::from_raw_os_error(errno)),
            _ => Err(io::Error::other("its keeper ended")),
        }
    }

    async fn hear(&mut self) -> Option<Told> {
        let line = self.told.next_line().await.ok()??;
        serde_json::from_str(&line).ok()
    }

    /// Waits until it has ended. What it started may still run.
    pub(super) async fn ended(&mut self) -> Outcome {
        match self.hear().await {
            Some(Told::Ended(outcome)) => outcome,
            // Whoever killed the keeper killed the program.
            _ => Outcome::Signalled(9),
        }
    }

    /// Asks it and its group to end, SIGTERM.
    pub(super) fn ask(&self) {
        // Whoever is gone needs none.
        let _ = (&self.line).write(&[ASK]);
    }

    /// Has all that came of it killed, SIGKILL.
    pub(super) fn kill(&self) {
        // Whoever is gone needs none.
        let _ = self.line.shutdown(Shutdown::Write);
    }

    /// Has all that came of it killed, and waits until it is.
    pub(super) async fn finish(&mut self) -> Left {
        self.kill();
        let over = async {
            let over = loop {
                match self.hear().await {
                    Some(Told::Over { killed, left }) => {
                        break Left {
                            killed,
                            alive: left,
                        };
                    }
                    Some(_) => {}
                    None => break Left::default(),
                }
            };
            // The runtime waits for it where this does not.
            let _ = self.keeper.wait().await;
            over
        };
        let late = Left {
            killed: 0,
            alive: 1,
        };
        timeout(PATIENCE, over).await.unwrap_or(late)
    }
}

/// A keeper at the other end of this socket: in a group of its own, so that
/// Ctrl-C at the server's terminal is the server's alone.
fn spawn(own: &Path, other: net::UnixStream) -> io::Result<Child> {
    Command::new(own)
        .arg0("socklab")
        .args(["remote", "keep"])
        .env_clear()
        .stdin(OwnedFd::from(other))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
}
