//! `socklab file --demo`: the whole scene on the private link, under loss, over
//! IPv6, and without a link.

use insta::assert_snapshot;

use crate::scene::{Ended, command, run};
use crate::support;

/// What is said after the ladder, without what the network's luck decides.
fn closing(out: &str) -> String {
    let from = out.find("── Files").expect("a closing table");
    let is_luck = |line: &&str| line.contains("offered") || line.contains("on purpose");
    let lines = out[from..].lines().filter(|line| !is_luck(line));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_scene_ends_the_same_whatever_the_link_does() {
    if !support::may_make_namespaces("a private link") {
        return;
    }
    let quiet = run(&["--demo"]).with(0);
    assert_snapshot!("demo", closing(&quiet.out));
    for words in [
        &["--demo", "-6"][..],
        &["--demo", "--loss", "5%", "--seed", "1"],
        &[
            "--demo", "-6", "--loss", "10%", "--seed", "7", "--delay", "5ms",
        ],
    ] {
        let other = run(words).with(0);
        let (expected, found) = (closing(&quiet.out), closing(&other.out));
        assert_eq!(found.lines().next(), expected.lines().next());
        assert_eq!(found.lines().nth(3), expected.lines().nth(3), "{words:?}");
    }
}

/// What each host's program does, each call where it first comes: how often it
/// comes again hangs on how the bytes were cut on the way, and on how long the
/// host let it wait.
fn calls(out: &str) -> String {
    let lines = out.lines().map(serde_json::from_str::<serde_json::Value>);
    let mut all: Vec<(String, Vec<String>)> = Vec::new();
    for line in lines.map(|line| line.expect("JSON")) {
        if line["type"] != "call" {
            continue;
        }
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        let lane = format!("{}: {}", text("host"), text("socket"));
        let call = match text("name").as_str() {
            "recv" | "send" => "recv, send …".to_owned(),
            name @ ("openat" | "renameat2") => format!("{name} {}", text("arguments")),
            name => name.to_owned(),
        };
        let at = all.iter().position(|(name, _)| *name == lane);
        let at = at.unwrap_or_else(|| {
            all.push((lane, Vec::new()));
            all.len() - 1
        });
        let calls = &mut all[at].1;
        if !calls.contains(&call) {
            calls.push(call);
        }
    }
    all.sort();
    let all = all.iter();
    let all = all.map(|(lane, calls)| format!("{lane}\n  {}", calls.join("\n  ")));
    all.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_scene_makes_the_same_calls_each_time() {
    if !support::may_make_namespaces("a private link") {
        return;
    }
    let out = run(&["--demo", "--json"]).with(0).out;
    assert_snapshot!("calls", calls(&out));
}

#[test]
fn the_ladder_has_a_lane_for_each_end_and_the_disk_in_it() {
    if !support::may_make_namespaces("a private link") {
        return;
    }
    let mut command = command(&["--demo", "--color", "never"]);
    let output = command.env_remove("COLUMNS").output();
    let out = Ended::from(output.expect("it runs")).with(0).out;
    let ladder = &out[..out.find("── Files").expect("a closing table")];
    let mut lines = ladder.lines();
    let head = lines.next().expect("a head");
    assert!(head.contains("client 10.77.0.1") && head.contains("server 10.77.0.2"));
    for words in [
        "├──SYN seq=0 ",
        "SYN,ACK seq=0 ack=1",
        "SYN_SENT",
        "ESTABLISHED",
        "listener.accept4(",
        "conn.connect(",
        "disk.openat(",
        "= 0 3001 bytes",
        "FIN",
    ] {
        assert!(ladder.contains(words), "no {words:?} in {ladder}");
    }
    for line in lines {
        assert!(line.chars().count() <= 80, "{line:?}");
    }
}

#[test]
fn the_result_in_json_has_every_file() {
    if !support::may_make_namespaces("a private link") {
        return;
    }
    let out = run(&["--demo", "--json"]).with(0).out;
    let lines = out.lines().map(serde_json::from_str);
    let lines: Vec<serde_json::Value> = lines.collect::<Result<_, _>>().expect("JSON");
    for call in [
        "connect",
        "accept4",
        "openat",
        "fsync",
        "renameat2",
        "shutdown",
    ] {
        let is_it = |line: &serde_json::Value| line["type"] == "call" && line["name"] == call;
        assert!(lines.iter().any(is_it), "{call} was made");
    }
    let result = lines.last().expect("a result");
    let files = result["result"]["files"].as_array().expect("files");
    assert_eq!(files.len(), 2);
    for (file, resumed) in files.iter().zip([0, 3001]) {
        assert_eq!(file["is_equal"], true);
        assert_eq!(file["resumed_bytes"], resumed);
        assert_eq!(file["blocks"], 3);
    }
}
