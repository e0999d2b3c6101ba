//! Packets within what arrives: what an error or a redirect quotes, and what a
//! departure's stamp comes with.

#![no_main]

use libfuzzer_sys::fuzz_target;
use socklab::flow::Family;
use socklab::ping::exchange::quote::{Packet, departed, quoting};
use socklab::ping::wire::{Framing, HEADER};

fuzz_target!(|bytes: &[u8]| {
    for family in [Family::Ipv4, Family::Ipv6] {
        for framing in [Framing::Ipv4Header, Framing::Message] {
            if let Some(found) = quoting(family, framing, bytes) {
                check(family, &found.quoted, found.message);
                assert!(bytes.ends_with(found.message) || framing == Framing::Ipv4Header);
            }
        }
        for cut in [false, true] {
            if let Some(found) = departed(family, bytes, cut) {
                check(family, &found, bytes);
            }
        }
    }
});

fn check(family: Family, packet: &Packet<'_>, within: &[u8]) {
    assert!(within.ends_with(packet.bytes));
    assert!(packet.bytes.ends_with(packet.request));
    assert!(packet.request.len() >= HEADER);
    assert_eq!(Family::of(packet.to), family);
}
