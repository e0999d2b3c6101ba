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
