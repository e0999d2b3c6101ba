//! `socklab chat --demo`: the same story each time, over both families and a link
//! that loses packets.

use std::process::Command;

use crate::stage::SOCKLAB;
use crate::support;

fn demonstrate(arguments: &[&str]) -> String {
    let output = Command::new(SOCKLAB)
        .args(["chat", "--demo"])
        .args(arguments)
        .env("LC_ALL", "C.UTF-8")
        .env_remove("NO_COLOR")
        .output()
        .expect("socklab runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {told}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// From the closing table on, without the wire's own account of itself.
fn room(shown: &str) -> String {
    let start = shown.find("── The room").expect("a closing table");
    let (table, rest) = shown[start..]
        .split_once("\n\n")
        .expect("an account after it");
    let verdict = rest.lines().last().expect("a verdict");
    format!("{table}\n\n{verdict}\n")
}

#[test]
fn the_room_is_the_same_each_time() {
    if !support::may_make_namespaces("the demonstration") {
        return;
    }
    let story = room(&demonstrate(&[]));
    insta::assert_snapshot!("chat_demonstration", story);
    for arguments in [
        &["-6"][..],
        &["--loss", "5%", "--seed", "1"],
        &["-6", "--delay", "2ms", "--duplicate", "5%", "--seed", "2"],
    ] {
        assert_eq!(room(&demonstrate(arguments)), story, "{arguments:?}");
    }
}

#[test]
fn the_ladder_has_both_members_and_the_room() {
    if !support::may_make_namespaces("the demonstration's ladder") {
        return;
    }
    let shown = demonstrate(&["-4"]);
    for words in [
        "client 10.77.0.1",
        "server 10.77.0.2",
        "ann.send(",
        "bob.connect(",
        "client 1.send(",
        "client 2",
        "SYN,ACK",
    ] {
        assert!(shown.contains(words), "no {words:?} in {shown}");
    }
}
