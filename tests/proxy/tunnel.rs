//! Tunnels: half-close each way, resets, idle ones, many of them, and what
//! happens when there are too many.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit};
use socket2::SockRef;

use crate::stand::{Proxy, SOCKLAB, alone, bytes, echo, echo_late, rest, serve, take};

#[test]
fn the_client_ends_first_and_hears_the_answer() {
    alone("client first", || {
        for (listen, at) in [("127.0.0.1:0", "[::1]:0"), ("[::1]:0", "127.0.0.1:0")] {
            let server = serve(at, echo_late);
            let mut proxy = Proxy::start(&[listen, "-v"]);
            let words = bytes(3 << 20);
            let mut stream = proxy.tunnel(server);
            stream.write_all(&words).expect("written");
            stream.shutdown(Shutdown::Write).expect("ended");
            assert!(rest(&mut stream) == words, "whole");
            proxy
                .running
                .until("7/8 relayed     3,145,728 bytes to the destination, 3,145,728");
            proxy
                .running
                .until("8/8 ended       the client ended, then the destination");
        }
    });
}

#[test]
fn the_destination_ends_first_and_hears_the_rest() {
    alone("destination first", || {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let server = listener.local_addr().expect("an address");
        let mut proxy = Proxy::start(&["127.0.0.1:0", "-v"]);
        let mut stream = proxy.tunnel(server);
        let (mut far, _) = listener.accept().expect("somebody");
        let words = bytes(2 << 20);
        far.write_all(b"banner").expect("written");
        far.shutdown(Shutdown::Write).expect("ended");
        assert_eq!(rest(&mut stream), b"banner");
        let heard = thread::spawn(move || rest(&mut far));
        stream.write_all(&words).expect("written");
        drop(stream);
        assert!(heard.join().expect("heard") == words, "whole");
        proxy
            .running
            .until("8/8 ended       the destination ended, then the client");
    });
}

fn reset(stream: TcpStream) {
    let linger = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    linger.expect("an option");
    drop(stream);
}

#[test]
fn a_reset_is_passed_on_as_a_reset() {
    alone("resets", || {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let server = listener.local_addr().expect("an address");
        let mut proxy = Proxy::start(&["127.0.0.1:0", "-v"]);
        let was_reset = |mut stream: TcpStream| {
            let read = stream.read(&mut [0; 16]);
            assert_eq!(
                read.map_err(|error| error.kind()),
                Err(ErrorKind::ConnectionReset)
            );
        };
        let stream = proxy.tunnel(server);
        let (far, _) = listener.accept().expect("somebody");
        reset(far);
        was_reset(stream);
        proxy
            .running
            .until("8/8 ended       the destination reset the connection");
        let stream = proxy.tunnel(server);
        let (far, _) = listener.accept().expect("somebody");
        reset(stream);
        was_reset(far);
        proxy
            .running
            .until("8/8 ended       the client reset the connection");
    });
}

#[test]
fn what_moves_no_more_is_closed() {
    alone("idle", || {
        let server = serve("127.0.0.1:0", echo);
        let mut proxy = Proxy::start(&["127.0.0.1:0", "-v", "--idle-timeout", "100ms"]);
        let mut stream = proxy.tunnel(server);
        stream.write_all(b"word").expect("written");
        assert_eq!(rest(&mut stream), b"word");
        proxy
            .running
            .until("8/8 ended       nothing moved for 100ms (--idle-timeout)");
    });
}

#[test]
fn readers_that_stop_hold_up_nobody() {
    alone("slow readers", || {
        let (server, source) = (serve("127.0.0.1:0", echo), serve("127.0.0.1:0", pour));
        let proxy = Proxy::start(&["127.0.0.1:0"]);
        let _stalled: Vec<_> = (0..20).map(|_| proxy.tunnel(source)).collect();
        let words = bytes(3 << 20);
        let mut tunnel = proxy.tunnel(server);
        let mut writer = tunnel.try_clone().expect("the same");
        let heard = thread::scope(|scope| {
            scope.spawn(|| writer.write_all(&words).expect("written"));
            take(&mut tunnel, words.len())
        });
        assert!(heard == words, "whole");
    });
}

/// An idle tunnel has two descriptors: its pipes are lent to others.
#[test]
fn an_idle_tunnel_has_no_pipe() {
    alone("idle tunnels", || {
        let server = serve("127.0.0.1:0", echo);
        let proxy = Proxy::start(&["127.0.0.1:0"]);
        let before = descriptors(&proxy);
        let mut tunnels = Vec::new();
        for _ in 0..200 {
            let mut tunnel = proxy.tunnel(server);
            tunnel.write_all(b"word").expect("written");
            assert_eq!(take(&mut tunnel, 4), b"word");
            tunnels.push(tunnel);
        }
        let each = descriptors(&proxy) - before;
        assert!((400..=420).contains(&each), "{each} descriptors for 200");
    });
}

fn pour(mut client: TcpStream) {
    while client.write_all(&vec![b'x'; 65536]).is_ok() {}
}

fn descriptors(proxy: &Proxy) -> usize {
    let folder = format!("/proc/{}/fd", proxy.running.child.id());
    std::fs::read_dir(folder).expect("it runs").count()
}

#[test]
fn so_many_at_once_and_no_more() {
    alone("most", || {
        let server = serve("127.0.0.1:0", echo);
        let mut proxy = Proxy::start(&["127.0.0.1:0", "--max-connections", "2"]);
        let held = [proxy.tunnel(server), proxy.tunnel(server)];
        assert_eq!(rest(&mut proxy.connect()), b"", "sent away");
        let told = proxy.running.until("sent away");
        assert!(
            told.contains("2 are here already (--max-connections)"),
            "{told}"
        );
        drop(held);
        let (_, out, _) = proxy.running.interrupt();
        assert!(out.contains("3 clients: 2 granted, 1 refused"), "{out}");
    });
}

/// Descriptors that have run out are waited for: nobody is lost, and it is said
/// once and not ten thousand times.
#[test]
fn descriptors_that_run_out_are_waited_for() {
    alone("EMFILE", || {
        assert!(getrlimit(Resource::RLIMIT_NOFILE).expect("a limit").1 > 100);
        let server = serve("127.0.0.1:0", echo);
        let mut command = Command::new("prlimit");
        command.args(["--nofile=40:40", SOCKLAB, "proxy", "serve", "127.0.0.1:0"]);
        let mut proxy = Proxy::begin(command);
        // More than it can take: they wait in the listener's queue.
        let mut waiting: Vec<_> = (0..40).map(|_| proxy.connect()).collect();
        let told = proxy.running.until("EMFILE");
        assert!(
            told.contains("accept: too many open files (EMFILE)"),
            "{told}"
        );
        let mut last = waiting.pop().expect("forty");
        drop(waiting);
        last.write_all(&crate::stand::socks5_connect(server))
            .expect("written");
        assert_eq!(take(&mut last, 2), [5, 0]);
        assert_eq!(crate::stand::reply(&mut last), 0, "it is served now");
        last.write_all(b"word").expect("written");
        assert_eq!(take(&mut last, 4), b"word");
        drop(last);
        let (told, _, code) = proxy.running.interrupt();
        let count = told.matches("EMFILE").count();
        assert!(count < 20, "said {count} times more: {told}");
        assert_eq!(code, 0);
    });
}

/// A destination for which there is no descriptor is refused, and the proxy goes
/// on.
#[test]
fn no_descriptor_for_the_destination_is_a_failure_that_is_told() {
    const TUNNELS: usize = 6;
    alone("EMFILE outward", || {
        let server = serve("127.0.0.1:0", echo);
        let proxy = Proxy::start(&["127.0.0.1:0"]);
        let process = proxy.running.child.id();
        // The first tunnel makes what the proxy needs once. A tunnel is two sockets, so that
        // an odd number leaves the last client without one for its destination.
        let mut held = vec![proxy.tunnel(server)];
        leave_descriptors(process, (TUNNELS - 1) * 2 + 1);
        let code = loop {
            let mut stream = proxy.connect();
            stream
                .write_all(&crate::stand::socks5_connect(server))
                .expect("written");
            assert_eq!(take(&mut stream, 2), [5, 0]);
            match crate::stand::reply(&mut stream) {
                0 => held.push(stream),
                code => break code,
            }
        };
        assert_eq!(code, 1, "a general failure");
        assert_eq!(held.len(), TUNNELS, "as many as had their two sockets");
        // One by one: the descriptor of the refused client is not enough for a pipe.
        for mut tunnel in held {
            tunnel.write_all(b"word").expect("written");
            assert_eq!(take(&mut tunnel, 4), b"word", "without a pipe too");
        }
    });
}

/// Limits `process` so that it can open just `free` descriptors more.
fn leave_descriptors(process: u32, free: usize) {
    let open: std::collections::BTreeSet<u32> = std::fs::read_dir(format!("/proc/{process}/fd"))
        .expect("it runs")
        .map(|entry| entry.expect("an entry").file_name())
        .map(|name| name.to_str().expect("a number").parse().expect("a number"))
        .collect();
    let highest = (0..).filter(|number| !open.contains(number)).nth(free - 1);
    let limit = highest.expect("there is one") + 1;
    let set = Command::new("prlimit")
        .args([
            format!("--pid={process}"),
            format!("--nofile={limit}:{limit}"),
        ])
        .status()
        .expect("prlimit runs");
    assert!(set.success(), "{set}");
}

#[test]
fn ctrl_c_closes_in_order_and_sums_up() {
    alone("Ctrl-C", || {
        let server = serve("127.0.0.1:0", echo);
        let proxy = Proxy::start(&["127.0.0.1:0", "-v"]);
        let mut stream = proxy.tunnel(server);
        stream.write_all(b"word").expect("written");
        assert_eq!(take(&mut stream, 4), b"word");
        let (told, out, code) = proxy.running.interrupt();
        assert_eq!(code, 0, "{told}");
        assert!(
            told.contains("8/8 ended       the proxy was asked to end"),
            "{told}"
        );
        assert_eq!(
            out,
            "1 client: 1 granted, 0 refused; 4 bytes to destinations, 4 bytes back\n"
        );
        assert_eq!(rest(&mut stream), b"");
    });
}
