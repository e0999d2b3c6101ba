//! Whole renderings of made-up paths, for what no kernel's router does by
//! itself.

use std::net::IpAddr;

use super::*;
use crate::event::{EchoHop, EchoHopError, EchoHopFate, EchoHopProbe};
use crate::packet::icmp_extension::{Extension, MplsLabel};
use crate::packet::quote::{Change, Field, Quote};

fn address(ip: [u8; 4]) -> EchoAddress {
    IpAddr::from(ip).into()
}

fn exceeded(from: [u8; 4]) -> EchoHopError {
    EchoHopError {
        from: address(from),
        from_name: Some(format!("r{}.example", from[3])),
        ttl: Some(253),
        icmp_type: 11,
        icmp_code: 0,
        info: 0,
        meaning: "Time to live exceeded".to_owned(),
        extensions: Vec::new(),
        quote: None,
        message: Vec::new(),
    }
}

fn hop(fates: Vec<EchoHopFate>) -> EchoPath {
    let probes = (1..).zip(fates).map(|(number, fate)| EchoHopProbe {
        number: number.into(),
        icmp_sequence: number,
        round_trip: fate
            .answerer()
            .map(|_| Duration::from_micros(1234 * u64::from(number))),
        fate,
    });
    EchoPath::Hop(EchoHop {
        hop: 3,
        last: false,
        probes: probes.collect(),
    })
}

fn written(layout: PathLayout, path: &EchoPath) -> String {
    let mut out = Vec::new();
    for line in lines(layout, &mut false, path) {
        line.write(&mut out, &layout.style).unwrap();
    }
    String::from_utf8(out).unwrap()
}

fn shown(detail: PathDetail, path: &EchoPath) -> String {
    let layout = PathLayout {
        detail,
        names: true,
        style: Style::default(),
    };
    written(layout, path)
}

fn error(error: EchoHopError) -> EchoHopFate {
    EchoHopFate::Error(Box::new(error))
}

#[test]
fn two_routers_at_one_hop_keep_the_columns_of_their_requests() {
    let path = hop(vec![
        error(exceeded([192, 0, 2, 1])),
        EchoHopFate::NoErrorReceived,
        error(exceeded([192, 0, 2, 2])),
    ]);
    insta::assert_snapshot!(shown(PathDetail::Lines, &path), @r"
     3  r1.example (192.0.2.1)                 1.234 ms       *
        r2.example (192.0.2.2)                                       3.702 ms
    ");
}

#[test]
fn labels_rewritten_fields_and_another_way_back_are_said_once() {
    let label = MplsLabel {
        label: 24_015,
        class: 0,
        bottom: true,
        ttl: 1,
    };
    let rewritten = EchoHopError {
        ttl: Some(60),
        extensions: vec![Extension::Mpls {
            labels: vec![label],
        }],
        quote: Some(Quote {
            ttl_left: 1,
            changes: vec![Change {
                field: Field::Dscp,
                sent: "46".to_owned(),
                quoted: "0".to_owned(),
            }],
        }),
        ..exceeded([192, 0, 2, 1])
    };
    let path = hop(vec![error(rewritten.clone()), error(rewritten)]);
    insta::assert_snapshot!(shown(PathDetail::Lines, &path), @r"
     3  r1.example (192.0.2.1)                 1.234 ms   2.468 ms
        MPLS label 24015 class 0 TTL 1
        the request arrived with DSCP 0, sent with 46
        came back with TTL 60, probably of 64: over 5 hops, not 3
    ");
}

#[test]
fn many_requests_are_summed_up() {
    let mut fates: Vec<EchoHopFate> = (0..9).map(|_| error(exceeded([192, 0, 2, 1]))).collect();
    fates.push(EchoHopFate::NoErrorReceived);
    insta::assert_snapshot!(shown(PathDetail::Lines, &hop(fates)), @r"
     3  r1.example (192.0.2.1)           9/10 min/avg/max 1.234/6.170/11.106 ms
    ");
}

#[test]
fn every_error_has_a_sign_and_words() {
    for icmp_type in [3, 12] {
        for icmp_code in 0..=16 {
            let refused = EchoHopError {
                icmp_type,
                icmp_code,
                meaning: "in words".to_owned(),
                ..exceeded([192, 0, 2, 1])
            };
            let text = shown(PathDetail::Lines, &hop(vec![error(refused)]));
            assert!(text.contains(" ms !"), "{text}");
            assert!(text.ends_with(" in words\n"), "{text}");
        }
    }
}

#[test]
fn what_could_not_be_sent_says_why() {
    let path = hop(vec![EchoHopFate::Unsent {
        errno: "ENETUNREACH".to_owned(),
        meaning: "Network is unreachable".to_owned(),
    }]);
    insta::assert_snapshot!(shown(PathDetail::Lines, &path), @r"
     3  *                                   not sent
        this host could not send: Network is unreachable (ENETUNREACH)
    ");
}

#[test]
fn a_name_too_long_for_its_columns_has_a_line_of_its_own() {
    let mut long = exceeded([192, 0, 2, 1]);
    long.from_name = Some("ae-12.r21.frankfurt-am-main.de.example".to_owned());
    let path = hop(vec![error(long.clone()), error(long)]);
    insta::assert_snapshot!(shown(PathDetail::Lines, &path), @r"
     3  ae-12.r21.frankfurt-am-main.de.example (192.0.2.1)
                                               1.234 ms   2.468 ms
    ");
    let layout = PathLayout {
        names: true,
        style: Style {
            width: 120,
            colour: true,
            ..Style::default()
        },
        ..PathLayout::default()
    };
    let written = written(layout, &path).replace('\u{1b}', "^");
    insta::assert_snapshot!(written, @"^[1m 3^[0m  ae-12.r21.frankfurt-am-main.de.example (192.0.2.1)         1.234^[2m ms^[0m   2.468^[2m ms^[0m");
}

#[test]
fn a_name_cannot_steer_the_terminal() {
    let mut spoofed = exceeded([192, 0, 2, 1]);
    spoofed.from_name = Some("a\u{1b}[2Jb".to_owned());
    let shown = shown(PathDetail::Lines, &hop(vec![error(spoofed)]));
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
}
