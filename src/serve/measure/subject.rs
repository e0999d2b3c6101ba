//! A server under measurement: a child process, and what the kernel knows of it
//! and of its own children (proc(5)).
//!
//! It goes with the value: asked to end, and killed where it does not.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use serde::Deserialize;

use crate::error::Error;

/// A server under measurement.
pub struct Subject {
    child: Child,
    log: BufReader<ChildStderr>,
    /// Where it listens.
    pub address: SocketAddr,
}

/// What it is at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Snapshot {
    /// It and its children.
    pub processes: usize,
    /// Threads of all of them.
    pub threads: usize,
    /// Descriptors of all of them.
    pub descriptors: usize,
    /// Proportional set size in bytes.
    pub memory: u64,
    /// Context switches so far.
    pub switches: u64,
    /// Processor time so far.
    pub cpu: Duration,
}

/// What it says at its end.
#[derive(Debug, Deserialize)]
pub(super) struct Ended {
    pub(super) accepted: Vec<u64>,
    pub(super) backlog: Option<u32>,
}

impl Subject {
    /// Starts it and waits until it says on standard error where it listens.
    pub fn start(mut command: Command) -> Result<Self, Error> {
        let failed = |error| Error::new("start", "a server to measure", error);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().map_err(failed)?;
        let log = child.stderr.take().map(BufReader::new);
        let mut log = log.unwrap_or_else(|| unreachable!("it is piped"));
        let mut said = String::new();
        let address = loop {
            let mut line = String::new();
            if log.read_line(&mut line).map_err(failed)? == 0 {
                // It has ended, and what it said is why.
                let _ = child.wait();
                let why = said.trim().trim_start_matches("socklab: ").to_owned();
                return Err(Error::new("measure", "it", why));
            }
            let address = line.rsplit("listening on ").next();
            let address = address.and_then(|rest| rest.split([',', ';']).next());
            if let Some(Ok(address)) = address.map(|address| address.trim().parse()) {
                break address;
            }
            said.push_str(&line);
        };
        Ok(Self {
            child,
            log,
            address,
        })
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap_or_default())
    }

    /// The process and its children, as they are now.
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        let mut left = vec![self.pid()];
        while let Some(pid) = left.pop() {
            snapshot.add(pid);
            left.extend(children(pid));
        }
        snapshot
    }

    /// How it is once the thread or the process of a client who has left is gone
    /// too, so that it has no more of them than when it was fresh; or how it is
    /// after a while, where it had not begun all its own by then.
    pub(super) fn settled(&self, fresh: &Snapshot) -> Snapshot {
        const GLANCE: Duration = Duration::from_millis(5);
        let mut now = self.snapshot();
        for _ in 0..100 {
            if now.threads <= fresh.threads {
                break;
            }
            std::thread::sleep(GLANCE);
            now = self.snapshot();
        }
        now
    }

    /// Asks it to end; what it counted.
    pub(super) fn end(mut self) -> Result<Ended, Error> {
        let failed = |error| Error::new("end", "a server that was measured", error);
        kill(self.pid(), Signal::SIGTERM).map_err(|errno| failed(errno.into()))?;
        let mut text = String::new();
        if let Some(mut out) = self.child.stdout.take() {
            out.read_to_string(&mut text).map_err(failed)?;
        }
        self.child.wait().map_err(failed)?;
        let last = text.lines().last().unwrap_or_default();
        serde_json::from_str(last).map_err(|_| {
            let mut said = String::new();
            let _ = self.log.read_to_string(&mut said);
            Error::new("measure", "it", format!("it ended with: {}", said.trim()))
        })
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // Where it has ended there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Snapshot {
    fn add(&mut self, pid: Pid) {
        let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}"));
        let count = |name: &str| {
            let entries = fs::read_dir(format!("/proc/{pid}/{name}"));
            entries.map_or(0, Iterator::count)
        };
        // Whatever has ended meanwhile counts nothing.
        let Ok(rollup) = read("smaps_rollup") else {
            return;
        };
        self.processes += 1;
        self.memory += field(&rollup, "Pss:") * 1024;
        self.descriptors += count("fd");
        let tasks = fs::read_dir(format!("/proc/{pid}/task"));
        for task in tasks.into_iter().flatten().flatten() {
            self.threads += 1;
            let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
            self.switches += field(&status, "voluntary_ctxt_switches:");
            self.switches += field(&status, "nonvoluntary_ctxt_switches:");
        }
        self.cpu += cpu(pid);
    }
}

/// The processor time of all its threads, those that have ended among them.
fn cpu(pid: Pid) -> Duration {
    let clock: Result<ClockId, _> = clock_getcpuclockid(pid);
    let time = clock.and_then(clock_gettime);
    time.map_or(Duration::ZERO, Duration::from)
}

fn children(pid: Pid) -> Vec<Pid> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let text = text.unwrap_or_default();
    let numbers = text.split_whitespace().filter_map(|word| word.parse().ok());
    numbers.map(Pid::from_raw).collect()
}

/// The number after a name at the beginning of a line.
fn field(text: &str, name: &str) -> u64 {
    let mut rests = text.lines().filter_map(|line| line.strip_prefix(name));
    let number = rests.next().and_then(|rest| rest.split_whitespace().next());
    number.and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// Connections that found a listener's queue full, in this thread's network
/// namespace, since it began.
pub(super) fn overflows() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/net/netstat").unwrap_or_default();
    let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:"));
    let names = lines.next().unwrap_or_default().split_whitespace();
    let values = lines.next().unwrap_or_default().split_whitespace();
    let mut pairs = names.zip(values);
    let value = pairs.find(|(name, _)| *name == "ListenOverflows");
    value.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_names() {
        let text = "Name:\tx\nvoluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3\n";
        assert_eq!(field(text, "voluntary_ctxt_switches:"), 12);
        assert_eq!(field(text, "nonvoluntary_ctxt_switches:"), 3);
        assert_eq!(field(text, "Pss:"), 0);
    }
}
