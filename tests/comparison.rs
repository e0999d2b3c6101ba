//! The comparison as people read it: strips, latencies, figures, words; its
//! lines for spreadsheets; and what was expected of it.

mod support;

use std::net::IpAddr;
use std::time::Duration;

use insta::assert_snapshot;
use proptest::prelude::*;
use socklab::compare::catalogue::FIGURES;
use socklab::compare::expect::{Expectation, Unmet};
use socklab::compare::{
    Boundaries, Column, Compared, Config, Extent, Figures, Identity, Message, OnWire, Refused,
    Schedule, Split, State, Traffic, Variant, WireUse,
};
use socklab::error::Exit;
use socklab::flow::Kind;
use socklab::packet::Charset;
use socklab::report::Style;
use socklab::report::compare::{self, Shown};
use socklab::stats::{Arrivals, Jitter, Latency, ReorderingMeter};
use support::program::{As, Program, text};
use unicode_width::UnicodeWidthStr;

const MS: Duration = Duration::from_millis(1);

/// What happens to a message on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lot {
    Fine,
    Lost,
    Twice,
    Overtaken,
    Late,
    Dropped,
    Unsent,
}

fn message(number: u32, lot: Lot, is_stream: bool) -> Message {
    let due_at = MS * number;
    // Latencies differ, by less than what is between two messages.
    let took = MS * 20 + Duration::from_micros(u64::from(number * 37 % 50) * 10);
    let took = match lot {
        Lot::Late => took * 5,
        Lot::Lost if is_stream => took * 4,
        Lot::Overtaken => took * 2,
        _ => took,
    };
    let comes = match lot {
        Lot::Lost => is_stream,
        Lot::Dropped | Lot::Unsent => false,
        _ => true,
    };
    let wire = OnWire {
        packets: 1 + u16::from(lot == Lot::Lost && is_stream),
        lost: u16::from(lot == Lot::Lost),
        damaged: 0,
        copies: u16::from(lot == Lot::Twice),
        intact: match lot {
            Lot::Lost => u16::from(is_stream),
            Lot::Twice => 2,
            _ => 1,
        },
    };
    Message {
        number,
        size: 100,
        due_at,
        sent_at: (lot != Lot::Unsent).then_some(due_at),
        received_at: comes.then_some(due_at + took),
        arrivals: match lot {
            Lot::Twice if !is_stream => 2,
            _ => u16::from(comes),
        },
        out_of_order: lot == Lot::Overtaken && !is_stream,
        late: lot == Lot::Late,
        waited: None,
        wire: (lot != Lot::Unsent).then_some(wire),
    }
}

/// A column of `count` messages with each one's lot.
fn column(variant: Variant, count: u32, lot: impl Fn(u32) -> Lot) -> Compared {
    let is_stream = variant.is_stream();
    let lots = (1..=count).map(|number| message(number, lot(number), is_stream));
    let mut messages: Vec<Message> = lots.collect();
    if is_stream {
        wait_for_earlier_ones(&mut messages);
    }
    Compared {
        wire: Some(wire_use(count)),
        first: None,
        column: Column {
            variant,
            privilege: if variant.kind() == Kind::Raw {
                "CAP_NET_RAW"
            } else {
                "none"
            },
            result: Ok(figures(variant, &messages)),
            messages,
        },
    }
}

/// A stream hands nothing over before all that comes earlier.
fn wait_for_earlier_ones(messages: &mut [Message]) {
    let mut earliest = Duration::ZERO;
    for message in messages {
        let Some(came) = message.received_at else {
            continue;
        };
        if came < earliest {
            message.waited = Some(earliest.saturating_sub(came));
            message.received_at = Some(earliest);
        }
        earliest = earliest.max(came);
    }
}

fn figures(variant: Variant, messages: &[Message]) -> Figures {
    let mut came: Vec<_> = messages.iter().filter(|one| one.arrivals > 0).collect();
    came.sort_by_key(|one| (one.received_at, one.number));
    let (mut latency, mut jitter) = (Latency::default(), Jitter::default());
    let mut meter = ReorderingMeter::default();
    for one in &came {
        let took = one.latency().expect("it came");
        latency.add(took);
        jitter.arrived(took);
        meter.arrived(one.number);
    }
    let count = |of: &dyn Fn(&Message) -> bool| {
        u32::try_from(messages.iter().filter(|one| of(one)).count()).expect("few")
    };
    let unsent = count(&|one| one.state() == State::NotSent);
    let lost = count(&|one| one.state() == State::Lost);
    let is_whole = |one: &Message| one.wire.is_some_and(|wire| wire.intact > 0);
    let dropped = count(&|one| one.state() == State::Lost && is_whole(one));
    let sent = count(&|_| true);
    let is_stream = variant.is_stream();
    Figures {
        client: end(variant, "10.77.0.1", 40312),
        server: end(variant, "10.77.0.2", 5073),
        set_up: Duration::from_micros(844),
        closing: is_stream.then_some(MS * 41),
        started_at: Duration::ZERO,
        sent_until: MS * sent,
        received_until: came.last().and_then(|one| one.received_at),
        sent,
        lost: lost + unsent,
        not_sent: unsent.into(),
        dropped_at_receiver: (!is_stream).then_some(dropped.into()),
        arrivals: Arrivals {
            delivered: count(&|one| one.arrivals > 0),
            delivered_once: count(&|one| one.arrivals == 1),
            repeated: count(&|one| one.arrivals > 1),
            duplicated: count(&|one| one.arrivals > 1),
            out_of_order: count(&|one| one.out_of_order),
            corrupted: 0,
        },
        reordering: meter.reordering(),
        late: Some(count(&|one| one.late)),
        blocked: Some(count(&|one| one.waited.is_some())),
        blocked_longest: messages.iter().filter_map(|one| one.waited).max(),
        writes: (sent - unsent).into(),
        reads: (sent - lost - unsent).into(),
        reads_of_one_message: 0,
        boundaries: if is_stream {
            Boundaries::None
        } else {
            Boundaries::Kept
        },
        latency: latency.summary(),
        jitter: jitter.estimate(),
        longest_stall: if is_stream { MS * 64 } else { MS * 2 },
        goodput: Some(765_432),
        retransmitted: is_stream.then_some(4),
    }
}

fn end(variant: Variant, address: &str, port: u16) -> Identity {
    Identity {
        address: address.parse::<IpAddr>().expect("an address"),
        port: (variant.kind() != Kind::Raw).then_some(port),
    }
}

fn wire_use(count: u32) -> WireUse {
    let traffic = |up: u32, down: u32| Traffic {
        packets_up: up.into(),
        packets_down: down.into(),
        bytes: u64::from(up + down) * 128,
    };
    WireUse {
        set_up: traffic(2, 1),
        messages: traffic(count, count),
        closing: traffic(2, 2),
        data_packets: count.into(),
        bytes: Split {
            payload: u64::from(count) * 100,
            headers: u64::from(count) * 28,
            retransmitted: 0,
            answers: u64::from(count) * 128,
        },
        retransmitted: Some(4),
        ..WireUse::default()
    }
}

fn refused(variant: Variant) -> Compared {
    let why = "open a raw socket for 10.77.0.2: operation not permitted (EPERM); raw sockets need \
               CAP_NET_RAW: run with sudo, or on the private link (without --no-link)";
    Compared {
        wire: None,
        first: None,
        column: Column {
            variant,
            privilege: "CAP_NET_RAW",
            result: Err(Refused {
                refused: why.to_owned(),
                exit: Exit::Other,
            }),
            messages: Vec::new(),
        },
    }
}

fn fine(_: u32) -> Lot {
    Lot::Fine
}

/// Nothing but what a bad network does.
fn unlucky(number: u32) -> Lot {
    match number {
        7 | 30 | 31 | 77 => Lot::Lost,
        12 | 58 => Lot::Twice,
        20 | 66 => Lot::Overtaken,
        44 => Lot::Late,
        _ => Lot::Fine,
    }
}

fn usual(count: u32, lot: impl Fn(u32) -> Lot) -> Vec<Compared> {
    let kinds = Variant::USUAL.into_iter();
    kinds.map(|kind| column(kind, count, &lot)).collect()
}

fn shown(compared: &[Compared], planned: u32, width: usize, charset: Charset) -> String {
    let config = Config {
        schedule: Schedule {
            extent: Extent::Messages(planned),
            ..Schedule::default()
        },
        ..Config::default()
    };
    let sent = compared.iter().map(|one| one.column.messages.len()).max();
    let shown = Shown {
        config: &config,
        sent: u32::try_from(sent.unwrap_or(0)).expect("few"),
        compared,
        link: None,
        blind: None,
    };
    let style = Style {
        width,
        charset,
        colour: false,
    };
    let mut out = Vec::new();
    compare::render(&mut out, &shown, &style).expect("memory takes it");
    String::from_utf8(out).expect("a report is UTF-8")
}

#[test]
fn a_clean_link() {
    let compared = usual(100, fine);
    assert_snapshot!("clean_80", shown(&compared, 100, 80, Charset::Unicode));
}

#[test]
fn a_lossy_link() {
    let compared = usual(100, unlucky);
    assert_snapshot!("lossy_80", shown(&compared, 100, 80, Charset::Unicode));
    assert_snapshot!("lossy_120", shown(&compared, 100, 120, Charset::Unicode));
    assert_snapshot!("lossy_ascii", shown(&compared, 100, 80, Charset::Ascii));
}

#[test]
fn raw_sockets_refused() {
    let compared = [
        column(Variant::Tcp, 40, fine),
        column(Variant::Udp, 40, fine),
        refused(Variant::RawIcmp),
    ];
    assert_snapshot!("refused_80", shown(&compared, 40, 80, Charset::Unicode));
}

#[test]
fn a_run_that_was_interrupted_and_a_full_buffer() {
    let lot = |number| match number {
        3 => Lot::Dropped,
        5 => Lot::Unsent,
        9 => Lot::Lost,
        _ => Lot::Fine,
    };
    let kinds = [Variant::Udp, Variant::RawIp];
    let compared = kinds.map(|kind| column(kind, 37, lot));
    let text = shown(&compared, 1000, 80, Charset::Unicode);
    assert_snapshot!("interrupted_80", text);
}

#[test]
fn seven_kinds_and_more_messages_than_cells() {
    let lot = |number| match number % 500 {
        77 => Lot::Lost,
        180..185 => Lot::Overtaken,
        400 => Lot::Twice,
        _ => Lot::Fine,
    };
    let compared: Vec<_> = Variant::ALL.map(|kind| column(kind, 4000, lot)).into();
    assert_snapshot!("seven_80", shown(&compared, 4000, 80, Charset::Unicode));
    assert_snapshot!("seven_120", shown(&compared, 4000, 120, Charset::Unicode));
}

#[test]
fn a_line_a_message_for_spreadsheets() {
    let lot = |number| match number {
        2 => Lot::Lost,
        3 => Lot::Twice,
        4 => Lot::Unsent,
        _ => Lot::Fine,
    };
    let kinds = [Variant::Tcp, Variant::Udp];
    let mut compared: Vec<_> = kinds.map(|kind| column(kind, 5, lot)).into();
    compared.push(refused(Variant::RawIcmp));
    let mut out = Vec::new();
    compare::csv::render(&mut out, &compared).expect("memory takes it");
    let text = String::from_utf8(out).expect("UTF-8");
    let lines: Vec<_> = text.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 1 + 2 * 5);
    assert_eq!(lines[0], compare::csv::HEADER);
    let columns = |line: &&str| line.split(',').count();
    assert!(lines.iter().all(|line| columns(line) == columns(&lines[0])));
    assert_snapshot!("csv", text.replace("\r\n", "\n"));
}

/// The one line that each expectation leaves, or nothing.
fn said(compared: &[Compared], text: &str) -> Option<String> {
    let expectation: Expectation = text.parse().expect(text);
    expectation
        .check(compared)
        .err()
        .map(|unmet| unmet.to_string())
}

#[test]
fn expectations_are_held_against_the_figures() {
    let mut compared = usual(100, unlucky);
    compared[2] = refused(Variant::RawIcmp);
    for text in [
        "udp.lost <= 4%",
        "udp.lost == 4",
        "udp.lost < 5%",
        "udp.delivered >= 96%",
        "tcp.lost == 0",
        "tcp.p99 < 200ms",
        "udp.p50 > 20ms",
        "udp.duplicated != 0",
        "tcp.waited > 80",
        "udp.out-of-order == 2",
    ] {
        assert_eq!(said(&compared, text), None);
    }
    for (text, line) in [
        (
            "udp.lost <= 2%",
            "udp.lost <= 2% is not so: udp.lost is 4 (4.00 % of 100)",
        ),
        (
            "tcp.lost != 0",
            "tcp.lost != 0 is not so: tcp.lost is 0 (0.00 % of 100)",
        ),
        (
            "udp.set-up < 100us",
            "udp.set-up < 100us is not so: udp.set-up is 844us",
        ),
        (
            "tcp.dropped == 0",
            "tcp.dropped == 0 cannot be told: tcp.dropped was not measured",
        ),
        (
            "raw-ip.lost == 0",
            "raw-ip.lost == 0 cannot be told: raw-ip took no part",
        ),
    ] {
        assert_eq!(said(&compared, text).as_deref(), Some(line));
    }
    let expectation: Expectation = "raw-icmp.lost == 0".parse().expect("one");
    let refused = expectation.check(&compared);
    assert!(matches!(refused, Err(Unmet::Refused { .. })), "{refused:?}");
}

#[test]
fn a_figure_that_the_wire_has_otherwise_is_an_error() {
    let mut compared = usual(20, |number| match number {
        5 => Lot::Lost,
        _ => Lot::Fine,
    });
    assert!(
        compared
            .iter()
            .all(|one| one.disagreements(None).is_empty())
    );
    // The wire says that it handed this one over.
    let lost = &mut compared[1].column.messages[4];
    lost.wire = lost.wire.map(|wire| OnWire {
        lost: 0,
        intact: 1,
        ..wire
    });
    let found = compared[1].disagreements(None);
    assert!(
        found[0].starts_with("udp: lost is 1, but the wire has 0"),
        "{found:?}"
    );
    let text = shown(&compared, 20, 80, Charset::Unicode);
    assert!(text.contains("1 (wire 0 ✗)"), "{text}");
    assert!(text.contains("✗ udp: lost is 1"), "{text}");
}

fn lots() -> impl Strategy<Value = Vec<Lot>> {
    let lot = prop_oneof![
        20 => Just(Lot::Fine),
        1 => Just(Lot::Lost),
        1 => Just(Lot::Twice),
        1 => Just(Lot::Overtaken),
        1 => Just(Lot::Late),
        1 => Just(Lot::Dropped),
        1 => Just(Lot::Unsent),
    ];
    prop::collection::vec(lot, 0..400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_line_is_too_long(
        lots in lots(),
        kinds in prop::sample::subsequence(Variant::ALL.to_vec(), 0..=7),
        width in 60..160_usize,
        is_ascii: bool,
    ) {
        let count = u32::try_from(lots.len()).expect("few");
        let lot = |number| lots[number as usize - 1];
        let compared: Vec<_> = kinds.iter().map(|kind| column(*kind, count, lot)).collect();
        let charset = if is_ascii { Charset::Ascii } else { Charset::Unicode };
        let text = shown(&compared, 500, width, charset);
        for line in text.lines() {
            prop_assert!(line.width() <= width, "{} columns: {line}", line.width());
        }
        prop_assert!(!is_ascii || text.is_ascii(), "{text}");
        for one in &compared {
            prop_assert_eq!(one.disagreements(None), Vec::<String>::new());
        }
    }
}

#[test]
fn an_expectation_that_makes_no_sense_is_wrong_usage_and_nothing_runs() {
    let program = Program::new();
    for (arguments, says) in [
        (
            vec!["--expect", "udp.luck <= 2"],
            "is no figure; those are sent",
        ),
        (
            vec!["--expect", "sctp.lost <= 2"],
            "is no kind; those are tcp",
        ),
        (vec!["--expect", "udp.lost"], "no comparison"),
        (
            vec!["--expect", "raw-ip.lost == 0"],
            "raw-ip takes no part in this run",
        ),
        (vec!["--csv", "-", "--json"], "not for both"),
        (vec!["--csv", "/nowhere/messages.csv"], "create /nowhere"),
    ] {
        let arguments = [vec!["compare"], arguments].concat();
        let output = program.run(As::Myself, &arguments).expect("myself");
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(says), "{errors}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_figure_that_is_not_as_expected_fails_the_run() {
    let program = Program::new();
    let lossy = ["compare", "-c", "50", "--drop", "c2s udp data#3"];
    let cases = [
        ("udp.lost == 1", Some(0), None),
        ("udp.lost <= 2%", Some(0), None),
        (
            "udp.lost <= 1%",
            Some(1),
            Some("socklab: udp.lost <= 1% is not so: udp.lost is 1 (2.00 % of 50)\n"),
        ),
    ];
    for (expected, code, line) in cases {
        let arguments = [&lossy[..], &["--expect", expected]].concat();
        let Some(output) = program.run(As::NobodyWithTun, &arguments) else {
            return;
        };
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), code, "{expected}: {errors}");
        assert_eq!(
            line.is_some(),
            errors.contains(line.unwrap_or("is not so")),
            "{errors}"
        );
    }
}

#[test]
fn programs_read_what_was_expected() {
    let program = Program::new();
    let arguments = [
        "compare",
        "-c",
        "5",
        "--expect",
        "udp.lost==0",
        "--expect",
        "tcp.p99 < 60s",
    ];
    let Some(lines) = program.json(As::NobodyWithTun, &arguments) else {
        return;
    };
    let expectations = &lines.last().expect("a result")["result"]["expectations"];
    assert_eq!(expectations[0]["expected"], "udp.lost == 0");
    assert_eq!(expectations[0]["met"], true);
    assert_eq!(expectations[1]["reason"], serde_json::Value::Null);
}

#[test]
fn every_figure_is_in_the_readme() {
    let readme = include_str!("../README.md");
    for figure in FIGURES {
        assert!(readme.contains(&format!("`{}`", figure.name)), "{figure:?}");
    }
}

#[test]
fn every_name_of_a_result_is_documented() {
    let documented = include_str!("../src/report/json.rs");
    let column = column(Variant::Tcp, 3, fine);
    let value = serde_json::to_value(&column).expect("it is JSON");
    let kinds = [
        &value,
        &value["wire"],
        &value["latency"],
        &value["wire"]["messages"],
    ];
    for name in kinds
        .iter()
        .filter_map(|kind| kind.as_object())
        .flat_map(|kind| kind.keys())
    {
        assert!(documented.contains(&format!("`{name}`")), "{name}");
    }
}
