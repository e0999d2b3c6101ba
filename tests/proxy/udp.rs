//! UDP ASSOCIATE: a question to a name server, and what is dropped.

use std::io::Write;
use std::net::{SocketAddr, TcpStream, UdpSocket};

use crate::stand::{Proxy, Running, SOCKLAB, alone, replied, request, request_name, sh, take};

/// An association, and where the proxy takes its datagrams.
fn associate(proxy: &Proxy, from: SocketAddr) -> (TcpStream, SocketAddr) {
    let mut stream = proxy.connect();
    let bytes = [&[5, 1, 0][..], &request(3, from)].concat();
    stream.write_all(&bytes).expect("written");
    assert_eq!(take(&mut stream, 2), [5, 0]);
    let (code, relay) = replied(&mut stream);
    assert_eq!(code, 0);
    (stream, relay)
}

fn nowhere() -> SocketAddr {
    ([0, 0, 0, 0], 0).into()
}

/// A datagram with its header.
fn wrapped(fragment: u8, to: SocketAddr, data: &[u8]) -> Vec<u8> {
    let mut bytes = request(0, to);
    bytes[..3].copy_from_slice(&[0, 0, fragment]);
    bytes.extend(data);
    bytes
}

/// A question for the IPv4 address of `www.test`.
const QUESTION: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x04test\0\0\x01\0\x01";

fn name_server() -> Running {
    let mut server = Running::start(
        "dnsmasq",
        &[
            "--no-daemon",
            "--no-resolv",
            "--no-hosts",
            "--conf-file=/dev/null",
            "--port=5353",
            "--listen-address=127.0.0.1",
            "--listen-address=::1",
            "--bind-interfaces",
            "--user=root",
            "--address=/www.test/192.0.2.7",
        ],
    );
    server.until("started");
    server
}

#[test]
fn a_question_to_a_name_server_and_its_answer() {
    alone("DNS", || {
        let _server = name_server();
        for (listen, at) in [
            ("127.0.0.1:0", "127.0.0.1:5353"),
            ("127.0.0.1:0", "[::1]:5353"),
            ("[::1]:0", "[::1]:5353"),
        ] {
            let mut proxy = Proxy::start(&[listen, "-v"]);
            let to: SocketAddr = at.parse().expect("an address");
            let (stream, relay) = associate(&proxy, nowhere());
            let socket = UdpSocket::bind((relay.ip(), 0)).expect("a socket");
            let datagram = wrapped(0, to, QUESTION);
            socket.send_to(&datagram, relay).expect("sent");
            let mut answer = [0; 1500];
            let (count, from) = socket.recv_from(&mut answer).expect("an answer");
            assert_eq!(from, relay);
            let header = wrapped(0, to, b"");
            assert!(answer.starts_with(&header), "it says from where it came");
            assert!(
                answer[header.len()..].starts_with(b"\x12\x34"),
                "our question's"
            );
            assert!(
                answer[..count].ends_with(&[192, 0, 2, 7]),
                "{:x?}",
                &answer[..count]
            );
            drop(stream);
            proxy.running.until("3/8 destination UDP ASSOCIATE");
            let told = proxy.running.until("7/8 relayed");
            assert!(
                told.contains("26 bytes in 1 datagram to the destination"),
                "{told}"
            );
            proxy.running.until("8/8 ended       the client ended");
        }
    });
}

fn parrot() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let own = socket.local_addr().expect("an address");
    std::thread::spawn(move || {
        let mut buffer = vec![0; 65536];
        while let Ok((count, from)) = socket.recv_from(&mut buffer) {
            if socket.send_to(&buffer[..count], from).is_err() {
                break;
            }
        }
    });
    own
}

#[test]
fn fragments_strangers_and_what_is_not_allowed_are_dropped() {
    alone("dropped", || {
        let server = parrot();
        let mut proxy = Proxy::start(&["127.0.0.1:0", "-v", "--deny-to", "127.0.0.9"]);
        let (_stream, relay) = associate(&proxy, nowhere());
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let hears = |expected: &[u8]| {
            let mut answer = [0; 1500];
            let (count, _) = socket.recv_from(&mut answer).expect("an answer");
            assert!(
                answer[..count].ends_with(expected),
                "{:x?}",
                &answer[..count]
            );
        };
        let stranger = UdpSocket::bind("127.0.0.2:0").expect("a socket");
        stranger
            .send_to(&wrapped(0, server, b"stranger"), relay)
            .expect("sent");
        proxy.running.until("who is not the client");
        socket
            .send_to(&wrapped(1, server, b"part"), relay)
            .expect("sent");
        proxy.running.until("dropped     fragment 1 of a datagram");
        socket.send_to(b"\0\0\0\x07", relay).expect("sent");
        proxy
            .running
            .until("dropped     a datagram of 4 bytes without its header");
        let denied = "127.0.0.9:53".parse().expect("an address");
        socket
            .send_to(&wrapped(0, denied, b"denied"), relay)
            .expect("sent");
        proxy
            .running
            .until("which is not allowed (--allow-to, --deny-to)");
        socket
            .send_to(&wrapped(0, server, b"first"), relay)
            .expect("sent");
        hears(b"first");
        // Another port of the same host: the first one is the client's.
        let other = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        other
            .send_to(&wrapped(0, server, b"other"), relay)
            .expect("sent");
        proxy.running.until("who is not the client");
        socket
            .send_to(&wrapped(0, server, b""), relay)
            .expect("sent");
        hears(b"");
        let large = vec![b'x'; 60_000];
        socket
            .send_to(&wrapped(0, server, &large), relay)
            .expect("sent");
        let mut answer = vec![0; 65_536];
        let (count, _) = socket.recv_from(&mut answer).expect("an answer");
        assert!(answer[..count].ends_with(&large));
    });
}

/// A datagram with a name in its header.
fn named(name: &[u8], port: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = request_name(name, port);
    bytes[..3].fill(0);
    bytes.extend(data);
    bytes
}

/// The resolver is ours, and answers nothing: were the association to wait for
/// it, nothing here would come before the test's end.
#[test]
fn a_slow_name_keeps_neither_other_datagrams_nor_the_end_waiting() {
    alone("slow", || {
        let resolver = UdpSocket::bind("127.0.0.1:53").expect("a socket");
        sh("echo 'nameserver 127.0.0.1
options timeout:30 attempts:5' > /etc/resolv.conf");
        let server = parrot();
        let mut proxy = Proxy::start(&["127.0.0.1:0", "-v"]);
        let (stream, relay) = associate(&proxy, nowhere());
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let late = named(b"slow.test", 9, b"late");
        socket.send_to(&late, relay).expect("sent");
        resolver.recv_from(&mut [0; 512]).expect("a question");
        for datagram in [
            wrapped(0, server, b"at once"),
            named(b"four.test", server.port(), b"by name"),
            named(b"four.test", server.port(), b"by name"),
        ] {
            socket.send_to(&datagram, relay).expect("sent");
            let mut answer = [0; 100];
            let (count, _) = socket.recv_from(&mut answer).expect("an answer");
            let data = &datagram[datagram.len() - 7..];
            assert!(answer[..count].ends_with(data), "{:x?}", &answer[..count]);
        }
        drop(stream);
        proxy.running.until("8/8 ended       the client ended");
    });
}

#[test]
fn a_client_on_a_link_local_address_is_answered_there() {
    alone("link-local", || {
        sh("ip link add near type veth peer name far
            ip address add fe80::1/64 dev near nodad
            ip link set near up && ip link set far up");
        let scope = nix::net::if_::if_nametoindex("near").expect("it is there");
        let place = format!("[fe80::1%{scope}]:1080");
        let server = parrot();
        let running = Running::start(
            SOCKLAB,
            &["proxy", "serve", &place, "-v", "--allow-to", "127.0.0.1"],
        );
        let ip = "fe80::1".parse().expect("an address");
        let at = |port| SocketAddr::V6(std::net::SocketAddrV6::new(ip, port, 0, scope));
        let mut proxy = Proxy {
            running,
            address: at(1080),
        };
        proxy.running.until("listening on ");
        let (_stream, relay) = associate(&proxy, nowhere());
        let socket = UdpSocket::bind(at(0)).expect("a socket");
        let datagram = wrapped(0, server, b"hello");
        socket.send_to(&datagram, at(relay.port())).expect("sent");
        let mut answer = [0; 100];
        let (count, _) = socket.recv_from(&mut answer).expect("an answer");
        assert!(answer[..count].ends_with(b"hello"));
    });
}

#[test]
fn no_datagram_reaches_loopback_by_the_unspecified_address() {
    alone("unspecified", || {
        let server = parrot();
        let mut proxy = Proxy::start(&["127.0.0.1:0", "-v", "--deny-to", "127.0.0.0/8"]);
        let (_stream, relay) = associate(&proxy, nowhere());
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let to = (std::net::Ipv4Addr::UNSPECIFIED, server.port()).into();
        socket.send_to(&wrapped(0, to, b"in"), relay).expect("sent");
        proxy
            .running
            .until("which is not allowed (--allow-to, --deny-to)");
    });
}

/// Whoever was sent nothing cannot send anything to the client, and nobody can
/// once the TCP connection has ended.
#[test]
fn only_those_who_were_asked_answer_and_only_while_the_client_is_there() {
    alone("unasked", || {
        let server = parrot();
        let mut proxy = Proxy::start(&["127.0.0.1:0", "-v"]);
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let own = socket.local_addr().expect("an address");
        let (stream, relay) = associate(&proxy, own);
        // The port that the request named is the client's.
        let other = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        other
            .send_to(&wrapped(0, server, b"other"), relay)
            .expect("sent");
        proxy.running.until("who is not the client");
        let asked = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let to = asked.local_addr().expect("an address");
        socket
            .send_to(&wrapped(0, to, b"question"), relay)
            .expect("sent");
        let (_, outside) = asked.recv_from(&mut [0; 100]).expect("a question");
        other.send_to(b"unasked", outside).expect("sent");
        proxy.running.until("to whom none was sent");
        drop(stream);
        proxy.running.until("8/8 ended       the client ended");
        socket.connect(relay).expect("connected");
        socket.send(&wrapped(0, server, b"late")).expect("sent");
        let gone = socket.recv(&mut [0; 100]).expect_err("nobody is there");
        assert_eq!(gone.kind(), std::io::ErrorKind::ConnectionRefused);
    });
}
