//! Any bytes as a packet: all of them must be in the layers, in order.

#![no_main]

use libfuzzer_sys::fuzz_target;
use socklab::packet::hexdump::{self, Layout};
use socklab::packet::{Dissection, IcmpFamily, LinkType, dissect, dissect_icmp};

fuzz_target!(|bytes: &[u8]| {
    for link in [LinkType::Ethernet, LinkType::Raw, LinkType::Unknown(7)] {
        check(&dissect(link, bytes), bytes);
    }
    for family in [IcmpFamily::V4, IcmpFamily::V6] {
        check(&dissect_icmp(family, bytes), bytes);
    }
});

fn check(dissection: &Dissection, bytes: &[u8]) {
    let mut at = 0;
    for layer in &dissection.layers {
        assert_eq!(layer.range.start, at, "{dissection:?}");
        at = layer.range.end;
    }
    assert_eq!(at, bytes.len(), "{dissection:?}");
    let layout = Layout::default();
    let _ = hexdump::render(&hexdump::rows(dissection, bytes, layout), layout);
}
