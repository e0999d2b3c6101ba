//! The few header fields that say whose packet this is and what it means, for
//! whoever must decide on every packet and cannot afford a dissection.
//!
//! A packet that is cut or malformed has a heading as far as it goes; bytes
//! that are no IP packet have none. Copies no payload.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{IpProtocol, TcpFlags};

/// What is known at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heading {
    /// Where it comes from.
    pub source: IpAddr,
    /// Where it goes.
    pub destination: IpAddr,
    /// What follows its header and extensions; a tunnel is not looked into.
    pub protocol: IpProtocol,
    /// The ECN field of the IP header (RFC 3168): 0 is not capable, 3 is
    /// Congestion Experienced.
    pub ecn: u8,
    /// The whole packet's length in bytes.
    pub length: usize,
    /// Identification of the datagram, where this is a fragment of one.
    pub fragment: Option<Piece>,
    /// The transport header, where it is there.
    pub transport: Transport,
}

/// A piece of a larger datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Of the datagram.
    pub identification: u32,
    /// Whether it is the first piece, which holds the transport header.
    pub is_first: bool,
}

/// What the transport header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A TCP segment.
    Tcp {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
        /// The flags.
        flags: TcpFlags,
        /// Sequence number of the first byte.
        sequence: u32,
        /// Bytes of data.
        data: usize,
    },
    /// A UDP datagram.
    Udp {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
        /// Bytes of data.
        data: usize,
    },
    /// An ICMP or ICMPv6 message.
    Icmp {
        /// Its type.
        kind: u8,
        /// The identifier, where it is an echo request or reply.
        identifier: Option<u16>,
    },
    /// Anything else, or cut off before it says.
    Other,
}

impl Heading {
    /// The heading of a packet that begins with its IP header; `None` where the
    /// bytes are too short for one or of another version.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes.first()? >> 4 {
            4 => Self::of_ipv4(bytes),
            6 => Self::of_ipv6(bytes),
            _ => None,
        }
    }

    /// Whether both ends said that they can take a mark instead of a loss.
    pub fn is_ecn_capable(&self) -> bool {
        self.ecn != 0
    }

    /// RFC 791 section 3.1.
    fn of_ipv4(bytes: &[u8]) -> Option<Self> {
        let header: &[u8; 20] = bytes.first_chunk()?;
        let length = usize::from(header[0] & 0x0f) * 4;
        let offset = u16::from_be_bytes([header[6], header[7]]);
        let is_piece = offset & (MORE | OFFSET) != 0;
        let is_first = offset & OFFSET == 0;
        let protocol = IpProtocol(header[9]);
        // Padding behind the datagram is none of its data; a length of 0 is the
        // kernel's own, for packets it has not yet cut into segments.
        let total = match u16::from_be_bytes([header[2], header[3]]) {
            0 => bytes.len(),
            total => total.into(),
        };
        let end = total.clamp(length.min(bytes.len()), bytes.len());
        let payload = bytes.get(length..end).unwrap_or_default();
        Some(Self {
            source: Ipv4Addr::from(*header[12..].first_chunk::<4>()?).into(),
            destination: Ipv4Addr::from(*header[16..].first_chunk::<4>()?).into(),
            protocol,
            ecn: header[1] & 3,
            length: bytes.len(),
            fragment: is_piece.then(|| Piece {
                identification: u16::from_be_bytes([header[4], header[5]]).into(),
                is_first,
            }),
            transport: if is_first {
                transport(protocol, payload)
            } else {
                Transport::Other
            },
        })
    }

    /// RFC 8200 section 3, and over the extension headers of section 4.
    fn of_ipv6(bytes: &[u8]) -> Option<Self> {
        let header: &[u8; 40] = bytes.first_chunk()?;
        let mut protocol = IpProtocol(header[6]);
        let mut fragment = None;
        let mut rest = &bytes[40..];
        loop {
            let extension = match protocol {
                IpProtocol::HOP_BY_HOP | IpProtocol::ROUTING | IpProtocol::DESTINATION_OPTIONS => {
                    rest.get(1).map(|units| (usize::from(*units) + 1) * 8)
                }
                IpProtocol::AUTHENTICATION => {
                    rest.get(1).map(|units| (usize::from(*units) + 2) * 4)
                }
                IpProtocol::FRAGMENT => {
                    fragment = rest.first_chunk().copied().map(piece);
                    Some(8)
                }
                _ => break,
            };
            let Some((head, tail)) = extension.and_then(|length| rest.split_at_checked(length))
            else {
                rest = &[];
                break;
            };
            protocol = IpProtocol(head[0]);
            rest = tail;
            if fragment.is_some_and(|piece: Piece| !piece.is_first) {
                rest = &[];
                break;
            }
        }
        Some(Self {
            source: Ipv6Addr::from(*header[8..].first_chunk::<16>()?).into(),
            destination: Ipv6Addr::from(*header[24..].first_chunk::<16>()?).into(),
            protocol,
            ecn: header[1] >> 4 & 3,
            length: bytes.len(),
            fragment,
            transport: transport(protocol, rest),
        })
    }
}

/// The flag "more fragments" of IPv4.
const MORE: u16 = 0x2000;
/// The fragment offset of IPv4.
const OFFSET: u16 = 0x1fff;

/// RFC 8200 section 4.5.
fn piece(header: [u8; 8]) -> Piece {
    let [.., high, low, a, b, c, d] = header;
    Piece {
        identification: u32::from_be_bytes([a, b, c, d]),
        is_first: u16::from_be_bytes([high, low]) & 0xfff8 == 0,
    }
}

fn transport(protocol: IpProtocol, bytes: &[u8]) -> Transport {
    match protocol {
        IpProtocol::TCP => tcp(bytes),
        IpProtocol::UDP => udp(bytes),
        IpProtocol::ICMP => icmp(bytes, [8, 0]),
        IpProtocol::ICMPV6 => icmp(bytes, [128, 129]),
        _ => None,
    }
    .unwrap_or(Transport::Other)
}

/// RFC 9293 section 3.1.
fn tcp(bytes: &[u8]) -> Option<Transport> {
    let header: &[u8; 20] = bytes.first_chunk()?;
    let length = usize::from(header[12] >> 4) * 4;
    Some(Transport::Tcp {
        source: u16::from_be_bytes([header[0], header[1]]),
        destination: u16::from_be_bytes([header[2], header[3]]),
        flags: TcpFlags(u16::from_be_bytes([header[12] & 1, header[13]])),
        sequence: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
        data: bytes.len().saturating_sub(length),
    })
}

/// RFC 768.
fn udp(bytes: &[u8]) -> Option<Transport> {
    let header: &[u8; 8] = bytes.first_chunk()?;
    Some(Transport::Udp {
        source: u16::from_be_bytes([header[0], header[1]]),
        destination: u16::from_be_bytes([header[2], header[3]]),
        data: bytes.len() - header.len(),
    })
}

/// RFC 792, RFC 4443.
fn icmp(bytes: &[u8], echo: [u8; 2]) -> Option<Transport> {
    let kind = *bytes.first()?;
    let identifier = bytes.get(4..6)?;
    Some(Transport::Icmp {
        kind,
        identifier: echo
            .contains(&kind)
            .then(|| u16::from_be_bytes([identifier[0], identifier[1]])),
    })
}
