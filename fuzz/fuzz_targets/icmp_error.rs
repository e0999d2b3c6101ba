//! An ICMP error: its extensions, and the request it quotes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use socklab::packet::icmp_extension::{self, emit, parse};
use socklab::packet::quote::{self, Sent};

fuzz_target!(|bytes: &[u8]| {
    if let Some(objects) = parse(bytes) {
        assert_eq!(parse(&emit(&objects)), Some(objects));
    }
    for ipv6 in [false, true] {
        let _ = icmp_extension::of_message(bytes, ipv6);
    }
    let stated = bytes.first().map(|&words| usize::from(words) * 4);
    let _ = icmp_extension::find(bytes, stated);
    let sent = Sent {
        source: [10, 1, 1, 1].into(),
        destination: [10, 5, 1, 1].into(),
        class: 0xb8,
        payload: &[7; 56],
    };
    let _ = quote::compare(&sent, bytes);
});
