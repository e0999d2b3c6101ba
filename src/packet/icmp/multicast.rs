//! IPv6 multicast listener discovery (RFC 2710, RFC 3810).

use super::IcmpBody;
use crate::packet::cursor::Cursor;

/// Reads a message of type 130, 131, 132 or 143 from behind its checksum.
pub(super) fn body(c: &mut Cursor<'_>, kind: u8) -> Option<IcmpBody> {
    if kind == 143 {
        c.bytes(2, "icmpv6.reserved", "reserved")?;
        let records = c.u16("icmpv6.mldr.nb_mcast_records", "records")?;
        for _ in 0..records {
            record(c)?;
        }
        return Some(IcmpBody::Other);
    }
    c.u16(
        "icmpv6.mld.maximum_response_delay",
        "maximum response delay",
    )?;
    c.meaning("milliseconds");
    c.bytes(2, "icmpv6.reserved", "reserved")?;
    c.ipv6("icmpv6.mld.multicast_address", "group")?;
    Some(IcmpBody::Other)
}

fn record(c: &mut Cursor<'_>) -> Option<()> {
    let auxiliary = c.peek(1).map_or(0, |words| usize::from(words) * 4);
    let sources = u16::from_be_bytes([c.peek(2).unwrap_or(0), c.peek(3).unwrap_or(0)]);
    let length = 20 + 16 * usize::from(sources) + auxiliary;
    if length > c.remaining() {
        c.fault_short("multicast address record", length - c.remaining());
    }
    if c.remaining() == 0 {
        return None;
    }
    c.group(
        length,
        ("icmpv6.mldr.mar", "multicast address record"),
        |c| {
            let kind = c.u8("icmpv6.mldr.mar.record_type", "type")?;
            c.meaning(match kind {
                1 => "is include",
                2 => "is exclude",
                3 => "change to include",
                4 => "change to exclude",
                5 => "allow new sources",
                6 => "block old sources",
                _ => "unknown",
            });
            c.u8("icmpv6.mldr.mar.aux_data_len", "auxiliary words")?;
            c.u16("icmpv6.mldr.mar.nb_sources", "sources")?;
            c.ipv6("icmpv6.mldr.mar.multicast_address", "group")?;
            for _ in 0..sources {
                c.ipv6("icmpv6.mldr.mar.source_address", "source")?;
            }
            c.rest("icmpv6.mldr.mar.auxiliary_data", "auxiliary data");
            Some(())
        },
    );
    Some(())
}
