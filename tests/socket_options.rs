//! Every socket option by name, set for real on each kind of socket and read
//! back, and what the kernel says of those that it refuses.

mod support;

use std::net::SocketAddr;
use std::sync::Arc;

use socklab::event::{Outcome, Place, Recording, Silence, What};
use socklab::flow::{Family, Kind};
use socklab::link::{Config, Link};
use socklab::recorder::{Clock, Recorder};
use socklab::socket::options::{
    Applied, Moment, Role, SocketOption, Target, apply, catalogue, check,
};
use socklab::socket::{Datagram, Handle, Listener, Stream};

fn option(text: &str) -> SocketOption {
    text.parse().expect(text)
}

fn recorder() -> (Recorder, Arc<Recording>) {
    let recording = Arc::new(Recording::new());
    let recorder = Recorder::new(Place::Client, Clock::start(), recording.clone());
    (recorder, recording)
}

fn any(family: Family) -> SocketAddr {
    match family {
        Family::Ipv4 => SocketAddr::from(([127, 0, 0, 1], 0)),
        Family::Ipv6 => SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, 0)),
    }
}

/// A value that the kernel takes as it is, for every option that needs neither
/// a capability nor an interface of its own.
const EXACT: &[(&str, &str)] = &[
    ("reuseaddr", "on"),
    ("reuseport", "on"),
    ("bindtodevice=lo", "lo"),
    ("freebind", "on"),
    ("v6only", "on"),
    ("v6only=off", "off"),
    ("rcvlowat=1k", "1,024"),
    ("busy-poll=0", "0ms"),
    ("priority=6", "6"),
    ("dontroute", "on"),
    ("tos=0x10", "0x10"),
    ("tclass=0x20", "0x20"),
    ("ttl=5", "5"),
    ("hops=7", "7"),
    ("minttl=3", "3"),
    ("pmtudisc=do", "do"),
    ("recverr", "on"),
    ("oobinline", "on"),
    ("linger=0", "0 s"),
    ("linger=off", "off"),
    ("nodelay", "on"),
    ("mss=1000", "1000"),
    ("congestion=reno", "reno"),
    ("user-timeout=1500ms", "1.5s"),
    ("syncnt=3", "3"),
    ("window-clamp=64k", "65,536"),
    ("notsent-lowat=16k", "16,384"),
    ("cork", "on"),
    ("broadcast", "on"),
    ("no-check", "on"),
    ("rxq-ovfl", "on"),
    ("multicast-ttl=4", "4"),
    ("multicast-loop=off", "off"),
    ("multicast-all=off", "off"),
];

/// Opens a socket for `target` and sets `options` on it.
fn set(target: Target, options: &[SocketOption]) -> Result<Vec<Applied>, String> {
    let (recorder, _) = recorder();
    let address = any(target.family);
    let on = |handle: &Handle| {
        let mut applied = Vec::new();
        for moment in [Moment::Opened, Moment::Connected] {
            applied.extend(apply(options, moment, target, handle).map_err(|e| e.to_string())?);
        }
        Ok(applied)
    };
    match (target.kind, target.role) {
        (Kind::Udp, _) => on(&Datagram::open(&recorder, "socket", address).expect("a socket")),
        (_, Role::Listening) => on(&Listener::open(&recorder, "socket", address).expect("it")),
        (..) => on(&Stream::open(&recorder, "socket", address).expect("a socket")),
    }
}

fn targets() -> Vec<Target> {
    let mut targets = Vec::new();
    for kind in [Kind::Tcp, Kind::Udp] {
        for family in [Family::Ipv4, Family::Ipv6] {
            for role in [Role::Listening, Role::Connecting] {
                targets.push(Target { kind, family, role });
            }
        }
    }
    targets
}

#[test]
fn each_is_set_on_every_socket_that_has_it_and_reads_back_as_asked() {
    for target in targets() {
        for (text, kernel) in EXACT {
            let option = option(text);
            if option.check(target).is_err() {
                continue;
            }
            let applied = set(target, &[option]).unwrap_or_else(|error| panic!("{error}"));
            for reading in &applied[0].readings {
                let has = reading.kernel.as_deref();
                assert_eq!(has, Some(*kernel), "{text} on {target:?}: {reading:?}");
            }
        }
    }
}

#[test]
fn the_tests_of_this_file_know_every_option_of_the_catalogue() {
    const ELSEWHERE: &[&str] = &[
        "transparent",
        "rcvbuf",
        "sndbuf",
        "rcvbufforce",
        "sndbufforce",
        "mark",
        "keepalive",
        "fastopen",
        "defer-accept",
        "quickack",
        "multicast-if",
        "join",
    ];
    let exact: Vec<&str> = EXACT
        .iter()
        .map(|(text, _)| option(text).name())
        .chain(ELSEWHERE.iter().copied())
        .collect();
    for described in catalogue() {
        assert!(exact.contains(&described.name), "{}", described.name);
    }
}

fn told(kind: Kind, role: Role, text: &str) -> Vec<String> {
    let family = Family::Ipv6;
    let target = Target { kind, family, role };
    let applied = set(target, &[option(text)]).unwrap_or_else(|error| panic!("{error}"));
    applied.iter().map(ToString::to_string).collect()
}

#[test]
fn what_the_kernel_makes_of_it_is_told() {
    for (kind, role, text, line) in [
        (
            Kind::Udp,
            Role::Connecting,
            "rcvbuf=64k",
            "rcvbuf: asked 65,536, the kernel doubles it to 131,072",
        ),
        (
            Kind::Tcp,
            Role::Connecting,
            "sndbuf=100000",
            "sndbuf: asked 100,000, the kernel doubles it to 200,000",
        ),
        (
            Kind::Udp,
            Role::Connecting,
            "rcvbuf=1",
            "rcvbuf: asked 1, the kernel raises it to 2,304",
        ),
        (
            Kind::Tcp,
            Role::Connecting,
            "keepalive=30,5,3",
            "keepalive: SO_KEEPALIVE on, TCP_KEEPIDLE 30, TCP_KEEPINTVL 5, TCP_KEEPCNT 3",
        ),
        (
            Kind::Tcp,
            Role::Connecting,
            "keepalive=,,3",
            "keepalive: SO_KEEPALIVE on, TCP_KEEPCNT 3",
        ),
        (
            Kind::Tcp,
            Role::Connecting,
            "keepalive=off",
            "keepalive: off",
        ),
        (
            Kind::Udp,
            Role::Listening,
            "ttl=5",
            "ttl: IPV6_UNICAST_HOPS 5, IP_TTL 5",
        ),
        (Kind::Tcp, Role::Listening, "fastopen=9", "fastopen: 9"),
        (
            Kind::Tcp,
            Role::Listening,
            "defer-accept=5s",
            "defer-accept: asked 5s, the kernel has 7s",
        ),
        (Kind::Tcp, Role::Connecting, "quickack", "quickack: on"),
    ] {
        assert_eq!(told(kind, role, text), [line], "{text}");
    }
}

#[test]
fn a_buffer_beyond_the_limit_is_capped_and_says_so() {
    let told = told(Kind::Udp, Role::Connecting, "rcvbuf=1gb");
    let start = "rcvbuf: asked 1,073,741,824, the kernel caps it at ";
    assert!(told[0].starts_with(start), "{told:?}");
    assert!(told[0].ends_with(", twice net.core.rmem_max"), "{told:?}");
}

#[test]
fn options_that_need_a_capability_are_set_where_it_is_there_and_refused_where_not() {
    let target = Target {
        kind: Kind::Udp,
        family: Family::Ipv4,
        role: Role::Connecting,
    };
    let privileged = [
        "mark=0xffffffff",
        "rcvbufforce=1mb",
        "sndbufforce=1mb",
        "transparent",
    ];
    let admin = caps::Capability::CAP_NET_ADMIN;
    let raw = caps::Capability::CAP_NET_RAW;
    if !caps::has_cap(None, caps::CapSet::Effective, admin).unwrap_or(false) {
        support::skipped("privileged socket options", "CAP_NET_ADMIN");
        return;
    }
    for text in privileged {
        set(target, &[option(text)]).unwrap_or_else(|error| panic!("{error}"));
    }
    std::thread::spawn(move || {
        // A thread's capabilities are its own.
        for capability in [admin, raw] {
            caps::drop(None, caps::CapSet::Effective, capability).expect("a drop");
        }
        for text in privileged {
            let error = set(target, &[option(text)]).expect_err("a refusal");
            let name = option(text).name();
            assert!(error.contains("(EPERM)"), "{error}");
            assert!(
                error.ends_with(&format!("{name} needs CAP_NET_ADMIN")),
                "{error}"
            );
        }
    })
    .join()
    .expect("the thread without capabilities");
}

#[test]
fn a_refusal_says_what_would_help() {
    let target = Target {
        kind: Kind::Tcp,
        family: Family::Ipv4,
        role: Role::Connecting,
    };
    let error = set(target, &[option("congestion=nosuch")]).expect_err("no such control");
    assert!(
        error.starts_with("setsockopt TCP_CONGESTION, nosuch on socket: no such file")
            && error.contains("this kernel has reno"),
        "{error}"
    );
    let error = set(target, &[option("bindtodevice=nosuch")]).expect_err("no such device");
    assert!(error.contains("(ENODEV); `ip link` lists"), "{error}");
    let error = check(&[option("nodelay"), option("broadcast")], target).expect_err("for UDP");
    assert!(
        error.to_string().ends_with("for UDP sockets only"),
        "{error}"
    );
}

#[test]
fn each_call_is_recorded_with_what_the_kernel_answered() {
    let (recorder, recording) = recorder();
    let target = Target {
        kind: Kind::Udp,
        family: Family::Ipv4,
        role: Role::Connecting,
    };
    let socket = Datagram::open(&recorder, "client", any(Family::Ipv4)).expect("a socket");
    let options = [option("rcvbuf=64k"), option("ttl=9")];
    apply(&options, Moment::Opened, target, &socket).expect("both");
    let lines: Vec<String> = recording
        .take()
        .into_iter()
        .filter_map(|event| match event.what {
            What::Call(call) => Some(match call.outcome {
                Outcome::Returned { detail, .. } => format!(
                    "{}({}) {}",
                    call.name,
                    call.arguments,
                    detail.unwrap_or_default()
                ),
                Outcome::Failed { errno } => format!("{}({}) {errno}", call.name, call.arguments),
            }),
            _ => None,
        })
        .collect();
    assert_eq!(
        lines,
        [
            "socket(AF_INET, SOCK_DGRAM) client",
            "setsockopt(SO_RCVBUF, 65,536) ",
            "getsockopt(SO_RCVBUF) 131,072",
            "setsockopt(IP_TTL, 9) ",
            "getsockopt(IP_TTL) 9",
        ]
    );
}

#[test]
fn groups_are_joined_on_the_interface_that_was_named() {
    if !support::may_make_namespaces("joining multicast groups") {
        return;
    }
    let (recorder, _) = recorder();
    let link =
        Link::build(&Config::default(), recorder.clock(), Arc::new(Silence)).expect("a link");
    let told = link.server().run(move || {
        let mut told = Vec::new();
        for (family, texts) in [
            (
                Family::Ipv4,
                &[
                    "join=239.1.2.3@lo",
                    "join=232.1.2.3@1/10.0.0.9",
                    "multicast-if=lo",
                ][..],
            ),
            (
                Family::Ipv6,
                &[
                    "join=ff02::5073@lo",
                    "join=ff32::1@lo/fd00::1",
                    "multicast-if=1",
                    "join=239.1.2.3@lo",
                ],
            ),
        ] {
            let target = Target {
                kind: Kind::Udp,
                family,
                role: Role::Listening,
            };
            let socket = Datagram::open(&recorder, "member", any(family)).expect("a socket");
            for text in texts {
                let applied = apply(&[option(text)], Moment::Opened, target, &socket);
                told.push(applied.expect(text)[0].to_string());
            }
        }
        told
    });
    assert_eq!(
        told,
        [
            "join: 239.1.2.3@lo",
            "join: 232.1.2.3@1/10.0.0.9",
            "multicast-if: lo",
            "join: ff02::5073@lo",
            "join: ff32::1@lo/fd00::1",
            "multicast-if: IPV6_MULTICAST_IF 1, IP_MULTICAST_IF 1",
            "join: 239.1.2.3@lo",
        ]
    );
}
