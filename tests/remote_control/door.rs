//! Who comes in: strangers, the silent, those who fail too often, and other servers.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use crate::ground::{Ground, knock, must, socklab, text};
use crate::support::alone::alone;
use crate::support::running::Running;

/// Whoever says nothing takes half of the places, and the others are for others.
#[test]
fn a_mute_source_does_not_fill_the_server() {
    alone("remote full", || {
        let ground = Ground::new("");
        let mut server = ground.serve(&["-m", "20", "--handshake-timeout", "60s"]);
        let mute: Vec<TcpStream> = (0..30).map(|_| knock()).collect();
        server.until("full, of 20 places: 127.0.0.1:");
        let other = ground.client("run", &["[::1]", "info"]).output();
        let other = other.expect("it runs");
        assert!(other.status.success(), "{other:?}");
        let own = ground.run(&["info"]);
        assert_eq!(own.status.code(), Some(1), "{own:?}");
        assert!(text(&own.stderr).contains("or it is full"), "{own:?}");
        drop(mute);
    });
}

#[test]
fn it_listens_on_loopback_unless_an_address_is_given() {
    alone("remote serve", || {
        let ground = Ground::new("");
        let keys = ground.keys("server");
        let mut server = Running::socklab(&["remote", "serve", "--keys", &keys]);
        let told = server.told("may come in").join("\n");
        let key = ground.key("server");
        assert!(!told.contains(&key), "the fingerprint is shown: {told}");
        let (before, rest) = told.split_once("SHA256:").expect("the fingerprint");
        let told = format!("{before}SHA256:…{}", &rest[43..]);
        insta::assert_snapshot!(told, @r"
        socklab: listening on 127.0.0.1:5073
        socklab: listening on [::1]:5073
        socklab: this server's key is SHA256:…
        socklab: 1 key may come in, and run 3 commands
        ");
    });
}

#[test]
fn a_wrong_key_is_refused_at_either_end() {
    alone("remote keys", || {
        let ground = Ground::new("");
        let mut server = ground.serve(&[]);
        let stranger = ground.keys("stranger");
        must(&["keys", "generate", "--keys", &stranger]);
        let key = ground.key("server");
        let arguments = [
            "list",
            "127.0.0.1",
            "--keys",
            &stranger,
            "--server-key",
            &key,
        ];
        let output = socklab(&arguments).output().expect("it runs");
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(
            told.contains("shake hands with 127.0.0.1:5073: the server closed"),
            "{told}"
        );
        assert!(
            told.contains("it does not know this key, SHA256:"),
            "{told}"
        );
        server.until("closed: its key is not authorised");
        // The client expects another server.
        let other = ground.key("stranger");
        let output = ground
            .client("list", &["127.0.0.1", "--server-key", &other])
            .output()
            .expect("it runs");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        // It knows no key at all: nothing is sent, nothing is trusted.
        let output = socklab(&["list", "127.0.0.1", "--keys", &stranger])
            .output()
            .expect("it runs");
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(
            told.contains("the server's key is not known; socklab remote keys"),
            "{told}"
        );
    });
}

#[test]
fn who_fails_too_often_is_locked_out_with_the_right_key_too() {
    alone("remote lock-out", || {
        let ground = Ground::new("");
        let mut server = ground.serve(&["--failures", "3", "--lockout", "60"]);
        for _ in 0..3 {
            let mut stranger = knock();
            stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("sent");
            let mut answer = Vec::new();
            // A reset is as good as an end.
            let _ = stranger.read_to_end(&mut answer);
            assert_eq!(answer, b"", "not a word");
            server.until("what came is not this protocol");
        }
        server.until("127.0.0.1 failed too often: locked out for 60.0 s");
        let output = ground.run(&["info"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        server.until("sent away: it failed too often");
        // Another address is another source.
        let other = ground
            .client("run", &["[::1]", "info"])
            .output()
            .expect("it runs");
        assert!(other.status.success(), "{other:?}");
        let kinds: Vec<String> = ground
            .audit()
            .iter()
            .map(|line| line["audit"].as_str().expect("a kind").to_owned())
            .collect();
        assert_eq!(
            kinds,
            ["broken", "broken", "broken", "locked_out", "begin", "end"]
        );
    });
}

#[test]
fn who_says_nothing_or_too_little_is_closed() {
    alone("remote handshake time-out", || {
        let ground = Ground::new("");
        let mut server = ground.serve(&["--handshake-timeout", "1s"]);
        for begun in [&b""[..], b"\0", b"\0\x54SLR\x01"] {
            let mut slow = knock();
            slow.write_all(begun).expect("sent");
            let mut answer = Vec::new();
            let _ = slow.read_to_end(&mut answer);
            assert_eq!(answer, b"");
            server.until("closed: it took too long");
        }
        // Whoever only looks whether the port is open has failed at nothing.
        for _ in 0..10 {
            drop(knock());
        }
        assert!(ground.run(&["info"]).status.success());
        let mut left = knock();
        left.write_all(b"\0\x54SLR").expect("sent");
        left.shutdown(Shutdown::Write).expect("connected");
        server.until("closed: it left in the middle of the handshake");
    });
}

#[test]
fn a_server_that_says_nothing_or_something_else_is_left() {
    alone("remote other servers", || {
        let ground = Ground::new("");
        let door = TcpListener::bind("127.0.0.1:5073").expect("a port");
        let ask = || ground.client("run", &["--timeout", "2s", "127.0.0.1", "info"]);
        let output = ask().output().expect("it runs");
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("no answer within 2s (--timeout)"), "{told}");
        drop(door.accept().expect("it came"));
        let child = ask().spawn().expect("it starts");
        let (mut client, _) = door.accept().expect("it comes");
        client.write_all(b"SSH-2.0-Other\r\n").expect("sent");
        let output = child.wait_with_output().expect("it ends");
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("what came is not this protocol"), "{told}");
        drop(door);
        let output = ask().output().expect("it runs");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(text(&output.stderr).contains("ECONNREFUSED"), "{output:?}");
    });
}
