//! `socklab tcp connect` and `socklab tcp listen` against each other and against
//! nc, ncat, socat and curl, over IPv4 and IPv6, and every failure for real.
//!
//! Each test has a network namespace of its own. Nothing is waited for but the
//! thing itself: a line on standard error, the end of a program.

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use socket2::SockRef;
use socklab::capture::Capture;
use socklab::event::{Event, Place, Recording, What};
use socklab::flow::Direction;
use socklab::packet::TcpFlags;
use socklab::recorder::{Clock, Recorder};
use support::alone::{alone, names};
use support::refusing::{Refused, refusing};
use support::running::{Ended, Running, SOCKLAB, bytes, run};

/// `socklab tcp listen`, once it listens.
fn listen(arguments: &[&str]) -> Running {
    let mut running = Running::socklab(&[&["tcp", "listen"], arguments].concat());
    running.until("listening on");
    running
}

fn connect(arguments: &[&str], input: &[u8]) -> Output {
    run(SOCKLAB, &[&["tcp", "connect"], arguments].concat(), input)
}

/// Fails with this code, and says these words.
fn fails(arguments: &[&str], code: i32, words: &[&str]) {
    let output = connect(arguments, b"");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {told}");
    for word in words {
        assert!(told.contains(word), "{arguments:?}: no {word:?} in {told}");
    }
}

#[test]
fn both_ways_are_binary_clean_and_a_half_close_is_passed_on() {
    alone("half-close", || {
        for endpoint in ["127.0.0.1:5073", "[::1]:5073"] {
            let (request, reply) = (bytes(3 << 20), bytes(2 << 20));
            let mut server = listen(&[endpoint, "-v"]);
            let output = thread::scope(|scope| {
                let client = scope.spawn(|| connect(&[endpoint, "-v"], &request));
                let heard = server.drain();
                server.until("FIN received: the peer says no more, after 3,145,728 bytes");
                // Only now is the reply said: the client must have waited.
                server.say(&reply);
                server.hang_up();
                let Ended { told, code, .. } = server.end();
                assert_eq!(code, 0, "{told}");
                assert!(told.contains("all acknowledged"), "{told}");
                assert!(
                    heard.join().expect("read") == request,
                    "the request is whole"
                );
                client.join().expect("it ran")
            });
            assert!(output.status.success(), "{output:?}");
            assert!(output.stdout == reply, "the reply is whole");
        }
    });
}

/// A peer's program that listens, started once its port is bound.
fn peer(program: &str, arguments: &[&str], port: u16) -> Running {
    let mut running = Running::start(program, arguments);
    let is_bound = |family: &str| {
        let hex = format!(":{port:04X} ");
        let table = std::fs::read_to_string(format!("/proc/thread-self/net/{family}"));
        table.is_ok_and(|table| {
            let mut lines = table.lines();
            lines.any(|line| line.contains(&hex) && line.contains(" 0A "))
        })
    };
    while !is_bound("tcp") && !is_bound("tcp6") {
        let ended = running.child.try_wait().expect("a child");
        assert_eq!(ended, None, "{program} {arguments:?} ended");
        thread::yield_now();
    }
    running
}

#[test]
fn our_client_speaks_with_their_servers() {
    alone("their servers", || {
        for (program, arguments) in [
            ("nc", &["-N", "-l", "127.0.0.1", "6001"][..]),
            ("nc", &["-6", "-N", "-l", "::1", "6001"]),
            ("ncat", &["-l", "127.0.0.1", "6001"]),
            ("ncat", &["-6", "-l", "::1", "6001"]),
            ("socat", &["-t5", "TCP4-LISTEN:6001,reuseaddr", "STDIO"]),
            (
                "socat",
                &["-t5", "TCP6-LISTEN:6001,ipv6only,reuseaddr", "STDIO"],
            ),
        ] {
            let mut server = peer(program, arguments, 6001);
            let is_v6 = arguments
                .iter()
                .any(|word| word.contains('6') && *word != "6001" && !word.starts_with("TCP4"));
            let endpoint = if is_v6 {
                "[::1]:6001"
            } else {
                "127.0.0.1:6001"
            };
            let heard = server.drain();
            server.say(b"the reply");
            server.hang_up();
            let output = connect(&[endpoint], b"the request");
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{program} {arguments:?}: {told}");
            assert_eq!(output.stdout, b"the reply", "{program} {arguments:?}");
            assert_eq!(heard.join().expect("read"), b"the request", "{program}");
        }
    });
}

#[test]
fn our_server_speaks_with_their_clients() {
    alone("their clients", || {
        for (endpoint, program, arguments) in [
            ("5073", "nc", &["-N", "127.0.0.1", "5073"][..]),
            ("5073", "nc", &["-N", "::1", "5073"]),
            ("5073", "ncat", &["127.0.0.1", "5073"]),
            ("5073", "ncat", &["::1", "5073"]),
            (
                "127.0.0.1:5073",
                "socat",
                &["-t5", "STDIO", "TCP4:127.0.0.1:5073"],
            ),
            ("[::1]:5073", "socat", &["-t5", "STDIO", "TCP6:[::1]:5073"]),
        ] {
            let mut server = listen(&[endpoint]);
            let heard = server.drain();
            server.say(b"the reply");
            server.hang_up();
            let client = run(program, arguments, b"the request");
            assert_eq!(client.stdout, b"the reply", "{program} {arguments:?}");
            let Ended { told, code, .. } = server.end();
            assert_eq!((code, told.as_str()), (0, ""), "{program} {arguments:?}");
            assert_eq!(heard.join().expect("read"), b"the request", "{program}");
        }
    });
}

#[test]
fn curl_takes_an_answer_typed_by_hand() {
    alone("curl", || {
        let mut server = listen(&["8080", "--crlf"]);
        let heard = server.drain();
        server.say(b"HTTP/1.0 200 OK\nContent-Type: text/plain\n\nhello\n");
        server.hang_up();
        let client = run("curl", &["-s", "http://[::1]:8080/there"], b"");
        assert_eq!(client.stdout, b"hello\r\n");
        let Ended { told, code, .. } = server.end();
        assert_eq!(code, 0, "{told}");
        let request = String::from_utf8(heard.join().expect("read")).expect("ASCII");
        assert!(request.starts_with("GET /there HTTP/1.1\r\n"), "{request}");
    });
}

#[test]
fn each_failure_to_connect_is_named() {
    alone("failures", || {
        fails(
            &["127.0.0.1", "1"],
            1,
            &["connect 127.0.0.1:1: connection refused (ECONNREFUSED); the host is there"],
        );
        fails(&["[::1]:1"], 1, &["connect [::1]:1: ", "ECONNREFUSED"]);
        fails(&["-z", "127.0.0.1:1"], 1, &["ECONNREFUSED"]);
        fails(
            &["192.0.2.1", "80"],
            1,
            &["ENETUNREACH", "ip route get 192.0.2.1"],
        );
        fails(&["nosuch.invalid", "80"], 2, &["look up nosuch.invalid: "]);
        fails(
            &["127.0.0.1", "70000"],
            2,
            &["70000 is no port: ports are 0 to 65535"],
        );
        fails(&["127.0.0.1", "-1"], 2, &["unexpected argument '-1'"]);
        fails(&["127.0.0.1", "0"], 2, &["port 0 is no port to connect to"]);
        fails(&["::1:80"], 2, &["[::1:80]:PORT"]);
        fails(&["-6", "127.0.0.1", "80"], 2, &["try -4"]);
        fails(
            &["127.0.0.1:80", "--opt", "nodely"],
            2,
            &["did you mean nodelay?"],
        );
        fails(
            &["127.0.0.1:80", "--from", "192.0.2.1"],
            2,
            &["bind 192.0.2.1:0: ", "EADDRNOTAVAIL", "no such address"],
        );
        fails(&["127.0.0.1:80", "--from", "[::1]"], 2, &["both be IPv4"]);
    });
}

#[test]
fn a_host_that_cannot_be_reached_is_named() {
    alone("unreachable", || {
        let script = "ip route add unreachable 192.0.2.0/24
            ip -6 route add unreachable 2001:db8:1::/48
            ip link add near type veth peer name far
            ip address add 198.51.100.1/24 dev near
            ip link set near up
            ip link set far up
            sysctl -q net.ipv4.neigh.near.retrans_time_ms=10";
        let laid = Command::new("sh").args(["-ec", script]).status();
        assert!(laid.expect("sh runs").success());
        // Two that the routing table says no to, and one that answers no ARP.
        for endpoint in ["192.0.2.1:80", "[2001:db8:1::1]:80", "198.51.100.2:80"] {
            fails(
                &[endpoint],
                1,
                &[&format!("connect {endpoint}: "), "(EHOSTUNREACH); "],
            );
        }
    });
}

#[test]
fn the_peers_name_comes_from_beside() {
    alone("names", || {
        names(BOTH);
        let mut server = listen(&["5073", "-v"]);
        let mut client = Running::start(SOCKLAB, &["tcp", "connect", "-v", "127.0.0.1"]);
        // Neither has said or heard a byte yet.
        client.until("127.0.0.1:5073 is both.test");
        server.until(" is both.test");
        client.hang_up();
        server.hang_up();
        assert_eq!((client.end().code, server.end().code), (0, 0));
    });
}

#[test]
fn a_host_without_ipv6_is_listened_to_by_ipv4() {
    alone("no IPv6", || {
        for manner in [
            &["--echo"][..],
            &["--serve"],
            &["--model", "epoll"],
            &["--model", "reuseport"],
        ] {
            let refused = Refused {
                call: nix::libc::SYS_socket,
                first: Some(nix::libc::AF_INET6),
                errno: nix::errno::Errno::EAFNOSUPPORT,
            };
            let mut command = refusing(&refused, SOCKLAB);
            command.args(["tcp", "listen"]).args(manner);
            let mut server = Running::begin(command);
            let line = server.until("listening on ");
            assert!(
                line.contains("listening on 0.0.0.0:5073"),
                "{manner:?}: {line}"
            );
            TcpStream::connect("127.0.0.1:5073").expect("it listens");
            server.interrupt();
            assert_eq!(server.end().code, 0, "{manner:?}");
        }
    });
}

#[test]
fn so_many_connections_wait_as_were_asked_for() {
    alone("backlog", || {
        for manner in [&["--echo"][..], &["--serve"], &["--model", "poll"]] {
            let server = listen(&[&["5073", "--backlog", "7"], manner].concat());
            // Of a socket that listens, ss shows it as Send-Q.
            let shown = run("ss", &["-Hltn", "sport = :5073"], b"").stdout;
            let shown = String::from_utf8(shown).expect("ASCII");
            let most = shown.split_whitespace().nth(2);
            assert_eq!(most, Some("7"), "{manner:?}: {shown}");
            server.interrupt();
            assert_eq!(server.end().code, 0, "{manner:?}");
        }
    });
}

/// A name with an IPv6 and an IPv4 address.
const BOTH: &str = "::1 both.test\n127.0.0.1 both.test\n";

/// A listener whose backlog is full: its kernel drops every further SYN. With
/// the connection that fills it.
fn deaf(address: &str) -> (socket2::Socket, TcpStream) {
    let address: std::net::SocketAddr = address.parse().expect("an address");
    let domain = socket2::Domain::for_address(address);
    let listener = socket2::Socket::new(domain, socket2::Type::STREAM, None).expect("socket");
    listener.bind(&address.into()).expect("bind");
    listener.listen(0).expect("listen");
    let queued = TcpStream::connect(address).expect("the backlog holds one");
    (listener, queued)
}

#[test]
fn a_connect_that_nobody_answers_times_out() {
    alone("time-out", || {
        let _deaf = deaf("127.0.0.1:6002");
        fails(
            &["127.0.0.1:6002", "--connect-timeout", "100ms"],
            1,
            &[
                "connect 127.0.0.1:6002: ",
                "ETIMEDOUT",
                "no answer within 100ms",
            ],
        );
    });
}

/// A client, connected; the first bytes are read and then the connection is
/// reset (SO_LINGER 0).
fn reset(stream: &TcpStream) {
    SockRef::from(stream)
        .set_linger(Some(std::time::Duration::ZERO))
        .expect("SO_LINGER");
}

/// The bytes that the server's packets acknowledged before its RST: the kernel's
/// own figure, taken from the wire.
fn acknowledged_on_the_wire(events: &[Event<'_>]) -> u64 {
    let mut first = None;
    let mut most = 0;
    for event in events {
        let What::Packet(packet) = &event.what else {
            continue;
        };
        let dissection = packet.dissect();
        let segment = dissection.tcp().expect("a segment");
        match packet.direction {
            // The SYN takes the first number (RFC 9293 section 3.4).
            Direction::ClientToServer if segment.flags.contains(TcpFlags::SYN) => {
                first = Some(segment.sequence.wrapping_add(1));
            }
            Direction::ClientToServer => {}
            // Its own acknowledgement is not looked at: the connection is gone.
            Direction::ServerToClient if segment.flags.contains(TcpFlags::RST) => break,
            Direction::ServerToClient => {
                let first = first.expect("the SYN came before");
                most = most.max(segment.acknowledgment.wrapping_sub(first));
            }
        }
    }
    most.into()
}

#[test]
fn a_reset_in_mid_transfer_is_told_with_what_had_come_through() {
    alone("reset", || {
        let listener = TcpListener::bind("127.0.0.1:6003").expect("bind");
        let seen = Arc::new(Recording::new());
        let wire = Recorder::new(Place::Wire, Clock::start(), seen.clone());
        let capture = Capture::start("lo", &[6003], &wire).expect("a capture");
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("accept");
            let mut first = vec![0; 100_000];
            stream.read_exact(&mut first).expect("the first bytes");
            reset(&stream);
        });
        let output = connect(&["127.0.0.1:6003", "-v"], &bytes(64 << 20));
        server.join().expect("it served");
        assert_eq!(capture.finish().expect("it ends"), 0, "no packet is missed");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(
            told.contains("RST received: the peer reset the connection"),
            "{told}"
        );
        let last = told.lines().last().expect("an error");
        assert!(
            last.contains("(ECONNRESET); ") || last.contains("(EPIPE); "),
            "{last}"
        );
        let acknowledged = acknowledged_on_the_wire(&seen.take());
        assert!(acknowledged > 0, "{last}");
        let expected = format!("); {acknowledged} of ");
        assert!(last.contains(&expected), "{expected:?} in {last}");
    });
}

#[test]
fn a_resetting_client_ends_its_own_conversation_only() {
    alone("keep-open", || {
        let mut server = listen(&["5073", "--keep-open", "-v"]);
        let heard = server.drain();
        let first = TcpStream::connect("127.0.0.1:5073").expect("connect");
        server.until("client 1: accepted: 127.0.0.1:");
        reset(&first);
        drop(first);
        server.until("RST received");
        server.until("ECONNRESET");
        server.hang_up();
        let second = run("nc", &["-N", "::1", "5073"], b"still there");
        assert!(second.status.success());
        server.until("client 2: over after");
        server.interrupt();
        let Ended { told, code, .. } = server.end();
        assert_eq!(code, 0, "{told}");
        assert_eq!(heard.join().expect("read"), b"still there");
    });
}

#[test]
fn without_keep_open_a_reset_is_the_end() {
    alone("reset of the only client", || {
        let mut server = listen(&["5073"]);
        let mut client = TcpStream::connect("[::1]:5073").expect("connect");
        server.say(b"x");
        client.read_exact(&mut [0]).expect("it is served");
        reset(&client);
        drop(client);
        let Ended { told, code, .. } = server.end();
        assert_eq!(code, 1, "{told}");
        assert!(
            told.contains("ECONNRESET") || told.contains("EPIPE"),
            "{told}"
        );
    });
}

#[test]
fn small_services_serve_many_at_once() {
    alone("services", || {
        let mut server = listen(&["5073", "--echo", "--deny", "127.0.0.2", "-m", "3", "-v"]);
        let mut clients: Vec<TcpStream> = ["127.0.0.1:5073", "[::1]:5073", "127.0.0.1:5073"]
            .map(|endpoint| TcpStream::connect(endpoint).expect("connect"))
            .into();
        // In any order: nobody waits for anybody.
        for (index, client) in clients.iter_mut().enumerate().rev() {
            let word = [b'a' + u8::try_from(index).expect("few"); 1000];
            client.write_all(&word).expect("send");
            let mut back = [0; 1000];
            client.read_exact(&mut back).expect("its own word");
            assert_eq!(back, word);
        }
        let mut fourth = TcpStream::connect("127.0.0.1:5073").expect("connect");
        assert_eq!(fourth.read(&mut [0]).expect("the end"), 0);
        server.until("sent away: 3 are here already");
        reset(&clients[0]);
        clients.remove(0);
        server.until("client 1: RST received");
        clients[0].shutdown(Shutdown::Write).expect("half-close");
        assert_eq!(clients[0].read(&mut [0]).expect("the end"), 0);
        server.until("client 2: over after");
        let denied = connect(&["127.0.0.1:5073", "--from", "127.0.0.2"], b"");
        assert_eq!(denied.stdout, b"");
        server.until("sent away: its address is not allowed");
        clients[1].write_all(b"z").expect("send");
        clients[1].read_exact(&mut [0]).expect("still served");
        server.interrupt();
        assert_eq!(server.end().code, 0);

        let server = listen(&["5073", "--daytime"]);
        let day = String::from_utf8(connect(&["[::1]"], b"unread").stdout).expect("ASCII");
        assert!(
            day.contains("day, ") && day.ends_with("-UTC\r\n"),
            "{day:?}"
        );
        drop(server);

        let server = listen(&["5073", "--discard"]);
        assert_eq!(connect(&["[::1]"], &bytes(1 << 20)).stdout, b"");
        drop(server);

        let _server = listen(&["5073", "--chargen"]);
        let mut client = TcpStream::connect("127.0.0.1:5073").expect("connect");
        let mut lines = [0; 148];
        client.read_exact(&mut lines).expect("two lines");
        assert!(lines.starts_with(b" !\"#") && lines[74..].starts_with(b"!\"#$"));
    });
}

#[test]
fn descriptors_that_have_run_out_are_waited_for() {
    alone("EMFILE", || {
        let began = Instant::now();
        let arguments = ["--nofile=24", SOCKLAB, "tcp", "listen", "5073", "--echo"];
        let mut server = Running::start("prlimit", &arguments);
        server.until("listening on");
        let mut clients: Vec<TcpStream> = (0..40)
            .map(|_| TcpStream::connect("127.0.0.1:5073").expect("the backlog has room"))
            .collect();
        server.until("accept: too many open files (EMFILE)");
        clients[0].write_all(b"a").expect("send");
        clients[0]
            .read_exact(&mut [0])
            .expect("who is in is served");
        // Room for whoever waits longest.
        let mut last = clients.split_off(39);
        drop(clients);
        last[0].write_all(b"b").expect("send");
        last[0].read_exact(&mut [0]).expect("and who waited, too");
        server.interrupt();
        let Ended { told, code, .. } = server.end();
        assert_eq!(code, 0);
        // The first was read already.
        let lines = told.lines().filter(|line| line.contains("EMFILE"));
        let seconds = usize::try_from(began.elapsed().as_secs()).expect("not for ever");
        assert!(lines.count() <= seconds, "once a second at most: {told}");
    });
}

#[test]
fn an_address_in_use_has_a_remedy() {
    alone("in use", || {
        let _first = listen(&["127.0.0.1:5073"]);
        for manner in [&[][..], &["--serve"], &["--model", "epoll"]] {
            let arguments = [&["tcp", "listen", "127.0.0.1:5073"], manner].concat();
            let second = run(SOCKLAB, &arguments, b"");
            let told = String::from_utf8_lossy(&second.stderr);
            assert_eq!(second.status.code(), Some(2), "{told}");
            let expected = "bind 127.0.0.1:5073: address already in use (EADDRINUSE); another \
                            program has this port: `ss -ltnp sport = 5073` names it";
            assert!(told.contains(expected), "{manner:?}: {told}");
        }
    });
}

#[test]
fn waiting_ends_when_it_was_to_end() {
    alone("time-outs", || {
        let server = run(SOCKLAB, &["tcp", "listen", "--listen-timeout", "50ms"], b"");
        let told = String::from_utf8_lossy(&server.stderr);
        assert_eq!(server.status.code(), Some(1), "{told}");
        assert!(told.contains("nobody connected within 50ms"), "{told}");

        let server = listen(&["5073", "-w", "50ms"]);
        let mut client = TcpStream::connect("127.0.0.1:5073").expect("connect");
        assert_eq!(client.read(&mut [0]).expect("the end"), 0);
        let mut server = server;
        server.until("nothing moved for 50ms (--idle-timeout)");
        assert_eq!(server.end().code, 1);
    });
}

#[test]
fn the_next_address_is_tried_where_one_refuses() {
    alone("happy eyeballs", || {
        names(BOTH);
        fails(
            &["both.test:6004"],
            1,
            &["connect both.test:6004 ([::1]:6004, 127.0.0.1:6004): connection refused"],
        );
        let _listener = TcpListener::bind("127.0.0.1:6004").expect("bind");
        let output = connect(&["-z", "-v", "both.test:6004"], b"");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
        assert!(told.contains("connecting to [::1]:6004"), "{told}");
        assert!(
            told.contains("[::1]:6004: connection refused (ECONNREFUSED), after "),
            "{told}"
        );
        assert!(told.contains("→ 127.0.0.1:6004, in "), "{told}");
        let open = String::from_utf8_lossy(&output.stdout);
        assert!(
            open.starts_with("127.0.0.1:6004: open, connected in "),
            "{open}"
        );
    });
}

#[test]
fn options_are_set_and_read_back() {
    alone("options", || {
        let _server = listen(&["5073", "--echo", "--opt", "nodelay"]);
        let output = connect(
            &[
                "127.0.0.1",
                "--opt",
                "rcvbuf=64k",
                "--opt",
                "ttl=5",
                "-v",
                "--from",
                "127.0.0.3:6005",
            ],
            b"hello",
        );
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.stdout, b"hello", "{told}");
        assert!(
            told.contains("option rcvbuf: asked 65,536, the kernel doubles it to 131,072"),
            "{told}"
        );
        assert!(told.contains("option ttl: 5"), "{told}");
        assert!(
            told.contains("connected: 127.0.0.3:6005 → 127.0.0.1:5073"),
            "{told}"
        );
    });
}

#[test]
fn a_trace_has_every_call_and_every_byte() {
    alone("trace", || {
        let _server = listen(&["5073", "--echo"]);
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("heard");
        let file = file.to_str().expect("UTF-8");
        let output = connect(&["127.0.0.1:5073", "--trace", "-o", file, "-C"], b"hi\n");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(std::fs::read(file).expect("the file"), b"hi\r\n", "{told}");
        assert_eq!(output.stdout, b"");
        for expected in [
            "connection: socket(AF_INET, SOCK_STREAM) = 0",
            "connection: connect(127.0.0.1:5073) = EINPROGRESS",
            "→ 4 bytes sent, from byte 0 on (connection)",
            "00000000  68 69 0d 0a                                       hi..",
            "connection: shutdown(SHUT_WR) = 0",
            "← 4 bytes received, from byte 0 on (connection)",
            "connection: recv(262144) = 0, end of stream",
            "connection: close() = 0",
        ] {
            assert!(told.contains(expected), "no {expected:?} in {told}");
        }
    });
}

#[test]
fn json_goes_to_standard_error_and_ends_with_the_result() {
    alone("JSON", || {
        let _server = listen(&["5073", "--echo"]);
        let output = connect(&["[::1]", "--json"], b"hello");
        assert_eq!(output.stdout, b"hello");
        let told = String::from_utf8(output.stderr).expect("UTF-8");
        let parse = |line| serde_json::from_str::<serde_json::Value>(line).expect("JSON");
        let lines: Vec<serde_json::Value> = told.lines().map(parse).collect();
        let talks: Vec<&str> = lines
            .iter()
            .filter_map(|line| line["talk"].as_str())
            .collect();
        assert_eq!(talks, ["attempt", "connected", "ended", "ended", "over"]);
        let last = lines.last().expect("a result");
        assert_eq!(last["command"], "tcp connect");
        assert_eq!(last["result"]["acknowledged_bytes"], 5);
    });
}

#[test]
fn a_reader_that_has_seen_enough_ends_it_well() {
    alone("broken pipe", || {
        let _server = listen(&["5073", "--chargen"]);
        let script =
            "\"$0\" tcp connect 127.0.0.1 </dev/null | head -c 10; echo \" ${PIPESTATUS[0]}\"";
        let output = run("bash", &["-c", script, SOCKLAB], b"");
        assert_eq!(String::from_utf8_lossy(&output.stdout), " !\"#$%&'() 0\n");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    });
}

#[test]
fn packets_are_shown_where_capture_is_allowed() {
    if !support::may_make_namespaces("packets") {
        return;
    }
    alone("packets", || {
        let _server = listen(&["5073", "--echo"]);
        let output = connect(&["[::1]", "--packets"], b"hello");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.stdout, b"hello", "{told}");
        for expected in [
            "→ [::1]:5073 TCP SYN seq=0 ",
            " TCP SYN,ACK seq=0 ack=1 ",
            " TCP PSH,ACK seq=1 ack=1 win=64 len=5",
        ] {
            assert!(told.contains(expected), "no {expected:?} in {told}");
        }
        // The packets, the steps and the figures, in one order.
        let place = |words: &str| told.find(words).expect(words);
        assert!(
            place("connecting to [::1]:5073") < place("over after"),
            "{told}"
        );
    });
}

/// `socklab lab` with this on the server's host and that on the client's.
fn on_the_link(server: &str, client: &str, options: &[&str]) -> Output {
    let mut arguments = vec!["lab"];
    arguments.extend(options);
    arguments.extend(["--server", server, "--", "sh", "-c", client]);
    run(SOCKLAB, &arguments, b"")
}

#[test]
fn over_a_lossy_link_everything_arrives_and_the_figures_say_what_it_took() {
    if !support::may_make_namespaces("the link") {
        return;
    }
    for family in ["-4", "-6"] {
        let server = format!("{SOCKLAB} tcp listen --echo");
        let client =
            format!("head -c 300000 /dev/zero | {SOCKLAB} tcp connect {family} server -v | wc -c");
        let output = on_the_link(&server, &client, &["--drop", "c2s data#3"]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            String::from_utf8_lossy(&output.stdout).trim(),
            "300000",
            "{told}"
        );
        assert!(
            told.contains("300,000 bytes sent, all acknowledged; 300,000 received"),
            "{told}"
        );
        assert!(!told.contains(" 0 segments sent again"), "{told}");
    }
}

#[test]
fn nc_and_ncat_are_spoken_with_over_the_link() {
    if !support::may_make_namespaces("the link") {
        return;
    }
    for (server, client) in [
        (
            "echo the reply | nc -N -l 5073".to_owned(),
            format!("echo request | {SOCKLAB} tcp connect server"),
        ),
        (
            "echo the reply | ncat -6 -l 5073".to_owned(),
            format!("echo request | {SOCKLAB} tcp connect -6 server"),
        ),
        (
            format!("echo the reply | {SOCKLAB} tcp listen"),
            "echo request | nc -N server 5073".to_owned(),
        ),
        (
            format!("echo the reply | {SOCKLAB} tcp listen -6"),
            "echo request | ncat -6 server 5073".to_owned(),
        ),
    ] {
        let output = on_the_link(&server, &client, &[]);
        let out = String::from_utf8_lossy(&output.stdout);
        assert!(out.contains("the reply"), "{server} / {client}: {output:?}");
        assert!(output.status.success(), "{server} / {client}: {output:?}");
    }
}

#[test]
fn ctrl_c_ends_with_the_summary() {
    alone("Ctrl-C", || {
        let _server = listen(&["5073", "--discard"]);
        let mut client = Running::start(SOCKLAB, &["tcp", "connect", "-v", "127.0.0.1"]);
        client.say(b"some words");
        client.until("connected: ");
        client.interrupt();
        let summary = client.until("over after ");
        assert!(summary.contains(" sent"), "{summary}");
        assert_eq!(client.end().code, 0);
    });
}

#[test]
fn both_families_reach_a_listener_without_an_address_and_one_alone_with_a_flag() {
    alone("families", || {
        let dual = listen(&["5073", "--echo"]);
        for endpoint in ["127.0.0.1", "[::1]"] {
            assert_eq!(connect(&[endpoint], b"both").stdout, b"both");
        }
        drop(dual);
        for (flag, reached, refused) in [("-4", "127.0.0.1", "[::1]"), ("-6", "[::1]", "127.0.0.1")]
        {
            let _server = listen(&[flag, "5073", "--echo"]);
            assert_eq!(connect(&[reached], b"one").stdout, b"one");
            fails(&[refused], 1, &["ECONNREFUSED"]);
        }
    });
}

#[test]
fn a_client_that_never_reads_is_no_business_of_the_others() {
    alone("never reads", || {
        let _server = listen(&["5073", "--echo"]);
        let mut deaf = TcpStream::connect("127.0.0.1:5073").expect("connect");
        deaf.set_nonblocking(true).expect("O_NONBLOCK");
        // Until neither kernel has room for another byte: its thread waits.
        while matches!(deaf.write(&[0; 8192]), Ok(1..)) {}
        for _ in 0..20 {
            assert_eq!(connect(&["127.0.0.1"], b"served").stdout, b"served");
        }
    });
}

#[test]
fn an_address_that_does_not_answer_is_overtaken_by_the_next() {
    alone("happy eyeballs", || {
        names(BOTH);
        let _deaf = deaf("[::1]:6006");
        let _listener = TcpListener::bind("127.0.0.1:6006").expect("bind");
        let output = connect(&["-z", "-v", "both.test:6006"], b"");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
        let place = |words: &str| {
            told.find(words)
                .unwrap_or_else(|| panic!("{words}: {told}"))
        };
        let places = [
            place("connecting to [::1]:6006"),
            place("connecting to 127.0.0.1:6006"),
            place("[::1]:6006: given up, another address was faster"),
            place("→ 127.0.0.1:6006, in "),
        ];
        assert!(places.is_sorted(), "{told}");
    });
}

#[test]
fn at_a_terminal_the_servers_end_is_the_end() {
    alone("a terminal", || {
        let _server = listen(&["5073", "--daytime"]);
        let command = format!("{SOCKLAB} tcp connect 127.0.0.1");
        let mut client = Running::start("script", &["-qec", &command, "/dev/null"]);
        let heard = client.drain();
        // Whoever types has not said that they are done.
        let typing = client.child.stdin.take();
        let status = client.child.wait().expect("it ends by itself");
        assert!(status.success());
        let heard = String::from_utf8(heard.join().expect("read")).expect("ASCII");
        assert!(heard.contains("-UTC\r"), "{heard:?}");
        drop(typing);
    });
}
