//! What is told of a connection: the eight steps, every call and every byte,
//! and JSON Lines.

use std::io::Write;
use std::net::Shutdown;

use serde_json::Value;

use crate::stand::{Proxy, alone, echo_late, rest, serve};

/// Ports and times are another each time.
fn masked(told: &str) -> String {
    let mut out = String::new();
    for line in told.lines() {
        let line = line.get(13..).unwrap_or(line);
        let line = line.split(" in ").next().unwrap_or(line);
        let line = line.split(", after ").next().unwrap_or(line);
        let mut words = line
            .split_inclusive(' ')
            .map(|word| match word.rsplit_once(':') {
                Some((host, port)) if port.trim().parse::<u16>().is_ok() => {
                    let gap = if word.ends_with(' ') { " " } else { "" };
                    format!("{host}:PORT{gap}")
                }
                _ => word.to_owned(),
            });
        let line: String = words.by_ref().collect();
        if !line.contains("RTT") && !line.contains("over") {
            out.push_str(line.trim_end());
            out.push('\n');
        }
    }
    out
}

fn converse(proxy: &Proxy, server: std::net::SocketAddr) {
    let mut stream = proxy.tunnel(server);
    stream.write_all(b"hello").expect("written");
    stream.shutdown(Shutdown::Write).expect("ended");
    assert_eq!(rest(&mut stream), b"hello");
}

#[test]
fn the_eight_steps() {
    alone("steps", || {
        let server = serve("127.0.0.1:0", echo_late);
        let mut proxy = Proxy::start(&["127.0.0.1:0", "-v"]);
        converse(&proxy, server);
        let mut told = proxy.running.through("client 1  8/8 ended");
        let nobody = crate::stand::request_name(b"nobody.test", 80);
        assert_eq!(proxy.answer(&nobody), 4);
        told += &proxy.running.through("client 2  8/8 ended");
        insta::assert_snapshot!(masked(&told));
    });
}

#[test]
fn every_call_and_every_byte() {
    alone("trace", || {
        let server = serve("127.0.0.1:0", echo_late);
        let proxy = Proxy::start(&["127.0.0.1:0", "--trace"]);
        converse(&proxy, server);
        let (told, ..) = proxy.running.interrupt();
        for words in [
            "listener: accept4() = 0, client 1, 127.0.0.1:",
            "client 1: recv(",
            "connection: connect(127.0.0.1:",
            "connection: send(\"hello\") = 5",
            "68 65 6c 6c 6f                                    hello",
            "connection: shutdown(SHUT_WR) = 0",
            "connection: recv(16384) = 0, end of stream",
            "8/8 ended",
        ] {
            assert!(told.contains(words), "no {words:?} in {told}");
        }
    });
}

#[test]
fn a_password_that_is_wrong_or_missing_is_told_as_such() {
    alone("passwords told", || {
        let users = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(users.path(), "ann:secret\n").expect("written");
        let path = users.path().display().to_string();
        let mut proxy = Proxy::start(&["127.0.0.1:0", "-v", "--users", &path]);
        for (words, steps) in [
            (
                &b"\x05\x01\x02\x01\x03ann\x06secreT"[..],
                [
                    "2/8 method      SOCKS5, a wrong password",
                    "5/8 refused     wrong user or password",
                    "6/8 replied     1, wrong user or password",
                ],
            ),
            (
                b"\x05\x01\x00",
                [
                    "2/8 method      SOCKS5, without a password",
                    "5/8 refused     the client offers no way",
                    "6/8 replied     255, a password is needed",
                ],
            ),
            (
                b"CONNECT a:1 HTTP/1.1\r\n\r\n",
                [
                    "2/8 method      HTTP, without a password",
                    "5/8 refused     a password is needed",
                    "6/8 replied     407, a password is needed",
                ],
            ),
        ] {
            let mut stream = proxy.connect();
            stream.write_all(words).expect("written");
            rest(&mut stream);
            for step in steps {
                proxy.running.until(step);
            }
        }
    });
}

#[test]
fn packets_of_both_connections_are_shown() {
    alone("packets of both connections", || {
        for (listen, at) in [("127.0.0.1:1080", "[::1]:0"), ("[::1]:1080", "127.0.0.1:0")] {
            let server = serve(at, echo_late);
            let proxy = Proxy::start(&[listen, "--packets"]);
            converse(&proxy, server);
            let near = proxy.address;
            let (told, ..) = proxy.running.interrupt();
            for end in [near, server] {
                for packet in [
                    format!(" → {end} TCP SYN seq=0 "),
                    format!("{end} → "),
                    format!(" → {end} TCP FIN,ACK "),
                ] {
                    assert!(told.contains(&packet), "no {packet:?} in {told}");
                }
            }
            // Five bytes each way, on both connections.
            assert_eq!(told.matches(" len=5\n").count(), 4, "{told}");
        }
    });
}

#[test]
fn json_lines_have_each_step_by_its_name() {
    alone("JSON", || {
        let server = serve("127.0.0.1:0", echo_late);
        let mut running = crate::stand::Running::start(
            crate::stand::SOCKLAB,
            &["proxy", "serve", "127.0.0.1:1080", "--json"],
        );
        running.until("\"talk\":\"listening\"");
        let address = "127.0.0.1:1080".parse().expect("an address");
        let proxy = Proxy { running, address };
        converse(&proxy, server);
        let (told, ..) = proxy.running.interrupt();
        let lines: Vec<Value> = told
            .lines()
            .map(|line| serde_json::from_str(line).expect("each line is JSON"))
            .collect();
        let steps: Vec<&str> = lines
            .iter()
            .filter(|line| line["type"] == "proxy" && line["client"] == 1)
            .filter_map(|line| line["proxy"].as_str())
            .collect();
        assert_eq!(
            steps,
            [
                "asked",
                "method",
                "destination",
                "resolved",
                "connected",
                "replied",
                "relayed",
                "ended"
            ]
        );
        let relayed = lines.iter().find(|line| line["proxy"] == "relayed");
        assert_eq!(relayed.expect("it is there")["to_client_bytes"], 5);
        let last = lines.last().expect("the result");
        assert_eq!(last["command"], "proxy serve", "{last}");
        assert_eq!(last["result"]["granted"], 1, "{last}");
    });
}
