//! The ICMP socket and the exchange on it, against the real kernel in network
//! namespaces of their own: options, filters, stamps, and what others forge.

mod support;

use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::process::Command;
use std::time::Instant;

use nix::libc::{self, c_int};
use nix::sched::{CloneFlags, unshare};
use socket2::SockRef;
use socklab::event::EchoSocket;
use socklab::flow::Family;
use socklab::ping::exchange::{Arrival, BATCH, Exchange, Request, Sending};
use socklab::socket::icmp::{IcmpSocket, IpOptions, Options, PathMtu};

const FAMILIES: [Family; 2] = [Family::Ipv4, Family::Ipv6];
const KINDS: [EchoSocket; 2] = [EchoSocket::Raw, EchoSocket::Datagram];
/// A host with every right to ping itself.
const HOST: &str = "ip link set lo up; sysctl -qw net.ipv4.ping_group_range='0 2147483647'";

fn privileged() -> bool {
    support::may_make_namespaces("ping's sockets in a network namespace")
}

/// What `body` returns in a network namespace that its thread makes for itself,
/// once the shell has run `setup` there.
fn in_own_namespace<T: Send>(setup: &str, body: impl FnOnce() -> T + Send) -> T {
    let private = || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let made = Command::new("sh").args(["-e", "-c", setup]).status();
        assert!(made.unwrap().success());
        body()
    };
    std::thread::scope(|scope| scope.spawn(private).join()).unwrap()
}

fn loopback(family: Family) -> SocketAddr {
    match family {
        Family::Ipv4 => (Ipv4Addr::LOCALHOST, 0).into(),
        Family::Ipv6 => (Ipv6Addr::LOCALHOST, 0).into(),
    }
}

/// `getsockopt(2)` of an `int`.
#[allow(unsafe_code)]
fn option(socket: &IcmpSocket, level: c_int, name: c_int) -> c_int {
    let mut value: c_int = 0;
    let mut length = libc::socklen_t::try_from(size_of::<c_int>()).unwrap();
    // SAFETY: the pointers are valid for the call and `length` is the size of
    // what the first one points at.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            (&raw mut value).cast(),
            &raw mut length,
        )
    };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    value
}

fn send(exchange: &mut Exchange<'_>, requests: &[Request]) -> Vec<Sending> {
    let mut sent = Vec::new();
    for &request in requests {
        assert!(exchange.push(request));
    }
    exchange.flush(|_, _, _, sending| sent.push(sending));
    sent
}

/// Receives until `enough` has been seen, each arrival as `tell` has it.
fn receive_until<T>(
    exchange: &mut Exchange<'_>,
    mut tell: impl FnMut(Arrival<'_>) -> Option<T>,
    enough: impl Fn(&[T]) -> bool,
) -> Vec<T> {
    let deadline = Instant::now() + std::time::Duration::from_secs(10);
    let mut told = Vec::new();
    while !enough(&told) {
        assert!(Instant::now() < deadline, "nothing came for ten seconds");
        let ready = exchange.wait(&[], Some(deadline)).unwrap();
        exchange.receive(ready, |arrival| told.extend(tell(arrival)));
    }
    told
}

fn request(exchange: &Exchange<'_>, number: u64, to: SocketAddr) -> Request {
    Request {
        token: exchange.token(number),
        to,
        ttl: None,
        payload_bytes: 16,
    }
}

fn everything(family: Family) -> Options {
    Options {
        ttl: Some(7),
        class: Some(0x48),
        mark: Some(9),
        interface: Some("lo".to_owned()),
        source: Some(loopback(family).ip()),
        send_buffer: Some(50_000),
        receive_buffer: Some(60_000),
        broadcast: true,
        no_loop: true,
        dont_route: true,
        debug: true,
        path_mtu: Some(PathMtu::Probe),
        ..Options::default()
    }
}

/// The options of a family's own level, and what [`everything`] makes them.
fn of_family(family: Family) -> (c_int, [(c_int, c_int); 5]) {
    match family {
        Family::Ipv4 => (
            libc::IPPROTO_IP,
            [
                (libc::IP_TTL, 7),
                (libc::IP_MULTICAST_TTL, 7),
                (libc::IP_TOS, 0x48),
                (libc::IP_MULTICAST_LOOP, 0),
                (libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE),
            ],
        ),
        Family::Ipv6 => (
            libc::IPPROTO_IPV6,
            [
                (libc::IPV6_UNICAST_HOPS, 7),
                (libc::IPV6_MULTICAST_HOPS, 7),
                (libc::IPV6_TCLASS, 0x48),
                (libc::IPV6_MULTICAST_LOOP, 0),
                (libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE),
            ],
        ),
    }
}

fn every_family_and_kind() -> Vec<(Family, EchoSocket)> {
    let of = |family| KINDS.map(|kind| (family, kind));
    FAMILIES.map(of).concat()
}

#[test]
fn every_option_is_one_of_the_socket() {
    if !privileged() {
        return;
    }
    for (family, kind) in every_family_and_kind() {
        in_own_namespace(HOST, || {
            let socket = IcmpSocket::open_kind(family, kind).unwrap();
            let before = socket.identifiers();
            socket.apply(&everything(family)).unwrap();
            let told = SockRef::from(&socket);
            assert_eq!(told.mark().unwrap(), 9);
            assert_eq!(told.device().unwrap().unwrap(), b"lo");
            assert_eq!(socket.interface_index(), Some(1));
            assert_eq!(socket.source(), Some(loopback(family).ip()));
            assert_eq!(socket.identifiers(), before);
            assert_eq!(told.send_buffer_size().unwrap(), 100_000);
            assert_eq!(told.recv_buffer_size().unwrap(), 120_000);
            assert!(told.broadcast().unwrap());
            let of_all = |name| option(&socket, libc::SOL_SOCKET, name);
            assert_eq!((of_all(libc::SO_DONTROUTE), of_all(libc::SO_DEBUG)), (1, 1));
            let (level, expected) = of_family(family);
            for (name, value) in expected {
                assert_eq!(option(&socket, level, name), value, "{level} {name}");
            }
        });
    }
}

#[test]
fn a_socket_with_every_option_pings_and_hears_the_class() {
    if !privileged() {
        return;
    }
    for (family, kind) in every_family_and_kind() {
        in_own_namespace(HOST, || {
            let socket = IcmpSocket::open_kind(family, kind).unwrap();
            socket.apply(&everything(family)).unwrap();
            let mut exchange = Exchange::new([&socket], &[0; 16], BATCH);
            let ping = request(&exchange, 1, loopback(family));
            assert_eq!(send(&mut exchange, &[ping]), [Sending::Taken]);
            let classes = receive_until(
                &mut exchange,
                |arrival| match arrival {
                    Arrival::Reply(reply) => Some((reply.from.ip(), reply.class)),
                    _ => None,
                },
                |replies| !replies.is_empty(),
            );
            let expected = (loopback(family).ip(), Some(0x48));
            assert_eq!(classes, [expected], "{family:?} {kind:?}");
        });
    }
}

#[test]
fn the_ipv4_header_comes_with_the_options_it_was_sent_with() {
    if !privileged() {
        return;
    }
    in_own_namespace(HOST, || {
        let socket = IcmpSocket::open_kind(Family::Ipv4, EchoSocket::Raw).unwrap();
        let here = Ipv4Addr::LOCALHOST;
        for (asked, kind) in [
            (IpOptions::RecordRoute, 7),
            (IpOptions::Times, 68),
            (IpOptions::TimesAndAddresses, 68),
            (IpOptions::TimesAt(vec![here, here]), 68),
        ] {
            let options = Options {
                ip_options: Some(asked.clone()),
                ..Options::default()
            };
            socket.apply(&options).unwrap();
            let mut exchange = Exchange::new([&socket], &[0; 16], BATCH);
            let ping = request(&exchange, 1, loopback(Family::Ipv4));
            assert_eq!(send(&mut exchange, &[ping]), [Sending::Taken]);
            let headers = receive_until(
                &mut exchange,
                |arrival| match arrival {
                    Arrival::Reply(reply) => Some(reply.header.to_vec()),
                    _ => None,
                },
                |replies| !replies.is_empty(),
            );
            let options = &headers[0][20..];
            let of_kind = options.iter().copied().find(|&byte| byte != 1);
            assert_eq!(of_kind, Some(kind), "{asked:?}: {options:x?}");
        }
    });
}

#[test]
fn a_flow_label_goes_with_every_request_and_comes_back() {
    if !privileged() {
        return;
    }
    // A reply bears the request's label only where the host is told so.
    let reflecting = format!("{HOST}; sysctl -qw net.ipv6.flowlabel_reflect=4");
    for kind in KINDS {
        in_own_namespace(&reflecting, || {
            let socket = IcmpSocket::open_kind(Family::Ipv6, kind).unwrap();
            for (asked, label) in [(0xabcde, Some(0xabcde)), (0, None)] {
                let options = Options {
                    flow_label: Some(asked),
                    ..Options::default()
                };
                socket.apply(&options).unwrap();
                let set = socket.flow_label().unwrap();
                assert!(set <= 0xfffff && label.is_none_or(|label| label == set));
                let mut exchange = Exchange::new([&socket], &[0; 16], BATCH);
                let ping = request(&exchange, 1, loopback(Family::Ipv6));
                assert_eq!(send(&mut exchange, &[ping]), [Sending::Taken], "{kind:?}");
                receive_until(
                    &mut exchange,
                    |arrival| matches!(arrival, Arrival::Reply(_)).then_some(()),
                    |replies| !replies.is_empty(),
                );
            }
        });
    }
}

#[test]
fn an_option_that_cannot_be_set_is_told_with_its_value() {
    if !privileged() {
        return;
    }
    let told = |family, options: Options| {
        in_own_namespace(HOST, || {
            let socket = IcmpSocket::open_kind(family, EchoSocket::Raw).unwrap();
            socket.apply(&options).unwrap_err().to_string()
        })
    };
    let interface = Options {
        interface: Some("eth9".to_owned()),
        ..Options::default()
    };
    assert_eq!(
        told(Family::Ipv4, interface),
        "setsockopt(SO_BINDTODEVICE, eth9): No such device (os error 19)"
    );
    let source = Options {
        source: Some(IpAddr::from([192, 0, 2, 1])),
        ..Options::default()
    };
    assert_eq!(
        told(Family::Ipv4, source),
        "bind(192.0.2.1): Cannot assign requested address (os error 99)"
    );
    let label = Options {
        flow_label: Some(0x10_0000),
        ..Options::default()
    };
    assert_eq!(
        told(Family::Ipv6, label.clone()),
        "setsockopt(IPV6_FLOWLABEL_MGR, 1048576): a flow label has 20 bits: at most 0xfffff"
    );
    assert_eq!(
        told(Family::Ipv4, label),
        "setsockopt(IPV6_FLOWLABEL_MGR, 1048576): only IPv6 has flow labels"
    );
    let route = Options {
        ip_options: Some(IpOptions::RecordRoute),
        ..Options::default()
    };
    assert_eq!(
        told(Family::Ipv6, route),
        "setsockopt(IP_OPTIONS, record route): only IPv4 has them"
    );
}
