//! Commands that run: what they get, what they print, what is told of it.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::ground::{Fifo, Ground, script, text};
use crate::support::alone::alone;
use crate::support::running::{Ended, send};

#[test]
fn both_outputs_come_apart_and_the_exit_code_is_the_commands() {
    alone("remote run", || {
        let list = script(
            "echo out; echo err >&2; exit 7",
            "summary = \"Says two things\"",
        );
        let ground = Ground::new(&list);
        let server = ground.serve(&[]);
        for host in ["127.0.0.1", "127.0.0.1:5073", "[::1]:5073", "::1"] {
            let host = if host == "::1" { "[::1]" } else { host };
            let output = ground
                .client("run", &[host, "x"])
                .output()
                .expect("it runs");
            assert_eq!(text(&output.stdout), "out\n", "{host}: {output:?}");
            assert_eq!(text(&output.stderr), "err\n", "{host}");
            assert_eq!(output.status.code(), Some(7), "{host}");
        }
        let listed = ground
            .client("list", &["127.0.0.1"])
            .output()
            .expect("it runs");
        insta::assert_snapshot!(text(&listed.stdout), @r"
        command    parameters  what it does
        disks                  The file systems and their room
        info                   The machine: name, kernel, load, memory
        processes              What runs, the largest first
        x                      Says two things
        ");
        let info = ground.run(&["info"]);
        assert!(
            text(&info.stdout).contains("kernel      Linux "),
            "{info:?}"
        );
        assert!(text(&ground.run(&["disks"]).stdout).contains("MOUNTED ON"));
        let Ended { out, told, code } = server.stop();
        assert_eq!(code, 0, "{told}");
        assert_eq!(
            out,
            "7 connections, 0 of them closed; 6 commands run, 0 refused\n"
        );
    });
}

#[test]
fn a_program_gets_what_the_list_says_and_nothing_else() {
    alone("remote environment", || {
        let list = "\
[[command]]
id = \"env\"
program = \"/usr/bin/env\"
environment = { LANG = \"C\" }
[[command]]
id = \"where\"
program = \"/bin/pwd\"
directory = \"/usr\"
[[command]]
id = \"input\"
program = \"/bin/cat\"
[[command]]
id = \"limits\"
program = \"/bin/sh\"
arguments = [\"-c\", \"ulimit -n; ulimit -t; ulimit -f; ulimit -v; ulimit -c\"]
limits = { processor = \"7s\", memory = \"512mb\", file-size = \"1mb\", files = 32 }
[[command]]
id = \"status\"
program = \"/bin/grep\"
arguments = [\"-E\", \"^(NoNewPrivs|SigBlk):\", \"/proc/self/status\"]
[[command]]
id = \"descriptors\"
program = \"/bin/ls\"
arguments = [\"/proc/self/fd\"]
[[command]]
id = \"session\"
program = \"/usr/bin/cut\"
arguments = [\"-d\", \" \", \"-f1,5,6,7\", \"/proc/self/stat\"]
";
        let ground = Ground::new(list);
        let _server = ground.serve(&[]);
        let printed = |id: &str| {
            let output = ground.run(&[id]);
            assert!(output.status.success(), "{id}: {output:?}");
            text(&output.stdout)
        };
        assert_eq!(printed("env"), "LANG=C\n");
        assert_eq!(printed("where"), "/usr\n");
        assert_eq!(printed("input"), "");
        // Blocks of 512 bytes, and kilobytes.
        assert_eq!(printed("limits"), "32\n7\n2048\n524288\n0\n");
        assert_eq!(
            printed("status"),
            "SigBlk:\t0000000000000000\nNoNewPrivs:\t1\n"
        );
        // Its three, and the folder that it reads.
        assert_eq!(printed("descriptors"), "0\n1\n2\n3\n");
        let session = printed("session");
        let session: Vec<&str> = session.split_whitespace().collect();
        let [own, group, leader, terminal] = session[..] else {
            panic!("{session:?}");
        };
        assert_eq!((group, leader), (own, own), "a session of its own");
        assert_eq!(terminal, "0", "and no terminal");
    });
}

#[test]
fn hostile_parameters_are_nothing_but_text() {
    alone("remote parameters", || {
        let list = "\
[[command]]
id = \"say\"
program = \"/usr/bin/printf\"
arguments = [\"[%s]\", \"{text}\"]
[[command.parameter]]
name = \"text\"
type = \"text\"
characters = \" -~\"
least = 0
most = 100
";
        let ground = Ground::new(list);
        let _server = ground.serve(&[]);
        for harmless in [
            "$(id)", "`id`", "a; id", "a | id", "{text}", "%s%n", "'\"\\", "*", "", "~",
        ] {
            let output = ground.run(&["say", harmless]);
            assert_eq!(text(&output.stdout), format!("[{harmless}]"), "{output:?}");
        }
        for hostile in [
            "--help",
            "-n",
            "--",
            "-",
            "../x",
            "a\nb",
            "\u{1b}[2J",
            "é",
            "\u{202e}",
        ] {
            let output = ground.run(&["say", hostile]);
            let told = text(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{hostile:?}: {told}");
            assert_eq!(text(&output.stdout), "", "{hostile:?}");
            let is_clean = |letter: char| !letter.is_control() && letter != '\u{202e}';
            assert!(told.trim_end().chars().all(is_clean), "{told:?}");
        }
        for (words, why) in [
            (&["say"][..], "text is missing: <text: 0 to 100 of  -~>"),
            (&["say", "a", "b"], "it takes at most 1 parameters"),
            (&["/bin/sh", "-c", "id"], "there is no command \"/bin/sh\""),
            (&["sAy", "a"], "there is no command"),
        ] {
            let output = ground.run(words);
            let told = text(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{words:?}");
            assert!(told.contains(why), "{words:?}: {told}");
        }
        let long = "a".repeat(2000);
        let output = ground.run(&["say", &long]);
        assert_eq!(output.status.code(), Some(2), "not even asked");
    });
}

#[test]
fn a_flood_is_cut_and_drained() {
    alone("remote flood", || {
        let list = script(
            "head -c 20000000 /dev/zero; head -c 3000000 /dev/zero >&2; echo done >&2",
            "output = \"64kb\"",
        );
        let ground = Ground::new(&list);
        let mut server = ground.serve(&[]);
        let output = ground.run(&["x"]);
        assert!(
            output.status.success(),
            "it came to its end: {:?}",
            output.status
        );
        assert_eq!(output.stdout.len(), 65_536);
        let told = text(&output.stderr);
        for words in [
            "standard output is cut after 65536 bytes, 19934464 more were left out",
            "standard error is cut after 65536 bytes, 2934469 more were left out",
        ] {
            assert!(told.contains(words), "{}", told.trim_matches('\0'));
        }
        server.until("standard output is more than 65,536 bytes: the rest is left out");
    });
}

/// A client that reads nothing holds up its own command and nobody else's.
#[test]
fn a_client_that_does_not_read_makes_nothing_grow() {
    alone("remote slow client", || {
        let list = script(
            "yes",
            "output = \"1gb\"\ntimeout = \"1s\"\ngrace = \"100ms\"",
        );
        let ground = Ground::new(&list);
        let mut server = ground.serve(&[]);
        let mut slow = ground
            .client("run", &["127.0.0.1", "x"])
            .spawn()
            .expect("starts");
        server.until("asked to end, SIGTERM: its time is over");
        let status = fs::read_to_string(format!("/proc/{}/status", server.child.id()));
        let status = status.expect("it runs");
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"))
            .and_then(|number| number.parse::<u64>().ok())
            .expect("its memory");
        assert!(resident < 60_000, "{resident} kB");
        let other = ground.run(&["info"]);
        assert!(other.status.success(), "{other:?}");
        slow.kill().expect("it runs");
        slow.wait().expect("it ends");
        server.until("ended because its time was over");
    });
}

#[test]
fn a_hundred_commands_run_at_the_same_time() {
    alone("remote crowd", || {
        const CROWD: usize = 100;
        let ground = Ground::new("");
        let fifo = Fifo::new(&ground);
        // None ends before all have begun: each waits for the FIFO's one reader
        // to let go.
        let list = fifo.list(
            "echo here; cat /dev/zero >&9; echo never",
            "output = \"4kb\"\ntimeout = \"600s\"",
        );
        ground.write(
            "server/remote.toml",
            &format!("concurrent = {CROWD}\n{list}"),
        );
        let _server = ground.serve(&[]);
        let crowd: Vec<_> = (0..CROWD).map(|_| Fifo::start(&ground)).collect();
        assert_eq!(
            ground.audit().len(),
            CROWD,
            "all have begun, none has ended"
        );
        drop(fifo);
        for (client, _out) in crowd {
            let output = client.wait_with_output().expect("it ends");
            // SIGPIPE ends cat, and the shell goes on.
            assert_eq!(output.status.code(), Some(0), "{output:?}");
        }
        assert_eq!(ground.audit().len(), 2 * CROWD);
    });
}

#[test]
fn no_more_commands_run_than_may() {
    alone("remote busy", || {
        let ground = Ground::new("");
        let fifo = Fifo::new(&ground);
        let list = format!("concurrent = 1\n{}", fifo.list("echo here; sleep 1000", ""));
        ground.write("server/remote.toml", &list);
        let _server = ground.serve(&[]);
        let (mut first, _out) = Fifo::start(&ground);
        let second = ground.run(&["info"]);
        assert_eq!(second.status.code(), Some(1), "{second:?}");
        assert!(
            text(&second.stderr).contains("1 commands run already"),
            "{second:?}"
        );
        send(&first, Signal::SIGINT);
        fifo.all_gone();
        first.wait().expect("it ends");
        assert!(
            ground.run(&["info"]).status.success(),
            "there is room again"
        );
    });
}

#[test]
fn a_program_that_is_not_there_is_told() {
    alone("remote missing", || {
        let list = "[[command]]\nid = \"x\"\nprogram = \"/nowhere/x\"\n";
        let ground = Ground::new(list);
        let _server = ground.serve(&[]);
        let output = ground.run(&["x"]);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        let why = "run x: x could not be started: no such file or directory (ENOENT)";
        assert_eq!(told, format!("socklab: {why}\n"), "no list helps");
        let none = ground.run(&["y\u{1b}"]);
        assert_eq!(
            text(&none.stderr),
            "socklab: run y\\u{1b}: there is no command \"y\\u{1b}\"; socklab remote list shows \
             what is allowed\n"
        );
    });
}

#[test]
fn reboot_and_screen_are_off_unless_the_list_allows_them() {
    alone("remote built-ins", || {
        let ground = Ground::new("");
        let server = ground.serve(&[]);
        for id in ["reboot", "screen"] {
            let told = text(&ground.run(&[id]).stderr);
            assert!(told.contains("there is no command"), "{told}");
        }
        drop(server);
        let list =
            "[builtin]\nreboot = \"dry-run\"\nscreen = [\"/bin/echo\", \"-n\", \"a picture\"]";
        ground.write("server/remote.toml", list);
        let _server = ground.serve(&[]);
        let rehearsed = ground.run(&["reboot"]);
        assert_eq!(
            text(&rehearsed.stdout),
            "dry run: /sbin/reboot would be started; nothing was done\n"
        );
        assert_eq!(text(&ground.run(&["screen"]).stdout), "a picture");
    });
}

#[test]
fn json_has_the_result_last() {
    alone("remote JSON", || {
        let ground = Ground::new(&script("echo out; echo err >&2; exit 3", ""));
        let _server = ground.serve(&[]);
        let words = ["127.0.0.1", "--json", "x"];
        let output = ground.client("run", &words).output().expect("it runs");
        assert_eq!(text(&output.stdout), "out\n");
        let told = text(&output.stderr);
        let lines: Vec<Value> = told
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        let steps: Vec<&str> = lines
            .iter()
            .filter(|line| line["type"] == "remote")
            .filter_map(|line| line["remote"].as_str())
            .collect();
        assert_eq!(steps, ["greeted", "asked", "begun", "stderr", "ended"]);
        assert!(lines.iter().any(|line| line["text"] == "err"), "{told}");
        let result = &lines.last().expect("some")["result"];
        assert_eq!(result["exit_code"], 3);
        assert_eq!(result["outcome"], "exit code 3");
        assert_eq!(result["stdout_bytes"], 4);
    });
}

#[test]
fn a_closed_pipe_is_enough() {
    alone("remote pipe", || {
        let ground = Ground::new(&script("yes", ""));
        let mut server = ground.serve(&[]);
        let mut client = ground
            .client("run", &["127.0.0.1", "x"])
            .spawn()
            .expect("starts");
        drop(client.stdout.take());
        let output = client.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{output:?}");
        assert_eq!(text(&output.stderr), "");
        server.until("asked to end, SIGTERM: the client is gone");
    });
}
