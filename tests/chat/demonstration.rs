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

/// From the closing tables on, without the wire's own account of itself.
fn room(shown: &str) -> String {
    let start = shown.find("── The room").expect("a closing table");
    let (tables, rest) = shown[start..]
        .split_once("\n\nThe link: ")
        .expect("an account after them");
    let verdict = rest.lines().last().expect("a verdict");
    format!("{tables}\n\n{verdict}\n")
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

#[test]
fn numbered_messages_that_are_lost_are_missed_by_their_numbers() {
    if !support::may_make_namespaces("the demonstration over datagrams") {
        return;
    }
    let whole = room(&demonstrate(&["--udp"]));
    insta::assert_snapshot!("chat_datagrams", whole);
    assert_eq!(
        room(&demonstrate(&["--udp", "-6", "--delay", "2ms"])),
        whole
    );
    let lossy = ["--udp", "--loss", "20%", "--seed", "3"];
    let story = room(&demonstrate(&lossy));
    insta::assert_snapshot!("chat_datagrams_lost", story);
    assert_eq!(room(&demonstrate(&lossy)), story, "the same seed");
    let shown = demonstrate(&["--udp", "--duplicate", "30%", "--seed", "4"]);
    assert!(
        room(&shown).contains("✓ every line reached everybody"),
        "{shown}"
    );
}

#[test]
fn a_group_misses_by_numbers_too() {
    if !support::may_make_namespaces("the demonstration in a group") {
        return;
    }
    let whole = room(&without_ports(&demonstrate(&["--multicast"])));
    insta::assert_snapshot!("chat_group", whole);
    let story = |family| {
        let lossy = [family, "--multicast", "--loss", "20%", "--seed", "4"];
        room(&without_ports(&demonstrate(&lossy)))
    };
    insta::assert_snapshot!("chat_group_lost", story("-4"));
    let v6 = story("-6");
    assert!(v6.contains("[fd77::2]:PPPPP"), "{v6}");
}

/// Ports that the kernel chose have five digits.
fn without_ports(shown: &str) -> String {
    let mut parts = shown.split(':');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        out.push(':');
        out.push_str(if digits == 5 {
            "PPPPP"
        } else {
            &part[..digits]
        });
        out.push_str(&part[digits..]);
    }
    out
}

#[test]
fn each_way_is_counted_in_json() {
    if !support::may_make_namespaces("the demonstrations as JSON") {
        return;
    }
    for (carrier, ways) in [("--udp", 4), ("--multicast", 2)] {
        let told = demonstrate(&[carrier, "--json", "--loss", "20%", "--seed", "4"]);
        let last = told.lines().last().expect("a result");
        let result: serde_json::Value = serde_json::from_str(last).expect("JSON");
        let counted = result["result"]["ways"].as_array().expect("ways");
        assert_eq!(counted.len(), ways, "{last}");
        for way in counted {
            let count = |name: &str| way[name].as_u64().expect("a count");
            let known = count("received_messages") + count("missing_messages");
            assert_eq!(count("sent_messages"), known, "{way}");
        }
    }
}

#[test]
fn a_link_that_carries_nothing_ends_the_scene() {
    if !support::may_make_namespaces("the demonstrations without a wire") {
        return;
    }
    for (carrier, words) in [
        ("--udp", "knocking was lost 50 times"),
        ("--multicast", "a sign of life was lost 50 times"),
    ] {
        let output = Command::new(SOCKLAB)
            .args(["chat", "--demo", carrier, "--loss", "100%"])
            .output()
            .expect("socklab runs");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains(words), "{told}");
        assert_eq!(output.status.code(), Some(1), "{told}");
    }
}
