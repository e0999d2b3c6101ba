//! Bare nc, ncat and telnet as members, and `chat join` beside them.

use crate::stage::{Member, Running, SOCKLAB, alone};

#[test]
fn nc_ncat_telnet_and_join_are_members_alike() {
    alone("peers", || {
        for (address, v6) in [("127.0.0.1", false), ("::1", true)] {
            let mut host = Running::host(&[address, "5073"]);
            let nc = Running::start("nc", &[address, "5073"]);
            let ncat = Running::start("ncat", &[address, "5073"]);
            let telnet = Running::start("telnet", &[address, "5073"]);
            let endpoint = if v6 { "[::1]:5073" } else { "127.0.0.1:5073" };
            let join = Running::join(&[endpoint]);
            let names = ["nc", "ncat", "telnet", "join"];
            let mut members = [nc, ncat, telnet, join];
            for (member, name) in members.iter_mut().zip(names) {
                member.sees("* you are guest");
                member.say(&format!("/nick {name}"));
                member.sees(&format!("* you are {name}"));
            }
            for (speaker, name) in names.iter().enumerate() {
                let text = format!("héllo from {name} 🦀");
                members[speaker].say(&text);
                for (index, member) in members.iter_mut().enumerate() {
                    if index != speaker {
                        member.sees(&format!("<{name}> {text}"));
                    }
                }
                host.sees(&format!("<{name}> {text}"));
            }
            for (member, name) in members.iter_mut().zip(names) {
                member.say("exit");
                member.sees("* bye");
                // They wait for the end of their input too.
                member.hang_up();
                host.sees(&format!("* {name} left"));
            }
            let [nc, ncat, telnet, join] = members;
            for program in [nc, ncat, join] {
                let (_, told, code) = program.end();
                assert_eq!(code, 0, "{told}");
            }
            // Who has been hung up on is told so by telnet with exit code 1.
            telnet.end();
            host.interrupt();
            let (_, told, code) = host.end();
            assert_eq!(code, 0, "{told}");
            assert!(told.contains("4 came in (4 at once)"), "{told}");
        }
    });
}

#[test]
fn a_pipe_may_speak_and_leave() {
    alone("a pipe", || {
        let _host = Running::host(&[]);
        let mut listener = Member::join();
        let mut join = Running::join(&["--nick", "build"]);
        join.say("the build is done");
        join.hang_up();
        let (out, told, code) = join.end();
        assert_eq!(code, 0, "{out}{told}");
        assert!(out.contains("* you are build"), "{out}");
        listener.sees("<build> the build is done");
        listener.sees("* build left");
        let mut nc = Running::start("nc", &["-N", "127.0.0.1", "5073"]);
        nc.say("and nc too");
        nc.hang_up();
        listener.sees("and nc too");
        assert_eq!(nc.end().2, 0);
    });
}

#[test]
fn the_steps_are_told_with_calls_and_bytes() {
    alone("steps", || {
        let mut host = Running::host(&["--trace"]);
        let mut join = Running::join(&["127.0.0.1", "--nick", "ann", "--trace"]);
        join.sees("* you are ann");
        join.say("hello");
        host.sees("<ann> hello");
        join.say("exit");
        let (_, told, code) = join.end();
        assert_eq!(code, 0, "{told}");
        for words in [
            "connection: connect(127.0.0.1:5073) = EINPROGRESS",
            "68 65 6c 6c 6f 0a",
            "sent: hello",
            "received: * bye",
            "over after",
        ] {
            assert!(told.contains(words), "no {words:?} in {told}");
        }
        host.interrupt();
        let (_, told, code) = host.end();
        assert_eq!(code, 0, "{told}");
        for words in [
            "client 1: recv(4096) = 6, 6 bytes",
            "68 65 6c 6c 6f 0a",
            "ann said 5 bytes to 0",
            "ann left; here for",
            "client 1: over after",
        ] {
            assert!(told.contains(words), "no {words:?} in {told}");
        }
    });
}

#[test]
fn json_has_each_step_and_the_result_last() {
    alone("JSON", || {
        let host = Running::host_of(&["--json"], "\"talk\":\"listening\"");
        let mut ann = Member::named("ann");
        let mut bob = Member::named("bob");
        ann.say("hello");
        bob.sees("<ann> hello");
        ann.say("/msg bob psst");
        bob.sees("psst");
        ann.say("exit");
        bob.sees("* ann left");
        host.interrupt();
        let (_, told, code) = host.end();
        assert_eq!(code, 0, "{told}");
        let lines: Vec<serde_json::Value> = told
            .lines()
            .filter(|line| line.starts_with('{'))
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        let steps: Vec<&str> = lines
            .iter()
            .filter_map(|line| line["chat"].as_str())
            .collect();
        let expected = [
            "joined",
            "renamed",
            "joined",
            "renamed",
            "said",
            "whispered",
            "left",
            "left",
        ];
        assert_eq!(steps, expected, "{told}");
        let said = lines
            .iter()
            .find(|line| line["chat"] == "said")
            .expect("said");
        assert_eq!(
            (&said["text"], &said["heard_by"]),
            (&"hello".into(), &1.into())
        );
        assert!(!told.contains("psst"), "nobody else's business: {told}");
        let last = lines.last().expect("a result");
        assert_eq!(last["result"]["messages"], 1, "{last}");
    });
}

#[test]
fn who_cannot_join_is_told_why() {
    alone("refusals", || {
        let refused = Running::join(&["127.0.0.1:5073"]);
        let (_, told, code) = refused.end();
        assert_eq!(code, 1, "{told}");
        assert!(told.contains("connect 127.0.0.1:5073: connection refused (ECONNREFUSED)"));

        let mut host = Running::host(&["--max", "1"]);
        let mut first = Member::join();
        let (out, told, code) = Running::join(&["127.0.0.1"]).end();
        assert_eq!(out, "* the room is full: 1 are here\n");
        assert_eq!(code, 1, "{told}");
        assert!(
            told.contains("join 127.0.0.1:5073: the room did not let us in"),
            "{told}"
        );
        host.told("127.0.0.1:");
        first.say("exit");
        first.sees("* bye");
        host.sees("* guest1 left");
        Member::join();

        let taken = Running::start(SOCKLAB, &["chat", "host", "127.0.0.1"]);
        let (_, told, code) = taken.end();
        assert_eq!(code, 2, "{told}");
        assert!(told.contains("bind 127.0.0.1:5073: address already in use (EADDRINUSE)"));
    });
}
