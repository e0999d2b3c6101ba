//! Either end killed with SIGKILL after so many bytes, and started again, over a
//! link that loses packets: every file ends whole and equal, and none is ever
//! seen half-written under its name.
//!
//! Between the two stands a relay that counts bytes and kills: where it happens
//! is a matter of the seed, not of time.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use socklab::event::Silence;
use socklab::impair::{Chance, Loss, Plan, Settings};
use socklab::link::{Config, Host, Link};
use socklab::recorder::Clock;
use socklab::units::Probability;

use crate::scene::{Folders, Running, bytes, command};
use crate::support;

#[test]
fn files_survive_either_end_being_killed() {
    // `cargo bench --bench file -- killed` plays ten times as many.
    transfers(0..20);
}

/// Kills of one transfer.
const KILLS: u64 = 3;

/// Plays one transfer for each seed; how many ends were killed.
pub fn transfers(seeds: Range<u64>) -> u64 {
    if !support::may_make_namespaces("transfers over a link") {
        return 0;
    }
    let loss = Settings {
        loss: Loss::Random(Chance {
            probability: "5%".parse::<Probability>().expect("a share"),
            ..Chance::default()
        }),
        ..Settings::default()
    };
    let mut plan = Plan {
        seed: 1,
        ..Plan::default()
    };
    plan.up.first = loss.clone();
    plan.down.first = loss;
    let config = Config {
        plan,
        ..Config::default()
    };
    let link = Link::build(&config, Clock::start(), Arc::new(Silence)).expect("a link");
    let mut killed = 0;
    for seed in seeds {
        killed += Transfer::new(seed).run(&link);
    }
    assert!(killed > 10, "only {killed} were killed");
    killed
}

/// Draws that are the same for the same seed.
struct Draws(u64);

impl Draws {
    /// A number below `limit`.
    fn below(&mut self, limit: u64) -> u64 {
        self.0 += 1;
        let hash = blake3::hash(&self.0.to_be_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&hash.as_bytes()[..8]);
        u64::from_be_bytes(first) % limit.max(1)
    }
}

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Listener,
    Caller,
}

struct Transfer {
    seed: u64,
    folders: Folders,
    files: Vec<(String, Vec<u8>)>,
    path: PathBuf,
}

impl Transfer {
    fn new(seed: u64) -> Self {
        let folders = Folders::new();
        let mut draws = Draws(seed << 32);
        // Every third is a folder of several files.
        let mut draw = |limit| usize::try_from(draws.below(limit)).expect("small");
        let files: Vec<(String, Vec<u8>)> = if seed.is_multiple_of(3) {
            let numbers = 0..5;
            numbers
                .map(|number| {
                    let bytes = bytes(seed * 10 + number, draw(30_000));
                    (format!("tree/{number}"), bytes)
                })
                .collect()
        } else {
            vec![("file".into(), bytes(seed * 10, draw(150_000)))]
        };
        for (name, bytes) in &files {
            folders.file(name, bytes);
        }
        let path = folders.from().join(if seed.is_multiple_of(3) {
            "tree"
        } else {
            "file"
        });
        Self {
            seed,
            folders,
            files,
            path,
        }
    }

    /// Transfers, kills, and transfers again until all is there; how many were
    /// killed.
    fn run(&self, link: &Link) -> u64 {
        let mut draws = Draws((self.seed << 32) + 1000);
        let total: usize = self.files.iter().map(|(_, bytes)| bytes.len()).sum();
        let mut killed = 0;
        for _ in 0..KILLS {
            let victim = if draws.below(2) == 0 {
                Victim::Listener
            } else {
                Victim::Caller
            };
            // Around the end of it, too: between the last byte and the name.
            let limit = draws.below(total as u64 + 1500);
            let (listener, caller) = self.attempt(link, Some((victim, limit)));
            killed += u64::from(listener.is_none() || caller.is_none());
            self.check(false);
        }
        let ends = self.attempt(link, None);
        assert_eq!(ends, (Some(0), Some(0)), "seed {}", self.seed);
        self.check(true);
        killed
    }

    /// One attempt; the ends' exit codes, none for one that was killed.
    fn attempt(&self, link: &Link, plot: Option<(Victim, u64)>) -> (Option<i32>, Option<i32>) {
        // The sender listens at even seeds, the receiver at odd ones.
        let into = self.folders.to();
        let send = self.seed.is_multiple_of(2);
        let receive = !send;
        let mut listener = start(link.server(), &self.path, &into, send, None);
        let port = listener.port();
        let server = SocketAddr::new(link.server().addresses().v4.into(), port);
        let door = link.client().run(|| TcpListener::bind("127.0.0.1:0"));
        let door = door.expect("a port");
        let relay = door.local_addr().expect("bound").to_string();
        let caller = start(link.client(), &self.path, &into, receive, Some(&relay));
        let (near, _) = door.accept().expect("it connects");
        let far = link.client().run(move || TcpStream::connect(server));
        let victim = plot.map(|(victim, limit)| {
            let id = match victim {
                Victim::Listener => listener.child.id(),
                Victim::Caller => caller.child.id(),
            };
            (id, limit)
        });
        relay_between(&near, &far.expect("it listens"), victim);
        let is_broken = plot.is_some();
        (exit(listener, is_broken), exit(caller, is_broken))
    }

    /// What has its name is whole; at the end, everything has, and nothing is
    /// left over.
    fn check(&self, is_over: bool) {
        for (name, bytes) in &self.files {
            match fs::read(self.folders.to().join(name)) {
                Ok(there) => assert!(there == *bytes, "seed {}: {name} is torn", self.seed),
                Err(error) => assert!(!is_over, "seed {}: {name}: {error}", self.seed),
            }
            let source = fs::read(self.folders.from().join(name));
            assert!(source.expect("it stays") == *bytes);
        }
        if is_over {
            let mut names: Vec<String> = self.files.iter().map(|(name, _)| name.clone()).collect();
            if self.seed.is_multiple_of(3) {
                names.insert(0, "tree/".into());
            }
            assert_eq!(self.folders.all_received(), names, "seed {}", self.seed);
        }
    }
}

/// Starts an end on a host: one that sends or one that receives, and listens
/// where there is nowhere to call.
fn start(host: &Host, path: &Path, into: &Path, sends: bool, server: Option<&str>) -> Running {
    let mut command = command(&[if sends { "send" } else { "receive" }]);
    match (sends, server) {
        (true, Some(server)) => command.arg(path).args(["--to", server]),
        (true, None) => command.arg(path),
        (false, Some(server)) => command.arg(server).arg("--into").arg(into),
        (false, None) => command.arg("--into").arg(into),
    };
    if server.is_none() {
        let address = host.addresses().v4.to_string();
        command.args(["--listen", "--once", "--port", "0", "--bind", &address]);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Running::of(host.spawn(command).expect("it runs"))
}

/// The end of a program: its exit code, none where it was killed. One that
/// serves until a transfer is whole would wait for the next caller where this
/// one broke.
fn exit(mut running: Running, is_broken: bool) -> Option<i32> {
    if is_broken && running.child.try_wait().expect("it runs").is_none() {
        running.interrupt();
    }
    running.end().code
}

/// Carries bytes both ways until both have ended. Once so many have gone towards
/// either end, the victim is killed.
fn relay_between(near: &TcpStream, far: &TcpStream, victim: Option<(u32, u64)>) {
    let carried = AtomicU64::new(0);
    thread::scope(|scope| {
        let carried = &carried;
        scope.spawn(move || carry(near, far, carried, victim));
        carry(far, near, carried, victim);
    });
}

fn carry(
    mut from: &TcpStream,
    mut to: &TcpStream,
    carried: &AtomicU64,
    victim: Option<(u32, u64)>,
) {
    let mut buffer = [0; 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
        let before = carried.fetch_add(count as u64, Ordering::Relaxed);
        if let Some((id, limit)) = victim
            && (before..before + count as u64).contains(&limit)
        {
            let id = Pid::from_raw(i32::try_from(id).expect("an id"));
            kill(id, Signal::SIGKILL).expect("it is not waited for yet");
        }
    }
    // Whoever has gone has told the other.
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}
