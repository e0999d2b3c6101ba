//! The few header fields that say whose packet this is and what it means, for
//! whoever must decide on every packet and cannot afford a dissection.
//!
//! A packet that is cut or malformed has a heading as far as it goes; bytes
//! that are no IP packet have none. Copies no payload.

use std::net::IpAddr;

use super::{IpProtocol, TcpFlags};

/// What is known at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heading {
    /// Where it comes from.
    pub source: IpAddr,
    /// Where it goes.
    pub destination: IpAddr,
    /// The innermost protocol that was found.
    pub protocol: IpProtocol,
    /// The ECN field of the IP header (RFC 3168): 0 is not capable, 3 is
    /// Congestion Experienced.
    pub ecn: u8,
    /// The whole packet's length in bytes.
    pub length: usize,
    /// Identification of the datagram, where this is a fragment of one.
    pub fragment: Option<Piece>,
    /// The transport header, where it is there.
    pub transport: Transport,
}

/// A piece of a larger datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Of the datagram.
    pub identification: u32,
    /// Whether it is the first piece, which holds the transport header.
    pub is_first: bool,
}

/// What the transport header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A TCP segment.
    Tcp {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
        /// The flags.
        flags: TcpFlags,
        /// Sequence number of the first byte.
        sequence: u32,
        /// Bytes of data.
        data: usize,
    },
    /// A UDP datagram.
    Udp {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
        /// Bytes of data.
        data: usize,
    },
    /// An ICMP or ICMPv6 message.
    Icmp {
        /// Its type.
        kind: u8,
        /// The identifier, where it is an echo request or reply.
        identifier: Option<u16>,
    },
    /// Anything else, or cut off before it says.
    Other,
}
