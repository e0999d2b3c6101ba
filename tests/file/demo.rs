//! `socklab file --demo`: the whole scene on the private link, under loss, over
//! IPv6, and without a link.

use insta::assert_snapshot;

use crate::scene::run;
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
