//! Other proxies and several servers: who is asked, who shares the load, and
//! what happens when one does not answer.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;

use crate::stand::{
    Proxy, SOCKLAB, alone, echo_late, printed, reply, request, request_name, rest, serve, take,
};

/// A server that says one letter to each client, once it has been asked.
macro_rules! letter {
    ($address:expr, $letter:literal) => {
        serve($address, |mut client: TcpStream| {
            if client.read(&mut [0; 1]).is_ok_and(|count| count == 1) {
                let _ = client.write_all($letter);
            }
        })
    };
}

/// A tunnel to a name.
fn tunnel(proxy: &Proxy, name: &[u8], port: u16) -> TcpStream {
    let mut stream = proxy.connect();
    let bytes = [&[5, 1, 0][..], &request_name(name, port)].concat();
    stream.write_all(&bytes).expect("written");
    assert_eq!(take(&mut stream, 2), [5, 0]);
    assert_eq!(reply(&mut stream), 0, "it is granted");
    stream
}

fn letter_of(proxy: &Proxy, name: &[u8]) -> String {
    let mut stream = tunnel(proxy, name, 80);
    stream.write_all(b"?").expect("written");
    String::from_utf8(rest(&mut stream)).expect("a letter")
}

#[test]
fn several_servers_share_the_load_in_turn() {
    alone("in turn", || {
        let servers = [
            letter!("127.0.0.1:0", b"a"),
            letter!("[::1]:0", b"b"),
            letter!("127.0.0.1:0", b"c"),
        ];
        let other = letter!("127.0.0.1:80", b"o");
        assert_eq!(other.port(), 80);
        let list = servers.map(|one| one.to_string()).join(",");
        let balance = format!("www.test:80={list}");
        let proxy = Proxy::start(&["127.0.0.1:0", "--balance", &balance]);
        let said: String = (0..6).map(|_| letter_of(&proxy, b"WWW.test")).collect();
        assert_eq!(said, "abcabc");
        assert_eq!(letter_of(&proxy, b"four.test"), "o", "as it was asked for");
        let (_, out, _) = proxy.running.interrupt();
        for server in servers {
            assert!(out.contains(&format!("{server}: 2 connections\n")), "{out}");
        }
        let proxy = Proxy::start(&["127.0.0.1:0", "--balance", &list]);
        assert_eq!(
            letter_of(&proxy, b"four.test"),
            "a",
            "whatever is asked for"
        );
    });
}

#[test]
fn the_server_with_the_fewest_connections_is_next() {
    alone("the fewest", || {
        let list = [letter!("127.0.0.1:0", b"a"), letter!("127.0.0.1:0", b"b")];
        let list = list.map(|one| one.to_string()).join(",");
        let more = ["--balance-by", "least-connections", "-v"];
        let arguments = [&["127.0.0.1:0", "--balance", &list][..], &more].concat();
        let mut proxy = Proxy::start(&arguments);
        let held = tunnel(&proxy, b"x.test", 1);
        let said: String = (0..3)
            .map(|_| {
                let letter = letter_of(&proxy, b"x.test");
                proxy.running.until("8/8 ended");
                letter
            })
            .collect();
        assert_eq!(said, "bbb", "the first one still has its client");
        drop(held);
    });
}

#[test]
fn a_server_that_does_not_answer_is_left_out_until_it_does() {
    alone("health", || {
        let up = letter!("127.0.0.1:0", b"u");
        let down = TcpListener::bind("127.0.0.1:0").expect("a port");
        let down_at = down.local_addr().expect("an address");
        drop(down);
        let list = format!("{down_at},{up}");
        let arguments = [
            "127.0.0.1:0",
            "--balance",
            &list,
            "--health-interval",
            "20ms",
        ];
        let mut proxy = Proxy::start(&arguments);
        let told = proxy.running.until("is down");
        assert!(
            told.contains(&format!("{down_at} is down: connect")),
            "{told}"
        );
        let said: String = (0..3).map(|_| letter_of(&proxy, b"x.test")).collect();
        assert_eq!(said, "uuu");
        let again = letter!(&down_at.to_string(), b"d");
        proxy.running.until(&format!("{again} is up"));
        let said: String = (0..4).map(|_| letter_of(&proxy, b"x.test")).collect();
        assert!(said.contains('d') && said.contains('u'), "{said}");
    });
}

#[test]
fn where_no_server_answers_the_client_is_told_why() {
    alone("none", || {
        let proxy = Proxy::start(&["127.0.0.1:0", "--balance", "127.0.0.1:9,127.0.0.2:9"]);
        assert_eq!(proxy.answer(&request_name(b"x.test", 80)), 5);
        assert_eq!(
            proxy.status("CONNECT x.test:80 HTTP/1.1\r\n\r\n"),
            "HTTP/1.1 502 Bad Gateway"
        );
    });
}

#[test]
fn through_another_proxy_in_each_of_its_protocols() {
    alone("via", || {
        let server = serve("127.0.0.1:0", echo_late);
        let users = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(users.path(), "ann:secret\n").expect("written");
        let path = users.path().display().to_string();
        let mut far = Proxy::start(&["127.0.0.1:0", "--users", &path, "-v"]);
        for (scheme, asked) in [
            ("socks5", "127.0.0.1"),
            ("socks5h", "four.test"),
            ("http", "four.test"),
        ] {
            let mut command = Command::new(SOCKLAB);
            let url = format!("{scheme}://ann@{}", far.address);
            command.args(["proxy", "serve", "127.0.0.1:0", "--via", &url]);
            command
                .args(["--via-password-env", "SECRET"])
                .env("SECRET", "secret");
            let near = Proxy::begin(command);
            let mut stream = tunnel(&near, b"four.test", server.port());
            stream.write_all(b"hello").expect("written");
            stream.shutdown(std::net::Shutdown::Write).expect("ended");
            assert_eq!(rest(&mut stream), b"hello");
            let told = far.running.until("3/8 destination CONNECT");
            assert!(
                told.contains(&format!("CONNECT {asked}:")),
                "{scheme}: {told}"
            );
            // HTTP has one status for what is refused and what is unreachable.
            let code = if scheme == "http" { 1 } else { 5 };
            assert_eq!(near.answer(&request_name(b"four.test", 9)), code);
            far.running.until("8/8 ended       it was refused");
        }
    });
}

#[test]
fn a_wrong_password_for_the_other_proxy_is_a_failure() {
    alone("via, wrong", || {
        let mut command = Command::new(SOCKLAB);
        command.args(["proxy", "serve", "127.0.0.1:0", "--users-env", "WHO"]);
        let far = Proxy::begin({
            command.env("WHO", "ann:secret");
            command
        });
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "wrong\n").expect("written");
        let path = file.path().display().to_string();
        for scheme in ["socks5", "http"] {
            let url = format!("{scheme}://ann@{}", far.address);
            let arguments = [
                "127.0.0.1:0",
                "-v",
                "--via",
                &url,
                "--via-password-file",
                &path,
            ];
            let mut near = Proxy::start(&arguments);
            assert_eq!(near.answer(&request_name(b"127.0.0.1", 80)), 1);
            near.running
                .until("the other proxy: it wants a user and a password, and not these");
        }
    });
}

#[test]
fn other_proxies_share_the_load_and_what_comes_with_a_reply_is_passed_on() {
    /// Grants everything, and speaks at once.
    fn hasty(mut client: TcpStream) {
        let _ = client.read(&mut [0; 3]);
        let _ = client.write_all(&[5, 0]);
        let _ = client.read(&mut [0; 100]);
        let _ = client.write_all(b"\x05\0\0\x01\0\0\0\0\0\0early words");
    }
    alone("via, early", || {
        let at: [SocketAddr; 2] = [(); 2].map(|()| serve("127.0.0.1:0", hasty));
        let urls = at.map(|one| format!("socks5h://{one}"));
        let via = ["127.0.0.1:0", "--via", &urls[0], "--via", &urls[1]];
        let proxy = Proxy::start(&via);
        for _ in 0..4 {
            let mut stream = tunnel(&proxy, b"x.test", 80);
            assert_eq!(rest(&mut stream), b"early words");
        }
        let (_, out, _) = proxy.running.interrupt();
        for url in urls {
            assert!(out.contains(&format!("{url}: 2 connections\n")), "{out}");
        }
    });
}

#[test]
fn an_ordinary_proxy_is_a_proxy_to_go_through() {
    alone("microsocks", || {
        let server = serve("127.0.0.1:0", crate::stand::web);
        let _microsocks = crate::stand::Running::start(
            "microsocks",
            &["-i", "127.0.0.1", "-p", "1081", "-u", "ann", "-P", "secret"],
        );
        while TcpStream::connect("127.0.0.1:1081").is_err() {
            std::thread::yield_now();
        }
        let mut command = Command::new(SOCKLAB);
        command.args([
            "proxy",
            "serve",
            "127.0.0.1:0",
            "--via",
            "socks5://ann@127.0.0.1:1081",
        ]);
        command
            .args(["--via-password-env", "SECRET"])
            .env("SECRET", "secret");
        let proxy = Proxy::begin(command);
        let through = format!("http://{}", proxy.address);
        let url = format!("http://four.test:{}/", server.port());
        let arguments = ["-sS", "-p", "-m", "20", "-x", &through, &url];
        assert_eq!(printed("curl", &arguments, b""), crate::stand::PAGE);
    });
}

#[test]
fn another_proxy_that_hangs_up_is_down_and_the_next_is_asked() {
    alone("via, gone", || {
        let server = serve("127.0.0.1:0", echo_late);
        let rude = format!("socks5://{}", serve("127.0.0.1:0", drop));
        let good = Proxy::start(&["127.0.0.1:0"]);
        let url = format!("socks5://{}", good.address);
        let more = ["--health-interval", "3600", "--via", &rude, "--via", &url];
        let mut proxy = Proxy::start(&[&["127.0.0.1:0"][..], &more].concat());
        let mut stream = proxy.tunnel(server);
        stream.write_all(b"hello").expect("written");
        stream.shutdown(Shutdown::Write).expect("ended");
        assert_eq!(rest(&mut stream), b"hello");
        let told = proxy.running.until("is down");
        assert!(told.contains(&rude), "{told}");
    });
}

#[test]
fn a_port_that_accepts_and_is_no_proxy_is_down_before_anybody_asks() {
    /// Speaks, and something else.
    fn stranger(mut client: TcpStream) {
        let _ = client.write_all(b"220 mail.test\r\n");
        let _ = client.read(&mut [0; 16]);
    }
    alone("via, no proxy", || {
        for (attend, why) in [
            (
                stranger as fn(TcpStream),
                "the other proxy: it does not speak the protocol: a message begins with 0x32",
            ),
            (drop, "greet the other proxy: "),
        ] {
            let url = format!("socks5://{}", serve("127.0.0.1:0", attend));
            let mut proxy = Proxy::start(&["127.0.0.1:0", "--via", &url]);
            let told = proxy.running.until("is down");
            assert!(told.contains(&format!("{url} is down: {why}")), "{told}");
        }
    });
}

#[test]
fn what_goes_through_no_other_proxy_is_refused_with_its_reason() {
    alone("via, BIND", || {
        let far = Proxy::start(&["127.0.0.1:0"]);
        let url = format!("socks5://{}", far.address);
        let mut near = Proxy::start(&["127.0.0.1:0", "-v", "--via", &url]);
        let to = "127.0.0.1:9".parse().expect("an address");
        for (command, why) in [
            (2, "BIND does not go through another proxy (--via)"),
            (3, "UDP ASSOCIATE does not go through another proxy (--via)"),
        ] {
            assert_eq!(near.answer(&request(command, to)), 7, "not supported");
            near.running.until(&format!("5/8 refused     {why}"));
            near.running
                .until("6/8 replied     7, command not supported");
        }
    });
}

#[test]
fn a_proxy_that_answers_again_is_up_again() {
    alone("via, back", || {
        let users = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(users.path(), "ann:secret\n").expect("written");
        let path = users.path().display().to_string();
        let via = [
            "--via",
            "socks5://127.0.0.1:1081",
            "--health-interval",
            "10ms",
        ];
        let mut near = Proxy::start(&[&["127.0.0.1:0"][..], &via].concat());
        near.running.until("socks5://127.0.0.1:1081 is down");
        // One that wants a password is one all the same.
        let _far = Proxy::start(&["127.0.0.1:1081", "--users", &path]);
        near.running.until("socks5://127.0.0.1:1081 is up");
    });
}

#[test]
fn a_proxy_does_not_go_through_itself() {
    alone("via, round", || {
        let server = serve("127.0.0.1:0", echo_late);
        let mut proxy = Proxy::start(&["127.0.0.1:1080", "--via", "socks5://127.0.0.1:1080"]);
        assert_eq!(proxy.answer(&request(1, server)), 1);
        proxy.running.until("127.0.0.1:1080 is this proxy itself");
    });
}
