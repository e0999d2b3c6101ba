//! What a raw or datagram ICMP socket hands over, as ping reads it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use socklab::flow::Family;
use socklab::ping::wire::{self, Framing, HEADER};

fuzz_target!(|bytes: &[u8]| {
    for family in [Family::Ipv4, Family::Ipv6] {
        for framing in [Framing::Ipv4Header, Framing::Message] {
            if let Some(reply) = wire::parse_reply(family, framing, bytes) {
                let message = bytes.get(reply.message).expect("it lies within");
                assert!(message.len() >= HEADER);
            }
        }
        let _ = wire::parse_quoted_request(family, bytes);
    }
});
