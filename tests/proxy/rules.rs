//! Where the proxy may connect to, and who may ask it.

use std::net::SocketAddr;

use crate::stand::{Proxy, alone, echo_late, request, request_name, rest, serve, sh};

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// A server on another host, 192.0.2.1; this one is 192.0.2.2.
fn neighbour() -> SocketAddr {
    let (tell, told) = std::sync::mpsc::channel();
    let (go, gone) = std::sync::mpsc::channel();
    let host = std::thread::spawn(move || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("a namespace");
        tell.send(nix::unistd::gettid()).expect("heard");
        gone.recv().expect("the link is there");
        sh("ip address add 192.0.2.1/24 dev far && ip link set far up");
        serve("192.0.2.1:0", echo_late)
    });
    let id = told.recv().expect("a namespace");
    sh(&format!(
        "ip link add near type veth peer name far netns {id} &&
         ip address add 192.0.2.2/24 dev near && ip link set near up"
    ));
    go.send(()).expect("heard");
    host.join().expect("it serves")
}

#[test]
fn beyond_loopback_nobody_reaches_this_host_or_its_neighbours() {
    alone("private", || {
        let public = neighbour();
        let server = serve("0.0.0.0:0", echo_late);
        let mut proxy = Proxy::start(&["0.0.0.0:0"]);
        proxy.address.set_ip([127, 0, 0, 1].into());
        let port = server.port();
        for (request, what) in [
            (request(1, server), "loopback"),
            (
                request(1, at(&format!("[::ffff:127.0.0.1]:{port}"))),
                "mapped",
            ),
            (request(1, at(&format!("0.0.0.0:{port}"))), "this host"),
            (request(1, at("[::1]:80")), "loopback, IPv6"),
            (
                request(1, at(&format!("192.0.2.2:{port}"))),
                "this host's public address",
            ),
            (request(1, at("169.254.169.254:80")), "link-local"),
            (request(1, at("10.0.0.1:80")), "private"),
            (
                request_name(b"four.test", port),
                "a name that stands for loopback",
            ),
            (
                request_name(b"127.1", port),
                "an address in an old way of writing",
            ),
            (request_name(b"0x7f000001", port), "and in another"),
            (request_name(b"2130706433", port), "and another"),
        ] {
            assert_eq!(proxy.answer(&request), 2, "{what}");
        }
        assert_eq!(proxy.answer(&request(1, public)), 0, "what is public");
        let own = proxy.address.port();
        let itself = request(1, at(&format!("192.0.2.2:{own}")));
        let mut all = Proxy::start(&["0.0.0.0:0", "--allow-to", "192.0.2.2"]);
        all.address.set_ip([127, 0, 0, 1].into());
        assert_eq!(
            all.answer(&itself),
            0,
            "another proxy here, where it was typed"
        );
        let itself = at(&format!("192.0.2.2:{}", all.address.port()));
        assert_eq!(all.answer(&request(1, itself)), 2, "the proxy itself");
        let request = format!("CONNECT four.test:{port} HTTP/1.1\r\n\r\n");
        assert_eq!(proxy.status(&request), "HTTP/1.1 403 Forbidden");
    });
}

#[test]
fn the_smallest_network_that_was_typed_decides() {
    alone("rules", || {
        sh("ip address add 192.0.2.1/32 dev lo");
        let (inner, outer) = (
            serve("127.0.0.2:0", echo_late),
            serve("192.0.2.1:0", echo_late),
        );
        let port = inner.port();
        let mut proxy = Proxy::start(&[
            "0.0.0.0:0",
            "--allow-to",
            "127.0.0.0/8",
            "--deny-to",
            "127.0.0.1",
        ]);
        proxy.address.set_ip([127, 0, 0, 1].into());
        assert_eq!(proxy.answer(&request(1, inner)), 0);
        assert_eq!(
            proxy.answer(&request(1, at(&format!("127.0.0.1:{port}")))),
            2
        );
        let only = ["127.0.0.1:0", "--deny-to", "0.0.0.0/0", "--deny-to", "::/0"];
        let proxy = Proxy::start(&[&only[..], &["--allow-to", "192.0.2.0/24"]].concat());
        assert_eq!(proxy.answer(&request(1, outer)), 0);
        assert_eq!(proxy.answer(&request(1, inner)), 2);
    });
}

#[test]
fn the_unspecified_address_is_loopback_under_another_name() {
    alone("unspecified", || {
        let server = serve("0.0.0.0:0", echo_late);
        let port = server.port();
        let rules = ["--deny-to", "127.0.0.0/8", "--deny-to", "::1/128"];
        let mut proxy = Proxy::start(&[&["127.0.0.1:0", "-v"][..], &rules].concat());
        for ip in ["0.0.0.0", "[::]", "[::ffff:0.0.0.0]"] {
            let to = at(&format!("{ip}:{port}"));
            assert_eq!(proxy.answer(&request(1, to)), 2, "{to}");
        }
        assert_eq!(proxy.answer(&request_name(b"0", port)), 2, "a name");
        proxy.running.until("client 4  8/8 ended");
    });
}

#[test]
fn a_proxy_that_anybody_may_use_says_so() {
    alone("open", || {
        for (arguments, is_open) in [
            (&["0.0.0.0:0"][..], true),
            (&["0.0.0.0:0", "--allow", "192.0.2.0/24"], false),
            (&["127.0.0.1:0"], false),
        ] {
            let all = [&["proxy", "serve"][..], arguments].concat();
            let mut running = crate::stand::Running::start(crate::stand::SOCKLAB, &all);
            let first = running.until("");
            let warns = first.contains("whoever reaches this address may use the proxy");
            assert_eq!(warns, is_open, "{arguments:?}: {first}");
        }
    });
}

#[test]
fn clients_are_let_in_by_their_address() {
    alone("clients", || {
        let server = serve("127.0.0.1:0", echo_late);
        let mut proxy = Proxy::start(&["127.0.0.1:0", "-v", "--deny", "127.0.0.1"]);
        assert_eq!(rest(&mut proxy.connect()), b"");
        proxy.running.until("sent away: its address is not allowed");
        let other = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let other = other.expect("a socket");
        other.bind(&at("127.0.0.2:0").into()).expect("bound");
        other.connect(&proxy.address.into()).expect("connected");
        let mut stream: std::net::TcpStream = other.into();
        let bytes = crate::stand::socks5_connect(server);
        std::io::Write::write_all(&mut stream, &bytes).expect("written");
        assert_eq!(crate::stand::take(&mut stream, 4), [5, 0, 5, 0]);
    });
}
