//! What is recorded of an impaired link: pcapng from every vantage, in the
//! order of times, and the file of fates, in the order of ids.

mod support;

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use socklab::event::{Changes, Event, Fate, InFlow, Packet, Place, Sink, What};
use socklab::flow::Direction;
use socklab::packet::checksum::{Reason, Status};
use socklab::packet::{LinkType, Protocol, dissect};
use socklab::recorder::Clock;
use socklab::report::fates::{FatesFile, Run};
use socklab::report::pcap::{PcapFile, Vantage};
use support::capture_file::{self, Captured};
use support::fixtures;
use support::story::{self, DOWN, UP};

/// A packet on the wire from `sent` microseconds on; `way` is how long, or its
/// fate.
fn packet(id: u64, direction: Direction, sent: u64, way: Result<u64, Fate>) -> Packet<'static> {
    static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| fixtures::named("data").bytes);
    let sent_at = story::at(sent);
    let due_at = way
        .as_ref()
        .ok()
        .map(|under_way| story::at(sent + under_way));
    Packet {
        id,
        direction,
        link: LinkType::Raw,
        bytes: BYTES.as_slice().into(),
        sent_at,
        fate: way.err().unwrap_or(Fate::Delivered),
        changes: Changes::default(),
        place: Some(InFlow { flow: 1, index: id }),
        due_at: due_at.filter(|due| *due > sent_at),
        delivered_at: due_at,
    }
}

fn event(packet: Packet<'static>) -> Event<'static> {
    Event {
        at: packet.sent_at,
        host: Place::Wire,
        what: What::Packet(packet),
    }
}

/// Packets in the order in which their fates are known.
fn as_recorded(mut packets: Vec<Packet<'static>>) -> Vec<Packet<'static>> {
    packets.sort_by_key(|packet| (packet.delivered_at.unwrap_or(packet.sent_at), packet.id));
    packets
}

fn seen_from(vantage: Vantage, packets: &[Packet<'static>]) -> Vec<Captured> {
    let file = PcapFile::begin_at(vantage, Vec::new(), Clock::start(), None).expect("memory");
    for packet in packets {
        file.record(&event(packet.clone()));
    }
    capture_file::parse(&file.finish().expect("memory takes it"))
}

/// A request that waits, two answers that do not, one of them lost.
fn exchange() -> Vec<Packet<'static>> {
    as_recorded(vec![
        packet(1, UP, 0, Ok(20_000)),
        packet(2, DOWN, 100, Ok(0)),
        packet(3, DOWN, 200, Err(story::lost("loss"))),
        packet(4, UP, 300, Ok(100)),
    ])
}

#[test]
fn the_wire_sees_every_packet_once_in_the_order_of_sending() {
    let seen = seen_from(Vantage::Wire, &exchange());
    let comments: Vec<_> = seen.iter().map(|seen| seen.comment.as_str()).collect();
    assert_eq!(
        comments,
        [
            "delayed: delivered after 20ms",
            "",
            "lost: loss",
            "delayed: delivered after 100µs"
        ]
    );
    assert!(seen.iter().all(|seen| seen.interface == "wire"));
}

#[test]
fn a_host_sees_what_it_sends_and_what_it_gets() {
    let microseconds = |seen: &[Captured]| -> Vec<u128> {
        let first = seen.first().map_or(Duration::ZERO, |first| first.at);
        seen.iter()
            .map(|seen| seen.at.saturating_sub(first).as_micros())
            .collect()
    };
    let client = seen_from(Vantage::Client, &exchange());
    assert_eq!(microseconds(&client), [0, 100, 300]);
    assert!(client.iter().all(|seen| seen.interface == "client"));
    let server = seen_from(Vantage::Server, &exchange());
    assert_eq!(microseconds(&server), [0, 100, 300, 19_900]);
    assert_eq!(server[1].comment, "lost: loss");
    let both = seen_from(Vantage::Both, &exchange());
    assert_eq!(both.len(), 7);
    let places: Vec<_> = both.iter().map(|seen| seen.interface.as_str()).collect();
    assert_eq!(
        places,
        [
            "client", "server", "client", "server", "client", "server", "server"
        ]
    );
}

/// What no host has sent arrives all the same.
#[test]
fn a_copy_is_seen_where_it_arrives() {
    let copy = Packet {
        changes: story::copy(1),
        ..packet(2, UP, 0, Ok(10))
    };
    let packets = [packet(1, UP, 0, Ok(10)), copy];
    assert_eq!(seen_from(Vantage::Client, &packets).len(), 1);
    let server = seen_from(Vantage::Server, &packets);
    let comments: Vec<_> = server.iter().map(|seen| seen.comment.as_str()).collect();
    assert_eq!(server.len(), 2);
    assert!(comments[1].starts_with("copy of packet 1 made by the wire"));
    assert_eq!(seen_from(Vantage::Wire, &packets).len(), 2);
}

#[test]
fn the_receiver_gets_the_bytes_as_the_wire_left_them() {
    let changed = |changes| Packet {
        changes,
        ..packet(1, UP, 0, Ok(5))
    };
    let none = Changes::default();
    let sent = packet(1, UP, 0, Ok(5)).bytes.into_owned();
    let marked = changed(Changes {
        marked: true,
        ..none
    });
    let corrupted = changed(Changes {
        corrupted_bit: Some(431),
        ..none
    });
    let truncated = changed(Changes {
        truncated_to: Some(30),
        ..none
    });
    for packet in [&marked, &corrupted, &truncated] {
        let seen = seen_from(Vantage::Both, std::slice::from_ref(packet));
        assert_eq!(seen[0].bytes, sent, "{:?}", packet.changes);
        assert_ne!(seen[1].bytes, sent, "{:?}", packet.changes);
    }
    let checksum_of = |packet: &Packet<'_>, protocol| {
        let dissection = dissect(LinkType::Raw, &packet.bytes_delivered());
        let mut layers = dissection.layers.into_iter();
        let layer = layers.find(|layer| layer.protocol == protocol);
        layer.and_then(|layer| layer.checksum)
    };
    assert_eq!(
        checksum_of(&marked, Protocol::Ipv4),
        Some(Status::Good),
        "a mark keeps the header's checksum right"
    );
    assert!(matches!(
        checksum_of(&corrupted, Protocol::Tcp),
        Some(Status::Bad { .. })
    ));
    assert_eq!(truncated.bytes_delivered().len(), 30);
    assert!(matches!(
        checksum_of(&truncated, Protocol::Tcp),
        None | Some(Status::Unverified(Reason::Truncated))
    ));
}

#[derive(Debug, Clone)]
struct Plan {
    /// Microseconds since the one before, under way, and whether it is lost.
    packets: Vec<(u64, u64, bool, bool)>,
}

impl Plan {
    fn packets(&self) -> Vec<Packet<'static>> {
        let mut now = 0;
        let packets = self.packets.iter().zip(1..);
        let packets = packets.map(|((gap, under_way, is_up, is_lost), id)| {
            now += gap;
            let direction = if *is_up { UP } else { DOWN };
            let lost = || Err(story::lost("loss"));
            let way = if *is_lost { lost() } else { Ok(*under_way) };
            packet(id, direction, now, way)
        });
        as_recorded(packets.collect())
    }
}

fn plan() -> impl Strategy<Value = Plan> {
    let packet = (0..50_u64, 0..5000_u64, any::<bool>(), any::<bool>());
    proptest::collection::vec(packet, 0..60).prop_map(|packets| Plan { packets })
}

proptest! {
    #[test]
    fn every_file_is_whole_and_in_the_order_of_times(plan in plan()) {
        let packets = plan.packets();
        let lost = packets.iter().filter(|packet| packet.delivered_at.is_none()).count();
        for (vantage, count) in [
            (Vantage::Wire, packets.len()),
            (Vantage::Both, 2 * packets.len() - lost),
        ] {
            let seen = seen_from(vantage, &packets);
            prop_assert_eq!(seen.len(), count);
            prop_assert!(seen.is_sorted_by_key(|seen| seen.at));
        }
        let alone = [Vantage::Client, Vantage::Server].map(|vantage| {
            let seen = seen_from(vantage, &packets);
            (seen.is_sorted_by_key(|seen| seen.at), seen.len())
        });
        prop_assert!(alone[0].0 && alone[1].0);
        prop_assert_eq!(alone[0].1 + alone[1].1, 2 * packets.len() - lost);
    }

    #[test]
    fn fates_come_in_the_order_of_ids(plan in plan()) {
        let lines = fates(&plan.packets());
        let ids: Vec<_> = lines[1..].iter().map(|line| line["id"].as_u64()).collect();
        let expected: Vec<_> = (1..=plan.packets.len() as u64).map(Some).collect();
        prop_assert_eq!(ids, expected);
    }
}

fn fates(packets: &[Packet<'static>]) -> Vec<Value> {
    let run = Run {
        seed: 7,
        plan: "loss 1%",
    };
    let file = FatesFile::begin(Vec::new(), run).expect("memory");
    for packet in packets {
        file.record(&event(packet.clone()));
    }
    let bytes = file.finish().expect("memory takes it");
    let text = String::from_utf8(bytes).expect("JSON is UTF-8");
    let parse = |line: &str| serde_json::from_str(line).expect("each line is JSON");
    text.lines().map(parse).collect()
}

#[test]
fn a_line_of_the_fates_has_stable_names() {
    let everything = Packet {
        changes: Changes {
            copy_of: Some(1),
            corrupted_bit: Some(431),
            truncated_to: Some(40),
            marked: true,
            hastened: true,
            reordered: true,
        },
        ..packet(2, UP, 0, Ok(20))
    };
    let lost = packet(1, DOWN, 0, Err(story::lost("queue full")));
    let lines = fates(&[everything, lost]);
    assert_eq!(
        lines[0],
        json!({"format": "socklab-fates", "version": 1, "seed": 7, "plan": "loss 1%"})
    );
    let whose = |line: &Value| {
        let field = |name: &str| line[name].as_str().expect("a text").to_owned();
        [field("source"), field("destination"), field("protocol")]
    };
    assert_eq!(
        whose(&lines[1]),
        ["10.77.0.1:40312", "10.77.0.2:5073", "tcp"]
    );
    let names: BTreeMap<String, Value> =
        serde_json::from_value(lines[2].clone()).expect("an object");
    let names: Vec<_> = names.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "copy_of",
            "corrupted_bit",
            "delivered_at_ns",
            "destination",
            "direction",
            "due_at_ns",
            "fate",
            "flow",
            "flow_packet",
            "hastened",
            "id",
            "length_bytes",
            "marked",
            "protocol",
            "reordered",
            "sent_at_ns",
            "source",
            "truncated_to_bytes",
        ]
    );
    let lost = lines[1].as_object().expect("an object");
    assert_eq!(
        (&lost["fate"], &lost["cause"]),
        (&json!("lost"), &json!("queue full"))
    );
    assert!(!lost.contains_key("delivered_at_ns") && !lost.contains_key("marked"));
}
