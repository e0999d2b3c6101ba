//! Somebody between the ends: who changes, repeats, cuts off, or reads.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Child;

use crate::ground::{Ground, knock, script, text};
use crate::support::alone::alone;

/// Somebody between the ends.
struct Between {
    client: TcpStream,
    server: TcpStream,
}

impl Between {
    /// Starts a client that asks for `info`, and stands between.
    fn stand(ground: &Ground) -> (Self, Child) {
        let door = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = door.local_addr().expect("bound").to_string();
        let key = ground.key("server");
        let words = [address.as_str(), "--server-key", &key, "info"];
        let child = ground.client("run", &words).spawn().expect("it starts");
        let (client, _) = door.accept().expect("it connects");
        let server = knock();
        (Self { client, server }, child)
    }

    fn frame(from: &mut TcpStream) -> Vec<u8> {
        let mut length = [0; 2];
        from.read_exact(&mut length).expect("a frame");
        let mut rest = vec![0; usize::from(u16::from_be_bytes(length))];
        from.read_exact(&mut rest).expect("all of it");
        [&length[..], &rest].concat()
    }
}

#[test]
fn a_bit_changed_on_the_way_ends_it_at_whichever_end() {
    alone("remote changed", || {
        let ground = Ground::new("");
        let mut server = ground.serve(&["--failures", "1000"]);
        // The client's two messages and the server's first two.
        for number in 0..4_u8 {
            let (mut between, child) = Between::stand(&ground);
            for index in 0..=number {
                let (from, to) = match index {
                    0 | 2 => (&mut between.client, &mut between.server),
                    _ => (&mut between.server, &mut between.client),
                };
                let mut frame = Between::frame(from);
                if index == number {
                    let last = frame.len() - 1;
                    frame[last] ^= 1;
                }
                to.write_all(&frame).expect("sent");
            }
            if number.is_multiple_of(2) {
                server.until("closed: ");
                drop(between);
            }
            let output = child.wait_with_output().expect("it ends");
            assert_eq!(
                output.status.code(),
                Some(1),
                "message {number}: {output:?}"
            );
            assert_eq!(text(&output.stdout), "", "message {number}");
            let told = text(&output.stderr);
            match number {
                1 => assert!(told.contains("a wrong key, or a changed message"), "{told}"),
                3 => assert!(told.contains("a message was changed"), "{told}"),
                _ => {}
            }
        }
        let runs = ground.audit();
        let runs = runs.iter().filter(|line| line["audit"] == "begin");
        assert_eq!(runs.count(), 1, "only the one whose answer was changed");
    });
}

#[test]
fn what_was_said_before_says_nothing_when_it_is_said_again() {
    alone("remote replayed", || {
        let ground = Ground::new("");
        let mut server = ground.serve(&["--failures", "1000"]);
        let (mut between, child) = Between::stand(&ground);
        let hello = Between::frame(&mut between.client);
        between.server.write_all(&hello).expect("sent");
        let reply = Between::frame(&mut between.server);
        between.client.write_all(&reply).expect("sent");
        let ask = Between::frame(&mut between.client);
        between.server.write_all(&ask).expect("sent");
        for _ in 0..3 {
            let answer = Between::frame(&mut between.server);
            between.client.write_all(&answer).expect("sent");
        }
        assert!(child.wait_with_output().expect("it ends").status.success());
        // All of it once more.
        let mut again = knock();
        again.write_all(&[&hello[..], &ask].concat()).expect("sent");
        let mut answer = Vec::new();
        let _ = again.read_to_end(&mut answer);
        assert_eq!(answer, b"");
        server.until("closed: a handshake that was seen before was played again");
        // To a server that has been started since, and remembers nothing.
        drop(server);
        let mut server = ground.serve(&[]);
        let mut again = knock();
        again.write_all(&[&hello[..], &ask].concat()).expect("sent");
        server.until("closed: a message was changed, repeated, left out or out of order");
        let audit = ground.audit();
        let runs = audit.iter().filter(|line| line["audit"] == "begin");
        assert_eq!(runs.count(), 1, "{audit:?}");
    });
}

#[test]
fn an_answer_that_is_cut_off_is_no_answer() {
    alone("remote truncated", || {
        let ground = Ground::new("");
        let _server = ground.serve(&[]);
        let (mut between, child) = Between::stand(&ground);
        let hello = Between::frame(&mut between.client);
        between.server.write_all(&hello).expect("sent");
        let reply = Between::frame(&mut between.server);
        between.client.write_all(&reply).expect("sent");
        let ask = Between::frame(&mut between.client);
        between.server.write_all(&ask).expect("sent");
        // All but the last message, which says how it ended.
        for _ in 0..2 {
            let answer = Between::frame(&mut between.server);
            between.client.write_all(&answer).expect("sent");
        }
        between.client.shutdown(Shutdown::Write).expect("connected");
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let told = text(&output.stderr);
        assert!(
            told.contains("the connection ended before the answer"),
            "{told}"
        );
    });
}

#[test]
fn nothing_of_what_is_said_can_be_read_on_the_way() {
    alone("remote sealed", || {
        let ground = Ground::new(&script("echo a very plain secret", ""));
        let _server = ground.serve(&[]);
        let output = ground
            .client("run", &["127.0.0.1", "--trace", "x"])
            .output()
            .expect("it runs");
        assert_eq!(text(&output.stdout), "a very plain secret\n");
        let told = text(&output.stderr);
        assert!(told.contains("send(86 bytes) = 86"), "{told}");
        let plain = hex::encode("plain");
        let bytes: String = told
            .split_whitespace()
            .filter(|word| word.len() == 2)
            .collect();
        assert!(
            !told.contains("plain secret") && !bytes.contains(&plain),
            "{told}"
        );
    });
}
