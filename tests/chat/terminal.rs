//! The line editor on a real terminal: what comes in does not tear what is being
//! typed, and the terminal is left as it was.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::openpty;
use nix::sys::termios::tcgetattr;

use crate::stage::{Member, Running, SOCKLAB, alone};

struct Terminal {
    child: Child,
    screen: File,
    /// Everything that was written on it.
    written: String,
    user: File,
}

impl Terminal {
    fn join(arguments: &[&str]) -> Self {
        Self::on("xterm", arguments)
    }

    fn on(kind: &str, arguments: &[&str]) -> Self {
        let pty = openpty(None, None).expect("a terminal");
        let user = File::from(pty.slave);
        let child = Command::new(SOCKLAB)
            .args([&["chat", "join", "127.0.0.1"], arguments].concat())
            .env("TERM", kind)
            .env("LC_ALL", "C.UTF-8")
            .stdin(user.try_clone().expect("a descriptor"))
            .stdout(user.try_clone().expect("a descriptor"))
            .stderr(user.try_clone().expect("a descriptor"))
            .spawn()
            .expect("socklab runs");
        Self {
            child,
            screen: File::from(pty.master),
            written: String::new(),
            user,
        }
    }

    fn types(&mut self, keys: &str) {
        self.screen.write_all(keys.as_bytes()).expect("it reads");
    }

    /// Waits until these words are on the screen, after what was awaited before.
    fn shows(&mut self, words: &str) {
        let mut bytes = [0; 1000];
        while !self.written.contains(words) {
            let mut ready = [PollFd::new(self.screen.as_fd(), PollFlags::POLLIN)];
            let count = poll(&mut ready, PollTimeout::from(60_000_u16)).expect("it can");
            assert!(count > 0, "no {words:?} in {:?}", self.written);
            let count = self.screen.read(&mut bytes).expect("it writes");
            self.written
                .push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
        let end = self.written.find(words).expect("it is there") + words.len();
        self.written.drain(..end);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn incoming_lines_do_not_tear_what_is_typed() {
    alone("a terminal", || {
        let folder = tempfile::tempdir().expect("a folder");
        let history = folder.path().join("history");
        let history = history.to_str().expect("UTF-8");
        let _host = Running::host(&[]);
        let mut bob = Member::named("bob");
        let mut ann = Terminal::join(&["--nick", "ann", "--history", history]);
        ann.shows("* you are ann");
        bob.sees("is now ann");
        ann.types("hel");
        ann.shows("hel");
        bob.say("in between");
        // The line that came stands alone, and what was typed is there again.
        ann.shows("<bob> in between");
        ann.shows("> hel");
        ann.types("lo");
        ann.shows("lo");
        ann.types("\r");
        bob.sees("<ann> hello");
        // The arrow key brings it back.
        ann.types("\x1b[A");
        ann.shows("hello");
        ann.types(" again\r");
        bob.sees("<ann> hello again");
        ann.types("\x04");
        bob.sees("* ann left");
        let code = ann.child.wait().expect("it ends").code();
        assert_eq!(code, Some(0));
        let kept = std::fs::read_to_string(history).expect("it was kept");
        assert!(kept.contains("hello again"), "{kept}");
    });
}

#[test]
fn the_terminal_is_left_as_it_was_when_the_room_closes() {
    alone("a closing room", || {
        let host = Running::host(&[]);
        let mut bob = Member::named("bob");
        let before = {
            let pty = openpty(None, None).expect("a terminal");
            tcgetattr(&pty.slave).expect("its settings")
        };
        let mut ann = Terminal::join(&["--nick", "ann"]);
        ann.shows("* you are ann");
        bob.sees("is now ann");
        host.interrupt();
        ann.shows("* the room closes");
        let code = ann.child.wait().expect("it ends").code();
        assert_eq!(code, Some(0));
        let after = tcgetattr(&ann.user).expect("its settings");
        assert_eq!(after.local_flags, before.local_flags);
        assert_eq!(after.input_flags, before.input_flags);
    });
}

/// Keys that came with Enter were lost, and those typed before the next prompt
/// went through the terminal's own line discipline.
#[test]
fn each_line_of_a_paste_is_said_once_and_in_order() {
    alone("a paste", || {
        let _host = Running::host(&["--rate", "0"]);
        let mut bob = Member::named("bob");
        let mut ann = Terminal::join(&["--nick", "ann"]);
        ann.shows("* you are ann");
        bob.sees("is now ann");
        for round in 0..20 {
            let lines: Vec<String> = (1..=5).map(|line| format!("{round} of {line}")).collect();
            ann.types(&(lines.join("\r") + "\r"));
            for line in &lines {
                assert_eq!(bob.line(), format!("<ann> {line}"));
                ann.shows(line);
            }
        }
        // A command after a line, and an end that is typed ahead too.
        ann.types("hello\r/who\rexit\r");
        bob.sees("<ann> hello");
        ann.shows("* 2 are here");
        ann.shows("* bye");
        bob.sees("* ann left");
        assert_eq!(ann.child.wait().expect("it ends").code(), Some(0));
    });
}

/// As terminals paste that say where a paste begins and ends: it waits for Enter,
/// and is as many messages as it has lines.
#[test]
fn a_bracketed_paste_is_as_many_messages_as_it_has_lines() {
    alone("a bracketed paste", || {
        for (udp, sent) in [(&["--udp"][..], "5 messages sent"), (&[], "5 lines sent")] {
            let host = Running::host(&[udp, &["--rate", "0"]].concat());
            let mut ann = Terminal::join(&[udp, &["--nick", "ann"]].concat());
            ann.shows("* you are ann");
            let mut bob = Running::join(&[udp, &["127.0.0.1", "--nick", "bob"]].concat());
            bob.sees("* you are bob");
            ann.types("\x1b[200~one\rtwo\rthree\x1b[201~");
            ann.shows("three");
            ann.types("\r");
            bob.sees("<ann> one");
            assert_eq!(bob.sees("<ann>"), ["<ann> two"]);
            assert_eq!(bob.sees("<ann>"), ["<ann> three"]);
            ann.types("exit\r");
            ann.shows("* bye");
            ann.shows(sent);
            drop((ann, bob));
            host.interrupt();
            assert_eq!(host.end().2, 0);
        }
    });
}

#[test]
fn steps_that_are_told_do_not_tear_what_is_typed_either() {
    alone("a telling terminal", || {
        let _host = Running::host(&[]);
        let mut bob = Member::named("bob");
        for (telling, words) in [
            (&["-v"][..], "received: <bob> in between"),
            (&["--json"], r#""chat":"heard","line":"<bob> in between""#),
        ] {
            let mut ann = Terminal::join(&[&["--nick", "ann"], telling].concat());
            ann.shows("* you are ann");
            bob.sees("is now ann");
            ann.types("hel");
            ann.shows("hel");
            bob.say("in between");
            ann.shows(words);
            ann.shows("\n");
            ann.shows("> hel");
            ann.types("lo\r");
            bob.sees("<ann> hello");
            ann.types("\x04");
            bob.sees("* ann left");
            ann.shows(if telling == ["--json"] {
                "\"sent_lines\":2"
            } else {
                "over after"
            });
            assert_eq!(ann.child.wait().expect("it ends").code(), Some(0));
        }
    });
}

/// `TERM=dumb` has no line editor, and talks nevertheless.
#[test]
fn a_terminal_that_can_do_nothing_will_do() {
    alone("a dumb terminal", || {
        let _host = Running::host(&[]);
        let mut bob = Member::named("bob");
        let mut ann = Terminal::on("dumb", &["--nick", "ann"]);
        ann.shows("* you are ann");
        bob.sees("is now ann");
        ann.types("hello\r");
        bob.sees("<ann> hello");
    });
}
