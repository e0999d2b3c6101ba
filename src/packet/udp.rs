//! The UDP header (RFC 768; over IPv6, RFC 8200 section 8.1).

use super::checksum::{Reason, Status};
use super::cursor::Cursor;
use super::datagram::Datagram;
use super::field::Fault;

/// A UDP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UdpHeader {
    /// The port it comes from; 0 where no answer is wanted.
    pub source_port: u16,
    /// The port it is for.
    pub destination_port: u16,
    /// Header and payload in bytes, as stated.
    pub length: u16,
}

/// Reads the header; also returns how many payload bytes belong to it, and what
/// its checksum is worth.
pub(super) fn dissect(
    c: &mut Cursor<'_>,
    datagram: &Datagram<'_>,
) -> Option<(UdpHeader, usize, Status)> {
    let source_port = c.u16("udp.srcport", "source port")?;
    let destination_port = c.u16("udp.dstport", "destination port")?;
    let length = c.u16("udp.length", "length")?;
    let checksum = c.hex16("udp.checksum", "checksum")?;
    let payload = payload_length(c, datagram, length);
    let status = if checksum == 0 && datagram.addresses.source.is_ipv6() && datagram.is_whole() {
        c.fault(Fault::NoChecksum);
        Status::Unverified(Reason::Absent)
    } else if checksum == 0 {
        Status::Unverified(Reason::Absent)
    } else {
        match datagram.verify(8 + payload, checksum) {
            // Zero would say that there is none.
            Status::Bad { expected: 0 } => Status::Bad { expected: u16::MAX },
            status => status,
        }
    };
    c.meaning(status.to_string());
    let header = UdpHeader {
        source_port,
        destination_port,
        length,
    };
    Some((header, payload, status))
}

fn payload_length(c: &mut Cursor<'_>, datagram: &Datagram<'_>, length: u16) -> usize {
    let stated = usize::from(length);
    let available = 8 + c.remaining();
    // Zero is a jumbogram (RFC 2675) or a segment the device has yet to cut.
    if stated == 0 {
        return c.remaining();
    }
    if stated < 8 {
        c.fault(Fault::TooSmall {
            field: "length",
            stated,
            minimum: 8,
        });
        return c.remaining();
    }
    if stated > available && datagram.is_whole() {
        c.fault(Fault::TooLarge {
            field: "length",
            stated,
            available,
        });
    }
    stated.min(available) - 8
}
