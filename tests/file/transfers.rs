//! Transfers as they should be: either end listens, every size, folders,
//! what is there already, what is there in part, many at once.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Command;
use std::thread;
use std::time::{Duration, SystemTime};

use socklab::protocol::file::Modified;

use crate::scene::{
    Ended, Folders, Hand, Running, SOCKLAB, alone, bytes, mode, modified, receive, receiver, run,
    sender, unfinished,
};

#[test]
fn either_end_may_listen() {
    alone("either end may listen", || {
        for family in ["-4", "-6"] {
            let folders = Folders::new();
            let sent = bytes(1, 300_000);
            let path = folders.file("photo.jpg", &sent);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o4755)).expect("ours");

            let host = if family == "-4" { "127.0.0.1" } else { "[::1]" };
            let (sender, port) = sender(&["--once", family], std::slice::from_ref(&path));
            let into = folders.to();
            let into = into.to_str().expect("text");
            run(&["receive", &format!("{host}:{port}"), "--into", into]).with(0);
            sender.end().with(0);
            assert_eq!(folders.received("photo.jpg"), sent);
            let there = folders.to().join("photo.jpg");
            assert_eq!(mode(&there), 0o755, "set-user-ID is not carried over");
            let (from, to) = (fs::metadata(&path), fs::metadata(&there));
            let time = |meta: std::io::Result<fs::Metadata>| {
                let meta = meta.expect("it is there");
                (meta.mtime(), meta.mtime_nsec())
            };
            assert_eq!(time(from), time(to));

            fs::remove_file(there).expect("ours");
            let (receiver, port) = receiver(&["--once", family], &folders.to());
            let path = path.to_str().expect("text");
            run(&["send", path, "--to", &format!("{host}:{port}")]).with(0);
            receiver.end().with(0);
            assert_eq!(folders.received("photo.jpg"), sent);
            assert_eq!(folders.all_received(), ["photo.jpg"]);
        }
    });
}

#[test]
fn every_size_arrives_in_every_block() {
    alone("sizes and blocks", || {
        let folders = Folders::new();
        let sizes = [
            0, 1, 2047, 2048, 2049, 4096, 262_143, 262_144, 262_145, 1_000_003,
        ];
        let paths: Vec<_> = sizes
            .iter()
            .map(|size| folders.file(&format!("{size}.bin"), &bytes(*size as u64, *size)))
            .collect();
        for (block, hash) in [
            ("1", "blake3"),
            ("2048", "sha256"),
            ("3000", "blake3"),
            ("1048576", "sha256"),
        ] {
            let words = ["--once", "-4", "--block", block, "--hash", hash];
            let (sender, port) = sender(&words, &paths);
            receive(port, &folders.to(), &["--exists", "overwrite"]).with(0);
            sender.end().with(0);
            for size in sizes {
                let received = folders.received(&format!("{size}.bin"));
                assert_eq!(
                    received,
                    bytes(size as u64, size),
                    "{size} in blocks of {block}"
                );
            }
        }
    });
}

#[test]
fn folders_arrive_with_all_that_is_in_them_but_links() {
    alone("folders", || {
        let folders = Folders::new();
        folders.file("album/a.txt", b"a");
        folders.file("album/deep/er/b.txt", b"b");
        folders.file("album/gr\u{fc}\u{df}e \u{1f600}.txt", b"c");
        fs::create_dir(folders.from().join("album/empty")).expect("a folder");
        symlink("/etc/passwd", folders.from().join("album/link")).expect("a link");
        symlink("/etc", folders.from().join("album/folder-link")).expect("a link");
        let odd = std::ffi::OsStr::from_bytes(b"album/line\nbreak");
        fs::write(folders.from().join(odd), b"d").expect("room");
        let latin = std::ffi::OsStr::from_bytes(b"album/latin-\xe9");
        fs::write(folders.from().join(latin), b"e").expect("room");

        let (sender, port) = sender(&["--once", "-4"], &[folders.from().join("album")]);
        receive(port, &folders.to(), &[]).with(0);
        let sender = sender.end().with(2);
        assert!(
            sender
                .told
                .contains("link: not sent: a link is not followed")
        );
        let odd = "line\\nbreak: not sent: the name has a control character";
        assert!(sender.told.contains(odd), "{}", sender.told);
        let all = [
            "album/",
            "album/a.txt",
            "album/deep/",
            "album/deep/er/",
            "album/deep/er/b.txt",
            "album/empty/",
            "album/gr\u{fc}\u{df}e \u{1f600}.txt",
            "album/latin-\u{fffd}",
        ];
        assert_eq!(folders.all_received(), all);
    });
}

#[test]
fn what_is_there_stays_unless_told_otherwise() {
    alone("what is there", || {
        let folders = Folders::new();
        let path = folders.file("letter.txt", b"new and longer");
        fs::write(folders.to().join("letter.txt"), b"old").expect("room");
        let (sender, port) = sender(&["-4"], &[path]);

        let refused = receive(port, &folders.to(), &[]).with(1);
        let words = "letter.txt: not received: something of that name is there";
        assert!(refused.told.contains(words), "{}", refused.told);
        assert_eq!(folders.received("letter.txt"), b"old");

        for number in 1..=2 {
            receive(port, &folders.to(), &["--exists", "rename"]).with(0);
            let other = format!("letter ({number}).txt");
            assert_eq!(folders.received(&other), b"new and longer");
        }
        assert_eq!(folders.received("letter.txt"), b"old");

        receive(port, &folders.to(), &["--exists", "overwrite"]).with(0);
        assert_eq!(folders.received("letter.txt"), b"new and longer");

        // The same is no refusal, and another one of the same size is.
        let same = receive(port, &folders.to(), &[]).with(0);
        assert!(
            same.out.contains("1 there already, the same"),
            "{}",
            same.out
        );
        fs::write(folders.to().join("letter.txt"), b"old but longer").expect("room");
        receive(port, &folders.to(), &[]).with(1);
        assert_eq!(folders.received("letter.txt"), b"old but longer");
        let all = ["letter (1).txt", "letter (2).txt", "letter.txt"];
        assert_eq!(folders.all_received(), all);
        sender.interrupt();
        sender.end().with(1);
    });
}

#[test]
fn a_transfer_goes_on_at_any_byte() {
    alone("resuming", || {
        let sent = bytes(3, 20_000);
        for there in [1, 2047, 2048, 2049, 19_999, 20_000] {
            let folders = Folders::new();
            let path = folders.file("film.mkv", &sent);
            let unfinished = unfinished("film.mkv", 20_000, modified(&path));
            fs::write(folders.to().join(&unfinished), &sent[..there]).expect("room");
            let (sender, port) = sender(&["-4", "--once"], &[path]);
            let received = receive(port, &folders.to(), &[]).with(0);
            let words = format!("1 file, {} byte", grouped(20_000 - there));
            assert!(received.out.starts_with(&words), "{}", received.out);
            sender.end().with(0);
            assert_eq!(folders.received("film.mkv"), sent);
            assert_eq!(folders.all_received(), ["film.mkv"]);
        }
        // What is there is the beginning of something else, or too long.
        for there in [&b"something else"[..], &[sent.clone(), vec![0]].concat()] {
            let folders = Folders::new();
            let path = folders.file("film.mkv", &sent);
            let unfinished = unfinished("film.mkv", 20_000, modified(&path));
            fs::write(folders.to().join(&unfinished), there).expect("room");
            let (_sender, port) = sender(&["-4", "--once"], &[path]);
            let received = receive(port, &folders.to(), &[]).with(0);
            assert!(received.out.starts_with("1 file, 20,000 bytes"));
            assert_eq!(folders.received("film.mkv"), sent);
            assert_eq!(folders.all_received(), ["film.mkv"]);
        }
    });
}

fn grouped(count: usize) -> String {
    match count {
        1000.. => format!("{},{:03}", count / 1000, count % 1000),
        _ => count.to_string(),
    }
}

#[test]
fn one_file_goes_to_many_at_once() {
    alone("many receivers", || {
        let folders = Folders::new();
        let sent = bytes(4, 1_000_000);
        let path = folders.file("one.bin", &sent);
        let (sender, port) = sender(&["-4", "--max-connections", "4"], &[path]);
        let receivers: Vec<_> = (0..12)
            .map(|number| {
                let into = folders.outside().join(format!("into-{number}"));
                fs::create_dir(&into).expect("a folder");
                // A thread is in the namespace of the one that starts it.
                thread::spawn(move || {
                    receive(port, &into, &[]).with(0);
                    fs::read(into.join("one.bin")).expect("it is there")
                })
            })
            .collect();
        for receiver in receivers {
            assert_eq!(receiver.join().expect("it ends"), sent);
        }
        sender.interrupt();
        let all = sender.end().with(0);
        assert!(
            all.out.starts_with("12 files, 12,000,000 bytes"),
            "{}",
            all.out
        );
    });
}

#[test]
fn many_small_files_cost_no_round_trip_each() {
    alone("many small files", || {
        let folders = Folders::new();
        for number in 0..3000 {
            folders.file(
                &format!("tree/{}/{number}", number % 7),
                &bytes(number, 100),
            );
        }
        let (sender, port) = sender(&["-4", "--once"], &[folders.from().join("tree")]);
        receive(port, &folders.to(), &[]).with(0);
        sender.end().with(0);
        for number in 0..3000 {
            let name = format!("tree/{}/{number}", number % 7);
            assert_eq!(folders.received(&name), bytes(number, 100));
        }
    });
}

#[test]
fn few_descriptors_make_it_slower_and_lose_nothing() {
    alone("few descriptors", || {
        let folders = Folders::new();
        for number in 0..600 {
            let name = format!("tree/{}/{number}", number % 7);
            folders.file(&name, &bytes(number, 100));
        }
        let few = |words: &[&str]| {
            let mut command = Command::new("prlimit");
            command.args(["--nofile=40:40", SOCKLAB, "file"]);
            command.args(words);
            command
        };
        let tree = folders.from().join("tree");
        let tree = tree.to_str().expect("text");
        let words = ["send", "--listen", "--port", "0", "-4", "--once", tree];
        let mut sender = Running::start(few(&words));
        let server = format!("127.0.0.1:{}", sender.port());
        let into = folders.to();
        let into = into.to_str().expect("text");
        let received = few(&["receive", &server, "--into", into]).output();
        Ended::from(received.expect("prlimit runs")).with(0);
        sender.end().with(0);
        for number in 0..600 {
            let name = format!("tree/{}/{number}", number % 7);
            assert_eq!(folders.received(&name), bytes(number, 100));
        }
    });
}

#[test]
fn small_files_are_as_whole_as_large_ones() {
    alone("small files", || {
        let folders = Folders::new();
        let sizes = [0, 1, 3000, 4096, 4097];
        let name = |size: usize| format!("tree/new/{size}");
        for size in sizes {
            let path = folders.file(&name(size), &bytes(1, size));
            let time = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 7);
            let file = fs::File::open(&path).expect("it is there");
            file.set_modified(time).expect("ours");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o4467)).expect("ours");
        }
        let tree = folders.from().join("tree");
        let (sender, port) = sender(&["-4"], &[tree]);
        let masked = |words: &[&str]| {
            let script = "umask 027; exec \"$0\" \"$@\"";
            let to = format!("127.0.0.1:{port}");
            let mut command = Command::new("sh");
            command.args(["-c", script, SOCKLAB, "file", "receive", &to]);
            command.args(words).arg("--into").arg(folders.to());
            Ended::from(command.output().expect("sh runs")).with(0)
        };
        let check = |name: &str, size| {
            assert_eq!(folders.received(name), bytes(1, size));
            let there = folders.to().join(name);
            assert_eq!(mode(&there), 0o440, "{name}");
            let meta = fs::metadata(&there).expect("it is there");
            assert_eq!((meta.mtime(), meta.mtime_nsec()), (1_000_000_000, 7));
        };
        masked(&[]);
        for size in sizes {
            check(&name(size), size);
        }
        // They are there already, the same; they get other names; they go on.
        let same = masked(&[]);
        assert!(same.out.contains("5 there already"), "{}", same.out);
        masked(&["--exists", "rename"]);
        for size in sizes {
            check(&format!("{} (1)", name(size)), size);
        }
        let there = folders.to().join(name(3000));
        let time = modified(&there);
        fs::remove_file(&there).expect("it is there");
        let hidden = folders
            .to()
            .join("tree/new")
            .join(unfinished("3000", 3000, time));
        fs::write(&hidden, &bytes(1, 3000)[..1234]).expect("room");
        let rest = masked(&[]);
        assert!(
            rest.out.contains("1,234 bytes there from before"),
            "{}",
            rest.out
        );
        check(&name(3000), 3000);
        assert!(!hidden.exists());
        sender.interrupt();
        sender.end().with(0);
    });
}

#[test]
fn a_rehearsal_takes_nothing() {
    alone("rehearsal", || {
        let folders = Folders::new();
        let path = folders.file("album/a.txt", b"abc");
        let album = path.parent().expect("a folder").to_owned();
        let said = run(&["send", "--dry-run", album.to_str().expect("text")]).with(0);
        let expected = "         folder  album/\n              3  album/a.txt\n              \
                        3  in 1 file and 1 folder; nothing was sent\n";
        assert_eq!(said.out, expected);
        let words = ["send", "--dry-run", "--json", album.to_str().expect("text")];
        let said = run(&words).with(0);
        assert_eq!(said.out, expected);
        let line: serde_json::Value = serde_json::from_str(&said.told).expect("a line of JSON");
        assert_eq!(line["type"], "result");
        assert_eq!(
            line["result"],
            serde_json::json!({
                "dry_run": true,
                "files": 1,
                "directories": 1,
                "size_bytes": 3,
                "offers": [
                    {"kind": "folder", "name": "album"},
                    {"kind": "file", "name": "album/a.txt", "size_bytes": 3},
                ],
            })
        );
        let (sender, port) = sender(&["-4", "--once"], &[album]);
        let received = receive(port, &folders.to(), &["--dry-run", "-v"]).with(0);
        assert!(received.told.contains("album/a.txt: offered, 3 bytes"));
        let would = "album/a.txt: would be received, 3 bytes";
        assert!(received.told.contains(would), "{}", received.told);
        assert_eq!(folders.all_received(), Vec::<String>::new());
        sender.end().with(0);
    });
}

#[test]
fn two_that_receive_into_the_same_folder_do_not_mix() {
    alone("two into one folder", || {
        let folders = Folders::new();
        let (first, second) = (bytes(5, 400_000), bytes(6, 400_000));
        let name = unfinished("same.bin", 400_000, Modified::default());
        let path = folders.file("same.bin", &second);
        let file = fs::File::open(&path).expect("it is there");
        file.set_modified(SystemTime::UNIX_EPOCH).expect("ours");
        let (receiver, port) = receiver(&["-4"], &folders.to());
        // The first is in the middle of it when the second comes.
        let mut hand = Hand::sending(port, "files=1 directories=0 bytes=400000");
        hand.say(crate::scene::offer("same.bin", 400_000));
        assert!(hand.line().starts_with("SEND offset=0"));
        let to = format!("127.0.0.1:{port}");
        let busy = run(&["send", path.to_str().expect("text"), "--to", &to]).with(1);
        assert!(
            busy.told.contains("another transfer is writing it"),
            "{}",
            busy.told
        );
        hand.say("DATA offset=0 length=400000\n");
        hand.say(&first);
        hand.say(crate::scene::end(&first));
        hand.say("DONE files=1 bytes=400000\n");
        assert_eq!(hand.rest(), ["OK", "DONE files=1 bytes=400000"]);
        assert_eq!(folders.received("same.bin"), first);
        assert!(!folders.to().join(name).exists());
        receiver.interrupt();
        receiver.end().with(1);
    });
}

#[test]
fn a_pipe_is_told_nothing_but_what_must_be_known() {
    alone("quiet", || {
        let folders = Folders::new();
        let path = folders.file("a.bin", &bytes(7, 100_000));
        let (sender, port) = sender(&["-4", "--once"], &[path]);
        let received = receive(port, &folders.to(), &[]).with(0);
        assert_eq!(received.told, "");
        let told = sender.end().with(0).told;
        assert_eq!(told, format!("socklab: listening on 127.0.0.1:{port}\n"));
    });
}

#[test]
fn json_tells_every_step_and_the_result_last() {
    alone("json", || {
        let folders = Folders::new();
        let path = folders.file("a.bin", &bytes(8, 5000));
        let (_sender, port) = sender(&["-4", "--once"], &[path]);
        let received = receive(port, &folders.to(), &["--json"]).with(0);
        let lines: Vec<serde_json::Value> = received
            .told
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        let steps: Vec<&str> = lines
            .iter()
            .filter_map(|line| line["file"].as_str())
            .collect();
        let expected = [
            "greeted",
            "announced",
            "offered",
            "wanted",
            "ended",
            "kept",
            "over",
        ];
        assert_eq!(steps, expected);
        let last = lines.last().expect("a result");
        assert_eq!(last["type"], "result");
        assert_eq!(last["result"]["moved_bytes"], 5000);
    });
}
