//! `socklab ping` end to end, most of it beside the `ping` of iputils.
//!
//! Every run has a network namespace of its own, and a mount namespace, so that
//! nothing reaches the machine's network or stays behind. The programs are
//! copied into it: a copy has no file capabilities.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use socklab::event::{Echo, EchoCause, Event, Recording, What};
use socklab::flow::Family;
use socklab::ping::{self, Config, Naming, Outcome, Plan, Signals, Target};

const SOCKLAB: &str = env!("CARGO_BIN_EXE_socklab");
const PRIVATE: &str = "set -e; mount -t tmpfs tmpfs /run; ip link set lo up
cp \"$SOCKLAB\" /run/socklab; cp \"$(command -v ping)\" /run/ping";
const NEIGHBOURS: &str = "
printf '127.0.0.1 localhost\\n10.1.1.1 canon.example alias\\nfd01::1 six.example six\\n\
10.1.1.2 gone.example\\n' >/run/hosts; mount --bind /run/hosts /etc/hosts
ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up
ip addr add 10.1.1.1/24 dev v0; ip addr add fd01::1/64 dev v0 nodad
for family in ipv4 ipv6; do
  echo 1 >/proc/sys/net/$family/neigh/v0/mcast_solicit
  echo 20 >/proc/sys/net/$family/neigh/v0/retrans_time_ms
done
ip neigh add 10.1.1.9 lladdr 02:00:00:00:00:09 dev v0
ip route add unreachable 10.2.0.0/16";
/// This namespace, a router, a far host; the far link's MTU is smaller.
const ROUTED: &str = "
ip netns add router; ip netns add far
ip link add v0 type veth peer name near netns router
ip -n router link add beyond type veth peer name v0 netns far
ip addr add 10.1.1.1/24 dev v0; ip addr add fd01::1/64 dev v0 nodad; ip link set v0 up
ip -n router addr add 10.1.1.2/24 dev near; ip -n router addr add fd01::2/64 dev near nodad
ip -n router addr add 10.5.1.2/24 dev beyond; ip -n router addr add fd05::2/64 dev beyond nodad
ip -n router link set near up; ip -n router link set beyond up mtu 1300
ip -n far addr add 10.5.1.1/24 dev v0; ip -n far addr add fd05::1/64 dev v0 nodad
ip -n far link set v0 up mtu 1300
ip -n far route add default via 10.5.1.2; ip -n far route add default via fd05::2
ip netns exec router sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
ip route add 10.5.1.0/24 via 10.1.1.2; ip route add fd05::/64 via fd01::2";
const NOBODY: &str = "setpriv --reuid 65534 --clear-groups --bounding-set -all";
const OPEN_GROUPS: &str = "\necho '0 2147483647' >/proc/sys/net/ipv4/ping_group_range";
const CLOSED_GROUPS: &str = "\necho '1 0' >/proc/sys/net/ipv4/ping_group_range";

#[derive(Debug, PartialEq, Eq)]
struct Run {
    out: String,
    err: String,
    code: Option<i32>,
}

/// Whether namespaces can be made. Says so loudly if not.
fn privileged() -> bool {
    let made = Command::new("unshare")
        .args(["--net", "--mount", "ip", "link", "set", "lo", "up"])
        .status();
    if made.is_ok_and(|status| status.success()) {
        return true;
    }
    let required = std::env::var_os("SOCKLAB_REQUIRE_PRIVILEGED").is_some_and(|value| value == "1");
    assert!(!required, "no right to make a network namespace");
    eprintln!("SKIPPED: no right to make a network namespace");
    false
}

fn command(setup: &str, line: &str) -> Command {
    let mut command = Command::new("unshare");
    let script = format!("{PRIVATE}{setup}\nexec {line}");
    command
        .args(["--net", "--mount", "--propagation", "private", "sh", "-c"])
        .arg(script)
        .env("SOCKLAB", SOCKLAB)
        .env("LC_ALL", "C")
        .stdin(Stdio::null());
    command
}

fn run(setup: &str, line: &str) -> Run {
    let output = command(setup, line).output().unwrap();
    Run {
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code(),
    }
}

/// The same with times replaced by `T`.
fn masked(run: Run) -> Run {
    let mut out = run.out;
    for before in ["time=", "time ", "mdev = ", "ewma "] {
        let mut parts = out.split(before);
        let mut rest = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let number = |c: char| c.is_ascii_digit() || c == '.' || c == '/';
            rest.push_str(before);
            rest.push('T');
            rest.push_str(part.trim_start_matches(number));
        }
        out = rest;
    }
    Run { out, ..run }
}

/// Both programs with the same arguments, each in a fresh namespace.
#[track_caller]
fn assert_same(setup: &str, user: &str, arguments: &str) {
    let theirs = masked(run(setup, &format!("{user} /run/ping {arguments}")));
    let ours = masked(run(setup, &format!("{user} /run/socklab ping {arguments}")));
    assert!(!theirs.out.is_empty(), "{arguments}: {}", theirs.err);
    assert_eq!(ours, theirs, "{arguments}");
}

#[test]
fn loopback_looks_like_ping() {
    if !privileged() {
        return;
    }
    for arguments in [
        "-c 3 -i 0.2 127.0.0.1",
        "-c 3 -i 0.2 ::1",
        "-q -c 2 -i 0.2 127.0.0.1",
        "-c 1 -s 0 127.0.0.1",
        "-c 1 -s 15 127.0.0.1",
        "-c 1 -s 16 ::1",
        "-c 1 -s 65507 127.0.0.1",
        "-c 1 -t 7 127.0.0.1",
        "-c 3 -i 0 127.0.0.1",
        "-w 1 -c 3 -i 0.6 127.0.0.1",
        "-c 1 127.1",
        "-c 1 0",
        "-c 1 -4 127.0.0.1",
        "-c 1 -6 ::1",
    ] {
        assert_same("", "", arguments);
    }
}

#[test]
fn names_look_like_ping() {
    if !privileged() {
        return;
    }
    for arguments in [
        "-c 1 localhost",
        "-n -c 1 localhost",
        "-c 1 alias",
        "-c 1 six",
        "-n -c 1 six",
        "-c 1 gone.example",
        "-n -c 1 gone.example",
    ] {
        assert_same(NEIGHBOURS, "", arguments);
    }
}

#[test]
fn silence_and_unreachable_neighbours_look_like_ping() {
    if !privileged() {
        return;
    }
    for arguments in [
        "-c 1 10.1.1.2",
        "-q -c 1 10.1.1.2",
        "-c 1 fd01::2",
        "-c 1 -W 0.2 10.1.1.9",
        "-w 1 10.1.1.9",
        "-w 9 10.1.1.2",
    ] {
        assert_same(NEIGHBOURS, "", arguments);
    }
}

#[test]
fn a_routers_errors_look_like_ping() {
    if !privileged() {
        return;
    }
    for arguments in [
        "-c 1 10.5.1.1",
        "-c 1 fd05::1",
        "-c 1 -t 1 10.5.1.1",
        "-c 1 -t 1 fd05::1",
        "-c 2 -i 0.2 -s 1400 10.5.1.1",
        "-c 2 -i 0.2 -s 1400 fd05::1",
    ] {
        assert_same(ROUTED, "", arguments);
    }
}

#[test]
fn datagram_sockets_look_like_ping() {
    if !privileged() {
        return;
    }
    let neighbours = format!("{NEIGHBOURS}{OPEN_GROUPS}");
    for arguments in [
        "-c 2 -i 0.2 127.0.0.1",
        "-c 2 -i 0.2 ::1",
        "-c 1 10.1.1.2",
        "-c 1 fd01::2",
        "-c 1 -W 0.2 10.1.1.9",
    ] {
        assert_same(&neighbours, NOBODY, arguments);
    }
    let routed = format!("{ROUTED}{OPEN_GROUPS}");
    for arguments in ["-c 1 -t 1 10.5.1.1", "-c 1 -t 1 fd05::1"] {
        assert_same(&routed, NOBODY, arguments);
    }
    let json = run(
        OPEN_GROUPS,
        &format!("{NOBODY} /run/socklab ping --json -c 1 ::1"),
    );
    assert!(json.out.contains(r#""socket":"datagram""#), "{json:?}");
}

#[test]
fn failures_exit_with_2_and_say_what_to_do() {
    if !privileged() {
        return;
    }
    let closed = format!("{NEIGHBOURS}{CLOSED_GROUPS}");
    let open = format!("{NEIGHBOURS}{OPEN_GROUPS}");
    let forbidden = "operation not permitted (EPERM), with SOCK_DGRAM permission denied (EACCES)";
    for (setup, user, arguments, words) in [
        (NEIGHBOURS, "", "nosuch.invalid", "look up nosuch.invalid: "),
        (NEIGHBOURS, "", "-4 ::1", "it has no IPv4 address; try -6"),
        (
            NEIGHBOURS,
            "",
            "10.9.9.9",
            "connect 10.9.9.9: network is unreachable (ENETUNREACH); ",
        ),
        (
            NEIGHBOURS,
            "",
            "10.2.0.1",
            "connect 10.2.0.1: no route to host (EHOSTUNREACH); ",
        ),
        (
            NEIGHBOURS,
            "",
            "10.1.1.255",
            "connect 10.1.1.255: permission denied (EACCES); ",
        ),
        (
            NEIGHBOURS,
            "",
            "-s 65508 ::1",
            "out of range: 0 <= value <= 65507",
        ),
        (NEIGHBOURS, "", "-t 256 ::1", "256 is not in 1..=255"),
        (&closed, NOBODY, "127.0.0.1", forbidden),
        (&closed, NOBODY, "::1", forbidden),
        (&closed, NOBODY, "::1", "setcap cap_net_raw+ep"),
        (&closed, NOBODY, "::1", "net.ipv4.ping_group_range"),
        (
            &open,
            NOBODY,
            "-i 0.001 ::1",
            "minimal interval allowed for user is 2ms",
        ),
    ] {
        let run = run(setup, &format!("{user} /run/socklab ping -c 1 {arguments}"));
        assert_eq!(run.code, Some(2), "{arguments}: {run:?}");
        assert_eq!(run.out, "", "{arguments}");
        assert!(run.err.contains(words), "{arguments}: {}", run.err);
    }
}

#[test]
fn concurrent_pings_do_not_count_each_others_replies() {
    if !privileged() {
        return;
    }
    let ping = "/run/socklab ping -q -i 0 -c 300 127.0.0.1";
    let both = run(
        "",
        &format!("sh -c '{ping} >/run/first & {ping}; wait; cat /run/first'"),
    );
    let counted = both
        .out
        .lines()
        .filter(|line| line.starts_with("300 packets transmitted, 300 received, 0% packet loss"));
    assert_eq!(counted.count(), 2, "{both:?}");
}

/// A run that goes on until it is told to stop.
struct Endless {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
}

impl Endless {
    fn start(arguments: &str) -> Self {
        let mut child = command("", &format!("/run/socklab ping {arguments}"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    fn next_line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line
    }

    fn signal(&self, signal: Signal) {
        let process = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        kill(process, signal).unwrap();
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn signals_print_the_status_and_the_summary() {
    if !privileged() {
        return;
    }
    let mut ping = Endless::start("-i 100 127.0.0.1");
    assert!(ping.next_line().starts_with("PING "));
    assert!(ping.next_line().starts_with("64 bytes from "));
    ping.signal(Signal::SIGQUIT);
    let mut status = String::new();
    let mut err = BufReader::new(ping.child.stderr.take().unwrap());
    err.read_line(&mut status).unwrap();
    let shape = "\r1/1 packets, 0% loss, min/avg/ewma/max = ";
    assert!(status.starts_with(shape), "{status}");
    ping.signal(Signal::SIGINT);
    let mut rest = String::new();
    ping.out.read_to_string(&mut rest).unwrap();
    assert!(
        rest.starts_with("\n--- 127.0.0.1 ping statistics ---\n1 packets"),
        "{rest}"
    );
    assert_eq!(ping.child.wait().unwrap().code(), Some(0));
}

#[test]
fn every_capability_is_dropped_before_the_first_packet() {
    if !privileged() {
        return;
    }
    let mut ping = Endless::start("-i 100 127.0.0.1");
    ping.next_line();
    let status = std::fs::read_to_string(format!("/proc/{}/status", ping.child.id())).unwrap();
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        let line = status.lines().find(|line| line.starts_with(set)).unwrap();
        assert!(line.ends_with("\t0000000000000000"), "{line}");
    }
    assert!(status.contains("NoNewPrivs:\t1"));
}

#[test]
fn a_reader_that_has_enough_is_success() {
    if !privileged() {
        return;
    }
    let line = "sh -c '{ /run/socklab ping -i 0.01 127.0.0.1; echo $? >&2; } | head -n 1'";
    let run = run("", line);
    assert_eq!((run.err.as_str(), run.code), ("0\n", Some(0)));
    assert!(run.out.starts_with("PING 127.0.0.1 "));
}

#[test]
fn json_lines_tell_the_whole_run() {
    if !privileged() {
        return;
    }
    let run = run(NEIGHBOURS, "/run/socklab ping --json -c 1 10.1.1.2");
    let events: Vec<serde_json::Value> = run
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let kinds: Vec<&str> = events
        .iter()
        .filter_map(|event| event["echo"].as_str())
        .collect();
    assert_eq!(kinds, ["started", "request", "failure", "summary"]);
    assert_eq!(events[0]["socket"], "raw");
    assert_eq!(events[2]["icmp_type"], 3);
    assert_eq!(events[2]["meaning"], "Destination Host Unreachable");
    assert_eq!(events[3]["errors"], 1);
    assert_eq!(events[3]["loss_percent"], 100.0);
    assert_eq!(run.code, Some(1));
}

/// The engine itself, in a namespace that this thread makes for itself, as the
/// private link's hosts do.
fn run_in_own_namespace(payload_bytes: usize, setup: &str) -> (Outcome, Vec<Event<'static>>) {
    let setup = setup.to_owned();
    let body = move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let made = Command::new("sh").args(["-c", &setup]).status().unwrap();
        assert!(made.success());
        let localhost = ([127, 0, 0, 1], 0).into();
        let config = Config {
            target: Target {
                name: "localhost".to_owned(),
                address: localhost,
                source: localhost,
                numeric: true,
            },
            plan: Plan {
                count: Some(1),
                linger: Some(Duration::from_millis(10)),
                ..Plan::default()
            },
            payload_bytes,
            naming: Naming::Numbers,
        };
        let socket = ping::open(Family::Ipv4).unwrap();
        let signals = Signals::unconnected().unwrap();
        let recording = Recording::new();
        let outcome = ping::run(&config, &socket, &signals, &recording).unwrap();
        (outcome, recording.take())
    };
    std::thread::spawn(body).join().unwrap()
}

fn causes(events: &[Event<'_>]) -> Vec<EchoCause> {
    let failures = events.iter().filter_map(|event| match &event.what {
        What::Echo(Echo::Failure(failure)) => Some(failure.cause.clone()),
        _ => None,
    });
    failures.collect()
}

#[test]
fn a_request_the_kernel_does_not_send_is_told_once() {
    if !privileged() {
        return;
    }
    let (outcome, events) = run_in_own_namespace(56, "true");
    let unreachable = EchoCause::Send {
        errno: "ENETUNREACH".to_owned(),
        meaning: "Network is unreachable".to_owned(),
    };
    assert_eq!(causes(&events), [unreachable]);
    assert_eq!(outcome.summary.transmitted, 1);
    assert!(!outcome.success);

    let (outcome, events) = run_in_own_namespace(65_508, "ip link set lo up");
    assert_eq!(causes(&events), [EchoCause::TooLong { mtu_bytes: 65_535 }]);
    assert_eq!(
        (outcome.summary.transmitted, outcome.summary.errors),
        (1, 1)
    );
}
