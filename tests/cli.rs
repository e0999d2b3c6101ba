//! The program as its users meet it: as root and as an ordinary user, into a
//! pipe, with bad input, interrupted and killed.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use support::program::{As, Program, text};

const DEMONSTRATIONS: [&[&str]; 6] = [
    &["tcp"],
    &["tcp", "-6"],
    &["udp"],
    &["udp", "-6"],
    &["compare", "-c", "20"],
    &["compare", "-6", "-c", "20"],
];

fn result(lines: &[Value]) -> &Value {
    let last = lines.last().expect("at least one line");
    assert_eq!(last["type"], "result");
    last
}

fn packets(lines: &[Value]) -> Vec<&Value> {
    lines
        .iter()
        .filter(|line| line["type"] == "packet")
        .collect()
}

/// The link works for root and for an ordinary user, on the device that each
/// may open, and its figures agree.
#[test]
fn the_link_needs_no_root() {
    let program = Program::new();
    for (who, device) in [(As::NobodyWithoutTun, "veth"), (As::NobodyWithTun, "tun")] {
        for arguments in DEMONSTRATIONS {
            let Some(lines) = program.json(who, arguments) else {
                return;
            };
            let link = &result(&lines)["result"]["link"];
            assert_eq!(link["device"], device, "{who:?} {arguments:?}");
            let offered = link["client_to_server"]["offered"]["packets"]
                .as_u64()
                .expect("a count")
                + link["server_to_client"]["offered"]["packets"]
                    .as_u64()
                    .expect("a count");
            assert_eq!(
                packets(&lines).len() as u64,
                offered,
                "{who:?} {arguments:?}"
            );
            for drops in link["drops"].as_array().expect("a list") {
                assert_eq!(drops["receive_dropped"], 0);
                assert_eq!(drops["transmit_dropped"], 0);
            }
        }
    }
}

#[test]
fn an_ordinary_user_pings_the_links_server_through_a_raw_socket() {
    let program = Program::new();
    for family in ["-4", "-6"] {
        // With a deadline, the run ends with its third reply and not before.
        let arguments = [
            "ping", "--link", family, "-c", "3", "-i", "0.002", "-w", "60",
        ];
        let Some(lines) = program.json(As::NobodyWithoutTun, &arguments) else {
            return;
        };
        let started = lines.first().expect("a first line");
        assert_eq!(started["socket"], "raw", "{started}");
        let last = result(&lines);
        assert_eq!(last["command"], "ping");
        assert_eq!(last["result"]["received"], 3, "{last}");
    }
}

/// Where no namespace can be made, the demonstrations run on loopback, and one
/// line says what would help.
#[test]
fn without_namespaces_the_story_plays_on_loopback() {
    let program = Program::new();
    for arguments in [["tcp"], ["udp"], ["compare"]] {
        let Some(output) = program.run(As::WithoutNamespaces, &arguments) else {
            return;
        };
        let errors = text(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        let first = errors.lines().next().expect("a line that says why");
        for needed in ["no private link", "loopback", "unshare", "ENOSPC", "sudo"] {
            assert!(first.contains(needed), "{needed} in {first}");
        }
        assert!(text(&output.stdout).contains("127.0.0.1"));
    }
}

/// In an ordinary container /proc/sys cannot be written; the link does not need
/// it.
#[test]
fn a_read_only_proc_sys_does_not_keep_the_link_from_being_built() {
    let program = Program::new();
    if !nix::unistd::geteuid().is_root() {
        return support::skipped("a read-only /proc/sys", "root");
    }
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-ec"])
        .arg("mount --bind /proc/sys /proc/sys\nmount -o remount,bind,ro /proc/sys\n\"$0\" tcp --json")
        .arg(program.path())
        .output()
        .expect("unshare runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
}

#[test]
fn no_link_shows_packets_to_root_and_says_why_not_to_others() {
    let program = Program::new();
    if nix::unistd::geteuid().is_root() {
        let port = ["--port", "5079"];
        for command in ["tcp", "udp"] {
            for family in ["-4", "-6"] {
                let arguments = [&[command, "--no-link", family][..], &port].concat();
                let Some(lines) = program.json(As::MyselfOnOwnLoopback, &arguments) else {
                    return;
                };
                assert_eq!(result(&lines)["environment"]["stage"], "loopback");
                let seen = packets(&lines);
                assert!(seen.len() > 5, "{arguments:?}: {} packets", seen.len());
                assert!(seen.iter().all(|packet| packet["fate"] == "unknown"));
            }
        }
    }
    let Some(output) = program.run(
        As::NobodyWithoutTun,
        &["compare", "--no-link", "-p", "5078"],
    ) else {
        return;
    };
    assert!(output.status.success());
    assert!(
        text(&output.stderr).contains("CAP_NET_RAW"),
        "{}",
        text(&output.stderr)
    );
    let out = text(&output.stdout);
    assert!(out.contains("raw-icmp: ") && out.contains("EPERM"), "{out}");
}

/// Every packet of real runs, read back by tshark, field by field.
#[test]
fn tshark_reads_every_packet_as_we_do() {
    if !support::tshark::is_installed() {
        return support::skipped("reading a run's packets with tshark", "tshark");
    }
    let program = Program::new();
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (index, arguments) in DEMONSTRATIONS.iter().enumerate() {
        if !nix::unistd::geteuid().is_root() {
            return support::skipped("a capture of a run", "root");
        }
        let path = folder.path().join(format!("{index}.pcapng"));
        let file = path.to_str().expect("a plain path");
        let arguments = [arguments, &["--pcap", file][..]].concat();
        let lines = program.json(As::Myself, &arguments).expect("it runs");
        let disagreements = support::tshark::disagreements(&path);
        assert!(
            disagreements.is_empty(),
            "{arguments:?}: {disagreements:#?}"
        );
        let kept = support::capture_file::read(&path).len();
        assert_eq!(kept, packets(&lines).len(), "{arguments:?}");
    }
}

#[test]
fn json_lines_have_known_types_and_end_with_the_result() {
    let program = Program::new();
    for command in ["tcp", "udp"] {
        let Some(lines) = program.json(As::NobodyWithoutTun, &[command]) else {
            return;
        };
        let types: BTreeSet<&str> = lines
            .iter()
            .map(|line| line["type"].as_str().expect("every line has a type"))
            .collect();
        let known = [
            "call", "delivery", "note", "packet", "result", "sample", "state",
        ];
        assert!(types.iter().all(|kind| known.contains(kind)), "{types:?}");
        let last = result(&lines);
        assert_eq!(last["command"], command);
        assert!(last["environment"]["kernel"].is_string());
    }
}

/// The programs' figures, the packets and the kernel's own are three witnesses.
#[test]
fn the_figures_of_compare_are_true() {
    let program = Program::new();
    let arguments = ["compare", "-c", "200", "-s", "500", "-i", "0.2"];
    let Some(lines) = program.json(As::NobodyWithTun, &arguments) else {
        return;
    };
    let result = &result(&lines)["result"];
    let by_protocol = |number: u64| {
        packets(&lines)
            .iter()
            .filter(|packet| {
                let bytes = hex::decode(packet["bytes_hex"].as_str().expect("hex")).expect("hex");
                u64::from(bytes[9]) == number
            })
            .count() as u64
    };
    for (index, protocol) in [(0, 6), (1, 17), (2, 1)] {
        let column = &result["kinds"][index];
        assert!(column["refused"].is_null(), "{column}");
        assert_eq!(column["sent"], 200, "{column}");
        assert_eq!(column["delivered"], 200, "{column}");
        for none in ["lost", "duplicated", "out_of_order", "corrupted"] {
            assert_eq!(column[none], 0, "{none} in {column}");
        }
        let wire = &column["wire"];
        let counted: u64 = ["set_up", "messages", "closing"]
            .iter()
            .flat_map(|part| ["packets_up", "packets_down"].map(|way| &wire[part][way]))
            .map(|count| count.as_u64().expect("a count"))
            .sum();
        assert_eq!(counted, by_protocol(protocol), "{wire}");
        let latency = &column["latency"];
        let figure = |name: &str| latency[name].as_u64().expect("nanoseconds");
        assert!(figure("min_ns") <= figure("p50_ns"));
        assert!(figure("p50_ns") <= figure("p99_ns"));
        assert!(figure("p99_ns") <= figure("max_ns"));
    }
    // One request and one reply an echo; one packet a datagram.
    assert_eq!(by_protocol(1), 400);
    assert_eq!(by_protocol(17), 200);
}

#[test]
fn nothing_is_wider_than_the_pipes_80_columns_and_ascii_is_ascii() {
    let program = Program::new();
    for arguments in DEMONSTRATIONS {
        for (locale, ascii) in [("C.UTF-8", false), ("C", true)] {
            let Some(mut command) = program.command(As::NobodyWithoutTun, arguments) else {
                return;
            };
            let output = command.env("LC_ALL", locale).output().expect("it runs");
            let out = text(&output.stdout);
            assert!(out.lines().count() > 20);
            for line in out.lines() {
                let width = unicode_width::UnicodeWidthStr::width(line);
                assert!(width <= 80, "{width} columns: {line}");
                assert!(!line.contains('\x1b'), "no colours into a pipe: {line}");
            }
            assert_eq!(out.is_ascii(), ascii, "{arguments:?} {locale}");
        }
    }
}

#[test]
fn colour_comes_when_asked_for_and_changes_no_text() {
    let program = Program::new();
    let arguments = ["compare", "-c", "3", "--color", "always"];
    let Some(output) = program.run(As::NobodyWithoutTun, &arguments) else {
        return;
    };
    assert!(text(&output.stdout).contains("\x1b["));
}

#[test]
fn a_reader_who_has_seen_enough_is_no_error() {
    let program = Program::new();
    for arguments in [
        "tcp",
        "udp --hex full",
        "compare -c 5",
        "tcp --json",
        "--help",
    ] {
        let script = format!(
            "{} {arguments} | head -n 1; exit ${{PIPESTATUS[0]}}",
            program.path().display()
        );
        let output = Command::new("bash")
            .args(["-c", &script])
            .output()
            .expect("bash runs");
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments}: {errors}");
        assert!(
            !errors.contains("panicked") && !errors.contains("EPIPE"),
            "{errors}"
        );
        assert_eq!(text(&output.stdout).lines().count(), 1);
    }
}

/// A full disk is an error in the house form; what can still be shown is shown.
#[test]
fn output_that_takes_no_more_is_an_error() {
    let program = Program::new();
    for arguments in [
        &["tcp"][..],
        &["udp"],
        &["compare", "-c", "3"],
        &["tcp", "--json"],
    ] {
        let mut command = program
            .command(As::Myself, arguments)
            .expect("myself is always possible");
        let full = File::options().write(true).open("/dev/full").expect("it");
        let output = command.stdout(full).output().expect("it runs");
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        let said = "write standard output: no space left on device (ENOSPC)";
        assert!(errors.contains(said), "{arguments:?}: {errors}");
    }
    let output = program.run(As::Myself, &["udp", "--pcap", "/dev/full"]);
    let output = output.expect("it runs");
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("write /dev/full: no space left on device (ENOSPC)"));
    assert!(text(&output.stdout).contains("Delivery: "));
}

#[test]
fn bad_input_says_what_is_wrong_and_exits_with_2() {
    let program = Program::new();
    for (arguments, parts) in [
        (&["tcp", "--port", "70000"][..], &["70000", "--port"][..]),
        (&["tcp", "--port", "0"], &["--port", "must be 1 to 65535"]),
        (
            &["tcp", "--size", "-1"],
            &["-1", "must be 0 to 16777216 bytes"],
        ),
        (&["udp", "-6", "-p", "-1"], &["-1", "must be 1 to 65535"]),
        (
            &["tcp", "--size", "99999999"],
            &["--size", "16777216 bytes"],
        ),
        (
            &["tcp", "--congestion", "none-such"],
            &["none-such", "ENOENT", "this kernel has", "reno"],
        ),
        (
            &["tcp", "--pcap", "/no/such/folder/x"],
            &["create /no/such/folder/x", "ENOENT", "--pcap"],
        ),
        (&["tcp", "-4", "-6"], &["cannot be used with"]),
        (&["udp", "--size", "65508"], &["65507 bytes"]),
        (&["compare", "--count", "0"], &["--count"]),
        (&["compare", "--size", "23"], &["24 to"]),
        (
            &["compare", "--interval", "soon"],
            &["soon", "milliseconds"],
        ),
        (&["udp", "--absolute"], &["--absolute"]),
        (&["ping", "-c", "-1", "h"], &["-1", "must be 1 to"]),
        (&["ping", "-t", "256", "h"], &["must be 1 to 255"]),
        (&["ping", ""], &["host is empty"]),
        (&["ping", "no-such-host.invalid"], &["no-such-host.invalid"]),
        (&["frobnicate"], &["frobnicate"]),
    ] {
        // A look-up must not leave the machine: there is no name server behind a
        // loopback of one's own.
        let who = match arguments[0] {
            "ping" => As::MyselfOnOwnLoopback,
            _ => As::Myself,
        };
        let Some(output) = program.run(who, arguments) else {
            continue;
        };
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        for part in parts {
            assert!(
                errors.contains(part),
                "{arguments:?} should say {part}: {errors}"
            );
        }
    }
}

#[test]
fn a_message_that_is_not_utf_8_is_refused() {
    let program = Program::new();
    let output = Command::new(program.path())
        .args(["tcp", "--message"])
        .arg(std::ffi::OsStr::from_bytes(b"caf\xe9"))
        .output()
        .expect("it runs");
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    for part in ["--message", "UTF-8", "xe9"] {
        assert!(errors.contains(part), "{part}: {errors}");
    }
}

/// More datagrams than a receive buffer holds are all received, for each batch
/// is read before the next is sent.
#[test]
fn three_hundred_datagrams_are_three_hundred_receives() {
    let program = Program::new();
    let messages: Vec<String> = (0..300).map(|number| format!("m{number}")).collect();
    let mut arguments = vec!["udp"];
    for message in &messages {
        arguments.extend(["--message", message]);
    }
    let Some(lines) = program.json(As::NobodyWithTun, &arguments) else {
        return;
    };
    let rows = result(&lines)["result"]["datagrams"]
        .as_array()
        .expect("a list");
    assert_eq!(rows.len(), 304);
    let lost = rows.iter().filter(|row| row["arrival"] == "lost").count();
    assert_eq!(lost, 0);
}

#[test]
fn a_busy_port_is_named_with_a_remedy() {
    let program = Program::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = taken.local_addr().expect("address").port().to_string();
    let output = program
        .run(As::Myself, &["tcp", "--no-link", "--port", &port])
        .expect("it runs");
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    for part in ["bind 127.0.0.1:", "EADDRINUSE", "--port"] {
        assert!(errors.contains(part), "{part}: {errors}");
    }
}

/// Starts a long comparison and returns it when its link is up and packets
/// cross it.
fn long_run(
    program: &Program,
    who: As,
) -> Option<(std::process::Child, BufReader<std::process::ChildStdout>)> {
    let mut command = program.command(who, &["compare", "-c", "1000000", "-i", "5", "--json"])?;
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    while !line.contains("\"type\":\"packet\"") {
        line.clear();
        assert!(
            lines.read_line(&mut line).expect("a line") > 0,
            "it ended early"
        );
    }
    Some((child, lines))
}

#[test]
fn an_interrupt_ends_the_sending_and_shows_the_figures() {
    let program = Program::new();
    let Some((mut child, mut lines)) = long_run(&program, As::Myself) else {
        return;
    };
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    kill(pid, Signal::SIGINT).expect("kill");
    let mut rest = String::new();
    lines.read_to_string(&mut rest).expect("the output ends");
    assert!(child.wait().expect("it ended").success());
    let last: Value = serde_json::from_str(rest.lines().last().expect("a line")).expect("JSON");
    assert_eq!(last["type"], "result");
    let sent = |kind: usize| last["result"]["kinds"][kind].to_string();
    assert!(sent(1).contains("\"lost\":0"), "{}", sent(1));
}

/// Network namespaces that some process is in, those of this machine's other
/// tests included.
fn namespaces_of(pid: u32) -> BTreeSet<String> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
    tasks
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|task| std::fs::read_link(task.path().join("ns/net")).ok())
        .map(|link| link.to_string_lossy().into_owned())
        .collect()
}

/// The same with descriptors of them.
fn open_namespaces_of(pid: u32) -> BTreeMap<String, File> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    tasks
        .flatten()
        .map(|task| task.path().join("ns/net"))
        .filter_map(|path| {
            let namespace = File::open(path).ok()?;
            let descriptor = format!("/proc/self/fd/{}", namespace.as_raw_fd());
            let name = std::fs::read_link(descriptor).ok()?;
            Some((name.to_string_lossy().into_owned(), namespace))
        })
        .collect()
}

fn named_namespaces() -> BTreeSet<OsString> {
    let names = std::fs::read_dir("/run/netns").into_iter().flatten();
    names.flatten().map(|entry| entry.file_name()).collect()
}

fn all_namespaces() -> BTreeSet<String> {
    let processes = std::fs::read_dir("/proc").expect("/proc");
    processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_string_lossy().parse().ok())
        .flat_map(namespaces_of)
        .collect()
}

#[test]
fn a_killed_run_leaves_nothing_behind() {
    let program = Program::new();
    for who in [As::Myself, As::NobodyWithTun, As::NobodyWithoutTun] {
        let own = namespaces_of(std::process::id());
        let named = named_namespaces();
        let Some((mut child, mut lines)) = long_run(&program, who) else {
            return;
        };
        // Held open, so that no other test's namespace gets their numbers.
        let held = open_namespaces_of(child.id());
        let private: BTreeSet<String> = held.keys().cloned().collect();
        let private: BTreeSet<String> = private.difference(&own).cloned().collect();
        assert!(private.len() >= 2, "{who:?}: two hosts, {private:?}");
        kill(
            Pid::from_raw(i32::try_from(child.id()).expect("a pid")),
            Signal::SIGKILL,
        )
        .expect("kill");
        // The end of its output is the end of its last thread's descriptors.
        let mut rest = Vec::new();
        lines.read_to_end(&mut rest).expect("the output ends");
        child.wait().expect("it is reaped");
        let left: Vec<String> = all_namespaces().intersection(&private).cloned().collect();
        assert!(left.is_empty(), "{who:?}: somebody still lives in {left:?}");
        let devices = std::fs::read_to_string("/proc/net/dev").expect("/proc/net/dev");
        for name in ["wire0", "to-client", "to-server"] {
            assert!(!devices.contains(name), "{who:?} left {name}");
        }
        assert_eq!(named_namespaces(), named, "{who:?} left a named namespace");
    }
}

/// What people read of a run, with what changes from run to run masked. The
/// ladder has its own snapshots on fixed events.
#[test]
fn the_datagram_report_reads_like_this() {
    let program = Program::new();
    let Some(output) = program.run(As::NobodyWithTun, &["udp"]) else {
        return;
    };
    let out = text(&output.stdout);
    let report = out
        .split_once("── Sockets")
        .expect("the report follows the ladder")
        .1;
    insta::assert_snapshot!(masked_ports(report));
}

/// Port numbers that the kernel chose, by their length.
fn masked_ports(text: &str) -> String {
    let mut out = String::new();
    let mut digits = String::new();
    for letter in text.chars().chain(std::iter::once('\n')) {
        if letter.is_ascii_digit() {
            digits.push(letter);
            continue;
        }
        let chosen = digits.len() == 5;
        out.push_str(if chosen { "PPPPP" } else { &digits });
        digits.clear();
        out.push(letter);
    }
    out
}

/// However long the link holds what is waited for.
#[test]
fn an_interrupt_ends_a_demonstration_that_waits() {
    let program = Program::new();
    for arguments in [
        ["tcp", "--loss", "100%", "--json"],
        ["udp", "--delay", "1000s", "--json"],
    ] {
        let Some(mut command) = program.command(As::Myself, &arguments) else {
            return;
        };
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        while !line.contains("SO_SNDTIMEO") && !line.contains("\"sendto\"") {
            line.clear();
            let length = lines.read_line(&mut line).expect("a line");
            assert!(length > 0, "{arguments:?} ended early");
        }
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
        kill(pid, Signal::SIGINT).expect("kill");
        let mut rest = String::new();
        lines.read_to_string(&mut rest).expect("the output ends");
        let output = child.wait_with_output().expect("it ended");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(text(&output.stderr).contains("socklab: interrupted"));
    }
}

/// Even where the arguments themselves are refused, and colour is wanted.
#[test]
fn control_characters_in_refused_arguments_do_not_reach_the_terminal() {
    for arguments in [&["\u{8}back"][..], &["tcp", "--\u{7}bell"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_socklab"))
            .args(arguments)
            .env("CLICOLOR_FORCE", "1")
            .output()
            .expect("it runs");
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{told}");
        let control = |letter: char| letter.is_control() && letter != '\n';
        assert!(!told.contains(control), "{told:?}");
        assert!(told.contains("Usage: socklab"), "{told}");
    }
}
