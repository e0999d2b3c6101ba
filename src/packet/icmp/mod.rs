//! ICMP (RFC 792, RFC 1191, RFC 4884) and ICMPv6 (RFC 4443): one path, with the
//! family as its parameter.
//!
//! A packet quoted inside an error is the pass's to dissect; this file says
//! only where it begins and ends.

mod discovery;
mod multicast;
mod names;

use std::net::IpAddr;

use super::checksum::Status;
use super::cursor::Cursor;
use super::datagram::Datagram;

/// Which of the two protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IcmpFamily {
    /// ICMP, over IPv4.
    V4,
    /// ICMPv6.
    V6,
}

/// An ICMP or ICMPv6 header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IcmpHeader {
    /// Which of the two protocols: their types differ.
    pub family: IcmpFamily,
    /// The type.
    pub kind: u8,
    /// The code: what it means depends on the type.
    pub code: u8,
    /// What follows them.
    pub body: IcmpBody,
}

/// What an ICMP message says beyond its type and code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IcmpBody {
    /// An echo request or reply.
    Echo {
        /// Which of the two.
        request: bool,
        /// Who asks.
        identifier: u16,
        /// Which request.
        sequence: u16,
    },
    /// The destination cannot be reached.
    Unreachable {
        /// The next hop's MTU, where that is why (RFC 1191).
        mtu: Option<u16>,
    },
    /// The packet is larger than the next hop's MTU (ICMPv6).
    PacketTooBig {
        /// That MTU, in bytes.
        mtu: u32,
    },
    /// The hop limit ran out, or a fragment never came.
    TimeExceeded,
    /// A header makes no sense.
    ParameterProblem {
        /// At which byte of the quoted packet.
        pointer: u32,
    },
    /// There is a better way.
    Redirect {
        /// By way of this router.
        gateway: IpAddr,
    },
    /// Asks for, or announces, this address (RFC 4861).
    Neighbour {
        /// The address it is about.
        target: IpAddr,
    },
    /// Anything else, or cut before it could be read.
    Other,
}

impl IcmpHeader {
    /// The type's name, such as `echo request`.
    pub fn kind_name(&self) -> Option<&'static str> {
        names::kind(self.family, self.kind)
    }

    /// The code's name, such as `port unreachable`.
    pub fn code_name(&self) -> Option<&'static str> {
        names::code(self.family, self.kind, self.code)
    }

    /// Whether it reports an error and so quotes the packet at fault.
    pub fn is_error(&self) -> bool {
        is_error(self.family, self.kind)
    }
}

/// What comes after an ICMP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// Data.
    Data,
    /// The packet at fault; where a length is given, extensions follow it.
    Quote(Option<usize>),
}

/// Reads the header; also returns what its checksum is worth and what follows.
pub(super) fn dissect(
    c: &mut Cursor<'_>,
    datagram: &Datagram<'_>,
    family: IcmpFamily,
) -> Option<(IcmpHeader, Status, After)> {
    let length = c.remaining();
    let [kind_key, code_key, checksum_key] = match family {
        IcmpFamily::V4 => ["icmp.type", "icmp.code", "icmp.checksum"],
        IcmpFamily::V6 => ["icmpv6.type", "icmpv6.code", "icmpv6.checksum"],
    };
    let kind = c.u8(kind_key, "type")?;
    c.meaning(names::kind(family, kind).unwrap_or("unknown"));
    let code = c.u8(code_key, "code")?;
    if let Some(name) = names::code(family, kind, code) {
        c.meaning(name);
    }
    let found = c.hex16(checksum_key, "checksum")?;
    let status = match family {
        IcmpFamily::V4 => datagram.verify_alone(length, found),
        IcmpFamily::V6 => datagram.verify(length, found),
    };
    c.meaning(status.to_string());
    let (body, after) = match family {
        IcmpFamily::V4 => body_v4(c, kind, code),
        IcmpFamily::V6 => body_v6(c, kind),
    }
    .unwrap_or((IcmpBody::Other, After::Data));
    let header = IcmpHeader {
        family,
        kind,
        code,
        body,
    };
    Some((header, status, after))
}

fn is_error(family: IcmpFamily, kind: u8) -> bool {
    match family {
        IcmpFamily::V4 => matches!(kind, 3 | 4 | 5 | 11 | 12),
        IcmpFamily::V6 => kind < 128,
    }
}

fn body_v4(c: &mut Cursor<'_>, kind: u8, code: u8) -> Option<(IcmpBody, After)> {
    Some(match kind {
        0 | 8 => (echo(c, kind == 8, ["icmp.ident", "icmp.seq"])?, After::Data),
        3 if code == 4 => {
            let quote = unused(c, ["icmp.unused", "icmp.length"], (2, 1, 4))?;
            let mtu = Some(c.u16("icmp.mtu", "next hop's MTU")?);
            (IcmpBody::Unreachable { mtu }, quote)
        }
        3 => {
            let quote = unused(c, ["icmp.unused", "icmp.length"], (4, 1, 4))?;
            (IcmpBody::Unreachable { mtu: None }, quote)
        }
        5 => {
            let gateway = c.ipv4("icmp.redir_gw", "gateway")?.into();
            (IcmpBody::Redirect { gateway }, After::Quote(None))
        }
        11 => {
            let quote = unused(c, ["icmp.unused", "icmp.length"], (4, 1, 4))?;
            (IcmpBody::TimeExceeded, quote)
        }
        12 => {
            let pointer = c.u8("icmp.pointer", "pointer")?.into();
            let quote = unused(c, ["icmp.unused", "icmp.length"], (3, 0, 4))?;
            (IcmpBody::ParameterProblem { pointer }, quote)
        }
        4 => {
            c.bytes(4, "icmp.unused", "unused")?;
            (IcmpBody::Other, After::Quote(None))
        }
        13 | 14 => {
            c.u16("icmp.ident", "identifier")?;
            c.u16("icmp.seq", "sequence")?;
            c.u32("icmp.originate_timestamp", "originated")?;
            c.u32("icmp.receive_timestamp", "received")?;
            c.u32("icmp.transmit_timestamp", "transmitted")?;
            (IcmpBody::Other, After::Data)
        }
        _ => {
            c.hex32("", "rest of the header")?;
            (IcmpBody::Other, After::Data)
        }
    })
}

fn body_v6(c: &mut Cursor<'_>, kind: u8) -> Option<(IcmpBody, After)> {
    Some(match kind {
        1 | 3 => {
            let quote = unused(c, ["icmpv6.reserved", "icmpv6.length"], (4, 0, 8))?;
            let body = if kind == 1 {
                IcmpBody::Unreachable { mtu: None }
            } else {
                IcmpBody::TimeExceeded
            };
            (body, quote)
        }
        2 => {
            let mtu = c.u32("icmpv6.mtu", "next hop's MTU")?;
            (IcmpBody::PacketTooBig { mtu }, After::Quote(None))
        }
        4 => {
            let pointer = c.u32("icmpv6.pointer", "pointer")?;
            (IcmpBody::ParameterProblem { pointer }, After::Quote(None))
        }
        0..=127 => {
            c.bytes(4, "icmpv6.reserved", "reserved")?;
            (IcmpBody::Other, After::Quote(None))
        }
        128 | 129 => {
            let keys = ["icmpv6.echo.identifier", "icmpv6.echo.sequence_number"];
            (echo(c, kind == 128, keys)?, After::Data)
        }
        130..=132 | 143 => (multicast::body(c, kind)?, After::Data),
        133..=137 => (discovery::body(c, kind)?, After::Data),
        _ => {
            c.hex32("", "rest of the header")?;
            (IcmpBody::Other, After::Data)
        }
    })
}

fn echo(c: &mut Cursor<'_>, request: bool, keys: [&'static str; 2]) -> Option<IcmpBody> {
    let [identifier_key, sequence_key] = keys;
    Some(IcmpBody::Echo {
        request,
        identifier: c.u16(identifier_key, "identifier")?,
        sequence: c.u16(sequence_key, "sequence")?,
    })
}

/// Bytes without a use, one of which says how much of the packet at fault is
/// quoted before extensions; zero says nothing (RFC 4884). `shape` is how many
/// bytes, which of them, and in units of how many bytes it counts.
fn unused(
    c: &mut Cursor<'_>,
    [unused_key, length_key]: [&'static str; 2],
    (size, place, unit): (usize, usize, usize),
) -> Option<After> {
    if c.peek(place).unwrap_or_default() == 0 {
        c.bytes(size, unused_key, "unused")?;
        return Some(After::Quote(None));
    }
    c.bytes(place, unused_key, "unused")?;
    let words = usize::from(c.u8(length_key, "length of the quote")?);
    c.meaning(format!("{} bytes", words * unit));
    c.bytes(size - place - 1, unused_key, "unused")?;
    Some(After::Quote(Some(words * unit)))
}
