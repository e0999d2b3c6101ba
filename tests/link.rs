//! The private link with real kernel sockets on it: both devices, both address
//! families, every packet accounted for.

mod support;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socklab::event::{Arrival, Event, Fate, Outcome, Place, Recording, Silence, Sink, What};
use socklab::flow::TcpState;
use socklab::flow::{Direction, Family};
use socklab::link::{Config, DeviceKind, Link};
use socklab::packet::{IpProtocol, dissect};
use socklab::recorder::Clock;
use socklab::stage::Stage;
use socklab::{tcp, udp};

const DEVICES: [DeviceKind; 2] = [DeviceKind::Tun, DeviceKind::Veth];
const FAMILIES: [Family; 2] = [Family::Ipv4, Family::Ipv6];

/// A link on `device`, or `None` where this process may not make one.
fn link(device: DeviceKind, sink: Arc<dyn Sink>) -> Option<Link> {
    let config = Config {
        device: Some(device),
        ..Config::default()
    };
    if !support::may_make_namespaces("a private link inside the test's own process") {
        return None;
    }
    Some(Link::build(&config, Clock::start(), sink).expect("it may be built"))
}

fn stage(device: DeviceKind, recording: &Arc<Recording>) -> Option<Stage> {
    let link = link(device, recording.clone())?;
    Some(Stage::Link(Box::new(link)))
}

fn states(events: &[Event<'_>], place: Place) -> Vec<TcpState> {
    events
        .iter()
        .filter(|event| event.host == place)
        .filter_map(|event| match &event.what {
            What::State(change) => Some(change.to),
            _ => None,
        })
        .collect()
}

fn calls(events: &[Event<'_>], place: Place) -> Vec<&'static str> {
    events
        .iter()
        .filter(|event| event.host == place)
        .filter_map(|event| match &event.what {
            What::Call(call) => Some(call.name),
            _ => None,
        })
        .filter(|name| *name != "setsockopt")
        .collect()
}

/// Bytes of the request that the wire saw again: none, unless the scheduler kept
/// the acknowledgements waiting.
fn carried_twice(events: &[Event<'_>], outcome: &tcp::Outcome) -> Option<u64> {
    let carried = events.iter().filter_map(|event| match &event.what {
        What::Packet(packet) if packet.direction == Direction::ClientToServer => {
            Some(dissect(packet.link, &packet.bytes).payload().len() as u64)
        }
        _ => None,
    });
    carried.sum::<u64>().checked_sub(outcome.request.bytes_sent)
}

/// RFC 9293 section 3.3.2: active open, and the first to close.
const CLIENTS_PATH: [TcpState; 5] = [
    TcpState::SynSent,
    TcpState::Established,
    TcpState::FinWait1,
    TcpState::FinWait2,
    TcpState::TimeWait,
];

/// Passive open, and the second to close.
const SERVERS_PATH: [TcpState; 6] = [
    TcpState::Listen,
    TcpState::SynRecv,
    TcpState::Established,
    TcpState::CloseWait,
    TcpState::LastAck,
    TcpState::Closed,
];

#[test]
fn the_stream_story_is_whole_on_both_devices_and_families() {
    for device in DEVICES {
        for family in FAMILIES {
            let recording = Arc::new(Recording::new());
            let Some(stage) = stage(device, &recording) else {
                return;
            };
            let config = tcp::Config {
                family,
                ..tcp::Config::default()
            };
            let outcome = tcp::demonstrate(&config, &stage).expect("the demonstration plays");
            let account = stage
                .finish()
                .expect("the link ends")
                .account
                .expect("a link");
            let events = recording.take();

            let which = format!("{device} {family:?}");
            assert_eq!(states(&events, Place::Client), CLIENTS_PATH, "{which}");
            assert_eq!(states(&events, Place::Server), SERVERS_PATH, "{which}");
            assert_eq!(
                calls(&events, Place::Client).join(" "),
                "socket connect getsockname getpeername send send send send shutdown recv recv close"
            );
            assert!(outcome.request.is_intact() && outcome.reply.is_intact());
            assert_eq!(outcome.request.bytes_sent, 11 + 4000);
            assert_eq!(outcome.client.mirrored(), outcome.server);
            assert_eq!(
                carried_twice(&events, &outcome),
                outcome.client_info.bytes_retrans
            );
            assert_eq!(account.unmodelled_loss(), 0, "{account:?}");
        }
    }
}

#[test]
fn a_large_transfer_is_whole_and_its_every_packet_accounted_for() {
    for device in DEVICES {
        let recording = Arc::new(Recording::new());
        let Some(stage) = stage(device, &recording) else {
            return;
        };
        let config = tcp::Config {
            size: 4 << 20,
            ..tcp::Config::default()
        };
        let outcome = tcp::demonstrate(&config, &stage).expect("the demonstration plays");
        let account = stage
            .finish()
            .expect("the link ends")
            .account
            .expect("a link");
        assert!(outcome.request.is_intact());

        // The wire's own counters, the recording, and TCP_INFO are three
        // witnesses of the same packets.
        let mut packets = [0; 2];
        let mut payload = 0;
        for event in recording.take() {
            if let What::Packet(packet) = event.what {
                assert_eq!(packet.fate, Fate::Delivered);
                let left = packet.delivered_at.expect("it was delivered");
                assert!(left >= packet.sent_at);
                assert!(packet.bytes.len() <= 1500, "the link's MTU");
                let dissection = dissect(packet.link, &packet.bytes);
                assert_eq!(dissection.faults().count(), 0);
                let up = packet.direction == Direction::ClientToServer;
                packets[usize::from(!up)] += 1;
                if up {
                    payload += dissection.payload().len() as u64;
                }
            }
        }
        assert_eq!(
            packets[0],
            account.count.wire.client_to_server.delivered.packets
        );
        assert_eq!(
            packets[1],
            account.count.wire.server_to_client.delivered.packets
        );
        let again = outcome
            .client_info
            .bytes_retrans
            .expect("Linux 4.19 or later");
        assert_eq!(payload, outcome.request.bytes_sent + again);
        assert_eq!(account.unmodelled_loss(), 0, "{device}: {account:?}");
    }
}

#[test]
fn the_datagram_story_is_whole_on_both_devices_and_families() {
    for device in DEVICES {
        for family in FAMILIES {
            let recording = Arc::new(Recording::new());
            let Some(stage) = stage(device, &recording) else {
                return;
            };
            let config = udp::Config {
                family,
                ..udp::Config::default()
            };
            let outcome = udp::demonstrate(&config, &stage).expect("the demonstration plays");
            stage.finish().expect("the link ends");
            let arrivals: Vec<Arrival> = outcome.datagrams.iter().map(|row| row.arrival).collect();
            let delivered = |bytes| Arrival::Delivered { bytes };
            assert_eq!(
                arrivals,
                [
                    delivered(3),
                    delivered(3),
                    delivered(5),
                    delivered(0),
                    delivered(4000),
                    Arrival::Truncated {
                        bytes: 10,
                        sent: 21
                    },
                    delivered(12),
                ],
                "{device} {family:?}"
            );
            assert_eq!(outcome.unconnected_error, None);
            assert_eq!(outcome.connected_error.as_deref(), Some("ECONNREFUSED"));

            let events = recording.take();
            let fragments = events
                .iter()
                .filter_map(|event| match &event.what {
                    What::Packet(packet) => dissect(packet.link, &packet.bytes).ip(),
                    _ => None,
                })
                .filter(|ip| ip.fragment.is_some_and(|fragment| !fragment.is_whole()))
                .count();
            assert_eq!(fragments, 3, "4000 bytes over an MTU of 1500");
        }
    }
}

#[test]
fn the_wire_carries_only_what_programs_sent() {
    for device in DEVICES {
        let recording = Arc::new(Recording::new());
        let Some(stage) = stage(device, &recording) else {
            return;
        };
        udp::demonstrate(&udp::Config::default(), &stage).expect("the demonstration plays");
        stage.finish().expect("the link ends");
        let protocols: BTreeSet<u8> = recording
            .take()
            .iter()
            .filter_map(|event| match &event.what {
                What::Packet(packet) => dissect(packet.link, &packet.bytes).ip(),
                _ => None,
            })
            .map(|ip| ip.protocol.0)
            .collect();
        let expected = [IpProtocol::ICMP.0, IpProtocol::UDP.0];
        assert_eq!(
            protocols,
            BTreeSet::from(expected),
            "no ARP, no MLD, no router solicitation"
        );
    }
}

#[test]
fn a_flood_of_small_datagrams_loses_none_unaccounted() {
    const SENT: u64 = 20_000;
    for device in DEVICES {
        let Some(link) = link(device, Arc::new(Silence)) else {
            return;
        };
        let address = SocketAddr::from((link.server().addresses().v4, 5073));
        // Nobody reads: what the wire delivered is what matters here.
        let _server = link
            .server()
            .run(move || UdpSocket::bind(address))
            .expect("bind");
        let client = link
            .client()
            .run(|| UdpSocket::bind("0.0.0.0:0"))
            .expect("bind");
        client.connect(address).expect("connect");
        let refused = (0..SENT).filter(|_| client.send(&[7; 36]).is_err()).count() as u64;
        let account = link.finish().expect("the link ends");
        let dropped: u64 = account
            .drops
            .iter()
            .map(|device| device.transmit_dropped)
            .sum();
        let up = &account.count.wire.client_to_server;
        assert_eq!(
            up.offered.packets + dropped + account.count.overrun + refused,
            SENT,
            "{device}: {account:?}"
        );
        assert!(account.is_conserved(), "{account:?}");
    }
}

#[test]
fn a_child_lives_in_its_host_and_dies_with_it() {
    for device in DEVICES {
        let Some(link) = link(device, Arc::new(Silence)) else {
            return;
        };
        let mut list = Command::new("ip");
        list.args(["-br", "address"]).stdout(Stdio::piped());
        let child = link.server().spawn(list).expect("ip starts");
        let output = child.wait_with_output().expect("ip ends");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            text.contains("10.77.0.2/24") && text.contains("fd77::2/64"),
            "{text}"
        );
        assert!(!text.contains("fe80"), "no link-local address: {text}");

        let mut wait = Command::new("cat");
        wait.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = link.client().spawn(wait).expect("cat starts");
        drop(link);
        // Its end shows as the end of its output, though its input is open.
        let mut rest = Vec::new();
        let mut output = child.stdout.take().expect("piped");
        output.read_to_end(&mut rest).expect("the pipe ends");
        assert!(!child.wait().expect("it ended").success(), "it was killed");
    }
}

/// A program with file capabilities loses PR_SET_PDEATHSIG at exec, and must die
/// with its host all the same.
#[test]
fn a_child_with_file_capabilities_dies_with_its_host_too() {
    let Some(link) = link(DeviceKind::Tun, Arc::new(Silence)) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = folder.path().join("cat");
    let prepared = Command::new("sh")
        .args([
            "-ec",
            "cp \"$(command -v cat)\" \"$0\"; setcap cap_net_raw=ep \"$0\"",
        ])
        .arg(&program)
        .status()
        .expect("sh runs");
    assert!(prepared.success(), "setcap, of libcap2-bin");
    let mut wait = Command::new(&program);
    wait.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = link.client().spawn(wait).expect("cat starts");
    drop(link);
    let mut output = child.stdout.take().expect("piped");
    output.read_to_end(&mut Vec::new()).expect("the pipe ends");
    assert!(!child.wait().expect("it ended").success(), "it was killed");
}

/// Settling waits for what is under way when it is asked for, not for the end
/// of traffic that does not end.
#[test]
fn a_flood_does_not_keep_the_wire_from_settling_or_ending() {
    for device in DEVICES {
        let Some(link) = link(device, Arc::new(Silence)) else {
            return;
        };
        let address = SocketAddr::from((link.server().addresses().v4, 5073));
        let _server = link
            .server()
            .run(move || UdpSocket::bind(address))
            .expect("bind");
        let client = link
            .client()
            .run(|| UdpSocket::bind("0.0.0.0:0"))
            .expect("bind");
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let flood = scope.spawn(|| {
                // A full queue refuses; that is no reason to stop.
                while !over.load(Ordering::Relaxed) {
                    let _ = client.send_to(&[7; 36], address);
                }
            });
            for _ in 0..5 {
                link.settle().expect("it settles while the flood goes on");
            }
            assert!(!flood.is_finished());
            link.finish().expect("it ends while the flood goes on");
            over.store(true, Ordering::Relaxed);
        });
    }
}

#[test]
fn both_families_are_reachable_from_both_hosts() {
    for device in DEVICES {
        let Some(link) = link(device, Arc::new(Silence)) else {
            return;
        };
        for family in FAMILIES {
            for (from, to) in [
                (link.client(), link.server()),
                (link.server(), link.client()),
            ] {
                let ip: IpAddr = to.addresses().of(family);
                let listener = to.run(move || TcpListener::bind((ip, 0))).expect("bind");
                let address = listener.local_addr().expect("its address");
                let mut stream = from
                    .run(move || TcpStream::connect(address))
                    .expect("connect");
                let (mut accepted, peer) = listener.accept().expect("accept");
                assert_eq!(peer.ip(), from.addresses().of(family));
                stream.write_all(b"ping").expect("write");
                let mut buffer = [0; 4];
                accepted.read_exact(&mut buffer).expect("read");
                assert_eq!(&buffer, b"ping");
            }
        }
    }
}

#[test]
fn the_first_packet_after_building_arrives() {
    for round in 0..20 {
        for (device, family) in DEVICES.into_iter().flat_map(|d| FAMILIES.map(|f| (d, f))) {
            let Some(link) = link(device, Arc::new(Silence)) else {
                return;
            };
            let address = SocketAddr::from((link.server().addresses().of(family), 5073));
            let server = link.server().run(move || UdpSocket::bind(address));
            let server = server.expect("bind");
            let any = SocketAddr::from((link.client().addresses().of(family), 0));
            let client = link.client().run(move || UdpSocket::bind(any));
            client.expect("bind").send_to(&[1], address).expect("send");
            link.settle().expect("the wire settles");
            let mut ready = [PollFd::new(server.as_fd(), PollFlags::POLLIN)];
            let count = poll(&mut ready, PollTimeout::ZERO).expect("poll");
            let account = link.finish().expect("the link ends");
            assert_eq!(count, 1, "{device} {family:?}, build {round}: {account:?}");
        }
    }
}

#[test]
fn settling_means_that_everything_sent_has_arrived() {
    for device in DEVICES {
        let Some(link) = link(device, Arc::new(Silence)) else {
            return;
        };
        let address = SocketAddr::from((link.server().addresses().v6, 5073));
        let server = link
            .server()
            .run(move || UdpSocket::bind(address))
            .expect("bind");
        let client = link
            .client()
            .run(|| UdpSocket::bind("[::]:0"))
            .expect("bind");
        for round in 0..200_u8 {
            client.send_to(&[round], address).expect("send");
            link.settle().expect("the wire settles");
            let mut ready = [PollFd::new(server.as_fd(), PollFlags::POLLIN)];
            let count = poll(&mut ready, PollTimeout::ZERO).expect("poll");
            assert_eq!(count, 1, "{device}: datagram {round} has not arrived");
            let mut buffer = [0];
            server.recv(&mut buffer).expect("it is there");
            assert_eq!(buffer, [round]);
        }
    }
}

#[test]
fn a_refused_connection_is_recorded_with_its_errno_and_its_reset() {
    let recording = Arc::new(Recording::new());
    let Some(link) = link(DeviceKind::Tun, recording.clone()) else {
        return;
    };
    let address = SocketAddr::from((link.server().addresses().v4, 9));
    let recorder = link.client().recorder().clone();
    let refused = link
        .client()
        .run(move || socklab::socket::Stream::open(&recorder, "client", address)?.connect(address));
    assert_eq!(
        refused.expect_err("nobody listens").kind(),
        std::io::ErrorKind::ConnectionRefused
    );
    link.finish().expect("the link ends");
    let events = recording.take();
    let failed = events.iter().any(|event| {
        matches!(&event.what, What::Call(call)
            if call.name == "connect"
            && call.outcome == Outcome::Failed { errno: "ECONNREFUSED".into() })
    });
    assert!(failed, "the call failed by name");
    let flags: Vec<String> = events
        .iter()
        .filter_map(|event| match &event.what {
            What::Packet(packet) => {
                let dissection = dissect(packet.link, &packet.bytes);
                dissection.tcp().map(|tcp| tcp.flags.to_string())
            }
            _ => None,
        })
        .collect();
    assert_eq!(flags, ["SYN", "RST, ACK"]);
    assert_eq!(
        states(&events, Place::Client),
        [TcpState::SynSent, TcpState::Closed]
    );
}
