//! Events of runs that never were, for the tests of what shows them.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::event::{
    Echo, EchoAddress, EchoCause, EchoFailure, EchoJudgement, EchoNoAnswer, EchoPatience,
    EchoReply, EchoRequest, EchoRoundTrips, EchoSocket, EchoStarted, EchoSummary, EchoTarget,
    EchoUnresolved,
};

const MS: Duration = Duration::from_millis(1);
const NAMES: [&str; 4] = ["alpha", "beta", "gamma", "delta"];

pub(super) fn target(index: u32) -> EchoTarget {
    named(index, NAMES[index as usize % NAMES.len()])
}

pub(super) fn named(index: u32, name: &str) -> EchoTarget {
    let name = name.into();
    EchoTarget { index, name }
}

pub(super) fn address(index: u32) -> EchoAddress {
    let last = u8::try_from(index + 1).unwrap_or(u8::MAX);
    EchoAddress::from(std::net::IpAddr::from(Ipv4Addr::new(192, 0, 2, last)))
}

fn sequence(number: u64) -> u16 {
    u16::try_from(number & 0xffff).unwrap_or_default()
}

pub(super) fn started(index: u32, name: &str) -> Echo<'static> {
    Echo::Started(Box::new(EchoStarted {
        target: named(index, name),
        address: address(index),
        address_name: None,
        source: address(98),
        interface: Some("eth0".to_owned()),
        socket: EchoSocket::Raw,
        identifier: 4660,
        payload_bytes: 56,
        interval: MS * 10,
    }))
}

pub(super) fn unresolved(index: u32, name: &str) -> Echo<'static> {
    Echo::Unresolved(Box::new(EchoUnresolved {
        target: named(index, name),
        reason: "Name or service not known".to_owned(),
    }))
}

pub(super) fn request(index: u32, number: u64) -> Echo<'static> {
    Echo::Request(EchoRequest {
        target: target(index),
        number,
        icmp_sequence: sequence(number),
        message: Vec::new().into(),
    })
}

pub(super) fn reply(
    index: u32,
    number: u64,
    millis: u32,
    judgement: EchoJudgement,
) -> Echo<'static> {
    let round_trip = MS * millis;
    Echo::Reply(Box::new(EchoReply {
        target: target(index),
        number,
        icmp_sequence: sequence(number),
        from: address(index),
        from_name: None,
        ttl: Some(64),
        message_bytes: 64,
        round_trip,
        user_round_trip: round_trip + Duration::from_micros(20),
        kernel_round_trip: Some(round_trip.saturating_sub(Duration::from_micros(10))),
        out_of_order: false,
        judgement,
        truncated: false,
        wrong_byte: None,
        ip_options: Vec::new().into(),
        message: Vec::new().into(),
    }))
}

pub(super) fn failure(index: u32, number: u64) -> Echo<'static> {
    Echo::Failure(Box::new(EchoFailure {
        target: Some(target(index)),
        number: Some(number),
        icmp_sequence: Some(sequence(number)),
        cause: EchoCause::Icmp {
            from: address(200),
            from_name: None,
            icmp_type: 3,
            icmp_code: 1,
            info: 0,
            meaning: "Destination Host Unreachable".to_owned(),
        },
    }))
}

pub(super) fn silence(index: u32, number: u64) -> Echo<'static> {
    Echo::NoAnswer(EchoNoAnswer {
        target: target(index),
        number,
        icmp_sequence: sequence(number),
        patience: EchoPatience::Over,
    })
}

pub(super) fn summary(index: u32, name: &str) -> Echo<'static> {
    let Echo::Started(about) = started(index, name) else {
        unreachable!("it has just been made")
    };
    Echo::Summary(Box::new(EchoSummary {
        target: about.target,
        address: about.address,
        source: about.source,
        interface: about.interface,
        socket: about.socket,
        transmitted: 104,
        received: 100,
        duplicates: 0,
        corrupted: 0,
        errors: 1,
        lost: 2,
        in_flight: 1,
        out_of_order: 3,
        loss_percent: Some(3.846),
        time: MS * 1040,
        round_trips: Some(EchoRoundTrips {
            min: MS * 20,
            average: MS * 25,
            max: MS * 30,
            deviation: MS * 3,
            smoothed: MS * 24,
            jitter: MS * 2,
            p50: MS * 24,
            p90: MS * 28,
            p99: MS * 29,
            percentiles_of: None,
        }),
        pipe: 3,
        gap: None,
    }))
}
