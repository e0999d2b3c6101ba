//! A program that runs while a test goes on: what it says is waited for, a minute
//! at most, and it is killed when the test is over.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio};
use std::thread;

use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The program under test.
pub const SOCKLAB: &str = env!("CARGO_BIN_EXE_socklab");

/// How long anything is waited for before the test has failed, in milliseconds.
pub const GUARD: u16 = 60_000;

/// A program that is killed when the test is over.
pub struct Running {
    pub child: Child,
    out: BufReader<Guarded<ChildStdout>>,
    told: BufReader<Guarded<ChildStderr>>,
}

/// What a program left, once it has ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended {
    /// The rest of its standard output.
    pub out: String,
    /// The rest of its standard error.
    pub told: String,
    /// Its exit code; -1 where a signal ended it.
    pub code: i32,
}

impl Running {
    pub fn start(program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments);
        Self::begin(command)
    }

    /// The program under test.
    pub fn socklab(arguments: &[&str]) -> Self {
        Self::start(SOCKLAB, arguments)
    }

    pub fn begin(mut command: Command) -> Self {
        let mut child = command
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (out, told) = (child.stdout.take(), child.stderr.take());
        Self {
            child,
            out: BufReader::new(Guarded(out)),
            told: BufReader::new(Guarded(told)),
        }
    }

    /// The first line on standard error that has these words.
    pub fn until(&mut self, words: &str) -> String {
        self.told(words).pop().unwrap_or_default() + "\n"
    }

    /// The lines on standard error up to the first that has these words.
    pub fn told(&mut self, words: &str) -> Vec<String> {
        lines_until(&mut self.told, words)
    }

    /// The lines on standard output up to the first that has these words.
    pub fn sees(&mut self, words: &str) -> Vec<String> {
        lines_until(&mut self.out, words)
    }

    pub fn say(&mut self, bytes: &[u8]) {
        let stdin = self.child.stdin.as_mut().expect("not yet closed");
        stdin.write_all(bytes).expect("it reads");
    }

    pub fn hang_up(&mut self) {
        self.child.stdin = None;
    }

    /// Reads its output from now on.
    pub fn drain(&mut self) -> thread::JoinHandle<Vec<u8>> {
        let mut rest = self.out.buffer().to_vec();
        self.out.consume(rest.len());
        let mut out = Guarded(self.out.get_mut().0.take());
        thread::spawn(move || {
            out.read_to_end(&mut rest).expect("readable");
            rest
        })
    }

    pub fn signal(&self, signal: Signal) {
        send(&self.child, signal);
    }

    /// Ctrl-C.
    pub fn interrupt(&self) {
        self.signal(Signal::SIGINT);
    }

    /// What it leaves once it has ended; nothing more is said to it.
    pub fn end(mut self) -> Ended {
        self.hang_up();
        let out = self.drain();
        let mut told = String::new();
        self.told.read_to_string(&mut told).expect("UTF-8");
        let out = String::from_utf8(out.join().expect("read")).expect("UTF-8");
        let code = self.child.wait().expect("it ends").code();
        let code = code.unwrap_or(-1);
        Ended { out, told, code }
    }

    /// Asks it to end, Ctrl-C, and waits until it has.
    pub fn stop(self) -> Ended {
        self.interrupt();
        self.end()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a child that has not been waited for.
pub fn send(child: &Child, signal: Signal) {
    let number = i32::try_from(child.id()).expect("a process number");
    kill(Pid::from_raw(number), signal).expect("it runs");
}

/// Runs a program to its end with this input.
pub fn run(program: &str, arguments: &[&str], input: &[u8]) -> Output {
    let mut running = Running::start(program, arguments);
    let mut stdin = running.child.stdin.take().expect("piped");
    let out = running.drain();
    let mut told = Vec::new();
    thread::scope(|scope| {
        // A program that has failed reads nothing.
        scope.spawn(move || stdin.write_all(input));
        running.told.read_to_end(&mut told).expect("readable");
    });
    Output {
        stdout: out.join().expect("read"),
        stderr: told,
        status: running.child.wait().expect("it ends"),
    }
}

/// Every byte, and more than any buffer holds.
pub fn bytes(count: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..count).map(|_| next()).collect()
}

/// The lines up to the first that has these words.
pub fn lines_until(from: &mut impl BufRead, words: &str) -> Vec<String> {
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

/// A pipe that fails a test instead of hanging it; nothing, once it was taken.
struct Guarded<P>(Option<P>);

impl<P: Read + AsFd> Read for Guarded<P> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(pipe) = &mut self.0 else {
            return Ok(0);
        };
        let mut watched = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
        if poll(&mut watched, GUARD)? == 0 {
            let why = format!("nothing came for {GUARD} ms");
            return Err(io::Error::new(io::ErrorKind::TimedOut, why));
        }
        pipe.read(buffer)
    }
}
