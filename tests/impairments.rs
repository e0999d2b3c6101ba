//! Impairments on the real link: what the receiving kernel and program got is
//! what the wire says that it delivered, on both devices, in both families.

mod support;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use socklab::event::{Event, Fate, Packet, Recording, Silence, Sink, What};
use socklab::flow::{Direction, Family};
use socklab::impair::{Chance, Course, Delay, Loss, Plan, Reorder, Settings};
use socklab::link::{Account, Config, DeviceKind, Link};
use socklab::packet::{LinkType, dissect};
use socklab::recorder::Clock;
use socklab::units::Probability;

const DEVICES: [DeviceKind; 2] = [DeviceKind::Tun, DeviceKind::Veth];
const FAMILIES: [Family; 2] = [Family::Ipv4, Family::Ipv6];

fn chance(probability: f64) -> Chance {
    Chance {
        probability: Probability::new(probability).expect("a probability"),
        correlation: Probability::NEVER,
    }
}

fn held(milliseconds: u64) -> Delay {
    Delay {
        base: Duration::from_millis(milliseconds),
        ..Delay::default()
    }
}

/// The same settings both ways.
fn both(seed: u64, settings: Settings) -> Plan {
    let course = Course {
        first: settings,
        changes: Vec::new(),
    };
    Plan {
        seed,
        up: course.clone(),
        down: course,
    }
}

fn link(device: DeviceKind, plan: Plan, sink: Arc<dyn Sink>) -> Option<Link> {
    let config = Config {
        device: Some(device),
        plan,
        ..Config::default()
    };
    if !support::may_make_namespaces("an impaired link inside the test's own process") {
        return None;
    }
    Some(Link::build(&config, Clock::start(), sink).expect("it may be built"))
}

/// Two sockets that know each other: the client's and the server's.
fn datagram_sockets(link: &Link, family: Family) -> (UdpSocket, UdpSocket) {
    let [from, to] = [link.client(), link.server()]
        .map(|host| SocketAddr::new(host.addresses().of(family), 5073));
    let client = link.client().run(move || UdpSocket::bind(from));
    let server = link.server().run(move || UdpSocket::bind(to));
    let (client, server) = (client.expect("bind"), server.expect("bind"));
    client.connect(to).expect("connect");
    server.connect(from).expect("connect");
    server.set_nonblocking(true).expect("O_NONBLOCK");
    (client, server)
}

/// A datagram's number and a body that any change of it would show in.
fn message(number: u16) -> Vec<u8> {
    let [high, low] = number.to_be_bytes();
    let body = (0..98).map(|byte: u8| byte ^ low);
    [high, low].into_iter().chain(body).collect()
}

/// Sends `count` numbered datagrams, and gives those that the receiving program
/// got, in the order of receipt. In batches, so that no receive buffer is full.
fn exchange(link: &Link, (client, server): &(UdpSocket, UdpSocket), count: u16) -> Vec<Vec<u8>> {
    let mut received = Vec::new();
    for number in 0..count {
        client.send(&message(number)).expect("send");
        if number % 50 == 49 || number + 1 == count {
            link.settle().expect("the wire is quiet");
            let mut buffer = [0; 2048];
            while let Ok(length) = server.recv(&mut buffer) {
                received.push(buffer[..length].to_vec());
            }
        }
    }
    received
}

fn datagrams<'a>(events: &'a [Event<'_>]) -> Vec<&'a Packet<'a>> {
    let mut packets: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.what {
            What::Packet(packet) if packet.direction == Direction::ClientToServer => Some(packet),
            _ => None,
        })
        .filter(|packet| dissect(packet.link, &packet.bytes).udp().is_some())
        .collect();
    packets.sort_by_key(|packet| packet.id);
    packets
}

fn payload(packet: &Packet<'_>) -> Vec<u8> {
    let range = dissect(LinkType::Raw, &packet.bytes).payload();
    packet.bytes[range].to_vec()
}

fn assert_sound(account: &Account) {
    assert!(account.is_conserved(), "{account:?}");
    assert_eq!(account.unmodelled_loss(), 0, "{account:?}");
}

#[test]
fn the_program_gets_what_the_wire_says_it_delivered() {
    const SENT: u16 = 600;
    let settings = Settings {
        loss: Loss::Random(chance(0.2)),
        duplicate: chance(0.1),
        ..Settings::default()
    };
    for device in DEVICES {
        for family in FAMILIES {
            let recording = Arc::new(Recording::new());
            let plan = both(11, settings.clone());
            let Some(link) = link(device, plan, recording.clone()) else {
                return;
            };
            let received = exchange(&link, &datagram_sockets(&link, family), SENT);
            let account = link.finish().expect("the link ends");
            let events = recording.take();
            let packets = datagrams(&events);
            let delivered = |packet: &&&Packet<'_>| packet.fate == Fate::Delivered;
            let expected: Vec<_> = packets
                .iter()
                .filter(delivered)
                .map(|p| payload(p))
                .collect();
            assert_eq!(received, expected, "{device} {family:?}");

            let up = &account.count.wire.client_to_server;
            assert_eq!(up.offered.packets, u64::from(SENT));
            assert_eq!(up.delivered.packets, received.len() as u64);
            let lost = packets.len() - received.len();
            assert_eq!(up.lost_in_all().packets, lost as u64);
            let copies = packets.iter().filter(|p| p.changes.copy_of.is_some());
            assert_eq!(up.copied.packets, copies.count() as u64);
            assert!(lost > 60 && up.copied.packets > 30, "{account:?}");
            assert_sound(&account);
        }
    }
}

/// One flipped bit is always caught: by the IPv4 header's checksum or by UDP's.
#[test]
fn the_kernel_refuses_every_corrupted_datagram() {
    let settings = Settings {
        corrupt: chance(0.3),
        ..Settings::default()
    };
    for device in DEVICES {
        let recording = Arc::new(Recording::new());
        let Some(link) = link(device, both(5, settings.clone()), recording.clone()) else {
            return;
        };
        let received = exchange(&link, &datagram_sockets(&link, Family::Ipv4), 400);
        let account = link.finish().expect("the link ends");
        let events = recording.take();
        let packets = datagrams(&events);
        let whole = packets.iter().filter(|p| p.changes.corrupted_bit.is_none());
        let expected: Vec<_> = whole.map(|packet| payload(packet)).collect();
        assert_eq!(received, expected, "{device}");
        let corrupted = packets.len() - expected.len();
        assert!(corrupted > 80, "{corrupted}");
        let up = &account.count.wire.client_to_server;
        // The few whose IP version was hit are those that no device takes.
        let unreadable = up.lost_in_all().packets;
        assert_eq!(up.changed.corrupted + unreadable, corrupted as u64);
        assert_sound(&account);
    }
}

/// A packet's place, its corrupted bit, its fate, whether it is a copy, and for
/// how many nanoseconds it was to be held.
type Met = (u64, Option<u64>, Fate, bool, Option<u64>);

/// Losses, copies and changed bits of a run, by place in the flow.
fn fates(events: &[Event<'_>]) -> Vec<Met> {
    let describe = |packet: &&Packet<'_>| {
        let place = packet.place.expect("the wire knows the flow");
        let changes = packet.changes;
        let fate = packet.fate.clone();
        (
            place.index,
            changes.corrupted_bit,
            fate,
            changes.copy_of.is_some(),
            packet.due_at.map(|due| {
                let held = due.checked_sub(packet.sent_at).expect("never early");
                u64::try_from(held.as_nanos()).expect("it fits")
            }),
        )
    };
    datagrams(events).iter().map(describe).collect()
}

#[test]
fn the_same_seed_gives_the_same_fates_under_load_too() {
    let settings = Settings {
        loss: Loss::GilbertElliott {
            p: Probability::new(0.05).expect("a probability"),
            r: Probability::new(0.3).expect("a probability"),
            bad_loss: Probability::ALWAYS,
            good_loss: Probability::NEVER,
        },
        duplicate: chance(0.1),
        corrupt: chance(0.1),
        delay: Delay {
            base: Duration::from_millis(3),
            jitter: Duration::from_millis(2),
            ..Delay::default()
        },
        reorder: Some(Reorder {
            chance: chance(0.2),
            gap: 1,
        }),
        ..Settings::default()
    };
    let run = |seed| {
        let recording = Arc::new(Recording::new());
        let link = link(
            DeviceKind::Tun,
            both(seed, settings.clone()),
            recording.clone(),
        )?;
        let sockets = datagram_sockets(&link, Family::Ipv4);
        exchange(&link, &sockets, 400);
        assert_sound(&link.finish().expect("the link ends"));
        Some(fates(&recording.take()))
    };
    let Some(quiet) = run(42) else { return };
    let stop = AtomicBool::new(false);
    let loaded = std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let loaded = run(42);
        stop.store(true, Ordering::Relaxed);
        loaded
    });
    assert_eq!(Some(&quiet), loaded.as_ref());
    assert_ne!(Some(quiet), run(43), "another seed, other fates");
}

/// ping measures at least what the wire says that it held the packets for.
#[test]
fn pings_round_trips_are_the_wires_holds() {
    const PROBES: usize = 10;
    let settings = Settings {
        delay: held(20),
        ..Settings::default()
    };
    for device in DEVICES {
        for flag in ["-4", "-6"] {
            let recording = Arc::new(Recording::new());
            let Some(link) = link(device, both(1, settings.clone()), recording.clone()) else {
                return;
            };
            let addresses = link.server().addresses();
            let target = match flag {
                "-4" => addresses.v4.to_string(),
                _ => addresses.v6.to_string(),
            };
            let mut ping = Command::new("ping");
            ping.args([flag, "-c", &PROBES.to_string(), "-i", "0.01", &target]);
            ping.env("LC_ALL", "C").stdout(Stdio::piped());
            let child = link.client().spawn(ping).expect("ping is installed");
            let output = child.wait_with_output().expect("ping ends");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let account = link.finish().expect("the link ends");
            assert_sound(&account);
            let held = holds(&recording.take());
            let measured: Vec<f64> = text
                .lines()
                .filter_map(|line| line.split_once("time=")?.1.split(' ').next()?.parse().ok())
                .collect();
            assert_eq!((measured.len(), held.len()), (PROBES, PROBES), "{text}");
            for (measured, held) in measured.iter().zip(&held) {
                let wire = held.as_secs_f64() * 1e3;
                // ping prints three digits of a millisecond.
                assert!(*held >= Duration::from_millis(40), "{held:?}");
                assert!(*measured + 0.02 >= wire, "{device}: {measured} < {wire}");
            }
        }
    }
}

/// The time that each echo and its reply spent on the wire together, in the
/// order of sending.
fn holds(events: &[Event<'_>]) -> Vec<Duration> {
    let mut holds: BTreeMap<u64, Duration> = BTreeMap::new();
    for event in events {
        if let What::Packet(packet) = &event.what {
            let due = packet.due_at.expect("every packet is held");
            let delivered = packet.delivered_at.expect("nothing is lost");
            assert_eq!(due, packet.sent_at + Duration::from_millis(20));
            assert!(delivered >= due, "nothing leaves early");
            let place = packet.place.expect("the wire knows the flow");
            *holds.entry(place.index).or_default() += delivered.saturating_sub(packet.sent_at);
        }
    }
    holds.into_values().collect()
}

/// Reno is as fast as Mathis et al. 1997 say that it is: 1.22·MSS/(RTT·√p), with
/// the loss that the wire says it met.
#[test]
fn reno_is_as_fast_as_its_formula() {
    let periodic = Settings {
        delay: held(20),
        rules: vec![dropping("c2s data every 400")],
        ..Settings::default()
    };
    let random = Settings {
        delay: held(20),
        loss: Loss::Random(chance(0.01)),
        ..Settings::default()
    };
    if !support::may_make_namespaces("Reno on an impaired link") {
        return;
    }
    // Random losses scatter, so that it takes more of them.
    std::thread::scope(|scope| {
        let periodic = scope.spawn(|| vec![reno(&periodic, 0, 9_000_000)]);
        let each: Vec<_> = (0..10)
            .map(|seed| {
                scope.spawn({
                    let random = &random;
                    move || reno(random, seed, 5_000_000)
                })
            })
            .collect();
        let random: Vec<_> = each
            .into_iter()
            .map(|one| one.join().expect("it ends"))
            .collect();
        for runs in [periodic.join().expect("it ends"), random] {
            let (reached, expected) =
                runs.iter().fold((0.0, 0.0), |(a, b), (reached, expected)| {
                    (a + reached, b + expected)
                });
            let ratio = reached / expected;
            assert!(
                (0.9..=1.1).contains(&ratio),
                "{ratio:.3} of the formula: {runs:?}"
            );
        }
    });
}

/// The bytes per second that a Reno connection reached once its slow start was
/// forgotten, and those that the formula predicts.
fn reno(settings: &Settings, seed: u64, bytes: usize) -> (f64, f64) {
    const SLOW_START: usize = 2_500_000;
    let course = |first: Settings| Course {
        first,
        changes: Vec::new(),
    };
    let back = Settings {
        delay: settings.delay,
        ..Settings::default()
    };
    let plan = Plan {
        seed,
        up: course(settings.clone()),
        down: course(back),
    };
    let link = link(DeviceKind::Tun, plan, Arc::new(Silence)).expect("it may be built");
    let (mut client, mut server) = reno_connection(&link);
    let mss = socket2::SockRef::from(&client).tcp_mss().expect("the MSS");
    let lost_of = |link: &Link| {
        let up = link.count().expect("the wire counts").wire.client_to_server;
        (up.lost_in_all().packets, up.offered.packets)
    };
    let sender = std::thread::spawn(move || client.write_all(&vec![7; SLOW_START + bytes]));
    let mut read = |mut missing: usize| {
        let mut buffer = vec![0; 64 << 10];
        while missing > 0 {
            let room = missing.min(buffer.len());
            missing -= server.read(&mut buffer[..room]).expect("read");
        }
    };
    read(SLOW_START);
    let (began, before) = (Instant::now(), lost_of(&link));
    read(bytes);
    let (taken, after) = (began.elapsed(), lost_of(&link));
    sender.join().expect("it ends").expect("write");
    assert_sound(&link.finish().expect("the link ends"));
    #[expect(clippy::cast_precision_loss, reason = "counts, and bytes of a test")]
    let (bytes, loss) = (
        bytes as f64,
        (after.0 - before.0) as f64 / (after.1 - before.1) as f64,
    );
    let expected = 1.22 * f64::from(mss) / (0.040 * loss.sqrt());
    (bytes / taken.as_secs_f64(), expected)
}

fn dropping(selector: &str) -> socklab::impair::Rule {
    socklab::impair::Rule {
        selector: selector.parse().expect("a selector"),
        action: socklab::impair::Action::Drop,
    }
}

/// Both ends of a connection whose client uses Reno.
fn reno_connection(link: &Link) -> (TcpStream, TcpStream) {
    let address = SocketAddr::from((link.server().addresses().v4, 5073));
    let listener = link.server().run(move || TcpListener::bind(address));
    let listener = listener.expect("bind");
    let client = link.client().run(move || {
        let client = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        client.set_tcp_congestion(b"reno")?;
        client.connect(&address.into())?;
        Ok::<_, std::io::Error>(TcpStream::from(client))
    });
    let client = client.expect("connect");
    let (server, _) = listener.accept().expect("accept");
    (client, server)
}
