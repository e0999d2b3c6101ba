//! The IPv6 fixed header (RFC 8200 section 3), and the traffic class that it
//! shares with IPv4 (RFC 2474, RFC 3168).
//!
//! Extension headers are `extension.rs`'s.

use std::net::Ipv6Addr;

use super::cursor::{Bits, Cursor};
use super::field::Fault;
use super::ip_protocol::IpProtocol;

/// An IPv6 fixed header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ipv6Header {
    /// DSCP, the upper six bits of the traffic class.
    pub dscp: u8,
    /// ECN, the lower two.
    pub ecn: u8,
    /// The flow label, 20 bits.
    pub flow_label: u32,
    /// Everything after this header in bytes, as stated.
    pub payload_length: u16,
    /// What follows this header: an extension header or the payload.
    pub next_header: IpProtocol,
    /// Hops left.
    pub hop_limit: u8,
    /// Who sent it.
    pub source: Ipv6Addr,
    /// Whom it is for next.
    pub destination: Ipv6Addr,
}

pub(super) fn dissect(c: &mut Cursor<'_>) -> Option<Ipv6Header> {
    const CLASS_PARTS: [Bits; 2] = [
        Bits::new("ipv6.tclass.dscp", "DSCP", 0x0fc0_0000),
        Bits::new("ipv6.tclass.ecn", "ECN", 0x0030_0000),
    ];
    const FIRST: [Bits; 1] = [Bits::new("ipv6.version", "version", 0xf0)];
    const CLASS: [Bits; 1] = [Bits::new("ipv6.tclass", "traffic class", 0x0ff0_0000).hex(2)];
    const FLOW: [Bits; 1] = [Bits::new("ipv6.flow", "flow label", 0x000f_ffff).hex(5)];
    let version = c.packed(1, &FIRST)? >> 4;
    if version != 6 {
        c.fault(Fault::Version {
            expected: "6",
            found: u8::try_from(version).unwrap_or_default(),
        });
    }
    c.step_back(1);
    let first = c.packed(4, &CLASS)?;
    let class = u8::try_from(first >> 20 & 0xff).unwrap_or_default();
    c.parts(first, &CLASS_PARTS);
    c.meaning(traffic_class(class));
    c.step_back(3);
    let flow = c.packed(3, &FLOW)? & 0x000f_ffff;
    let payload_length = c.u16("ipv6.plen", "payload length")?;
    let next_header = next_header(c, "ipv6.nxt")?;
    Some(Ipv6Header {
        dscp: class >> 2,
        ecn: class & 3,
        flow_label: flow,
        payload_length,
        next_header,
        hop_limit: c.u8("ipv6.hlim", "hop limit")?,
        source: c.ipv6("ipv6.src", "source")?,
        destination: c.ipv6("ipv6.dst", "destination")?,
    })
}

pub(super) fn next_header(c: &mut Cursor<'_>, key: &'static str) -> Option<IpProtocol> {
    let protocol = IpProtocol(c.u8(key, "next header")?);
    c.meaning(protocol.name().unwrap_or("unassigned"));
    Some(protocol)
}

/// What a traffic class (IPv4: type of service) asks for.
pub(super) fn traffic_class(class: u8) -> String {
    let ecn = match class & 3 {
        0 => "not ECN-capable",
        1 => "ECT(1)",
        2 => "ECT(0)",
        _ => "congestion experienced",
    };
    match class >> 2 {
        0 => format!("default, {ecn}"),
        46 => format!("expedited forwarding, {ecn}"),
        selector @ (8 | 16 | 24 | 32 | 40 | 48 | 56) => format!("CS{}, {ecn}", selector / 8),
        other => format!("DSCP {other}, {ecn}"),
    }
}
