//! What a transport header needs to know of the packet that carries it: the
//! pseudo header's addresses, and whether all bytes that were sent are here.

use std::net::IpAddr;

use super::checksum::{Reason, Status, Sum};
use super::ip_protocol::IpProtocol;

/// The addresses that a pseudo header is made of.
#[derive(Clone, Copy)]
pub(super) struct Addresses {
    pub source: IpAddr,
    pub destination: IpAddr,
}

/// A TCP segment, UDP datagram or ICMP message as its IP packet presents it.
pub(super) struct Datagram<'a> {
    pub addresses: Addresses,
    pub protocol: IpProtocol,
    /// The bytes behind the IP header and its extensions.
    pub segment: &'a [u8],
    /// Why they are not all that was sent, if so.
    pub partial: Option<Reason>,
    /// Whether the network device still has to fill in checksums.
    pub pending: bool,
}

impl Datagram<'_> {
    /// Whether all bytes that were sent are here.
    pub(super) fn is_whole(&self) -> bool {
        self.partial.is_none()
    }

    /// Judges a checksum over the pseudo header and the segment's first
    /// `length` bytes.
    pub(super) fn verify(&self, length: usize, found: u16) -> Status {
        let Addresses {
            source,
            destination,
        } = self.addresses;
        let pseudo = Sum::new().pseudo_header(source, destination, self.protocol.0, length);
        self.judge(pseudo, length, found)
    }

    /// Judges a checksum over the segment's first `length` bytes alone.
    pub(super) fn verify_alone(&self, length: usize, found: u16) -> Status {
        self.judge(Sum::new(), length, found)
    }

    fn judge(&self, sum: Sum, length: usize, found: u16) -> Status {
        match self.partial {
            Some(reason) => Status::Unverified(reason),
            None => match Status::judge(sum.bytes(&self.segment[..length]), found) {
                Status::Bad { .. } if self.pending => Status::Unverified(Reason::Offloaded),
                status => status,
            },
        }
    }
}
