//! Packets within what arrives: the one an ICMP error quotes, the one a
//! redirect quotes, and the one that a departure's stamp comes with (RFC 792,
//! RFC 4443, RFC 4861 section 4.5).
//!
//! Pure. Whatever the bytes are, nothing here panics.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::flow::Family;
use crate::ping::wire::{self, Echo, Framing};

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const IPV6_HEADER: usize = 40;
const FRAGMENT: u8 = 44;
const FRAGMENT_HEADER: usize = 8;
const REDIRECT: u8 = 5;
const REDIRECT_V6: u8 = 137;
/// The option of a redirect that quotes (RFC 4861 section 4.6.3).
const REDIRECTED_HEADER: u8 = 4;
/// The longest link-layer header looked behind, and the shortest frame that a
/// device fills up to.
const LINK_HEADER: usize = 32;
const FILLED: usize = 64;

/// An ICMP message that quotes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quoting<'b> {
    /// Its type.
    pub icmp_type: u8,
    /// Its code.
    pub icmp_code: u8,
    /// Bytes 4 to 8 as a number.
    pub info: u32,
    /// The router to use instead, in a redirect.
    pub gateway: Option<IpAddr>,
    /// All of it, from its ICMP header on.
    pub message: &'b [u8],
    /// The packet it is about.
    pub quoted: Packet<'b>,
}

/// An IP packet that holds an echo request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'b> {
    /// It and whatever comes behind it, from its IP header on.
    pub bytes: &'b [u8],
    /// The same from the request's ICMP header on.
    pub request: &'b [u8],
    /// The request's identifier and sequence number.
    pub echo: Echo,
    /// Where it was going.
    pub to: IpAddr,
    /// How long the packet says it is.
    length: usize,
}

/// The ICMP message in what a raw socket received, if it quotes a request.
pub fn quoting(family: Family, framing: Framing, bytes: &[u8]) -> Option<Quoting<'_>> {
    let message = wire::message(framing, bytes)?;
    let &[icmp_type, icmp_code, _, _, a, b, c, d, ..] = message else {
        return None;
    };
    let (gateway, quoted): (Option<IpAddr>, _) = match (family, icmp_type) {
        (Family::Ipv4, REDIRECT) => (Some(Ipv4Addr::new(a, b, c, d).into()), message.get(8..)?),
        (Family::Ipv6, REDIRECT_V6) => {
            let gateway = Ipv6Addr::from(*message.get(8..)?.first_chunk::<16>()?);
            (Some(gateway.into()), redirected(message.get(40..)?)?)
        }
        _ => (None, message.get(8..)?),
    };
    Some(Quoting {
        icmp_type,
        icmp_code,
        info: u32::from_be_bytes([a, b, c, d]),
        gateway,
        message,
        quoted: packet(family, quoted)?,
    })
}

/// The packet among a redirect's options.
fn redirected(mut options: &[u8]) -> Option<&[u8]> {
    loop {
        let (kind, length) = (*options.first()?, usize::from(*options.get(1)?) * 8);
        if kind == REDIRECTED_HEADER {
            return options.get(8..);
        }
        // An option without length would never end.
        options = options.get(length.max(8)..)?;
    }
}

/// The echo request that left in this packet, however long the link's header
/// before it is: a packet says how long it is, and nothing comes after it. `cut`:
/// there was more than was looped back.
pub fn departed(family: Family, looped: &[u8], cut: bool) -> Option<Packet<'_>> {
    let ends = |packet: &Packet<'_>| packet.length == packet.bytes.len();
    let filled = |packet: &Packet<'_>| {
        packet.length < packet.bytes.len() && looped.len() <= FILLED
            || cut && packet.length > packet.bytes.len()
    };
    let packets = || {
        (0..=LINK_HEADER.min(looped.len()))
            .step_by(2)
            .filter_map(|start| packet(family, &looped[start..]))
    };
    packets().find(ends).or_else(|| packets().find(filled))
}

/// The echo request in a packet, whole or not.
fn packet(family: Family, bytes: &[u8]) -> Option<Packet<'_>> {
    let (start, to, length): (_, IpAddr, _) = match family {
        Family::Ipv4 => {
            let header = bytes.first_chunk::<20>()?;
            let start = usize::from(header[0] & 0xf) * 4;
            if header[0] >> 4 != 4 || start < header.len() || header[9] != ICMP {
                return None;
            }
            let to = Ipv4Addr::new(header[16], header[17], header[18], header[19]);
            (
                start,
                to.into(),
                u16::from_be_bytes([header[2], header[3]]).into(),
            )
        }
        Family::Ipv6 => {
            let header = bytes.first_chunk::<IPV6_HEADER>()?;
            let start = match header[6] {
                ICMPV6 => IPV6_HEADER,
                FRAGMENT if bytes.get(IPV6_HEADER) == Some(&ICMPV6) => {
                    IPV6_HEADER + FRAGMENT_HEADER
                }
                _ => return None,
            };
            if header[0] >> 4 != 6 {
                return None;
            }
            let to = Ipv6Addr::from(*header[24..].first_chunk::<16>()?);
            let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
            (start, to.into(), IPV6_HEADER + length)
        }
    };
    let request = bytes.get(start..)?;
    Some(Packet {
        bytes,
        request,
        echo: wire::parse_quoted_request(family, request)?,
        to,
        length,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ECHO: Echo = Echo {
        identifier: 0x1234,
        sequence: 7,
    };

    fn sent(family: Family, payload: usize) -> Vec<u8> {
        let mut request = wire::request(family, &wire::counting_payload(payload));
        wire::write_header(family, &ECHO, wire::payload_sum(&request), &mut request);
        let length = u16::try_from(request.len()).unwrap();
        let mut bytes = match family {
            Family::Ipv4 => {
                let [high, low] = (length + 20).to_be_bytes();
                vec![
                    0x45, 0, high, low, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
                ]
            }
            Family::Ipv6 => {
                let [high, low] = length.to_be_bytes();
                let mut bytes = vec![0x60, 0, 0, 0, high, low, 58, 64];
                bytes.extend_from_slice(&[0; 31]);
                bytes.push(1);
                bytes
            }
        };
        bytes.extend_from_slice(&request);
        bytes
    }

    #[test]
    fn a_departed_request_is_found_behind_any_link_header() {
        for family in [Family::Ipv4, Family::Ipv6] {
            for link in [0, 4, 14, 18] {
                let mut looped = vec![0x45; link];
                looped.extend(sent(family, 56));
                let found = departed(family, &looped, false).unwrap();
                assert_eq!(found.echo, ECHO, "{family:?} {link}");
                assert_eq!(
                    departed(family, &looped[..looped.len() - 9], true).map(|packet| packet.echo),
                    Some(ECHO)
                );
            }
        }
    }

    #[test]
    fn a_redirect_names_the_router_to_use() {
        let mut message = vec![5, 1, 0, 0, 10, 9, 0, 3];
        message.extend(sent(Family::Ipv4, 8));
        let found = quoting(Family::Ipv4, Framing::Message, &message).unwrap();
        assert_eq!(found.gateway, Some([10, 9, 0, 3].into()));
        assert_eq!(found.quoted.to, IpAddr::from([10, 0, 0, 2]));

        let mut message = vec![137, 0, 0, 0, 0, 0, 0, 0];
        message.extend_from_slice(&[0xfe; 16]);
        message.extend_from_slice(&[0xfd; 16]);
        message.extend_from_slice(&[2, 1, 0, 0, 0, 0, 0, 0]);
        message.extend_from_slice(&[4, 8, 0, 0, 0, 0, 0, 0]);
        message.extend(sent(Family::Ipv6, 8));
        let found = quoting(Family::Ipv6, Framing::Message, &message).unwrap();
        assert_eq!(found.gateway, Some([0xfe; 16].into()));
        assert_eq!(found.quoted.echo, ECHO);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0..=255_u8) {
            let mut bytes = bytes;
            if let Some(first) = bytes.first_mut() {
                *first = kind;
            }
            for family in [Family::Ipv4, Family::Ipv6] {
                for framing in [Framing::Ipv4Header, Framing::Message] {
                    let _ = quoting(family, framing, &bytes);
                }
                let _ = departed(family, &bytes, true);
                let _ = departed(family, &bytes, false);
            }
        }
    }
}
