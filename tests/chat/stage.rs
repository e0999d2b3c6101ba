//! A place for each test, programs whose lines are awaited, and members that are
//! nothing but a socket.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support;

pub const SOCKLAB: &str = env!("CARGO_BIN_EXE_socklab");

/// How long a line is waited for before the test has failed.
const GUARD: Duration = Duration::from_secs(60);

/// Runs `test` on a thread in a network namespace of its own, where every port is
/// free, loopback is up, and `net0` takes multicast.
pub fn alone(what: &str, test: impl FnOnce() + Send + 'static) {
    if !support::may_make_namespaces(what) {
        return;
    }
    let stage = move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
        for line in [
            "link set lo up",
            "link add net0 type veth peer name net1",
            // Without the addresses that a kernel makes up, and the time it takes
            // to find out that nobody else has them.
            "link set net0 addrgenmode none up",
            "link set net1 addrgenmode none up",
            "addr add 192.0.2.1/24 dev net0",
            "-6 addr add fe80::1/64 dev net0 nodad",
        ] {
            let status = Command::new("ip").args(line.split(' ')).status();
            assert!(status.expect("ip runs").success(), "ip {line}");
        }
        test();
    };
    thread::spawn(stage).join().expect("the test passes");
}

/// A program that is killed when the test is over.
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    out: BufReader<ChildStdout>,
    told: BufReader<ChildStderr>,
}

impl Running {
    pub fn start(program: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(arguments)
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        Self {
            stdin: child.stdin.take(),
            out: BufReader::new(child.stdout.take().expect("piped")),
            told: BufReader::new(child.stderr.take().expect("piped")),
            child,
        }
    }

    /// `socklab chat host`, once it listens.
    pub fn host(arguments: &[&str]) -> Self {
        Self::host_of(arguments, "listening on")
    }

    /// The same, once it has said these words.
    pub fn host_of(arguments: &[&str], words: &str) -> Self {
        let mut host = Self::start(SOCKLAB, &[&["chat", "host"], arguments].concat());
        host.told(words);
        host
    }

    /// `socklab chat join`.
    pub fn join(arguments: &[&str]) -> Self {
        Self::start(SOCKLAB, &[&["chat", "join"], arguments].concat())
    }

    /// The lines on standard output up to the first with these words.
    pub fn sees(&mut self, words: &str) -> Vec<String> {
        lines_until(&mut self.out, words)
    }

    /// The lines on standard error up to the first with these words.
    pub fn told(&mut self, words: &str) -> Vec<String> {
        lines_until(&mut self.told, words)
    }

    pub fn say(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("not yet closed");
        stdin.write_all(line.as_bytes()).expect("it reads");
        stdin.write_all(b"\n").expect("it reads");
    }

    pub fn hang_up(&mut self) {
        self.stdin = None;
    }

    pub fn interrupt(&self) {
        let id = i32::try_from(self.child.id()).expect("a process number");
        kill(Pid::from_raw(id), Signal::SIGINT).expect("it runs");
    }

    /// Its other output, its other words and its exit code, once it has ended.
    pub fn end(mut self) -> (String, String, i32) {
        let (mut out, mut told) = (String::new(), String::new());
        self.out.read_to_string(&mut out).expect("UTF-8");
        self.told.read_to_string(&mut told).expect("UTF-8");
        let code = self.child.wait().expect("it ends").code();
        (out, told, code.unwrap_or(-1))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines_until(from: &mut impl BufRead, words: &str) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let mut line = Vec::new();
        let count = from.read_until(b'\n', &mut line).expect("readable");
        assert!(count > 0, "it never said {words:?}, but: {lines:#?}");
        let line = String::from_utf8(line).expect("UTF-8");
        let line = line.trim_end_matches('\n').to_owned();
        let is_it = line.contains(words);
        lines.push(line);
        if is_it {
            return lines;
        }
    }
}

/// A member that is nothing but a socket.
pub struct Member {
    pub stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Member {
    /// Comes in, and is told its name.
    pub fn join() -> Self {
        let mut member = Self::connect("127.0.0.1:5073");
        member.sees("* you are guest");
        member
    }

    /// Comes in under this name.
    pub fn named(name: &str) -> Self {
        let mut member = Self::join();
        member.say(&format!("/nick {name}"));
        member.sees(&format!("* you are {name}"));
        member
    }

    pub fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("somebody listens");
        stream.set_read_timeout(Some(GUARD)).expect("it can");
        let reader = BufReader::new(stream.try_clone().expect("a descriptor"));
        Self { stream, reader }
    }

    pub fn say(&mut self, line: &str) {
        self.send(format!("{line}\n").as_bytes());
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("it reads");
    }

    /// The lines up to the first with these words.
    pub fn sees(&mut self, words: &str) -> Vec<String> {
        lines_until(&mut self.reader, words)
    }

    /// The next line.
    pub fn line(&mut self) -> String {
        self.sees("").remove(0)
    }

    /// Everything up to the end.
    pub fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.reader
            .read_to_string(&mut rest)
            .expect("UTF-8, and an end");
        rest
    }
}
