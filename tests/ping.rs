//! `socklab ping` end to end, most of it beside the `ping` of iputils.
//!
//! Every run has a network namespace of its own, and a mount namespace, so that
//! nothing reaches the machine's network or stays behind. The programs are
//! copied into it: a copy has no file capabilities.
//!
//! No scenario leaves the order of events to the scheduler. Interfaces have no
//! link-local addresses: while such an address is tentative, for a second or
//! two, a router's errors and the replies wait for it, and a run sees them late
//! or not depending on how long the set-up took.

mod support;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use socklab::event::Silence;
use socklab::flow::Family;
use socklab::link::{self, Account, Link};
use socklab::recorder::Clock;
use support::settled::SETTLED;

const SOCKLAB: &str = env!("CARGO_BIN_EXE_socklab");
const PRIVATE: &str = "set -e; mount -t tmpfs tmpfs /run; ip link set lo up
echo 1 >/proc/sys/net/ipv6/conf/default/addr_gen_mode
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
/// This namespace, a router, a far host; the far link's MTU is smaller. The
/// router has no link-local address to ask for its IPv6 neighbours from.
const ROUTED: &str = "
for name in router far; do
  ip netns add $name
  ip netns exec $name sh -c 'echo 1 >/proc/sys/net/ipv6/conf/default/addr_gen_mode'
done
ip link add v0 address 02:00:00:00:01:01 type veth peer name near netns router
ip -n router link add beyond type veth peer name v0 address 02:00:00:00:05:01 netns far
ip addr add 10.1.1.1/24 dev v0; ip addr add fd01::1/64 dev v0 nodad; ip link set v0 up
ip -n router addr add 10.1.1.2/24 dev near; ip -n router addr add fd01::2/64 dev near nodad
ip -n router addr add 10.5.1.2/24 dev beyond; ip -n router addr add fd05::2/64 dev beyond nodad
ip -n router link set near up; ip -n router link set beyond up mtu 1300
ip -n router neigh add fd01::1 lladdr 02:00:00:00:01:01 dev near
ip -n router neigh add fd05::1 lladdr 02:00:00:00:05:01 dev beyond
ip -n far addr add 10.5.1.1/24 dev v0; ip -n far addr add fd05::1/64 dev v0 nodad
ip -n far link set v0 up mtu 1300
ip -n far route add default via 10.5.1.2; ip -n far route add default via fd05::2
ip netns exec router sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
ip route add 10.5.1.0/24 via 10.1.1.2; ip route add fd05::/64 via fd01::2
for name in router far; do ip -n $name link show >/dev/null; done; ip link show >/dev/null";
const NOBODY: &str = "setpriv --reuid 65534 --clear-groups --bounding-set -all";
const OPEN_GROUPS: &str = "\necho '0 2147483647' >/proc/sys/net/ipv4/ping_group_range";
const CLOSED_GROUPS: &str = "\necho '1 0' >/proc/sys/net/ipv4/ping_group_range";

#[derive(Debug, PartialEq, Eq)]
struct Run {
    out: String,
    err: String,
    code: Option<i32>,
}

impl Run {
    fn of(output: Output) -> Self {
        Self {
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
            code: output.status.code(),
        }
    }
}

fn command(setup: &str, line: &str) -> Command {
    let mut command = Command::new("unshare");
    let script = format!("{PRIVATE}{setup}{SETTLED}\nexec {line}");
    command
        .args(["--net", "--mount", "--propagation", "private", "sh", "-c"])
        .arg(script)
        .env("SOCKLAB", SOCKLAB)
        .env("LC_ALL", "C")
        .stdin(Stdio::null());
    command
}

fn run(setup: &str, line: &str) -> Run {
    Run::of(command(setup, line).output().unwrap())
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
    if !support::may_make_namespaces("ping in a namespace of its own") {
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
        "-w 9 -c 3 -i 0 127.0.0.1",
        "-w 1 -c 2 -i 9 127.0.0.1",
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
    if !support::may_make_namespaces("ping in a namespace of its own") {
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
    if !support::may_make_namespaces("ping in a namespace of its own") {
        return;
    }
    for arguments in [
        "-c 1 10.1.1.2",
        "-q -c 1 10.1.1.2",
        "-c 1 fd01::2",
        "-c 1 -W 0.2 10.1.1.9",
        "-w 1 -i 9 10.1.1.9",
        "-w 9 10.1.1.2",
    ] {
        assert_same(NEIGHBOURS, "", arguments);
    }
}

#[test]
fn a_routers_errors_look_like_ping() {
    if !support::may_make_namespaces("ping in a namespace of its own") {
        return;
    }
    for arguments in [
        "-c 1 10.5.1.1",
        "-c 1 fd05::1",
        "-c 1 -t 1 10.5.1.1",
        "-c 1 -t 1 fd05::1",
        "-c 1 -s 1400 10.5.1.1",
        "-c 1 -s 1400 fd05::1",
    ] {
        assert_same(ROUTED, "", arguments);
    }
}

#[test]
fn what_a_router_told_of_the_path_holds_for_the_next_run() {
    if !support::may_make_namespaces("ping in a namespace of its own") {
        return;
    }
    for (address, learned) in [
        (
            "10.5.1.1",
            "From 10.1.1.2 icmp_seq=1 Frag needed and DF set",
        ),
        ("fd05::1", "From fd01::2 icmp_seq=1 Packet too big"),
    ] {
        let setup = format!("{ROUTED}\nprobe() {{ \"$@\" -c 1 -s 1400 {address} || true; }}\n");
        let twice = |program| run(&format!("{setup}probe {program}; probe {program}"), "true");
        let theirs = masked(twice("/run/ping"));
        let ours = masked(twice("/run/socklab ping"));
        assert!(theirs.out.contains(learned), "{theirs:?}");
        let reply = format!("\n1408 bytes from {address}: icmp_seq=1 ");
        assert_eq!(theirs.out.matches(&reply).count(), 1, "{theirs:?}");
        assert_eq!(ours, theirs, "{address}");
    }
}

#[test]
fn datagram_sockets_look_like_ping() {
    if !support::may_make_namespaces("ping in a namespace of its own") {
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

/// With `CAP_NET_RAW` and nothing else, where datagram sockets are forbidden.
#[test]
fn the_capability_alone_opens_raw_sockets() {
    if !support::may_make_namespaces("ping in a namespace of its own") {
        return;
    }
    let only = "setpriv --reuid 65534 --clear-groups --bounding-set -all,+net_raw \
        --inh-caps -all,+net_raw --ambient-caps -all,+net_raw";
    for address in ["127.0.0.1", "::1"] {
        let line = format!("{only} /run/socklab ping --json -c 1 {address}");
        let run = run(CLOSED_GROUPS, &line);
        assert_eq!(run.code, Some(0), "{run:?}");
        assert!(run.out.contains(r#""socket":"raw""#), "{run:?}");
    }
}

#[test]
fn failures_exit_with_2_and_say_what_to_do() {
    if !support::may_make_namespaces("ping in a namespace of its own") {
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
        (NEIGHBOURS, "", "-s 65508 ::1", "must be 0 to 65507 bytes"),
        (NEIGHBOURS, "", "-t 256 ::1", "must be 1 to 255"),
        (
            NEIGHBOURS,
            "",
            "-I 127.0.0.1 ::1",
            "127.0.0.1 of -I is an IPv4 address: give an IPv6 one, or an interface",
        ),
        (
            NEIGHBOURS,
            "",
            r#""$(printf 'a\033[31mb')""#,
            r"look up a\u{1b}[31mb: ",
        ),
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
fn a_mark_that_may_not_be_set_is_told_once() {
    if !support::may_make_namespaces("ping in a namespace of its own") {
        return;
    }
    let open = format!("{NEIGHBOURS}{OPEN_GROUPS}");
    let run = run(
        &open,
        &format!("{NOBODY} /run/socklab ping -qc 1 -m 5 localhost"),
    );
    let warning = "WARNING: setsockopt(SO_MARK, 5): operation not permitted (EPERM); \
                   the requests carry no mark\n";
    assert!(run.err.ends_with(warning), "{run:?}");
    assert_eq!(run.err.matches("WARNING").count(), 1, "{run:?}");
    assert_eq!(run.code, Some(0), "{run:?}");
}

#[test]
fn verbose_tells_each_familys_socket() {
    if !support::may_make_namespaces("ping in a namespace of its own") {
        return;
    }
    let sockets = |arguments: &str| {
        let run = run("", &format!("/run/socklab ping -vc 1 {arguments}"));
        let line = run.err.lines().next().unwrap_or_default().to_owned();
        let descriptor = |name: &str| {
            let (_, rest) = line.split_once(name).expect(name);
            rest.split(' ').next().map(str::to_owned).unwrap()
        };
        (descriptor("sock4.fd: "), descriptor("sock6.fd: "))
    };
    let (v4, v6) = sockets("localhost");
    assert!(v4 != v6 && v4 != "-1" && v6 != "-1", "{v4} {v6}");
    assert_eq!(sockets("-4 localhost").1, "-1");
    assert_eq!(sockets("-6 ::1").0, "-1");
}

#[test]
fn concurrent_pings_do_not_count_each_others_replies() {
    if !support::may_make_namespaces("ping in a namespace of its own") {
        return;
    }
    // With a deadline, a run ends with its 300th reply and not before.
    let ping = "/run/socklab ping -q -i 0 -w 100 -c 300 127.0.0.1";
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
    if !support::may_make_namespaces("ping in a namespace of its own") {
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
    if !support::may_make_namespaces("ping in a namespace of its own") {
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
    if !support::may_make_namespaces("ping in a namespace of its own") {
        return;
    }
    let line = "sh -c '{ /run/socklab ping -i 0.01 127.0.0.1; echo $? >&2; } | head -n 1'";
    let run = run("", line);
    assert_eq!((run.err.as_str(), run.code), ("0\n", Some(0)));
    assert!(run.out.starts_with("PING 127.0.0.1 "));
}

#[test]
fn json_lines_tell_the_whole_run() {
    if !support::may_make_namespaces("ping in a namespace of its own") {
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

#[test]
fn json_tells_of_every_request_what_became_of_it() {
    if !support::may_make_namespaces("ping in a namespace of its own") {
        return;
    }
    let told = |arguments: &str| {
        let run = run(NEIGHBOURS, &format!("/run/socklab ping --json {arguments}"));
        let lines = run.out.lines().map(serde_json::from_str);
        let events: Vec<serde_json::Value> = lines.map(Result::unwrap).collect();
        let told = events.iter().map(|event| {
            let number = event["number"].as_u64().unwrap_or_default();
            match (event["echo"].as_str(), event["patience"].as_str()) {
                (Some("no_answer"), Some(patience)) => format!("{number} {patience}"),
                (Some(echo @ ("request" | "reply")), _) => format!("{number} {echo}"),
                (echo, _) => echo.unwrap_or("result").to_owned(),
            }
        });
        told.collect::<Vec<String>>()
    };
    // A neighbour that is there and says nothing.
    assert_eq!(
        told("-c 2 -i 0.01 -W 0.02 10.1.1.9"),
        [
            "started",
            "1 request",
            "1 waiting",
            "2 request",
            "1 over",
            "2 over",
            "summary",
            "result"
        ]
    );
    assert_eq!(
        told("-w 0.05 10.1.1.9"),
        ["started", "1 request", "1 ended", "summary", "result"]
    );
    assert_eq!(
        told("-q -c 3 -i 0.01 127.0.0.1"),
        ["started", "summary", "result"]
    );
}

/// Probes of a run on the private link.
const PROBES: u64 = 3;

/// What `command` prints on the client of a private link, and what the wire
/// carried meanwhile.
fn run_on_link(mut command: Command) -> (Run, Account) {
    let config = link::Config::default();
    let link = Link::build(&config, Clock::start(), Arc::new(Silence)).unwrap();
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = link.client().spawn(command).unwrap();
    let run = Run::of(child.wait_with_output().unwrap());
    (run, link.finish().unwrap())
}

#[test]
fn both_pings_agree_on_the_private_link_and_each_probe_is_two_packets() {
    if !support::may_make_namespaces("a private link") {
        return;
    }
    for family in [Family::Ipv4, Family::Ipv6] {
        let server = link::Config::default().server.of(family).to_string();
        let flag = match family {
            Family::Ipv4 => "-4",
            Family::Ipv6 => "-6",
        };
        let count = PROBES.to_string();
        let ping = |program: &[&str], target: &str| {
            let mut command = Command::new(program[0]);
            command.args(&program[1..]).env("LC_ALL", "C");
            command.args([flag, "-i", "0.2", "-c", &count, target]);
            command
        };
        let (theirs, their_account) = run_on_link(ping(&["ping"], &server));
        let (ours, our_account) = run_on_link(ping(&[SOCKLAB, "ping"], &server));
        for account in [their_account, our_account] {
            let wire = &account.count.wire;
            let [up, down] = [&wire.client_to_server, &wire.server_to_client];
            assert_eq!(
                (up.offered.packets, up.delivered.packets),
                (PROBES, PROBES),
                "{account:?}"
            );
            assert_eq!(
                (down.offered.packets, down.delivered.packets),
                (PROBES, PROBES),
                "{account:?}"
            );
            assert_eq!(account.unmodelled_loss(), 0, "{account:?}");
        }
        let theirs = masked(theirs);
        assert_eq!(theirs.code, Some(0), "{theirs:?}");
        assert_eq!(masked(ours), theirs);
        let own_link = ping(&[SOCKLAB, "ping"], "--link").output().unwrap();
        assert_eq!(masked(Run::of(own_link)), theirs);
    }
}
