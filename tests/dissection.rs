//! Dissection held against real packets, all their prefixes, all their bit
//! flips, and arbitrary bytes: nothing panics, nothing is lost, every field
//! lies where it says.

mod support;

use std::ops::Range;

use proptest::prelude::*;
use socklab::packet::checksum::{Reason, Status};
use socklab::packet::{
    Checksums, Dissection, Fault, Field, IcmpFamily, LinkType, dissect, dissect_icmp, dissect_with,
};
use support::fixtures::{self, Fixture};

/// Fails where the dissection of `bytes` breaks one of its promises.
fn check(link: LinkType, bytes: &[u8]) -> Dissection {
    let dissection = dissect(link, bytes);
    let mut end = 0;
    for layer in &dissection.layers {
        assert_eq!(layer.range.start, end, "layers leave no gap");
        assert!(layer.range.end >= end, "layers are in order");
        end = layer.range.end;
        check_fields(&layer.fields, &layer.range);
        let mut covered = layer.range.start;
        for field in &layer.fields {
            assert!(field.range.start <= covered, "no gap before {field}");
            covered = covered.max(field.range.end);
        }
        assert_eq!(covered, layer.range.end, "{} is covered", layer.protocol);
    }
    assert_eq!(end, bytes.len(), "the layers are the whole frame");
    assert!(
        !dissection.layers.is_empty(),
        "even nothing is said to be nothing"
    );
    let payload = dissection.payload();
    assert!(payload.start <= payload.end && payload.end <= bytes.len());
    dissection
}

fn check_fields(fields: &[Field], within: &Range<usize>) {
    for field in fields {
        assert!(
            within.start <= field.range.start && field.range.end <= within.end,
            "{field} at {:?} lies within {within:?}",
            field.range
        );
        check_fields(&field.children, &field.range);
    }
}

#[test]
fn fixtures_are_dissected_without_fault() {
    for Fixture { name, link, bytes } in fixtures::all() {
        let dissection = check(link, &bytes);
        let own = dissection.faults().filter(|(layer, _)| !layer.quoted);
        let faults: Vec<_> = own.map(|(_, fault)| fault).collect();
        assert!(faults.is_empty(), "{name}: {faults:?}");
        for layer in &dissection.layers {
            match layer.checksum {
                Some(Status::Bad { .. }) => {
                    assert!(
                        name == "bad_checksum",
                        "{name}: {} checksum {:?}",
                        layer.protocol,
                        layer.checksum
                    );
                }
                Some(Status::Unverified(reason)) => assert!(
                    layer.quoted || reason == Reason::Absent || name.starts_with("fragment"),
                    "{name}: {reason}"
                ),
                _ => {}
            }
        }
    }
}

#[test]
fn every_prefix_is_shown_as_far_as_it_goes() {
    for Fixture { name, link, bytes } in fixtures::all() {
        for length in 0..bytes.len() {
            let dissection = check(link, &bytes[..length]);
            let faults: Vec<_> = dissection.faults().map(|(_, fault)| fault).collect();
            let is_cut_in_padding = length >= 54 && name == "ethernet_padded";
            assert!(
                !faults.is_empty() || is_cut_in_padding || name == "total_length_zero",
                "{name} cut to {length} bytes says so"
            );
            assert!(
                faults.iter().all(|fault| !fault.is_malformed()),
                "{name} cut to {length} bytes is incomplete, not malformed: {faults:?}"
            );
        }
    }
}

#[test]
fn every_bit_flip_is_survived() {
    for Fixture { link, bytes, .. } in fixtures::all() {
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 0x80 >> (bit % 8);
            check(link, &flipped);
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for link in [LinkType::Raw, LinkType::Ethernet, LinkType::Unknown(276)] {
            check(link, &bytes);
        }
    }

    #[test]
    fn arbitrary_icmp_messages_are_survived(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        for family in [IcmpFamily::V4, IcmpFamily::V6] {
            let dissection = dissect_icmp(family, &bytes);
            let end = dissection.layers.last().map(|layer| layer.range.end);
            prop_assert_eq!(end, Some(bytes.len()));
        }
    }

    #[test]
    fn arbitrary_changes_are_survived(
        which in any::<prop::sample::Index>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
    ) {
        let fixtures = fixtures::all();
        let Fixture { link, bytes, .. } = which.get(&fixtures);
        let mut bytes = bytes.clone();
        for (place, value) in changes {
            *place.get_mut(&mut bytes) = value;
        }
        check(*link, &bytes);
    }
}

/// A fixture, an offset and the value set there, and the fault it must show.
#[rustfmt::skip]
const MALFORMED: [(&str, (usize, u8), &str); 19] = [
    ("syn", (0, 0x44), "header length says 16 bytes, at least 20 are needed"),
    ("syn", (0, 0x55), "IP version 5 where 4 or 6 belongs"),
    ("syn", (3, 10), "total length says 10 bytes, at least 20 are needed"),
    ("syn", (2, 8), "total length says 2108 bytes, 60 were captured"),
    ("syn", (3, 30), "no room for acknowledgment number, bytes missing: 2"),
    ("syn", (32, 0x40), "header length says 16 bytes, at least 20 are needed"),
    ("syn", (32, 0xf0), "no room for options, bytes missing: 20"),
    ("syn", (41, 0), "option 2 cannot be 0 bytes long"),
    ("syn", (41, 1), "option 2 cannot be 1 bytes long"),
    ("syn", (41, 3), "option 2 cannot be 3 bytes long"),
    ("syn", (41, 200), "option 2 cannot be 200 bytes long"),
    ("udp", (25, 7), "length says 7 bytes, at least 8 are needed"),
    ("udp", (25, 99), "length says 99 bytes, there is room for 16"),
    ("syn_v6", (5, 30), "no room for options, bytes missing: 10"),
    ("neighbour_solicitation", (65, 0), "option 1 cannot be 0 bytes long"),
    ("neighbour_solicitation", (65, 2), "option 1 cannot be 16 bytes long"),
    ("mld_report", (41, 9), "no room for extension header, bytes missing: 8"),
    ("mld_report", (43, 9), "option 5 cannot be 11 bytes long"),
    ("record_route", (22, 30), "option 7 cannot be 30 bytes long"),
];

#[test]
fn malformed_headers_say_what_is_wrong() {
    for (name, (offset, value), expected) in MALFORMED {
        let Fixture {
            link, mut bytes, ..
        } = fixtures::named(name);
        bytes[offset] = value;
        let dissection = check(link, &bytes);
        let faults: Vec<_> = dissection
            .faults()
            .map(|(_, fault)| fault.to_string())
            .collect();
        assert!(
            faults.iter().any(|fault| fault == expected),
            "{name} with byte {offset} set to {value}: {faults:?}"
        );
    }
}

#[test]
fn a_checksum_the_device_has_yet_to_fill_in_is_no_error() {
    let Fixture { link, bytes, .. } = fixtures::named("bad_checksum");
    let status = |checksums| dissect_with(link, &bytes, checksums).layers[1].checksum;
    assert_eq!(
        status(Checksums::Complete),
        Some(Status::Bad { expected: 0xde9c })
    );
    assert_eq!(
        status(Checksums::Pending),
        Some(Status::Unverified(Reason::Offloaded))
    );
}

#[test]
fn udp_over_ipv6_needs_a_checksum() {
    let Fixture {
        link, mut bytes, ..
    } = fixtures::named("udp_v6");
    bytes[46..48].fill(0);
    let dissection = check(link, &bytes);
    let faults: Vec<_> = dissection.faults().map(|(_, fault)| fault).collect();
    assert_eq!(faults, [&Fault::NoChecksum]);
}

#[test]
fn a_fragment_that_is_not_the_first_has_no_transport_header() {
    for name in ["fragment_last", "fragment_last_v6"] {
        let Fixture { link, bytes, .. } = fixtures::named(name);
        let dissection = dissect(link, &bytes);
        assert_eq!(dissection.udp(), None);
        let fragment = dissection.ip().and_then(|ip| ip.fragment);
        let fragment = fragment.expect("a fragment");
        assert_eq!(
            (fragment.offset, fragment.length, fragment.more),
            (48, 32, false)
        );
        assert_eq!(dissection.payload().len(), 32);
    }
}

#[test]
fn an_icmp_error_quotes_the_packet_at_fault() {
    let Fixture { link, bytes, .. } = fixtures::named("port_unreachable");
    let dissection = dissect(link, &bytes);
    assert_eq!(dissection.udp(), None, "the packet itself is no UDP");
    let quoted = dissection.quoted().expect("a quoted packet");
    let endpoints = quoted.endpoints().expect("addresses and ports");
    assert_eq!(endpoints.source.to_string(), "10.77.0.1:50000");
    assert_eq!(endpoints.destination.to_string(), "10.77.0.2:5099");
    assert_eq!(quoted.udp().map(|udp| udp.length), Some(10));
}

/// Without its IP header an ICMP message has the same fields as with it.
#[test]
fn an_icmp_message_alone_reads_as_within_its_packet() {
    for (name, family, header) in [
        ("echo_request", IcmpFamily::V4, 20),
        ("port_unreachable", IcmpFamily::V4, 20),
        ("echo_request_v6", IcmpFamily::V6, 40),
    ] {
        let Fixture { link, bytes, .. } = fixtures::named(name);
        let whole = dissect(link, &bytes);
        let alone = dissect_icmp(family, &bytes[header..]);
        assert_eq!(alone.icmp(), whole.icmp(), "{name}");
        assert_eq!(alone.layers.len() + 1, whole.layers.len(), "{name}");
        let ends = |dissection: &Dissection| dissection.layers.last().map(|layer| layer.range.end);
        assert_eq!(ends(&alone), ends(&whole).map(|end| end - header), "{name}");
    }
}
