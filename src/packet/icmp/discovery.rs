//! IPv6 neighbour discovery: solicitations, advertisements, redirects and their
//! options (RFC 4861, RFC 8106).

use super::IcmpBody;
use crate::packet::cursor::{Bits, Cursor};

/// Reads a message of type 133 to 137 from behind its checksum.
pub(super) fn body(c: &mut Cursor<'_>, kind: u8) -> Option<IcmpBody> {
    let body = match kind {
        133 => {
            c.bytes(4, "icmpv6.reserved", "reserved")?;
            IcmpBody::Other
        }
        134 => router_advertisement(c)?,
        135 => {
            c.bytes(4, "icmpv6.reserved", "reserved")?;
            let target = c.ipv6("icmpv6.nd.ns.target_address", "target")?.into();
            IcmpBody::Neighbour { target }
        }
        136 => neighbour_advertisement(c)?,
        _ => {
            c.bytes(4, "icmpv6.reserved", "reserved")?;
            let gateway = c.ipv6("icmpv6.nd.rd.target_address", "gateway")?.into();
            c.ipv6("icmpv6.rd.na.destination_address", "destination")?;
            IcmpBody::Redirect { gateway }
        }
    };
    while option(c).is_some() {}
    Some(body)
}

fn router_advertisement(c: &mut Cursor<'_>) -> Option<IcmpBody> {
    const FLAGS: [Bits; 2] = [
        Bits::new("icmpv6.nd.ra.flag.m", "managed addresses", 0x80),
        Bits::new("icmpv6.nd.ra.flag.o", "other configuration", 0x40),
    ];
    c.u8("icmpv6.nd.ra.cur_hop_limit", "hop limit")?;
    let flags = c.hex8("icmpv6.nd.ra.flag", "flags")?;
    c.parts(flags.into(), &FLAGS);
    c.u16("icmpv6.nd.ra.router_lifetime", "router lifetime")?;
    c.meaning("seconds");
    c.u32("icmpv6.nd.ra.reachable_time", "reachable time")?;
    c.meaning("milliseconds");
    c.u32("icmpv6.nd.ra.retrans_timer", "retransmission timer")?;
    c.meaning("milliseconds");
    Some(IcmpBody::Other)
}

fn neighbour_advertisement(c: &mut Cursor<'_>) -> Option<IcmpBody> {
    const FLAGS: [Bits; 3] = [
        Bits::new("icmpv6.nd.na.flag.r", "router", 0x8000_0000),
        Bits::new("icmpv6.nd.na.flag.s", "solicited", 0x4000_0000),
        Bits::new("icmpv6.nd.na.flag.o", "override", 0x2000_0000),
    ];
    let flags = c.hex32("icmpv6.nd.na.flag", "flags")?;
    c.parts(flags, &FLAGS);
    let target = c.ipv6("icmpv6.nd.na.target_address", "target")?.into();
    Some(IcmpBody::Neighbour { target })
}

/// Reads one option; `None` at the end.
fn option(c: &mut Cursor<'_>) -> Option<()> {
    let kind = c.peek(0)?;
    let units = c.peek(1).map_or(1, usize::from);
    let length = 8 * units;
    let label = match kind {
        1 => "source link-layer address",
        2 => "target link-layer address",
        3 => "prefix information",
        4 => "redirected header",
        5 => "MTU",
        14 => "nonce",
        25 => "recursive DNS servers",
        31 => "DNS search list",
        _ => "unknown option",
    };
    if length == 0 || length > c.remaining() {
        c.fault_option(kind, label, length);
        c.rest("", label);
        c.meaning("impossible length");
        return None;
    }
    c.group(length, ("icmpv6.opt", label), |c| {
        c.u8("icmpv6.opt.type", "type")?;
        c.u8("icmpv6.opt.length", "length")?;
        c.meaning(format!("{length} bytes"));
        match (kind, units) {
            (1, 1) => {
                c.hardware("icmpv6.opt.src_linkaddr", "address")?;
            }
            (2, 1) => {
                c.hardware("icmpv6.opt.target_linkaddr", "address")?;
            }
            (3, 4) => prefix(c)?,
            (5, 1) => {
                c.bytes(2, "icmpv6.opt.reserved", "reserved")?;
                c.u32("icmpv6.opt.mtu", "bytes")?;
            }
            _ => {
                c.rest("", "data");
            }
        }
        Some(())
    });
    Some(())
}

fn prefix(c: &mut Cursor<'_>) -> Option<()> {
    const FLAGS: [Bits; 2] = [
        Bits::new("icmpv6.opt.prefix.flag.l", "on-link", 0x80),
        Bits::new("icmpv6.opt.prefix.flag.a", "autonomous", 0x40),
    ];
    c.u8("icmpv6.opt.prefix.length", "prefix length")?;
    let flags = c.hex8("icmpv6.opt.prefix.flag", "flags")?;
    c.parts(flags.into(), &FLAGS);
    c.u32("icmpv6.opt.prefix.valid_lifetime", "valid lifetime")?;
    c.u32("icmpv6.opt.prefix.preferred_lifetime", "preferred lifetime")?;
    c.bytes(4, "icmpv6.opt.reserved", "reserved")?;
    c.ipv6("icmpv6.opt.prefix", "prefix")?;
    Some(())
}
