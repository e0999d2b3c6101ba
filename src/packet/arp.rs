//! ARP over Ethernet for IPv4 (RFC 826).

use std::net::Ipv4Addr;

use super::cursor::Cursor;
use super::ethernet::HardwareAddress;

/// An ARP message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArpHeader {
    /// 1 asks, 2 answers.
    pub operation: u16,
    /// Who speaks.
    pub sender: (HardwareAddress, Ipv4Addr),
    /// Whom it is about.
    pub target: (HardwareAddress, Ipv4Addr),
}

pub(super) fn dissect(c: &mut Cursor<'_>) -> Option<ArpHeader> {
    let hardware = c.u16("arp.hw.type", "hardware type")?;
    let protocol = c.hex16("arp.proto.type", "protocol type")?;
    let hardware_size = c.u8("arp.hw.size", "hardware size")?;
    let protocol_size = c.u8("arp.proto.size", "protocol size")?;
    let operation = c.u16("arp.opcode", "operation")?;
    match operation {
        1 => c.meaning("request"),
        2 => c.meaning("reply"),
        _ => {}
    }
    if (hardware, protocol, hardware_size, protocol_size) != (1, 0x0800, 6, 4) {
        c.rest("", "addresses");
        return None;
    }
    let sender_hardware = c.hardware("arp.src.hw_mac", "sender hardware")?;
    let sender = c.ipv4("arp.src.proto_ipv4", "sender")?;
    let target_hardware = c.hardware("arp.dst.hw_mac", "target hardware")?;
    let target = c.ipv4("arp.dst.proto_ipv4", "target")?;
    Some(ArpHeader {
        operation,
        sender: (sender_hardware, sender),
        target: (target_hardware, target),
    })
}
