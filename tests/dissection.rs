//! Dissection held against real packets, all their prefixes, all their bit
//! flips, and arbitrary bytes: nothing panics, nothing is lost, every field
//! lies where it says.

mod support;

use std::ops::Range;

use proptest::prelude::*;
use socklab::packet::checksum::{Reason, Status};
use socklab::packet::{Dissection, Field, LinkType, dissect};
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
                        matches!(name, "bad_checksum" | "total_length_zero"),
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
