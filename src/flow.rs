//! The names of a conversation: transport protocol, endpoints, five-tuple,
//! direction and TCP state (RFC 9293 section 3.3.2, `include/net/tcp_states.h`).
//!
//! Pure values: nothing here looks a name up or opens a socket.

use std::fmt;
use std::net::SocketAddr;

use serde::Serialize;

/// The kind of socket a run exercises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A stream socket (`SOCK_STREAM`).
    Tcp,
    /// A datagram socket (`SOCK_DGRAM`).
    Udp,
    /// A raw socket (`SOCK_RAW`), carrying ICMP or ICMPv6 echo.
    Raw,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Kind::Tcp => "tcp",
            Kind::Udp => "udp",
            Kind::Raw => "raw",
        })
    }
}

/// The version of the Internet Protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4 (`AF_INET`).
    Ipv4,
    /// IPv6 (`AF_INET6`).
    Ipv6,
}

impl Family {
    /// The family `address` belongs to.
    pub fn of(address: std::net::IpAddr) -> Self {
        if address.is_ipv4() {
            Family::Ipv4
        } else {
            Family::Ipv6
        }
    }
}

/// What identifies one TCP connection or connected UDP socket, as
/// `getsockname(2)` and `getpeername(2)` give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct FiveTuple {
    /// The transport protocol.
    pub protocol: Kind,
    /// The address and port of the end that speaks.
    pub local: SocketAddr,
    /// The address and port of the other end.
    pub remote: SocketAddr,
}

impl FiveTuple {
    /// The same conversation seen from the other end.
    #[must_use]
    pub fn mirrored(self) -> Self {
        Self {
            protocol: self.protocol,
            local: self.remote,
            remote: self.local,
        }
    }
}

impl fmt::Display for FiveTuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} → {}", self.protocol, self.local, self.remote)
    }
}

/// Which way a packet travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the client's host to the server's ("up").
    ClientToServer,
    /// From the server's host to the client's ("down").
    ServerToClient,
}

impl Direction {
    /// The other way.
    #[must_use]
    pub fn reversed(self) -> Self {
        match self {
            Direction::ClientToServer => Direction::ServerToClient,
            Direction::ServerToClient => Direction::ClientToServer,
        }
    }
}

/// A TCP connection's state, numbered as Linux numbers it (`tcp_states.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TcpState {
    /// The connection is open both ways.
    Established,
    /// A SYN was sent.
    SynSent,
    /// A SYN was received and answered.
    SynRecv,
    /// A FIN was sent and is not yet acknowledged.
    FinWait1,
    /// The FIN was acknowledged; the other direction is still open.
    FinWait2,
    /// Both FINs were seen; old duplicates are waited out.
    TimeWait,
    /// No connection.
    Closed,
    /// The peer closed; this end may still send.
    CloseWait,
    /// The peer closed, this end too; the last ACK is awaited.
    LastAck,
    /// A listening socket.
    Listen,
    /// Both ends closed at once.
    Closing,
    /// A number this version does not know.
    Unknown(u8),
}

impl TcpState {
    /// The state that Linux numbers `number`. `TCP_NEW_SYN_RECV` (12) is the
    /// kernel's own name for a request that waits in SYN_RECV.
    pub fn from_linux(number: u8) -> Self {
        match number {
            1 => TcpState::Established,
            2 => TcpState::SynSent,
            3 | 12 => TcpState::SynRecv,
            4 => TcpState::FinWait1,
            5 => TcpState::FinWait2,
            6 => TcpState::TimeWait,
            7 => TcpState::Closed,
            8 => TcpState::CloseWait,
            9 => TcpState::LastAck,
            10 => TcpState::Listen,
            11 => TcpState::Closing,
            other => TcpState::Unknown(other),
        }
    }
}

impl fmt::Display for TcpState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TcpState::Established => f.pad("ESTABLISHED"),
            TcpState::SynSent => f.pad("SYN_SENT"),
            TcpState::SynRecv => f.pad("SYN_RECV"),
            TcpState::FinWait1 => f.pad("FIN_WAIT1"),
            TcpState::FinWait2 => f.pad("FIN_WAIT2"),
            TcpState::TimeWait => f.pad("TIME_WAIT"),
            TcpState::Closed => f.pad("CLOSED"),
            TcpState::CloseWait => f.pad("CLOSE_WAIT"),
            TcpState::LastAck => f.pad("LAST_ACK"),
            TcpState::Listen => f.pad("LISTEN"),
            TcpState::Closing => f.pad("CLOSING"),
            TcpState::Unknown(number) => f.pad(&format!("STATE_{number}")),
        }
    }
}

impl Serialize for TcpState {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
