//! The heading read at a glance says what the whole dissection says.

mod support;

use proptest::prelude::*;
use socklab::packet::{Heading, LinkType, Transport, dissect};
use support::fixtures;

/// Whether the heading says what the dissection says; for whole packets.
fn assert_agrees(name: &str, bytes: &[u8]) {
    let whole = dissect(LinkType::Raw, bytes);
    let heading = Heading::of(bytes).expect(name);
    let ip = whole.ip().expect(name);
    assert_eq!(
        (heading.source, heading.destination, heading.protocol),
        (ip.source, ip.destination, ip.protocol),
        "{name}"
    );
    assert_eq!(
        (heading.ecn, heading.length),
        (ip.ecn, bytes.len()),
        "{name}"
    );
    assert_eq!(
        heading
            .fragment
            .map(|piece| (piece.identification, piece.is_first)),
        ip.fragment
            .map(|piece| (piece.identification, piece.offset == 0)),
        "{name}"
    );
    let data_length = whole.payload().len();
    let said = match (whole.tcp(), whole.udp(), whole.icmp()) {
        (Some(tcp), _, _) => Transport::Tcp {
            source: tcp.source_port,
            destination: tcp.destination_port,
            flags: tcp.flags,
            sequence: tcp.sequence,
            data: data_length,
        },
        (_, Some(udp), _) => Transport::Udp {
            source: udp.source_port,
            destination: udp.destination_port,
            data: data_length,
        },
        (_, _, Some(icmp)) => Transport::Icmp {
            kind: icmp.kind,
            identifier: match icmp.body {
                socklab::packet::IcmpBody::Echo { identifier, .. } => Some(identifier),
                _ => None,
            },
        },
        _ => Transport::Other,
    };
    assert_eq!(heading.transport, said, "{name}");
}

#[test]
fn every_fixture_reads_the_same_at_a_glance() {
    let mut checked = 0;
    for fixture in fixtures::all() {
        let is_well_formed = dissect(fixture.link, &fixture.bytes).faults().count() == 0;
        // The wire carries the outer packet, whatever is in it.
        let is_tunnel = fixture.name == "ipv6_in_ipv4";
        if fixture.link == LinkType::Raw && is_well_formed && !is_tunnel {
            assert_agrees(fixture.name, &fixture.bytes);
            checked += 1;
        }
    }
    assert!(checked > 15, "only {checked} fixtures are raw IP");
}

#[test]
fn what_is_no_ip_has_no_heading() {
    for bytes in [&[][..], &[0x45; 19], &[0x60; 39], &[0x15; 60]] {
        assert_eq!(Heading::of(bytes), None);
    }
}

proptest! {
    #[test]
    fn a_cut_or_changed_packet_is_survived(
        index in 0..fixtures::all().len(),
        keep in 0_usize..200,
        flips in proptest::collection::vec((0_usize..200, any::<u8>()), 0..4),
    ) {
        let mut bytes = fixtures::all().swap_remove(index).bytes;
        bytes.truncate(keep);
        for (at, bits) in flips {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= bits;
            }
        }
        if let Some(heading) = Heading::of(&bytes) {
            prop_assert_eq!(heading.length, bytes.len());
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let heading = Heading::of(&bytes);
        prop_assert!(heading.is_none_or(|heading| heading.length == bytes.len()));
    }
}
