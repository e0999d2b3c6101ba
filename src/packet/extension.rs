//! IPv6 extension headers: hop-by-hop and destination options, routing,
//! fragment (RFC 8200 section 4), segment routing (RFC 8754), and the
//! authentication header (RFC 4302).

use std::net::Ipv6Addr;

use super::cursor::{Bits, Cursor};
use super::ip_protocol::IpProtocol;
use super::ipv6::next_header;

/// An extension header other than the fragment header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtensionHeader {
    /// What follows it.
    pub next_header: IpProtocol,
    /// Whom the packet is for in the end, where a routing header keeps that for
    /// later.
    pub final_destination: Option<Ipv6Addr>,
}

/// The fragment header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FragmentHeader {
    /// What the reassembled packet goes on with.
    pub next_header: IpProtocol,
    /// Where this fragment's payload belongs, in bytes.
    pub offset: u16,
    /// Whether more fragments follow.
    pub more: bool,
    /// Which packet the fragment belongs to.
    pub identification: u32,
}

/// Hop-by-hop or destination options: the keys tell which.
pub(super) fn dissect_options(
    c: &mut Cursor<'_>,
    [next_key, length_key]: [&'static str; 2],
) -> Option<ExtensionHeader> {
    let next_header = next_header(c, next_key)?;
    let body = body_length(c, length_key, 8)?;
    c.within(body, |c| while option(c).is_some() {});
    Some(ExtensionHeader {
        next_header,
        final_destination: None,
    })
}

pub(super) fn dissect_routing(c: &mut Cursor<'_>) -> Option<ExtensionHeader> {
    let next_header = next_header(c, "ipv6.routing.nxt")?;
    let body = body_length(c, "ipv6.routing.len", 8)?;
    let final_destination = c.within(body, route);
    Some(ExtensionHeader {
        next_header,
        final_destination,
    })
}

pub(super) fn dissect_authentication(c: &mut Cursor<'_>) -> Option<ExtensionHeader> {
    let next_header = next_header(c, "ah.next_header")?;
    // Counted in words of four bytes, less two: unlike all others.
    let body = body_length(c, "ah.length", 4)?;
    c.within(body, |c| {
        c.bytes(2, "ah.reserved", "reserved")?;
        c.hex32("ah.spi", "security parameters index")?;
        c.u32("ah.sequence", "sequence")?;
        c.rest("ah.icv", "integrity check value");
        Some(())
    });
    Some(ExtensionHeader {
        next_header,
        final_destination: None,
    })
}

pub(super) fn dissect_fragment(c: &mut Cursor<'_>) -> Option<FragmentHeader> {
    const PLACE: [Bits; 3] = [
        Bits::new("ipv6.fraghdr.offset", "offset", 0xfff8),
        Bits::new("ipv6.fraghdr.reserved_bits", "reserved", 0x0006),
        Bits::new("ipv6.fraghdr.more", "more fragments", 0x0001),
    ];
    let next_header = next_header(c, "ipv6.fraghdr.nxt")?;
    c.hex8("ipv6.fraghdr.reserved_octet", "reserved")?;
    let place = c.packed(2, &PLACE)?;
    let offset = u16::try_from(place & 0xfff8).unwrap_or_default();
    c.explain("ipv6.fraghdr.offset", format!("byte {offset}"));
    let identification = c.hex32("ipv6.fraghdr.ident", "identification")?;
    Some(FragmentHeader {
        next_header,
        offset,
        more: place & 1 != 0,
        identification,
    })
}

/// Reads a header's length and returns how many bytes follow it. The length
/// leaves out the first eight bytes and counts in units of `unit`.
fn body_length(c: &mut Cursor<'_>, key: &'static str, unit: usize) -> Option<usize> {
    let stated = c.u8(key, "length")?;
    let body = 6 + unit * usize::from(stated);
    c.meaning(format!("{} bytes", body + 2));
    if body > c.remaining() {
        c.fault_short("extension header", body - c.remaining());
    }
    Some(body)
}

/// Reads one option; `None` at the end.
fn option(c: &mut Cursor<'_>) -> Option<()> {
    let kind = c.peek(0)?;
    let length = match (kind, c.peek(1)) {
        (0, _) => 1,
        (_, Some(length)) => 2 + usize::from(length),
        (_, None) => 2,
    };
    if length > c.remaining() {
        c.fault_option(kind, option_label(kind), length);
    }
    c.group(length, ("ipv6.opt", option_label(kind)), |c| {
        c.hex8("ipv6.opt.type", "type")?;
        if kind == 0 {
            return Some(());
        }
        c.u8("ipv6.opt.length", "length")?;
        match kind {
            1 => {
                c.rest("ipv6.opt.padn", "zeros");
            }
            5 => {
                c.u16("ipv6.opt.router_alert", "value")?;
                c.meaning("0 is MLD");
            }
            0xc2 => {
                c.u32("ipv6.opt.jumbo", "payload length")?;
            }
            _ => {
                c.rest("ipv6.opt.unknown", "data");
            }
        }
        Some(())
    });
    Some(())
}

fn option_label(kind: u8) -> &'static str {
    match kind {
        0 => "pad by one",
        1 => "pad",
        5 => "router alert",
        0xc2 => "jumbo payload",
        0xc9 => "home address",
        0x31 => "in-situ OAM",
        _ => "unknown option",
    }
}

/// The part of a routing header after its length.
fn route(c: &mut Cursor<'_>) -> Option<Ipv6Addr> {
    let kind = c.u8("ipv6.routing.type", "type")?;
    c.meaning(match kind {
        0 => "source route, deprecated by RFC 5095",
        2 => "mobile IPv6",
        3 => "RPL source route",
        4 => "segment routing",
        _ => "unknown",
    });
    let left = c.u8("ipv6.routing.segleft", "segments left")?;
    match kind {
        0 | 2 => {
            c.hex32("", "reserved")?;
            let route = addresses(c);
            route.last().copied().filter(|_| left > 0)
        }
        4 => {
            c.u8("ipv6.routing.srh.last_entry", "last entry")?;
            c.hex8("ipv6.routing.srh.flags", "flags")?;
            c.hex16("ipv6.routing.srh.tag", "tag")?;
            let route = addresses(c);
            route.first().copied().filter(|_| left > 0)
        }
        _ => {
            c.rest("", "data");
            None
        }
    }
}

fn addresses(c: &mut Cursor<'_>) -> Vec<Ipv6Addr> {
    let mut route = Vec::new();
    while c.remaining() >= 16 {
        route.extend(c.ipv6("", "address"));
    }
    c.rest("", "data");
    route
}
