//! What follows the ladder, dumps, pcapng and the wire's account, as a whole.

mod support;

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use insta::assert_snapshot;
use proptest::prelude::*;
use socklab::conversation::{self, WireAccount};
use socklab::event::{Arrival, CongestionState, Event, Fate, Limit, Place, Sample, Sink, What};
use socklab::flow::{FiveTuple, Kind, TcpState};
use socklab::link::{Account, Amount, Carried, DeviceKind, Offload, Traffic, WireCount};
use socklab::packet::hexdump::Mode;
use socklab::packet::{Charset, dissect};
use socklab::recorder::Clock;
use socklab::report::dump::{self, Extent, Subject};
use socklab::report::json::{Environment, JsonLines};
use socklab::report::pcap::PcapFile;
use socklab::report::{Evidence, Style};
use socklab::socket::TcpInfo;
use socklab::{tcp, udp};
use support::fixtures::{self, Fixture};
use support::story::{self, DOWN, UP, lost, packet};
use unicode_width::UnicodeWidthStr;

fn style(width: usize, charset: Charset) -> Style {
    Style {
        width,
        charset,
        colour: false,
    }
}

fn text(render: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
    let mut out = Vec::new();
    render(&mut out).expect("memory takes it");
    String::from_utf8(out).expect("a report is UTF-8")
}

fn stream() -> tcp::Outcome {
    let client = FiveTuple {
        protocol: Kind::Tcp,
        local: "10.77.0.1:40312".parse().expect("an address"),
        remote: "10.77.0.2:5073".parse().expect("an address"),
    };
    let info = TcpInfo {
        state: TcpState::FinWait2,
        rtt: Duration::from_micros(112),
        rtt_variation: Duration::from_micros(56),
        send_mss: 1448,
        data_segments_out: Some(1),
        ..TcpInfo::parse(&[0; 104]).expect("long enough")
    };
    let transfer = |bytes| tcp::Transfer {
        writes: 1,
        reads: 1,
        bytes_sent: bytes,
        bytes_received: bytes,
        sha256_sent: "2cf24dba5fb0a30e".to_owned(),
        sha256_received: "2cf24dba5fb0a30e".to_owned(),
    };
    tcp::Outcome {
        listener: client.remote,
        client,
        server: client.mirrored(),
        congestion_control: "cubic".to_owned(),
        connect: Duration::from_micros(151),
        request: transfer(5),
        reply: transfer(0),
        client_info: info,
        server_info: info,
    }
}

fn datagrams() -> udp::Outcome {
    let row = |number, purpose, sent, arrival| udp::Row {
        number,
        purpose,
        sent,
        arrival,
    };
    udp::Outcome {
        server: "10.77.0.2:5073".parse().expect("an address"),
        client: "10.77.0.1:50000".parse().expect("an address"),
        datagrams: vec![
            row(1, "boundaries", 8, Arrival::Delivered { bytes: 8 }),
            row(2, "large", 72, Arrival::Delivered { bytes: 72 }),
            row(
                3,
                "truncated",
                27,
                Arrival::Truncated {
                    bytes: 10,
                    sent: 27,
                },
            ),
            row(4, "unlucky", 12, Arrival::Lost),
        ],
        closed: "10.77.0.2:5074".parse().expect("an address"),
        connected: "10.77.0.1:40313".parse().expect("an address"),
        unconnected_error: None,
        connected_error: Some("ECONNREFUSED".to_owned()),
    }
}

fn after_tcp(outcome: &tcp::Outcome, events: &[Event<'_>], style: Style) -> String {
    let evidence = Evidence { events, link: None };
    text(|out| socklab::report::tcp::render(out, outcome, evidence, &style))
}

#[test]
fn what_came_of_a_stream() {
    let text = after_tcp(&stream(), &story::tcp(), style(80, Charset::Unicode));
    assert_snapshot!(text);
}

#[test]
fn what_came_of_a_stream_in_60_columns_of_ascii() {
    let text = after_tcp(&stream(), &story::tcp(), style(60, Charset::Ascii));
    assert!(text.is_ascii() && text.lines().all(|line| line.width() <= 60));
    assert_snapshot!(text);
}

/// A sawtooth of Reno's: the window grows by a segment a round trip, and is
/// halved at every loss.
fn sawtooth(rounds: u64) -> Vec<Event<'static>> {
    let client = stream().client;
    let (mut window, mut retransmits) = (4, 0);
    let mut events = Vec::new();
    for round in 0..rounds {
        let at = Duration::from_millis(40 * round);
        let is_loss = round % 25 == 24;
        if is_loss {
            (window, retransmits) = (window / 2, retransmits + 1);
            events.push(packet((40_000 * round, 5), "data", UP, lost("loss")));
        } else {
            window += 1;
        }
        let sample = Sample {
            connection: client,
            congestion_window: window,
            slow_start_threshold: (retransmits > 0).then_some(16),
            rtt: Duration::from_millis(40 + round % 25),
            rtt_variation: Duration::from_millis(2),
            in_flight: window,
            retransmits,
            congestion_state: if is_loss {
                CongestionState::Recovery
            } else {
                CongestionState::Open
            },
            limited_by: Some(if round % 10 == 0 {
                Limit::Application
            } else {
                Limit::CongestionWindow
            }),
        };
        events.push(Event {
            at,
            host: Place::Client,
            what: What::Sample(sample),
        });
    }
    events
}

#[test]
fn how_a_sender_got_on() {
    let text = after_tcp(&stream(), &sawtooth(120), style(80, Charset::Unicode));
    let (_, chart) = text.split_once("── How").expect("a chart");
    assert_snapshot!(chart);
}

#[test]
fn how_a_sender_got_on_in_60_columns_of_ascii() {
    let text = after_tcp(&stream(), &sawtooth(60), style(60, Charset::Ascii));
    assert!(text.is_ascii() && text.lines().all(|line| line.width() <= 60));
    let (_, chart) = text.split_once("-- How").expect("a chart");
    assert_snapshot!(chart);
}

#[test]
fn a_short_transfer_has_no_chart() {
    let text = after_tcp(&stream(), &sawtooth(19), style(80, Charset::Unicode));
    assert!(!text.contains("How the sender"), "{text}");
}

#[test]
fn other_bytes_than_were_sent_are_an_error() {
    let mut outcome = stream();
    outcome.request.sha256_received = "ffff4dba5fb0a30e".to_owned();
    let text = after_tcp(&outcome, &[], style(80, Charset::Unicode));
    assert!(text.contains("✗ figures disagree: client → server: the bytes received are not"));
}

/// What is rendered as an error is what the exit code knows.
#[test]
fn what_is_wrong_is_said_without_a_rendering_too() {
    let mut outcome = stream();
    let none = Evidence::default();
    assert!(socklab::report::tcp::disagreements(&outcome, none).is_empty());
    outcome.request.sha256_received = "ffff4dba5fb0a30e".to_owned();
    let found = socklab::report::tcp::disagreements(&outcome, none);
    assert_eq!(
        found,
        ["client → server: the bytes received are not the bytes sent"]
    );
    let mut outcome = datagrams();
    for row in &mut outcome.datagrams {
        row.arrival = socklab::event::Arrival::Truncated { bytes: 1, sent: 2 };
    }
    assert!(socklab::report::udp::disagreements(&outcome, none).is_empty());
    outcome.datagrams[1].arrival = socklab::event::Arrival::Lost;
    let found = socklab::report::udp::disagreements(&outcome, none);
    assert_eq!(found, ["datagram 2 was lost"]);
}

/// A link's account that agrees with these events, apart from what `change`
/// does to it.
fn account(events: &[Event<'_>], change: impl FnOnce(&mut Account)) -> Account {
    let wire = WireAccount::of(events);
    let traffic = |count: conversation::Count| Traffic {
        offered: Amount {
            packets: count.packets,
            bytes: count.bytes,
        },
        delivered: Amount {
            packets: count.packets - count.lost,
            bytes: count.bytes,
        },
        ..Traffic::default()
    };
    let mut account = Account {
        device: DeviceKind::Tun,
        offload: Offload::Off,
        plan: None,
        seed: 0,
        count: WireCount {
            wire: Carried {
                client_to_server: traffic(wire.client_to_server),
                server_to_client: traffic(wire.server_to_client),
            },
            ..WireCount::default()
        },
        drops: Vec::new(),
    };
    change(&mut account);
    account
}

fn after_udp(change: impl FnOnce(&mut Account)) -> String {
    let (events, style) = (story::udp(), style(80, Charset::Unicode));
    let account = account(&events, change);
    let evidence = Evidence {
        events: &events,
        link: Some(&account),
    };
    let mut outcome = datagrams();
    outcome.datagrams.truncate(3);
    text(|out| socklab::report::udp::render(out, &outcome, evidence, &style))
}

#[test]
fn figures_that_agree_are_said_to_agree() {
    let text = after_udp(|_| {});
    assert!(text.contains("✓ The link itself lost nothing."), "{text}");
    let agreed = "✓ The programs' figures, the packets and the link's counters agree.";
    assert!(text.contains(agreed), "{text}");
}

#[test]
fn a_packet_that_nobody_recorded_is_an_error() {
    let text = after_udp(|account| account.count.wire.client_to_server.offered.packets += 1);
    let error = "✗ figures disagree: client → server: packets the link was offered 5, \
                 packets\n  recorded 4";
    assert!(text.contains(error), "{text}");
}

#[test]
fn what_the_link_lost_by_itself_is_an_error() {
    let text = after_udp(|account| account.count.overrun = 3);
    assert!(text.contains("✗ The link itself lost 3 packets"), "{text}");
}

/// Packets lost on purpose, as the link counts them and as the events have them.
#[test]
fn what_the_link_lost_on_purpose_is_a_result() {
    let mut events = story::udp();
    events[5] = packet((50, 2), "udp", UP, lost("random loss"));
    let account = account(&events, |account| {
        let up = &mut account.count.wire.client_to_server;
        let amount = Amount {
            packets: 1,
            bytes: 36,
        };
        up.lost.insert("random loss".into(), amount);
        up.delivered.bytes -= 36;
    });
    let evidence = Evidence {
        events: &events,
        link: Some(&account),
    };
    let mut outcome = datagrams();
    outcome.datagrams.truncate(3);
    outcome.datagrams[0].arrival = Arrival::Lost;
    assert_eq!(
        socklab::report::udp::disagreements(&outcome, evidence),
        Vec::<String>::new()
    );
    let style = style(80, Charset::Unicode);
    let text = text(|out| socklab::report::udp::render(out, &outcome, evidence, &style));
    assert!(text.contains("✗ lost on the link: random loss"), "{text}");
    assert!(
        text.contains("1 lost on purpose\n  (random loss 1)"),
        "{text}"
    );
    assert!(text.contains("✓ The link itself lost nothing."), "{text}");
}

#[test]
fn a_loss_that_nobody_recorded_is_an_error() {
    let text = after_udp(|account| {
        let up = &mut account.count.wire.client_to_server;
        up.lost.insert("random loss".into(), Amount::default());
        up.lost.entry("queue".into()).or_default().packets = 1;
        up.delivered.packets -= 1;
    });
    let error = "✗ figures disagree: client → server: packets the link lost 1, packets";
    assert!(text.contains(error), "{text}");
}

#[test]
fn an_account_that_does_not_add_up_is_an_error() {
    let text = after_udp(|account| account.count.wire.client_to_server.delivered.packets -= 1);
    assert!(text.contains("✗ 5 offered ≠ 4 delivered"), "{text}");
    let error = "✗ figures disagree: the link's own figures do not add up";
    assert!(text.contains(error), "{text}");
}

#[test]
fn what_came_of_datagrams() {
    let (events, style) = (story::udp(), style(80, Charset::Unicode));
    let evidence = Evidence {
        events: &events,
        link: None,
    };
    assert_snapshot!(text(|out| {
        socklab::report::udp::render(out, &datagrams(), evidence, &style)
    }));
}

fn subject<'a>(fixture: &'a Fixture, dissection: &'a socklab::packet::Dissection) -> Subject<'a> {
    Subject {
        title: fixture.name,
        dissection,
        bytes: &fixture.bytes,
    }
}

fn side_by_side(names: &[&str], extent: Extent, style: Style) -> String {
    let fixtures: Vec<Fixture> = names.iter().map(|name| fixtures::named(name)).collect();
    let dissections: Vec<_> = fixtures
        .iter()
        .map(|fixture| dissect(fixture.link, &fixture.bytes))
        .collect();
    let subjects: Vec<_> = fixtures
        .iter()
        .zip(&dissections)
        .map(|(fixture, dissection)| subject(fixture, dissection))
        .collect();
    text(|out| dump::side_by_side(out, &subjects, extent, &style))
}

const THREE: [&str; 3] = ["data", "udp", "echo_request"];

#[test]
fn three_dumps_side_by_side() {
    let extent = Extent {
        mode: Mode::Annotated,
        data: Some(16),
    };
    assert_snapshot!(side_by_side(&THREE, extent, style(120, Charset::Unicode)));
}

#[test]
fn three_dumps_stacked() {
    let text = side_by_side(&THREE, Extent::default(), style(80, Charset::Unicode));
    assert_snapshot!(text);
}

#[test]
fn a_dump_in_colour() {
    let style = Style {
        colour: true,
        ..style(80, Charset::Unicode)
    };
    let text = side_by_side(&["port_unreachable"], Extent::default(), style);
    assert_snapshot!(text.replace('\x1b', "^"));
}

proptest! {
    #[test]
    fn no_dump_overflows(
        bytes in proptest::collection::vec(any::<u8>(), 0..120),
        width in 60..160_usize,
        annotated in any::<bool>(),
    ) {
        let dissection = dissect(socklab::packet::LinkType::Raw, &bytes);
        let subject = Subject { title: "a\x1b[2Jpacket", dissection: &dissection, bytes: &bytes };
        let mode = if annotated { Mode::Annotated } else { Mode::Short };
        let extent = Extent { mode, data: None };
        let style = style(width, Charset::Unicode);
        let text = text(|out| dump::side_by_side(out, &[subject; 3], extent, &style));
        for line in text.lines() {
            prop_assert!(line.width() <= width, "{line}");
            prop_assert!(!line.chars().any(char::is_control));
        }
    }
}

#[test]
fn the_wire_counts_what_it_carried() {
    let events = [
        packet((1, 1), "syn", UP, Fate::Delivered),
        packet((2, 1), "syn_ack", DOWN, Fate::Delivered),
        packet((3, 1), "ack", UP, Fate::Delivered),
        packet((4, 1), "data", UP, lost("queue")),
        packet((5, 1), "data", UP, Fate::Delivered),
        packet((6, 1), "data", UP, story::copy(5)),
        packet((7, 1), "fin", UP, Fate::Delivered),
        packet((8, 1), "udp", UP, Fate::Delivered),
        packet((9, 1), "fragment_first", UP, Fate::Delivered),
        packet((10, 1), "fragment_last", UP, Fate::Delivered),
        packet((11, 1), "port_unreachable", DOWN, Fate::Delivered),
    ];
    let account = WireAccount::of(&events);
    let up = account.client_to_server;
    assert_eq!((up.packets, up.lost), (8, 1));
    assert_eq!((up.tcp_syns, up.tcp_pure_acks, up.tcp_fins), (1, 1, 1));
    assert_eq!((up.tcp_data_segments, up.tcp_retransmissions), (2, 1));
    assert_eq!((up.udp_datagrams, up.fragments), (2, 2));
    // Twice "hello", eight bytes, and the 72 bytes that fragments carried.
    assert_eq!(up.payload_bytes, 5 + 5 + 8 + 72);
    let down = account.server_to_client;
    assert_eq!((down.packets, down.tcp_syns, down.icmp_packets), (2, 1, 1));
    assert_eq!(down.payload_bytes, 0);
}

#[test]
fn a_lost_syn_that_is_sent_again_is_a_retransmission() {
    let events = [
        packet((1, 1), "syn", UP, lost("queue")),
        packet((2, 1), "syn", UP, Fate::Delivered),
    ];
    let up = WireAccount::of(&events).client_to_server;
    assert_eq!((up.tcp_syns, up.tcp_retransmissions), (2, 1));
}

#[test]
fn pcapng_keeps_every_packet_with_its_fate() {
    let file = PcapFile::begin(Vec::new(), Clock::start(), Some("a test")).expect("memory");
    for event in story::fates() {
        file.record(&event);
    }
    let bytes = file.finish().expect("memory takes it");
    let blocks = support::capture_file::count_blocks(&bytes);
    assert_eq!(blocks, 2 + story::fates().len() + 1);
    let comments = ["lost: queue", "copy of packet 63300 made by the wire"];
    for comment in comments {
        let mut windows = bytes.windows(comment.len());
        assert!(
            windows.any(|window| window == comment.as_bytes()),
            "{comment}"
        );
    }
}

/// A file system that is full after so many bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.checked_sub(bytes.len()) {
            Some(left) => {
                self.0 = left;
                Ok(bytes.len())
            }
            None => Err(io::Error::from(io::ErrorKind::StorageFull)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_pcap_files_first_error_is_what_finish_returns() {
    let file = PcapFile::begin(Full(300), Clock::start(), None).expect("there is room at first");
    for event in story::fates() {
        file.record(&event);
    }
    let error = file
        .finish()
        .map(drop)
        .expect_err("the file system is full");
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
}

#[test]
fn json_lines_end_with_the_result() {
    let mut out = Vec::new();
    let lines = JsonLines::new(&mut out, Arc::new(AtomicBool::new(false)));
    for event in &story::tcp()[..2] {
        lines.record(event);
    }
    let environment = Environment::new(Clock::start(), Some("6.18".to_owned()), "link (tun)");
    lines.result("tcp", &environment, &stream());
    lines.into_result().expect("memory takes it");
    let text = String::from_utf8(out).expect("JSON is UTF-8");
    let values: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is JSON"))
        .collect();
    let types: Vec<_> = values.iter().map(|value| value["type"].as_str()).collect();
    assert_eq!(types, [Some("note"), Some("call"), Some("result")]);
    assert_eq!(values[2]["environment"]["stage"], "link (tun)");
    assert_eq!(values[2]["result"]["connect_ns"], 151_000);
}
