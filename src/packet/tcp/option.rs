//! TCP options (RFC 9293 section 3.2, RFC 7323, 2018, 7413, 2385, 5925, 8684,
//! 5482).
//!
//! An option whose length does not suit its kind is kept as unknown, with a
//! fault.

use std::fmt;

use crate::packet::cursor::{Bits, Cursor};
use crate::packet::field::Fault;
use crate::packet::options::Naming;

/// A TCP option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TcpOption {
    /// The list ends here (0).
    EndOfList,
    /// Padding (1).
    NoOperation,
    /// The largest segment the sender takes, in bytes (2).
    MaximumSegmentSize(u16),
    /// By how many bits the sender's windows are shifted (3).
    WindowScale(u8),
    /// The sender understands selective acknowledgments (4).
    SackPermitted,
    /// Received blocks beyond the acknowledgment: first byte, byte after the
    /// last (5).
    Sack(Vec<(u32, u32)>),
    /// The sender's clock and the peer's last clock (8).
    Timestamps {
        /// TSval.
        value: u32,
        /// TSecr.
        echo: u32,
    },
    /// The MD5 signature (19).
    Md5Signature,
    /// How long unacknowledged data may stay (28), in seconds.
    UserTimeout(u32),
    /// The authentication option (29).
    Authentication,
    /// Multipath TCP, with its subtype (30).
    Multipath(u8),
    /// A fast open cookie; empty asks for one (34).
    FastOpen(Vec<u8>),
    /// A kind this version does not take apart, or one of a wrong length.
    Unknown(u8),
}

impl fmt::Display for TcpOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TcpOption::EndOfList => f.write_str("eol"),
            TcpOption::NoOperation => f.write_str("nop"),
            TcpOption::MaximumSegmentSize(size) => write!(f, "mss={size}"),
            TcpOption::WindowScale(shift) => write!(f, "wscale={shift}"),
            TcpOption::SackPermitted => f.write_str("sackOK"),
            TcpOption::Sack(blocks) => {
                f.write_str("sack=")?;
                for (index, (left, right)) in blocks.iter().enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    write!(f, "{comma}{left}..{right}")?;
                }
                Ok(())
            }
            TcpOption::Timestamps { value, echo } => write!(f, "ts={value} ecr={echo}"),
            TcpOption::Md5Signature => f.write_str("md5"),
            TcpOption::UserTimeout(seconds) => write!(f, "timeout={seconds}s"),
            TcpOption::Authentication => f.write_str("ao"),
            TcpOption::Multipath(subtype) => write!(f, "mptcp={subtype}"),
            TcpOption::FastOpen(cookie) if cookie.is_empty() => f.write_str("tfo=request"),
            TcpOption::FastOpen(cookie) => write!(f, "tfo={}", hex::encode(cookie)),
            TcpOption::Unknown(kind) => write!(f, "option-{kind}"),
        }
    }
}

pub(super) const NAMES: Naming = Naming {
    kind: "tcp.option_kind",
    length: "tcp.option_len",
    option: |kind| match kind {
        0 => ("tcp.options.eol", "end of options"),
        1 => ("tcp.options.nop", "no operation"),
        2 => ("tcp.options.mss", "maximum segment size"),
        3 => ("tcp.options.wscale", "window scale"),
        4 => ("tcp.options.sack_perm", "SACK permitted"),
        5 => ("tcp.options.sack", "selective acknowledgment"),
        8 => ("tcp.options.timestamp", "timestamps"),
        19 => ("tcp.options.md5", "MD5 signature"),
        28 => ("tcp.options.user_to", "user timeout"),
        29 => ("tcp.options.ao", "authentication"),
        30 => ("mptcp", "multipath TCP"),
        34 => ("tcp.options.tfo", "fast open"),
        _ => ("tcp.options.unknown", "unknown option"),
    },
};

/// Reads what follows an option's kind and length: `length` bytes.
pub(super) fn read(c: &mut Cursor<'_>, kind: u8, length: usize) -> TcpOption {
    if has_wrong_length(kind, length) {
        c.fault(Fault::OptionLength {
            kind,
            stated: length + 2,
        });
        c.rest("", "data");
        return TcpOption::Unknown(kind);
    }
    known(c, kind).unwrap_or(TcpOption::Unknown(kind))
}

fn has_wrong_length(kind: u8, length: usize) -> bool {
    match kind {
        2 | 28 => length != 2,
        3 => length != 1,
        4 => length != 0,
        5 => length == 0 || !length.is_multiple_of(8),
        8 => length != 8,
        19 => length != 16,
        29 => length < 2,
        30 => length < 1,
        34 => !length.is_multiple_of(2) || length > 16 || (1..4).contains(&length),
        _ => false,
    }
}

fn known(c: &mut Cursor<'_>, kind: u8) -> Option<TcpOption> {
    Some(match kind {
        0 => TcpOption::EndOfList,
        1 => TcpOption::NoOperation,
        2 => TcpOption::MaximumSegmentSize(c.u16("tcp.options.mss_val", "bytes")?),
        3 => {
            let shift = c.u8("tcp.options.wscale.shift", "shift")?;
            c.meaning(format!(
                "windows count {} bytes each",
                1_u32 << shift.min(14)
            ));
            TcpOption::WindowScale(shift)
        }
        4 => TcpOption::SackPermitted,
        5 => sack(c)?,
        8 => TcpOption::Timestamps {
            value: c.u32("tcp.options.timestamp.tsval", "value")?,
            echo: c.u32("tcp.options.timestamp.tsecr", "echo")?,
        },
        19 => {
            c.rest("tcp.options.md5.digest", "digest");
            TcpOption::Md5Signature
        }
        28 => user_timeout(c)?,
        29 => {
            c.u8("tcp.options.ao.keyid", "key")?;
            c.u8("tcp.options.ao.rnextkeyid", "next key")?;
            c.rest("tcp.options.ao.mac", "code");
            TcpOption::Authentication
        }
        30 => {
            const SUBTYPE: [Bits; 1] = [Bits::new("tcp.options.mptcp.subtype", "subtype", 0xf0)];
            let raw = c.packed(1, &SUBTYPE)?;
            c.rest("", "data");
            TcpOption::Multipath(u8::try_from(raw >> 4).unwrap_or_default())
        }
        34 => {
            let cookie = c.rest("tcp.options.tfo.cookie", "cookie");
            TcpOption::FastOpen(cookie.to_vec())
        }
        other => {
            c.rest("", "data");
            TcpOption::Unknown(other)
        }
    })
}

fn sack(c: &mut Cursor<'_>) -> Option<TcpOption> {
    let mut blocks = Vec::new();
    while c.remaining() >= 8 {
        let left = c.u32("tcp.options.sack_le", "left edge")?;
        let right = c.u32("tcp.options.sack_re", "right edge")?;
        blocks.push((left, right));
    }
    Some(TcpOption::Sack(blocks))
}

fn user_timeout(c: &mut Cursor<'_>) -> Option<TcpOption> {
    const PARTS: [Bits; 2] = [
        Bits::new("tcp.options.user_to_granularity", "in minutes", 0x8000),
        Bits::new("tcp.options.user_to_val", "timeout", 0x7fff),
    ];
    let raw = c.packed(2, &PARTS)?;
    let unit = if raw & 0x8000 == 0 { 1 } else { 60 };
    Some(TcpOption::UserTimeout((raw & 0x7fff) * unit))
}
