//! Echo messages as bytes: requests out, replies and quoted requests in
//! (RFC 792, RFC 4443 section 4).
//!
//! Pure. A reply's payload is never read. Whatever the bytes are, nothing here
//! panics: lengths are checked before pnet's views see them.

use std::ops::Range;

use pnet::packet::icmp::{IcmpTypes, echo_reply, echo_request};
use pnet::packet::icmpv6::Icmpv6Types;
use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::packet::ipv4::Ipv4Packet;

use crate::flow::Family;
use crate::packet::checksum::Sum;
use crate::socket::icmp::Token;

/// Length of an echo message's header in bytes.
pub const HEADER: usize = 8;

/// What a receive call's bytes begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// The IPv4 header (`SOCK_RAW`, IPv4).
    Ipv4Header,
    /// The ICMP message (all other sockets).
    Message,
}

/// An echo reply, or a request that an error quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Echo {
    /// The identifier.
    pub identifier: u16,
    /// The sequence number.
    pub sequence: u16,
}

/// A reply and where it lies in what was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Identifier and sequence number.
    pub echo: Echo,
    /// The ICMP message's bytes within those received.
    pub message: Range<usize>,
    /// The IPv4 header's time to live, where there is one.
    pub ttl: Option<u8>,
    /// The IPv4 header's type of service, where there is one.
    pub class: Option<u8>,
    /// Whether the ICMP checksum is right, as far as it can be told here; the
    /// kernel has verified it on all but raw IPv4 sockets.
    pub checksum: Checksum,
}

/// What is known of a checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// It is right.
    Right,
    /// It is wrong.
    Wrong,
}

/// The sequence number of the request with this token.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the sequence number is the low 16 bits"
)]
pub fn sequence(token: Token) -> u16 {
    token.0 as u16
}

/// The payload that `ping(8)` sends: 0, 1, 2, … 255, 0, …
pub fn counting_payload(bytes: usize) -> Vec<u8> {
    (0..=u8::MAX).cycle().take(bytes).collect()
}

/// An echo request with this payload, which [`write_header`] completes.
pub fn request(family: Family, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER];
    bytes.extend_from_slice(payload);
    let nobody = Echo {
        identifier: 0,
        sequence: 0,
    };
    write_header(family, &nobody, payload_sum(&bytes), &mut bytes);
    bytes
}

/// The sum of what comes after a message's header; it makes up for an odd
/// length, so that the header may be added.
pub fn payload_sum(message: &[u8]) -> Sum {
    let payload = message.get(HEADER..).unwrap_or_default();
    Sum::new().bytes(payload).bytes(&[0][..payload.len() % 2])
}

/// Makes `message`, a former request whose payload has this sum, the request
/// for `echo`.
pub fn write_header(family: Family, echo: &Echo, payload: Sum, message: &mut [u8]) {
    let Some(header) = message.first_chunk_mut::<HEADER>() else {
        return;
    };
    let kind = match family {
        Family::Ipv4 => IcmpTypes::EchoRequest.0,
        Family::Ipv6 => Icmpv6Types::EchoRequest.0,
    };
    let [id_high, id_low] = echo.identifier.to_be_bytes();
    let [high, low] = echo.sequence.to_be_bytes();
    *header = [kind, 0, 0, 0, id_high, id_low, high, low];
    // The ICMPv6 checksum is left to the kernel, which knows the source address.
    if family == Family::Ipv4 {
        let sum = payload.bytes(header.as_slice()).checksum();
        header[2..4].copy_from_slice(&sum.to_be_bytes());
    }
}

/// The echo reply in `bytes`; `None` if they are anything else.
pub fn parse_reply(family: Family, framing: Framing, bytes: &[u8]) -> Option<Reply> {
    let Framed {
        start,
        message,
        ttl,
    } = unframe(framing, bytes)?;
    let view = echo_reply::EchoReplyPacket::new(message)?;
    let expected = match family {
        Family::Ipv4 => IcmpTypes::EchoReply.0,
        Family::Ipv6 => Icmpv6Types::EchoReply.0,
    };
    if view.get_icmp_type().0 != expected || view.get_icmp_code().0 != 0 {
        return None;
    }
    let right = framing == Framing::Message || Sum::new().bytes(message).is_valid();
    Some(Reply {
        echo: Echo {
            identifier: view.get_identifier(),
            sequence: view.get_sequence_number(),
        },
        message: start..start + message.len(),
        ttl: ttl.map(|(ttl, _)| ttl),
        class: ttl.map(|(_, class)| class),
        checksum: if right {
            Checksum::Right
        } else {
            Checksum::Wrong
        },
    })
}

/// The ICMP message in what was received, whatever it is.
pub fn message(framing: Framing, bytes: &[u8]) -> Option<&[u8]> {
    unframe(framing, bytes).map(|framed| framed.message)
}

/// A message and what the IPv4 header before it says.
struct Framed<'b> {
    start: usize,
    message: &'b [u8],
    /// Time to live and type of service.
    ttl: Option<(u8, u8)>,
}

fn unframe(framing: Framing, bytes: &[u8]) -> Option<Framed<'_>> {
    if framing == Framing::Message {
        return Some(Framed {
            start: 0,
            message: bytes,
            ttl: None,
        });
    }
    let header = Ipv4Packet::new(bytes)?;
    let start = usize::from(header.get_header_length()) * 4;
    let end = usize::from(header.get_total_length()).min(bytes.len());
    let icmp = header.get_next_level_protocol() == IpNextHeaderProtocols::Icmp;
    if !icmp || start < Ipv4Packet::minimum_packet_size() || header.get_version() != 4 {
        return None;
    }
    let class = header.get_dscp() << 2 | header.get_ecn();
    Some(Framed {
        start,
        message: bytes.get(start..end)?,
        ttl: Some((header.get_ttl(), class)),
    })
}

/// The echo request an error quotes, from its ICMP header on; `None` if it
/// quotes anything else.
pub fn parse_quoted_request(family: Family, quoted: &[u8]) -> Option<Echo> {
    let view = echo_request::EchoRequestPacket::new(quoted)?;
    let expected = match family {
        Family::Ipv4 => IcmpTypes::EchoRequest.0,
        Family::Ipv6 => Icmpv6Types::EchoRequest.0,
    };
    (view.get_icmp_type().0 == expected).then(|| Echo {
        identifier: view.get_identifier(),
        sequence: view.get_sequence_number(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pnet::packet::icmp::{self, IcmpPacket};
    use proptest::prelude::*;

    fn request(family: Family, echo: Echo, payload_bytes: usize) -> Vec<u8> {
        let mut bytes = super::request(family, &counting_payload(payload_bytes));
        write_header(family, &echo, payload_sum(&bytes), &mut bytes);
        bytes
    }

    const FAMILIES: [Family; 2] = [Family::Ipv4, Family::Ipv6];

    fn reply_to(family: Family, request: &[u8]) -> Vec<u8> {
        let mut reply = request.to_vec();
        match family {
            Family::Ipv4 => {
                reply[0] = 0;
                let sum = icmp::checksum(&IcmpPacket::new(&reply).unwrap());
                reply[2..4].copy_from_slice(&sum.to_be_bytes());
            }
            Family::Ipv6 => reply[0] = 129,
        }
        reply
    }

    fn with_ipv4_header(message: &[u8], options: usize) -> Vec<u8> {
        let header = 20 + options;
        let mut bytes = vec![0; header];
        bytes[0] = 0x40 | u8::try_from(header / 4).unwrap();
        let total = u16::try_from(header + message.len()).unwrap();
        bytes[2..4].copy_from_slice(&total.to_be_bytes());
        bytes[8] = 61;
        bytes[9] = 1;
        bytes.extend_from_slice(message);
        bytes
    }

    #[test]
    fn a_request_is_what_ping_sends() {
        let echo = Echo {
            identifier: 0x1234,
            sequence: 7,
        };
        let bytes = request(Family::Ipv4, echo, 4);
        assert_eq!(hex::encode(bytes), "0800e3c01234000700010203");
        let bytes = request(Family::Ipv6, echo, 4);
        assert_eq!(hex::encode(bytes), "800000001234000700010203");
    }

    #[test]
    fn a_reply_with_ip_options_and_trailing_bytes_is_found() {
        let echo = Echo {
            identifier: 1,
            sequence: 2,
        };
        let reply = reply_to(Family::Ipv4, &request(Family::Ipv4, echo, 56));
        let mut bytes = with_ipv4_header(&reply, 8);
        bytes.extend_from_slice(&[0xff; 5]);
        let parsed = parse_reply(Family::Ipv4, Framing::Ipv4Header, &bytes).unwrap();
        assert_eq!(parsed.message, 28..28 + 64);
        assert_eq!(parsed.ttl, Some(61));
        assert_eq!((parsed.echo, parsed.checksum), (echo, Checksum::Right));
    }

    #[test]
    fn every_changed_bit_of_a_raw_reply_is_noticed() {
        let echo = Echo {
            identifier: 1,
            sequence: 2,
        };
        let reply = reply_to(Family::Ipv4, &request(Family::Ipv4, echo, 8));
        for bit in 0..reply.len() * 8 {
            let mut changed = reply.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let bytes = with_ipv4_header(&changed, 0);
            let parsed = parse_reply(Family::Ipv4, Framing::Ipv4Header, &bytes);
            assert!(
                parsed.is_none_or(|reply| reply.checksum == Checksum::Wrong),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn requests_and_errors_are_no_replies() {
        for family in FAMILIES {
            let mut bytes = request(
                family,
                Echo {
                    identifier: 1,
                    sequence: 2,
                },
                8,
            );
            assert_eq!(parse_reply(family, Framing::Message, &bytes), None);
            for kind in (0..=255).filter(|&kind| kind != 0 && kind != 129) {
                bytes[0] = kind;
                assert_eq!(parse_reply(family, Framing::Message, &bytes), None);
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_sent_is_what_is_read(identifier: u16, sequence: u16, size in 0..2000_usize) {
            for family in FAMILIES {
                let echo = Echo { identifier, sequence };
                let mut bytes = request(family, Echo { identifier: 9, sequence: 9 }, size);
                write_header(family, &echo, payload_sum(&bytes), &mut bytes);
                prop_assert_eq!(&bytes, &request(family, echo, size));
                prop_assert_eq!(parse_quoted_request(family, &bytes), Some(echo));
                let reply = parse_reply(family, Framing::Message, &reply_to(family, &bytes)).unwrap();
                prop_assert_eq!(reply.echo, echo);
                prop_assert_eq!(reply.message, 0..size + 8);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for family in FAMILIES {
                for framing in [Framing::Ipv4Header, Framing::Message] {
                    if let Some(reply) = parse_reply(family, framing, &bytes) {
                        prop_assert!(bytes.get(reply.message).is_some_and(|message| message.len() >= HEADER));
                    }
                }
                let _ = parse_quoted_request(family, &bytes);
            }
        }

        #[test]
        fn every_prefix_of_a_reply_is_read_or_refused(cut in 0..92_usize) {
            let echo = Echo { identifier: 1, sequence: 2 };
            let reply = reply_to(Family::Ipv4, &request(Family::Ipv4, echo, 56));
            let bytes = with_ipv4_header(&reply, 8);
            let parsed = parse_reply(Family::Ipv4, Framing::Ipv4Header, &bytes[..cut]);
            prop_assert_eq!(parsed.is_some(), cut >= 36);
        }
    }
}
