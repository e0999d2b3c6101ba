//! Handshakes in pieces, all at once, malformed, slow, without a password; and
//! the reply code of each failure.

use std::io::Write;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsRawFd;

use nix::sys::socket::{Backlog, listen};

use crate::stand::{
    Proxy, SOCKLAB, alone, echo_late, replied, request, request_name, rest, serve, sh,
    socks5_connect, take,
};

/// Whole handshakes for a server, with the length of what is answered.
fn handshakes(server: SocketAddr) -> Vec<(Vec<u8>, usize)> {
    let port = server.port().to_be_bytes();
    let socks4a = [&[4, 1][..], &port, &[0, 0, 0, 9], b"me\0four.test\0"].concat();
    let http = format!(
        "CONNECT four.test:{} HTTP/1.1\r\nHost: x\r\n\r\n",
        server.port()
    );
    let http_answer = b"HTTP/1.1 200 Connection established\r\n\r\n".len();
    vec![
        (socks5_connect(server), 2 + 10),
        (socks4a, 8),
        (http.into_bytes(), http_answer),
    ]
}

#[test]
fn a_handshake_cut_at_every_byte_and_all_at_once_with_the_first_words() {
    alone("cuts", || {
        let server = serve("127.0.0.1:0", echo_late);
        let proxy = Proxy::start(&["127.0.0.1:0"]);
        for (handshake, answer) in handshakes(server) {
            let whole = [&handshake[..], b"first words"].concat();
            for cut in 0..=handshake.len() {
                let mut stream = proxy.connect();
                let (head, tail) = whole.split_at(cut);
                stream.write_all(head).expect("written");
                stream.write_all(tail).expect("written");
                stream.shutdown(Shutdown::Write).expect("ended");
                take(&mut stream, answer);
                assert_eq!(rest(&mut stream), b"first words", "cut at {cut}");
            }
            let mut stream = proxy.connect();
            for byte in whole {
                stream.write_all(&[byte]).expect("written");
            }
            stream.shutdown(Shutdown::Write).expect("ended");
            take(&mut stream, answer);
            assert_eq!(rest(&mut stream), b"first words", "byte by byte");
        }
    });
}

#[test]
fn what_is_no_handshake_is_closed_and_the_proxy_goes_on() {
    alone("noise", || {
        let server = serve("127.0.0.1:0", echo_late);
        let proxy = Proxy::start(&["127.0.0.1:0"]);
        let long = [&b"CONNECT a:1 HTTP/1.1\r\nx: "[..], &[b'y'; 20_000]].concat();
        for (noise, answer) in [
            (&b"\x16\x03\x01\x02\x00"[..], &b""[..]),
            (b"\0\0\0\0", b""),
            (b"\x05\x01\x02", b"\x05\xff"),
            (b"\x05\x01\0\x06\x01", b"\x05\0"),
            (b"\x04\x01\0\x50\0\0\0\x01\0\0", b"\0\x5b"),
            (b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 405 "),
            (b"CONNECT a HTTP/1.1\r\n\r\n", b"HTTP/1.1 400 "),
            (b"CONNECT \x01 HTTP/1.1\r\n\r\n", b"HTTP/1.1 400 "),
            (&long, b"HTTP/1.1 431 "),
        ] {
            let mut stream = proxy.connect();
            stream.write_all(noise).expect("written");
            stream.shutdown(Shutdown::Write).expect("ended");
            let got = rest(&mut stream);
            let begins = String::from_utf8_lossy(&got);
            assert!(got.starts_with(answer), "{noise:x?}: {begins}");
            assert_eq!(got.is_empty(), answer.is_empty(), "{noise:x?}: {begins}");
        }
        drop(proxy.tunnel(server));
    });
}

#[test]
fn whoever_is_slow_with_the_handshake_is_left() {
    alone("slow", || {
        let mut proxy = Proxy::start(&["127.0.0.1:0", "-v", "--handshake-timeout", "50ms"]);
        let mut stream = proxy.connect();
        stream.write_all(&[5, 2, 0]).expect("written");
        assert_eq!(rest(&mut stream), b"");
        proxy
            .running
            .until("no whole handshake within 50ms (--handshake-timeout)");
    });
}

#[test]
fn each_failure_has_its_code() {
    alone("codes", || {
        sh("ip route add unreachable 198.51.100.0/24");
        let at = |text: &str| text.parse::<SocketAddr>().expect("an address");
        // A listener whose queue is full answers nobody.
        let full = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let full_at = full.local_addr().expect("an address");
        listen(&full, Backlog::new(0).expect("none")).expect("it listens");
        let _waits: Vec<_> = (0..1)
            .map(|_| std::net::TcpStream::connect(full_at))
            .collect();
        assert!(full.as_raw_fd() > 0);
        let denied = ["--deny-to", "127.0.0.9"];
        let more = ["127.0.0.1:0", "--connect-timeout", "200ms"];
        let proxy = Proxy::start(&[&more[..], &denied].concat());
        let closed = at("127.0.0.1:9");
        for (request, code, what) in [
            (request(1, closed), 5, "refused"),
            (request(1, at("[::1]:9")), 5, "refused, IPv6"),
            (request(1, at("192.0.2.1:80")), 3, "no route"),
            (request(1, at("198.51.100.1:80")), 4, "unreachable host"),
            (request_name(b"nobody.test", 80), 4, "unknown name"),
            (request(1, full_at), 4, "no answer in time"),
            (request(1, at("127.0.0.9:80")), 2, "denied"),
            (request(1, at("[::ffff:127.0.0.9]:80")), 2, "denied, mapped"),
            (request(1, proxy.address), 2, "the proxy itself"),
            (request(9, closed), 7, "unknown command"),
            (b"\x05\x01\0\x09".to_vec(), 8, "unknown address type"),
            (
                request_name(b"four.test\0.evil", 80),
                1,
                "a NUL in the name",
            ),
            (request_name(b"", 80), 1, "no name"),
        ] {
            assert_eq!(proxy.answer(&request), code, "{what}");
        }
        for (to, status) in [
            ("127.0.0.1:9", "502 Bad Gateway"),
            ("nobody.test:80", "502 Bad Gateway"),
            ("127.0.0.9:80", "403 Forbidden"),
        ] {
            let request = format!("CONNECT {to} HTTP/1.1\r\n\r\n");
            assert_eq!(proxy.status(&request), format!("HTTP/1.1 {status}"), "{to}");
        }
        let request = format!("CONNECT {full_at} HTTP/1.1\r\n\r\n");
        assert_eq!(proxy.status(&request), "HTTP/1.1 504 Gateway Timeout");
    });
}

#[test]
fn a_password_is_asked_for_and_compared() {
    alone("passwords", || {
        let server = serve("127.0.0.1:0", echo_late);
        let users = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(users.path(), "# who may\nann:secret\n").expect("written");
        let path = users.path().display().to_string();
        let proxy = Proxy::start(&["127.0.0.1:0", "--users", &path]);
        let greeting = b"\x05\x02\x00\x02";
        let right = [&greeting[..], b"\x01\x03ann\x06secret", &request(1, server)].concat();
        let mut stream = proxy.connect();
        stream.write_all(&right).expect("written");
        assert_eq!(take(&mut stream, 4), [5, 2, 1, 0]);
        let (code, bound) = replied(&mut stream);
        assert_eq!(
            (code, bound.ip()),
            (0, server.ip()),
            "the real bound address"
        );
        for (words, answer) in [
            (&b"\x05\x01\x00"[..], &b"\x05\xff"[..]),
            (b"\x05\x01\x02\x01\x03ann\x06secreT", b"\x05\x02\x01\x01"),
            (b"\x05\x01\x02\x01\x03bob\x06secret", b"\x05\x02\x01\x01"),
            (b"\x05\x01\x02\x01\x00\x00", b"\x05\x02\x01\x01"),
            (
                b"\x04\x01\x00\x50\x7f\x00\x00\x01ann\x00",
                b"\0\x5b\0\0\0\0\0\0",
            ),
        ] {
            let mut stream = proxy.connect();
            stream.write_all(words).expect("written");
            assert_eq!(rest(&mut stream), answer);
        }
        let request = format!("CONNECT {server} HTTP/1.1\r\n\r\n");
        let mut stream = proxy.connect();
        stream.write_all(request.as_bytes()).expect("written");
        let text = String::from_utf8(rest(&mut stream)).expect("ASCII");
        assert!(text.starts_with("HTTP/1.1 407 "), "{text}");
        assert!(text.contains("Proxy-Authenticate: Basic realm="), "{text}");
    });
}

/// Fails at once with code 2, and says these words.
#[test]
fn what_cannot_be_is_told_with_a_remedy() {
    alone("errors", || {
        let _taken = std::net::TcpListener::bind("127.0.0.1:1080").expect("a port");
        for (arguments, words) in [
            (
                &[][..],
                "bind 127.0.0.1:1080: address already in use (EADDRINUSE)",
            ),
            (
                &["--users", "/no/such/file"],
                "read /no/such/file: no such file",
            ),
            (
                &["--users-env", "NO_SUCH"],
                "read $NO_SUCH: there is no such variable",
            ),
            (
                &["--via", "socks5://ann@127.0.0.1"],
                "there is no password for \"ann\"; give --via-password-file FILE",
            ),
            (
                &["--via", "socks5://ann:pw@127.0.0.1"],
                "give --via-password-file",
            ),
            (&["--balance", "a"], "is no HOST:PORT"),
            (&["70000"], "70000 is no port"),
        ] {
            let all = [&["proxy", "serve"][..], arguments].concat();
            let output = crate::stand::run(SOCKLAB, &all, b"");
            let told = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
            assert!(told.contains(words), "{arguments:?}: {told}");
        }
    });
}
