//! The comparison as people read it: strips, latencies, figures, words; its
//! lines for spreadsheets; and what was expected of it.

mod support;

use std::net::IpAddr;
use std::time::Duration;

use insta::assert_snapshot;
use proptest::prelude::*;
use socklab::compare::expect::{Expectation, Unmet};
use socklab::compare::{
    Boundaries, Column, Compared, Config, Figures, Identity, Message, OnWire, Refused, State,
    Traffic, Variant, WireUse,
};
use socklab::error::Exit;
use socklab::packet::Charset;
use socklab::report::Style;
use socklab::report::compare::{self, Shown};
use socklab::stats::Judge;
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
    // Latencies differ, and always in the same way.
    let took = MS * 20 + Duration::from_micros(u64::from(number * 37 % 50) * 100);
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
            privilege: if variant.kind() == socklab::flow::Kind::Raw {
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
    let count = u32::try_from(messages.len()).expect("few");
    let mut judge = Judge::new(count);
    let mut came: Vec<_> = messages
        .iter()
        .filter(|message| message.received_at.is_some())
        .collect();
    came.sort_by_key(|message| (message.out_of_order, message.number));
    for message in came {
        for _ in 0..message.arrivals {
            let latency = message.latency().expect("it came");
            judge.arrived(message.number, latency);
        }
    }
    let having = |state| messages.iter().filter(move |one| one.state() == state);
    let unsent = having(State::NotSent).count();
    let lost = having(State::Lost).count() + unsent;
    let is_dropped = |one: &&Message| one.wire.is_some_and(|wire| wire.intact > 0);
    let dropped = having(State::Lost).filter(is_dropped).count();
    let end = |address: &str, port| Identity {
        address: address.parse::<IpAddr>().expect("an address"),
        port: (variant.kind() != socklab::flow::Kind::Raw).then_some(port),
    };
    Figures {
        client: end("10.77.0.1", 40312),
        server: end("10.77.0.2", 5073),
        set_up: Duration::from_micros(844),
        sent: count,
        lost: u32::try_from(lost).expect("few"),
        not_sent: unsent as u64,
        dropped_at_receiver: (!variant.is_stream()).then_some(dropped as u64),
        arrivals: judge.arrivals(),
        writes: u64::from(count) - unsent as u64,
        reads: u64::from(count) - lost as u64,
        reads_of_one_message: 0,
        boundaries: if variant.is_stream() {
            Boundaries::None
        } else {
            Boundaries::Kept
        },
        latency: judge.latency().summary(),
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
        count: planned,
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
