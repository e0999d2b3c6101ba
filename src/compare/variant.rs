//! The ways to send that are compared: kinds of socket, and variants of one.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::flow::Kind;

/// A kind of socket, or a variant of one: a column of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Variant {
    /// A stream socket.
    Tcp,
    /// A stream socket that sends small writes at once (`TCP_NODELAY`).
    TcpNodelay,
    /// A datagram socket, each datagram sent with its address.
    Udp,
    /// A datagram socket that was connected.
    UdpConnected,
    /// A raw socket that carries ICMP or ICMPv6 echo requests.
    RawIcmp,
    /// A raw socket that carries bare IP datagrams of a protocol of its own.
    RawIp,
    /// An ICMP datagram socket (`SOCK_DGRAM`, `IPPROTO_ICMP`; icmp(7)).
    IcmpDatagram,
}

impl Variant {
    /// All of them, in the order in which they stand side by side.
    pub const ALL: [Self; 7] = [
        Self::Tcp,
        Self::TcpNodelay,
        Self::Udp,
        Self::UdpConnected,
        Self::RawIcmp,
        Self::RawIp,
        Self::IcmpDatagram,
    ];

    /// Those that are compared where nothing else is asked for.
    pub const USUAL: [Self; 3] = [Self::Tcp, Self::Udp, Self::RawIcmp];

    /// As it is typed and as programs read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::TcpNodelay => "tcp-nodelay",
            Self::Udp => "udp",
            Self::UdpConnected => "udp-connected",
            Self::RawIcmp => "raw-icmp",
            Self::RawIp => "raw-ip",
            Self::IcmpDatagram => "icmp-datagram",
        }
    }

    /// As a column's heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Tcp => "TCP (stream)",
            Self::TcpNodelay => "TCP (no delay)",
            Self::Udp => "UDP (datagram)",
            Self::UdpConnected => "UDP (connected)",
            Self::RawIcmp => "raw (ICMP echo)",
            Self::RawIp => "raw (bare IP)",
            Self::IcmpDatagram => "ICMP (datagram)",
        }
    }

    /// The kind of socket.
    pub fn kind(self) -> Kind {
        match self {
            Self::Tcp | Self::TcpNodelay => Kind::Tcp,
            Self::Udp | Self::UdpConnected => Kind::Udp,
            Self::RawIcmp | Self::RawIp | Self::IcmpDatagram => Kind::Raw,
        }
    }

    /// Whether it carries a byte stream, which keeps order and no boundaries.
    pub fn is_stream(self) -> bool {
        self.kind() == Kind::Tcp
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// There is no such kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is no kind; those are tcp, tcp-nodelay, udp, udp-connected, raw-icmp, raw-ip, \
     icmp-datagram"
)]
pub struct NoVariant(String);

impl FromStr for Variant {
    type Err = NoVariant;

    fn from_str(text: &str) -> Result<Self, NoVariant> {
        Self::ALL
            .into_iter()
            .find(|variant| variant.name() == text)
            .ok_or_else(|| NoVariant(text.to_owned()))
    }
}

impl Serialize for Variant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
