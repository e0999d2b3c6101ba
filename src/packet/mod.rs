//! Packets as bytes and as meaning: dissection by layer, checksums, the
//! one-line summary, the annotated hex dump, and pcapng.
//!
//! Pure: bytes in, values out. Nothing here opens a file, prints, or guesses
//! what a frame is: a frame comes with its [`LinkType`].
//!
//! [`dissect()`] goes over a frame once and yields for every layer both a tree of
//! [`Field`]s, each with its byte range, and a typed [`Header`].

pub mod alter;
mod arp;
pub mod checksum;
mod conversation;
mod cursor;
mod datagram;
mod dissect;
mod dissection;
mod ethernet;
mod extension;
mod field;
mod heading;
pub mod hexdump;
mod icmp;
pub mod icmp_extension;
mod ip_protocol;
mod ipv4;
mod ipv6;
mod link_type;
mod options;
mod pass;
pub mod pcapng;
pub mod quote;
pub mod summary;
mod tcp;
mod udp;

pub use arp::ArpHeader;
pub use conversation::{Conversations, Numbering, Origin};
pub use dissect::{Checksums, dissect, dissect_icmp, dissect_with};
pub use dissection::{Dissection, Endpoint, Endpoints, Fragment, Header, Ip, Layer, Protocol};
pub use ethernet::{EthernetHeader, HardwareAddress, VlanTag};
pub use extension::{ExtensionHeader, FragmentHeader};
pub use field::{Fault, Field, Value};
pub use heading::{Heading, Piece, Transport};
pub use icmp::{IcmpBody, IcmpFamily, IcmpHeader};
pub use ip_protocol::IpProtocol;
pub use ipv4::{Ipv4Header, Ipv4Option};
pub use ipv6::Ipv6Header;
pub use link_type::LinkType;
pub use summary::Charset;
pub use tcp::{TcpFlags, TcpHeader, TcpOption};
pub use udp::UdpHeader;
