//! A receiver that means harm: it gets what was offered to it and nothing else,
//! and costs nobody else anything.

use crate::scene::{Folders, Hand, alone, bytes, receive, sender};

#[test]
fn it_gets_nothing_but_what_was_offered() {
    alone("a hostile receiver", || {
        let folders = Folders::new();
        let path = folders.file("a", &bytes(1, 100));
        let (running, port) = sender(&["-4"], &[path]);
        let zeros = "0".repeat(64);
        for lines in [
            format!("SEND offset=101 block=2048 prefix-hash=blake3:{zeros}\n"),
            format!("SEND offset=18446744073709551615 block=1 prefix-hash=blake3:{zeros}\n"),
            "SEND offset=0 block=2048 prefix-hash=blake3:00\n".into(),
            format!("SEND offset=0 block=0 prefix-hash=blake3:{zeros}\n"),
            "SEND name=../../etc/passwd offset=0\n".into(),
            "MADE\n".into(),
            "OK\n".into(),
            "FAIL code=hash\n".into(),
            "DONE files=1 bytes=100\n".into(),
            "SKIP reason=%1b\n".into(),
            "SKIP reason=exists\nSKIP reason=exists\n".into(),
            "FILE name=b mode=644 mtime=0 size=1 block=1 hash=blake3\n".into(),
            "GET /etc/passwd HTTP/1.0\n".into(),
            "a".repeat(5000),
        ] {
            let mut hand = Hand::receiving(port);
            assert!(hand.line().starts_with("FILE name=a "));
            hand.say(&lines);
            let rest = hand.rest();
            let bye = rest.last().map(String::as_str);
            assert_eq!(bye, Some("BYE code=protocol"), "{lines:?}: {rest:?}");
            assert!(
                !rest.iter().any(|line| line.starts_with("DATA")),
                "{lines:?}"
            );
        }
        receive(port, &folders.to(), &[]).with(0);
        assert_eq!(folders.received("a"), bytes(1, 100));
        running.interrupt();
        let told = running.end().told;
        assert!(!told.contains('\u{1b}'), "{told:?}");
    });
}

#[test]
fn a_prefix_that_is_another_one_starts_at_the_first_byte() {
    alone("a wrong prefix", || {
        let folders = Folders::new();
        let sent = bytes(1, 100);
        let path = folders.file("a", &sent);
        let (_sender, port) = sender(&["-4"], &[path]);
        let right = blake3::hash(&sent[..60]).to_hex();
        let wrong = blake3::hash(b"").to_hex();
        for (prefix, offset) in [(right, 60), (wrong, 0)] {
            let mut hand = Hand::receiving(port);
            assert!(hand.line().starts_with("FILE name=a "));
            hand.say(format!(
                "SEND offset=60 block=7 prefix-hash=blake3:{prefix}\n"
            ));
            let length = 100 - offset;
            let data = format!("DATA offset={offset} length={length}");
            assert_eq!(hand.line(), data);
            assert_eq!(hand.bytes(length), sent[offset..]);
            let hash = blake3::hash(&sent).to_hex();
            assert_eq!(hand.line(), format!("END bytes=100 hash=blake3:{hash}"));
        }
    });
}

#[test]
fn one_that_does_not_read_holds_up_nobody() {
    alone("a receiver that does not read", || {
        let folders = Folders::new();
        let sent = bytes(2, 30 << 20);
        let path = folders.file("large", &sent);
        let (mut running, port) = sender(&["-4", "--idle-timeout", "500ms"], &[path]);
        let mut deaf = Hand::receiving(port);
        assert!(deaf.line().starts_with("FILE name=large "));
        let prefix = blake3::hash(b"").to_hex();
        deaf.say(format!(
            "SEND offset=0 block=2048 prefix-hash=blake3:{prefix}\n"
        ));
        assert!(deaf.line().starts_with("DATA offset=0"));
        receive(port, &folders.to(), &[]).with(0);
        assert_eq!(folders.received("large"), sent);
        running.until("nothing moved for 500ms");
    });
}

#[test]
fn a_receiver_that_floods_is_left() {
    alone("a flood", || {
        let folders = Folders::new();
        let path = folders.file("a", &bytes(1, 100));
        let (running, port) = sender(&["-4"], &[path]);
        let mut hand = Hand::receiving(port);
        // Not one of these can belong to anything.
        hand.say("OK\n".repeat(1 << 18));
        let rest = hand.rest();
        assert!(rest.len() <= 2, "{rest:?}");
        receive(port, &folders.to(), &[]).with(0);
        running.interrupt();
        assert!(running.end().told.contains("OK makes no sense here"));
    });
}
