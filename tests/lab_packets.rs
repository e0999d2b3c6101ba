//! What `socklab lab` does to packets, records of them and says of them, held
//! against the programs that sent and received them.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use support::program::{As, Program, text};
use support::tshark;

fn lab(arguments: &[&str]) -> Option<Output> {
    if !support::may_make_namespaces("a lab") {
        return None;
    }
    let program = Program::new();
    let mut command = program.command(As::Myself, &["lab"])?;
    Some(command.args(arguments).output().expect("it starts"))
}

fn succeeded(output: &Output) -> String {
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    said
}

/// A file's place, and its path for the command line.
fn file(folder: &tempfile::TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

/// Sends numbered datagrams of several lengths to a port that somebody holds.
const SENDER: &str = "import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(400):
    s.sendto(bytes([number % 256]) * (1 + 7 * number % 900), ('server', 9))";

const HOLDER: &str = "exec python3 -c \"
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('', 9))
while True: s.recv(2000)\"";

/// The lines of a fates file with the times taken out.
fn fates(path: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("the file of fates");
    text.lines()
        .map(|line| {
            let mut line: Value = serde_json::from_str(line).expect("JSON");
            let fields = line.as_object_mut().expect("an object");
            for time in ["sent_at_ns", "due_at_ns", "delivered_at_ns"] {
                fields.remove(time);
            }
            // The kernel chooses another port each time.
            fields.remove("source");
            line
        })
        .collect()
}

#[test]
fn the_same_seed_writes_the_same_file_of_fates() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let bad = "loss 10% 25% duplicate 5% corrupt 5% delay 5ms reorder 10%";
    let run = |name: &str, seed: &str, load: usize| {
        let path = file(&folder, name);
        let busy = (0..load).map(|_| Command::new("yes").stdout(Stdio::null()).spawn());
        let busy: Vec<_> = busy.map(|child| child.expect("yes(1) starts")).collect();
        let arguments = [
            "--link", bad, "--seed", seed, "--fates", &path, "--server", HOLDER, "--ready",
            "udp:9", "--", "python3", "-c", SENDER,
        ];
        let output = lab(&arguments);
        for mut child in busy {
            child.kill().expect("it runs");
            child.wait().expect("it ends");
        }
        succeeded(&output?);
        Some(fates(&path))
    };
    let Some(quiet) = run("quiet", "9", 0) else {
        return;
    };
    let loaded = run("loaded", "9", 4).expect("a lab");
    let other = run("other", "10", 0).expect("a lab");
    let header = &quiet[0];
    assert_eq!(
        (&header["format"], &header["seed"]),
        (&Value::from("socklab-fates"), &Value::from(9))
    );
    let offered = quiet[1..]
        .iter()
        .filter(|packet| packet["copy_of"].is_null());
    assert_eq!(offered.count(), 400);
    // Which packets a delayed one overtakes depends on when they were sent; all
    // that was drawn does not.
    let drawn = |packets: &[Value]| -> Vec<Value> {
        let mut packets = packets.to_vec();
        for packet in &mut packets {
            packet
                .as_object_mut()
                .expect("an object")
                .remove("reordered");
        }
        packets
    };
    assert_eq!(drawn(&quiet), drawn(&loaded));
    assert_ne!(drawn(&quiet)[1..], drawn(&other)[1..]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "most of them are a command line")]
fn both_hosts_packets_are_a_file_that_tshark_reads() {
    if !tshark::is_installed() {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = file(&folder, "both.pcapng");
    let arguments = [
        "--delay",
        "5ms",
        "--drop",
        "c2s echo#2",
        "--corrupt",
        "0",
        "--pcap",
        &path,
        "--pcap-at",
        "both",
        "--",
        "ping",
        "-4",
        "-c",
        "4",
        "-i",
        "0.02",
        "-W",
        "0.1",
        "server",
    ];
    let Some(output) = lab(&arguments) else {
        return;
    };
    let said = succeeded(&output);
    assert!(said.contains("drop c2s echo#2"), "{said}");
    let shown = Command::new("tshark")
        .args(["-r", &path, "-T", "fields"])
        .args([
            "-e",
            "frame.interface_name",
            "-e",
            "icmp.type",
            "-e",
            "icmp.seq",
        ])
        .args(["-e", "frame.comment"])
        .output()
        .expect("tshark starts");
    let shown = text(&shown.stdout);
    let rows: Vec<Vec<&str>> = shown
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    let seen = |interface: &str, kind: &str| -> Vec<&str> {
        rows.iter()
            .filter(|row| row[0] == interface && row[1] == kind)
            .map(|row| row[2])
            .collect()
    };
    assert_eq!(seen("client", "8"), ["1", "2", "3", "4"]);
    assert_eq!(seen("server", "8"), ["1", "3", "4"]);
    assert_eq!(seen("server", "0"), ["1", "3", "4"]);
    assert_eq!(seen("client", "0"), ["1", "3", "4"]);
    let lost: Vec<&Vec<&str>> = rows.iter().filter(|row| row[3].contains("lost")).collect();
    assert_eq!(lost.len(), 1, "{rows:?}");
    assert!(lost[0][3].contains("drop c2s echo#2"), "{lost:?}");
}

/// ping's own count of losses, duplicates and late replies is the account's.
#[test]
fn ping_counts_what_the_account_says() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = file(&folder, "fates");
    let arguments = [
        "--loss",
        "20%",
        "--duplicate",
        "20%",
        "--seed",
        "5",
        "--fates",
        &path,
        "--",
        "ping",
        "-4",
        "-c",
        "200",
        "-i",
        "0.002",
        "-W",
        "0.2",
        "server",
    ];
    let Some(output) = lab(&arguments) else {
        return;
    };
    let out = text(&output.stdout);
    let mut requests = 0;
    let (mut answered, mut replies) = (std::collections::BTreeSet::new(), 0);
    for packet in &fates(&path)[1..] {
        let is_original = packet["copy_of"].is_null();
        match (packet["direction"].as_str(), packet["fate"].as_str()) {
            (Some("client_to_server"), _) => requests += u64::from(is_original),
            (_, Some("delivered")) => {
                replies += 1;
                answered.insert(packet["flow_packet"].as_u64());
            }
            _ => {}
        }
    }
    assert_eq!(requests, 200, "{out}");
    let lines = out.lines().filter(|line| line.contains("bytes from"));
    assert_eq!(lines.count(), replies, "{out}");
    let received = out
        .lines()
        .find_map(|line| {
            line.split_once(" packets transmitted, ")?
                .1
                .split_once(" received")
        })
        .and_then(|(count, _)| count.parse::<usize>().ok())
        .expect("ping's summary");
    let duplicates = out.matches("(DUP!)").count();
    assert_eq!(received + duplicates, replies, "{out}");
}

#[test]
fn a_wire_that_is_late_fails_where_that_matters() {
    let ping = ["--", "ping", "-c", "3", "-i", "0.002", "server"];
    let run = |options: &[&str]| lab(&[options, &ping].concat());
    let Some(output) = run(&["--delay", "1ms", "--strict", "1ns"]) else {
        return;
    };
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("socklab: --strict 1ns: "), "{said}");
    let punctual = run(&["--delay", "1ms", "--spin", "1ms", "--strict", "60s"]).expect("a lab");
    succeeded(&punctual);
}

#[test]
fn the_fast_mode_says_what_it_is_and_takes_nothing_else() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let count = file(&folder, "count");
    let made = Command::new("mkfifo").arg(&count).status();
    assert!(made.expect("mkfifo(1) starts").success());
    let server = format!("nc -lN 9 </dev/null | (bytes=$(wc -c); echo $bytes >{count})");
    let client = format!("head -c 20000000 /dev/zero | nc -N server 9; cat {count}");
    let transfer = ["--fast", "--server", &server, "--", "sh", "-c", &client];
    let Some(output) = lab(&transfer) else {
        return;
    };
    let said = succeeded(&output);
    assert!(
        said.contains("fast: uncut packets of up to 64 KiB"),
        "{said}"
    );
    assert_eq!(text(&output.stdout).trim(), "20000000", "{said}");
    for also in [&["--loss", "1%"][..], &["--pcap", "x"], &["--fates", "x"]] {
        let arguments = [&["--fast"], also, &["--", "true"]].concat();
        let output = lab(&arguments).expect("a lab");
        assert_eq!(output.status.code(), Some(2), "{also:?}");
        assert!(text(&output.stdout).is_empty(), "{also:?}");
    }
}

/// The program ends when the live line has been seen.
#[test]
fn the_live_line_is_told_apart_from_the_programs_output() {
    if !support::may_make_namespaces("a lab") {
        return;
    }
    let program = Program::new();
    let arguments = ["lab", "--live", "--", "sh", "-c", "echo mine; cat"];
    let mut command = program.command(As::Myself, &arguments).expect("myself");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
    let said = BufReader::new(child.stderr.take().expect("piped"));
    let mut input = child.stdin.take();
    let mut live = 0;
    for line in said.lines() {
        if line.expect("text").contains(" s  →") {
            live += 1;
            input = None;
        }
    }
    assert!(live > 0 && input.is_none());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    assert_eq!(text(&output.stdout), "mine\n");
}

#[test]
fn the_account_can_be_left_out() {
    let Some(output) = lab(&["--quiet", "--", "echo", "mine"]) else {
        return;
    };
    assert_eq!(succeeded(&output), "");
    assert_eq!(text(&output.stdout), "mine\n");
}

#[test]
fn a_file_that_cannot_be_written_is_an_error() {
    for option in ["--pcap", "--fates"] {
        let arguments = [option, "/dev/full", "--", "ping", "-c", "1", "server"];
        let Some(output) = lab(&arguments) else {
            return;
        };
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{option}: {said}");
        assert!(
            said.contains("/dev/full: ") && said.contains("ENOSPC"),
            "{said}"
        );
    }
}

/// What is said besides does not change what the program's exit code is.
#[test]
fn nobody_who_listens_on_standard_error_changes_nothing() {
    if !support::may_make_namespaces("a lab") {
        return;
    }
    let program = Program::new();
    for (arguments, code) in [
        (&["lab", "--live", "--", "sh", "-c", "exit 7"][..], 7),
        (
            &["lab", "-q", "--rate", "10mbps", "--", "sh", "-c", "exit 7"],
            7,
        ),
        (&["lab", "--drop", "foo", "--", "true"], 2),
    ] {
        let mut command = program.command(As::Myself, arguments).expect("myself");
        let full = std::fs::File::create("/dev/full").expect("it is there");
        let status = command.stderr(full).status().expect("it starts");
        assert_eq!(status.code(), Some(code), "{arguments:?}");
    }
}

/// A reader who does not read holds nothing up, and is told of.
#[test]
fn a_reader_who_does_not_read_does_not_hold_up_the_wire() {
    if !support::may_make_namespaces("a lab") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = file(&folder, "fifo");
    let made = Command::new("mkfifo").arg(&path).status();
    assert!(made.expect("mkfifo(1) starts").success());
    let program = Program::new();
    let ping = [
        "--", "ping", "-c", "200", "-i", "0.002", "-s", "1400", "server",
    ];
    for option in ["--pcap", "--fates"] {
        // Nobody reads: that is an error, not a wait.
        let output = lab(&[option, &path, "--", "true"]).expect("a lab");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("start the reader of"), "{said}");

        let reader = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .expect("a FIFO opened for both does not wait");
        let mut command = program.command(As::Myself, &["lab", option, &path]);
        let command = command.as_mut().expect("myself").args(ping);
        let output = command.output().expect("it starts");
        let (out, said) = (text(&output.stdout), text(&output.stderr));
        assert!(out.contains(" 200 received, 0% packet loss"), "{out}");
        assert!(said.contains("its reader does not read on"), "{said}");
        assert_eq!(output.status.code(), Some(2), "{said}");
        drop(reader);
    }
}

#[test]
fn frames_that_are_no_ip_have_a_fate_too() {
    let frames = "import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(('wire0', 0))
for number in range(10): s.send(bytes([0xf0]) * 60)";
    let Some(output) = lab(&["--", "python3", "-c", frames]) else {
        return;
    };
    let said = succeeded(&output);
    assert!(said.contains("not an IP packet"), "{said}");
    assert!(said.contains("✓ The link itself lost nothing."), "{said}");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = file(&folder, "one");
    for (options, expected) in [
        (&["--pcap", &path, "--fates", &path][..], "it is both"),
        (&["--pcap", "-"], "standard output is the program's"),
        (
            &["--congestion", "none-such"],
            "choose congestion control none-such",
        ),
    ] {
        let Some(output) = lab(&[options, &["--", "true"]].concat()) else {
            return;
        };
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{options:?}: {said}");
        assert!(said.contains(expected), "{options:?}: {said}");
    }
}
