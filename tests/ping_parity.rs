//! The parity table: what `socklab ping` prints and returns beside the `ping`
//! of iputils, for every option, on loopback and over private namespaces.
//!
//! Each invocation runs twice, in fresh namespaces that are alike. Numbers that
//! differ from run to run are masked on both sides. Where iputils refuses what
//! was typed, the words differ; both must exit with an error and say why.

mod support;

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::settled::SETTLED;

const SOCKLAB: &str = env!("CARGO_BIN_EXE_socklab");
const PRIVATE: &str = "set -e; mount -t tmpfs tmpfs /run; ip link set lo up
echo 1 >/proc/sys/net/ipv6/conf/default/addr_gen_mode
printf '127.0.0.1 localhost\\n10.1.1.1 canon.example alias\\nfd01::1 six.example six\\n' >/run/hosts
mount --bind /run/hosts /etc/hosts; : >/run/resolv; mount --bind /run/resolv /etc/resolv.conf
cp \"$SOCKLAB\" /run/socklab; cp \"$(command -v ping)\" /run/ping";
/// A neighbour with two addresses, routes that lead nowhere, and a neighbour
/// that is known and not there.
const NEIGHBOUR: &str = "
ip netns add far; ip netns exec far sh -c 'echo 1 >/proc/sys/net/ipv6/conf/default/addr_gen_mode
echo 0 >/proc/sys/net/ipv4/icmp_echo_ignore_broadcasts'
ip link add v0 address 02:00:00:00:01:01 type veth peer name v1 address 02:00:00:00:01:02 netns far
ip addr add 10.1.1.1/24 brd 10.1.1.255 dev v0; ip addr add fd01::1/64 dev v0 nodad
ip -n far addr add 10.1.1.2/24 brd 10.1.1.255 dev v1; ip -n far addr add 10.1.1.3/24 dev v1
ip -n far addr add fd01::2/64 dev v1 nodad
ip -n far link set lo up; ip -n far link set v1 up; ip link set v0 up
for family in ipv4 ipv6; do
  echo 1 >/proc/sys/net/$family/neigh/v0/mcast_solicit
  echo 20 >/proc/sys/net/$family/neigh/v0/retrans_time_ms
done
ip neigh add 10.1.1.9 lladdr 02:00:00:00:00:09 dev v0
ip neigh add fd01::2 lladdr 02:00:00:00:01:02 dev v0
ip -n far neigh add fd01::1 lladdr 02:00:00:00:01:01 dev v1
ip route add unreachable 10.2.0.0/16; ip route add prohibit 10.3.0.0/16
ip route add blackhole 10.4.0.0/16; ip route add 10.8.0.0/16 via 10.1.1.2
ip netns exec far sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/ipv4/conf/all/send_redirects; echo 1 >/proc/sys/net/ipv4/conf/v1/send_redirects'
ip -n far route add prohibit 10.8.1.0/24; ip -n far route add unreachable 10.8.2.0/24
ip -n far route add blackhole 10.8.3.0/24; ip -n far route add 10.8.4.0/24 via 10.1.1.66
ip -n far neigh add 10.1.1.66 lladdr 02:00:00:00:00:66 dev v1
ip -n far link show >/dev/null; ip link show >/dev/null";
const NOBODY: &str = "setpriv --reuid 65534 --clear-groups --bounding-set -all ";
const OPEN_GROUPS: &str = "\necho '0 2147483647' >/proc/sys/net/ipv4/ping_group_range";

#[derive(Debug, PartialEq, Eq)]
struct Run {
    out: String,
    err: String,
    code: Option<i32>,
}

fn command(setup: &str, line: &str) -> Command {
    let script = format!("{PRIVATE}{setup}{SETTLED}\nexec {line}");
    let mut command = Command::new("unshare");
    command
        .args(["--net", "--mount", "--propagation", "private", "sh", "-c"])
        .arg(script)
        .env("SOCKLAB", SOCKLAB)
        .env("LC_ALL", "C")
        .stdin(Stdio::null());
    command
}

fn run(setup: &str, line: &str) -> Run {
    let Output {
        status,
        stdout,
        stderr,
    } = command(setup, line).output().unwrap();
    Run {
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
        code: status.code(),
    }
}

/// What differs from run to run: what follows each of these, and the times of
/// hosts' clocks.
fn masked(text: &str) -> String {
    let mut text = text.to_owned();
    for before in ["time=", "time ", "mdev = ", "ewma ", "ident=", "fd: ", "["] {
        let mut parts = text.split(before);
        let mut rest = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let number = |c: char| c.is_ascii_digit() || c == '.' || c == '/';
            rest.push_str(before);
            rest.push('T');
            rest.push_str(part.trim_start_matches(number));
        }
        text = rest;
    }
    let lines = text
        .split('\n')
        .map(|line| match line.strip_suffix(" absolute") {
            Some(clock) => format!(
                "{} absolute",
                clock.trim_end_matches(|c: char| c.is_ascii_digit())
            ),
            None => line.to_owned(),
        });
    lines.collect::<Vec<_>>().join("\n")
}

/// Both runs of `arguments`; what is typed before the program is `user`.
fn both(setup: &str, user: &str, arguments: &str) -> [Run; 2] {
    ["/run/ping", "/run/socklab ping"].map(|program| {
        let run = run(setup, &format!("{user}{program} {arguments}"));
        let err = run.err.replace("/run/ping: ", "ping: ");
        Run {
            out: masked(&run.out),
            err: masked(&err),
            code: run.code,
        }
    })
}

fn assert_table(setup: &str, user: &str, table: &[&str]) {
    let mut different = Vec::new();
    for arguments in table {
        let [theirs, ours] = both(setup, user, arguments);
        assert!(!theirs.out.is_empty(), "{arguments}: {}", theirs.err);
        if ours != theirs {
            different.push(format!(
                "{arguments}\n  ping:    {theirs:?}\n  socklab: {ours:?}"
            ));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// Both refuse: nothing on standard output, words on standard error.
fn assert_refused(setup: &str, user: &str, table: &[&str]) {
    for arguments in table {
        let [theirs, ours] = both(setup, user, arguments);
        assert!(
            theirs.code == Some(1) || theirs.code == Some(2),
            "{arguments}: {theirs:?}"
        );
        assert_eq!(ours.code, Some(2), "{arguments}: {ours:?}");
        assert!(
            ours.out.is_empty() && !ours.err.is_empty(),
            "{arguments}: {ours:?}"
        );
    }
}

#[test]
fn pace() {
    if !support::may_make_namespaces("ping's pace") {
        return;
    }
    assert_table(
        "",
        "",
        &[
            "-c 3 -f 127.0.0.1",
            "-fqc10 127.0.0.1",
            "-c 3 -f -q ::1",
            "-f -a -c 2 127.0.0.1",
            "-f -D -c 2 ::1",
            "-f -A -c 2 127.0.0.1",
            "-f -i 0.05 -c 2 127.0.0.1",
            "-A -c 3 127.0.0.1",
            "-A -c 3 ::1",
            "-A -q -c 3 127.0.0.1",
            "-l 3 -c 3 127.0.0.1",
            "-l 3 -c 5 -i 0.05 -q ::1",
            "-c 1000 -l 100 -f -q 127.0.0.1",
        ],
    );
    assert_table(
        NEIGHBOUR,
        "",
        &[
            "-A -l 2 -c 4 10.1.1.2",
            "-f -l 3 -c 4 -W 0.2 10.1.1.9",
            "-l 3 -c 4 -W 0.2 -i 0.2 10.1.1.9",
            "-f -i 0.2 -c 2 10.1.1.77",
            "-f -i 0.2 -c 2 -q 10.1.1.77",
        ],
    );
}

#[test]
fn lines() {
    if !support::may_make_namespaces("ping's lines") {
        return;
    }
    assert_table(
        NEIGHBOUR,
        "",
        &[
            "-c 2 -i 0.1 -D 127.0.0.1",
            "-c 2 -i 0.1 -D -n alias",
            "-c 1 -D 10.1.1.77",
            "-c 2 -i 0.1 -a 127.0.0.1",
            "-a -q -c 2 -i 0.1 ::1",
            "-c 2 -i 0.2 -W 0.2 -O 10.1.1.9",
            "-c 2 -i 0.2 -W 0.2 -O -D 10.1.1.9",
            "-c 2 -i 0.2 -W 0.2 -O -q 10.1.1.9",
            "-c 2 -i 0.2 -W 0.2 -O -f 10.1.1.9",
            "-U -c 1 10.1.1.2",
        ],
    );
}

#[test]
fn verbosity() {
    if !support::may_make_namespaces("ping -v") {
        return;
    }
    assert_table(
        NEIGHBOUR,
        "",
        &[
            "-c 2 -i 0.1 -v 127.0.0.1",
            "-c 1 -v ::1",
            "-c 1 -v -n alias",
            "-c 1 -v -4 alias",
            "-c 1 -v -6 six",
            "-c 1 -v 10.1.1.77",
        ],
    );
}

#[test]
fn what_requests_carry() {
    if !support::may_make_namespaces("ping's requests") {
        return;
    }
    assert_table(
        NEIGHBOUR,
        "",
        &[
            "-c 1 -p ff 127.0.0.1",
            "-c 1 -p 123 ::1",
            "-c 1 -p 00112233445566778899aabbccddeeff00 -s 40 10.1.1.2",
            "-c 1 -Q 0x10 10.1.1.2",
            "-c 1 -Q 16 fd01::2",
            "-c 1 -m 5 127.0.0.1",
            "-c 1 -S 20000 127.0.0.1",
            "-c 1 -F 0x12345 ::1",
            "-c 1 -F 10 ::1",
            "-c 1 -F 5 127.0.0.1",
            "-c 1 -M do -s 1472 10.1.1.2",
            "-c 1 -M do -s 1473 10.1.1.2",
            "-c 1 -M do -s 1473 -D 10.1.1.2",
            "-c 1 -M do -s 1473 -f 10.1.1.2",
            "-c 1 -M do -s 1453 fd01::2",
            "-c 1 -M want -s 3000 10.1.1.2",
            "-c 1 -M dont -s 3000 10.1.1.2",
            "-c 1 -M dont -s 3000 fd01::2",
        ],
    );
}

#[test]
fn ip_options() {
    if !support::may_make_namespaces("ping -R and -T") {
        return;
    }
    assert_table(
        NEIGHBOUR,
        "",
        &[
            "-c 1 -R 127.0.0.1",
            "-c 3 -i 0.1 -R 10.1.1.2",
            "-c 1 -R -s 8 10.1.1.2",
            "-c 2 -R -f 10.1.1.2",
            "-c 1 -R ::1",
            "-c 1 -T tsonly ::1",
            "-c 1 -T tsonly 127.0.0.1",
            "-c 1 -T tsandaddr 10.1.1.2",
            "-c 1 -T tsprespec 10.1.1.2 10.1.1.3 10.1.1.2",
        ],
    );
}

#[test]
fn the_way_there() {
    if !support::may_make_namespaces("ping's way") {
        return;
    }
    assert_table(
        NEIGHBOUR,
        "",
        &[
            "-c 1 -I lo 127.0.0.1",
            "-c 1 -I 127.0.0.1 127.0.0.2",
            "-c 1 -I v0 10.1.1.2",
            "-c 1 -I v0 -I 10.1.1.1 10.1.1.2",
            "-c 1 -I lo ::1",
            "-c 1 -I ::1 ::1",
            "-c 1 -I fd01::1 ::1",
            "-c 1 -I v0 fd01::2",
            "-c 1 -I fd01::1%v0 fd01::2",
            "-c 1 -W 0.2 -I v0 127.0.0.1",
            "-c 1 -W 0.2 -I lo 10.1.1.2",
            "-c 1 -B 127.0.0.1",
            "-c 1 -B ::1",
            "-c 1 -r 10.1.1.2",
            "-c 1 -d 127.0.0.1",
            "-c 1 -L 127.0.0.1",
            "-c 1 -W 0.2 -I v0 -L 224.0.0.9",
            "-c 1 -b 10.1.1.255",
            "-c 2 -i 0.2 -q -b 10.1.1.255",
        ],
    );
}

#[test]
fn errors_from_the_network() {
    if !support::may_make_namespaces("ICMP errors") {
        return;
    }
    assert_table(
        NEIGHBOUR,
        "",
        &[
            "-c 1 10.1.1.77",
            "-c 1 10.8.1.1",
            "-c 1 10.8.2.1",
            "-c 1 -W 0.2 10.8.3.1",
            "-c 1 -t 1 10.8.1.1",
            "-w 5 -c 3 10.8.1.1",
            "-c 1 -W 0.2 10.8.4.1",
            "-c 1 -W 0.2 -q 10.8.4.1",
            "-c 1 -W 0.2 -f 10.8.4.1",
            "-c 1 -q 10.8.1.1",
            "-c 1 -f 10.8.1.1",
        ],
    );
}

#[test]
fn unprivileged() {
    if !support::may_make_namespaces("ping without privileges") {
        return;
    }
    let setup = format!("{NEIGHBOUR}{OPEN_GROUPS}");
    assert_table(
        &setup,
        NOBODY,
        &[
            "-c 2 -i 0.1 127.0.0.1",
            "-c 1 -v 127.0.0.1",
            "-f -i 0.01 -c 2 127.0.0.1",
            "-A -c 3 ::1",
            "-l 3 -c 3 127.0.0.1",
            "-c 1 -I v0 10.1.1.2",
            "-c 1 -I 10.1.1.1 10.1.1.2",
            "-c 1 -I v0 fd01::2",
            "-c 1 -B 10.1.1.2",
            "-c 1 -M do -s 3000 10.1.1.2",
            "-c 1 -F 5 ::1",
            "-c 1 -b 10.1.1.255",
            "-c 1 10.8.1.1",
            "-c 1 -t 1 10.8.1.1",
        ],
    );
    assert_refused(
        &setup,
        NOBODY,
        &["-l 4 -c 1 127.0.0.1", "-b -c 1 -i 0.5 10.1.1.255"],
    );
    for arguments in ["-f -c 1 127.0.0.1", "-i 0.001 -c 1 ::1"] {
        let [theirs, ours] = both(&setup, NOBODY, arguments);
        assert_eq!((theirs.code, ours.code), (Some(2), Some(2)), "{arguments}");
    }
}

#[test]
fn refusals() {
    if !support::may_make_namespaces("what ping refuses") {
        return;
    }
    assert_refused(
        NEIGHBOUR,
        "",
        &[
            "",
            "-c 0 127.0.0.1",
            "-c -1 127.0.0.1",
            "-s -1 127.0.0.1",
            "-t 300 127.0.0.1",
            "-p xyz 127.0.0.1",
            "-p 0x1 127.0.0.1",
            "-Q 300 127.0.0.1",
            "-Q zz 127.0.0.1",
            "-M xx 127.0.0.1",
            "-T xx 127.0.0.1",
            "-R -T tsonly 127.0.0.1",
            "-l 0 127.0.0.1",
            "-l 65537 127.0.0.1",
            "-m zz 127.0.0.1",
            "-F zz ::1",
            "-4 -6 127.0.0.1",
            "-4 ::1",
            "-6 127.0.0.1",
            "-I nosuch 10.1.1.2",
            "-I 10.9.9.9 10.1.1.2",
            "-I fd01::77 ::1",
            "-r 10.7.7.7",
            "10.2.0.1",
            "10.3.0.1",
            "10.4.0.1",
            "10.1.1.255",
            "255.255.255.255",
            "nosuch.invalid",
        ],
    );
}

/// Both programs on the client of a private link that does this to packets,
/// each time by the same draws.
fn both_on_a_link(link: &str, arguments: &str) -> [Run; 2] {
    ["/run/ping", "/run/socklab ping"].map(|program| {
        let script = format!(
            "
cat >/run/script <<'END'
/run/socklab lab {link} -- sh -c \\
  '{program} {arguments} >/run/out 2>/run/err; echo $? >/run/code' >/run/account 2>&1
cat /run/out; cat /run/err >&2; exit $(cat /run/code)
END"
        );
        let run = run(&script, "sh /run/script");
        Run {
            out: masked(&run.out),
            err: masked(&run.err),
            code: run.code,
        }
    })
}

#[test]
fn a_link_that_copies_delays_and_loses() {
    if !support::may_make_namespaces("ping on a private link") {
        return;
    }
    for (link, arguments) in [
        (
            "--link --duplicate 100% --delay 5ms",
            "-n -c 3 -i 0.1 10.77.0.2",
        ),
        (
            "--link --duplicate 100% --delay 5ms",
            "-n -c 3 -i 0.1 fd77::2",
        ),
        ("--link --loss 100%", "-n -O -c 3 -i 0.1 -W 0.3 10.77.0.2"),
        ("--link --delay 150ms", "-n -O -c 2 -i 0.1 10.77.0.2"),
        ("--link --delay 150ms", "-n -w 1 -c 1 10.77.0.2"),
        (
            "--link --delay 5ms --drop 'c2s icmp#2'",
            "-n -c 3 -i 0.1 -W 0.3 10.77.0.2",
        ),
    ] {
        let [theirs, ours] = both_on_a_link(link, arguments);
        assert!(
            theirs.out.starts_with("PING "),
            "{link} {arguments}: {theirs:?}"
        );
        assert_eq!(ours, theirs, "{link} {arguments}");
    }
}

/// iputils reads the checksum and pays no heed to it; what it says of changed
/// bytes, both say.
#[test]
fn changed_bytes_are_shown_alike() {
    if !support::may_make_namespaces("ping on a damaging link") {
        return;
    }
    let link = "--link --seed 3 --down 'corrupt 100%'";
    let [theirs, ours] = both_on_a_link(link, "-n -s 120 -c 3 -i 0.05 -W 0.3 10.77.0.2");
    let shown = |run: &Run| -> Vec<String> {
        let lines = run.out.lines();
        let lines = lines.filter(|line| line.starts_with("wrong data") || line.starts_with('#'));
        lines.map(str::to_owned).collect()
    };
    assert!(shown(&theirs).len() >= 4, "{theirs:?}");
    assert_eq!(shown(&ours), shown(&theirs));
    assert!(
        ours.out.contains(" (BAD CHECKSUM!)\nwrong data byte #"),
        "{ours:?}"
    );
    assert!(
        ours.out
            .contains(" 0 received, +3 corrupted, 100% packet loss")
    );
}

/// A run that is asked for its figures after its first reply, and then ended.
fn asked_and_ended(program: &str, arguments: &str) -> Run {
    let mut child = command("", &format!("{program} {arguments}"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let process = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let (mut said, mut complained) = (String::new(), String::new());
    out.read_line(&mut said).unwrap();
    out.read_line(&mut said).unwrap();
    kill(process, Signal::SIGQUIT).unwrap();
    err.read_line(&mut complained).unwrap();
    kill(process, Signal::SIGINT).unwrap();
    out.read_to_string(&mut said).unwrap();
    err.read_to_string(&mut complained).unwrap();
    // The status line has its times at the end, after the last of its marks.
    let (figures, _) = complained.rsplit_once(" = ").unwrap();
    Run {
        out: masked(&said),
        err: figures.to_owned(),
        code: child.wait().unwrap().code(),
    }
}

#[test]
fn signals() {
    if !support::may_make_namespaces("ping and signals") {
        return;
    }
    for arguments in ["-i 100 127.0.0.1", "-i 100 ::1", "-O -D -i 100 127.0.0.1"] {
        let theirs = asked_and_ended("/run/ping", arguments);
        let ours = asked_and_ended("/run/socklab ping", arguments);
        assert!(
            theirs.err.starts_with("\r1/1 packets, 0% loss, min/"),
            "{theirs:?}"
        );
        assert_eq!(ours, theirs, "{arguments}");
    }
}
