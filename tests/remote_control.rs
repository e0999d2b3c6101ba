//! `socklab remote`: the binary at both ends, each in a network namespace of its
//! test, with programs that behave as badly as programs can, and with somebody
//! between the ends.
//!
//! That a program has died is seen at a FIFO that it held open: the reader's end
//! of file comes when the last writer is gone.

mod support;

use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio};
use std::thread;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use serde_json::Value;

const SOCKLAB: &str = env!("CARGO_BIN_EXE_socklab");

/// How long anything may take before the test has failed: in milliseconds.
const GUARD: u16 = 60_000;

/// Runs `test` on a thread in a network namespace of its own, where loopback is
/// up and every port is free.
fn alone(what: &str, test: impl FnOnce() + Send + 'static) {
    if !support::may_make_namespaces(what) {
        return;
    }
    let stage = move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
        let up = Command::new("ip")
            .args(["link", "set", "lo", "up"])
            .status();
        assert!(up.expect("ip runs").success());
        test();
    };
    thread::spawn(stage).join().expect("the test passes");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn socklab(arguments: &[&str]) -> Command {
    let mut command = Command::new(SOCKLAB);
    command
        .args(["remote"])
        .args(arguments)
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The folders of a server and of a client that know each other.
struct Ground {
    folder: tempfile::TempDir,
}

impl Ground {
    /// With this list of commands.
    fn new(list: &str) -> Self {
        let ground = Self {
            folder: tempfile::tempdir().expect("a folder"),
        };
        for who in ["server", "client"] {
            must(&["keys", "generate", "--keys", &ground.keys(who)]);
        }
        let client = ground.key("client");
        must(&[
            "keys",
            "authorize",
            &client,
            "tester",
            "--keys",
            &ground.keys("server"),
        ]);
        let server = ground.key("server");
        for host in ["127.0.0.1", "::1"] {
            let keys = ground.keys("client");
            must(&[
                "keys",
                "authorize",
                &server,
                "--server",
                host,
                "--keys",
                &keys,
            ]);
        }
        ground.write("server/remote.toml", list);
        ground
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("it is written");
    }

    fn keys(&self, who: &str) -> String {
        self.path(who).display().to_string()
    }

    fn key(&self, who: &str) -> String {
        let shown = must(&["keys", "show", "--keys", &self.keys(who)]);
        text(&shown.stdout).trim().to_owned()
    }

    /// A server with these options, once it listens.
    fn serve(&self, options: &[&str]) -> Server {
        let keys = self.keys("server");
        let arguments = [&["serve", "--keys", &keys, "-v"], options].concat();
        let mut child = socklab(&arguments).spawn().expect("it starts");
        let told = BufReader::new(child.stderr.take().expect("piped"));
        let mut server = Server { child, told };
        server.until("may come in");
        server
    }

    /// What a client asks of the server at this host.
    fn client(&self, task: &str, words: &[&str]) -> Command {
        let keys = self.keys("client");
        socklab(&[&[task, "--keys", &keys], words].concat())
    }

    fn run(&self, words: &[&str]) -> Output {
        let words = [&["127.0.0.1"], words].concat();
        self.client("run", &words).output().expect("it runs")
    }

    fn audit(&self) -> Vec<Value> {
        let log = fs::read_to_string(self.path("server/remote-audit.jsonl")).expect("the log");
        let line = |line: &str| serde_json::from_str(line).expect("JSON");
        log.lines().map(line).collect()
    }
}

struct Server {
    child: Child,
    told: BufReader<ChildStderr>,
}

impl Server {
    /// The first line with these words.
    fn until(&mut self, words: &str) -> String {
        let mut all = String::new();
        loop {
            let mut line = String::new();
            let count = self.told.read_line(&mut line).expect("readable");
            all.push_str(&line);
            assert!(count > 0, "it never said {words:?}, but: {all}");
            if line.contains(words) {
                return line;
            }
        }
    }

    fn signal(&self, signal: Signal) {
        send(&self.child, signal);
    }

    /// Its last words, what it showed on standard output, and its exit code.
    fn end(mut self) -> (String, String, i32) {
        self.signal(Signal::SIGINT);
        let (mut told, mut shown) = (String::new(), String::new());
        self.told.read_to_string(&mut told).expect("UTF-8");
        let out = self.child.stdout.as_mut().expect("piped");
        out.read_to_string(&mut shown).expect("UTF-8");
        let code = self.child.wait().expect("it ends").code();
        (told, shown, code.unwrap_or(-1))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn send(child: &Child, signal: Signal) {
    let number = i32::try_from(child.id()).expect("a process number");
    kill(Pid::from_raw(number), signal).expect("it runs");
}

/// A FIFO that shows when the last program that writes to it is gone.
struct Fifo {
    path: PathBuf,
    reader: File,
}

impl Fifo {
    fn new(ground: &Ground) -> Self {
        let path = ground.path("fifo");
        mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).expect("a FIFO");
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
    fn start(ground: &Ground) -> (Child, BufReader<ChildStdout>) {
        let child = ground.client("run", &["127.0.0.1", "hold"]).spawn();
        let mut child = child.expect("it starts");
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        out.read_line(&mut line).expect("readable");
        assert_eq!(line, "here\n");
        (child, out)
    }

    /// Waits until all who wrote to it are gone.
    fn all_gone(&self) {
        assert!(self.hangs_up(GUARD.into()), "somebody holds it open");
        let mut nothing = Vec::new();
        (&self.reader).read_to_end(&mut nothing).expect("readable");
    }

    /// Whether all who wrote to it are gone.
    fn is_over(&self) -> bool {
        self.hangs_up(PollTimeout::ZERO)
    }

    fn hangs_up(&self, patience: PollTimeout) -> bool {
        let mut watched = [PollFd::new(self.reader.as_fd(), PollFlags::empty())];
        poll(&mut watched, patience).expect("it can be watched");
        let seen = watched[0].revents().expect("known events");
        seen.contains(PollFlags::POLLHUP)
    }

    /// A list with one command `hold`: this shell script, with the FIFO open.
    fn list(&self, script: &str, more: &str) -> String {
        format!(
            "[[command]]\nid = \"hold\"\nprogram = \"/bin/sh\"\n\
             arguments = [\"-c\", '''exec 9>{}; {script}''']\n{more}\n",
            self.path.display()
        )
    }
}

/// A list with one command `x`: this shell script.
fn script(script: &str, more: &str) -> String {
    format!(
        "[[command]]\nid = \"x\"\nprogram = \"/bin/sh\"\n\
         arguments = [\"-c\", '''{script}''']\n{more}\n"
    )
}

#[test]
fn both_outputs_come_apart_and_the_exit_code_is_the_commands() {
    alone("remote run", || {
        let list = script(
            "echo out; echo err >&2; exit 7",
            "summary = \"Says two things\"",
        );
        let ground = Ground::new(&list);
        let server = ground.serve(&[]);
        for host in ["127.0.0.1", "127.0.0.1:5073", "[::1]:5073", "::1"] {
            let host = if host == "::1" { "[::1]" } else { host };
            let output = ground
                .client("run", &[host, "x"])
                .output()
                .expect("it runs");
            assert_eq!(text(&output.stdout), "out\n", "{host}: {output:?}");
            assert_eq!(text(&output.stderr), "err\n", "{host}");
            assert_eq!(output.status.code(), Some(7), "{host}");
        }
        let listed = ground
            .client("list", &["127.0.0.1"])
            .output()
            .expect("it runs");
        insta::assert_snapshot!(text(&listed.stdout), @r"
        command    parameters  what it does
        disks                  The file systems and their room
        info                   The machine: name, kernel, load, memory
        processes              What runs, the largest first
        x                      Says two things
        ");
        let info = ground.run(&["info"]);
        assert!(
            text(&info.stdout).contains("kernel      Linux "),
            "{info:?}"
        );
        assert!(text(&ground.run(&["disks"]).stdout).contains("MOUNTED ON"));
        let (told, shown, code) = server.end();
        assert_eq!(code, 0, "{told}");
        assert_eq!(
            shown,
            "7 connections, 0 of them closed; 6 commands run, 0 refused\n"
        );
    });
}

/// Whoever says nothing takes half of the places, and the others are for others.
#[test]
fn a_mute_source_does_not_fill_the_server() {
    alone("remote full", || {
        let ground = Ground::new("");
        let mut server = ground.serve(&["-m", "20", "--handshake-timeout", "60s"]);
        let mute: Vec<TcpStream> = (0..30)
            .map(|_| TcpStream::connect("127.0.0.1:5073").expect("it listens"))
            .collect();
        server.until("full, of 20 places: 127.0.0.1:");
        let other = ground.client("run", &["[::1]", "info"]).output();
        let other = other.expect("it runs");
        assert!(other.status.success(), "{other:?}");
        let own = ground.run(&["info"]);
        assert_eq!(own.status.code(), Some(1), "{own:?}");
        assert!(text(&own.stderr).contains("or it is full"), "{own:?}");
        drop(mute);
    });
}

#[test]
fn it_listens_on_loopback_unless_an_address_is_given() {
    alone("remote serve", || {
        let ground = Ground::new("");
        let keys = ground.keys("server");
        let child = socklab(&["serve", "--keys", &keys]).spawn();
        let mut child = child.expect("it starts");
        let told = BufReader::new(child.stderr.take().expect("piped"));
        let mut server = Server { child, told };
        let mut told = String::new();
        for _ in 0..4 {
            server.told.read_line(&mut told).expect("readable");
        }
        let key = ground.key("server");
        assert!(!told.contains(&key), "the fingerprint is shown: {told}");
        let (before, rest) = told.split_once("SHA256:").expect("the fingerprint");
        let told = format!("{before}SHA256:…{}", &rest[43..]);
        insta::assert_snapshot!(told, @r"
        socklab: listening on 127.0.0.1:5073
        socklab: listening on [::1]:5073
        socklab: this server's key is SHA256:…
        socklab: 1 key may come in, and run 3 commands
        ");
    });
}

#[test]
fn a_program_gets_what_the_list_says_and_nothing_else() {
    alone("remote environment", || {
        let list = "\
[[command]]
id = \"env\"
program = \"/usr/bin/env\"
environment = { LANG = \"C\" }
[[command]]
id = \"where\"
program = \"/bin/pwd\"
directory = \"/usr\"
[[command]]
id = \"input\"
program = \"/bin/cat\"
[[command]]
id = \"limits\"
program = \"/bin/sh\"
arguments = [\"-c\", \"ulimit -n; ulimit -t; ulimit -f; ulimit -v; ulimit -c\"]
limits = { processor = \"7s\", memory = \"512mb\", file-size = \"1mb\", files = 32 }
[[command]]
id = \"status\"
program = \"/bin/grep\"
arguments = [\"-E\", \"^(NoNewPrivs|SigBlk):\", \"/proc/self/status\"]
[[command]]
id = \"descriptors\"
program = \"/bin/ls\"
arguments = [\"/proc/self/fd\"]
[[command]]
id = \"session\"
program = \"/usr/bin/cut\"
arguments = [\"-d\", \" \", \"-f1,5,6,7\", \"/proc/self/stat\"]
";
        let ground = Ground::new(list);
        let _server = ground.serve(&[]);
        let printed = |id: &str| {
            let output = ground.run(&[id]);
            assert!(output.status.success(), "{id}: {output:?}");
            text(&output.stdout)
        };
        assert_eq!(printed("env"), "LANG=C\n");
        assert_eq!(printed("where"), "/usr\n");
        assert_eq!(printed("input"), "");
        // Blocks of 512 bytes, and kilobytes.
        assert_eq!(printed("limits"), "32\n7\n2048\n524288\n0\n");
        assert_eq!(
            printed("status"),
            "SigBlk:\t0000000000000000\nNoNewPrivs:\t1\n"
        );
        // Its three, and the folder that it reads.
        assert_eq!(printed("descriptors"), "0\n1\n2\n3\n");
        let session = printed("session");
        let session: Vec<&str> = session.split_whitespace().collect();
        let [own, group, leader, terminal] = session[..] else {
            panic!("{session:?}");
        };
        assert_eq!((group, leader), (own, own), "a session of its own");
        assert_eq!(terminal, "0", "and no terminal");
    });
}

#[test]
fn hostile_parameters_are_nothing_but_text() {
    alone("remote parameters", || {
        let list = "\
[[command]]
id = \"say\"
program = \"/usr/bin/printf\"
arguments = [\"[%s]\", \"{text}\"]
[[command.parameter]]
name = \"text\"
type = \"text\"
characters = \" -~\"
least = 0
most = 100
";
        let ground = Ground::new(list);
        let _server = ground.serve(&[]);
        for harmless in [
            "$(id)", "`id`", "a; id", "a | id", "{text}", "%s%n", "'\"\\", "*", "", "~",
        ] {
            let output = ground.run(&["say", harmless]);
            assert_eq!(text(&output.stdout), format!("[{harmless}]"), "{output:?}");
        }
        for hostile in [
            "--help",
            "-n",
            "--",
            "-",
            "../x",
            "a\nb",
            "\u{1b}[2J",
            "é",
            "\u{202e}",
        ] {
            let output = ground.run(&["say", hostile]);
            let told = text(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{hostile:?}: {told}");
            assert_eq!(text(&output.stdout), "", "{hostile:?}");
            let is_clean = |letter: char| !letter.is_control() && letter != '\u{202e}';
            assert!(told.trim_end().chars().all(is_clean), "{told:?}");
        }
        for (words, why) in [
            (&["say"][..], "text is missing: <text: 0 to 100 of  -~>"),
            (&["say", "a", "b"], "it takes at most 1 parameters"),
            (&["/bin/sh", "-c", "id"], "there is no command \"/bin/sh\""),
            (&["sAy", "a"], "there is no command"),
        ] {
            let output = ground.run(words);
            let told = text(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{words:?}");
            assert!(told.contains(why), "{words:?}: {told}");
        }
        let long = "a".repeat(2000);
        let output = ground.run(&["say", &long]);
        assert_eq!(output.status.code(), Some(2), "not even asked");
    });
}

#[test]
fn a_flood_is_cut_and_drained() {
    alone("remote flood", || {
        let list = script(
            "head -c 20000000 /dev/zero; head -c 3000000 /dev/zero >&2; echo done >&2",
            "output = \"64kb\"",
        );
        let ground = Ground::new(&list);
        let mut server = ground.serve(&[]);
        let output = ground.run(&["x"]);
        assert!(
            output.status.success(),
            "it came to its end: {:?}",
            output.status
        );
        assert_eq!(output.stdout.len(), 65_536);
        let told = text(&output.stderr);
        for words in [
            "standard output is cut after 65536 bytes, 19934464 more were left out",
            "standard error is cut after 65536 bytes, 2934469 more were left out",
        ] {
            assert!(told.contains(words), "{}", told.trim_matches('\0'));
        }
        server.until("standard output is more than 65,536 bytes: the rest is left out");
    });
}

/// A client that reads nothing holds up its own command and nobody else's.
#[test]
fn a_client_that_does_not_read_makes_nothing_grow() {
    alone("remote slow client", || {
        let list = script(
            "yes",
            "output = \"1gb\"\ntimeout = \"1s\"\ngrace = \"100ms\"",
        );
        let ground = Ground::new(&list);
        let mut server = ground.serve(&[]);
        let mut slow = ground
            .client("run", &["127.0.0.1", "x"])
            .spawn()
            .expect("starts");
        server.until("asked to end, SIGTERM: its time is over");
        let status = fs::read_to_string(format!("/proc/{}/status", server.child.id()));
        let status = status.expect("it runs");
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"))
            .and_then(|number| number.parse::<u64>().ok())
            .expect("its memory");
        assert!(resident < 60_000, "{resident} kB");
        let other = ground.run(&["info"]);
        assert!(other.status.success(), "{other:?}");
        slow.kill().expect("it runs");
        slow.wait().expect("it ends");
        server.until("ended because its time was over");
    });
}

#[test]
fn a_program_has_its_time_and_is_killed_when_it_will_not_end() {
    alone("remote time-out", || {
        for (patience, sign) in [("", ""), ("trap '' TERM;", "SIGKILL: it did not end")] {
            let ground = Ground::new("");
            let fifo = Fifo::new(&ground);
            let list = fifo.list(
                &format!("{patience} echo here; while :; do sleep 1; done"),
                "timeout = \"2s\"\ngrace = \"200ms\"",
            );
            ground.write("server/remote.toml", &list);
            let mut server = ground.serve(&[]);
            let (client, _out) = Fifo::start(&ground);
            fifo.all_gone();
            let output = client.wait_with_output().expect("it ends");
            assert_eq!(output.status.code(), Some(124), "{output:?}");
            let told = text(&output.stderr);
            assert_eq!(
                told,
                "socklab: the command was ended because its time was over\n"
            );
            if !sign.is_empty() {
                server.until(sign);
            }
        }
    });
}

#[test]
fn what_a_program_leaves_behind_is_ended_with_it() {
    alone("remote grandchild", || {
        let ground = Ground::new("");
        let fifo = Fifo::new(&ground);
        let list = fifo.list(
            "(trap '' TERM; while :; do sleep 1; done) & echo here",
            "grace = \"200ms\"",
        );
        ground.write("server/remote.toml", &list);
        let mut server = ground.serve(&[]);
        let (client, _out) = Fifo::start(&ground);
        fifo.all_gone();
        let output = client.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        server.until("something that it started holds its output open");
    });
}

/// A double fork, a session of its own and deaf ears lead nowhere.
#[test]
fn what_left_the_session_is_ended_before_the_client_hears_the_end() {
    alone("remote escape", || {
        let ground = Ground::new("");
        let fifo = Fifo::new(&ground);
        let (script, mark) = (ground.path("escape"), ground.path("mark"));
        let (script, mark) = (script.display(), mark.display());
        let escape = format!(
            "trap '' TERM HUP INT\n(setsid sh -c 'echo here >{mark}; exec sleep 1000' &)\n"
        );
        ground.write("escape", &escape);
        let list = fifo.list(
            &format!(
                "setsid sh {script} >/dev/null 2>&1 & while [ ! -s {mark} ]; do :; done; echo here"
            ),
            "",
        );
        ground.write("server/remote.toml", &list);
        let mut server = ground.serve(&[]);
        let (client, _out) = Fifo::start(&ground);
        let output = client.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(fifo.is_over(), "none of it is left");
        server.until("killed, SIGKILL: something that it started runs still");
    });
}

/// Each forks the next one, in a session of its own, and ends: none is there for
/// long enough to be looked for.
#[test]
fn what_forks_and_forks_again_is_caught() {
    const GENERATIONS: u32 = 100_000;
    alone("remote chain", || {
        let ground = Ground::new("");
        let fifo = Fifo::new(&ground);
        let (script, count) = (ground.path("chain"), ground.path("count"));
        let (script, count) = (script.display(), count.display());
        ground.write(
            "chain",
            &format!(
                "[ $1 -gt 0 ] && setsid sh {script} $(($1 - 1)) >/dev/null 2>&1 &\necho $1 >{count}\n"
            ),
        );
        let list = fifo.list(&format!("sh {script} {GENERATIONS}; echo here"), "");
        ground.write("server/remote.toml", &list);
        let _server = ground.serve(&[]);
        let (client, _out) = Fifo::start(&ground);
        let output = client.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(fifo.is_over(), "none of it is left");
        let left = fs::read_to_string(ground.path("count")).expect("it ran");
        assert_ne!(
            left, "0\n",
            "it was caught, and did not come to its own end"
        );
    });
}

#[test]
fn a_signal_that_ends_a_command_is_in_the_exit_code() {
    alone("remote signal", || {
        let ground = Ground::new(&script("kill -9 $$", ""));
        let _server = ground.serve(&[]);
        let output = ground.run(&["x"]);
        assert_eq!(output.status.code(), Some(137), "{output:?}");
        let told = text(&output.stderr);
        assert_eq!(told, "socklab: the command was ended by signal 9\n");
    });
}

#[test]
fn ctrl_c_on_the_client_ends_the_command() {
    alone("remote Ctrl-C", || {
        let ground = Ground::new("");
        let fifo = Fifo::new(&ground);
        let list = fifo.list("echo here; sleep 1000; echo never", "");
        ground.write("server/remote.toml", &list);
        let mut server = ground.serve(&[]);
        let (client, _out) = Fifo::start(&ground);
        send(&client, Signal::SIGINT);
        fifo.all_gone();
        let output = client.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(130), "{output:?}");
        server.until("asked to end, SIGTERM: the client asks for it");
    });
}

#[test]
fn a_client_that_dies_takes_its_command_with_it() {
    alone("remote client killed", || {
        let ground = Ground::new("");
        let fifo = Fifo::new(&ground);
        ground.write(
            "server/remote.toml",
            &fifo.list("echo here; sleep 1000", ""),
        );
        let mut server = ground.serve(&[]);
        let (mut client, _out) = Fifo::start(&ground);
        client.kill().expect("it runs");
        client.wait().expect("it ends");
        fifo.all_gone();
        server.until("asked to end, SIGTERM: the client is gone");
        server.until("ended because it was asked to");
    });
}

#[test]
fn a_server_that_ends_or_dies_leaves_no_program_behind() {
    alone("remote server killed", || {
        for (signal, code) in [(Signal::SIGTERM, 130), (Signal::SIGKILL, 1)] {
            let ground = Ground::new("");
            let fifo = Fifo::new(&ground);
            ground.write(
                "server/remote.toml",
                &fifo.list(
                    "setsid sh -c \"trap : TERM HUP; sleep 1000; sleep 1000\" & echo here; \
                     exec sleep 1000",
                    "",
                ),
            );
            let server = ground.serve(&[]);
            let (client, _out) = Fifo::start(&ground);
            server.signal(signal);
            fifo.all_gone();
            let output = client.wait_with_output().expect("it ends");
            assert_eq!(output.status.code(), Some(code), "{signal}: {output:?}");
            drop(server);
            // The next one ends what has no end, and once.
            for _ in 0..2 {
                drop(ground.serve(&[]));
            }
            let audit = ground.audit();
            assert_eq!(audit.len(), 2, "{audit:?}");
            let end = &audit[1];
            assert_eq!((&end["audit"], &end["run"]), (&"end".into(), &1.into()));
            let is_unknown = end["outcome"] == "unknown: the server was killed";
            assert_eq!(is_unknown, signal == Signal::SIGKILL, "{end}");
        }
    });
}

#[test]
fn a_wrong_key_is_refused_at_either_end() {
    alone("remote keys", || {
        let ground = Ground::new("");
        let mut server = ground.serve(&[]);
        let stranger = ground.keys("stranger");
        must(&["keys", "generate", "--keys", &stranger]);
        let key = ground.key("server");
        let arguments = [
            "list",
            "127.0.0.1",
            "--keys",
            &stranger,
            "--server-key",
            &key,
        ];
        let output = socklab(&arguments).output().expect("it runs");
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(
            told.contains("shake hands with 127.0.0.1:5073: the server closed"),
            "{told}"
        );
        assert!(
            told.contains("it does not know this key, SHA256:"),
            "{told}"
        );
        server.until("closed: its key is not authorised");
        // The client expects another server.
        let other = ground.key("stranger");
        let output = ground
            .client("list", &["127.0.0.1", "--server-key", &other])
            .output()
            .expect("it runs");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        // It knows no key at all: nothing is sent, nothing is trusted.
        let output = socklab(&["list", "127.0.0.1", "--keys", &stranger])
            .output()
            .expect("it runs");
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(
            told.contains("the server's key is not known; socklab remote keys"),
            "{told}"
        );
    });
}

#[test]
fn who_fails_too_often_is_locked_out_with_the_right_key_too() {
    alone("remote lock-out", || {
        let ground = Ground::new("");
        let mut server = ground.serve(&["--failures", "3", "--lockout", "60"]);
        for _ in 0..3 {
            let mut stranger = TcpStream::connect("127.0.0.1:5073").expect("it listens");
            stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("sent");
            let mut answer = Vec::new();
            // A reset is as good as an end.
            let _ = stranger.read_to_end(&mut answer);
            assert_eq!(answer, b"", "not a word");
            server.until("what came is not this protocol");
        }
        server.until("127.0.0.1 failed too often: locked out for 60.0 s");
        let output = ground.run(&["info"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        server.until("sent away: it failed too often");
        // Another address is another source.
        let other = ground
            .client("run", &["[::1]", "info"])
            .output()
            .expect("it runs");
        assert!(other.status.success(), "{other:?}");
        let kinds: Vec<String> = ground
            .audit()
            .iter()
            .map(|line| line["audit"].as_str().expect("a kind").to_owned())
            .collect();
        assert_eq!(
            kinds,
            ["broken", "broken", "broken", "locked_out", "begin", "end"]
        );
    });
}

#[test]
fn who_says_nothing_or_too_little_is_closed() {
    alone("remote handshake time-out", || {
        let ground = Ground::new("");
        let mut server = ground.serve(&["--handshake-timeout", "1s"]);
        for begun in [&b""[..], b"\0", b"\0\x54SLR\x01"] {
            let mut slow = TcpStream::connect("127.0.0.1:5073").expect("it listens");
            slow.write_all(begun).expect("sent");
            let mut answer = Vec::new();
            let _ = slow.read_to_end(&mut answer);
            assert_eq!(answer, b"");
            server.until("closed: it took too long");
        }
        // Whoever only looks whether the port is open has failed at nothing.
        for _ in 0..10 {
            drop(TcpStream::connect("127.0.0.1:5073").expect("it listens"));
        }
        assert!(ground.run(&["info"]).status.success());
        let mut left = TcpStream::connect("127.0.0.1:5073").expect("it listens");
        left.write_all(b"\0\x54SLR").expect("sent");
        left.shutdown(Shutdown::Write).expect("connected");
        server.until("closed: it left in the middle of the handshake");
    });
}

#[test]
fn a_server_that_says_nothing_or_something_else_is_left() {
    alone("remote other servers", || {
        let ground = Ground::new("");
        let door = TcpListener::bind("127.0.0.1:5073").expect("a port");
        let ask = || ground.client("run", &["--timeout", "2s", "127.0.0.1", "info"]);
        let output = ask().output().expect("it runs");
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("no answer within 2s (--timeout)"), "{told}");
        drop(door.accept().expect("it came"));
        let child = ask().spawn().expect("it starts");
        let (mut client, _) = door.accept().expect("it comes");
        client.write_all(b"SSH-2.0-Other\r\n").expect("sent");
        let output = child.wait_with_output().expect("it ends");
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("what came is not this protocol"), "{told}");
        drop(door);
        let output = ask().output().expect("it runs");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(text(&output.stderr).contains("ECONNREFUSED"), "{output:?}");
    });
}

#[test]
fn a_hundred_commands_run_at_the_same_time() {
    alone("remote crowd", || {
        const CROWD: usize = 100;
        let ground = Ground::new("");
        let fifo = Fifo::new(&ground);
        // None ends before all have begun: each waits for the FIFO's one reader
        // to let go.
        let list = fifo.list(
            "echo here; cat /dev/zero >&9; echo never",
            "output = \"4kb\"\ntimeout = \"600s\"",
        );
        ground.write(
            "server/remote.toml",
            &format!("concurrent = {CROWD}\n{list}"),
        );
        let _server = ground.serve(&[]);
        let crowd: Vec<_> = (0..CROWD).map(|_| Fifo::start(&ground)).collect();
        assert_eq!(
            ground.audit().len(),
            CROWD,
            "all have begun, none has ended"
        );
        drop(fifo);
        for (client, _out) in crowd {
            let output = client.wait_with_output().expect("it ends");
            // SIGPIPE ends cat, and the shell goes on.
            assert_eq!(output.status.code(), Some(0), "{output:?}");
        }
        assert_eq!(ground.audit().len(), 2 * CROWD);
    });
}

/// Somebody between the ends.
struct Between {
    client: TcpStream,
    server: TcpStream,
}

impl Between {
    /// Starts a client that asks for `info`, and stands between.
    fn stand(ground: &Ground) -> (Self, Child) {
        let door = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = door.local_addr().expect("bound").to_string();
        let key = ground.key("server");
        let words = [address.as_str(), "--server-key", &key, "info"];
        let child = ground.client("run", &words).spawn().expect("it starts");
        let (client, _) = door.accept().expect("it connects");
        let server = TcpStream::connect("127.0.0.1:5073").expect("it listens");
        (Self { client, server }, child)
    }

    fn frame(from: &mut TcpStream) -> Vec<u8> {
        let mut length = [0; 2];
        from.read_exact(&mut length).expect("a frame");
        let mut rest = vec![0; usize::from(u16::from_be_bytes(length))];
        from.read_exact(&mut rest).expect("all of it");
        [&length[..], &rest].concat()
    }
}

#[test]
fn a_bit_changed_on_the_way_ends_it_at_whichever_end() {
    alone("remote changed", || {
        let ground = Ground::new("");
        let mut server = ground.serve(&["--failures", "1000"]);
        // The client's two messages and the server's first two.
        for number in 0..4_u8 {
            let (mut between, child) = Between::stand(&ground);
            for index in 0..=number {
                let (from, to) = match index {
                    0 | 2 => (&mut between.client, &mut between.server),
                    _ => (&mut between.server, &mut between.client),
                };
                let mut frame = Between::frame(from);
                if index == number {
                    let last = frame.len() - 1;
                    frame[last] ^= 1;
                }
                to.write_all(&frame).expect("sent");
            }
            if number.is_multiple_of(2) {
                server.until("closed: ");
                drop(between);
            }
            let output = child.wait_with_output().expect("it ends");
            assert_eq!(
                output.status.code(),
                Some(1),
                "message {number}: {output:?}"
            );
            assert_eq!(text(&output.stdout), "", "message {number}");
            let told = text(&output.stderr);
            match number {
                1 => assert!(told.contains("a wrong key, or a changed message"), "{told}"),
                3 => assert!(told.contains("a message was changed"), "{told}"),
                _ => {}
            }
        }
        let runs = ground.audit();
        let runs = runs.iter().filter(|line| line["audit"] == "begin");
        assert_eq!(runs.count(), 1, "only the one whose answer was changed");
    });
}

#[test]
fn what_was_said_before_says_nothing_when_it_is_said_again() {
    alone("remote replayed", || {
        let ground = Ground::new("");
        let mut server = ground.serve(&["--failures", "1000"]);
        let (mut between, child) = Between::stand(&ground);
        let hello = Between::frame(&mut between.client);
        between.server.write_all(&hello).expect("sent");
        let reply = Between::frame(&mut between.server);
        between.client.write_all(&reply).expect("sent");
        let ask = Between::frame(&mut between.client);
        between.server.write_all(&ask).expect("sent");
        for _ in 0..3 {
            let answer = Between::frame(&mut between.server);
            between.client.write_all(&answer).expect("sent");
        }
        assert!(child.wait_with_output().expect("it ends").status.success());
        // All of it once more.
        let mut again = TcpStream::connect("127.0.0.1:5073").expect("it listens");
        again.write_all(&[&hello[..], &ask].concat()).expect("sent");
        let mut answer = Vec::new();
        let _ = again.read_to_end(&mut answer);
        assert_eq!(answer, b"");
        server.until("closed: a handshake that was seen before was played again");
        // To a server that has been started since, and remembers nothing.
        drop(server);
        let mut server = ground.serve(&[]);
        let mut again = TcpStream::connect("127.0.0.1:5073").expect("it listens");
        again.write_all(&[&hello[..], &ask].concat()).expect("sent");
        server.until("closed: a message was changed, repeated, left out or out of order");
        let audit = ground.audit();
        let runs = audit.iter().filter(|line| line["audit"] == "begin");
        assert_eq!(runs.count(), 1, "{audit:?}");
    });
}

#[test]
fn an_answer_that_is_cut_off_is_no_answer() {
    alone("remote truncated", || {
        let ground = Ground::new("");
        let _server = ground.serve(&[]);
        let (mut between, child) = Between::stand(&ground);
        let hello = Between::frame(&mut between.client);
        between.server.write_all(&hello).expect("sent");
        let reply = Between::frame(&mut between.server);
        between.client.write_all(&reply).expect("sent");
        let ask = Between::frame(&mut between.client);
        between.server.write_all(&ask).expect("sent");
        // All but the last message, which says how it ended.
        for _ in 0..2 {
            let answer = Between::frame(&mut between.server);
            between.client.write_all(&answer).expect("sent");
        }
        between.client.shutdown(Shutdown::Write).expect("connected");
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let told = text(&output.stderr);
        assert!(
            told.contains("the connection ended before the answer"),
            "{told}"
        );
    });
}

#[test]
fn everything_is_written_down_before_and_after() {
    alone("remote audit", || {
        let list = script("echo $0; exit 4", "");
        let ground = Ground::new(&list);
        let _server = ground.serve(&[]);
        ground.run(&["x"]);
        ground.run(&["x", "\u{1b}[2J\n\"}"]);
        ground.run(&["nothing"]);
        let mode = fs::metadata(ground.path("server/remote-audit.jsonl")).expect("it is there");
        assert_eq!(mode.permissions().mode() & 0o777, 0o600);
        let audit = ground.audit();
        let field = |index: usize, name: &str| audit[index][name].clone();
        assert_eq!(audit.len(), 4, "{audit:?}");
        assert_eq!(field(0, "audit"), "begin");
        assert_eq!(
            (field(0, "id"), field(0, "name")),
            ("x".into(), "tester".into())
        );
        assert_eq!(field(0, "program"), "/bin/sh");
        assert_eq!(
            field(0, "arguments"),
            serde_json::json!(["-c", "echo $0; exit 4"])
        );
        assert_eq!(field(1, "outcome"), "exit code 4");
        assert_eq!(
            (field(1, "run"), field(1, "stdout_bytes")),
            (field(0, "run"), 8.into())
        );
        assert_eq!(field(2, "audit"), "refused");
        assert_eq!(
            field(2, "parameters"),
            serde_json::json!(["\u{1b}[2J\n\"}"])
        );
        assert_eq!(field(3, "reason"), "there is no command \"nothing\"");
    });
}

#[test]
fn what_cannot_be_written_down_is_not_run() {
    alone("remote audit full", || {
        let ground = Ground::new(&script("echo ran", ""));
        let mut server = ground.serve(&["--audit", "/dev/full"]);
        let output = ground.run(&["x"]);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert_eq!(text(&output.stdout), "");
        assert!(told.contains("nothing is run without it"), "{told}");
        server.until("ENOSPC");
    });
}

#[test]
fn no_more_commands_run_than_may() {
    alone("remote busy", || {
        let ground = Ground::new("");
        let fifo = Fifo::new(&ground);
        let list = format!("concurrent = 1\n{}", fifo.list("echo here; sleep 1000", ""));
        ground.write("server/remote.toml", &list);
        let _server = ground.serve(&[]);
        let (mut first, _out) = Fifo::start(&ground);
        let second = ground.run(&["info"]);
        assert_eq!(second.status.code(), Some(1), "{second:?}");
        assert!(
            text(&second.stderr).contains("1 commands run already"),
            "{second:?}"
        );
        send(&first, Signal::SIGINT);
        fifo.all_gone();
        first.wait().expect("it ends");
        assert!(
            ground.run(&["info"]).status.success(),
            "there is room again"
        );
    });
}

#[test]
fn a_program_that_is_not_there_is_told() {
    alone("remote missing", || {
        let list = "[[command]]\nid = \"x\"\nprogram = \"/nowhere/x\"\n";
        let ground = Ground::new(list);
        let _server = ground.serve(&[]);
        let output = ground.run(&["x"]);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        let why = "run x: x could not be started: no such file or directory (ENOENT)";
        assert_eq!(told, format!("socklab: {why}\n"), "no list helps");
        let none = ground.run(&["y\u{1b}"]);
        assert_eq!(
            text(&none.stderr),
            "socklab: run y\\u{1b}: there is no command \"y\\u{1b}\"; socklab remote list shows \
             what is allowed\n"
        );
    });
}

#[test]
fn reboot_and_screen_are_off_unless_the_list_allows_them() {
    alone("remote built-ins", || {
        let ground = Ground::new("");
        let server = ground.serve(&[]);
        for id in ["reboot", "screen"] {
            let told = text(&ground.run(&[id]).stderr);
            assert!(told.contains("there is no command"), "{told}");
        }
        drop(server);
        let list =
            "[builtin]\nreboot = \"dry-run\"\nscreen = [\"/bin/echo\", \"-n\", \"a picture\"]";
        ground.write("server/remote.toml", list);
        let _server = ground.serve(&[]);
        let rehearsed = ground.run(&["reboot"]);
        assert_eq!(
            text(&rehearsed.stdout),
            "dry run: /sbin/reboot would be started; nothing was done\n"
        );
        assert_eq!(text(&ground.run(&["screen"]).stdout), "a picture");
    });
}

#[test]
fn nothing_of_what_is_said_can_be_read_on_the_way() {
    alone("remote sealed", || {
        let ground = Ground::new(&script("echo a very plain secret", ""));
        let _server = ground.serve(&[]);
        let output = ground
            .client("run", &["127.0.0.1", "--trace", "x"])
            .output()
            .expect("it runs");
        assert_eq!(text(&output.stdout), "a very plain secret\n");
        let told = text(&output.stderr);
        assert!(told.contains("send(86 bytes) = 86"), "{told}");
        let plain = hex::encode("plain");
        let bytes: String = told
            .split_whitespace()
            .filter(|word| word.len() == 2)
            .collect();
        assert!(
            !told.contains("plain secret") && !bytes.contains(&plain),
            "{told}"
        );
    });
}

#[test]
fn json_has_the_result_last() {
    alone("remote JSON", || {
        let ground = Ground::new(&script("echo out; echo err >&2; exit 3", ""));
        let _server = ground.serve(&[]);
        let words = ["127.0.0.1", "--json", "x"];
        let output = ground.client("run", &words).output().expect("it runs");
        assert_eq!(text(&output.stdout), "out\n");
        let told = text(&output.stderr);
        let lines: Vec<Value> = told
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        let steps: Vec<&str> = lines
            .iter()
            .filter(|line| line["type"] == "remote")
            .filter_map(|line| line["remote"].as_str())
            .collect();
        assert_eq!(steps, ["greeted", "asked", "begun", "stderr", "ended"]);
        assert!(lines.iter().any(|line| line["text"] == "err"), "{told}");
        let result = &lines.last().expect("some")["result"];
        assert_eq!(result["exit_code"], 3);
        assert_eq!(result["outcome"], "exit code 3");
        assert_eq!(result["stdout_bytes"], 4);
    });
}

#[test]
fn a_closed_pipe_is_enough() {
    alone("remote pipe", || {
        let ground = Ground::new(&script("yes", ""));
        let mut server = ground.serve(&[]);
        let mut client = ground
            .client("run", &["127.0.0.1", "x"])
            .spawn()
            .expect("starts");
        drop(client.stdout.take());
        let output = client.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{output:?}");
        assert_eq!(text(&output.stderr), "");
        server.until("asked to end, SIGTERM: the client is gone");
    });
}

fn must(arguments: &[&str]) -> Output {
    let output = socklab(arguments).output().expect("it runs");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    output
}

fn fails(arguments: &[&str], words: &str) {
    let output = socklab(arguments).output().expect("it runs");
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
    assert!(told.contains(words), "{arguments:?}: {told}");
}

#[test]
fn keys_that_others_could_have_read_or_written_are_not_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let keys = folder.path().join("keys");
    let keys = keys.to_str().expect("UTF-8");
    fails(
        &["keys", "show", "--keys", keys],
        &format!("socklab remote keys generate --keys {keys} makes one"),
    );
    fails(&["serve", "--keys", keys], "there is no key");
    let output = socklab(&["keys", "generate", "--keys", keys])
        .output()
        .expect("runs");
    assert!(output.status.success(), "{output:?}");
    let key = text(&output.stdout).trim().to_owned();
    let path = |name: &str| Path::new(keys).join(name);
    let mode = |path: &Path| {
        fs::metadata(path)
            .expect("it is there")
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode(&path("remote-key")), 0o600);
    assert_eq!(mode(Path::new(keys)), 0o700);
    let before = fs::read(path("remote-key")).expect("a key");
    fails(
        &["keys", "generate", "--keys", keys],
        "there is a key already",
    );
    assert_eq!(fs::read(path("remote-key")).expect("a key"), before);
    fails(&["serve", "--keys", keys], "no key is authorised");
    let added = must(&["keys", "authorize", &key, "me", "--keys", keys]);
    let told = text(&added.stderr);
    assert!(told.contains("that is this machine's own key"), "{told}");
    let other = "CQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let added = must(&["keys", "authorize", other, "me", "--keys", keys]);
    let told = text(&added.stderr);
    assert!(told.contains("me is the name of SHA256:"), "{told}");
    assert!(!told.contains("own key"), "{told}");
    fails(
        &["serve", "--commands", keys, "--keys", keys],
        "it is a folder (EISDIR); name the file in it",
    );
    fails(
        &["keys", "authorize", &key, "--keys", keys],
        "is here already",
    );
    fails(
        &["keys", "authorize", "AAAA", "--keys", keys],
        "a key is 32 bytes in base64",
    );
    let zero = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    fails(
        &["keys", "authorize", zero, "--keys", keys],
        "anybody could use it",
    );
}

#[test]
fn a_folder_that_others_could_change_is_not_trusted() {
    let folder = tempfile::tempdir().expect("a folder");
    let keys = folder.path().join("keys");
    let keys = keys.to_str().expect("UTF-8");
    let key = must(&["keys", "generate", "--keys", keys]);
    let key = text(&key.stdout).trim().to_owned();
    must(&["keys", "authorize", &key, "me", "--keys", keys]);
    let path = |name: &str| Path::new(keys).join(name);
    let open = |name: &str, mode| {
        fs::set_permissions(path(name), Permissions::from_mode(mode)).expect("chmod");
    };
    open("remote-authorised", 0o622);
    fails(
        &["serve", "--keys", keys],
        "it can be written by others: its mode is 622; chmod 644",
    );
    open("remote-authorised", 0o644);
    open("remote-key", 0o640);
    fails(
        &["serve", "--keys", keys],
        "it can be read by others: its mode is 640; chmod 600",
    );
    fails(
        &["keys", "show", "--keys", keys],
        "it can be read by others",
    );
    open("remote-key", 0o600);
    fs::write(path("remote.toml"), "[builtin]\nshell = true\n").expect("written");
    fails(
        &["serve", "--keys", keys],
        "line 2, column 1: unknown field `shell`, expected",
    );
}

#[test]
fn the_demonstration_shows_each_refusal() {
    if !support::may_make_namespaces("remote --demo") {
        return;
    }
    for options in [&[][..], &["-6", "--loss", "5%", "--seed", "1"]] {
        let output = socklab(&[&["--demo"], options].concat())
            .output()
            .expect("it runs");
        let shown = text(&output.stdout);
        assert!(
            output.status.success(),
            "{options:?}: {}\n{shown}",
            text(&output.stderr)
        );
        let (ladder, table) = shown.split_once("── what was asked").expect("a table");
        assert!(ladder.contains("send(86 bytes) = 86"), "{ladder}");
        let table: String = table.split_inclusive('\n').take(13).collect();
        insta::assert_snapshot!("demonstration", table);
    }
}
