//! `socklab proxy --demo`: the scene on a private link, over a good one and a
//! bad one.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::stand::{SOCKLAB, printed, run};
use crate::support;

fn play(arguments: &[&str]) -> String {
    let all = [&["proxy", "--demo", "--color", "never"][..], arguments].concat();
    printed(SOCKLAB, &all, b"")
}

/// From the steps on, without ports and times.
fn closing(text: &str) -> String {
    let from = text.find("── Steps").expect("the steps");
    let steps = text[from..]
        .lines()
        .take_while(|line| !line.starts_with("The link"));
    let masked = steps.map(|line| {
        let line = line.split(" in ").next().unwrap_or(line);
        let line = line.split(", after ").next().unwrap_or(line);
        without_ports(line)
    });
    masked.collect::<Vec<_>>().join("\n")
}

/// With each number of four digits and more behind a colon as `PORT`.
fn without_ports(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(place) = rest.find(':') {
        let (head, tail) = rest.split_at(place + 1);
        let digits = tail.find(|letter: char| !letter.is_ascii_digit());
        let digits = digits.unwrap_or(tail.len());
        out.push_str(head);
        if digits >= 4 {
            out.push_str("PORT");
        } else {
            out.push_str(&tail[..digits]);
        }
        rest = &tail[digits..];
    }
    out + rest
}

#[test]
fn the_scene_is_told_to_its_end_over_ipv4_and_ipv6() {
    if !support::may_make_namespaces("the scene") {
        return;
    }
    let four = play(&[]);
    insta::assert_snapshot!(closing(&four));
    // Short enough for every lane: how wide those are follows from how long it took.
    for words in ["→ client 1", "SYN_SENT", "TIME_WAIT", "conn.connect("] {
        assert!(four.contains(words), "no {words:?} in {four}");
    }
    let six = play(&["-6"]);
    assert!(six.contains("3 clients: 2 granted, 1 refused"), "{six}");
    assert!(six.contains("CONNECT [::1]:"), "{six}");
}

#[test]
fn a_bad_link_changes_the_packets_and_not_the_story() {
    if !support::may_make_namespaces("the scene on a bad link") {
        return;
    }
    let link = ["--loss", "5%", "--seed", "1"];
    let good = closing(&play(&[]));
    let bad = closing(&play(&link));
    assert_eq!(bad, good);
}

#[test]
fn json_has_both_accounts() {
    if !support::may_make_namespaces("the scene as JSON") {
        return;
    }
    let text = play(&["--json"]);
    // The ladder shows it only where its lane has the room.
    assert!(text.contains("HELLO FROM BEYOND"), "{text}");
    let last = text.lines().last().expect("the result");
    let result: Value = serde_json::from_str(last).expect("JSON");
    assert_eq!(result["result"]["served"]["granted"], 2, "{result}");
    assert_eq!(
        result["result"]["visits"][2]["answer"],
        "it refused: not allowed by the rules"
    );
}

/// One call as its socket made it, without its port and time.
fn call(line: &Value) -> String {
    let word = |key: &str| line[key].as_str().unwrap_or_default();
    let result = match line["errno"].as_str() {
        Some(errno) => errno.to_owned(),
        None => format!("{} {}", line["returned"], word("detail")),
    };
    let made = format!("{}({}) = {result}", word("name"), word("arguments"));
    without_ports(made.trim_end())
}

/// In the ladder, what two hosts do at the same moment stands in either order,
/// and its lanes are narrower where the run took longer; what each socket does is
/// the same each time.
#[test]
fn each_socket_of_the_scene_makes_the_same_calls_each_time() {
    if !support::may_make_namespaces("the scene's calls") {
        return;
    }
    let text = play(&["--json"]);
    let mut sockets = BTreeMap::<String, Vec<String>>::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        // Whether a connection on loopback is there at once, and how often somebody looks
        // in vain, is the machine's business.
        let is_chance = ["getpeername", "getsockopt"]
            .iter()
            .any(|name| line["name"] == *name)
            || line["errno"] == "EAGAIN";
        if line["type"] == "call" && !is_chance {
            let name = line["socket"].as_str().expect("a name");
            let socket = format!("{}: {name}", line["host"].as_str().expect("a host"));
            sockets.entry(socket).or_default().push(call(&line));
        }
    }
    let told = sockets.iter().map(|(socket, calls)| {
        let calls = calls.join("\n  ");
        format!("{socket}\n  {calls}")
    });
    insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n"));
}

#[test]
fn options_of_the_scene_without_it_are_told_so() {
    let output = run(SOCKLAB, &["proxy", "--loss", "5%"], b"");
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("--demo"), "{told}");
}
