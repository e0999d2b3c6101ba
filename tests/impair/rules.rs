//! Packets chosen by meaning, on the wire.

use std::time::Duration;

use socklab::impair::{Action, Medium, Outcome, Rule, Settings};

use crate::harness::{MS, UP, both_ways, carried, cause, chance, datagram, lateness};

const FIN: u8 = 1;
const SYN: u8 = 2;
const ACK: u8 = 16;

/// A TCP segment over IPv4 to port 5073.
fn segment(port: u16, flags: u8, sequence: u32, data: usize) -> Vec<u8> {
    let mut bytes = datagram((port, 5073), 40, 0);
    bytes[9] = 6;
    bytes[24..28].copy_from_slice(&sequence.to_be_bytes());
    bytes[32..34].copy_from_slice(&[0x50, flags]);
    let length = u16::try_from(40 + data).expect("it is short");
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    bytes.resize(length.into(), 0);
    bytes
}

fn rule(selector: &str, action: Action) -> Rule {
    Rule {
        selector: selector.parse().expect("it is a selector"),
        action,
    }
}

fn sent(rules: Vec<Rule>, packets: Vec<Vec<u8>>) -> Vec<Outcome> {
    let settings = Settings {
        rules,
        ..Settings::default()
    };
    let mut medium = Medium::new(both_ways(1, settings));
    let mut outcomes = carried(&mut medium, UP, (1..).map(|at| at * MS).zip(packets));
    outcomes.sort_by_key(|outcome| outcome.parcel.id);
    outcomes
}

fn lost(selector: &str, packets: Vec<Vec<u8>>) -> Vec<u64> {
    sent(vec![rule(selector, Action::Drop)], packets)
        .iter()
        .filter(|outcome| cause(outcome) == format!("drop {selector}"))
        .map(|outcome| outcome.parcel.id)
        .collect()
}

#[test]
fn each_flow_has_a_count_of_its_own() {
    let packets = [1, 2, 1, 1, 2, 2, 2]
        .map(|port| datagram((port, 5073), 100, 0))
        .to_vec();
    assert_eq!(lost("udp data#3", packets.clone()), [4, 6]);
    assert_eq!(lost("every 2", packets), [3, 5, 7]);
}

#[test]
fn what_was_sent_before_is_a_retransmission() {
    let start = u32::MAX - 99; // Sequence numbers wrap.
    let table = vec![
        segment(1, SYN, start, 0),
        segment(1, SYN, start, 0), // again
        segment(1, ACK, start.wrapping_add(1), 0),
        segment(1, ACK, start.wrapping_add(1), 1000),
        segment(1, ACK, start.wrapping_add(2001), 1000), // a hole before it
        segment(1, ACK, start.wrapping_add(1), 1000),    // again
        segment(1, ACK, start.wrapping_add(3001), 10),
        segment(1, ACK | FIN, start.wrapping_add(3011), 0),
        segment(1, ACK | FIN, start.wrapping_add(3001), 10), // again
        segment(2, ACK, start.wrapping_add(1), 1000),        // another flow
        segment(1, SYN, 7, 0),                               // another connection
        segment(1, ACK, 8, 1000),
    ];
    assert_eq!(lost("retrans", table), [2, 6, 9]);
}

#[test]
fn the_first_rule_decides_and_all_of_them_count() {
    let rules = vec![
        rule("data#2", Action::Drop),
        rule("data#2..3", Action::Delay(10 * MS)),
        rule("data#3..4", Action::Duplicate),
        rule("data#5", Action::Mark),
    ];
    let packets = vec![datagram((1, 2), 100, 0); 5];
    let seen: Vec<(u64, String)> = sent(rules, packets)
        .iter()
        .map(|outcome| {
            let parcel = &outcome.parcel;
            let late = lateness(outcome);
            let what = match cause(outcome) {
                "" if late > Duration::ZERO => format!("{} ms late", late.as_millis()),
                "" if parcel.changes.marked => "marked".into(),
                "" if parcel.changes.copy_of.is_some() => "copy".into(),
                cause => cause.to_owned(),
            };
            (parcel.place.index, what)
        })
        .collect();
    let expected = [
        (1, ""),
        (2, "drop data#2"),
        (3, "10 ms late"),
        (4, ""),
        (4, "copy"),
        (5, "marked"),
    ];
    assert_eq!(seen, expected.map(|(index, what)| (index, what.to_owned())));
}

#[test]
fn a_rule_shifts_nobodys_draws() {
    let settings = |rules| Settings {
        rules,
        corrupt: chance(0.5),
        ..Settings::default()
    };
    let bits = |rules| -> Vec<Option<u64>> {
        let mut medium = Medium::new(both_ways(1, settings(rules)));
        let packets = vec![datagram((1, 2), 100, 0); 50];
        let mut outcomes = carried(&mut medium, UP, (1..).map(|at| at * MS).zip(packets));
        outcomes.sort_by_key(|outcome| outcome.parcel.id);
        outcomes
            .iter()
            .map(|outcome| outcome.parcel.changes.corrupted_bit)
            .collect()
    };
    let (alone, among) = (bits(Vec::new()), bits(vec![rule("data#3", Action::Drop)]));
    assert_eq!(alone[3..], among[3..]);
}
