//! `socklab ping` of many targets beside `fping`: the same lines, the same exit
//! codes.
//!
//! Every run has network and mount namespaces of its own: no name server is
//! asked, and nothing reaches the machine's network. Two lines that happen at
//! the same time may come in either order, so lines are compared as sets, with
//! their numbers masked. Two differences are meant: an ICMP error ends the wait
//! for its request here, and fping's exit code 3 and 4 are 2.

mod support;

use std::process::{Command, Stdio};
use support::settled::SETTLED;

const SOCKLAB: &str = env!("CARGO_BIN_EXE_socklab");
/// Neighbours that answer, that cannot be found (.2) and that are silent (.9);
/// routes that lead nowhere; names that are known without asking anyone.
const GROUND: &str = "set -e; mount -t tmpfs tmpfs /run; ip link set lo up
echo 1 >/proc/sys/net/ipv6/conf/default/addr_gen_mode
cp \"$SOCKLAB\" /run/socklab; cp \"$(command -v fping)\" /run/fping
printf '127.0.0.1 localhost\\n10.1.1.1 canon.example alias\\nfd01::1 six.example six\\n\
127.0.0.5 multi\\n127.0.0.6 multi\\n::1 multi\\n10.1.1.2 gone.example\\n' >/run/hosts
mount --bind /run/hosts /etc/hosts
: >/run/resolv; mount --bind /run/resolv /etc/resolv.conf
printf '# three\\n\\n127.0.0.1\\n  127.0.0.2 second\\nlocalhost # x\\n' >/run/list
ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up
ip addr add 10.1.1.1/24 dev v0; ip addr add fd01::1/64 dev v0 nodad
echo 1 >/proc/sys/net/ipv4/neigh/v0/mcast_solicit
echo 20 >/proc/sys/net/ipv4/neigh/v0/retrans_time_ms
ip neigh add 10.1.1.9 lladdr 02:00:00:00:00:09 dev v0
ip route add unreachable 10.2.0.0/16
ip route add blackhole 10.3.0.0/16
ip route add prohibit 10.4.0.0/16";

#[derive(Debug, PartialEq, Eq)]
struct Run {
    out: Vec<String>,
    err: Vec<String>,
    code: Option<i32>,
}

fn run(line: &str) -> Run {
    let output = Command::new("unshare")
        .args(["--net", "--mount", "--propagation", "private", "sh", "-c"])
        .arg(format!("{GROUND}{SETTLED}\nexec {line}"))
        .env("SOCKLAB", SOCKLAB)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Run {
        out: lines(&output.stdout),
        err: lines(&output.stderr),
        code: output.status.code(),
    }
}

/// The lines in alphabetical order, times as `T`.
fn lines(bytes: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(bytes).unwrap();
    let mut lines: Vec<String> = text.lines().map(masked).collect();
    lines.sort();
    lines
}

/// A number with decimals is a time.
fn masked(line: &str) -> String {
    let is_time = |word: &str| {
        let (whole, decimals) = word.split_once('.').unwrap_or_default();
        let digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
        digits(whole) && digits(decimals)
    };
    let separator = |c: char| " /()[]".contains(c);
    let mut masked = String::new();
    for word in line.split_inclusive(separator) {
        let bare = word.trim_end_matches(separator);
        let rest = &word[bare.len()..];
        masked.push_str(if is_time(bare) { "T" } else { bare });
        masked.push_str(rest);
    }
    // Statistics are set in columns as wide as their numbers.
    let width = masked.find('T').filter(|_| masked.starts_with("  "));
    width.map_or(masked.clone(), |at| masked[at..].to_owned())
}

/// fping and socklab with the arguments that mean the same to them.
#[track_caller]
fn assert_same(theirs: &str, ours: &str) {
    let fping = run(&format!("/run/fping {theirs}"));
    let socklab = run(&format!("/run/socklab ping {ours}"));
    assert!(
        !fping.out.is_empty() || !fping.err.is_empty() || theirs.contains("-q"),
        "fping {theirs} says nothing"
    );
    assert_eq!(socklab, fping, "fping {theirs}\nsocklab ping {ours}");
}

#[test]
fn checks_look_like_fping() {
    if !support::may_make_namespaces("fping in a namespace of its own") {
        return;
    }
    for (theirs, ours) in [
        ("127.0.0.1 127.0.0.2 ::1", "127.0.0.1 127.0.0.2 ::1"),
        ("-t 30 127.0.0.1 10.1.1.9", "-W 0.03 127.0.0.1 10.1.1.9"),
        (
            "-t 30 -r 1 -B 2 10.1.1.9",
            "-W 0.03 --retries 1 --backoff 2 10.1.1.9",
        ),
        (
            "-a -t 30 127.0.0.1 10.1.1.9",
            "--alive -W 0.03 127.0.0.1 10.1.1.9",
        ),
        (
            "-u -t 30 127.0.0.1 10.1.1.9",
            "--unreachable -W 0.03 127.0.0.1 10.1.1.9",
        ),
        (
            "-q -t 30 127.0.0.1 10.1.1.9",
            "-q -W 0.03 127.0.0.1 10.1.1.9",
        ),
        ("-a -q 127.0.0.1", "--alive -q 127.0.0.1"),
        ("-e 127.0.0.1 ::1", "--elapsed 127.0.0.1 ::1"),
        ("-e -a 127.0.0.1 ::1", "--elapsed --alive 127.0.0.1 ::1"),
        ("-r 1 127.0.0.1 10.2.0.1", "--retries 1 127.0.0.1 10.2.0.1"),
        ("10.3.0.1 127.0.0.1", "10.3.0.1 127.0.0.1"),
        ("10.4.0.1 127.0.0.1", "10.4.0.1 127.0.0.1"),
        ("-r 0 10.1.1.2 127.0.0.1", "--retries 0 10.1.1.2 127.0.0.1"),
        ("-r 0 gone.example alias", "--retries 0 gone.example alias"),
        ("127.0.0.1 127.0.0.1", "127.0.0.1 127.0.0.1"),
        (
            "-x 1 -t 30 127.0.0.1 10.1.1.9",
            "--reachable 1 -W 0.03 127.0.0.1 10.1.1.9",
        ),
        (
            "-x 2 -t 30 127.0.0.1 10.1.1.9",
            "--reachable 2 -W 0.03 127.0.0.1 10.1.1.9",
        ),
        (
            "-s -t 30 127.0.0.1 10.1.1.9",
            "--sweep-stats -W 0.03 127.0.0.1 10.1.1.9",
        ),
        ("-b 12 -H 7 127.0.0.1 ::1", "-s 12 -t 7 127.0.0.1 ::1"),
        (
            "-i 1 127.0.0.1 127.0.0.2",
            "--send-gap 0.001 127.0.0.1 127.0.0.2",
        ),
    ] {
        assert_same(theirs, ours);
    }
}

#[test]
fn counts_look_like_fping() {
    if !support::may_make_namespaces("fping in a namespace of its own") {
        return;
    }
    for (theirs, ours) in [
        ("-c 2 -p 40 127.0.0.1 ::1", "-c 2 -i 0.04 127.0.0.1 ::1"),
        (
            "-c 2 -p 40 127.0.0.1 10.1.1.9",
            "-c 2 -i 0.04 127.0.0.1 10.1.1.9",
        ),
        (
            "-c 2 -p 40 127.0.0.1 10.1.1.2",
            "-c 2 -i 0.04 127.0.0.1 10.1.1.2",
        ),
        (
            "-q -c 2 -p 40 127.0.0.1 10.1.1.9",
            "-q -c 2 -i 0.04 127.0.0.1 10.1.1.9",
        ),
        (
            "-q -c 2 -p 40 127.0.0.1 10.1.1.9",
            "--count-summary -c 2 -i 0.04 127.0.0.1 10.1.1.9",
        ),
        (
            "-C 3 -p 40 127.0.0.1 10.1.1.9",
            "--columns 3 -i 0.04 127.0.0.1 10.1.1.9",
        ),
        (
            "-q -C 3 -p 40 127.0.0.1 10.1.1.9",
            "-q --columns 3 -i 0.04 127.0.0.1 10.1.1.9",
        ),
        (
            "-c 3 -p 40 -t 20 10.1.1.9",
            "-c 3 -i 0.04 -W 0.02 --send-gap 0.01 10.1.1.9",
        ),
        (
            "-o -c 2 -p 40 127.0.0.1 10.1.1.9",
            "--outage -c 2 -i 0.04 127.0.0.1 10.1.1.9",
        ),
        (
            "-s -c 2 -p 40 127.0.0.1 10.1.1.9",
            "--sweep-stats -c 2 -i 0.04 127.0.0.1 10.1.1.9",
        ),
        ("-D -c 1 127.0.0.1 ::1", "-D -c 1 127.0.0.1 ::1"),
        (
            "-c 2 -p 40 10.2.0.1 10.3.0.1",
            "-c 2 -i 0.04 10.2.0.1 10.3.0.1",
        ),
        (
            "-q -c 1 nosuch.example 127.0.0.1",
            "-q -c 1 nosuch.example 127.0.0.1",
        ),
        ("-c 1 -b 1000 ::1 127.0.0.1", "-c 1 -s 1000 ::1 127.0.0.1"),
    ] {
        assert_same(theirs, ours);
    }
}

#[test]
fn targets_look_like_fping() {
    if !support::may_make_namespaces("fping in a namespace of its own") {
        return;
    }
    for (theirs, ours) in [
        ("-g 127.0.0.0/30", "127.0.0.0/30"),
        ("-g 127.0.0.4/31", "127.0.0.4/31"),
        ("-g 127.0.0.4/32", "127.0.0.4/32"),
        ("-g 127.0.0.5/29", "127.0.0.5/29"),
        ("-g 127.0.0.254 127.0.1.1", "--range 127.0.0.254 127.0.1.1"),
        ("-f /run/list", "--file /run/list"),
        ("-f - </run/list", "--file - </run/list"),
        ("-m multi", "--all-addresses multi"),
        ("-A -m multi", "--show-address --all-addresses multi"),
        ("-A localhost alias", "--show-address localhost alias"),
        ("-n localhost 10.1.1.1", "--names localhost 10.1.1.1"),
        ("-d alias 10.1.1.1", "--all-names alias 10.1.1.1"),
        (
            "-A -d localhost 10.1.1.1",
            "--show-address --all-names localhost 10.1.1.1",
        ),
        (
            "-c 1 -A -d alias six",
            "-c 1 --show-address --all-names alias six",
        ),
        ("-c 1 localhost alias six", "-c 1 localhost alias six"),
        ("-4 localhost six", "-4 localhost six"),
        ("-6 six 127.0.0.1", "-6 six 127.0.0.1"),
        ("nosuch.example 127.0.0.1", "nosuch.example 127.0.0.1"),
        (
            "-s nosuch.example 127.0.0.1",
            "--sweep-stats nosuch.example 127.0.0.1",
        ),
        (
            "-C 1 nosuch.example 127.0.0.1",
            "--columns 1 nosuch.example 127.0.0.1",
        ),
        ("-q nosuch.example 127.0.0.1", "-q nosuch.example 127.0.0.1"),
        ("127.1 300.1.1.1", "127.1 300.1.1.1"),
    ] {
        assert_same(theirs, ours);
    }
}

#[test]
fn wrong_usage_is_refused() {
    if !support::may_make_namespaces("fping in a namespace of its own") {
        return;
    }
    for (arguments, words) in [
        ("10.0.0.0/33", "the prefix length is not 0 to 32"),
        (
            "10.0.0.0/4",
            "are more than the 16777216 (2^24) of one sweep",
        ),
        ("--range 10.0.0.9 10.0.0.7", "it ends before it begins"),
        ("--file /nonexistent", "open /nonexistent: no such file"),
        (
            "-6 10.0.0.0/24",
            "they are not of the family that was asked for",
        ),
        ("--alive --unreachable 127.0.0.1", "cannot be used with"),
        ("-c 1 --alive 127.0.0.1", "cannot be used with"),
    ] {
        let run = run(&format!("/run/socklab ping {arguments}"));
        assert_eq!((run.code, run.out.len()), (Some(2), 0), "{arguments}");
        assert!(
            run.err.iter().any(|line| line.contains(words)),
            "{arguments}: {:?}",
            run.err
        );
    }
}
