//! `socklab compare`: what it sends, what it says of losses, and how it ends.

mod support;

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use support::program::{As, Program, text};

fn result(lines: &[Value]) -> &Value {
    &lines.last().expect("at least one line")["result"]
}

/// Starts it with `--json` and returns when its client has sent something.
fn started(
    program: &Program,
    who: As,
    arguments: &[&str],
) -> Option<(std::process::Child, BufReader<std::process::ChildStdout>)> {
    let mut command = program.command(who, arguments)?;
    let mut child = command
        .arg("--json")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    while !line.contains("\"udp client\",\"name\":\"sendto\"") {
        line.clear();
        assert!(
            lines.read_line(&mut line).expect("a line") > 0,
            "it ended early"
        );
    }
    Some((child, lines))
}

/// The kernel aborts the connection (SOCK_DESTROY): the next send fails, and
/// nobody waits for messages that will not come.
#[test]
fn a_connection_that_is_aborted_is_an_error_and_no_hang() {
    let program = Program::new();
    let arguments = ["compare", "--no-link", "-c", "1000000", "-i", "5"];
    let Some((child, mut lines)) = started(&program, As::MyselfOnOwnLoopback, &arguments) else {
        return;
    };
    let aborted = Command::new("nsenter")
        .args(["-n", "-t", &child.id().to_string()])
        .args(["ss", "--tcp", "--kill", "state", "established"])
        .stdout(Stdio::null())
        .status()
        .expect("nsenter runs");
    assert!(aborted.success(), "ss --kill, of iproute2");
    lines.read_to_string(&mut String::new()).expect("it ends");
    let output = child.wait_with_output().expect("it ended");
    let errors = text(&output.stderr);
    assert!(matches!(output.status.code(), Some(1 | 2)), "{errors}");
    assert!(errors.contains("socklab: "), "{errors}");
}

#[test]
fn an_interrupt_ends_a_long_interval_and_says_what_was_sent() {
    let program = Program::new();
    let arguments = ["compare", "-c", "1000000", "-i", "3600000"];
    let Some((child, mut lines)) = started(&program, As::Myself, &arguments) else {
        return;
    };
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    kill(pid, Signal::SIGINT).expect("kill");
    let mut rest = String::new();
    lines.read_to_string(&mut rest).expect("it ends");
    let output = child.wait_with_output().expect("it ended");
    let errors = text(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(errors.contains("1 of 1000000 messages"), "{errors}");
    let last: Value = serde_json::from_str(rest.lines().last().expect("a line")).expect("JSON");
    let result = &last["result"];
    assert_eq!(result["interrupted"], true);
    assert_eq!(result["planned"], 1_000_000);
    assert_eq!(result["sent_messages"], 1);
}

#[test]
fn figures_of_a_message_do_not_depend_on_how_many_there_are() {
    let program = Program::new();
    for count in ["1", "50"] {
        let arguments = ["compare", "-c", count, "-s", "101"];
        let Some(lines) = program.json(As::NobodyWithTun, &arguments) else {
            return;
        };
        let count: u64 = count.parse().expect("a number");
        let kinds = &result(&lines)["kinds"];
        assert_eq!(kinds[0]["wire"]["set_up"]["packets_up"], 2);
        assert_eq!(kinds[1]["wire"]["messages"]["bytes"], count * 129);
        assert_eq!(kinds[2]["wire"]["messages"]["bytes"], count * 2 * 129);
        assert_eq!(kinds[1]["reads_of_one_message"], count);
    }
}

/// On a link, what was lost is what the receiving sockets dropped; the program
/// itself holds them against each other and would fail.
#[test]
fn losses_have_a_cause() {
    let program = Program::new();
    let arguments = ["compare", "-c", "4000", "-i", "0", "-s", "1400"];
    let Some(lines) = program.json(As::NobodyWithTun, &arguments) else {
        return;
    };
    for kind in [1, 2] {
        let column = &result(&lines)["kinds"][kind];
        let count = |key: &str| column[key].as_u64().expect("a count");
        let known = count("dropped_at_receiver") + count("not_sent");
        assert_eq!(count("lost"), known, "{column}");
    }
}

#[test]
fn loopback_shows_the_echoes_too() {
    let program = Program::new();
    for family in ["-4", "-6"] {
        let arguments = ["compare", "--no-link", family, "-c", "5"];
        let Some(lines) = program.json(As::MyselfOnOwnLoopback, &arguments) else {
            return;
        };
        let raw = &result(&lines)["kinds"][2];
        assert_eq!(raw["delivered"], 5, "{raw}");
        assert_eq!(raw["wire"]["messages"]["packets_up"], 5, "{raw}");
    }
}

const ALL: &str = "tcp,tcp-nodelay,udp,udp-connected,raw-icmp,raw-ip,icmp-datagram";

/// The program holds its own figures, the kernels' and the wire's against each
/// other and fails where they differ; so success is the proof.
#[test]
fn every_kinds_figures_are_the_wires_over_a_bad_link() {
    let program = Program::new();
    for (family, seed) in [("-4", "7"), ("-6", "8")] {
        let arguments = [
            "compare",
            family,
            "--kinds",
            ALL,
            "-c",
            "400",
            "-s",
            "24..1400",
            "--loss",
            "5%",
            "--duplicate",
            "5%",
            "--corrupt",
            "4%",
            "--delay",
            "5ms",
            "--jitter",
            "3ms",
            "--seed",
            seed,
        ];
        let Some(lines) = program.json(As::NobodyWithTun, &arguments) else {
            return;
        };
        let kinds = result(&lines)["kinds"].as_array().expect("kinds");
        assert_eq!(kinds.len(), 7);
        for column in kinds {
            let count = |key: &str| column[key].as_u64().expect("a count");
            assert_eq!(count("delivered") + count("lost"), 400, "{column}");
            if column["kind"].as_str().expect("a name").starts_with("tcp") {
                assert_eq!(count("lost"), 0, "{column}");
                assert_eq!(column["retransmitted"], column["wire"]["retransmitted"]);
                assert!(count("retransmitted") > 0, "{column}");
                continue;
            }
            let reached = &column["wire"]["reached"];
            let whole = count("delivered") + count("duplicated");
            let refused = reached["refused"].as_u64().expect("a count");
            let intact = reached["intact"].as_u64().expect("a count");
            let dropped = count("dropped_at_receiver") - refused;
            assert_eq!(whole + dropped, intact, "{column}");
            assert!(count("lost") > 0 && count("duplicated") > 0, "{column}");
            assert!(count("out_of_order") > 0, "{column}");
        }
    }
}

/// Fragments too: a message is lost with any of them, and the kernel's own
/// reassembly is foretold.
#[test]
fn messages_in_fragments_agree_with_the_wire() {
    let program = Program::new();
    let kinds = "udp,udp-connected,raw-icmp,raw-ip,icmp-datagram";
    for (family, damage) in [("-4", "4%"), ("-6", "0%")] {
        let arguments = [
            "compare",
            family,
            "--kinds",
            kinds,
            "-c",
            "300",
            "-s",
            "24..4000",
            "--loss",
            "5%",
            "--duplicate",
            "5%",
            "--corrupt",
            damage,
            "--delay",
            "5ms",
            "--jitter",
            "3ms",
            "--seed",
            "3",
        ];
        let Some(lines) = program.json(As::NobodyWithTun, &arguments) else {
            return;
        };
        for column in result(&lines)["kinds"].as_array().expect("kinds") {
            assert_eq!(column["wire"]["reached"]["exact"], true, "{column}");
            assert!(column["wire"]["fragments"].as_u64() > Some(0), "{column}");
        }
    }
}

/// Fates are drawn by flow and place in it, not by time.
#[test]
fn one_seed_loses_the_same_messages_at_once_and_in_turn() {
    let program = Program::new();
    let mut losses = Vec::new();
    for order in ["--at-once", "--sequential"] {
        let arguments = [
            "compare", order, "-c", "200", "--loss", "10%", "--seed", "4",
        ];
        let Some(lines) = program.json(As::NobodyWithTun, &arguments) else {
            return;
        };
        let lost: Vec<_> = lines
            .iter()
            .filter(|line| line["type"] == "delivery" && line["arrival"] == "lost")
            .map(|line| (line["variant"].clone(), line["number"].clone()))
            .collect();
        assert!(!lost.is_empty());
        let expected = match order {
            "--sequential" => "in_turn",
            _ => "at_once",
        };
        assert_eq!(result(&lines)["order"], expected);
        losses.push(lost);
    }
    assert_eq!(losses[0], losses[1]);
}

/// The run's own clock says that the schedule was kept.
#[test]
fn a_schedule_ends_when_it_says() {
    let program = Program::new();
    let arguments = ["compare", "-c", "500", "-i", "2", "-s", "100,500,1400"];
    let Some(lines) = program.json(As::NobodyWithTun, &arguments) else {
        return;
    };
    for column in result(&lines)["kinds"].as_array().expect("kinds") {
        let time = |key: &str| column[key].as_u64().expect("a time");
        let took = time("sent_until_ns") - time("started_at_ns");
        assert!((998_000_000..1_998_000_000).contains(&took), "{took}");
        assert_eq!(column["lost"], 0, "{column}");
    }
}

/// tshark counts what TCP sent again from the same packets, by rules of its own.
#[test]
fn tshark_counts_the_same_retransmissions() {
    if !support::tshark::is_installed() {
        return support::skipped("counting retransmissions with tshark", "tshark");
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("compare.pcapng");
    let file = path.to_str().expect("UTF-8");
    let program = Program::new();
    for (family, seed) in [("-4", "3"), ("-6", "4")] {
        let arguments = [
            "compare", family, "--kinds", "tcp", "-c", "500", "-s", "1000", "--loss", "3%",
            "--delay", "10ms", "--seed", seed, "--pcap", file,
        ];
        let Some(lines) = program.json(As::Myself, &arguments) else {
            return;
        };
        let column = &result(&lines)["kinds"][0];
        // What comes again soon after a gap Wireshark may take for out of order.
        let again = "tcp.dstport == 5073 && (tcp.analysis.retransmission \
                     || tcp.analysis.spurious_retransmission || tcp.analysis.out_of_order)";
        let counted = Command::new("tshark")
            .args([
                "-r",
                file,
                "-Y",
                again,
                "-T",
                "fields",
                "-e",
                "frame.number",
            ])
            .output()
            .expect("tshark starts");
        let theirs = text(&counted.stdout).lines().count() as u64;
        assert_eq!(column["retransmitted"].as_u64(), Some(theirs), "{column}");
        assert_eq!(column["wire"]["retransmitted"].as_u64(), Some(theirs));
        assert!(theirs > 5, "{column}");
    }
}
