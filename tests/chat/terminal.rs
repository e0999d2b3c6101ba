//! The line editor on a real terminal: what comes in does not tear what is being
//! typed, and the terminal is left as it was.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command};

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
        let pty = openpty(None, None).expect("a terminal");
        let user = File::from(pty.slave);
        let child = Command::new(SOCKLAB)
            .args([&["chat", "join", "127.0.0.1"], arguments].concat())
            .env("TERM", "xterm")
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
