//! A transfer that is watched: its packets where capture is allowed, a word where
//! it is not, and all of it, the demonstration too, by an ordinary user.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::scene::{Ended, Folders, Running, SOCKLAB, alone, bytes, receive, sender};

/// Each end's packets, and its own steps among them.
#[test]
fn packets_are_shown_where_capture_is_allowed() {
    alone("packets", || {
        for (family, server) in [("-4", "127.0.0.1"), ("-6", "[::1]")] {
            let folders = Folders::new();
            let path = folders.file("a", &bytes(1, 1000));
            let words = ["--once", "--packets", family];
            let (sender, port) = sender(&words, &[path]);
            let to = format!("{server}:{port}");
            let into = folders.to();
            let into = into.to_str().expect("text");
            let received = crate::scene::run(&["receive", &to, "--packets", "--into", into]);
            let received = received.with(0);
            let sent = sender.end().with(0);
            for told in [&received.told, &sent.told] {
                let syn = format!(" → {server}:{port} TCP SYN seq=0 ");
                for words in [&syn, " TCP SYN,ACK seq=0 ack=1 ", " TCP PSH,ACK seq=1 "] {
                    assert!(told.contains(words), "no {words:?} in {told}");
                }
                // Packets are told by whoever captures them, a little later.
                let place = |words: &str| told.find(words).expect(words);
                let offered = place("a: offered, 1,000 bytes");
                assert!(offered < place("a: received, whole"), "{told}");
            }
            assert_eq!(folders.received("a"), bytes(1, 1000));
        }
    });
}

#[test]
fn an_ordinary_user_can_do_it_all() {
    alone("an ordinary user", || {
        let nobody = Nobody::new();
        let path = nobody.folders.file("a", &bytes(2, 5000));
        let mut command = nobody.command(&["send", "--listen", "--port", "0", "-4", "--once"]);
        let mut sender = Running::start({
            command.arg(&path);
            command
        });
        let to = format!("127.0.0.1:{}", sender.port());
        let received = nobody.run(&["receive", &to, "--packets", "--into"], &nobody.into);
        let words = "packets are not shown: capture on lo: operation not permitted (EPERM); \
                     seeing packets needs CAP_NET_RAW";
        assert!(received.told.contains(words), "{}", received.told);
        let words = "a: received, whole";
        assert!(received.told.contains(words), "{}", received.told);
        sender.end().with(0);
        assert_eq!(
            fs::read(nobody.into.join("a")).expect("there"),
            bytes(2, 5000)
        );

        // And the other way round: a receiver of theirs, a sender of ours.
        fs::remove_file(nobody.into.join("a")).expect("it is there");
        let (sender, port) = self::sender(&["--once", "-4"], &[path]);
        receive(port, &nobody.into, &[]).with(0);
        sender.end().with(0);
    });
}

#[test]
fn an_ordinary_user_can_play_the_demonstration() {
    alone("a demonstration by an ordinary user", || {
        let nobody = Nobody::new();
        let mut command = nobody.program();
        let played = command.args(["--demo", "--color", "never"]).output();
        let played = Ended::from(played.expect("setpriv runs")).with(0);
        for words in [
            "letter.txt  5,000             0            3  ✓ equal, byte for byte",
            "photo.raw   9,000         3,001            3  ✓ equal, byte for byte",
        ] {
            assert!(played.out.contains(words), "no {words:?} in {}", played.out);
        }
    });
}

/// Somebody without a privilege, with a program and a folder of their own.
struct Nobody {
    folders: Folders,
    program: PathBuf,
    into: PathBuf,
}

impl Nobody {
    fn new() -> Self {
        let folders = Folders::new();
        let (from, into) = (folders.from(), folders.to());
        for folder in [folders.outside(), &from, &into] {
            let open = fs::Permissions::from_mode(0o777);
            fs::set_permissions(folder, open).expect("ours");
        }
        // Whoever runs this may keep the program where nobody else may look.
        let program = folders.outside().join("socklab");
        fs::copy(SOCKLAB, &program).expect("room");
        Self {
            folders,
            program,
            into,
        }
    }

    fn program(&self) -> Command {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .args(["--bounding-set=-all", "--inh-caps=-all"])
            .arg(&self.program)
            .arg("file")
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null());
        command
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.program();
        command.args(words);
        command
    }

    fn run(&self, words: &[&str], path: &Path) -> Ended {
        let output = self.command(words).arg(path).output();
        Ended::from(output.expect("setpriv runs")).with(0)
    }
}
