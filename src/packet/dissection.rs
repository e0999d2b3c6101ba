//! A packet taken apart: its layers, and questions one may ask of them.
//!
//! Never reads bytes: `dissect.rs` does.

use std::fmt;
use std::net::IpAddr;
use std::ops::Range;

use super::arp::ArpHeader;
use super::checksum::Status;
use super::ethernet::{EthernetHeader, VlanTag};
use super::extension::{ExtensionHeader, FragmentHeader};
use super::field::{Fault, Field};
use super::icmp::IcmpHeader;
use super::ip_protocol::IpProtocol;
use super::ipv4::Ipv4Header;
use super::ipv6::Ipv6Header;
use super::tcp::TcpHeader;
use super::udp::UdpHeader;

/// A packet taken apart.
///
/// The layers' ranges follow one another without gap or overlap, and together
/// are the whole frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dissection {
    /// In the order of their bytes: outermost header first, padding last.
    pub layers: Vec<Layer>,
}

/// One protocol's part of a packet: a header, or data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Whose part it is.
    pub protocol: Protocol,
    /// Its bytes within the frame, without those of the layers it carries.
    pub range: Range<usize>,
    /// The fields, in the order of their bytes.
    pub fields: Vec<Field>,
    /// The header's meaning, unless it is cut or is no header.
    pub header: Option<Header>,
    /// What was found wrong.
    pub faults: Vec<Fault>,
    /// What its checksum is worth, if it has one.
    pub checksum: Option<Status>,
    /// Whether it belongs to a packet that an ICMP error quotes.
    pub quoted: bool,
}

/// Whose part of a packet a layer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Protocol {
    Ethernet,
    Vlan,
    Arp,
    Ipv4,
    Ipv6,
    HopByHop,
    Routing,
    FragmentHeader,
    DestinationOptions,
    Authentication,
    Tcp,
    Udp,
    Icmp,
    Icmpv6,
    /// What a header carries and is not dissected further.
    Data,
    /// Bytes after the end that a length states.
    Trailer,
}

impl Protocol {
    /// Its short name.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Ethernet => "Ethernet",
            Protocol::Vlan => "VLAN",
            Protocol::Arp => "ARP",
            Protocol::Ipv4 => "IPv4",
            Protocol::Ipv6 => "IPv6",
            Protocol::HopByHop => "hop-by-hop",
            Protocol::Routing => "routing",
            Protocol::FragmentHeader => "fragment",
            Protocol::DestinationOptions => "dest-opts",
            Protocol::Authentication => "AH",
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
            Protocol::Icmp => "ICMP",
            Protocol::Icmpv6 => "ICMPv6",
            Protocol::Data => "data",
            Protocol::Trailer => "trailer",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A header's meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the types say it")]
pub enum Header {
    Ethernet(EthernetHeader),
    Vlan(VlanTag),
    Arp(ArpHeader),
    Ipv4(Ipv4Header),
    Ipv6(Ipv6Header),
    Extension(ExtensionHeader),
    Fragment(FragmentHeader),
    Tcp(TcpHeader),
    Udp(UdpHeader),
    Icmp(IcmpHeader),
}

/// What an IP header says, whichever version it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ip {
    /// Who sent it.
    pub source: IpAddr,
    /// Whom it is for.
    pub destination: IpAddr,
    /// What follows the header and its extensions.
    pub protocol: IpProtocol,
    /// Hops left: time to live or hop limit.
    pub hop_limit: u8,
    /// The ECN field: 3 is Congestion Experienced (RFC 3168).
    pub ecn: u8,
    /// Which fragment it is, if it is one.
    pub fragment: Option<Fragment>,
}

/// One fragment's place in its datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment {
    /// Which datagram.
    pub identification: u32,
    /// Where its payload belongs, in bytes.
    pub offset: u16,
    /// How much payload it carries, in bytes, as captured.
    pub length: usize,
    /// Whether more fragments follow.
    pub more: bool,
}

/// Where a packet comes from and goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Endpoints {
    /// Where it comes from.
    pub source: Endpoint,
    /// Where it goes to.
    pub destination: Endpoint,
}

/// An address, with a port where the protocol has ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The address.
    pub address: IpAddr,
    /// The port.
    pub port: Option<u16>,
}

impl Fragment {
    /// Whether it is the whole datagram after all: an atomic fragment (RFC
    /// 6946).
    pub fn is_whole(self) -> bool {
        self.offset == 0 && !self.more
    }
}

impl Endpoints {
    /// The way back.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => std::net::SocketAddr::new(self.address, port).fmt(f),
            None => self.address.fmt(f),
        }
    }
}

impl Dissection {
    /// The layers of the packet itself, without those an ICMP error quotes.
    pub fn own(&self) -> impl Iterator<Item = &Layer> {
        self.layers.iter().filter(|layer| !layer.quoted)
    }

    /// The packet that an ICMP error quotes, as a packet of its own.
    pub fn quoted(&self) -> Option<Dissection> {
        let layers: Vec<Layer> = self
            .layers
            .iter()
            .filter(|layer| layer.quoted)
            .map(|layer| Layer {
                quoted: false,
                ..layer.clone()
            })
            .collect();
        (!layers.is_empty()).then_some(Dissection { layers })
    }

    /// What the IP header says; in a tunnel, the innermost.
    pub fn ip(&self) -> Option<Ip> {
        let mut found: Option<Ip> = None;
        let mut start = 0;
        for layer in self.own() {
            let ip = match (&layer.header, found) {
                (Some(Header::Ipv4(header)), _) => header.into(),
                (Some(Header::Ipv6(header)), _) => header.into(),
                (Some(Header::Extension(header)), Some(ip)) => Ip {
                    protocol: header.next_header,
                    ..ip
                },
                (Some(Header::Fragment(header)), Some(ip)) => Ip {
                    protocol: header.next_header,
                    fragment: Some((*header).into()),
                    ..ip
                },
                _ => continue,
            };
            found = Some(ip);
            start = layer.range.end;
        }
        let mut ip = found?;
        if let Some(fragment) = &mut ip.fragment {
            fragment.length = self.content_end().saturating_sub(start);
        }
        Some(ip)
    }

    /// The TCP header, if it has one.
    pub fn tcp(&self) -> Option<&TcpHeader> {
        self.headers().find_map(|header| match header {
            Header::Tcp(header) => Some(header),
            _ => None,
        })
    }

    /// The UDP header, if it has one.
    pub fn udp(&self) -> Option<&UdpHeader> {
        self.headers().find_map(|header| match header {
            Header::Udp(header) => Some(header),
            _ => None,
        })
    }

    /// The ICMP or ICMPv6 header, if it has one.
    pub fn icmp(&self) -> Option<&IcmpHeader> {
        self.headers().find_map(|header| match header {
            Header::Icmp(header) => Some(header),
            _ => None,
        })
    }

    /// The bytes within the frame that the innermost header carries: a TCP
    /// segment's data, a datagram, an echo's data, a fragment. Empty where there
    /// are none, or where a quoted packet takes their place.
    pub fn payload(&self) -> Range<usize> {
        let data = self.own().find(|layer| layer.protocol == Protocol::Data);
        let headers = self
            .own()
            .take_while(|layer| layer.protocol != Protocol::Trailer);
        match (data, headers.last()) {
            (Some(data), _) => data.range.clone(),
            (None, Some(last)) => last.range.end..last.range.end,
            (None, None) => 0..0,
        }
    }

    /// Where it comes from and goes to.
    pub fn endpoints(&self) -> Option<Endpoints> {
        let ip = self.ip()?;
        // By field, for a packet that is cut behind its ports still has them.
        let port = |keys: [&str; 2]| {
            let fields = self.own().flat_map(|layer| &layer.fields);
            let mut ports = fields.filter(|field| keys.contains(&field.key));
            u16::try_from(ports.next()?.value.number()?).ok()
        };
        Some(Endpoints {
            source: Endpoint {
                address: ip.source,
                port: port(["tcp.srcport", "udp.srcport"]),
            },
            destination: Endpoint {
                address: ip.destination,
                port: port(["tcp.dstport", "udp.dstport"]),
            },
        })
    }

    /// The first field with this key, in the order of the bytes; those of a
    /// quoted packet included.
    pub fn field(&self, key: &str) -> Option<&Field> {
        let mut fields = self.layers.iter().flat_map(|layer| &layer.fields);
        fields.find_map(|field| field.find(key))
    }

    /// All that was found wrong, with the layer it was found in.
    pub fn faults(&self) -> impl Iterator<Item = (&Layer, &Fault)> {
        self.layers
            .iter()
            .flat_map(|layer| layer.faults.iter().map(move |fault| (layer, fault)))
    }

    /// The outermost header.
    pub fn outermost(&self) -> Option<&Header> {
        self.layers.first()?.header.as_ref()
    }

    /// Where the packet ends, what lies behind it left out.
    fn content_end(&self) -> usize {
        let content = self
            .layers
            .iter()
            .take_while(|layer| layer.protocol != Protocol::Trailer);
        content.last().map_or(0, |layer| layer.range.end)
    }

    fn headers(&self) -> impl Iterator<Item = &Header> {
        self.own().filter_map(|layer| layer.header.as_ref())
    }
}

impl From<&Ipv4Header> for Ip {
    fn from(header: &Ipv4Header) -> Self {
        let is_fragment = header.more_fragments || header.fragment_offset > 0;
        Ip {
            source: header.source.into(),
            destination: header.destination.into(),
            protocol: header.protocol,
            hop_limit: header.ttl,
            ecn: header.ecn,
            fragment: is_fragment.then_some(Fragment {
                identification: header.identification.into(),
                offset: header.fragment_offset,
                length: 0,
                more: header.more_fragments,
            }),
        }
    }
}

impl From<&Ipv6Header> for Ip {
    fn from(header: &Ipv6Header) -> Self {
        Ip {
            source: header.source.into(),
            destination: header.destination.into(),
            protocol: header.next_header,
            hop_limit: header.hop_limit,
            ecn: header.ecn,
            fragment: None,
        }
    }
}

impl From<FragmentHeader> for Fragment {
    fn from(header: FragmentHeader) -> Self {
        Fragment {
            identification: header.identification,
            offset: header.offset,
            length: 0,
            more: header.more,
        }
    }
}
