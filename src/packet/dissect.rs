//! The pass over a frame: which header comes next.
//!
//! Iterative: every step consumes bytes or ends, so that no packet, however
//! nested, costs more than its length.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::checksum::Reason;
use super::datagram::Addresses;
use super::dissection::{Dissection, Header, Protocol};
use super::ethernet::{self, ether_type};
use super::field::Fault;
use super::icmp::{self, IcmpFamily};
use super::ip_protocol::IpProtocol;
use super::link_type::LinkType;
use super::pass::Pass;
use super::{arp, extension, ipv4, ipv6, tcp, udp};

/// Who fills in a packet's checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Checksums {
    /// They were filled in before the packet was seen.
    #[default]
    Complete,
    /// The network device fills them in later (`TP_STATUS_CSUMNOTREADY`), so
    /// that one which looks wrong proves nothing.
    Pending,
}

/// Takes a frame apart. Whatever the bytes are, all of them appear in the
/// layers, and what is cut or malformed is said in a layer's faults.
///
/// ```
/// use socklab::packet::{LinkType, dissect};
///
/// let bytes = hex::decode("4500002000004000401126310a4d00010a4d000213d113d1000cf2c468696869")?;
/// let dissection = dissect(LinkType::Raw, &bytes);
/// assert_eq!(dissection.udp().map(|udp| udp.destination_port), Some(5073));
/// assert_eq!(&bytes[dissection.payload()], b"hihi");
/// # Ok::<(), hex::FromHexError>(())
/// ```
pub fn dissect(link: LinkType, bytes: &[u8]) -> Dissection {
    dissect_with(link, bytes, Checksums::Complete)
}

/// Takes a frame apart, as [`dissect`], knowing who fills in its checksums.
pub fn dissect_with(link: LinkType, bytes: &[u8], checksums: Checksums) -> Dissection {
    let first = match link {
        LinkType::Ethernet => Next::Ethernet,
        LinkType::Raw => Next::Ip,
        LinkType::Unknown(_) => Next::Data,
    };
    dissect_from(first, bytes, checksums)
}

/// Takes an ICMP message apart that comes without its IP header, as a program
/// hands it to a socket. The checksum of ICMPv6 covers addresses that are not
/// here (RFC 4443 section 2.3), and stays unverified.
pub fn dissect_icmp(family: IcmpFamily, message: &[u8]) -> Dissection {
    let (protocol, address, checksums): (_, IpAddr, _) = match family {
        IcmpFamily::V4 => (
            IpProtocol::ICMP,
            Ipv4Addr::UNSPECIFIED.into(),
            Checksums::Complete,
        ),
        IcmpFamily::V6 => (
            IpProtocol::ICMPV6,
            Ipv6Addr::UNSPECIFIED.into(),
            Checksums::Pending,
        ),
    };
    let addresses = Addresses {
        source: address,
        destination: address,
    };
    dissect_from(Next::Transport(protocol, addresses), message, checksums)
}

fn dissect_from(first: Next, bytes: &[u8], checksums: Checksums) -> Dissection {
    let mut pass = Pass::new(bytes, checksums == Checksums::Pending);
    let mut next = Some(first);
    while let Some(step) = next {
        next = pass.step(step, pass.at());
    }
    pass.finish()
}

/// What the next byte belongs to.
#[derive(Clone, Copy)]
enum Next {
    Ethernet,
    EtherType(u16),
    Ip,
    Transport(IpProtocol, Addresses),
    Data,
}

impl Pass<'_> {
    /// Dissects one layer from `at` on and says what comes after it.
    fn step(&mut self, next: Next, at: usize) -> Option<Next> {
        match next {
            Next::Ethernet => self.ethernet(at),
            Next::EtherType(ether_type::VLAN | ether_type::SERVICE_VLAN) => self.vlan(at),
            Next::EtherType(ether_type::ARP) => self.arp(at),
            Next::EtherType(ether_type::IPV4) => self.ipv4(at),
            Next::EtherType(ether_type::IPV6) => self.ipv6(at),
            Next::EtherType(_) | Next::Data => self.data(at),
            Next::Ip => match self.frame[at..self.end].first().map(|byte| byte >> 4) {
                Some(6) => self.ipv6(at),
                Some(4) => self.ipv4(at),
                Some(found) => {
                    self.data(at);
                    self.fault(Fault::Version {
                        expected: "4 or 6",
                        found,
                    });
                    None
                }
                None => self.nothing(at),
            },
            Next::Transport(protocol, addresses) => self.transport(at, protocol, addresses),
        }
    }

    fn ethernet(&mut self, at: usize) -> Option<Next> {
        let mut c = self.cursor(at);
        let header = ethernet::dissect(&mut c);
        self.push(Protocol::Ethernet, at, c, header.map(Header::Ethernet));
        Some(self.after_ether_type(header?.ether_type))
    }

    fn vlan(&mut self, at: usize) -> Option<Next> {
        let mut c = self.cursor(at);
        let header = ethernet::dissect_vlan(&mut c);
        self.push(Protocol::Vlan, at, c, header.map(Header::Vlan));
        Some(self.after_ether_type(header?.ether_type))
    }

    fn after_ether_type(&mut self, ether_type: u16) -> Next {
        if ether_type >= 1536 {
            return Next::EtherType(ether_type);
        }
        let at = self.at();
        self.clip(at, usize::from(ether_type), "length");
        Next::Data
    }

    fn arp(&mut self, at: usize) -> Option<Next> {
        let mut c = self.cursor(at);
        let header = arp::dissect(&mut c);
        self.push(Protocol::Arp, at, c, header.map(Header::Arp));
        None
    }

    fn ipv4(&mut self, at: usize) -> Option<Next> {
        let mut c = self.cursor(at);
        let (header, checksum) = ipv4::dissect(&mut c, self.frame, self.pending);
        self.push(Protocol::Ipv4, at, c, header.clone().map(Header::Ipv4));
        self.note_checksum(checksum);
        let header = header?;
        let length = self.at() - at;
        match usize::from(header.total_length) {
            0 => {
                self.explain("ip.len", "presumed TSO: as captured");
                self.pending = true;
            }
            stated if stated < length => self.fault(Fault::TooSmall {
                field: "total length",
                stated,
                minimum: length,
            }),
            stated => self.clip(at, stated, "total length"),
        }
        if header.more_fragments || header.fragment_offset > 0 {
            self.partial.get_or_insert(Reason::Fragment);
        }
        let addresses = Addresses {
            source: header.source.into(),
            destination: header.final_destination().into(),
        };
        Some(after_ip(header.protocol, addresses, header.fragment_offset))
    }

    fn ipv6(&mut self, at: usize) -> Option<Next> {
        let mut c = self.cursor(at);
        let header = ipv6::dissect(&mut c);
        self.push(Protocol::Ipv6, at, c, header.map(Header::Ipv6));
        let header = header?;
        match usize::from(header.payload_length) {
            0 if header.next_header != IpProtocol::NO_NEXT_HEADER && self.at() < self.end => {
                self.explain("ipv6.plen", "presumed jumbogram or TSO: as captured");
                self.pending = true;
            }
            stated => self.clip(self.at(), stated, "payload length"),
        }
        let addresses = Addresses {
            source: header.source.into(),
            destination: header.destination.into(),
        };
        Some(after_ip(header.next_header, addresses, 0))
    }

    fn transport(&mut self, at: usize, protocol: IpProtocol, addresses: Addresses) -> Option<Next> {
        match protocol {
            IpProtocol::TCP => self.tcp(at, addresses),
            IpProtocol::UDP => self.udp(at, addresses),
            IpProtocol::ICMP => self.icmp(at, addresses, IcmpFamily::V4),
            IpProtocol::ICMPV6 => self.icmp(at, addresses, IcmpFamily::V6),
            IpProtocol::IPV4 => self.ipv4(at),
            IpProtocol::IPV6 => self.ipv6(at),
            _ if addresses.source.is_ipv4() => self.data(at),
            IpProtocol::NO_NEXT_HEADER => None,
            IpProtocol::FRAGMENT => self.fragment(at, addresses),
            IpProtocol::HOP_BY_HOP
            | IpProtocol::ROUTING
            | IpProtocol::DESTINATION_OPTIONS
            | IpProtocol::AUTHENTICATION => self.extension(at, protocol, addresses),
            _ => self.data(at),
        }
    }

    fn extension(
        &mut self,
        at: usize,
        protocol: IpProtocol,
        mut addresses: Addresses,
    ) -> Option<Next> {
        const HOP_BY_HOP: [&str; 2] = ["ipv6.hopopts.nxt", "ipv6.hopopts.len"];
        const DESTINATION: [&str; 2] = ["ipv6.dstopts.nxt", "ipv6.dstopts.len"];
        let mut c = self.cursor(at);
        let (layer, header) = match protocol {
            IpProtocol::HOP_BY_HOP => (
                Protocol::HopByHop,
                extension::dissect_options(&mut c, HOP_BY_HOP),
            ),
            IpProtocol::ROUTING => (Protocol::Routing, extension::dissect_routing(&mut c)),
            IpProtocol::AUTHENTICATION => (
                Protocol::Authentication,
                extension::dissect_authentication(&mut c),
            ),
            _ => (
                Protocol::DestinationOptions,
                extension::dissect_options(&mut c, DESTINATION),
            ),
        };
        self.push(layer, at, c, header.map(Header::Extension));
        let header = header?;
        if let Some(address) = header.final_destination {
            addresses.destination = address.into();
        }
        Some(after_ip(header.next_header, addresses, 0))
    }

    fn fragment(&mut self, at: usize, addresses: Addresses) -> Option<Next> {
        let mut c = self.cursor(at);
        let header = extension::dissect_fragment(&mut c);
        self.push(
            Protocol::FragmentHeader,
            at,
            c,
            header.map(Header::Fragment),
        );
        let header = header?;
        if header.more || header.offset > 0 {
            self.partial.get_or_insert(Reason::Fragment);
        }
        Some(after_ip(header.next_header, addresses, header.offset))
    }

    fn tcp(&mut self, at: usize, addresses: Addresses) -> Option<Next> {
        let datagram = self.datagram(at, IpProtocol::TCP, addresses);
        let mut c = self.cursor(at);
        let (header, checksum) = tcp::dissect(&mut c, &datagram).unzip();
        self.push(Protocol::Tcp, at, c, header.map(Header::Tcp));
        self.note_checksum(checksum);
        checksum.map(|_| Next::Data)
    }

    fn udp(&mut self, at: usize, addresses: Addresses) -> Option<Next> {
        let datagram = self.datagram(at, IpProtocol::UDP, addresses);
        let mut c = self.cursor(at);
        let read = udp::dissect(&mut c, &datagram);
        let header = read.map(|(header, ..)| Header::Udp(header));
        self.push(Protocol::Udp, at, c, header);
        let (_, payload, checksum) = read?;
        self.note_checksum(Some(checksum));
        self.end_at(self.at() + payload);
        Some(Next::Data)
    }

    fn icmp(&mut self, at: usize, addresses: Addresses, family: IcmpFamily) -> Option<Next> {
        let (layer, protocol) = match family {
            IcmpFamily::V4 => (Protocol::Icmp, IpProtocol::ICMP),
            IcmpFamily::V6 => (Protocol::Icmpv6, IpProtocol::ICMPV6),
        };
        let datagram = self.datagram(at, protocol, addresses);
        let mut c = self.cursor(at);
        let read = icmp::dissect(&mut c, &datagram, family);
        let Some((header, checksum, after)) = read else {
            self.push(layer, at, c, None);
            return None;
        };
        self.push(layer, at, c, Some(Header::Icmp(header)));
        self.note_checksum(Some(checksum));
        match after {
            icmp::After::Data => Some(Next::Data),
            icmp::After::Quote(length) => {
                if let Some(length) = length {
                    self.end_at(self.at() + length);
                }
                self.quoted = true;
                self.is_stated = false;
                Some(Next::Ip)
            }
        }
    }

    fn data(&mut self, at: usize) -> Option<Next> {
        if at < self.end {
            self.undissected(Protocol::Data, at..self.end, "data");
        } else if self.layers.is_empty() {
            self.nothing(at);
        }
        None
    }

    /// Where a packet belongs, there is no byte.
    fn nothing(&mut self, at: usize) -> Option<Next> {
        self.undissected(Protocol::Data, at..at, "data");
        self.fault(Fault::Cut {
            field: "packet",
            missing: 1,
        });
        None
    }
}

/// What follows an IP header or an extension: only a first fragment begins with
/// the next header.
fn after_ip(protocol: IpProtocol, addresses: Addresses, offset: u16) -> Next {
    if offset > 0 {
        Next::Data
    } else {
        Next::Transport(protocol, addresses)
    }
}
