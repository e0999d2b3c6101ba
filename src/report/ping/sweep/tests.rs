//! Whole texts, from events made by hand.

use super::*;
use crate::event::{EchoAddress, EchoTarget, Place};

fn target(index: u32, name: &str) -> EchoTarget {
    let name = name.into();
    EchoTarget { index, name }
}

fn reply(number: u64, micros: u64, judgement: EchoJudgement) -> Echo<'static> {
    Echo::Reply(Box::new(EchoReply {
        target: target(0, "a"),
        number,
        icmp_sequence: 0,
        from: EchoAddress::from(std::net::IpAddr::from([10, 0, 0, 1])),
        from_name: None,
        ttl: Some(64),
        message_bytes: 64,
        round_trip: Duration::from_micros(micros),
        user_round_trip: Duration::from_micros(micros),
        kernel_round_trip: None,
        out_of_order: false,
        judgement,
        truncated: false,
        wrong_byte: None,
        ip_options: [].as_slice().into(),
        message: [].as_slice().into(),
    }))
}

fn over(number: u64) -> Echo<'static> {
    Echo::NoAnswer(EchoNoAnswer {
        target: target(1, "long.example"),
        number,
        icmp_sequence: 0,
        patience: EchoPatience::Over,
    })
}

fn unreachable(number: u64) -> Echo<'static> {
    Echo::Failure(Box::new(EchoFailure {
        target: Some(target(1, "long.example")),
        number: Some(number),
        icmp_sequence: Some(0),
        cause: EchoCause::Icmp {
            from: EchoAddress::from(std::net::IpAddr::from([10, 0, 0, 9])),
            from_name: None,
            icmp_type: 3,
            icmp_code: 1,
            info: 0,
            meaning: "Destination Host Unreachable".to_owned(),
        },
    }))
}

fn text(layout: Layout, echoes: Vec<Echo<'static>>) -> (String, String) {
    let text = SweepText::new(layout, Vec::new(), Vec::new(), Arc::default());
    text.with_state(|state| {
        state.width = 12;
        Ok(())
    });
    for echo in echoes {
        text.record(&Event {
            at: Duration::ZERO,
            host: Place::Client,
            what: What::Echo(echo),
        });
    }
    let state = text.state.into_inner().unwrap();
    let utf8 = |bytes| String::from_utf8(bytes).unwrap();
    (utf8(state.out), utf8(state.err))
}

fn counting() -> Layout {
    Layout {
        subject: Subject::Figures,
        ..Layout::default()
    }
}

#[test]
fn each_reply_has_the_figures_so_far() {
    let (out, err) = text(
        counting(),
        vec![
            reply(1, 28, EchoJudgement::Counted),
            over(1),
            reply(2, 3660, EchoJudgement::Counted),
            reply(2, 3700, EchoJudgement::Duplicate),
            over(2),
        ],
    );
    assert_eq!(
        out,
        "a            : [0], 64 bytes, 0.028 ms (0.028 avg, 0% loss)\n\
         long.example : [0], timed out (NaN avg, 100% loss)\n\
         a            : [1], 64 bytes, 3.66 ms (1.84 avg, 0% loss)\n\
         long.example : [1], timed out (NaN avg, 100% loss)\n"
    );
    assert_eq!(err, "a : duplicate for [1], 64 bytes, 3.70 ms\n");
}

#[test]
fn an_error_ends_the_wait_and_is_told_once() {
    let echoes = || vec![unreachable(1), over(2), unreachable(2)];
    let (out, err) = text(counting(), echoes());
    assert_eq!(
        out,
        "long.example : [0], timed out (NaN avg, 100% loss)\n\
         long.example : [1], timed out (NaN avg, 100% loss)\n"
    );
    let line = "ICMP Host Unreachable from 10.0.0.9 for ICMP Echo sent to long.example\n";
    assert_eq!(err, line.repeat(2));
    let quiet = Layout {
        quiet: true,
        ..counting()
    };
    assert_eq!(text(quiet, echoes()), (String::new(), String::new()));
}

#[test]
fn lists_hold_what_was_asked_for() {
    let alive = || {
        vec![Echo::Verdict(Box::new(EchoVerdict {
            target: target(0, "a"),
            address: EchoAddress::from(std::net::IpAddr::from([10, 0, 0, 1])),
            verdict: EchoReachability::Alive,
            requests: 1,
            round_trip: Some(Duration::from_micros(17)),
        }))]
    };
    let listing = |list, elapsed| Layout {
        subject: Subject::Verdicts(list),
        elapsed,
        ..Layout::default()
    };
    assert_eq!(text(listing(List::All, false), alive()).0, "a is alive\n");
    assert_eq!(
        text(listing(List::All, true), alive()).0,
        "a is alive (0.017 ms)\n"
    );
    assert_eq!(
        text(listing(List::Alive, true), alive()).0,
        "a (0.017 ms)\n"
    );
    assert_eq!(text(listing(List::Unreachable, true), alive()).0, "");
}
