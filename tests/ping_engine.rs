//! The engine of `socklab ping` in namespaces of its own: what the kernel
//! refuses, what comes at the last moment, and what others forge.

mod support;

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use socket2::{Domain, Protocol, Socket, Type};
use socklab::event::{Echo, EchoCause, EchoJudgement, EchoRequest, Event, Recording};
use socklab::event::{Silence, Sink, Topic, What};
use socklab::flow::Family;
use socklab::packet::checksum::checksum;
use socklab::ping::{
    self, ArrivalTime, Config, Naming, Outcome, Plan, Reach, Responders, Signals, Target,
};
use socklab::socket::icmp::IcmpSocket;
use support::settled::SETTLED;

const FAMILIES: [Family; 2] = [Family::Ipv4, Family::Ipv6];

fn privileged() -> bool {
    support::may_make_namespaces("ping's engine in a network namespace")
}

/// What `body` returns in a network namespace that its thread makes for itself,
/// as the private link's hosts do, once the shell has run `setup` there.
fn in_own_namespace<T: Send>(setup: &str, body: impl FnOnce() -> T + Send) -> T {
    let private = || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let made = Command::new("sh").args(["-e", "-c", setup]).status();
        assert!(made.unwrap().success());
        body()
    };
    std::thread::scope(|scope| scope.spawn(private).join()).unwrap()
}

/// One probe to this host itself.
fn one_probe(family: Family, payload_bytes: usize, linger: Duration) -> Config {
    let loopback: SocketAddr = match family {
        Family::Ipv4 => ([127, 0, 0, 1], 0).into(),
        Family::Ipv6 => ([0, 0, 0, 0, 0, 0, 0, 1], 0).into(),
    };
    Config {
        target: Target {
            name: "localhost".to_owned(),
            address: loopback,
            source: loopback,
            interface: Some("lo".to_owned()),
            numeric: true,
            canonical: "localhost".to_owned(),
            reach: Reach::Ordinary,
        },
        plan: Plan {
            family,
            count: Some(1),
            linger: Some(linger),
            ..Plan::default()
        },
        payload_bytes,
        naming: Naming::Numbers,
        pattern: Vec::new(),
        arrival: ArrivalTime::Kernel,
        responders: Responders::Target,
    }
}

fn run(config: &Config, socket: &IcmpSocket, sink: &dyn Sink) -> Outcome {
    let signals = Signals::unconnected().unwrap();
    ping::run(config, socket, &signals, sink).unwrap()
}

fn causes(events: &[Event<'_>]) -> Vec<EchoCause> {
    let failures = events.iter().filter_map(|event| match &event.what {
        What::Echo(Echo::Failure(failure)) => Some(failure.cause.clone()),
        _ => None,
    });
    failures.collect()
}

#[test]
fn a_request_the_kernel_does_not_send_is_told_once() {
    if !privileged() {
        return;
    }
    let probe = |payload_bytes, setup| {
        in_own_namespace(setup, move || {
            let config = one_probe(Family::Ipv4, payload_bytes, Duration::from_millis(10));
            let socket = ping::open(Family::Ipv4).unwrap();
            let recording = Recording::new();
            (run(&config, &socket, &recording), recording.take())
        })
    };
    let (outcome, events) = probe(56, "true");
    let unreachable = EchoCause::Send {
        errno: "ENETUNREACH".to_owned(),
        meaning: "Network is unreachable".to_owned(),
    };
    assert_eq!(causes(&events), [unreachable]);
    assert_eq!(outcome.summary.transmitted, 1);
    assert!(!outcome.success);

    let (outcome, events) = probe(65_508, "ip link set lo up");
    assert_eq!(causes(&events), [EchoCause::TooLong { mtu_bytes: 65_535 }]);
    assert_eq!(
        (outcome.summary.transmitted, outcome.summary.errors),
        (1, 1)
    );
}

#[test]
fn the_replies_to_a_large_preload_do_not_fill_the_receive_buffer() {
    if !privileged() {
        return;
    }
    for family in FAMILIES {
        let outcome = in_own_namespace("ip link set lo up", move || {
            let mut config = one_probe(family, 56, Duration::from_secs(10));
            (config.plan.preload, config.plan.count) = (20_000, Some(20_000));
            let socket = ping::open(family).unwrap();
            run(&config, &socket, &Silence)
        });
        let summary = outcome.summary;
        assert_eq!((summary.transmitted, summary.received), (20_000, 20_000));
    }
}

/// Holds each run up after its request until a reply is there.
struct HoldUp<'a>(&'a IcmpSocket);

impl Sink for HoldUp<'_> {
    fn wants(&self, topic: Topic) -> bool {
        topic == Topic::Echo
    }

    fn record(&self, event: &Event<'_>) {
        if let What::Echo(Echo::Request(_)) = &event.what {
            let mut readable = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
            poll(&mut readable, PollTimeout::NONE).unwrap();
        }
    }
}

#[test]
fn a_reply_that_is_there_when_time_is_over_counts() {
    if !privileged() {
        return;
    }
    for family in FAMILIES {
        let outcome = in_own_namespace("ip link set lo up", || {
            let socket = ping::open(family).unwrap();
            let config = one_probe(family, 56, Duration::from_nanos(1));
            run(&config, &socket, &HoldUp(&socket))
        });
        assert_eq!(outcome.summary.received, 1, "{family:?}");
    }
}

/// Answers each request in the place of a host that does not: first under a
/// foreign identifier, then from another address, at last as the host would.
struct Forger {
    family: Family,
    foreign: Socket,
    own: Socket,
    /// Gets a copy of every ICMP message here.
    witness: Socket,
    target: SocketAddr,
    identifier: AtomicU16,
    recording: Recording,
}

impl Forger {
    fn new(config: &Config, foreign: IpAddr) -> Self {
        let family = config.plan.family;
        let target = config.target.address;
        Self {
            family,
            foreign: raw_socket(family, (foreign, 0).into()),
            own: raw_socket(family, target),
            witness: raw_socket(family, (unspecified(family), 0).into()),
            target,
            identifier: AtomicU16::new(0),
            recording: Recording::new(),
        }
    }

    fn answer(&self, request: &EchoRequest<'_>) {
        let identifier = self.identifier.load(Ordering::Relaxed);
        for (source, identifier) in [
            (&self.own, identifier ^ 1),
            (&self.foreign, identifier),
            (&self.own, identifier),
        ] {
            let reply = self.reply(&request.message, identifier);
            source.send_to(&reply, &self.target.into()).unwrap();
            self.wait_until_arrived(&reply);
        }
    }

    /// Reads copies up to this reply's; the checksum may be the kernel's, and
    /// IPv4's header comes along.
    fn wait_until_arrived(&self, reply: &[u8]) {
        let mut buffer = [0; 256];
        loop {
            let length = (&self.witness).read(&mut buffer).unwrap();
            let message = &buffer[length - reply.len()..length];
            if message[0] == reply[0] && message[4..] == reply[4..] {
                return;
            }
        }
    }

    fn reply(&self, request: &[u8], identifier: u16) -> Vec<u8> {
        let mut reply = request.to_vec();
        reply[0] = match self.family {
            Family::Ipv4 => 0,
            Family::Ipv6 => 129,
        };
        reply[2..4].fill(0);
        reply[4..6].copy_from_slice(&identifier.to_be_bytes());
        // For ICMPv6 the kernel writes its own over it.
        let sum = checksum(&reply).to_be_bytes();
        reply[2..4].copy_from_slice(&sum);
        reply
    }
}

impl Sink for Forger {
    fn wants(&self, topic: Topic) -> bool {
        topic == Topic::Echo
    }

    fn record(&self, event: &Event<'_>) {
        match &event.what {
            What::Echo(Echo::Started(started)) => {
                self.identifier.store(started.identifier, Ordering::Relaxed);
            }
            What::Echo(Echo::Request(request)) => self.answer(request),
            _ => {}
        }
        self.recording.record(event);
    }
}

fn raw_socket(family: Family, source: SocketAddr) -> Socket {
    let (domain, protocol) = match family {
        Family::Ipv4 => (Domain::IPV4, Protocol::ICMPV4),
        Family::Ipv6 => (Domain::IPV6, Protocol::ICMPV6),
    };
    let socket = Socket::new(domain, Type::RAW, Some(protocol)).unwrap();
    socket.bind(&source.into()).unwrap();
    socket
}

fn unspecified(family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::Ipv6 => Ipv6Addr::UNSPECIFIED.into(),
    }
}

#[test]
fn forged_replies_do_not_count() {
    if !privileged() {
        return;
    }
    // The kernel gives no reply of its own, so that only the forger does.
    let setup = "ip link set lo up; ip addr add fd66::66/128 dev lo nodad
        echo 1 >/proc/sys/net/ipv4/icmp_echo_ignore_all
        echo 1 >/proc/sys/net/ipv6/icmp/echo_ignore_all";
    for (family, foreign) in [
        (Family::Ipv4, IpAddr::from([127, 0, 0, 66])),
        (Family::Ipv6, "fd66::66".parse().unwrap()),
    ] {
        let (outcome, events) = in_own_namespace(&format!("{setup}{SETTLED}"), || {
            let config = one_probe(family, 56, Duration::from_secs(10));
            let forger = Forger::new(&config, foreign);
            let socket = ping::open(family).unwrap();
            let outcome = run(&config, &socket, &forger);
            (outcome, forger.recording.take())
        });
        let judged: Vec<(IpAddr, EchoJudgement)> = events
            .iter()
            .filter_map(|event| match &event.what {
                What::Echo(Echo::Reply(reply)) => Some((reply.from.ip, reply.judgement)),
                _ => None,
            })
            .collect();
        let target = one_probe(family, 56, Duration::ZERO).target.address.ip();
        // What answers another program's identifier leaves no trace.
        assert_eq!(
            judged,
            [
                (foreign, EchoJudgement::DifferentAddress),
                (target, EchoJudgement::Counted),
            ]
        );
        let summary = outcome.summary;
        assert_eq!((summary.received, summary.duplicates), (1, 0));
    }
}
