//! Files that are not what they were when the sender found them: what is
//! received is all of them, or nothing under their names.

use std::fs;
use std::path::Path;

use crate::scene::{Folders, Hand, alone, receive, receiver, sender};

#[test]
fn a_file_that_grew_while_nobody_asked_is_sent_as_it_is_now() {
    alone("a file that grew", || {
        let folders = Folders::new();
        let path = folders.file("log", b"12345678\n");
        let (running, port) = sender(&["-4", "--once"], std::slice::from_ref(&path));
        fs::write(&path, b"12345678\nmore\n").expect("room");
        receive(port, &folders.to(), &[]).with(0);
        running.end().with(0);
        assert_eq!(folders.received("log"), b"12345678\nmore\n");
    });
}

#[test]
fn a_file_that_is_more_than_it_says_is_not_cut() {
    alone("a file of proc", || {
        let folders = Folders::new();
        let path = Path::new("/proc/cpuinfo").to_owned();
        let (running, port) = sender(&["-4", "--once"], &[path]);
        let received = receive(port, &folders.to(), &[]).with(1);
        let words = "cpuinfo: not received: the file changed while it was sent";
        assert!(received.told.contains(words), "{}", received.told);
        let sent = running.end().with(1);
        assert!(sent.told.contains(words), "{}", sent.told);
        assert_eq!(folders.all_received(), Vec::<String>::new());
    });
}

#[test]
fn what_was_announced_and_never_came_is_told() {
    alone("a file that is gone", || {
        let folders = Folders::new();
        let paths = [folders.file("a", b"a"), folders.file("gone", b"b")];
        let (running, port) = sender(&["-4", "--once"], &paths);
        fs::remove_file(&paths[1]).expect("ours");
        let received = receive(port, &folders.to(), &[]).with(1);
        let words = "1 file: announced, and never came";
        assert!(received.told.contains(words), "{}", received.told);
        assert!(received.out.contains("; 1 failed"), "{}", received.out);
        running.end().with(1);
        assert_eq!(folders.all_received(), ["a"]);

        // A sender that only says so.
        let (running, port) = receiver(&["-4", "--once"], &folders.to());
        let mut hand = Hand::sending(port, "files=3 directories=1 bytes=0");
        hand.say("DONE files=0 bytes=0\n");
        assert_eq!(hand.rest(), ["DONE files=0 bytes=0"]);
        let told = running.end().with(1).told;
        assert!(told.contains("3 files and 1 folder: announced"), "{told}");
    });
}
