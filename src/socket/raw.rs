//! Raw sockets: ICMP and ICMPv6 (raw(7), RFC 792, RFC 4443), and bare IP
//! datagrams of any protocol.
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

/// A raw socket for one IP protocol of one address family.
pub struct Raw(Datagram);

impl Raw {
    /// `socket(SOCK_RAW, ICMP or ICMPv6)` for addresses like `address`.
    pub fn open(
        recorder: &Recorder,
        name: impl Into<SocketName>,
        address: SocketAddr,
    ) -> io::Result<Self> {
        let protocol = match address {
            SocketAddr::V4(_) => 1,
            SocketAddr::V6(_) => 58,
        };
        Self::open_for(recorder, name, address, protocol)
    }

    /// `socket(SOCK_RAW, protocol)`: for IP datagrams of this protocol number.
    pub fn open_for(
        recorder: &Recorder,
        name: impl Into<SocketName>,
        address: SocketAddr,
        protocol: u8,
    ) -> io::Result<Self> {
        let kind = (Type::RAW, Some(Protocol::from(i32::from(protocol))));
        Handle::open(recorder, name, domain(address), kind).map(|handle| Self(Datagram(handle)))
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
