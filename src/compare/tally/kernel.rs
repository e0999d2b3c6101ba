//! What a receiving kernel makes of a packet's bytes, as far as the comparison
//! needs it: which packets it drops, and what it gives to a socket.
//!
//! Pure. It knows the checks of IP, of UDP and of raw sockets in Linux, so that
//! damage which a checksum catches is told from damage which a program sees.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::compare::Mark;
use crate::compare::lane::{Found, expected};
use crate::flow::Family;
use crate::packet::checksum::Sum;

const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
pub(super) const TCP: u8 = 6;
const FRAGMENT: u8 = 44;
/// UDP checks a datagram up to this length before it looks for the socket, so
/// that the socket does not count it (`CHECKSUM_BREAK`, `linux/skbuff.h`).
const CHECKED_AT_ONCE: usize = 76;

/// An IP packet that the kernel does not drop as such.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Content<'a> {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) protocol: u8,
    /// The ECN field (RFC 3168).
    pub(super) ecn: u8,
    pub(super) piece: Option<Piece>,
    /// What the IP header carries.
    pub(super) bytes: &'a [u8],
}

/// Where a fragment's bytes belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) identification: u32,
    /// In bytes.
    pub(super) offset: u32,
    pub(super) more: bool,
}

/// What becomes of a datagram's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handed {
    /// No socket of the lane gets to see it.
    Nowhere,
    /// The socket drops it for its checksum, and counts it.
    Refused,
    /// The program gets this.
    Over(Found),
}

/// A packet's content; `None` where the kernel drops it (RFC 791, RFC 8200).
pub(super) fn content(bytes: &[u8]) -> Option<Content<'_>> {
    match bytes.first()? >> 4 {
        4 => content_v4(bytes),
        6 => content_v6(bytes),
        _ => None,
    }
}

fn content_v4(bytes: &[u8]) -> Option<Content<'_>> {
    let header: &[u8; 20] = bytes.first_chunk()?;
    let length = usize::from(header[0] & 0xf) * 4;
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let whole = bytes.get(..length)?;
    if length < 20 || !Sum::new().bytes(whole).is_valid() {
        return None;
    }
    let place = u16::from_be_bytes([header[6], header[7]]);
    let (offset, more) = (u32::from(place & 0x1fff) * 8, place & 0x2000 != 0);
    Some(Content {
        source: Ipv4Addr::from(*header[12..].first_chunk::<4>()?).into(),
        destination: Ipv4Addr::from(*header[16..].first_chunk::<4>()?).into(),
        protocol: header[9],
        ecn: header[1] & 3,
        piece: (offset > 0 || more).then(|| Piece {
            identification: u16::from_be_bytes([header[4], header[5]]).into(),
            offset,
            more,
        }),
        bytes: bytes.get(length..total)?,
    })
}

fn content_v6(bytes: &[u8]) -> Option<Content<'_>> {
    let (header, rest) = bytes.split_first_chunk::<40>()?;
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    // No packet comes from a multicast address (RFC 4291 section 2.7).
    if header[8] == 0xff {
        return None;
    }
    let mut content = Content {
        source: Ipv6Addr::from(*header[8..].first_chunk::<16>()?).into(),
        destination: Ipv6Addr::from(*header[24..].first_chunk::<16>()?).into(),
        protocol: header[6],
        ecn: header[1] >> 4 & 3,
        piece: None,
        bytes: rest.get(..length)?,
    };
    if content.protocol == FRAGMENT {
        let (fragment, rest) = content.bytes.split_first_chunk::<8>()?;
        let place = u16::from_be_bytes([fragment[2], fragment[3]]);
        let [.., a, b, c, d] = *fragment;
        content = Content {
            protocol: fragment[0],
            piece: Some(Piece {
                identification: u32::from_be_bytes([a, b, c, d]),
                offset: u32::from(place & 0xfff8),
                more: place & 1 != 0,
            }),
            bytes: rest,
            ..content
        };
    }
    Some(content)
}

impl Content<'_> {
    /// Whether it is of the protocol that a mark's packets are of.
    pub(super) fn is_of(&self, mark: Mark) -> bool {
        self.protocol == protocol(mark, self.family())
    }

    /// Whether the checksum over the content and the addresses is right.
    pub(super) fn is_sound(&self) -> bool {
        Sum::new()
            .pseudo_header(
                self.source,
                self.destination,
                self.protocol,
                self.bytes.len(),
            )
            .bytes(self.bytes)
            .is_valid()
    }

    fn family(&self) -> Family {
        Family::of(self.destination)
    }
}

/// The IP protocol number of a mark's packets.
fn protocol(mark: Mark, family: Family) -> u8 {
    match (mark, family) {
        (Mark::Tcp(_), _) => TCP,
        (Mark::Udp(_), _) => UDP,
        (Mark::Echo(_), Family::Ipv4) => ICMP,
        (Mark::Echo(_), Family::Ipv6) => ICMPV6,
        (Mark::Protocol(number), _) => number,
    }
}

/// What becomes of a whole datagram that arrived at the server.
pub(super) fn handed(mark: Mark, content: &Content<'_>) -> Handed {
    let family = content.family();
    if !content.is_of(mark) {
        return Handed::Nowhere;
    }
    match mark {
        Mark::Tcp(_) => Handed::Nowhere,
        Mark::Udp(port) => udp(port, content),
        Mark::Echo(_) => {
            let is_request = content.bytes.first() == Some(&ECHO_REQUEST_V6);
            // An IPv6 socket checks before anything else but the type; an IPv4
            // socket does not check at all.
            if family == Family::Ipv6 && is_request && !content.is_sound() {
                return Handed::Refused;
            }
            found(mark, family, content.bytes)
        }
        Mark::Protocol(_) => found(mark, family, content.bytes),
    }
}

const ECHO_REQUEST_V6: u8 = 128;

fn found(mark: Mark, family: Family, bytes: &[u8]) -> Handed {
    expected(mark, family, bytes).map_or(Handed::Nowhere, Handed::Over)
}

/// RFC 768; the length in the header decides how much the checksum is over.
fn udp(port: u16, content: &Content<'_>) -> Handed {
    let Some(header) = content.bytes.first_chunk::<8>() else {
        return Handed::Nowhere;
    };
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    if header[2..4] != port.to_be_bytes() || length < 8 {
        return Handed::Nowhere;
    }
    let Some(bytes) = content.bytes.get(..length) else {
        return Handed::Nowhere;
    };
    let stated = Content { bytes, ..*content };
    if stated.is_sound() {
        found(Mark::Udp(port), content.family(), &bytes[8..])
    } else if length <= CHECKED_AT_ONCE {
        Handed::Nowhere
    } else {
        Handed::Refused
    }
}

/// What a datagram of which a fragment was damaged becomes when it is whole;
/// `passes` says whether its checksum is right all the same.
pub(super) fn handed_damaged(mark: Mark, family: Family, passes: bool) -> Handed {
    let is_checked = matches!(
        (mark, family),
        (Mark::Udp(_), _) | (Mark::Echo(_), Family::Ipv6)
    );
    if is_checked && !passes {
        Handed::Refused
    } else {
        Handed::Over(Found::Damaged)
    }
}
