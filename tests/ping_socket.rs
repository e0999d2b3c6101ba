//! The ICMP socket and the exchange on it, against the real kernel in network
//! namespaces of their own: options, filters, stamps, and what others forge.

mod support;

use std::mem::{size_of, size_of_val};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use nix::libc::{self, c_int};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::gettid;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use socklab::event::{EchoSocket, Silence};
use socklab::flow::Family;
use socklab::link::{self, Link};
use socklab::packet::checksum::checksum;
use socklab::ping::exchange::{Arrival, BATCH, Exchange, Ready, Redirect, Request, Sending};
use socklab::ping::wire::{self, Checksum};
use socklab::recorder::Clock;
use socklab::socket::icmp::{IcmpSocket, IpOptions, Options, PathMtu, Token};
use support::settled::SETTLED;

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

/// Pings until a reply carries the kernel's stamp: the first socket on a machine
/// that asks for stamps has them switched on in the background.
fn await_stamps(exchange: &mut Exchange<'_>, ping: Request) {
    let mut stamped = false;
    while !stamped {
        send(exchange, &[ping]);
        let stamps = receive_until(
            exchange,
            |arrival| match arrival {
                Arrival::Reply(reply) => Some(reply.times.stamp),
                _ => None,
            },
            |stamps| !stamps.is_empty(),
        );
        stamped = stamps.iter().all(Option::is_some);
    }
}

/// Receives until `enough` has been seen, each arrival as `tell` has it.
fn receive_until<T: std::fmt::Debug>(
    exchange: &mut Exchange<'_>,
    mut tell: impl FnMut(Arrival<'_>) -> Option<T>,
    enough: impl Fn(&[T]) -> bool,
) -> Vec<T> {
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut told = Vec::new();
    while !enough(&told) {
        assert!(
            Instant::now() < deadline,
            "no more than {told:?} in ten seconds"
        );
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
        "setsockopt(SO_BINDTODEVICE, eth9): no such device (ENODEV)"
    );
    let source = Options {
        source: Some(IpAddr::from([192, 0, 2, 1])),
        ..Options::default()
    };
    assert_eq!(
        told(Family::Ipv4, source),
        "bind(192.0.2.1): cannot assign requested address (EADDRNOTAVAIL)"
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

/// `SO_MEMINFO`: bytes that wait in the receive buffer.
#[allow(unsafe_code)]
fn waiting_bytes(socket: &IcmpSocket) -> u32 {
    let mut info = [u32::MAX; 9];
    let mut length = libc::socklen_t::try_from(size_of_val(&info)).unwrap();
    // SAFETY: the pointers are valid for the call and `length` is the size of
    // what the first one points at.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    info[0]
}

#[test]
fn other_processes_replies_do_not_reach_a_raw_socket() {
    if !privileged() {
        return;
    }
    for family in FAMILIES {
        in_own_namespace(HOST, || {
            let ours = IcmpSocket::open_kind(family, EchoSocket::Raw).unwrap();
            let theirs = std::iter::repeat_with(|| IcmpSocket::open_kind(family, EchoSocket::Raw))
                .map(Result::unwrap)
                .find(|theirs| theirs.identifiers() != ours.identifiers());
            let theirs = theirs.unwrap();
            let mut exchange = Exchange::new([&theirs], &[0; 16], BATCH);
            let pings: Vec<Request> = (0..64)
                .map(|number| request(&exchange, number, loopback(family)))
                .collect();
            send(&mut exchange, &pings);
            receive_until(
                &mut exchange,
                |arrival| matches!(arrival, Arrival::Reply(_)).then_some(()),
                |replies| replies.len() == 64,
            );
            assert_eq!(waiting_bytes(&ours), 0, "{family:?}");
            // It lets its own in, whichever identifier of its block they bear.
            let mut exchange = Exchange::new([&ours], &[0; 16], BATCH);
            let last = exchange.window() - 1;
            let pings =
                [0, 70_000, last].map(|number| request(&exchange, number, loopback(family)));
            send(&mut exchange, &pings);
            let tokens = receive_until(
                &mut exchange,
                |arrival| match arrival {
                    Arrival::Reply(reply) => Some(reply.token),
                    _ => None,
                },
                |replies| replies.len() == 3,
            );
            assert_eq!(tokens, pings.map(|ping| ping.token), "{family:?}");
        });
    }
}

#[test]
fn a_flood_sorts_replies_itself_until_somebody_elses_come() {
    if !privileged() {
        return;
    }
    for family in FAMILIES {
        in_own_namespace(HOST, || {
            let open = || IcmpSocket::open_kind(family, EchoSocket::Raw).unwrap();
            let ours = open();
            let mut others = std::iter::repeat_with(open);
            let theirs = others.find(|theirs| theirs.identifiers() != ours.identifiers());
            let theirs = theirs.unwrap();
            let mut flood = Exchange::new([&ours], &[0; 16], BATCH);
            let mut stranger = Exchange::new([&theirs], &[0; 16], BATCH);
            let is_reply =
                |arrival: Arrival<'_>| matches!(arrival, Arrival::Reply(_)).then_some(());
            flood.sort_here();
            let ask = |exchange: &mut Exchange<'_>| {
                let ping = request(exchange, 1, loopback(family));
                send(exchange, &[ping]);
                receive_until(exchange, is_reply, |replies| replies.len() == 1);
            };
            ask(&mut stranger);
            assert_ne!(waiting_bytes(&ours), 0, "{family:?}: the kernel sorts");
            // A reply of its own is the only one it tells of.
            ask(&mut flood);
            flood.receive(Ready::ALL, |arrival| panic!("{arrival:?}"));
            ask(&mut stranger);
            assert_eq!(
                waiting_bytes(&ours),
                0,
                "{family:?}: the kernel does not sort"
            );
            ask(&mut flood);
        });
    }
}

/// An ICMP echo reply with a checksum that is right.
fn echo_reply(identifier: u16, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut message = vec![0; 4];
    message.extend_from_slice(&identifier.to_be_bytes());
    message.extend_from_slice(&sequence.to_be_bytes());
    message.extend_from_slice(payload);
    let sum = checksum(&message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

#[test]
fn a_forged_reply_is_told_for_what_it_is_or_not_at_all() {
    if !privileged() {
        return;
    }
    in_own_namespace(HOST, || {
        let socket = IcmpSocket::open_kind(Family::Ipv4, EchoSocket::Raw).unwrap();
        let mut exchange = Exchange::new([&socket], &[7; 16], BATCH);
        let ours = socket.identifiers().first();
        let forger = |source: [u8; 4]| {
            let forger = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)).unwrap();
            forger.bind(&SocketAddr::from((source, 0)).into()).unwrap();
            move |message: &[u8]| {
                let to: SocketAddr = loopback(Family::Ipv4);
                forger.send_to(message, &to.into()).unwrap()
            }
        };
        let (host, other) = (forger([127, 0, 0, 1]), forger([127, 0, 0, 2]));
        host(&echo_reply(ours ^ 0x8000, 1, &[7; 16]));
        other(&echo_reply(ours, 1, &[7; 16]));
        host(&echo_reply(ours, 900, &[7; 16]));
        host(&echo_reply(ours, 1, &[8; 16]));
        let mut broken = echo_reply(ours, 1, &[7; 16]);
        broken[20] ^= 1;
        host(&broken);
        host(&echo_reply(ours, 1, &[]));
        // A request of ours ends it: all before it was there before its reply.
        let last = request(&exchange, 2, loopback(Family::Ipv4));
        send(&mut exchange, &[last]);
        let told = receive_until(
            &mut exchange,
            |arrival| match arrival {
                Arrival::Reply(reply) => Some((
                    reply.from.ip().to_string(),
                    wire::sequence(reply.token),
                    reply.checksum,
                    reply.message.get(8).copied(),
                )),
                _ => None,
            },
            |told| told.last().is_some_and(|(_, sequence, ..)| *sequence == 2),
        );
        let (host, right) = ("127.0.0.1".to_owned(), Checksum::Right);
        let expected = [
            ("127.0.0.2".to_owned(), 1, right, Some(7)),
            (host.clone(), 900, right, Some(7)),
            (host.clone(), 1, right, Some(8)),
            (host.clone(), 1, Checksum::Wrong, Some(7)),
            (host.clone(), 1, right, None),
            (host, 2, right, Some(7)),
        ];
        assert_eq!(told, expected);
    });
}

#[derive(Debug, PartialEq)]
enum Told {
    Departed(Token, Duration),
    Replied(Token, Duration),
    Local,
}

#[test]
fn each_departure_is_its_own_requests_even_behind_one_that_failed() {
    if !privileged() {
        return;
    }
    let narrow = format!("{HOST}; ip link set lo mtu 1500");
    for (family, kind) in every_family_and_kind() {
        let told = in_own_namespace(&narrow, || {
            let socket = IcmpSocket::open_kind(family, kind).unwrap();
            let options = Options {
                path_mtu: Some(PathMtu::Do),
                ..Options::default()
            };
            socket.apply(&options).unwrap();
            let mut exchange = Exchange::new([&socket], &[0; 2000], BATCH);
            let first = request(&exchange, 9, loopback(family));
            await_stamps(&mut exchange, first);
            socket.stamp_departures().unwrap();
            let pings: Vec<Request> = (0_u64..)
                .zip([16, 2000, 17, 1000, 0])
                .map(|(number, payload_bytes)| Request {
                    payload_bytes,
                    ..request(&exchange, number, loopback(family))
                })
                .collect();
            let sent = send(&mut exchange, &pings);
            let taken = |place: usize| sent[place] == Sending::Taken;
            assert!((0..5).all(|place| taken(place) == (place != 1)), "{sent:?}");
            receive_until(
                &mut exchange,
                |arrival| match arrival {
                    Arrival::Departed(departed) => {
                        Some(Told::Departed(departed.token, departed.stamp))
                    }
                    Arrival::Reply(reply) => Some(Told::Replied(reply.token, reply.times.stamp?)),
                    Arrival::Local(_) => Some(Told::Local),
                    _ => None,
                },
                |told| told.len() == 9,
            )
        });
        let departures: Vec<(Token, Duration)> = told
            .iter()
            .filter_map(|told| match told {
                Told::Departed(token, stamp) => Some((*token, *stamp)),
                _ => None,
            })
            .collect();
        let tokens: Vec<u32> = departures.iter().map(|(token, _)| token.0).collect();
        assert_eq!(tokens, [0, 2, 3, 4], "{family:?} {kind:?}");
        assert_eq!(told.iter().filter(|told| **told == Told::Local).count(), 1);
        for told in &told {
            if let Told::Replied(token, arrived) = told {
                let (_, left) = departures.iter().find(|(other, _)| other == token).unwrap();
                assert!(left <= arrived, "{family:?} {kind:?} {token:?}");
            }
        }
    }
}

/// What `body` returns in a namespace whose way to 10.9.9.9 and fd99::9 leads
/// by a router in another, which knows a better one to 10.9.9.9 and none
/// further for what may only go one hop.
fn beside_a_router<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    const NEAR: &str = "\
ip addr add 10.9.0.1/24 dev near; ip addr add fd09::1/64 dev near nodad; ip link set near up
ip route add 10.9.9.9 via 10.9.0.2; ip route add fd99::/16 via fd09::2
ip neigh add fd09::2 lladdr 02:00:00:00:09:02 dev near
for name in all near; do echo 1 >/proc/sys/net/ipv4/conf/$name/accept_redirects; done";
    const ROUTER: &str = "\
ip addr add 10.9.0.2/24 dev far; ip addr add fd09::2/64 dev far nodad; ip link set far up
echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
ip neigh add fd09::1 lladdr 02:00:00:00:09:01 dev far; ip route add fd99::/16 dev far
ip neigh add 10.9.0.3 lladdr 02:00:00:00:09:03 dev far; ip route add 10.9.9.9 via 10.9.0.3";
    let shell = |script: &str| {
        let script = format!("{script}{SETTLED}");
        let made = Command::new("sh").args(["-e", "-c", &script]).status();
        assert!(made.unwrap().success(), "{script}");
    };
    in_own_namespace(HOST, || {
        std::thread::scope(|scope| {
            let (its_number, number) = channel();
            let (wire, its_wire) = channel::<()>();
            let (its_end, end) = channel();
            let (stop, until) = channel::<()>();
            scope.spawn(move || {
                unshare(CloneFlags::CLONE_NEWNET).unwrap();
                its_number.send(gettid()).unwrap();
                its_wire.recv().unwrap();
                shell(ROUTER);
                its_end.send(()).unwrap();
                // The namespace lasts as long as the thread.
                let _ = until.recv();
            });
            let router = number.recv().unwrap();
            shell(&format!(
                "ip link add near address 02:00:00:00:09:01 type veth \
                 peer name far address 02:00:00:00:09:02 netns {router}"
            ));
            shell(NEAR);
            wire.send(()).unwrap();
            end.recv().unwrap();
            let result = body();
            drop(stop);
            result
        })
    })
}

#[test]
fn a_redirect_names_the_request_and_the_better_router() {
    if !privileged() {
        return;
    }
    for kind in KINDS {
        let told = beside_a_router(|| {
            let socket = IcmpSocket::open_kind(Family::Ipv4, kind).unwrap();
            let mut exchange = Exchange::new([&socket], &[0; 16], BATCH);
            let ping = request(&exchange, 5, ([10, 9, 9, 9], 0).into());
            assert_eq!(send(&mut exchange, &[ping]), [Sending::Taken]);
            receive_until(
                &mut exchange,
                |arrival| match arrival {
                    Arrival::Redirect(redirect) => Some(redirect),
                    _ => None,
                },
                |told| !told.is_empty(),
            )
        });
        let expected = Redirect {
            token: Token(5),
            to: [10, 9, 9, 9].into(),
            from: ([10, 9, 0, 2], 0).into(),
            gateway: [10, 9, 0, 3].into(),
            icmp_code: 1,
        };
        assert_eq!(told, [expected], "{kind:?}");
    }
}

#[test]
fn a_whole_error_comes_beside_the_queues() {
    if !privileged() {
        return;
    }
    for (family, to) in FAMILIES.into_iter().zip(["10.9.9.9:0", "[fd99::9]:0"]) {
        let (mut types, quoted) = beside_a_router(|| {
            let socket = IcmpSocket::open_kind(family, EchoSocket::Raw).unwrap();
            socket.admit_errors().unwrap();
            let mut exchange = Exchange::new([&socket], &[0; 16], BATCH);
            let ping = Request {
                ttl: Some(1),
                ..request(&exchange, 5, to.parse().unwrap())
            };
            assert_eq!(send(&mut exchange, &[ping]), [Sending::Taken]);
            let mut quoted = Vec::new();
            let types = receive_until(
                &mut exchange,
                |arrival| match arrival {
                    Arrival::Error(error) => Some(("queue", error.icmp_type, error.token)),
                    Arrival::RawError(error) => {
                        quoted = error.quoted.to_vec();
                        assert_eq!(
                            error.to.to_string(),
                            to.replace(['[', ']'], "").trim_end_matches(":0")
                        );
                        Some(("raw", error.message[0], error.token))
                    }
                    _ => None,
                },
                |told| told.len() == 2,
            );
            (types, quoted)
        });
        types.sort_unstable();
        let (exceeded, version) = match family {
            Family::Ipv4 => (11, 4),
            Family::Ipv6 => (3, 6),
        };
        assert_eq!(
            types,
            [("queue", exceeded, Token(5)), ("raw", exceeded, Token(5))]
        );
        assert_eq!(quoted[0] >> 4, version, "from the quoted IP header on");
    }
}

#[test]
fn a_datagram_socket_has_no_whole_errors() {
    if !privileged() {
        return;
    }
    in_own_namespace(HOST, || {
        let socket = IcmpSocket::open_kind(Family::Ipv4, EchoSocket::Datagram).unwrap();
        let refused = socket.admit_errors().unwrap_err().raw_os_error();
        assert_eq!(refused, Some(libc::ENOPROTOOPT));
    });
}

#[test]
fn a_departure_into_the_private_link_is_told_before_the_reply() {
    if !privileged() {
        return;
    }
    let link = Link::build(&link::Config::default(), Clock::start(), Arc::new(Silence)).unwrap();
    for family in FAMILIES {
        let server = SocketAddr::from((link.server().addresses().of(family), 0));
        let told = link.client().run(move || {
            let socket = IcmpSocket::open_kind(family, EchoSocket::Raw).unwrap();
            let mut exchange = Exchange::new([&socket], &[0; 16], BATCH);
            let first = request(&exchange, 2, server);
            await_stamps(&mut exchange, first);
            socket.stamp_departures().unwrap();
            let ping = request(&exchange, 3, server);
            assert_eq!(send(&mut exchange, &[ping]), [Sending::Taken]);
            receive_until(
                &mut exchange,
                |arrival| match arrival {
                    Arrival::Departed(departed) => Some((departed.token, departed.stamp)),
                    Arrival::Reply(reply) => Some((reply.token, reply.times.stamp?)),
                    _ => None,
                },
                |told| told.len() == 2,
            )
        });
        let [(left, departed), (back, arrived)] = told[..] else {
            panic!("two of {told:?}");
        };
        assert_eq!((left, back), (Token(3), Token(3)), "{family:?}");
        assert!(departed < arrived, "{family:?}");
    }
    link.finish().unwrap();
}
