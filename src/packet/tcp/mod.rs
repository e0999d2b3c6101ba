//! The TCP header (RFC 9293 section 3.1, RFC 3168, RFC 9768 for the AE flag).
//!
//! Sequence numbers are the packet's own; relative ones need a conversation.

mod option;

use std::fmt;

use super::checksum::Status;
use super::cursor::{Bits, Cursor, hexadecimal};
use super::datagram::Datagram;
use super::field::Fault;
use super::options;

pub use option::TcpOption;

/// A TCP header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcpHeader {
    /// The port it comes from.
    pub source_port: u16,
    /// The port it is for.
    pub destination_port: u16,
    /// The number of the first byte, or of the SYN.
    pub sequence: u32,
    /// The number of the byte that is expected next, if the ACK flag is set.
    pub acknowledgment: u32,
    /// Header length in bytes, as stated: 20 to 60.
    pub header_length: u8,
    /// The flags.
    pub flags: TcpFlags,
    /// The receive window as sent, not yet scaled.
    pub window: u16,
    /// The checksum as sent.
    pub checksum: u16,
    /// Where urgent data ends, if the URG flag is set.
    pub urgent_pointer: u16,
    /// The options.
    pub options: Vec<TcpOption>,
}

/// The TCP flags, the AE bit included, as their twelve bits stand in the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TcpFlags(pub u16);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x001);
    /// Synchronize sequence numbers.
    pub const SYN: Self = Self(0x002);
    /// Reset the connection.
    pub const RST: Self = Self(0x004);
    /// Hand the data to the program.
    pub const PSH: Self = Self(0x008);
    /// The acknowledgment number counts.
    pub const ACK: Self = Self(0x010);
    /// The urgent pointer counts.
    pub const URG: Self = Self(0x020);
    /// Congestion was experienced (RFC 3168).
    pub const ECE: Self = Self(0x040);
    /// The congestion window was reduced (RFC 3168).
    pub const CWR: Self = Self(0x080);
    /// Accurate ECN (RFC 9768), formerly the nonce sum.
    pub const AE: Self = Self(0x100);

    const NAMES: [(Self, &'static str); 9] = [
        (Self::FIN, "FIN"),
        (Self::SYN, "SYN"),
        (Self::RST, "RST"),
        (Self::PSH, "PSH"),
        (Self::ACK, "ACK"),
        (Self::URG, "URG"),
        (Self::ECE, "ECE"),
        (Self::CWR, "CWR"),
        (Self::AE, "AE"),
    ];

    /// Whether all flags of `other` are set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The names of the flags that are set, lowest bit first.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES
            .into_iter()
            .filter(move |(flag, _)| self.contains(*flag))
            .map(|(_, name)| name)
    }
}

impl std::ops::BitOr for TcpFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for TcpFlags {
    /// As Wireshark: `SYN, ACK`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.names().collect();
        f.pad(&if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        })
    }
}

const OFFSET: [Bits; 1] = [Bits::new("tcp.hdr_len", "header length", 0xf0).times(4)];

const FLAGS: [Bits; 10] = [
    Bits::new("tcp.flags.res", "reserved", 0xe00),
    Bits::new("tcp.flags.ae", "accurate ECN", 0x100),
    Bits::new("tcp.flags.cwr", "congestion window reduced", 0x080),
    Bits::new("tcp.flags.ece", "ECN echo", 0x040),
    Bits::new("tcp.flags.urg", "urgent", 0x020),
    Bits::new("tcp.flags.ack", "acknowledgment", 0x010),
    Bits::new("tcp.flags.push", "push", 0x008),
    Bits::new("tcp.flags.reset", "reset", 0x004),
    Bits::new("tcp.flags.syn", "syn", 0x002),
    Bits::new("tcp.flags.fin", "fin", 0x001),
];

/// Reads the header, options included; also returns what its checksum is worth.
pub(super) fn dissect(c: &mut Cursor<'_>, datagram: &Datagram<'_>) -> Option<(TcpHeader, Status)> {
    let segment = c.remaining();
    let source_port = c.u16("tcp.srcport", "source port")?;
    let destination_port = c.u16("tcp.dstport", "destination port")?;
    let sequence = c.u32("tcp.seq_raw", "sequence number")?;
    let acknowledgment = c.u32("tcp.ack_raw", "acknowledgment number")?;
    let offset = c.packed(1, &OFFSET)?;
    c.step_back(1);
    let flags = flags(c)?;
    let window = c.u16("tcp.window_size_value", "window")?;
    let checksum = c.hex16("tcp.checksum", "checksum")?;
    let status = datagram.verify(segment, checksum);
    c.meaning(status.to_string());
    let urgent_pointer = c.u16("tcp.urgent_pointer", "urgent pointer")?;
    let header_length = u8::try_from((offset >> 4) * 4).unwrap_or_default();
    let options = options(c, header_length.into());
    let header = TcpHeader {
        source_port,
        destination_port,
        sequence,
        acknowledgment,
        header_length,
        flags,
        window,
        checksum,
        urgent_pointer,
        options,
    };
    Some((header, status))
}

fn flags(c: &mut Cursor<'_>) -> Option<TcpFlags> {
    let raw = c.u16("tcp.flags", "flags")? & 0x0fff;
    c.revalue(hexadecimal(raw.into(), 3));
    c.parts(raw.into(), &FLAGS);
    let flags = TcpFlags(raw);
    c.meaning(flags.to_string());
    Some(flags)
}

fn options(c: &mut Cursor<'_>, stated: usize) -> Vec<TcpOption> {
    if stated < 20 {
        c.fault(Fault::TooSmall {
            field: "header length",
            stated,
            minimum: 20,
        });
    }
    let length = stated.saturating_sub(20);
    let missing = length.saturating_sub(c.remaining());
    if missing > 0 {
        c.fault_short("options", missing);
    }
    c.within(length, |c| options::walk(c, &option::NAMES, option::read))
}

impl TcpHeader {
    /// The maximum segment size announced, in bytes.
    pub fn maximum_segment_size(&self) -> Option<u16> {
        self.options.iter().find_map(|option| match option {
            TcpOption::MaximumSegmentSize(size) => Some(*size),
            _ => None,
        })
    }

    /// The window scale announced: a shift, at most 14 (RFC 7323).
    pub fn window_scale(&self) -> Option<u8> {
        self.options.iter().find_map(|option| match option {
            TcpOption::WindowScale(shift) => Some(*shift),
            _ => None,
        })
    }
}
