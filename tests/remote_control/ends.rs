//! How runs end, whatever they have started, and whoever dies first.

use std::fs;

use nix::sys::signal::Signal;

use crate::ground::{Fifo, Ground, script, text};
use crate::support::alone::alone;
use crate::support::running::send;

#[test]
fn a_program_has_its_time_and_is_killed_when_it_will_not_end() {
    alone("remote time-out", || {
        for (patience, sign) in [("", ""), ("trap '' TERM;", "SIGKILL: it did not end")] {
            let ground = Ground::new("");
            let fifo = Fifo::new(&ground);
            let list = fifo.list(
                &format!("{patience} echo here; while :; do sleep 1; done"),
                "timeout = \"2s\"\ngrace = \"200ms\"",
            );
            ground.write("server/remote.toml", &list);
            let mut server = ground.serve(&[]);
            let (client, _out) = Fifo::start(&ground);
            fifo.all_gone();
            let output = client.wait_with_output().expect("it ends");
            assert_eq!(output.status.code(), Some(124), "{output:?}");
            let told = text(&output.stderr);
            assert_eq!(
                told,
                "socklab: the command was ended because its time was over\n"
            );
            if !sign.is_empty() {
                server.until(sign);
            }
        }
    });
}

#[test]
fn what_a_program_leaves_behind_is_ended_with_it() {
    alone("remote grandchild", || {
        let ground = Ground::new("");
        let fifo = Fifo::new(&ground);
        let list = fifo.list(
            "(trap '' TERM; while :; do sleep 1; done) & echo here",
            "grace = \"200ms\"",
        );
        ground.write("server/remote.toml", &list);
        let mut server = ground.serve(&[]);
        let (client, _out) = Fifo::start(&ground);
        fifo.all_gone();
        let output = client.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        server.until("something that it started holds its output open");
    });
}

/// A double fork, a session of its own and deaf ears lead nowhere.
#[test]
fn what_left_the_session_is_ended_before_the_client_hears_the_end() {
    alone("remote escape", || {
        let ground = Ground::new("");
        let fifo = Fifo::new(&ground);
        let (script, mark) = (ground.path("escape"), ground.path("mark"));
        let (script, mark) = (script.display(), mark.display());
        let escape = format!(
            "trap '' TERM HUP INT\n(setsid sh -c 'echo here >{mark}; exec sleep 1000' &)\n"
        );
        ground.write("escape", &escape);
        let list = fifo.list(
            &format!(
                "setsid sh {script} >/dev/null 2>&1 & while [ ! -s {mark} ]; do :; done; echo here"
            ),
            "",
        );
        ground.write("server/remote.toml", &list);
        let mut server = ground.serve(&[]);
        let (client, _out) = Fifo::start(&ground);
        let output = client.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(fifo.is_over(), "none of it is left");
        server.until("killed, SIGKILL: something that it started runs still");
    });
}

/// Each forks the next one and ends: none is there for long enough to be looked
/// for.
#[test]
fn what_forks_and_forks_again_is_caught() {
    alone("remote forks", || {
        let ground = Ground::new("");
        let fifo = Fifo::new(&ground);
        // Without end, until there is no memory left for it.
        let list = fifo.list("f() {{ f & }}; f >/dev/null 2>&1; echo here", "");
        ground.write("server/remote.toml", &list);
        let _server = ground.serve(&[]);
        let (client, _out) = Fifo::start(&ground);
        let output = client.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(fifo.is_over(), "none of it is left");
    });
}

/// Each is in a session of its own.
#[test]
fn what_forks_in_ever_new_sessions_is_caught() {
    const GENERATIONS: u32 = 100_000;
    alone("remote chain", || {
        let ground = Ground::new("");
        let fifo = Fifo::new(&ground);
        let (script, count) = (ground.path("chain"), ground.path("count"));
        let (script, count) = (script.display(), count.display());
        ground.write(
            "chain",
            &format!(
                "[ $1 -gt 0 ] && setsid sh {script} $(($1 - 1)) >/dev/null 2>&1 &\necho $1 >{count}\n"
            ),
        );
        let list = fifo.list(&format!("sh {script} {GENERATIONS}; echo here"), "");
        ground.write("server/remote.toml", &list);
        let _server = ground.serve(&[]);
        let (client, _out) = Fifo::start(&ground);
        let output = client.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(fifo.is_over(), "none of it is left");
        let left = fs::read_to_string(ground.path("count")).expect("it ran");
        assert_ne!(
            left, "0\n",
            "it was caught, and did not come to its own end"
        );
    });
}

#[test]
fn a_signal_that_ends_a_command_is_in_the_exit_code() {
    alone("remote signal", || {
        let ground = Ground::new(&script("kill -9 $$", ""));
        let _server = ground.serve(&[]);
        let output = ground.run(&["x"]);
        assert_eq!(output.status.code(), Some(137), "{output:?}");
        let told = text(&output.stderr);
        assert_eq!(told, "socklab: the command was ended by signal 9\n");
    });
}

#[test]
fn ctrl_c_on_the_client_ends_the_command() {
    alone("remote Ctrl-C", || {
        let ground = Ground::new("");
        let fifo = Fifo::new(&ground);
        let list = fifo.list("echo here; sleep 1000; echo never", "");
        ground.write("server/remote.toml", &list);
        let mut server = ground.serve(&[]);
        let (client, _out) = Fifo::start(&ground);
        send(&client, Signal::SIGINT);
        fifo.all_gone();
        let output = client.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(130), "{output:?}");
        server.until("asked to end, SIGTERM: the client asks for it");
    });
}

#[test]
fn a_client_that_dies_takes_its_command_with_it() {
    alone("remote client killed", || {
        let ground = Ground::new("");
        let fifo = Fifo::new(&ground);
        ground.write(
            "server/remote.toml",
            &fifo.list("echo here; sleep 1000", ""),
        );
        let mut server = ground.serve(&[]);
        let (mut client, _out) = Fifo::start(&ground);
        client.kill().expect("it runs");
        client.wait().expect("it ends");
        fifo.all_gone();
        server.until("asked to end, SIGTERM: the client is gone");
        server.until("ended because it was asked to");
    });
}

#[test]
fn a_server_that_ends_or_dies_leaves_no_program_behind() {
    alone("remote server killed", || {
        for (signal, code) in [(Signal::SIGTERM, 130), (Signal::SIGKILL, 1)] {
            let ground = Ground::new("");
            let fifo = Fifo::new(&ground);
            ground.write(
                "server/remote.toml",
                &fifo.list(
                    "setsid sh -c \"trap : TERM HUP; sleep 1000; sleep 1000\" & echo here; \
                     exec sleep 1000",
                    "",
                ),
            );
            let server = ground.serve(&[]);
            let (client, _out) = Fifo::start(&ground);
            server.signal(signal);
            fifo.all_gone();
            let output = client.wait_with_output().expect("it ends");
            assert_eq!(output.status.code(), Some(code), "{signal}: {output:?}");
            drop(server);
            // The next one ends what has no end, and once.
            for _ in 0..2 {
                drop(ground.serve(&[]));
            }
            let audit = ground.audit();
            assert_eq!(audit.len(), 2, "{audit:?}");
            let end = &audit[1];
            assert_eq!((&end["audit"], &end["run"]), (&"end".into(), &1.into()));
            let is_unknown = end["outcome"] == "unknown: the server was killed";
            assert_eq!(is_unknown, signal == Signal::SIGKILL, "{end}");
        }
    });
}
