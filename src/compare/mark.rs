//! How the packets of one way to send are told from those of the others: by
//! port, by an echo's identifier, or by IP protocol number.
//!
//! Pure, but for the echo identifier, which is the process's own.

use super::{Config, Variant};
use crate::capture::echo_identifier;

/// What a variant's packets have in common, in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mark {
    /// TCP with this port at the server.
    Tcp(u16),
    /// UDP with this port at the server.
    Udp(u16),
    /// ICMP or ICMPv6 echoes with this identifier.
    Echo(u16),
    /// IP datagrams of this protocol.
    Protocol(u8),
}

impl Config {
    /// What tells a variant's packets from those of the others. TCP and UDP are
    /// at [`port`](Config::port), their second variants at the next one (after
    /// 65535, at the one before).
    pub fn mark(&self, variant: Variant) -> Mark {
        let next = self.port.checked_add(1).unwrap_or(self.port - 1);
        match variant {
            Variant::Tcp => Mark::Tcp(self.port),
            Variant::TcpNodelay => Mark::Tcp(next),
            Variant::Udp => Mark::Udp(self.port),
            Variant::UdpConnected => Mark::Udp(next),
            Variant::RawIcmp => Mark::Echo(echo_identifier()),
            Variant::IcmpDatagram => Mark::Echo(echo_identifier().wrapping_add(1)),
            Variant::RawIp => Mark::Protocol(self.raw_protocol),
        }
    }
}

impl Mark {
    /// The server's port, where there are ports.
    pub fn port(self) -> Option<u16> {
        match self {
            Self::Tcp(port) | Self::Udp(port) => Some(port),
            Self::Echo(_) | Self::Protocol(_) => None,
        }
    }
}
