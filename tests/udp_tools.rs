//! `socklab udp connect` and `udp listen` with real peers on the other end (nc,
//! ncat, socat), over IPv4 and IPv6, each failure provoked for real. Everything
//! runs in the namespaces of a private link.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use socklab::event::Silence;
use socklab::flow::Family;
use socklab::link::{Config, Host, Link};
use socklab::recorder::Clock;

const FAMILIES: [Family; 2] = [Family::Ipv4, Family::Ipv6];

/// A link whose hosts have loopback interfaces of their own; `None` where this
/// process may not make one.
fn link() -> Option<Link> {
    if !support::may_make_namespaces("the datagram tools between two hosts") {
        return None;
    }
    Some(Link::build(&Config::default(), Clock::start(), Arc::new(Silence)).expect("a link"))
}

fn loopback(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "127.0.0.1",
        Family::Ipv6 => "::1",
    }
}

/// A program on a host, with its standard streams in our hands.
struct Running {
    child: Child,
    stderr: BufReader<std::process::ChildStderr>,
}

/// How a program ended.
struct Ended {
    status: ExitStatus,
    out: String,
    err: String,
}

impl Running {
    fn start(host: &Host, program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_remove("COLUMNS")
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = host.spawn(command).expect(program);
        let stderr = BufReader::new(child.stderr.take().expect("stderr"));
        Self { child, stderr }
    }

    fn socklab(host: &Host, arguments: &[&str]) -> Self {
        Self::start(host, env!("CARGO_BIN_EXE_socklab"), arguments)
    }

    /// `socklab udp listen`, once it listens.
    fn listening(host: &Host, arguments: &[&str]) -> Self {
        let arguments = [&["udp", "listen"], arguments].concat();
        Self::socklab(host, &arguments).once("listening on")
    }

    /// Waits for this on its standard error.
    fn once(mut self, sign: &str) -> Self {
        let mut line = String::new();
        while !line.contains(sign) {
            line.clear();
            let read = self.stderr.read_line(&mut line).expect("a line");
            assert_ne!(read, 0, "it ended without saying {sign}");
        }
        self
    }

    fn say(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().expect("stdin");
        stdin.write_all(text.as_bytes()).expect("it reads");
        stdin.flush().expect("it reads");
    }

    /// Waits for this on its standard output.
    fn hears(&mut self, text: &str) {
        let mut heard = vec![0; text.len()];
        let stdout = self.child.stdout.as_mut().expect("stdout");
        stdout.read_exact(&mut heard).expect("it writes");
        assert_eq!(String::from_utf8_lossy(&heard), text);
    }

    fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("it runs");
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process number"))
    }

    /// Ends its input and waits for its end.
    fn end(mut self) -> Ended {
        drop(self.child.stdin.take());
        self.ended()
    }

    /// Waits for its end, with its input open.
    fn ended(mut self) -> Ended {
        let mut out = Vec::new();
        if let Some(mut stdout) = self.child.stdout.take() {
            stdout.read_to_end(&mut out).expect("its output");
        }
        let mut err = String::new();
        self.stderr.read_to_string(&mut err).expect("its errors");
        Ended {
            status: self.child.wait().expect("its end"),
            out: String::from_utf8_lossy(&out).into_owned(),
            err,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address as an endpoint without a port.
fn bare(address: std::net::IpAddr) -> String {
    match address {
        std::net::IpAddr::V4(v4) => v4.to_string(),
        std::net::IpAddr::V6(v6) => format!("[{v6}]"),
    }
}

/// Runs `socklab udp` with this input to its end.
fn udp(host: &Host, arguments: &[&str], input: &str) -> Ended {
    let mut running = Running::socklab(host, &[&["udp"], arguments].concat());
    running.say(input);
    running.end()
}

#[test]
fn others_listen_and_are_spoken_with() {
    let Some(link) = link() else { return };
    for family in FAMILIES {
        let server = link.server().addresses().of(family).to_string();
        let socat = match family {
            Family::Ipv4 => format!("UDP4-LISTEN:7003,bind={server}"),
            Family::Ipv6 => format!("UDP6-LISTEN:7003,bind=[{server}]"),
        };
        for (program, arguments, port, sign) in [
            (
                "nc",
                vec!["-n", "-v", "-u", "-l", &server, "7001"],
                "7001",
                "Bound on",
            ),
            (
                "ncat",
                vec!["-n", "-v", "-u", "-l", &server, "7002"],
                "7002",
                "Listening on",
            ),
            (
                "socat",
                vec!["-d", "-d", "-", &socat],
                "7003",
                "listening on",
            ),
        ] {
            let mut peer = Running::start(link.server(), program, &arguments).once(sign);
            let mut own =
                Running::socklab(link.client(), &["udp", "connect", "-c1", &server, port]);
            own.say("hello\n");
            peer.hears("hello\n");
            peer.say("reply\n");
            let ended = own.ended();
            assert_eq!(ended.out, "reply\n", "{program} {family:?}: {}", ended.err);
            assert!(ended.status.success(), "{program}: {}", ended.err);
        }
    }
}

#[test]
fn others_write_to_a_listener_and_are_answered() {
    let Some(link) = link() else { return };
    for family in FAMILIES {
        let server = link.server().addresses().of(family).to_string();
        let socat = match family {
            Family::Ipv4 => format!("UDP4:{server}:5073"),
            Family::Ipv6 => format!("UDP6:[{server}]:5073"),
        };
        for (program, arguments) in [
            ("nc", vec!["-n", "-u", &server, "5073"]),
            ("ncat", vec!["-n", "-u", &server, "5073"]),
            ("socat", vec!["-", &socat]),
        ] {
            let mut own = Running::listening(link.server(), &[]);
            let mut peer = Running::start(link.client(), program, &arguments);
            peer.say("hello\n");
            own.hears("hello\n");
            own.say("reply\n");
            peer.hears("reply\n");
            own.signal(Signal::SIGINT);
            let ended = own.ended();
            assert!(ended.status.success(), "{}", ended.err);
            let count = "socklab: sent 1 datagram, 6 bytes; received 1 datagram, 6 bytes; 1 peer\n";
            assert_eq!(ended.err, count, "{program} {family:?}");
        }
    }
}

#[test]
fn an_answer_comes_from_the_address_that_was_asked() {
    let Some(link) = link() else { return };
    let host = link.server();
    // A connected socket hears nobody but the address that it wrote to, so that
    // the second of two addresses proves it.
    let echo = Running::listening(host, &["--echo", "--count", "3"]);
    for address in ["127.0.0.2", "[::1]", "127.0.0.1"] {
        let ended = udp(host, &["connect", "-c1", address], "who?\n");
        assert_eq!(ended.out, "who?\n", "{address}: {}", ended.err);
    }
    let err = echo.ended().err;
    assert!(
        err.contains("received 3 datagrams, 15 bytes; 3 peers"),
        "{err}"
    );
}

#[test]
fn nobody_there_is_exit_code_1_and_says_who_said_so() {
    let Some(link) = link() else { return };
    for family in FAMILIES {
        let server = link.server().addresses().of(family).to_string();
        let ended = udp(link.client(), &["connect", &server, "9"], "anybody?\n");
        assert_eq!(ended.status.code(), Some(1));
        let target = std::net::SocketAddr::new(server.parse().expect("an address"), 9);
        assert_eq!(
            ended.err,
            format!(
                "socklab: send to {target}: connection refused (ECONNREFUSED); \
                 ICMP port unreachable from {server}: nothing there listens on that port\n"
            )
        );
        let ended = udp(link.client(), &["connect", "-z", &server, "9"], "");
        assert_eq!(ended.status.code(), Some(1));
        let closed = format!(
            "socklab: {target} closed: ICMP port unreachable from {server} (ECONNREFUSED)\n"
        );
        assert_eq!(ended.err, closed);
    }
}

#[test]
fn a_port_is_open_where_it_answers_and_unknown_where_it_does_not() {
    let Some(link) = link() else { return };
    let host = link.server();
    let echo = Running::listening(host, &["127.0.0.1:7", "--echo"]);
    let ended = udp(host, &["connect", "-z", "127.0.0.1", "7"], "");
    assert_eq!(
        ended.err,
        "socklab: 127.0.0.1:7 open: it answered with 0 bytes\n"
    );
    assert!(ended.status.success());
    drop(echo);
    let silent = Running::listening(host, &["127.0.0.1:9", "--discard"]);
    let ended = udp(host, &["connect", "-z", "-w", "50ms", "127.0.0.1", "9"], "");
    assert!(
        ended.err.contains("127.0.0.1:9 no answer in 0."),
        "{}",
        ended.err
    );
    assert!(ended.err.ends_with("UDP cannot tell\n"), "{}", ended.err);
    assert_eq!(ended.status.code(), Some(1));
    drop(silent);
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn what_cannot_be_done_is_refused_with_a_remedy() {
    let Some(link) = link() else { return };
    let host = link.client();
    let server = link.server().addresses().of(Family::Ipv4).to_string();
    let taken = Running::listening(host, &["127.0.0.1:7000"]);
    let long = "x".repeat(70_000);
    for (arguments, input, code, told) in [
        (
            &["connect", "127.0.0.1", "9"][..],
            long.as_str(),
            2,
            "message too long (EMSGSIZE); a datagram carries at most 65507 bytes over IPv4",
        ),
        (
            &[
                "connect",
                "--opt",
                "pmtudisc=do",
                "--block",
                "3000",
                &server,
            ],
            long.as_str(),
            2,
            "the path's MTU is 1500: without fragments a datagram carries at most 1472 bytes",
        ),
        (
            &["connect", "-s", "10.9.9.9", "127.0.0.1"],
            "",
            2,
            "bind 10.9.9.9:0: cannot assign requested address (EADDRNOTAVAIL); this host has no",
        ),
        (
            &["connect", "-s", "[::1]", "127.0.0.1"],
            "",
            2,
            "it and 127.0.0.1:5073 are of different address families",
        ),
        (
            &["connect", "127.0.0.1", "70000"],
            "",
            2,
            "70000 is no port: ports are 0 to 65535",
        ),
        (
            &["connect"],
            "",
            2,
            "connect: to whom?; give HOST PORT or HOST:PORT",
        ),
        (
            &["connect", "203.0.113.1", "9"],
            "",
            1,
            "network is unreachable (ENETUNREACH); this host has no route there",
        ),
        (
            &["listen", "127.0.0.1:7000"],
            "",
            2,
            "bind 127.0.0.1:7000: address already in use (EADDRINUSE); another program",
        ),
        (
            &["listen", "--opt", "nodelay"],
            "",
            2,
            "option nodelay=on: it is for TCP sockets only",
        ),
        (
            &["listen", "--opt", "rcvbug=1"],
            "",
            2,
            "did you mean rcvbuf?",
        ),
        (
            &["listen", "--join", "10.0.0.1"],
            "",
            2,
            "join=\"10.0.0.1\" is not GROUP",
        ),
        (
            &["listen", "--echo", "--discard"],
            "",
            2,
            "cannot be used with",
        ),
    ] {
        let mut running = Running::socklab(host, &[&["udp"], arguments].concat());
        // It may have ended without reading.
        let _ = running
            .child
            .stdin
            .as_mut()
            .map(|stdin| stdin.write_all(input.as_bytes()));
        let ended = running.end();
        assert!(ended.err.contains(told), "{arguments:?}: {}", ended.err);
        assert_eq!(
            ended.status.code(),
            Some(code),
            "{arguments:?}: {}",
            ended.err
        );
    }
    drop(taken);
}

#[test]
fn empty_and_cut_datagrams_are_told() {
    let Some(link) = link() else { return };
    let host = link.server();
    let listener = Running::listening(host, &["--buffer", "4", "--count", "3"]);
    let ended = udp(
        host,
        &["connect", "--chomp", "-W", "0", "[::1]"],
        "\nabcdefghi\nxyz\n",
    );
    assert!(ended.status.success(), "{}", ended.err);
    let ended = listener.ended();
    assert_eq!(ended.out, "abcdxyz");
    let lines: Vec<&str> = ended.err.lines().collect();
    assert!(
        lines[0].starts_with("socklab: an empty datagram from [::1]:"),
        "{lines:?}"
    );
    assert!(lines[1].ends_with(": 9 bytes, cut to 4"), "{lines:?}");
    assert_eq!(
        lines[2],
        "socklab: sent 0 datagrams, 0 bytes; received 3 datagrams, 12 bytes; 1 empty; \
         1 cut to the buffer; 1 peer"
    );
}

#[test]
fn who_is_not_admitted_or_one_too_many_is_not_heard() {
    let Some(link) = link() else { return };
    let host = link.server();
    let arguments = [
        "--allow",
        "127.0.0.0/8",
        "--deny",
        "127.0.0.3",
        "-m1",
        "--count",
        "4",
    ];
    let listener = Running::listening(host, &arguments);
    for (source, text) in [
        ("127.0.0.1:99", "a"),
        ("127.0.0.3", "b"),
        ("127.0.0.2", "c"),
        ("127.0.0.1:99", "d"),
    ] {
        let ended = udp(
            host,
            &["connect", "-W", "0", "-s", source, "127.0.0.1"],
            text,
        );
        assert!(ended.status.success(), "{}", ended.err);
    }
    let ended = listener.ended();
    assert_eq!(ended.out, "ad");
    assert!(
        ended
            .err
            .contains("was ignored: its address is not admitted"),
        "{}",
        ended.err
    );
    assert!(ended.err.ends_with("1 peer; 2 ignored\n"), "{}", ended.err);
}

#[test]
fn a_line_may_name_its_peer() {
    let Some(link) = link() else { return };
    let host = link.server();
    let mut listener = Running::listening(host, &["--reply", "named", "-v"]);
    let mut peers = Vec::new();
    for text in ["one\n", "two\n"] {
        let mut peer = Running::socklab(host, &["udp", "connect", "127.0.0.1"]);
        peer.say(text);
        listener.hears(text);
        peers.push(peer);
    }
    listener.say("1 to the first\n* to all\n9 to nobody\n");
    peers[0].hears("to the first\nto all\n");
    peers[1].hears("to all\n");
    let listener = listener.once("there is no peer \"9\"");
    // The one that left is told of, and the other still heard.
    peers.remove(0).signal(Signal::SIGKILL);
    drop(listener);
}

#[test]
fn one_peer_that_left_disturbs_no_other() {
    let Some(link) = link() else { return };
    let host = link.server();
    let mut listener = Running::listening(host, &["--reply", "all", "--json"]);
    let mut peers = Vec::new();
    for text in ["one\n", "two\n"] {
        let mut peer = Running::socklab(host, &["udp", "connect", "127.0.0.1"]);
        peer.say(text);
        peers.push(peer);
        listener.hears_json("received");
    }
    // Its socket is closed when the process has been waited for.
    drop(peers.remove(0));
    listener.say("who is there?\n");
    peers[0].hears("who is there?\n");
    listener.hears_json("refused");
    peers[0].say("still here\n");
    listener.hears_json("received");
    listener.signal(Signal::SIGTERM);
    let ended = listener.ended();
    let last: serde_json::Value =
        serde_json::from_str(ended.err.lines().last().expect("a result")).expect("JSON");
    assert_eq!(last["command"], "udp listen");
    assert_eq!(last["result"]["received"]["datagrams"], 3);
    assert_eq!(last["result"]["refused"], 1);
    assert_eq!(last["result"]["peers"][1]["received"]["bytes"], 15);
    assert_eq!(last["result"]["ending"], "interrupted");
}

impl Running {
    /// Waits for a datagram of this passage among the lines of JSON.
    fn hears_json(&mut self, passage: &str) {
        loop {
            let mut line = String::new();
            self.stderr.read_line(&mut line).expect("a line");
            let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            if line["type"] == "datagram" && line["passage"] == passage {
                return;
            }
        }
    }
}

#[test]
fn what_found_no_room_is_counted_by_the_kernel_and_told() {
    let Some(link) = link() else { return };
    let host = link.server();
    let arguments = ["127.0.0.1:5073", "--discard", "--opt", "rcvbuf=1"];
    let listener = Running::listening(host, &arguments);
    listener.signal(Signal::SIGSTOP);
    waitpid(listener.pid(), Some(WaitPidFlag::WUNTRACED)).expect("it stops");
    let lines = "hello\n".repeat(200);
    let ended = udp(host, &["connect", "-W", "0", "127.0.0.1"], &lines);
    assert!(ended.status.success(), "{}", ended.err);
    listener.signal(Signal::SIGINT);
    listener.signal(Signal::SIGCONT);
    let err = listener.ended().err;
    let told = err
        .lines()
        .find(|line| line.contains("the kernel dropped"))
        .expect(&err);
    let number = |line: &str, after: &str| -> u64 {
        let rest = line.split(after).nth(1).expect(after);
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().expect("a number")
    };
    let dropped = number(told, "dropped ");
    let received = number(&err, "received ");
    assert!(dropped > 0, "{err}");
    assert!(dropped + received <= 200, "{err}");
}

#[test]
fn each_service_answers() {
    let Some(link) = link() else { return };
    let host = link.server();
    for (service, sign) in [("--chargen", " !\"#$%"), ("--daytime", "-UTC\r\n")] {
        let listener = Running::listening(host, &["::1", "5073", service, "--count", "1"]);
        let ended = udp(host, &["connect", "-c1", "[::1]"], "\n");
        assert!(ended.out.contains(sign), "{service}: {}", ended.out);
        assert!(listener.ended().status.success());
    }
    // The answer to a service's own port could be answered for ever.
    let listener = Running::listening(host, &["--echo", "--count", "1"]);
    let ended = udp(
        host,
        &["connect", "-W", "0", "-s", "127.0.0.1:19", "127.0.0.1"],
        "x\n",
    );
    assert!(ended.out.is_empty());
    let err = listener.ended().err;
    assert!(err.contains("its port is a service's"), "{err}");
}

#[test]
fn a_conversation_is_told_with_its_calls_and_bytes() {
    let Some(link) = link() else { return };
    let host = link.server();
    let echo = Running::listening(host, &["127.0.0.1:5073", "--echo"]);
    let arguments = [
        "connect",
        "-c1",
        "-s",
        "127.0.0.1:4000",
        "--trace",
        "--opt",
        "rcvbuf=64k",
        "127.0.0.1",
    ];
    let ended = udp(host, &arguments, "hello\n");
    drop(echo);
    // Times and durations are this run's own.
    let masked: Vec<String> = ended
        .err
        .lines()
        .map(|told| {
            let told = told.split(" s  ").nth(1).unwrap_or(told);
            let timed = |end: &str| end.ends_with("µs") || end.ends_with("ms");
            match told.rsplit_once("  ") {
                Some((call, took)) if timed(took) => call.trim_end().to_owned(),
                _ => told.to_owned(),
            }
        })
        .collect();
    insta::assert_snapshot!(masked.join("\n"));
}

#[test]
fn the_packets_are_shown_where_capture_is_allowed() {
    let Some(link) = link() else { return };
    let host = link.server();
    let ended = udp(host, &["connect", "--packets", "127.0.0.1", "9"], "hi\n");
    assert!(
        ended.err.contains("→ 127.0.0.1:9 UDP len=3\n"),
        "{}",
        ended.err
    );
    assert!(
        ended.err.contains("ICMP port unreachable for 127.0.0.1:9"),
        "{}",
        ended.err
    );
}

#[test]
fn a_closed_pipe_is_success() {
    let Some(link) = link() else { return };
    let host = link.server();
    let mut listener = Running::listening(host, &[]);
    drop(listener.child.stdout.take());
    let ended = udp(host, &["connect", "-W", "0", "127.0.0.1"], "a\n");
    assert!(ended.status.success(), "{}", ended.err);
    let ended = listener.ended();
    assert!(ended.status.success(), "{}", ended.err);
}

#[test]
fn many_peers_get_the_same_and_a_no_is_laid_at_the_right_one() {
    let Some(link) = link() else { return };
    let host = link.server();
    let v4 = Running::listening(host, &["127.0.0.1:7001", "--count", "6"]);
    let v6 = Running::listening(host, &["[::1]:7002", "--count", "6"]);
    let peers = ["127.0.0.1:7001", "[::1]:7002", "127.0.0.1:9"];
    let arguments = [&["send"], &peers[..], &["-M", "a", "-M", "b", "-c3"]].concat();
    let ended = udp(host, &arguments, "");
    assert_eq!(v4.ended().out, "ababab");
    assert_eq!(v6.ended().out, "ababab");
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(
        ended.err,
        "socklab: 127.0.0.1:9: 6 of 6 refused\n\
         socklab: send to 127.0.0.1:9: connection refused (ECONNREFUSED); \
         ICMP port unreachable from 127.0.0.1: nothing there listens on that port\n"
    );
}

/// `socklab udp` where the name `both.test` has an IPv6 and an IPv4 address.
fn with_both_families(host: &Host, arguments: &[&str], input: &str) -> Ended {
    let folder = tempfile::tempdir().expect("a folder");
    let hosts = folder.path().join("hosts");
    std::fs::write(&hosts, "::1 both.test\n127.0.0.1 both.test\n").expect("written");
    let script = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
    let hosts = hosts.to_str().expect("UTF-8");
    let inside = ["--mount", "sh", "-c", script, hosts];
    let socklab = [env!("CARGO_BIN_EXE_socklab"), "udp"];
    let mut running = Running::start(
        host,
        "unshare",
        &[&inside[..], &socklab, arguments].concat(),
    );
    running.say(input);
    running.end()
}

#[test]
fn of_a_names_addresses_the_next_is_tried_where_one_refuses() {
    let Some(link) = link() else { return };
    let host = link.server();
    let _listener = Running::listening(host, &["127.0.0.1:7004", "--echo"]);
    let arguments = ["connect", "both.test:7004", "--count", "1"];
    let ended = with_both_families(host, &arguments, "hello\n");
    assert_eq!(ended.out, "hello\n", "{}", ended.err);
    assert_eq!(
        ended.err,
        "socklab: send to [::1]:7004: connection refused (ECONNREFUSED); ICMP port unreachable \
         from ::1: nothing there listens on that port; trying 127.0.0.1:7004\n"
    );
    assert!(ended.status.success());

    let checked = with_both_families(host, &["connect", "-z", "both.test:7004"], "");
    assert!(checked.status.success(), "{}", checked.err);
    let lines: Vec<&str> = checked.err.lines().collect();
    assert!(lines[0].contains("[::1]:7004 closed"), "{lines:?}");
    assert!(lines[1].contains("127.0.0.1:7004 open"), "{lines:?}");

    // Both say no: the last one's is the failure.
    let refused = with_both_families(host, &["connect", "both.test:7005"], "hello\n");
    assert_eq!(refused.status.code(), Some(1), "{}", refused.err);
    assert!(
        refused
            .err
            .contains("trying 127.0.0.1:7005\nsocklab: send to 127.0.0.1:7005: "),
        "{}",
        refused.err
    );
}

#[test]
fn what_many_peers_answer_is_written_and_the_packets_are_shown() {
    let Some(link) = link() else { return };
    let host = link.server();
    let _v4 = Running::listening(host, &["127.0.0.1:7001", "--echo"]);
    let _v6 = Running::listening(host, &["[::1]:7002", "--echo"]);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("answers");
    let file = file.to_str().expect("UTF-8");
    let arguments = [
        "udp",
        "send",
        "127.0.0.1:7001",
        "[::1]:7002",
        "-M",
        "who is there?",
        "-o",
        file,
        "--packets",
        "--json",
        "-W",
        "60",
    ];
    // It is ended once both have answered, however long that takes.
    let mut running = Running::socklab(host, &arguments);
    let mut told = Vec::new();
    let is_answer = |line: &String| line.contains("\"passage\":\"received\"");
    while told.iter().filter(|line| is_answer(line)).count() < 2 {
        let mut event = String::new();
        assert_ne!(running.stderr.read_line(&mut event).expect("a line"), 0);
        told.push(event);
    }
    running.signal(Signal::SIGINT);
    let ended = running.end();
    assert!(ended.status.success(), "{}", ended.err);
    assert_eq!(ended.out, "");
    let answers = std::fs::read_to_string(file).expect("the file");
    assert_eq!(answers, "who is there?who is there?");
    let told = told.concat() + &ended.err;
    let parse = |line| serde_json::from_str::<serde_json::Value>(line).expect("JSON");
    let lines: Vec<serde_json::Value> = told.lines().map(parse).collect();
    let packets = lines.iter().filter(|line| line["type"] == "packet");
    assert_eq!(packets.count(), 4, "{told}");
    let peers = &lines.last().expect("a result")["result"]["peers"];
    for peer in [&peers[0], &peers[1]] {
        assert_eq!(peer["received"]["datagrams"], 1, "{peer}");
    }
}

#[test]
fn a_file_is_sent_in_blocks() {
    let Some(link) = link() else { return };
    let host = link.server();
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(b"0123456789").expect("it is written");
    let path = file.path().to_str().expect("text");
    let listener = Running::listening(host, &["--count", "3"]);
    let arguments = [
        "send", "[::1]", "--file", path, "--block", "4", "--rate", "1000", "-W", "0",
    ];
    let ended = udp(host, &arguments, "");
    assert!(ended.status.success(), "{}", ended.err);
    let ended = listener.ended();
    assert_eq!(ended.out, "0123456789");
    assert!(
        ended.err.contains("received 3 datagrams, 10 bytes"),
        "{}",
        ended.err
    );
}

#[test]
fn groups_are_heard_across_the_link() {
    let Some(link) = link() else { return };
    let (client, server) = (link.client(), link.server());
    for (family, group, to, other) in [
        (Family::Ipv4, "239.1.2.3", "239.1.2.3", "239.1.2.4"),
        (Family::Ipv6, "ff05::5073", "[ff05::5073]", "[ff05::5074]"),
    ] {
        let member = Running::listening(
            server,
            &["--join", group, "--interface", "wire0", "--count", "1"],
        );
        // A group that was not joined is not heard.
        for (there, text) in [(other, "not for you"), (to, "for you")] {
            let arguments = [
                "connect",
                "-W",
                "0",
                "--ttl",
                "4",
                "--interface",
                "wire0",
                there,
            ];
            let ended = udp(client, &arguments, text);
            assert!(ended.status.success(), "{}", ended.err);
        }
        let ended = member.ended();
        assert_eq!(ended.out, "for you", "{}", ended.err);

        // Whoever hears it may answer, from an address of its own.
        let member =
            Running::listening(server, &["--join", group, "--interface", "wire0", "--echo"]);
        let arguments = ["connect", "-c1", "--interface", "wire0", to];
        let ended = udp(client, &arguments, "anybody?");
        assert_eq!(ended.out, "anybody?", "{}", ended.err);
        drop(member);

        // Only the source that was named.
        let source = client.addresses().of(family);
        for (named, heard) in [
            (source.to_string(), "from the right one"),
            (loopback(family).into(), ""),
        ] {
            let join = format!("{group}@wire0/{named}");
            let mut member = Running::listening(server, &["--join", &join]);
            let arguments = ["connect", "-W", "0", "--interface", "wire0", to];
            udp(client, &arguments, "from the right one");
            // What comes over the same wire afterwards is heard in any case.
            let direct = bare(server.addresses().of(family));
            udp(client, &["connect", "-W", "0", &direct], "!");
            member.hears(&format!("{heard}!"));
        }
    }
}

#[test]
fn everybody_on_the_wire_hears_a_broadcast_that_is_allowed() {
    let Some(link) = link() else { return };
    let (client, server) = (link.client(), link.server());
    let everybody = "255.255.255.255";
    let ended = udp(
        client,
        &[
            "connect",
            "-W",
            "0",
            "--opt",
            "bindtodevice=wire0",
            everybody,
        ],
        "x",
    );
    assert!(
        ended.err.contains("(EACCES); is that a broadcast address?"),
        "{}",
        ended.err
    );
    assert_eq!(ended.status.code(), Some(2));
    let listener = Running::listening(server, &["-4", "--echo", "--count", "1"]);
    let arguments = [
        "connect",
        "-c1",
        "--broadcast",
        "--opt",
        "bindtodevice=wire0",
        everybody,
    ];
    let ended = udp(client, &arguments, "everybody?");
    assert_eq!(ended.out, "everybody?", "{}", ended.err);
    assert!(listener.ended().status.success());
}

/// A datagram that a router beyond cannot pass on came to nothing, though the way
/// there is known to be narrower from then on.
#[test]
fn a_datagram_that_a_router_sends_back_as_too_long_is_refused() {
    const ROUTED: &str = r#"mount -t tmpfs tmpfs /run; ip link set lo up
ip netns add router; ip netns add far
ip link add v0 type veth peer name near netns router
ip -n router link add beyond type veth peer name v0 netns far
ip addr add 10.1.1.1/24 dev v0; ip link set v0 up
ip -n router addr add 10.1.1.2/24 dev near; ip -n router link set near up
ip -n router addr add 10.2.0.1/24 dev beyond; ip -n router link set beyond up mtu 1400
ip -n far addr add 10.2.0.2/24 dev v0; ip -n far link set v0 up mtu 1400
ip netns exec router sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
ip route add 10.2.0.0/24 via 10.1.1.2; ip -n far route add default via 10.2.0.1
head -c 1450 /dev/zero >/run/long
exec "$SOCKLAB" udp send --opt pmtudisc=do 10.2.0.2:9 -f /run/long"#;
    if !support::may_make_namespaces("a router") {
        return;
    }
    let output = Command::new("unshare")
        .args(["--net", "--mount", "--propagation", "private", "sh", "-ec"])
        .arg(ROUTED)
        .env("SOCKLAB", env!("CARGO_BIN_EXE_socklab"))
        .output()
        .expect("unshare runs");
    let told = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{told}");
    let why = "message too long (EMSGSIZE); ICMP fragmentation needed from 10.1.1.2";
    assert!(told.contains(why), "{told}");
}
