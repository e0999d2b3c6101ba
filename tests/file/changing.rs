//! Files that are not what they were when the sender found them: what is
//! received is all of them, or nothing under their names.

use std::fs;
use std::path::Path;

use crate::scene::{Folders, alone, receive, sender};

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
