//! `socklab ping --trace` and `--mtu` end to end: this host, three routers and a
//! far host, each a network namespace with the kernel's own routing.
//!
//! Nothing leaves these namespaces. Neighbours are known beforehand and the
//! routers' limits on errors are off, so that no answer waits for another.

mod support;

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::settled::SETTLED;

const SOCKLAB: &str = env!("CARGO_BIN_EXE_socklab");

/// This host 10.1.1.1, then r1, r2 and r3, then the far host 10.4.1.2; the same
/// with fd01::1 and fd04::2.
const ROUTERS: &str = r#"set -e
mount -t tmpfs tmpfs /run; cp "$SOCKLAB" /run/socklab; ip link set lo up
echo 1 >/proc/sys/net/ipv6/conf/default/addr_gen_mode
for name in r1 r2 r3 far; do
  ip netns add $name; ip -n $name link set lo up
  ip netns exec $name sh -c 'echo 1 >/proc/sys/net/ipv6/conf/default/addr_gen_mode
    echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
    echo 0 >/proc/sys/net/ipv4/icmp_ratelimit; echo 0 >/proc/sys/net/ipv6/icmp/ratelimit'
done
join() { # number, this end: namespace and device, that end: namespace and device
  ip -n $2 link add $3 address 02:00:00:00:0$1:01 type veth \
    peer name $5 address 02:00:00:00:0$1:02 netns $4
  ip -n $2 addr add 10.$1.1.1/24 dev $3; ip -n $2 addr add fd0$1::1/64 dev $3 nodad
  ip -n $4 addr add 10.$1.1.2/24 dev $5; ip -n $4 addr add fd0$1::2/64 dev $5 nodad
  ip -n $2 link set $3 up; ip -n $4 link set $5 up
  for family in 10.$1.1. fd0$1::; do
    ip -n $2 neigh replace ${family}2 lladdr 02:00:00:00:0$1:02 dev $3
    ip -n $4 neigh replace ${family}1 lladdr 02:00:00:00:0$1:01 dev $5
  done
}
ip netns attach here $$
join 1 here v0 r1 west; join 2 r1 east r2 west; join 3 r2 east r3 west; join 4 r3 east far v0
ip route add default via 10.1.1.2; ip route add default via fd01::2
for hop in 'r1 2' 'r2 3'; do
  set -- $hop
  ip -n $1 route add default via 10.$2.1.2; ip -n $1 route add default via fd0$2::2
done
ip -n r2 route add 10.1.1.0/24 via 10.2.1.1; ip -n r2 route add fd01::/64 via fd02::1
ip -n r3 route add default via 10.3.1.1; ip -n r3 route add default via fd03::1
ip -n far route add default via 10.4.1.1; ip -n far route add default via fd04::1
for name in here r1 r2 r3 far; do ip -n $name link show >/dev/null; done
"#;
/// Errors of its own get no route: what a router that says nothing is like.
const SILENT_R2: &str = "
ip -n r2 rule add iif lo blackhole; ip -n r2 -6 rule add iif lo blackhole";
const NARROW: &str = "
ip -n r2 link set east mtu 1400; ip -n r3 link set west mtu 1400
ip -n r3 link set east mtu 1300; ip -n far link set v0 mtu 1300";
const NARROW_BEHIND_R2: &str = "
ip -n r2 link set east mtu 1333; ip -n r3 link set west mtu 1333";
/// Whatever comes back goes from r3 to r1, past r2.
const BACK_PAST_R2: &str = "
join 5 r1 back r3 back
for name in r1 r2 r3; do ip netns exec $name sh -c '
  for filter in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >$filter; done'; done
ip -n r3 route add 10.1.1.0/24 via 10.5.1.1; ip -n r3 route add fd01::/64 via fd05::1";
/// A router that passes everything on, and whose own errors have no way back.
const R2_WITHOUT_WAY_BACK: &str = "
ip -n r2 route replace blackhole 10.1.1.0/24
ip -n r2 route del fd01::/64; ip -n r2 route add blackhole fd01::/64";
const OPEN_GROUPS: &str = "\necho '0 2147483647' >/proc/sys/net/ipv4/ping_group_range";
const NOBODY: &str = "setpriv --reuid 65534 --clear-groups --bounding-set -all";

#[derive(Debug)]
struct Run {
    out: String,
    err: String,
    code: Option<i32>,
}

fn command(setup: &str, line: &str) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--net", "--mount", "--propagation", "private", "sh", "-c"])
        .arg(format!("{ROUTERS}{setup}{SETTLED}\nexec {line}"))
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

/// The text with times replaced by `T`.
fn masked(text: &str) -> String {
    let is_time = |word: &str| {
        let digits = word.trim_end_matches("ms");
        let number = digits.contains('.') || digits.len() < word.len();
        number && digits.split('.').count() <= 2 && digits.parse::<f64>().is_ok()
    };
    let mut masked = String::new();
    for line in text.lines() {
        for piece in line.split_inclusive(' ') {
            let word = piece.trim_end();
            let shown = if is_time(word) { "T" } else { word };
            masked.push_str(shown);
            masked.push_str(&piece[word.len()..]);
        }
        masked.push('\n');
    }
    // Columns are as wide as the numbers in them were.
    // A request goes again where a loaded machine is late with an answer.
    let lines = masked.lines().map(|line| {
        let line = match line.split_once(" requests, time ") {
            Some(_) => "N requests, time T",
            None => line,
        };
        let indent = line.len() - line.trim_start().len();
        let words: Vec<&str> = line.split_whitespace().collect();
        format!("{}{}", &line[..indent], words.join(" "))
    });
    lines.collect::<Vec<String>>().join("\n")
}

/// Runs `arguments` and checks the exit code; what was printed, times masked.
#[track_caller]
fn told(setup: &str, arguments: &str, code: i32) -> String {
    let run = run(setup, &format!("/run/socklab ping {arguments}"));
    assert_eq!((run.code, run.err.as_str()), (Some(code), ""), "{run:?}");
    masked(&run.out)
}

fn may_run() -> bool {
    support::may_make_namespaces("a path of three routers")
}

#[test]
fn a_walk_names_every_router() {
    if !may_run() {
        return;
    }
    insta::assert_snapshot!(told("", "--trace -n -W 9 10.4.1.2", 0), @r"
    TRACE 10.4.1.2 (10.4.1.2) from 10.1.1.1 on v0, raw socket
    30 hops at most, 3 requests of 84 bytes to each
     1 10.1.1.2 T ms T ms T ms
     2 10.2.1.2 T ms T ms T ms
     3 10.3.1.2 T ms T ms T ms
     4 10.4.1.2 T ms T ms T ms

    --- 10.4.1.2 trace statistics ---
    reached in 4 hops, time T
    12 requests, 12 answered
    ");
    insta::assert_snapshot!(told("", "--trace -n -W 9 fd04::2", 0), @r"
    TRACE fd04::2 (fd04::2) from fd01::1 on v0, raw socket
    30 hops at most, 3 requests of 104 bytes to each
     1 fd01::2 T ms T ms T ms
     2 fd02::2 T ms T ms T ms
     3 fd03::2 T ms T ms T ms
     4 fd04::2 T ms T ms T ms

    --- fd04::2 trace statistics ---
    reached in 4 hops, time T
    12 requests, 12 answered
    ");
}

#[test]
fn a_datagram_socket_walks_the_same_way() {
    if !may_run() {
        return;
    }
    for (address, routers) in [
        ("10.4.1.2", ["10.1.1.2", "10.2.1.2", "10.3.1.2", "10.4.1.2"]),
        ("fd04::2", ["fd01::2", "fd02::2", "fd03::2", "fd04::2"]),
    ] {
        let line = format!("{NOBODY} /run/socklab ping --trace --json -n -W 9 {address}");
        let run = run(OPEN_GROUPS, &line);
        let events = run
            .out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        let events: Vec<serde_json::Value> = events.collect();
        assert_eq!(events[0]["socket"], "datagram", "{run:?}");
        let hops = events.iter().filter(|event| event["path"] == "hop");
        let heard: Vec<Vec<&str>> = hops
            .map(|hop| {
                let probes = hop["probes"].as_array().unwrap().iter();
                probes.filter_map(|probe| probe["from"].as_str()).collect()
            })
            .collect();
        assert_eq!(heard, routers.map(|router| vec![router; 3]), "{run:?}");
        assert_eq!(run.code, Some(0));
    }
}

#[test]
fn a_silent_router_is_not_called_lost() {
    if !may_run() {
        return;
    }
    insta::assert_snapshot!(told(SILENT_R2, "--trace -n -W 2 10.4.1.2", 0), @r"
    TRACE 10.4.1.2 (10.4.1.2) from 10.1.1.1 on v0, raw socket
    30 hops at most, 3 requests of 84 bytes to each
     1 10.1.1.2 T ms T ms T ms
     2 * no error received
     3 10.3.1.2 T ms T ms T ms
     4 10.4.1.2 T ms T ms T ms

    --- 10.4.1.2 trace statistics ---
    reached in 4 hops, time T
    12 requests, 9 answered, no error received to 3
    ");
}

#[test]
fn a_path_without_an_end_and_one_that_is_refused_exit_with_1() {
    if !may_run() {
        return;
    }
    insta::assert_snapshot!(told("", "--trace -n -W 9 --max-hops 2 -c 1 10.4.1.2", 1), @r"
    TRACE 10.4.1.2 (10.4.1.2) from 10.1.1.1 on v0, raw socket
    2 hops at most, 1 request of 84 bytes to each
     1 10.1.1.2 T ms
     2 10.2.1.2 T ms

    --- 10.4.1.2 trace statistics ---
    not reached in 2 hops, time T
    2 requests, 2 answered
    ");
    let refused = "\nip -n r2 route add unreachable 10.9.0.0/16";
    let told = told(refused, "--trace -n -c 1 -W 9 --max-hops 2 10.9.1.1", 1);
    insta::assert_snapshot!(told, @r"
    TRACE 10.9.1.1 (10.9.1.1) from 10.1.1.1 on v0, raw socket
    2 hops at most, 1 request of 84 bytes to each
     1 10.1.1.2 T ms
     2 10.2.1.2 T ms !H
        !H Destination Host Unreachable

    --- 10.9.1.1 trace statistics ---
    not reached: refused at hop 2, time T
    2 requests, 2 answered
    ");
}

#[test]
fn the_error_in_hex_shows_the_request_as_it_arrived() {
    if !may_run() {
        return;
    }
    let told = told(
        "",
        "--trace -n -v --hex -c 1 -W 9 --max-hops 1 -Q 184 10.4.1.2",
        1,
    );
    let wanted = [
        "Time to live exceeded (type 11, code 0)",
        "the request arrived with TTL 1",
        "[IPv4]",
        "0008 45b8 0054",
    ];
    for words in wanted {
        assert!(told.contains(words), "{words}: {told}");
    }
}

#[test]
fn the_mtu_is_what_a_router_says_once_a_probe_proves_it() {
    if !may_run() {
        return;
    }
    insta::assert_snapshot!(told("", "--mtu -n 10.4.1.2", 0), @r"
    PATH MTU 10.4.1.2 (10.4.1.2) from 10.1.1.1 on v0, raw socket

    --- 10.4.1.2 path MTU ---
    1500 bytes: ping -s 1472, 1472 of UDP, 1460 of TCP
    limited by this host's v0
    this host's kernel assumes 1500 bytes
    N requests, time T
    ");
    insta::assert_snapshot!(told(NARROW, "--mtu -n 10.4.1.2", 0), @r"
    PATH MTU 10.4.1.2 (10.4.1.2) from 10.1.1.1 on v0, raw socket

    --- 10.4.1.2 path MTU ---
    1300 bytes: ping -s 1272, 1272 of UDP, 1260 of TCP
    limited by 10.3.1.2, which says 1300
    this host's kernel assumes 1300 bytes
    N requests, time T
    ");
    insta::assert_snapshot!(told(NARROW, "--mtu -n fd04::2", 0), @r"
    PATH MTU fd04::2 (fd04::2) from fd01::1 on v0, raw socket

    --- fd04::2 path MTU ---
    1300 bytes: ping -s 1252, 1252 of UDP, 1240 of TCP
    limited by fd03::2, which says 1300
    this host's kernel assumes 1300 bytes
    N requests, time T
    ");
}

#[test]
fn a_datagram_socket_finds_the_same_mtu() {
    if !may_run() {
        return;
    }
    let setup = format!("{NARROW}{OPEN_GROUPS}");
    for address in ["10.4.1.2", "fd04::2"] {
        let run = run(
            &setup,
            &format!("{NOBODY} /run/socklab ping --mtu --json {address}"),
        );
        let last = run.out.lines().last().unwrap_or_default();
        let last: serde_json::Value = serde_json::from_str(last).unwrap();
        let result = &last["result"];
        assert_eq!(result["socket"], "datagram", "{run:?}");
        assert_eq!(result["mtu_bytes"], 1300, "{run:?}");
        assert_eq!(result["next_larger"]["finding"], "refused", "{run:?}");
        assert_eq!(result["next_larger"]["mtu_bytes"], 1300, "{run:?}");
    }
}

#[test]
fn a_black_hole_is_found_and_named() {
    if !may_run() {
        return;
    }
    let setup = format!("{NARROW_BEHIND_R2}{SILENT_R2}");
    insta::assert_snapshot!(told(&setup, "--mtu -n -W 1 10.4.1.2", 0), @r"
    PATH MTU 10.4.1.2 (10.4.1.2) from 10.1.1.1 on v0, raw socket

    --- 10.4.1.2 path MTU ---
    1333 bytes: ping -s 1305, 1305 of UDP, 1293 of TCP
    larger packets vanish without a word behind hop 1, 10.1.1.2
    this host's kernel assumes 1500 bytes
    N requests, time T
    ");
}

#[test]
fn without_an_answer_the_mtu_stays_unknown() {
    if !may_run() {
        return;
    }
    let setup = "\nip -n r2 route add blackhole 10.9.0.0/16";
    insta::assert_snapshot!(told(setup, "--mtu -n -W 0.1 10.9.1.1", 1), @r"
    PATH MTU 10.9.1.1 (10.9.1.1) from 10.1.1.1 on v0, raw socket

    --- 10.9.1.1 path MTU ---
    unknown: no answer, however small the packet
    this host's kernel assumes 1500 bytes
    N requests, time T
    ");
}

#[test]
fn a_black_hole_of_ipv6_is_found_and_named() {
    if !may_run() {
        return;
    }
    let setup = format!("{NARROW_BEHIND_R2}{SILENT_R2}");
    insta::assert_snapshot!(told(&setup, "--mtu -n -W 1 fd04::2", 0), @r"
    PATH MTU fd04::2 (fd04::2) from fd01::1 on v0, raw socket

    --- fd04::2 path MTU ---
    1333 bytes: ping -s 1285, 1285 of UDP, 1273 of TCP
    larger packets vanish without a word behind hop 1, fd01::2
    this host's kernel assumes 1500 bytes
    N requests, time T
    ");
}

#[test]
fn another_way_back_is_told() {
    if !may_run() {
        return;
    }
    insta::assert_snapshot!(told(BACK_PAST_R2, "--trace -n -W 9 -c 1 10.4.1.2", 0), @r"
    TRACE 10.4.1.2 (10.4.1.2) from 10.1.1.1 on v0, raw socket
    30 hops at most, 1 request of 84 bytes to each
     1 10.1.1.2 T ms
     2 10.2.1.2 T ms
     3 10.5.1.2 T ms
        came back with TTL 63, probably of 64: over 2 hops, not 3
     4 10.4.1.2 T ms
        came back with TTL 62, probably of 64: over 3 hops, not 4

    --- 10.4.1.2 trace statistics ---
    reached in 4 hops, time T
    4 requests, 4 answered
    ");
}

#[test]
fn a_router_whose_errors_have_no_way_back_is_a_black_hole() {
    if !may_run() {
        return;
    }
    let setup = format!("{BACK_PAST_R2}{R2_WITHOUT_WAY_BACK}{NARROW_BEHIND_R2}");
    insta::assert_snapshot!(told(&setup, "--trace -n -W 2 -c 1 fd04::2", 0), @r"
    TRACE fd04::2 (fd04::2) from fd01::1 on v0, raw socket
    30 hops at most, 1 request of 104 bytes to each
     1 fd01::2 T ms
     2 * no error received
     3 fd03::2 T ms
        came back with TTL 63, probably of 64: over 2 hops, not 3
     4 fd04::2 T ms
        came back with TTL 62, probably of 64: over 3 hops, not 4

    --- fd04::2 trace statistics ---
    reached in 4 hops, time T
    4 requests, 3 answered, no error received to 1
    ");
    insta::assert_snapshot!(told(&setup, "--mtu -n -W 1 10.4.1.2", 0), @r"
    PATH MTU 10.4.1.2 (10.4.1.2) from 10.1.1.1 on v0, raw socket

    --- 10.4.1.2 path MTU ---
    1333 bytes: ping -s 1305, 1305 of UDP, 1293 of TCP
    larger packets vanish without a word behind hop 1, 10.1.1.2
    this host's kernel assumes 1500 bytes
    N requests, time T
    ");
}

#[test]
fn names_that_are_slow_or_missing_hold_nothing_up_for_long() {
    if !may_run() {
        return;
    }
    // A resolver that never answers: its queries end at r2.
    let slow = "
ip -n r2 route add blackhole 10.9.0.0/16
echo '10.1.1.2 a-router-whose-name-is-longer-than-its-columns.example' >/run/hosts
echo 'nameserver 10.9.9.9' >/run/resolv.conf
mount --bind /run/hosts /etc/hosts; mount --bind /run/resolv.conf /etc/resolv.conf";
    insta::assert_snapshot!(told(slow, "--trace -W 9 -c 1 10.4.1.2", 0), @r"
    TRACE 10.4.1.2 (10.4.1.2) from 10.1.1.1 on v0, raw socket
    30 hops at most, 1 request of 84 bytes to each
     1 a-router-whose-name-is-longer-than-its-columns.example (10.1.1.2)
                                               T ms
     2 10.2.1.2 T ms
     3 10.3.1.2 T ms
     4 10.4.1.2 T ms

    --- 10.4.1.2 trace statistics ---
    reached in 4 hops, time T
    4 requests, 4 answered
    ");
    // Nobody is there to ask.
    let missing = "
echo '10.4.1.2 far.example' >/run/hosts; : >/run/resolv.conf
mount --bind /run/hosts /etc/hosts; mount --bind /run/resolv.conf /etc/resolv.conf";
    insta::assert_snapshot!(told(missing, "--trace -W 9 -c 1 far.example", 0), @r"
    TRACE far.example (10.4.1.2) from 10.1.1.1 on v0, raw socket
    30 hops at most, 1 request of 84 bytes to each
     1 10.1.1.2 T ms
     2 10.2.1.2 T ms
     3 10.3.1.2 T ms
     4 far.example (10.4.1.2) T ms

    --- far.example trace statistics ---
    reached in 4 hops, time T
    4 requests, 4 answered
    ");
}

#[test]
fn the_deadline_ends_a_walk_and_a_search() {
    if !may_run() {
        return;
    }
    let setup = "\nip -n r2 route add blackhole 10.9.0.0/16";
    let arguments = "--trace -n -c 1 -W 60 -w 2 10.9.1.1";
    insta::assert_snapshot!(told(setup, arguments, 1), @r"
    TRACE 10.9.1.1 (10.9.1.1) from 10.1.1.1 on v0, raw socket
    30 hops at most, 1 request of 84 bytes to each
     1 10.1.1.2 T ms

    --- 10.9.1.1 trace statistics ---
    not reached: time was over after 1 hop, time T
    1 request, 1 answered, 16 more under way
    ");
    insta::assert_snapshot!(told(setup, "--mtu -n -W 60 -w 1 10.9.1.1", 1), @r"
    PATH MTU 10.9.1.1 (10.9.1.1) from 10.1.1.1 on v0, raw socket

    --- 10.9.1.1 path MTU ---
    unknown: ended before anything was known
    this host's kernel assumes 1500 bytes
    N requests, time T
    ");
}

#[test]
fn an_interrupt_prints_the_summary() {
    if !may_run() {
        return;
    }
    let setup = "\nip -n r2 route add blackhole 10.9.0.0/16";
    for (arguments, until, summary) in [
        (
            "--trace -n -c 1 -i 60 10.4.1.2",
            " 1  10.1.1.2",
            "\n--- 10.4.1.2 trace statistics ---\ninterrupted after 1 hop, ",
        ),
        (
            "--mtu -n -W 60 10.9.1.1",
            "PATH MTU",
            "\n--- 10.9.1.1 path MTU ---\nunknown: ended before anything was known\n",
        ),
    ] {
        let mut command = command(setup, &format!("/run/socklab ping {arguments}"));
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.starts_with(until) {
            line.clear();
            assert_ne!(out.read_line(&mut line).unwrap(), 0, "{arguments}");
        }
        let id = Pid::from_raw(i32::try_from(child.id()).unwrap());
        kill(id, Signal::SIGINT).unwrap();
        let mut rest = String::new();
        out.read_to_string(&mut rest).unwrap();
        assert!(rest.starts_with(summary), "{rest}");
        assert_eq!(child.wait().unwrap().code(), Some(1));
    }
}

#[test]
fn options_that_mean_nothing_to_a_path_are_refused() {
    let refused = |arguments: &str| {
        let mut command = Command::new(SOCKLAB);
        let words = arguments.split_whitespace();
        let output = command.arg("ping").args(words).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments}");
        assert!(output.stdout.is_empty(), "{arguments}");
        String::from_utf8(output.stderr).unwrap()
    };
    for option in [
        "-t 9",
        "-f",
        "-A",
        "-l 3",
        "-R",
        "-T tsonly",
        "-p ff",
        "-a",
        "-D",
        "-O",
        "-U",
        "-b",
        "-L",
        "--alive",
    ] {
        for way in ["--trace", "--mtu"] {
            let said = refused(&format!("{way} {option} 127.0.0.1"));
            let begins = format!("socklab: ping {way} ");
            assert!(said.contains(&begins) && said.contains("; "), "{said}");
        }
    }
    insta::assert_snapshot!(refused("--trace -t 9 127.0.0.1"), @"socklab: ping --trace -t: a walk gives each hop its own time to live; --max-hops sets the farthest");
    insta::assert_snapshot!(refused("--mtu -s 1472 127.0.0.1"), @"socklab: ping --mtu -s: the search chooses the sizes; -M probe -s tries one size alone");
}
