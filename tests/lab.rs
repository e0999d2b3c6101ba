//! `socklab lab` with real programs: what passes through, who waits for whom,
//! what is known by name, and that nothing is left behind.

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use support::program::{As, Program, text};

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const USERS: [As; 3] = [As::Myself, As::NobodyWithoutTun, As::NobodyWithTun];

/// Whether all these programs are installed; says loudly where not.
fn installed(programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| {
        !PATH
            .split(':')
            .any(|folder| Path::new(folder).join(program).exists())
    });
    if let Some(missing) = missing {
        support::skipped("a real program on the link", missing);
    }
    missing.is_none()
}

/// `socklab lab` with these arguments, or `None` where this process may not
/// make one.
fn lab(program: &Program, who: As, arguments: &[&str]) -> Option<Command> {
    if !support::may_make_namespaces("a lab") {
        return None;
    }
    let arguments: Vec<&str> = ["lab"]
        .into_iter()
        .chain(arguments.iter().copied())
        .collect();
    let mut command = program.command(who, &arguments)?;
    // Of which every user may read every folder.
    command.env("PATH", PATH);
    Some(command)
}

fn run(program: &Program, who: As, arguments: &[&str]) -> Option<Output> {
    Some(lab(program, who, arguments)?.output().expect("it starts"))
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("a process number"))
}

/// A process that does not outlive a test that fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Where it has ended there is nothing to kill.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A lab whose script has said `up`, and the rest of its standard output.
fn started(mut command: Command) -> (Running, BufReader<std::process::ChildStdout>) {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .expect("it starts");
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    let child = Running(child);
    expect_line(&mut out, "up");
    (child, out)
}

fn expect_line(out: &mut impl BufRead, expected: &str) {
    let mut line = String::new();
    out.read_line(&mut line).expect("a line");
    assert_eq!(line.trim_end(), expected);
}

fn rest(mut out: impl Read) -> String {
    let mut text = String::new();
    out.read_to_string(&mut text).expect("UTF-8");
    text
}

#[test]
fn the_exit_code_is_the_programs() {
    let program = Program::new();
    for who in USERS {
        for (command, code) in [
            (&["true"][..], 0),
            (&["sh", "-c", "exit 7"], 7),
            (&["sh", "-c", "kill -KILL $$"], 128 + 9),
            (&["sh", "-c", "kill -TERM $$"], 128 + 15),
            (&["no-such-program"], 127),
            (&["/no/such/program"], 127),
            (&["/etc/hosts"], 126),
            (&["/"], 126),
        ] {
            let Some(output) = run(&program, who, &[&["--"], command].concat()) else {
                return;
            };
            let said = text(&output.stderr);
            assert_eq!(
                output.status.code(),
                Some(code),
                "{who:?} {command:?}: {said}"
            );
            assert_eq!(text(&output.stdout), "", "{who:?} {command:?}");
            if let 126 | 127 = code {
                let expected = format!("socklab: run {}: ", command[0]);
                assert!(said.starts_with(&expected), "{said}");
                assert_eq!(said.lines().count(), 1, "{said}");
            }
        }
    }
}

#[test]
fn standard_streams_are_the_programs_own() {
    let program = Program::new();
    let bytes: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    let Some(mut command) = lab(&program, As::Myself, &["--", "cat"]) else {
        return;
    };
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut input = child.stdin.take().expect("piped");
    let sent = bytes.clone();
    let writer = std::thread::spawn(move || input.write_all(&sent));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("it wrote").expect("all of it");
    assert!(output.stdout == bytes, "{} bytes came", output.stdout.len());
    assert!(output.status.success());
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn programs_meet_on_the_link() {
    if !installed(&["python3", "curl", "iperf3", "nc", "ping"]) {
        return;
    }
    let program = Program::new();
    for who in USERS {
        for (arguments, expected) in [
            (&["--", "ping", "-4", "-c1", "server"][..], " 1 received"),
            (&["--", "ping", "-6", "-c1", "server"], " 1 received"),
            (
                &[
                    "--", "ping", "-4", "-i", "0.002", "-c", "100", "-s", "1472", "server",
                ],
                " 100 received",
            ),
            (
                &[
                    "--", "ping", "-6", "-i", "0.002", "-c", "100", "-s", "1452", "server",
                ],
                " 100 received",
            ),
            (
                &[
                    "--server",
                    "iperf3 -s -1",
                    "--",
                    "iperf3",
                    "-4",
                    "-n",
                    "1M",
                    "-c",
                    "server",
                ],
                "iperf Done.",
            ),
            (
                &[
                    "--server",
                    "exec python3 -m http.server --bind 0.0.0.0 --directory /etc 80",
                    "--",
                    "curl",
                    "-4sS",
                    "http://server/hosts",
                ],
                "10.77.0.2\tserver\n",
            ),
            (
                &[
                    "--server",
                    "exec python3 -m http.server --bind :: --directory /etc 80",
                    "--",
                    "curl",
                    "-sS",
                    "http://server/hosts",
                ],
                "10.77.0.2\tserver\n",
            ),
            (
                &[
                    "--server",
                    "iperf3 -s -1",
                    "--",
                    "iperf3",
                    "-n",
                    "1M",
                    "-c",
                    "server",
                ],
                "iperf Done.",
            ),
            (
                &[
                    "--server",
                    "echo hello | nc -4ul 9",
                    "--ready",
                    "udp:9",
                    "sh",
                    "-c",
                    "echo knock | nc -4u -W1 server 9",
                ],
                "hello",
            ),
        ] {
            let Some(output) = run(&program, who, arguments) else {
                return;
            };
            let (out, said) = (text(&output.stdout), text(&output.stderr));
            assert!(
                output.status.success(),
                "{who:?} {arguments:?}: {out}{said}"
            );
            assert!(out.contains(expected), "{who:?} {arguments:?}: {out}{said}");
        }
    }
}

/// Only root may flood.
#[test]
fn a_flood_of_pings_comes_back_whole() {
    let program = Program::new();
    for (family, size) in [("-4", "1472"), ("-6", "1452")] {
        let flood = [
            "--", "ping", family, "-f", "-c", "2000", "-s", size, "server",
        ];
        let Some(output) = run(&program, As::Myself, &flood) else {
            return;
        };
        let (out, said) = (text(&output.stdout), text(&output.stderr));
        assert!(
            out.contains(" 2000 received, 0% packet loss"),
            "{out}{said}"
        );
        assert!(said.contains("The link itself lost nothing"), "{said}");
    }
}

/// What the client has sent is taken before the server's program is ended, and
/// that ends by SIGTERM.
#[test]
fn a_server_may_finish_its_work() {
    if !installed(&["nc"]) {
        return;
    }
    let program = Program::new();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("got");
    let server = format!("nc -l 80 >{}", file.display());
    let client = "head -c 3000000 /dev/zero | nc -N server 80";
    let Some(output) = run(
        &program,
        As::Myself,
        &["--server", &server, "--", "sh", "-c", client],
    ) else {
        return;
    };
    assert!(output.status.success(), "{}", text(&output.stderr));
    let length = fs::metadata(&file).expect("it was written").len();
    assert_eq!(length, 3_000_000);

    let server = "trap 'echo bye; exit' TERM; nc -lk 80 & wait";
    let output = run(&program, As::Myself, &["--server", server, "--", "true"]);
    let output = output.expect("it ran a moment ago");
    assert!(output.status.success());
    assert_eq!(text(&output.stdout), "", "the server's words are not CMD's");
    assert!(text(&output.stderr).starts_with("bye\n"));
}

#[test]
fn a_server_that_is_never_ready_is_an_error() {
    if !installed(&["nc"]) {
        return;
    }
    let program = Program::new();
    for (arguments, expected) in [
        (&["--server", "exit 3"][..], "it ended with exit code 3"),
        (&["--server", "true"], "it ended with exit code 0"),
        (&["--server", "kill -9 $$"], "it ended killed by SIGKILL"),
        (&["--server", "no-such"], "it ended with exit code 127"),
        (
            &["--server", "sleep 1000", "--ready-timeout", "50ms"],
            "did not within 0.05 s; --ready-timeout waits longer",
        ),
        (
            &["--server", "nc -l 127.0.0.1 80", "--ready-timeout", "0.5"],
            "it listens on tcp 127.0.0.1:80, where the client cannot reach it",
        ),
        (
            &[
                "--server",
                "nc -4ul 80",
                "--ready",
                "tcp:80",
                "--ready-timeout",
                "0.5",
            ],
            "it listens on udp 0.0.0.0:80: try --ready udp:80",
        ),
    ] {
        let command = [arguments, &["--", "echo", "ran"]].concat();
        let Some(output) = run(&program, As::Myself, &command) else {
            return;
        };
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert_eq!(text(&output.stdout), "", "{arguments:?}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}

/// A daemon's first process ends well before anybody listens.
#[test]
fn a_daemon_is_a_server_too() {
    if !installed(&["nc"]) {
        return;
    }
    let program = Program::new();
    let daemon = "setsid nc -l 80 & exit 0";
    let Some(output) = run(
        &program,
        As::Myself,
        &["--server", daemon, "--", "nc", "-z", "server", "80"],
    ) else {
        return;
    };
    assert!(output.status.success(), "{}", text(&output.stderr));
    let output = run(
        &program,
        As::Myself,
        &["--server", "exit 0", "--ready", "none", "--", "true"],
    );
    let output = output.expect("it ran a moment ago");
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn names_are_known_inside_and_nothing_changes_outside() {
    let program = Program::new();
    let look = || {
        [
            "/etc/hosts",
            "/etc/resolv.conf",
            "/etc/nsswitch.conf",
            "/proc/self/mountinfo",
        ]
        .map(|path| fs::read_to_string(path).unwrap_or_default())
    };
    let before = look();
    let script = "getent ahostsv4 server | head -1; getent ahostsv6 client | head -1
        getent ahosts localhost | head -1; getent hosts no-such.example; echo $?
        hostname; echo $SOCKLAB_HOST; ls /sys/class/net; echo $$ >&2";
    for who in USERS {
        let Some(output) = run(&program, who, &["--", "sh", "-c", script]) else {
            return;
        };
        let out = text(&output.stdout);
        let words: Vec<&str> = out
            .lines()
            .map(|line| line.split_whitespace().next().unwrap_or_default())
            .collect();
        let (localhost, others) = (words[2], [&words[..2], &words[3..]].concat());
        assert!(["127.0.0.1", "::1"].contains(&localhost), "{who:?} {out}");
        assert_eq!(
            others,
            [
                "10.77.0.2",
                "fd77::1",
                "2",
                "client",
                "client",
                "lo",
                "wire0"
            ],
            "{who:?} {}",
            text(&output.stderr)
        );
    }
    assert_eq!(look(), before);
}

#[test]
fn the_hosts_are_printed() {
    let program = Program::new();
    let table = "10.77.0.1\tclient\nfd77::1\tclient\n10.77.0.2\tserver\nfd77::2\tserver\n";
    // Needs no privilege at all.
    let mut command = program
        .command(As::Myself, &["lab", "--hosts"])
        .expect("myself");
    let output = command.output().expect("it starts");
    assert!(output.status.success());
    assert_eq!(text(&output.stdout), table);
    assert_eq!(text(&output.stderr), "");
    let Some(output) = run(&program, As::Myself, &["--hosts", "--", "echo", "ran"]) else {
        return;
    };
    assert_eq!(text(&output.stdout), format!("{table}ran\n"));
}

#[test]
fn a_shell_opens_on_either_host() {
    let program = Program::new();
    for (arguments, host) in [
        (&[][..], "client"),
        (&["--shell"], "client"),
        (&["--shell", "client"], "client"),
        (&["--shell", "server"], "server"),
    ] {
        let Some(mut command) = lab(&program, As::Myself, arguments) else {
            return;
        };
        let mut child = command
            .env("SHELL", "/bin/sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let mut input = child.stdin.take().expect("piped");
        input.write_all(b"hostname\nexit 4\n").expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(text(&output.stdout).trim_end(), host, "{arguments:?}");
        assert_eq!(output.status.code(), Some(4), "{arguments:?}");
    }
}

/// Every process inside holds the pipe's end, so it is read to its end only when
/// all of them are gone.
#[test]
fn killing_socklab_leaves_nothing() {
    if !installed(&["ping", "setsid"]) {
        return;
    }
    let program = Program::new();
    let daemons = "(setsid sh -c '(sleep 1000 &) ; exec sleep 1000' &)
        (setsid ping -q -i 100 server 3>&1 >&2 &)
        trap '' TERM HUP INT; echo up; sleep 1000 & wait";
    for who in USERS {
        for signals in [&[Signal::SIGKILL][..], &[Signal::SIGSTOP, Signal::SIGKILL]] {
            let arguments = ["--server", "nc -lk 80", "--", "sh", "-c", daemons];
            let Some(command) = lab(&program, who, &arguments) else {
                return;
            };
            let (mut child, out) = started(command);
            for &signal in signals {
                kill(pid(&child.0), signal).expect("it runs");
            }
            let mut said = child.0.stderr.take().expect("piped");
            // Both are held by every process inside.
            assert!(!rest(out).contains("up"), "{who:?}");
            said.read_to_end(&mut Vec::new()).expect("its end");
            child.0.wait().expect("it was killed");
        }
    }
}

/// The same when the program ends and leaves daemons behind.
#[test]
fn the_programs_end_is_the_end_of_its_daemons() {
    let program = Program::new();
    let script = "(setsid sh -c '(sleep 1000 &) ; exec sleep 1000' &); exit 5";
    for who in USERS {
        let Some(output) = run(&program, who, &["--", "sh", "-c", script]) else {
            return;
        };
        assert_eq!(output.status.code(), Some(5), "{who:?}");
    }
}

const TRAPS: &str = "
    for signal in HUP INT QUIT USR1 USR2 ALRM WINCH; do trap \"echo $signal\" $signal; done
    trap 'echo TERM; exit 9' TERM
    sleep 1000 &
    echo up
    while :; do wait; done";

/// Each is passed on once, and a signal to the whole group, which reaches the
/// program by itself, is not doubled.
#[test]
fn signals_reach_the_program_once() {
    let program = Program::new();
    for who in USERS {
        let Some(command) = lab(&program, who, &["--", "sh", "-c", TRAPS]) else {
            return;
        };
        let (mut child, mut out) = started(command);
        for signal in ["INT", "QUIT", "USR1", "USR2", "ALRM", "WINCH"] {
            let number: Signal = format!("SIG{signal}").parse().expect("a signal");
            kill(pid(&child.0), number).expect("it runs");
            expect_line(&mut out, signal);
            killpg(pid(&child.0), number).expect("it runs");
            expect_line(&mut out, signal);
        }
        kill(pid(&child.0), Signal::SIGHUP).expect("it runs");
        expect_line(&mut out, "HUP");
        kill(pid(&child.0), Signal::SIGTERM).expect("it runs");
        assert_eq!(rest(out), "TERM\n", "{who:?}");
        assert_eq!(child.0.wait().expect("it ends").code(), Some(9), "{who:?}");
        let said = rest(child.0.stderr.take().expect("piped"));
        assert!(
            said.contains("what became of every packet"),
            "the account is told: {said}"
        );
    }
}

/// Without a program to pass it to, the signal ends the lab.
#[test]
fn a_signal_ends_the_wait_for_a_server() {
    let program = Program::new();
    let server = "echo up >&2; sleep 1000";
    let Some(mut command) = lab(&program, As::Myself, &["--server", server, "--", "true"]) else {
        return;
    };
    let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
    let mut said = BufReader::new(child.stderr.take().expect("piped"));
    expect_line(&mut said, "up");
    kill(pid(&child), Signal::SIGTERM).expect("it runs");
    rest(said);
    assert_eq!(child.wait().expect("it ends").code(), Some(128 + 15));
}

/// A terminal's session with a command line in it, and what it showed.
fn at_terminal(program: &Program, line: &str) -> (Running, BufReader<std::process::ChildStdout>) {
    let mut command = Command::new("script");
    command
        .args(["--quiet", "--return", "--command"])
        .arg(format!("{} lab {line}", program.path().display()))
        .arg("/dev/null")
        .env("SHELL", "/bin/bash")
        .env("HOME", "/nonexistent")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    let mut child = command.spawn().expect("script starts");
    let out = BufReader::new(child.stdout.take().expect("piped"));
    (Running(child), out)
}

#[test]
fn the_terminals_interrupt_is_the_programs() {
    if !support::may_make_namespaces("a lab") || !installed(&["script"]) {
        return;
    }
    let program = Program::new();
    let line = "--server 'nc -lk 80' -- sh -c 'trap \"echo caught; nc -z server 80 && echo served; exit 6\" INT; \
                echo up; while :; do sleep 1000 & wait; done'";
    let (mut child, mut out) = at_terminal(&program, line);
    expect_line(&mut out, "up");
    let mut input = child.0.stdin.take().expect("piped");
    input.write_all(b"\x03").expect("it reads");
    let shown = rest(out);
    assert_eq!(shown.matches("caught").count(), 1, "{shown}");
    assert!(shown.contains("served"), "the server lives on: {shown}");
    assert!(
        shown.contains("what became of every packet"),
        "the account is told: {shown}"
    );
    assert_eq!(child.0.wait().expect("it ends").code(), Some(6), "{shown}");
}

#[test]
fn a_shell_at_the_terminal_has_job_control() {
    if !support::may_make_namespaces("a lab") || !installed(&["script", "bash"]) {
        return;
    }
    let program = Program::new();
    for line in ["", "-- bash --norc"] {
        let (mut child, out) = at_terminal(&program, line);
        let mut input = child.0.stdin.take().expect("piped");
        input
            .write_all(b"sleep 1000 & jobs; echo flags $-; kill %1; exit 3\n")
            .expect("it reads");
        let shown = rest(out);
        assert!(!shown.contains("job control"), "{shown}");
        let flags = shown.lines().rfind(|line| line.starts_with("flags"));
        assert!(flags.is_some_and(|flags| flags.contains('m')), "{shown}");
        assert_eq!(child.0.wait().expect("it ends").code(), Some(3), "{shown}");
    }
}

/// None is blocked, and ignored are those that already were.
#[test]
fn programs_start_with_the_signals_they_would_have_outside() {
    let program = Program::new();
    let look = ["grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"];
    let Some(output) = run(&program, As::Myself, &[&["--"], &look[..]].concat()) else {
        return;
    };
    let outside = Command::new(look[0]).args(&look[1..]).output();
    assert_eq!(
        standard_signals(&output.stdout),
        standard_signals(&outside.expect("grep starts").stdout)
    );
}

/// The masks of signals 1 to 31; those above are the C library's own.
fn standard_signals(lines: &[u8]) -> Vec<u64> {
    let mask = |line: &str| {
        let digits = line.split_whitespace().nth(1).expect("a mask");
        u64::from_str_radix(digits, 16).expect("in hexadecimal") & 0x7fff_ffff
    };
    text(lines).lines().map(mask).collect()
}

#[test]
fn without_namespaces_the_remedy_is_told() {
    let program = Program::new();
    let Some(output) = run(&program, As::WithoutNamespaces, &["--", "true"]) else {
        return;
    };
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(
        said.contains("a private link needs root or user namespaces"),
        "{said}"
    );
}

#[test]
fn processes_inside_see_each_other_only() {
    let program = Program::new();
    if !Path::new("/proc/self/ns/pid").exists() {
        support::skipped("a PID namespace", "namespaces in /proc");
        return;
    }
    for who in USERS {
        let script = "cat /proc/1/comm; set -- /proc/[0-9]*; echo $#";
        let Some(output) = run(&program, who, &["--", "sh", "-c", script]) else {
            return;
        };
        // The first process and the shell, which counts by itself: of two programs one
        // may come late.
        assert_eq!(text(&output.stdout), "lab\n2\n", "{who:?}");
    }
}
