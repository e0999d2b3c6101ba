//! Ethernet II frames and VLAN tags (IEEE 802.3, 802.1Q, RFC 894).
//!
//! Owns the header up to the ether type; what follows is another file's.

use std::fmt;

use super::cursor::{Bits, Cursor};

/// A hardware (MAC) address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HardwareAddress(pub [u8; 6]);

impl fmt::Display for HardwareAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let colon = if index > 0 { ":" } else { "" };
            write!(f, "{colon}{byte:02x}")?;
        }
        Ok(())
    }
}

/// An Ethernet header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EthernetHeader {
    /// Whom it is for.
    pub destination: HardwareAddress,
    /// Who sent it.
    pub source: HardwareAddress,
    /// What follows; below 1536 it is a length instead (IEEE 802.3).
    pub ether_type: u16,
}

/// An 802.1Q tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VlanTag {
    /// Priority code point, 0 to 7.
    pub priority: u8,
    /// The VLAN, 0 to 4095.
    pub id: u16,
    /// What follows.
    pub ether_type: u16,
}

/// The ether types that are dissected further.
pub(super) mod ether_type {
    pub(in crate::packet) const IPV4: u16 = 0x0800;
    pub(in crate::packet) const ARP: u16 = 0x0806;
    pub(in crate::packet) const VLAN: u16 = 0x8100;
    pub(in crate::packet) const SERVICE_VLAN: u16 = 0x88a8;
    pub(in crate::packet) const IPV6: u16 = 0x86dd;
}

pub(super) fn dissect(c: &mut Cursor<'_>) -> Option<EthernetHeader> {
    let destination = c.hardware("eth.dst", "destination")?;
    let source = c.hardware("eth.src", "source")?;
    let ether_type = if is_length(c) {
        let length = c.u16("eth.len", "length")?;
        c.meaning("IEEE 802.3 length, not an ether type");
        length
    } else {
        read_ether_type(c, "eth.type")?
    };
    Some(EthernetHeader {
        destination,
        source,
        ether_type,
    })
}

pub(super) fn dissect_vlan(c: &mut Cursor<'_>) -> Option<VlanTag> {
    const TAG: [Bits; 3] = [
        Bits::new("vlan.priority", "priority", 0xe000),
        Bits::new("vlan.dei", "drop eligible", 0x1000),
        Bits::new("vlan.id", "VLAN", 0x0fff),
    ];
    let tag = c.packed(2, &TAG)?;
    let ether_type = read_ether_type(c, "vlan.etype")?;
    Some(VlanTag {
        priority: u8::try_from(tag >> 13).unwrap_or_default(),
        id: u16::try_from(tag & 0x0fff).unwrap_or_default(),
        ether_type,
    })
}

fn is_length(c: &Cursor<'_>) -> bool {
    matches!(
        (c.peek(0), c.peek(1)),
        (Some(high), Some(low)) if u16::from_be_bytes([high, low]) < 1536
    )
}

fn read_ether_type(c: &mut Cursor<'_>, key: &'static str) -> Option<u16> {
    let number = c.hex16(key, "type")?;
    if let Some(name) = name(number) {
        c.meaning(name);
    }
    Some(number)
}

fn name(number: u16) -> Option<&'static str> {
    Some(match number {
        ether_type::IPV4 => "IPv4",
        ether_type::ARP => "ARP",
        ether_type::VLAN => "802.1Q VLAN",
        ether_type::SERVICE_VLAN => "802.1ad VLAN",
        ether_type::IPV6 => "IPv6",
        0x88cc => "LLDP",
        0x888e => "802.1X",
        _ => return None,
    })
}
