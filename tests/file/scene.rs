//! What the tests stand on: namespaces, programs, folders, and an end of the
//! conversation that is spoken by hand.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use socklab::protocol::file::{Algorithm, Entry, Modified, Name};
use tempfile::TempDir;

use crate::support;

pub const SOCKLAB: &str = env!("CARGO_BIN_EXE_socklab");

/// Runs `test` on a thread in a network namespace of its own, where loopback is
/// up and every port is free.
pub fn alone(what: &str, test: impl FnOnce() + Send + 'static) {
    if !support::may_make_namespaces(what) {
        return;
    }
    let stage = move || {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("namespaces");
        let up = Command::new("ip")
            .args(["link", "set", "lo", "up"])
            .status();
        assert!(up.expect("ip runs").success());
        test();
    };
    thread::spawn(stage).join().expect("the test passes");
}

/// A folder for what is sent, and one for what is received.
pub struct Folders(TempDir);

impl Folders {
    pub fn new() -> Self {
        let folders = Self(tempfile::tempdir().expect("a folder"));
        fs::create_dir(folders.from()).expect("a folder");
        fs::create_dir(folders.to()).expect("a folder");
        folders
    }

    pub fn from(&self) -> PathBuf {
        self.0.path().join("from")
    }

    pub fn to(&self) -> PathBuf {
        self.0.path().join("into")
    }

    /// Outside both.
    pub fn outside(&self) -> &Path {
        self.0.path()
    }

    /// A file to be sent.
    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.from().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, bytes).expect("room");
        path
    }

    pub fn received(&self, name: &str) -> Vec<u8> {
        fs::read(self.to().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Everything that is in the folder that receives, hidden files too.
    pub fn all_received(&self) -> Vec<String> {
        let mut names = Vec::new();
        collect(&self.to(), &self.to(), &mut names);
        names.sort();
        names
    }
}

fn collect(root: &Path, folder: &Path, names: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("readable").path();
        let name = path.strip_prefix(root).expect("below").to_string_lossy();
        if path.is_dir() && !path.is_symlink() {
            names.push(format!("{name}/"));
            collect(root, &path, names);
        } else {
            names.push(name.into_owned());
        }
    }
}

/// Bytes that look like nothing else, the same for the same seed.
pub fn bytes(seed: u64, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    let mut stream = blake3::Hasher::new_keyed(&[7; 32])
        .update(&seed.to_be_bytes())
        .finalize_xof();
    stream.fill(&mut bytes);
    bytes
}

pub fn mode(path: &Path) -> u32 {
    let meta = fs::symlink_metadata(path).expect("it is there");
    meta.permissions().mode() & 0o7777
}

/// A program that is killed when the test is over.
pub struct Running {
    pub child: Child,
    told: BufReader<ChildStderr>,
    heard: String,
}

impl Running {
    pub fn start(mut command: Command) -> Self {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        Self::of(child.expect("it runs"))
    }

    pub fn of(mut child: Child) -> Self {
        let told = BufReader::new(child.stderr.take().expect("piped"));
        Self {
            child,
            told,
            heard: String::new(),
        }
    }

    /// The first line on standard error that has these words.
    pub fn until(&mut self, words: &str) -> String {
        loop {
            let mut line = String::new();
            let count = self.told.read_line(&mut line).expect("readable");
            self.heard.push_str(&line);
            assert!(count > 0, "it never said {words:?}, but: {}", self.heard);
            if line.contains(words) {
                return line;
            }
        }
    }

    /// The port that it listens on.
    pub fn port(&mut self) -> u16 {
        let line = self.until("listening on");
        let port = line.trim().rsplit(':').next().expect("a port");
        port.parse().expect("a port")
    }

    pub fn interrupt(&self) {
        let id = i32::try_from(self.child.id()).expect("an id");
        kill(Pid::from_raw(id), Signal::SIGINT).expect("it is there");
    }

    /// Its end, and all that it said.
    pub fn end(mut self) -> Ended {
        let mut out = String::new();
        let stdout = self.child.stdout.as_mut().expect("piped");
        // Small enough never to fill a pipe while nobody reads the other.
        stdout.read_to_string(&mut out).expect("text");
        self.told.read_to_string(&mut self.heard).expect("text");
        Ended {
            code: self.child.wait().expect("it ends").code(),
            out,
            told: std::mem::take(&mut self.heard),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a program came to.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub told: String,
}

impl Ended {
    #[track_caller]
    pub fn with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("text"),
            told: String::from_utf8(output.stderr).expect("text"),
        }
    }
}

/// `socklab file` with these words.
pub fn command(words: &[&str]) -> Command {
    let mut command = Command::new(SOCKLAB);
    command.arg("file").args(words).env("LC_ALL", "C.UTF-8");
    command
}

/// Runs `socklab file` with these words to its end.
pub fn run(words: &[&str]) -> Ended {
    command(words).output().expect("it runs").into()
}

/// A sender that listens.
pub fn sender(words: &[&str], paths: &[PathBuf]) -> (Running, u16) {
    let mut command = command(&[&["send", "--listen", "--port", "0"], words].concat());
    command.args(paths);
    let mut sender = Running::start(command);
    let port = sender.port();
    (sender, port)
}

/// A receiver that listens.
pub fn receiver(words: &[&str], into: &Path) -> (Running, u16) {
    let mut command = command(&[&["receive", "--listen", "--port", "0"], words].concat());
    command.arg("--into").arg(into);
    let mut receiver = Running::start(command);
    let port = receiver.port();
    (receiver, port)
}

/// Receives from a sender on this port, to the end.
pub fn receive(port: u16, into: &Path, words: &[&str]) -> Ended {
    let mut command = command(&["receive", &format!("localhost:{port}"), "-4"]);
    command.args(words).arg("--into").arg(into);
    command.output().expect("it runs").into()
}

/// An end that is spoken by hand.
pub struct Hand {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Hand {
    /// Connects, and hears the greeting.
    pub fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        let patience = Some(Duration::from_secs(60));
        stream.set_read_timeout(patience).expect("it may wait");
        let reader = BufReader::new(stream.try_clone().expect("a second hand"));
        let mut hand = Self { stream, reader };
        let greeting = hand.line();
        assert!(greeting.starts_with("HELLO version=1 role="), "{greeting}");
        hand
    }

    /// A hand that connects as a sender, and announces this.
    pub fn sending(port: u16, manifest: &str) -> Self {
        let mut hand = Self::connect(port);
        hand.say("HELLO version=1 role=send name=mallory\n");
        hand.say(format!("MANIFEST {manifest}\n"));
        hand
    }

    /// A hand that connects as a receiver, and hears what is announced.
    pub fn receiving(port: u16) -> Self {
        let mut hand = Self::connect(port);
        hand.say("HELLO version=1 role=receive name=mallory\n");
        let manifest = hand.line();
        assert!(manifest.starts_with("MANIFEST "), "{manifest}");
        hand
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.stream.local_addr().expect("it is connected")
    }

    pub fn say(&mut self, text: impl AsRef<[u8]>) {
        // Whoever was refused before may be gone already.
        let _ = self.stream.write_all(text.as_ref());
    }

    /// The next line; none at the end.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(_) => line.trim_end().to_owned(),
            // A reset is an end, too.
            Err(_) => String::new(),
        }
    }

    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.reader.read_exact(&mut bytes).expect("as many");
        bytes
    }

    /// All lines to the end.
    pub fn rest(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match self.line() {
                line if line.is_empty() => return lines,
                line => lines.push(line),
            }
        }
    }
}

/// The hidden name of a file while it is not whole, where it was offered with
/// this size and time.
pub fn unfinished(name: &str, size: u64, modified: Modified) -> String {
    let entry = Entry {
        name: Name::new(name).expect("a name"),
        mode: 0o644,
        modified,
    };
    let hidden = entry.unfinished(size, Algorithm::Blake3);
    String::from_utf8(hidden).expect("text")
}

/// When a file was last modified.
pub fn modified(path: &Path) -> Modified {
    let meta = fs::metadata(path).expect("it is there");
    Modified {
        seconds: meta.mtime(),
        nanoseconds: meta.mtime_nsec().try_into().expect("less than a second"),
    }
}

/// The line that offers a file.
pub fn offer(name: &str, size: u64) -> String {
    format!("FILE name={name} mode=644 mtime=0 size={size} block=2048 hash=blake3\n")
}

/// The line that ends a file.
pub fn end(bytes: &[u8]) -> String {
    let hash = blake3::hash(bytes).to_hex();
    format!("END bytes={} hash=blake3:{hash}\n", bytes.len())
}
