//! The IPv4 header and its options (RFC 791, RFC 2474, RFC 3168).
//!
//! Does not look past the header: fragments and payload are the pass's.

use std::net::Ipv4Addr;

use super::checksum::{Reason, Status, Sum};
use super::cursor::{Bits, Cursor};
use super::field::Fault;
use super::ip_protocol::IpProtocol;
use super::ipv6::traffic_class;
use super::options::{self, Naming};

/// An IPv4 header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ipv4Header {
    /// Header length in bytes, as stated: 20 to 60.
    pub header_length: u8,
    /// DSCP, the upper six bits of the former type of service (RFC 2474).
    pub dscp: u8,
    /// ECN, the lower two bits (RFC 3168).
    pub ecn: u8,
    /// Header and payload in bytes, as stated.
    pub total_length: u16,
    /// Which datagram a fragment belongs to.
    pub identification: u16,
    /// The DF flag.
    pub dont_fragment: bool,
    /// The MF flag.
    pub more_fragments: bool,
    /// Where this fragment's payload belongs, in bytes.
    pub fragment_offset: u16,
    /// Time to live, in hops.
    pub ttl: u8,
    /// What follows.
    pub protocol: IpProtocol,
    /// Who sent it.
    pub source: Ipv4Addr,
    /// Whom it is for next.
    pub destination: Ipv4Addr,
    /// The options.
    pub options: Vec<Ipv4Option>,
}

impl Ipv4Header {
    /// Whom it is for in the end, which a source route keeps for later. The
    /// pseudo header holds this address.
    pub fn final_destination(&self) -> Ipv4Addr {
        self.options
            .iter()
            .find_map(|option| match option {
                Ipv4Option::SourceRoute { remaining, .. } => remaining.last().copied(),
                _ => None,
            })
            .unwrap_or(self.destination)
    }
}

/// An IPv4 option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ipv4Option {
    /// The list ends here (0).
    EndOfList,
    /// Padding (1).
    NoOperation,
    /// Routers note their addresses (7).
    RecordRoute,
    /// Routers note their clocks (68).
    Timestamp,
    /// Where to go by way of (131 loose, 137 strict).
    SourceRoute {
        /// The addresses that are still ahead.
        remaining: Vec<Ipv4Addr>,
    },
    /// Routers have a look at the packet (148, RFC 2113).
    RouterAlert,
    /// A type this version does not take apart.
    Unknown(u8),
}

const VERSION_AND_LENGTH: [Bits; 2] = [
    Bits::new("ip.version", "version", 0xf0),
    Bits::new("ip.hdr_len", "header length", 0x0f).times(4),
];

const OPTION_NAMES: Naming = Naming {
    kind: "ip.opt.type",
    length: "ip.opt.len",
    option: |kind| match kind {
        0 => ("ip.options.eol", "end of options"),
        1 => ("ip.options.nop", "no operation"),
        7 => ("ip.options.record_route", "record route"),
        68 => ("ip.options.timestamp", "timestamp"),
        130 => ("ip.options.security", "security"),
        131 => ("ip.options.route", "loose source route"),
        134 => ("ip.options.cipso", "commercial security"),
        136 => ("ip.options.sid", "stream identifier"),
        137 => ("ip.options.source_route", "strict source route"),
        148 => ("ip.options.routeralert", "router alert"),
        _ => ("", "unknown option"),
    },
};

/// Reads the header. `pending` says that the device still has to fill in its
/// checksum.
pub(super) fn dissect(
    c: &mut Cursor<'_>,
    frame: &[u8],
    pending: bool,
) -> (Option<Ipv4Header>, Option<Status>) {
    let start = c.at();
    let mut checksum = None;
    let header = read(c).map(|(mut header, found)| {
        let stated = usize::from(header.header_length);
        if stated < 20 {
            c.fault(Fault::TooSmall {
                field: "header length",
                stated,
                minimum: 20,
            });
        }
        let length = stated.saturating_sub(20);
        let missing = length.saturating_sub(c.remaining());
        header.options = c.within(length, |c| options::walk(c, &OPTION_NAMES, option));
        if missing > 0 {
            c.fault_short("options", missing);
        }
        let status = if missing > 0 || stated < 20 {
            Status::Unverified(Reason::Truncated)
        } else if pending && found == 0 {
            Status::Unverified(Reason::Offloaded)
        } else {
            Status::judge(Sum::new().bytes(&frame[start..c.at()]), found)
        };
        c.explain("ip.checksum", status.to_string());
        checksum = Some(status);
        header
    });
    (header, checksum)
}

fn read(c: &mut Cursor<'_>) -> Option<(Ipv4Header, u16)> {
    let first = c.packed(1, &VERSION_AND_LENGTH)?;
    if first >> 4 != 4 {
        c.fault(Fault::Version {
            expected: "4",
            found: u8::try_from(first >> 4).unwrap_or_default(),
        });
    }
    let (dscp, ecn) = services(c)?;
    let total_length = c.u16("ip.len", "total length")?;
    let identification = c.hex16("ip.id", "identification")?;
    let (flags, fragment_offset) = fragmentation(c)?;
    let ttl = c.u8("ip.ttl", "time to live")?;
    let protocol = IpProtocol(c.u8("ip.proto", "protocol")?);
    c.meaning(protocol.name().unwrap_or("unassigned"));
    let checksum = c.hex16("ip.checksum", "header checksum")?;
    let source = c.ipv4("ip.src", "source")?;
    let destination = c.ipv4("ip.dst", "destination")?;
    let header = Ipv4Header {
        header_length: u8::try_from((first & 0x0f) * 4).unwrap_or_default(),
        dscp,
        ecn,
        total_length,
        identification,
        dont_fragment: flags & 0x40 != 0,
        more_fragments: flags & 0x20 != 0,
        fragment_offset,
        ttl,
        protocol,
        source,
        destination,
        options: Vec::new(),
    };
    Some((header, checksum))
}

fn services(c: &mut Cursor<'_>) -> Option<(u8, u8)> {
    const PARTS: [Bits; 2] = [
        Bits::new("ip.dsfield.dscp", "DSCP", 0xfc),
        Bits::new("ip.dsfield.ecn", "ECN", 0x03),
    ];
    let raw = c.hex8("ip.dsfield", "differentiated services")?;
    c.parts(raw.into(), &PARTS);
    c.meaning(traffic_class(raw));
    Some((raw >> 2, raw & 3))
}

/// The flags' byte as it is, and the offset in bytes.
fn fragmentation(c: &mut Cursor<'_>) -> Option<(u8, u16)> {
    const FLAGS: [Bits; 3] = [
        Bits::new("ip.flags.rb", "reserved bit", 0x4),
        Bits::new("ip.flags.df", "don't fragment", 0x2),
        Bits::new("ip.flags.mf", "more fragments", 0x1),
    ];
    const OFFSET: [Bits; 1] = [Bits::new("ip.frag_offset", "fragment offset", 0x1fff)];
    let flags = c.hex8("ip.flags", "flags")?;
    c.revalue(super::cursor::hexadecimal(u64::from(flags >> 5), 1));
    c.parts(u32::from(flags >> 5), &FLAGS);
    c.meaning(match flags >> 5 {
        0 => "none",
        1 => "more fragments",
        2 => "don't fragment",
        3 => "don't fragment, more fragments",
        _ => "reserved bit set",
    });
    c.step_back(1);
    let raw = c.packed(2, &OFFSET)?;
    let offset = u16::try_from((raw & 0x1fff) * 8).unwrap_or_default();
    if offset > 0 {
        c.meaning(format!("byte {offset}"));
    }
    Some((flags, offset))
}

fn option(c: &mut Cursor<'_>, kind: u8, length: usize) -> Ipv4Option {
    match kind {
        0 => Ipv4Option::EndOfList,
        1 => Ipv4Option::NoOperation,
        7 => {
            route(c, length);
            Ipv4Option::RecordRoute
        }
        131 | 137 => Ipv4Option::SourceRoute {
            remaining: route(c, length),
        },
        68 => {
            c.u8("ip.opt.ptr", "pointer");
            c.packed(
                1,
                &[
                    Bits::new("ip.opt.overflow", "overflow", 0xf0),
                    Bits::new("ip.opt.flag", "flag", 0x0f),
                ],
            );
            c.rest("", "entries");
            Ipv4Option::Timestamp
        }
        148 => {
            c.u16("ip.opt.ra", "value");
            Ipv4Option::RouterAlert
        }
        other => {
            c.rest("", "data");
            Ipv4Option::Unknown(other)
        }
    }
}

/// Reads a route and returns the addresses at and after its pointer, which
/// counts from the option's first byte, starting with 1.
fn route(c: &mut Cursor<'_>, length: usize) -> Vec<Ipv4Addr> {
    let Some(pointer) = c.u8("ip.opt.ptr", "pointer") else {
        return Vec::new();
    };
    let mut remaining = Vec::new();
    for index in 0..length.saturating_sub(1) / 4 {
        if let Some(address) = c.ipv4("", "address")
            && 4 + 4 * index >= usize::from(pointer)
        {
            remaining.push(address);
        }
    }
    remaining
}
