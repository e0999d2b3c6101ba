//! The folders of a server and of a client that know each other, what runs between
//! them, and the FIFO that shows when a program is gone.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::Value;

use crate::support::program::Program;
use crate::support::running::{GUARD, Running, SOCKLAB};

/// A user without any privilege.
const NOBODY: &str = "65534";

pub fn socklab(arguments: &[&str]) -> Command {
    let mut command = Command::new(SOCKLAB);
    command.arg("remote").args(arguments);
    plain(command)
}

fn plain(mut command: Command) -> Command {
    command
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn must(arguments: &[&str]) -> Output {
    succeed(socklab(arguments))
}

fn succeed(mut command: Command) -> Output {
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{command:?}: {output:?}");
    output
}

/// The folders of a server and of a client that know each other.
pub struct Ground {
    folder: tempfile::TempDir,
    /// A copy that everybody may run, where nobody runs it.
    nobody: Option<Program>,
}

impl Ground {
    /// With this list of commands.
    pub fn new(list: &str) -> Self {
        Self::of(list, None)
    }

    /// The same of a user without any privilege.
    pub fn of_nobody(list: &str) -> Self {
        Self::of(list, Some(Program::new()))
    }

    fn of(list: &str, nobody: Option<Program>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let ground = Self { folder, nobody };
        ground.hand_over("");
        for who in ["server", "client"] {
            ground.must(&["keys", "generate", "--keys", &ground.keys(who)]);
        }
        let (server, client) = (ground.key("server"), ground.key("client"));
        let keys = ground.keys("server");
        ground.must(&["keys", "authorize", &client, "tester", "--keys", &keys]);
        let keys = ground.keys("client");
        for host in ["127.0.0.1", "::1"] {
            let words = ["keys", "authorize", &server, "--server", host];
            ground.must(&[&words[..], &["--keys", &keys]].concat());
        }
        ground.write("server/remote.toml", list);
        ground
    }

    /// `socklab remote`, by whoever owns the ground.
    fn socklab(&self, arguments: &[&str]) -> Command {
        let Some(program) = &self.nobody else {
            return socklab(arguments);
        };
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"])
            .args(["--bounding-set", "-all", "--inh-caps", "-all"])
            .arg(program.path())
            .arg("remote")
            .args(arguments);
        plain(command)
    }

    fn must(&self, arguments: &[&str]) -> Output {
        succeed(self.socklab(arguments))
    }

    /// What the test itself has made is the owner's too.
    fn hand_over(&self, name: &str) {
        if self.nobody.is_some() {
            let owner = NOBODY.parse().expect("a number");
            std::os::unix::fs::chown(self.path(name), Some(owner), Some(owner)).expect("root");
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("it is written");
        self.hand_over(name);
    }

    pub fn keys(&self, who: &str) -> String {
        self.path(who).display().to_string()
    }

    pub fn key(&self, who: &str) -> String {
        let shown = self.must(&["keys", "show", "--keys", &self.keys(who)]);
        text(&shown.stdout).trim().to_owned()
    }

    /// A server with these options, once it listens.
    pub fn serve(&self, options: &[&str]) -> Running {
        let keys = self.keys("server");
        let arguments = ["serve", "--keys", &keys, "-v"];
        let mut server = Running::begin(self.socklab(&[&arguments, options].concat()));
        server.until("may come in");
        server
    }

    /// What a client asks of the server at this host.
    pub fn client(&self, task: &str, words: &[&str]) -> Command {
        let keys = self.keys("client");
        self.socklab(&[&[task, "--keys", &keys], words].concat())
    }

    pub fn run(&self, words: &[&str]) -> Output {
        let words = [&["127.0.0.1"], words].concat();
        self.client("run", &words).output().expect("it runs")
    }

    pub fn audit(&self) -> Vec<Value> {
        let log = fs::read_to_string(self.path("server/remote-audit.jsonl")).expect("the log");
        let line = |line: &str| serde_json::from_str(line).expect("JSON");
        log.lines().map(line).collect()
    }
}

/// A FIFO that shows when the last program that writes to it is gone.
pub struct Fifo {
    path: PathBuf,
    reader: File,
}

impl Fifo {
    pub fn new(ground: &Ground) -> Self {
        let path = ground.path("fifo");
        mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).expect("a FIFO");
        ground.hand_over("fifo");
        // Without a writer, opening it would wait for one.
        let reader = File::options()
            .read(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(&path)
            .expect("a reader");
        fcntl(&reader, FcntlArg::F_SETFL(OFlag::empty())).expect("it may wait");
        Self { path, reader }
    }

    /// Starts a client that has the server run `hold`, and waits until that has
    /// said that it is here: from then on it writes to the FIFO.
    pub fn start(ground: &Ground) -> (Child, BufReader<ChildStdout>) {
        let child = ground.client("run", &["127.0.0.1", "hold"]).spawn();
        let mut child = child.expect("it starts");
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        out.read_line(&mut line).expect("readable");
        assert_eq!(line, "here\n");
        (child, out)
    }

    /// Waits until all who wrote to it are gone.
    pub fn all_gone(&self) {
        assert!(self.hangs_up(GUARD.into()), "somebody holds it open");
        let mut nothing = Vec::new();
        (&self.reader).read_to_end(&mut nothing).expect("readable");
    }

    /// Whether all who wrote to it are gone.
    pub fn is_over(&self) -> bool {
        self.hangs_up(PollTimeout::ZERO)
    }

    pub fn hangs_up(&self, patience: PollTimeout) -> bool {
        let mut watched = [PollFd::new(self.reader.as_fd(), PollFlags::empty())];
        poll(&mut watched, patience).expect("it can be watched");
        let seen = watched[0].revents().expect("known events");
        seen.contains(PollFlags::POLLHUP)
    }

    /// A list with one command `hold`: this shell script, with the FIFO open.
    pub fn list(&self, script: &str, more: &str) -> String {
        format!(
            "[[command]]\nid = \"hold\"\nprogram = \"/bin/sh\"\n\
             arguments = [\"-c\", '''exec 9>{}; {script}''']\n{more}\n",
            self.path.display()
        )
    }
}

/// A list with one command `x`: this shell script.
pub fn script(script: &str, more: &str) -> String {
    format!(
        "[[command]]\nid = \"x\"\nprogram = \"/bin/sh\"\n\
         arguments = [\"-c\", '''{script}''']\n{more}\n"
    )
}

/// A connection to the server that says nothing by itself.
pub fn knock() -> TcpStream {
    let stream = TcpStream::connect("127.0.0.1:5073").expect("it listens");
    let patience = Some(Duration::from_millis(GUARD.into()));
    stream.set_read_timeout(patience).expect("an option");
    stream
}
