//! Raw sockets for ICMP and ICMPv6 (raw(7), RFC 792, RFC 4443).
//!
//! They send and receive whole messages like datagram sockets, but have no
//! ports: every raw socket of a host gets a copy of every ICMP message. Needs
//! `CAP_NET_RAW` in the network namespace.

use std::io;
use std::net::SocketAddr;
use std::ops::Deref;

use socket2::{Protocol, Type};

use super::datagram::Datagram;
use super::handle::{Handle, domain};
use crate::event::SocketName;
use crate::recorder::Recorder;

/// A raw socket for the ICMP of one address family.
pub struct Raw(Datagram);

impl Raw {
    /// `socket(SOCK_RAW, ICMP or ICMPv6)` for addresses like `address`.
    pub fn open(
        recorder: &Recorder,
        name: impl Into<SocketName>,
        address: SocketAddr,
    ) -> io::Result<Self> {
        let protocol = match address {
            SocketAddr::V4(_) => Protocol::ICMPV4,
            SocketAddr::V6(_) => Protocol::ICMPV6,
        };
        Handle::open(recorder, name, domain(address), (Type::RAW, Some(protocol)))
            .map(|handle| Self(Datagram(handle)))
    }

    /// `close()`.
    pub fn close(self) -> io::Result<()> {
        self.0.close()
    }
}

impl Deref for Raw {
    type Target = Datagram;

    fn deref(&self) -> &Datagram {
        &self.0
    }
}
