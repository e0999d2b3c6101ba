//! What became of a request on its way to the router that quotes it: an
//! address, a class of service or a payload that someone rewrote.
//!
//! Pure. An ICMP error quotes the packet as it arrived (RFC 792, RFC 1812
//! section 4.3.2.3). What differs from what was sent was changed on the path.

use std::net::IpAddr;

use serde::Serialize;

use super::{Header, LinkType, dissect};

/// An echo message's header in bytes.
const ECHO_HEADER: usize = 8;

/// A request as it left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent<'a> {
    /// The address it came from.
    pub source: IpAddr,
    /// Whom it was for.
    pub destination: IpAddr,
    /// The type of service or traffic class.
    pub class: u8,
    /// The payload of its ICMP message.
    pub payload: &'a [u8],
}

/// A request as it is quoted, and what was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Quote {
    /// The time to live or hop limit that was left.
    pub ttl_left: u8,
    /// What differs from what was sent.
    pub changes: Vec<Change>,
}

/// A field that was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Which.
    pub field: Field,
    /// As it was sent.
    pub sent: String,
    /// As it is quoted.
    pub quoted: String,
}

/// Which field was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// The address it came from: network address translation.
    Source,
    /// Whom it was for.
    Destination,
    /// The upper six bits of the class of service (RFC 2474).
    Dscp,
    /// The lower two (RFC 3168).
    Ecn,
    /// Its length in bytes.
    Length,
    /// The ICMP payload.
    Payload,
}

impl Field {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Field::Source => "source",
            Field::Destination => "destination",
            Field::Dscp => "DSCP",
            Field::Ecn => "ECN",
            Field::Length => "length",
            Field::Payload => "payload",
        }
    }
}

/// What an IP header says of what may change.
struct Arrived {
    source: IpAddr,
    destination: IpAddr,
    dscp: u8,
    ecn: u8,
    ttl: u8,
    length: usize,
    header: usize,
}

/// Compares what was sent with the packet in `quoted`, which begins with its IP
/// header; `None` if that is no such packet.
pub fn compare(sent: &Sent<'_>, quoted: &[u8]) -> Option<Quote> {
    let arrived = read(quoted)?;
    let mut changes = Vec::new();
    let mut differ = |field, sent: String, quoted: String| {
        if sent != quoted {
            changes.push(Change {
                field,
                sent,
                quoted,
            });
        }
    };
    let shown = |number: u8| number.to_string();
    differ(
        Field::Source,
        sent.source.to_string(),
        arrived.source.to_string(),
    );
    differ(
        Field::Destination,
        sent.destination.to_string(),
        arrived.destination.to_string(),
    );
    differ(Field::Dscp, shown(sent.class >> 2), shown(arrived.dscp));
    differ(Field::Ecn, shown(sent.class & 3), shown(arrived.ecn));
    let length = arrived.header + ECHO_HEADER + sent.payload.len();
    differ(
        Field::Length,
        length.to_string(),
        arrived.length.to_string(),
    );
    let (ours, theirs) = payloads(sent, quoted, &arrived);
    differ(Field::Payload, hex::encode(ours), hex::encode(theirs));
    Some(Quote {
        ttl_left: arrived.ttl,
        changes,
    })
}

/// The first bytes in which the payloads differ, or nothing.
fn payloads<'a>(sent: &Sent<'a>, quoted: &'a [u8], arrived: &Arrived) -> (&'a [u8], &'a [u8]) {
    const SHOWN: usize = 8;
    let begin = arrived.header + ECHO_HEADER;
    let theirs = quoted.get(begin..arrived.length.min(quoted.len()));
    let theirs = theirs.unwrap_or_default();
    let pairs = sent.payload.iter().zip(theirs);
    let Some(at) = pairs.clone().position(|(ours, theirs)| ours != theirs) else {
        return (&[], &[]);
    };
    let end = pairs.len().min(at + SHOWN);
    (&sent.payload[at..end], &theirs[at..end])
}

fn read(quoted: &[u8]) -> Option<Arrived> {
    let dissection = dissect(LinkType::Raw, quoted);
    let layer = dissection.layers.first()?;
    match layer.header.as_ref()? {
        Header::Ipv4(header) => Some(Arrived {
            source: header.source.into(),
            destination: header.destination.into(),
            dscp: header.dscp,
            ecn: header.ecn,
            ttl: header.ttl,
            length: header.total_length.into(),
            header: header.header_length.into(),
        }),
        Header::Ipv6(header) => Some(Arrived {
            source: header.source.into(),
            destination: header.destination.into(),
            dscp: header.dscp,
            ecn: header.ecn,
            ttl: header.hop_limit,
            length: layer.range.len() + usize::from(header.payload_length),
            header: layer.range.len(),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAYLOAD: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

    fn sent() -> Sent<'static> {
        Sent {
            source: [10, 1, 1, 1].into(),
            destination: [10, 5, 1, 1].into(),
            class: 0xb8,
            payload: &PAYLOAD,
        }
    }

    /// What [`sent`] looks like at a router.
    fn packet() -> Vec<u8> {
        let head = "45b8002c00004000010100000a0101010a050101";
        let mut packet = hex::decode(head).unwrap();
        packet.extend([8, 0, 0, 0, 0x12, 0x34, 0, 1]);
        packet.extend(PAYLOAD);
        packet
    }

    #[test]
    fn an_untouched_request_shows_no_change() {
        let quote = compare(&sent(), &packet()).unwrap();
        assert_eq!((quote.ttl_left, quote.changes), (1, Vec::new()));
        // Many routers quote eight bytes of the message and no more.
        let quote = compare(&sent(), &packet()[..28]).unwrap();
        assert_eq!(quote.changes, Vec::new());
    }

    #[test]
    fn what_was_rewritten_is_named() {
        let mut rewritten = packet();
        rewritten[1] = 0x03;
        rewritten[12..16].copy_from_slice(&[192, 0, 2, 1]);
        rewritten[30] = 0xff;
        let quote = compare(&sent(), &rewritten).unwrap();
        let named: Vec<String> = quote
            .changes
            .iter()
            .map(|change| format!("{} {} {}", change.field.name(), change.sent, change.quoted))
            .collect();
        assert_eq!(
            named,
            [
                "source 10.1.1.1 192.0.2.1",
                "DSCP 46 0",
                "ECN 0 3",
                "payload 0203040506070809 ff03040506070809",
            ]
        );
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = compare(&sent(), &bytes);
        }

        #[test]
        fn every_changed_byte_that_may_not_change_is_noticed(at in 0..44_usize, bits in 1..=255_u8) {
            let mut changed = packet();
            changed[at] ^= bits;
            // Version and length of the header, and what a router may rewrite.
            let free = [0, 4, 5, 6, 7, 8, 9, 10, 11, 20, 21, 22, 23, 24, 25, 26, 27];
            prop_assume!(!free.contains(&at));
            let quote = compare(&sent(), &changed);
            prop_assert!(quote.is_some_and(|quote| !quote.changes.is_empty()));
        }
    }
}
