//! A sender that means harm: whatever it says, nothing leaves the folder,
//! nothing is overwritten, nothing grows without end, and no terminal obeys it.

use std::fs;
use std::os::unix::fs::symlink;

use socklab::protocol::file::Modified;

use crate::scene::{
    Folders, Hand, Running, alone, bytes, end, mode, offer, receive, receiver, sender, unfinished,
};

/// A receiver, and a sender by hand that announced ten files.
fn against(words: &[&str], folders: &Folders) -> (Running, Hand) {
    let (receiver, port) = receiver(&[&["-4"], words].concat(), &folders.to());
    let hand = Hand::sending(port, "files=10 directories=10 bytes=1000000");
    (receiver, hand)
}

/// What the receiver tells of it, which holds no escape sequence.
fn told(receiver: Running) -> String {
    receiver.interrupt();
    let told = receiver.end().told;
    assert!(!told.contains('\u{1b}'), "{told:?}");
    told
}

#[test]
fn names_that_lead_elsewhere_end_the_conversation() {
    alone("names", || {
        let folders = Folders::new();
        let long = "a".repeat(300);
        for name in [
            "../evil",
            "%2e%2e/evil",
            "a/../../evil",
            "/tmp/socklab-evil",
            "%2Ftmp/socklab-evil",
            "a//b",
            "a/",
            ".",
            "..",
            "",
            "a%5Cb",
            "a%00b",
            "a%1B%5B2Jb",
            "a%0Ab",
            ".socklab-00.part",
            &long,
        ] {
            for verb in ["FILE", "DIR"] {
                let (receiver, mut hand) = against(&[], &folders);
                let line = offer(name, 4);
                hand.say(line.replacen("FILE", verb, 1));
                assert_eq!(hand.rest(), ["BYE code=protocol"], "{verb} {name}");
                assert!(told(receiver).contains("understand 127.0.0.1:"));
            }
        }
        assert_eq!(folders.all_received(), Vec::<String>::new());
        assert!(!folders.outside().join("evil").exists());
        assert!(!std::path::Path::new("/tmp/socklab-evil").exists());
    });
}

#[test]
fn links_in_the_folder_lead_nowhere() {
    alone("links", || {
        let folders = Folders::new();
        let outside = folders.outside().join("outside");
        fs::create_dir(&outside).expect("a folder");
        fs::write(outside.join("precious"), b"precious").expect("room");
        symlink(&outside, folders.to().join("link")).expect("a link");
        symlink(outside.join("precious"), folders.to().join("file-link")).expect("a link");
        let part = |name: &str| {
            let name = unfinished(name, 4, Modified::default());
            folders.to().join(name)
        };
        symlink(outside.join("precious"), part("a")).expect("a link");
        fs::hard_link(outside.join("precious"), part("b")).expect("a link");
        fs::create_dir(part("c")).expect("a folder");
        let made = nix::unistd::mkfifo(&part("d"), nix::sys::stat::Mode::S_IRWXU);
        made.expect("a pipe");

        let (receiver, mut hand) = against(&["--exists", "overwrite"], &folders);
        hand.say("DIR name=link mode=755 mtime=0\n");
        assert_eq!(hand.line(), "SKIP reason=unsafe");
        for name in ["link/x", "link/precious", "file-link/x", "a", "b", "c", "d"] {
            hand.say(offer(name, 4));
            assert_eq!(hand.line(), "SKIP reason=unsafe", "{name}");
        }
        // The link itself is replaced, and what it led to stays.
        hand.say(offer("file-link", 4));
        assert!(hand.line().starts_with("SEND offset=0"));
        hand.say("DATA offset=0 length=4\nevil");
        hand.say(end(b"evil"));
        assert_eq!(hand.line(), "OK");
        drop(hand);
        told(receiver);
        assert_eq!(folders.received("file-link"), b"evil");
        assert_eq!(
            fs::read(outside.join("precious")).expect("there"),
            b"precious"
        );
        assert_eq!(fs::read_dir(&outside).expect("there").count(), 1);
    });
}

#[test]
fn settings_are_planted_by_nobody() {
    alone("hidden names", || {
        let folders = Folders::new();
        let (receiver, mut hand) = against(&["--exists", "overwrite"], &folders);
        hand.say("DIR name=.ssh mode=755 mtime=0\n");
        assert_eq!(hand.line(), "SKIP reason=hidden");
        for name in [".bashrc", ".ssh/authorized_keys", "a/.b/c"] {
            hand.say(offer(name, 4));
            assert_eq!(hand.line(), "SKIP reason=hidden", "{name}");
        }
        drop(hand);
        let words = ".bashrc: not received: the receiver takes hidden files only with --hidden";
        assert!(told(receiver).contains(words));
        assert_eq!(folders.all_received(), Vec::<String>::new());

        folders.file("home/.bashrc", b"ours");
        let (running, port) = sender(&["-4"], &[folders.from().join("home")]);
        receive(port, &folders.to(), &[]).with(1);
        receive(port, &folders.to(), &["--hidden"]).with(0);
        assert_eq!(folders.received("home/.bashrc"), b"ours");
        running.interrupt();
        running.end().with(1);
    });
}

#[test]
fn lying_sizes_and_hashes_leave_nothing() {
    alone("lies", || {
        for lie in [
            "DATA offset=0 length=101\n",
            "DATA offset=0 length=99\n",
            "DATA offset=1 length=99\n",
            "DATA offset=0 length=18446744073709551615\n",
            "DATA offset=18446744073709551615 length=101\n",
            "END bytes=100 hash=blake3:0000000000000000000000000000000000000000000000000000000000000000\n",
            "OK\n",
            "HELLO version=1 role=send name=again\n",
            "MANIFEST files=99 directories=0 bytes=99\n",
            "DONE files=1 bytes=100\n",
            "\n",
            "GET / HTTP/1.1\r\n",
            "\u{1b}[2J\n",
        ] {
            let folders = Folders::new();
            let (receiver, mut hand) = against(&[], &folders);
            hand.say(offer("a", 100));
            assert!(hand.line().starts_with("SEND offset=0"));
            hand.say(lie);
            assert_eq!(hand.rest(), ["BYE code=protocol"], "{lie:?}");
            told(receiver);
            assert_eq!(folders.all_received(), Vec::<String>::new(), "{lie:?}");
        }
        let folders = Folders::new();
        let (receiver, mut hand) = against(&[], &folders);
        hand.say(offer("a", 4));
        assert!(hand.line().starts_with("SEND offset=0"));
        hand.say("DATA offset=0 length=4\nevil");
        hand.say(end(b"good"));
        assert_eq!(hand.line(), "FAIL code=hash");
        hand.say("DONE files=1 bytes=4\n");
        assert_eq!(hand.rest(), ["DONE files=0 bytes=4"]);
        assert!(told(receiver).contains("a: not received: what arrived is not what was sent"));
        assert_eq!(folders.all_received(), Vec::<String>::new());
    });
}

#[test]
fn nothing_grows_without_end() {
    alone("no end", || {
        let folders = Folders::new();
        // A line without an end.
        let (receiver, mut hand) = against(&[], &folders);
        hand.say(vec![b'a'; 1 << 20]);
        assert_eq!(hand.rest(), ["BYE code=protocol"]);
        told(receiver);
        // Offers beyond what was announced, and offers that nothing follows.
        let (receiver, mut hand) = against(&["--max-files", "5000"], &folders);
        for number in 0..11 {
            hand.say(offer(&format!("empty-{number}"), 0));
        }
        let last = hand.rest().pop();
        assert_eq!(last.as_deref(), Some("BYE code=protocol"));
        told(receiver);
        let (receiver, port) = receiver_of(&folders);
        let mut hand = Hand::sending(port, "files=5000 directories=0 bytes=1000000");
        for number in 0..300 {
            hand.say(offer(&format!("file-{number}"), 1));
        }
        let answers = hand.rest();
        assert_eq!(answers.len(), 257, "256 offers may wait");
        assert_eq!(answers[256], "BYE code=protocol");
        told(receiver);
        assert_eq!(folders.all_received(), Vec::<String>::new());
        // More than anybody has room for.
        let (receiver, port) = receiver_of(&folders);
        let most = u64::MAX;
        let mut hand = Hand::sending(port, &format!("files=2 directories=0 bytes={most}"));
        hand.say(offer("huge", most));
        assert_eq!(hand.line(), "SKIP reason=too-large");
        told(receiver);
        let (receiver, port) = receiver_of(&folders);
        let most = i64::MAX;
        let mut hand = Hand::sending(port, &format!("files=2 directories=0 bytes={most}"));
        hand.say(offer("huge", most.cast_unsigned()));
        assert_eq!(hand.line(), "SKIP reason=space");
        told(receiver);
        assert_eq!(folders.all_received(), Vec::<String>::new());
    });
}

fn receiver_of(folders: &Folders) -> (Running, u16) {
    receiver(&["-4"], &folders.to())
}

#[test]
fn limits_are_kept() {
    alone("limits", || {
        let folders = Folders::new();
        let words = [
            "--max-size",
            "1000",
            "--max-total",
            "3000",
            "--max-files",
            "3",
        ];
        for (manifest, expected) in [
            ("files=1 directories=0 bytes=3001", "BYE code=too-large"),
            ("files=4 directories=0 bytes=0", "BYE code=too-large"),
            ("files=1 directories=3 bytes=0", "BYE code=too-large"),
        ] {
            let (receiver, port) = receiver(&[&["-4"], &words[..]].concat(), &folders.to());
            let mut hand = Hand::sending(port, manifest);
            assert_eq!(hand.rest(), [expected], "{manifest}");
            told(receiver);
        }
        let (receiver, port) = receiver(&[&["-4"], &words[..]].concat(), &folders.to());
        let mut hand = Hand::sending(port, "files=2 directories=0 bytes=2001");
        hand.say(offer("a", 1001));
        assert_eq!(hand.line(), "SKIP reason=too-large");
        hand.say(offer("b", 1000));
        assert!(hand.line().starts_with("SEND offset=0"));
        told(receiver);
    });
}

#[test]
fn whoever_says_nothing_is_left() {
    alone("silence", || {
        let folders = Folders::new();
        let (receiver, mut hand) = against(&["--idle-timeout", "300ms"], &folders);
        assert_eq!(hand.rest(), ["BYE code=idle"]);
        assert!(told(receiver).contains("nothing moved for 300ms (--idle-timeout)"));
        // In the middle of a file: what has come is kept for the next time.
        let sent = bytes(9, 10_000);
        let (receiver, mut hand) = against(&["--idle-timeout", "300ms"], &folders);
        hand.say(offer("a", 10_000));
        assert!(hand.line().starts_with("SEND offset=0"));
        hand.say("DATA offset=0 length=10000\n");
        hand.say(&sent[..3333]);
        assert_eq!(hand.rest(), ["BYE code=idle"]);
        told(receiver);
        let (receiver, mut hand) = against(&[], &folders);
        hand.say(offer("a", 10_000));
        let prefix = blake3::hash(&sent[..3333]).to_hex();
        let expected = format!("SEND offset=3333 block=2048 prefix-hash=blake3:{prefix}");
        assert_eq!(hand.line(), expected);
        let part = folders.all_received().pop().expect("a hidden file");
        assert_eq!(mode(&folders.to().join(part)), 0o600);
        hand.say("DATA offset=3333 length=6667\n");
        hand.say(&sent[3333..]);
        hand.say(end(&sent));
        assert_eq!(hand.line(), "OK");
        told(receiver);
        assert_eq!(folders.received("a"), sent);
    });
}

#[test]
fn the_other_end_is_asked_for_no_more_than_it_is_owed() {
    alone("terminal", || {
        let folders = Folders::new();
        let (receiver, port) = receiver(&["-4", "-v"], &folders.to());
        let mut hand = Hand::connect(port);
        hand.say("HELLO version=1 role=send name=%1B%5B2J%C2%9B%E2%80%AE\n");
        hand.say("MANIFEST files=1 directories=0 bytes=1\nBYE code=stopped\n");
        hand.rest();
        let told = told(receiver);
        assert!(
            told.contains("greets as \\u{1b}[2J\\u{9b}\\u{202e}"),
            "{told}"
        );
        assert!(told.contains("the other end was stopped"), "{told}");
        // Both want to receive; or it is no such thing at all.
        let (receiver, port) = receiver_of(&folders);
        let mut hand = Hand::connect(port);
        hand.say("HELLO version=1 role=receive name=me\n");
        assert_eq!(hand.rest(), ["BYE code=role"]);
        let mut hand = Hand::connect(port);
        hand.say("HELLO version=2 role=send name=me\n");
        assert_eq!(hand.rest(), ["BYE code=role"]);
        let mut hand = Hand::connect(port);
        hand.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(hand.rest(), ["BYE code=protocol"]);
        self::told(receiver);
    });
}

#[test]
fn nobody_learns_what_another_left_unfinished() {
    alone("another's part", || {
        let folders = Folders::new();
        let sent = bytes(9, 10_000);
        let (receiver, mut hand) = against(&["--idle-timeout", "300ms"], &folders);
        let own = offer("a", 10_000);
        hand.say(&own);
        assert!(hand.line().starts_with("SEND offset=0"));
        hand.say("DATA offset=0 length=10000\n");
        hand.say(&sent[..3333]);
        assert_eq!(hand.rest(), ["BYE code=idle"]);
        told(receiver);
        let (receiver, port) = receiver_of(&folders);
        let manifest = "files=9 directories=0 bytes=900000";
        // The same name, but another time, or size: another offer.
        let nothing = blake3::hash(b"").to_hex();
        for (from, to) in [
            ("mtime=0", "mtime=0.000000001"),
            ("size=10000", "size=3333"),
            ("size=10000", "size=10001"),
        ] {
            let mut hand = Hand::sending(port, manifest);
            hand.say(own.replace(from, to));
            let expected = format!("SEND offset=0 block=2048 prefix-hash=blake3:{nothing}");
            assert_eq!(hand.line(), expected, "{to}");
            hand.say("BYE code=stopped\n");
            assert_eq!(hand.rest(), Vec::<String>::new());
        }
        let mut hand = Hand::sending(port, manifest);
        hand.say(&own);
        assert!(hand.line().starts_with("SEND offset=3333 "));
        hand.say("DATA offset=3333 length=6667\n");
        hand.say(&sent[3333..]);
        hand.say(end(&sent));
        assert_eq!(hand.line(), "OK");
        drop(hand);
        told(receiver);
        assert_eq!(folders.all_received(), ["a"]);
    });
}

#[test]
fn a_large_file_begun_anew_takes_away_what_was_left_of_its_name() {
    alone("leftovers", || {
        let folders = Folders::new();
        let sent = bytes(1, 1_500_000);
        let path = folders.file("film.mkv", &sent);
        let old = |name: &str, size| {
            let hidden = unfinished(name, size, Modified::default());
            fs::write(folders.to().join(&hidden), b"old").expect("room");
            hidden
        };
        old("film.mkv", 9_000_000);
        old("film.mkv", 5);
        let other = old("other.mkv", 9_000_000);
        let (_sender, port) = sender(&["-4", "--once"], &[path]);
        receive(port, &folders.to(), &[]).with(0);
        assert_eq!(folders.all_received(), [other, "film.mkv".to_owned()]);
        assert_eq!(folders.received("film.mkv"), sent);
    });
}

#[test]
fn a_count_that_is_not_what_came_is_no_success() {
    alone("a wrong count", || {
        for (said, is_right) in [
            ("files=1 bytes=4", true),
            ("files=2 bytes=4", false),
            ("files=1 bytes=5", false),
            ("files=0 bytes=0", false),
        ] {
            let folders = Folders::new();
            let (receiver, port) = receiver(&["-4", "--once"], &folders.to());
            let mut hand = Hand::sending(port, "files=1 directories=0 bytes=4");
            hand.say(offer("a", 4));
            assert!(hand.line().starts_with("SEND offset=0"));
            hand.say("DATA offset=0 length=4\ngood");
            hand.say(end(b"good"));
            hand.say(format!("DONE {said}\n"));
            let last = hand.rest().pop();
            if is_right {
                assert_eq!(last.as_deref(), Some("DONE files=1 bytes=4"));
                receiver.end().with(0);
            } else {
                assert_eq!(last.as_deref(), Some("BYE code=protocol"), "{said}");
                let told = told(receiver);
                assert!(told.contains("sent, and 1 and 4 have come"), "{told}");
            }
            // What came is whole, whatever was counted.
            assert_eq!(folders.received("a"), b"good");
        }
    });
}

#[test]
fn a_listener_says_whose_file_it_was() {
    alone("whose file", || {
        let folders = Folders::new();
        let (receiver, mut hand) = against(&[], &folders);
        let whose = hand.address();
        hand.say(offer(".bashrc", 4));
        assert_eq!(hand.line(), "SKIP reason=hidden");
        drop(hand);
        let told = told(receiver);
        let line = format!("socklab: {whose}: .bashrc: not received: ");
        assert!(told.contains(&line), "{told}");
    });
}
