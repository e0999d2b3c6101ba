//! The link's options as their users meet them: bad ones refused with their
//! place, surprising ones warned of, and every command ends on a bad link.

mod support;

use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::program::{As, Program, text};

/// Wrong usage is exit code 2, says what is wrong and where, and prints no
/// result.
#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn bad_settings_are_refused_with_their_place() {
    let program = Program::new();
    for (arguments, parts) in [
        (
            &["tcp", "--loss", "120%"][..],
            &["loss \"120%\"", "0% and 100%", "--loss 120%", "^^^^"][..],
        ),
        (&["tcp", "--loss", "-5%"], &["loss \"-5%\"", "0% and 100%"]),
        (
            &["udp", "--reorder", "25%"],
            &["reorder without a delay", "delay 20ms"],
        ),
        (
            &["udp", "--delay", "9ms", "--gap", "5"],
            &["gap without a probability", "--gap 5"],
        ),
        (
            &["udp", "--burst", "4"],
            &["burst without loss", "loss 5% burst 4"],
        ),
        (&["tcp", "--delay", "20"], &["without its unit", "20ms"]),
        (
            &["tcp", "--link", "delay 20ms lose 5%"],
            &["--link", "did you mean loss?", "^^^^"],
        ),
        (
            &["compare", "--profile", "5g"],
            &["5g", "satellite", "560 ms", "wifi"],
        ),
        (
            &["compare", "--rate-trace", "/no/such/trace"],
            &["/no/such/trace", "ENOENT"],
        ),
        (
            &["tcp", "--drop", "c2s dato#3"],
            &["dato", "retrans", "every N"],
        ),
        (
            &["tcp", "--at", "2s", "up lose 5%"],
            &["--at", "did you mean loss?"],
        ),
        (&["tcp", "--at", "2", "loss 5%"], &["without its unit"]),
        (
            &["tcp", "--up", "down loss 5%"],
            &["--up", "other direction"],
        ),
        (&["tcp", "--queue", "10"], &["queue without a rate"]),
        (
            &["tcp", "--rate", "1mbit", "--aqm", "pie"],
            &["pie", "codel"],
        ),
        (&["tcp", "--mtu", "1000"], &["--mtu", "IPv6 needs 1280"]),
        (&["tcp", "--seed", "x"], &["--seed", "whole number"]),
        (&["tcp", "--timeout", "0"], &["--timeout", "1 to 86400"]),
        (
            &["tcp", "--no-link", "--loss", "5%"],
            &["--no-link", "loopback"],
        ),
        (&["ping", "localhost", "--loss", "5%"], &["--link"]),
        (&["ping", "--link", "lose 5%"], &["did you mean loss?"]),
        (
            &["tcp", "--rate-trace", "/dev/zero"],
            &["/dev/zero", "line 1 is longer than 4096 bytes"],
        ),
        (
            &["lab", "--dealy", "20ms", "--", "true"],
            &["unexpected argument '--dealy'", "similar", "'--delay'"],
        ),
        (
            &["tcp", "--rate", "1mbit", "--overhead", "-2000"],
            &["an overhead of -2000 leaves nothing", "^^^^"],
        ),
        (&["udp", "--link", "limit 0"], &["loses every packet"]),
        (
            &["tcp", "--seed", "1", "--link", "seed 2"],
            &["one seed, and --link says 2"],
        ),
        (&["tcp", "--up", "seed 4"], &["--up", "the whole run"]),
        (&["tcp", "--at", "2s", "loss 5%; seed 4"], &["whole run"]),
        (&["udp", "--drop", "5"], &["--loss 5%", "every 5"]),
        (&["udp", "--loss", "5%", "--burst", "0"], &["at least 1"]),
        (
            &["tcp", "--hold", "syn"],
            &["the time is missing", "hold 'syn#1 200ms'"],
        ),
        (
            &["tcp", "--link", "dev eth0 root netem delay 5ms"],
            &["only what follows netem"],
        ),
        (
            &["tcp", "--loss", "5 % 25%"],
            &["write 5% without the space"],
        ),
        (&["tcp", "--rate", "10 mbit"], &["10mbit without the space"]),
        (
            &["tcp", "--drop", "c2s \u{1b}[31m"],
            &["\\u{1b}[31m", "^^^^"],
        ),
        (&["tcp", "--profile", "\u{1b}[31m"], &["\\u{1b}[31m"]),
    ] {
        let output = program.run(As::Myself, arguments).expect("it runs");
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert!(!errors.contains('\u{1b}'), "{arguments:?}: {errors:?}");
        for part in parts {
            assert!(
                errors.contains(part),
                "{arguments:?} should say {part}: {errors}"
            );
        }
    }
}

/// A trace that ends at 0 is named with its file.
#[test]
fn a_trace_is_checked_before_anything_runs() {
    let program = Program::new();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("my trace");
    std::fs::write(&file, "0\n0\n").expect("it is written");
    let file = file.to_str().expect("UTF-8");
    let output = program
        .run(As::Myself, &["tcp", "--rate-trace", file])
        .expect("it runs");
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(
        errors.contains("ends at 0 ms") && errors.contains("my trace"),
        "{errors}"
    );
}

/// However long a trace is, no more of it is read than is worth it.
#[test]
fn a_trace_of_any_length_is_not_read() {
    let program = Program::new();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("long");
    let megabyte = "1\n".repeat(1 << 19);
    let mut written = std::fs::File::create(&file).expect("it is created");
    for _ in 0..65 {
        written
            .write_all(megabyte.as_bytes())
            .expect("it is written");
    }
    let file = file.to_str().expect("UTF-8");
    let output = program
        .run(As::Myself, &["tcp", "--rate-trace", file])
        .expect("it runs");
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("longer than 64 MiB"), "{errors}");
}

/// In a lab, times count from the program's start: here the server is ready only
/// after a time at which all would be lost, and the first answer comes all the
/// same; then all is lost.
#[test]
fn a_schedule_waits_for_a_late_server() {
    if !support::may_make_namespaces("a lab") {
        return;
    }
    let program = Program::new();
    let arguments = [
        "lab",
        "--server",
        "sleep 2.5; exec nc -l 9",
        "--ready",
        "tcp:9",
        "--at",
        "2s",
        "loss 100%",
        "--",
        "sh",
        "-c",
        "ping -q -c 1 -W 1 server && while ping -q -c 1 -W 0.5 server; do :; done",
    ];
    let Some(output) = program.run(As::NobodyWithTun, &arguments) else {
        return;
    };
    let (said, errors) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}{errors}");
    assert!(said.contains(" 0% packet loss"), "{said}{errors}");
    assert!(said.contains("100% packet loss"), "{said}{errors}");
}

/// Where no namespace can be made, what was asked of the link cannot be had.
#[test]
fn link_options_do_not_fall_back_to_loopback() {
    let program = Program::new();
    let Some(output) = program.run(As::WithoutNamespaces, &["udp", "--loss", "5%"]) else {
        return;
    };
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(
        errors.contains("unshare") && output.stdout.is_empty(),
        "{errors}"
    );
}

/// The description that a run prints gives the same run again.
#[test]
fn what_a_run_prints_describes_it() {
    let program = Program::new();
    let arguments = [
        "udp",
        "--link",
        "delay 100ms",
        "--loss",
        "10% 25%",
        "--json",
    ];
    let Some(output) = program.run(As::NobodyWithTun, &arguments) else {
        return;
    };
    let errors = text(&output.stderr);
    assert!(
        errors.contains("socklab: warning: limit 1000 packets"),
        "{errors}"
    );
    assert!(errors.contains("collapses the rate"), "{errors}");
    let lines = text(&output.stdout);
    let last: Value = serde_json::from_str(lines.lines().last().expect("a line")).expect("JSON");
    let plan = last["result"]["plan"].as_str().expect("a description");
    let seed = last["result"]["link"]["seed"].as_u64().expect("a seed");
    assert_eq!(
        plan,
        format!("loss 10% 25% limit 1000 delay 100ms; seed {seed}")
    );
}

/// Later options go over earlier ones: profile, --link, single ones, --up.
#[test]
fn options_go_over_each_other() {
    let program = Program::new();
    let arguments = [
        "udp",
        "--profile",
        "lan",
        "--link",
        "delay 1ms",
        "--delay",
        "2ms",
        "--up",
        "delay 3ms",
        "--mtu",
        "1400",
        "--seed",
        "7",
        "--json",
    ];
    let Some(output) = program.run(As::NobodyWithTun, &arguments) else {
        return;
    };
    let lines = text(&output.stdout);
    let last: Value = serde_json::from_str(lines.lines().last().expect("a line")).expect("JSON");
    let rest = "rate 1gbit 38";
    assert_eq!(
        last["result"]["plan"],
        format!("up limit 1000 delay 3ms {rest}; down limit 1000 delay 2ms {rest}; seed 7")
    );
}

/// No command hangs, whatever is lost; each says how it went.
#[test]
fn every_command_ends_on_a_bad_link() {
    let program = Program::new();
    for (arguments, code, said) in [
        (
            &["tcp", "--loss", "100%", "--timeout", "2"][..],
            1,
            "nothing came back in time",
        ),
        (
            &["tcp", "--drop", "s2c synack", "--timeout", "2"],
            1,
            "connect",
        ),
        (
            &["tcp", "--drop", "c2s data", "--timeout", "2"],
            1,
            "recv on connection",
        ),
        (&["udp", "--loss", "100%"], 0, ""),
        (
            &["compare", "-c", "5", "--loss", "100%", "--timeout", "2"],
            1,
            "",
        ),
        (
            &["compare", "-c", "5", "--drop", "c2s data", "--timeout", "2"],
            1,
            "",
        ),
        (
            &[
                "ping",
                "--link",
                "loss 100%",
                "-c",
                "2",
                "-i",
                "0.1",
                "-W",
                "0.2",
            ],
            1,
            "",
        ),
        (&["tcp", "--delay", "200ms"], 0, ""),
        (&["udp", "--delay", "200ms"], 0, ""),
    ] {
        let start = Instant::now();
        let Some(output) = program.run(As::NobodyWithTun, arguments) else {
            return;
        };
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        assert!(errors.contains(said), "{arguments:?}: {errors}");
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "{arguments:?} took too long"
        );
    }
}

/// The handshake's retransmissions are worth seeing when nothing else is.
#[test]
fn a_failed_run_still_shows_its_ladder() {
    let program = Program::new();
    let arguments = ["tcp", "--loss", "100%", "--timeout", "2"];
    let Some(output) = program.run(As::NobodyWithTun, &arguments) else {
        return;
    };
    let ladder = text(&output.stdout);
    assert!(ladder.starts_with("link: loss 100%; seed "), "{ladder}");
    assert!(ladder.matches("random loss").count() >= 2, "{ladder}");
}

/// A segment chosen by meaning is lost once and arrives all the same.
#[test]
fn a_segment_chosen_by_meaning_is_lost_and_sent_again() {
    let program = Program::new();
    let arguments = ["tcp", "--drop", "c2s data#2"];
    let Some(lines) = program.json(As::NobodyWithTun, &arguments) else {
        return;
    };
    let lost: Vec<&Value> = lines.iter().filter(|line| line["fate"] == "lost").collect();
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert!(
        lost[0]["cause"].to_string().contains("c2s data#2"),
        "{}",
        lost[0]
    );
    let result = &lines.last().expect("a line")["result"];
    assert_eq!(
        result["request"]["sha256_sent"],
        result["request"]["sha256_received"]
    );
}

/// A datagram that arrives twice does not push a later one out.
#[test]
fn repeated_datagrams_hide_no_others() {
    let program = Program::new();
    let Some(lines) = program.json(As::NobodyWithTun, &["udp", "--copy", "c2s udp"]) else {
        return;
    };
    let rows = lines.last().expect("a line")["result"]["datagrams"].clone();
    let rows = rows.as_array().expect("a list");
    assert_eq!(rows.len(), 7);
    assert!(rows.iter().all(|row| row["arrival"] != "lost"), "{rows:?}");
}
