//! Where files may not go, where there is no room, and what is said of it.

use std::fs;
use std::process::Command;

use nix::mount::{MsFlags, mount};

use crate::scene::{Ended, Folders, Hand, alone, bytes, offer, receive, receiver, run, sender};

#[test]
fn a_full_disk_is_said_before_and_in_the_middle() {
    alone("a full disk", || {
        let nothing = None::<&str>;
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(nothing, "/", nothing, private, nothing).expect("it may be private");
        let folders = Folders::new();
        let small = Some("size=1m");
        mount(
            Some("tmpfs"),
            &folders.to(),
            Some("tmpfs"),
            MsFlags::empty(),
            small,
        )
        .expect("it may be mounted");
        let (large, fits) = (bytes(1, 2_000_000), bytes(2, 900_000));
        let paths = [folders.file("large", &large), folders.file("fits", &fits)];
        let (_sender, port) = sender(&["-4"], &paths);
        let received = receive(port, &folders.to(), &[]).with(1);
        let words = "large: not received: there is not enough room on the receiver's disk";
        assert!(received.told.contains(words), "{}", received.told);
        assert_eq!(folders.received("fits"), fits);
        assert_eq!(folders.all_received(), ["fits"]);
        // Somebody else takes the room after it was promised.
        fs::remove_file(folders.to().join("fits")).expect("ours");
        let (running, port) = receiver(&["-4"], &folders.to());
        let mut hand = Hand::sending(port, "files=1 directories=0 bytes=900000");
        let whose = hand.address();
        hand.say(offer("late", 900_000));
        assert!(hand.line().starts_with("SEND offset=0"));
        fs::write(folders.to().join("other"), bytes(3, 500_000)).expect("room");
        hand.say("DATA offset=0 length=900000\n");
        hand.say(&fits);
        assert_eq!(hand.rest(), ["BYE code=space"]);
        running.interrupt();
        let told = running.end().told;
        let words = format!("{whose}: write late: no space left on device (ENOSPC)");
        assert!(told.contains(&words), "{told}");
        assert!(!folders.to().join("late").exists());
    });
}

#[test]
fn failures_say_what_where_why_and_what_would_help() {
    alone("failures", || {
        let folders = Folders::new();
        let path = folders.file("a", b"a");
        let path = path.to_str().expect("text");
        let refused = run(&["send", path, "--to", "127.0.0.1:9"]).with(1);
        assert_eq!(
            refused.told,
            "socklab: connect 127.0.0.1:9: connection refused (ECONNREFUSED); the host is \
             there, and nothing listens on this port\n"
        );
        for words in [&["send", path, "--to", ""][..], &["receive", ""]] {
            let nobody = run(words).with(2);
            assert_eq!(
                nobody.told,
                "socklab: connect: the other end's name is empty; HOST or HOST:PORT says where\n"
            );
        }
        let missing = run(&["send", "/nowhere/at/all", "--listen"]).with(2);
        assert_eq!(
            missing.told,
            "socklab: send /nowhere/at/all: no such file or directory (ENOENT); check the \
             spelling\n"
        );
        let neither = run(&["send", path]).with(2);
        assert!(
            neither
                .told
                .contains("--to HOST sends to a receiver, --listen waits for one")
        );
        let other = folders.file("other/a", b"b");
        let doubled = run(&["send", path, other.to_str().expect("text"), "--listen"]).with(2);
        let words = format!("{path} would have the same name there, a; ");
        assert!(doubled.told.contains(&words), "{}", doubled.told);
        assert!(doubled.told.contains("other/a: "), "{}", doubled.told);
        let device = run(&["send", "/dev/null", "--listen"]).with(2);
        assert!(device.told.contains("it is neither a file nor a folder"));
        let (_receiver, port) = receiver(&["-4"], &folders.to());
        let both = run(&["receive", &format!("127.0.0.1:{port}")]).with(1);
        assert!(
            both.told.contains("both ends want to receive"),
            "{}",
            both.told
        );
        let (_sender, port) = sender(&["-4"], &[path.into()]);
        let nowhere = folders.outside().join("nowhere");
        let nowhere = receive(port, &nowhere, &[]).with(2);
        assert!(
            nowhere
                .told
                .contains("the folder must exist and be writable; --into names another")
        );
        let listening = run(&["receive", "--listen", "--into", "/nowhere/at/all"]).with(2);
        assert_eq!(listening.out, "");
        assert!(
            listening
                .told
                .contains("receive into /nowhere/at/all: no such file")
        );
    });
}

#[test]
fn what_cannot_be_written_is_said_and_the_rest_arrives() {
    alone("an unwritable folder", || {
        let folders = Folders::new();
        folders.file("tree/a", b"a");
        folders.file("tree/b/c", b"c");
        fs::create_dir(folders.to().join("tree")).expect("a folder");
        // In the way of a folder.
        fs::write(folders.to().join("tree/b"), b"precious").expect("room");
        let (sender, port) = sender(&["-4", "--once"], &[folders.from().join("tree")]);
        let received = receive(port, &folders.to(), &[]).with(1);
        assert!(
            received.told.contains("tree/b: not received"),
            "{}",
            received.told
        );
        assert!(
            received.told.contains("tree/b/c: not received"),
            "{}",
            received.told
        );
        sender.end().with(1);
        assert_eq!(folders.received("tree/a"), b"a");
        assert_eq!(folders.received("tree/b"), b"precious");
    });
}

#[test]
fn ctrl_c_ends_with_what_was_done_and_keeps_what_has_come() {
    alone("Ctrl-C", || {
        let folders = Folders::new();
        let (receiver, port) = receiver(&["-4"], &folders.to());
        let mut hand = Hand::sending(port, "files=2 directories=0 bytes=2000");
        hand.say(offer("a", 2000));
        assert!(hand.line().starts_with("SEND offset=0"));
        hand.say("DATA offset=0 length=2000\n");
        hand.say(vec![b'a'; 1000]);
        let has_come = || {
            let hidden = folders.all_received().pop()?;
            let meta = fs::metadata(folders.to().join(hidden)).ok()?;
            Some(meta.len())
        };
        while has_come() != Some(1000) {
            std::thread::yield_now();
        }
        receiver.interrupt();
        assert_eq!(hand.rest(), ["BYE code=stopped"]);
        let ended = receiver.end().with(1);
        assert!(
            ended.out.starts_with("0 files, 1,000 bytes"),
            "{}",
            ended.out
        );
        let words = "run it again: the transfer goes on where it was stopped";
        assert!(ended.told.contains(words), "{}", ended.told);
        // Nobody came: that is no failure.
        let (sender, _) = sender(&["-4"], &[folders.file("b", b"b")]);
        sender.interrupt();
        sender.end().with(0);
    });
}

#[test]
fn an_ordinary_user_needs_no_privilege() {
    alone("an ordinary user", || {
        let folders = Folders::new();
        let path = folders.file("a", b"abc");
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o444))
            .expect("ours");
        let (_sender, port) = sender(&["-4"], &[path]);
        let into = folders.to();
        for folder in [folders.outside(), &into] {
            let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
            fs::set_permissions(folder, open).expect("ours");
        }
        // Whoever runs this may keep the program where nobody else may look.
        let program = folders.outside().join("socklab");
        fs::copy(crate::scene::SOCKLAB, &program).expect("room");
        let output = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&program)
            .args(["file", "receive", &format!("127.0.0.1:{port}"), "--into"])
            .arg(&into)
            .output();
        Ended::from(output.expect("setpriv runs")).with(0);
        assert_eq!(crate::scene::mode(&into.join("a")), 0o444);
    });
}
