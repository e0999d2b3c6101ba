//! A link's account as people read it, and the line that shows how it gets on.

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use insta::assert_snapshot;
use proptest::prelude::*;
use socklab::event::Place;
use socklab::impair::{FlowEnd, FlowName, FlowProtocol};
use socklab::link::{
    Account, Amount, Carried, Changed, DeviceDrops, DeviceKind, FlowAccount, Lateness, Offload,
    Traffic, WireCount,
};
use socklab::packet::{Charset, IpProtocol};
use socklab::report::live::{self, Live};
use socklab::report::{Style, account};
use unicode_width::UnicodeWidthStr;

fn style(width: usize, charset: Charset) -> Style {
    Style {
        width,
        charset,
        colour: false,
    }
}

fn drawn(account: &Account, style: Style) -> String {
    let mut out = Vec::new();
    account::render(&mut out, account, &style).expect("memory takes it");
    String::from_utf8(out).expect("a report is UTF-8")
}

fn amount(packets: u64) -> Amount {
    Amount {
        packets,
        bytes: packets * 1000,
    }
}

/// Traffic that is conserved: what is neither lost nor under way is delivered.
fn traffic([offered, copied, queued]: [u64; 3], lost: &[(&'static str, u64)]) -> Traffic {
    let lost: BTreeMap<_, _> = lost
        .iter()
        .map(|(cause, count)| ((*cause).into(), amount(*count)))
        .collect();
    let gone: u64 = lost.values().map(|amount: &Amount| amount.packets).sum();
    Traffic {
        offered: amount(offered),
        copied: amount(copied),
        delivered: amount((offered + copied).saturating_sub(gone + queued)),
        lost,
        queued: amount(queued),
        ..Traffic::default()
    }
}

fn end(last: u8, port: Option<u16>) -> FlowEnd {
    FlowEnd {
        address: [10, 77, 0, last].into(),
        port,
    }
}

fn tcp(port: u16) -> FlowName {
    FlowName {
        protocol: FlowProtocol::Ip(IpProtocol::TCP),
        opener: Some(end(1, Some(port))),
        other: Some(end(2, Some(5073))),
        identifier: None,
    }
}

fn account(wire: Carried, flows: Vec<FlowAccount>) -> Account {
    Account {
        device: DeviceKind::Tun,
        offload: Offload::Off,
        plan: Some("loss 5% delay 20ms; seed 42".into()),
        seed: 42,
        count: WireCount {
            wire,
            flows,
            ..WireCount::default()
        },
        drops: Vec::new(),
    }
}

fn flow(number: u32, name: FlowName, carried: &Carried) -> FlowAccount {
    FlowAccount {
        flow: number,
        name,
        carried: carried.clone(),
    }
}

fn untouched() -> Account {
    let wire = Carried {
        client_to_server: traffic([1234, 0, 0], &[]),
        server_to_client: traffic([617, 0, 0], &[]),
    };
    let flows = vec![flow(1, tcp(40000), &wire)];
    account(wire, flows)
}

/// Two flows that met everything.
fn impaired() -> Account {
    let busy = Carried {
        client_to_server: Traffic {
            changed: Changed {
                corrupted: 4,
                truncated: 1,
                delayed: 120_011,
                hastened: 40,
                reordered: 52,
                marked: 7,
            },
            truncated_bytes: 700,
            ..traffic([123_456, 3, 34], &[("loss", 3300), ("queue full", 114)])
        },
        server_to_client: traffic([61_700, 0, 0], &[("syn#1", 1)]),
    };
    let mut busy = busy;
    busy.client_to_server.delivered.bytes -= 700;
    let quiet = Carried {
        client_to_server: traffic([2, 0, 0], &[]),
        server_to_client: traffic([2, 0, 0], &[]),
    };
    let mut wire = busy.clone();
    wire.client_to_server.offered = amount(123_458);
    wire.client_to_server.delivered.packets += 2;
    wire.client_to_server.delivered.bytes += 2000;
    wire.server_to_client.offered = amount(61_702);
    wire.server_to_client.delivered = amount(61_701);
    let echo = FlowName {
        protocol: FlowProtocol::Echo(IpProtocol::ICMP),
        opener: Some(end(1, None)),
        other: Some(end(2, None)),
        identifier: Some(4711),
    };
    let flows = vec![flow(1, echo, &quiet), flow(2, tcp(40312), &busy)];
    let mut account = account(wire, flows);
    account.count.lateness = Lateness {
        packets: 120_011,
        p50: Duration::from_nanos(12_400),
        p99: Duration::from_micros(80),
        max: Duration::from_micros(1234),
    };
    assert!(account.is_conserved());
    account
}

#[test]
fn an_untouched_link_in_80_columns() {
    assert_snapshot!(drawn(&untouched(), style(80, Charset::Unicode)));
}

#[test]
fn an_impaired_link_in_80_columns() {
    assert_snapshot!(drawn(&impaired(), style(80, Charset::Unicode)));
}

#[test]
fn an_impaired_link_in_120_columns() {
    assert_snapshot!(drawn(&impaired(), style(120, Charset::Unicode)));
}

#[test]
fn an_impaired_link_in_60_columns_of_ascii() {
    let text = drawn(&impaired(), style(60, Charset::Ascii));
    assert!(text.is_ascii());
    assert_snapshot!(text);
}

#[test]
fn an_account_that_does_not_add_up_says_what_is_missing() {
    let mut account = untouched();
    account.count.wire.client_to_server.delivered.packets -= 5;
    account.drops.push(DeviceDrops {
        host: Place::Client,
        receive_dropped: 0,
        transmit_dropped: 2,
    });
    let text = drawn(&account, style(120, Charset::Unicode));
    let sum = "✗ 1,851 offered ≠ 1,846 delivered + 0 lost + 0 still under way: 5 packets missing";
    assert!(text.contains(sum), "{text}");
    assert!(text.contains("✗ The link itself lost 2 packets"), "{text}");
    let mut account = untouched();
    account.count.flows[0]
        .carried
        .client_to_server
        .delivered
        .packets -= 1;
    let text = drawn(&account, style(120, Charset::Unicode));
    assert!(text.contains("but flow 1 does not add up"), "{text}");
}

#[test]
fn no_packet_is_one_line() {
    let text = drawn(
        &account(Carried::default(), Vec::new()),
        style(80, Charset::Unicode),
    );
    assert!(text.contains("No packet entered the link."), "{text}");
}

#[test]
fn the_busiest_flows_are_listed_and_the_others_counted() {
    let flows: Vec<FlowAccount> = (1..=40_u16)
        .map(|number| {
            let carried = Carried {
                client_to_server: traffic([u64::from(number), 0, 0], &[]),
                ..Carried::default()
            };
            flow(number.into(), tcp(40_000 + number), &carried)
        })
        .collect();
    let text = drawn(
        &account(Carried::default(), flows),
        style(80, Charset::Unicode),
    );
    assert!(text.contains("and 28 more flows"), "{text}");
    assert!(text.contains("10.77.0.1:40040"), "{text}");
    assert!(!text.contains("10.77.0.1:40028"), "{text}");
}

fn any_traffic() -> impl Strategy<Value = Traffic> {
    let count = || prop_oneof![Just(0), 0..2000_u64, any::<u32>().prop_map(u64::from)];
    let cause = prop_oneof![
        Just("loss"),
        Just("a selector as long as selectors may well be, c2s data#3\x1b[2J"),
    ];
    let lost = proptest::collection::btree_map(cause, count(), 0..3);
    let changed = (count(), count(), any::<bool>());
    ([count(), count(), count()], lost, changed).prop_map(
        |(counts, lost, (corrupted, refused, is_delayed))| Traffic {
            refused: amount(refused),
            changed: Changed {
                corrupted,
                delayed: if is_delayed { counts[0] } else { 0 },
                ..Changed::default()
            },
            ..traffic(counts, &lost.into_iter().collect::<Vec<_>>())
        },
    )
}

proptest! {
    #[test]
    fn no_line_of_an_account_is_too_wide(
        ways in proptest::collection::vec((any_traffic(), any_traffic()), 0..5),
        width in 60..160_usize,
        ascii in any::<bool>(),
    ) {
        let carried = |(client_to_server, server_to_client)| Carried {
            client_to_server,
            server_to_client,
        };
        let carried: Vec<Carried> = ways.into_iter().map(carried).collect();
        let flows = carried.iter().zip(1..).map(|(carried, number)| {
            flow(number.into(), tcp(number), carried)
        });
        let account = account(carried.first().cloned().unwrap_or_default(), flows.collect());
        let charset = if ascii { Charset::Ascii } else { Charset::Unicode };
        let text = drawn(&account, style(width, charset));
        for line in text.lines() {
            prop_assert!(line.width() <= width, "{line}");
            prop_assert!(!line.chars().any(char::is_control));
            prop_assert!(!ascii || line.is_ascii());
        }
    }
}

fn counts() -> [WireCount; 2] {
    let before = impaired().count;
    let mut now = before.clone();
    now.under_way = 34;
    let up = &mut now.wire.client_to_server;
    up.offered.packets += 106_000;
    up.delivered.packets += 105_000;
    up.delivered.bytes += 150_000_000;
    up.lost.insert("loss".into(), amount(3300 + 954));
    [before, now]
}

#[test]
fn a_live_line_tells_the_time_between() {
    let [before, now] = counts();
    let line = |before, now| {
        let (at, second) = (Duration::from_secs(12), Duration::from_secs(1));
        live::line(before, now, at, second)
    };
    assert_eq!(
        line(&before, &now),
        "12.0 s  → 105 kpkt/s 1.20 Gbit/s lost 0.90 %  ← idle  34 under way"
    );
    assert_eq!(line(&before, &before), "12.0 s  → idle  ← idle");
}

fn shown(is_terminal: bool) -> String {
    let mut out = Vec::new();
    let [before, now] = counts();
    let mut live = Live::new(&mut out, is_terminal, style(80, Charset::Ascii));
    live.show(Duration::from_secs(1), before).expect("memory");
    live.show(Duration::from_secs(2), now).expect("memory");
    live.finish().expect("memory");
    String::from_utf8(out)
        .expect("a line is UTF-8")
        .replace('\x1b', "^")
}

#[test]
fn a_live_line_is_overwritten_on_a_terminal_only() {
    let elsewhere = shown(false);
    assert_eq!(elsewhere.lines().count(), 2, "{elsewhere}");
    let last = "2.0 s  -> 105 kpkt/s 1.20 Gbit/s lost 0.90 %  <- idle  34 under way\n";
    assert!(elsewhere.ends_with(last), "{elsewhere}");
    let terminal = shown(true);
    assert!(!terminal.contains('\n'), "{terminal}");
    assert_eq!(terminal.matches('\r').count(), 3);
    assert!(terminal.ends_with("34 under way^[K\r^[K"), "{terminal}");
}
