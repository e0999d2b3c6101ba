//! The options of a reply's IPv4 header in the words of `ping(8)`: the route it
//! recorded, and the times on the way (RFC 791 section 3.1).
//!
//! Whatever the bytes are, nothing here panics: an option that is cut short is
//! shown as far as it goes.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

const END: u8 = 0;
const NO_OPERATION: u8 = 1;
const RECORD_ROUTE: u8 = 7;
const TIMESTAMP: u8 = 68;
/// Times without addresses.
const TIMES_ONLY: u8 = 0;
/// A time that is not in milliseconds since midnight.
const NOT_STANDARD: u32 = 1 << 31;

/// Remembers the last route, so that the same one is not printed again.
#[derive(Debug, Default)]
pub(super) struct Routes {
    last: Vec<u8>,
}

impl Routes {
    /// What follows a reply's line, its end excepted.
    pub(super) fn text(&mut self, options: &[u8]) -> String {
        let mut text = String::new();
        let mut rest = options;
        loop {
            rest = match *rest {
                [] | [END, ..] => return text,
                [NO_OPERATION, ref next @ ..] => next,
                [kind, length, ref next @ ..] => {
                    let length = usize::from(length);
                    if length < 2 {
                        return text;
                    }
                    let body = &next[..next.len().min(length - 2)];
                    match kind {
                        RECORD_ROUTE => text.push_str(&self.route(body)),
                        TIMESTAMP => text.push_str(&times(body)),
                        _ => {}
                    }
                    &next[body.len()..]
                }
                [_] => return text,
            }
        }
    }

    /// `body` is the pointer and then addresses, of which those before the
    /// pointer are recorded.
    fn route(&mut self, body: &[u8]) -> String {
        let [pointer, slots @ ..] = body else {
            return String::new();
        };
        let recorded = usize::from(*pointer).saturating_sub(4).min(slots.len());
        let recorded = &slots[..recorded];
        if recorded.is_empty() {
            return String::new();
        }
        if self.last == recorded {
            return "\t(same route)".to_owned();
        }
        self.last = recorded.to_vec();
        let mut text = "\nRR: ".to_owned();
        for address in recorded.chunks_exact(4) {
            let _ = writeln!(text, "\t{}", ipv4(address));
        }
        text
    }
}

/// `body` is the pointer, the count of hops that found no room with the kind of
/// entries, and then the entries.
fn times(body: &[u8]) -> String {
    let [pointer, flags, slots @ ..] = body else {
        return String::new();
    };
    let filled = usize::from(*pointer).saturating_sub(5).min(slots.len());
    if filled == 0 {
        return String::new();
    }
    let mut text = "\nTS: ".to_owned();
    let with_address = flags & 0x0f != TIMES_ONLY;
    let width = if with_address { 8 } else { 4 };
    let mut before = None;
    for entry in slots[..filled].chunks_exact(width) {
        let (address, time) = entry.split_at(width - 4);
        if with_address {
            let _ = write!(text, "\t{}", ipv4(address));
        }
        let time = u32::from_be_bytes(time.try_into().unwrap_or_default());
        text.push_str(&one_time(time, &mut before));
    }
    let unrecorded = flags >> 4;
    if unrecorded > 0 {
        let _ = writeln!(text, "Unrecorded hops: {unrecorded}");
    }
    text
}

/// The first time as it is, the others as milliseconds after the one before.
fn one_time(time: u32, before: &mut Option<i64>) -> String {
    let standard = time & NOT_STANDARD == 0;
    let time = i64::from(time & !NOT_STANDARD);
    let note = if standard { "" } else { " not-standard" };
    match before.replace(time) {
        None => format!("\t{time} absolute{note}\n"),
        Some(before) => format!("\t{}{note}\n", time - before),
    }
}

fn ipv4(bytes: &[u8]) -> Ipv4Addr {
    <[u8; 4]>::try_from(bytes).map_or(Ipv4Addr::UNSPECIFIED, Ipv4Addr::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_route_is_printed_once() {
        let mut routes = Routes::default();
        let options = [1, 7, 15, 12, 10, 1, 1, 1, 10, 1, 1, 2, 0, 0, 0, 0];
        assert_eq!(routes.text(&options), "\nRR: \t10.1.1.1\n\t10.1.1.2\n");
        assert_eq!(routes.text(&options), "\t(same route)");
        assert_eq!(routes.text(&[1, 7, 7, 4, 0, 0, 0, 0]), "");
    }

    #[test]
    fn times_are_told_by_what_lies_between() {
        let mut routes = Routes::default();
        let only = [68, 16, 13, 0x20, 0, 0, 1, 0, 0, 0, 1, 9, 0, 0, 0, 0];
        let text = "\nTS: \t256 absolute\n\t9\nUnrecorded hops: 2\n";
        assert_eq!(routes.text(&only), text);
        let both = [68, 12, 13, 1, 10, 1, 1, 2, 0x80, 0, 0, 7];
        let text = "\nTS: \t10.1.1.2\t7 absolute not-standard\n";
        assert_eq!(routes.text(&both), text);
    }

    proptest! {
        #[test]
        fn arbitrary_options_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Routes::default().text(&bytes);
        }
    }
}
