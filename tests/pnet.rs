//! On well-formed packets our values agree with pnet's packet views, and our
//! checksums with those pnet computes.

use std::net::{Ipv4Addr, Ipv6Addr};

use pnet::packet::Packet;
use pnet::packet::icmp::echo_request::{EchoRequestPacket, MutableEchoRequestPacket};
use pnet::packet::icmp::{IcmpPacket, IcmpTypes};
use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::packet::ipv4::{Ipv4Packet, MutableIpv4Packet};
use pnet::packet::ipv6::{Ipv6Packet, MutableIpv6Packet};
use pnet::packet::tcp::{MutableTcpPacket, TcpOption, TcpPacket};
use pnet::packet::udp::{MutableUdpPacket, UdpPacket};
use pnet::packet::{icmp, ipv4, tcp, udp};
use proptest::prelude::*;
use socklab::packet::checksum::Status;
use socklab::packet::{Dissection, IcmpBody, LinkType, dissect};

const IPV4: usize = 20;
const IPV6: usize = 40;

/// The packet, after pnet has put an IPv4 header before `segment`.
fn with_ipv4(ends: [u32; 2], protocol: u8, segment: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; IPV4 + segment.len()];
    let length = u16::try_from(bytes.len()).expect("short packets only");
    let mut header = MutableIpv4Packet::new(&mut bytes).expect("room for a header");
    header.set_version(4);
    header.set_header_length(5);
    header.set_total_length(length);
    header.set_identification(0x4242);
    header.set_ttl(61);
    header.set_next_level_protocol(pnet::packet::ip::IpNextHeaderProtocol(protocol));
    let [source, destination] = ends.map(Ipv4Addr::from);
    header.set_source(source);
    header.set_destination(destination);
    header.set_payload(segment);
    let checksum = ipv4::checksum(&header.to_immutable());
    header.set_checksum(checksum);
    bytes
}

/// The packet, after pnet has put an IPv6 header before `segment`.
fn with_ipv6(ends: [u128; 2], protocol: u8, segment: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; IPV6 + segment.len()];
    let mut header = MutableIpv6Packet::new(&mut bytes).expect("room for a header");
    header.set_version(6);
    header.set_flow_label(0xabcde);
    header.set_payload_length(u16::try_from(segment.len()).expect("short packets only"));
    header.set_next_header(pnet::packet::ip::IpNextHeaderProtocol(protocol));
    header.set_hop_limit(61);
    let [source, destination] = ends.map(Ipv6Addr::from);
    header.set_source(source);
    header.set_destination(destination);
    header.set_payload(segment);
    bytes
}

fn tcp_segment(numbers: [u32; 2], ports: [u16; 2], flags: u8, data: &[u8]) -> Vec<u8> {
    let options = [
        TcpOption::mss(1460),
        TcpOption::sack_perm(),
        TcpOption::nop(),
        TcpOption::wscale(7),
        TcpOption::nop(),
        TcpOption::nop(),
    ];
    let mut segment = vec![0; 32 + data.len()];
    let mut header = MutableTcpPacket::new(&mut segment).expect("room for a header");
    header.set_source(ports[0]);
    header.set_destination(ports[1]);
    header.set_sequence(numbers[0]);
    header.set_acknowledgement(numbers[1]);
    header.set_data_offset(8);
    header.set_flags(flags);
    header.set_window(0x1234);
    header.set_options(&options);
    header.set_payload(data);
    segment
}

fn assert_good(dissection: &Dissection) {
    assert_eq!(dissection.faults().count(), 0);
    for layer in &dissection.layers {
        assert!(matches!(layer.checksum, None | Some(Status::Good)));
    }
}

fn assert_tcp(dissection: &Dissection, bytes: &[u8], header: usize) {
    let theirs = TcpPacket::new(&bytes[header..]).expect("a segment");
    let ours = dissection.tcp().expect("a segment");
    assert_eq!(ours.source_port, theirs.get_source());
    assert_eq!(ours.destination_port, theirs.get_destination());
    assert_eq!(ours.sequence, theirs.get_sequence());
    assert_eq!(ours.acknowledgment, theirs.get_acknowledgement());
    assert_eq!(ours.header_length, theirs.get_data_offset() * 4);
    assert_eq!(ours.flags.0, u16::from(theirs.get_flags()));
    assert_eq!(ours.window, theirs.get_window());
    assert_eq!(ours.checksum, theirs.get_checksum());
    assert_eq!(ours.options.len(), theirs.get_options_iter().count());
    assert_eq!(ours.maximum_segment_size(), Some(1460));
    assert_eq!(ours.window_scale(), Some(7));
    assert_eq!(&bytes[dissection.payload()], theirs.payload());
}

proptest! {
    #[test]
    fn tcp_over_ipv4(
        ends in any::<[u32; 2]>(), numbers in any::<[u32; 2]>(), ports in any::<[u16; 2]>(),
        flags in any::<u8>(), data in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut segment = tcp_segment(numbers, ports, flags, &data);
        let [source, destination] = ends.map(Ipv4Addr::from);
        let mut header = MutableTcpPacket::new(&mut segment).expect("a segment");
        let checksum = tcp::ipv4_checksum(&header.to_immutable(), &source, &destination);
        header.set_checksum(checksum);
        let bytes = with_ipv4(ends, IpNextHeaderProtocols::Tcp.0, &segment);
        let dissection = dissect(LinkType::Raw, &bytes);
        assert_good(&dissection);
        let theirs = Ipv4Packet::new(&bytes).expect("a packet");
        let ours = dissection.ip().expect("a packet");
        assert_eq!(ours.source, theirs.get_source());
        assert_eq!(ours.destination, theirs.get_destination());
        assert_eq!(ours.protocol.0, theirs.get_next_level_protocol().0);
        assert_eq!(ours.hop_limit, theirs.get_ttl());
        assert_tcp(&dissection, &bytes, IPV4);
    }

    #[test]
    fn tcp_over_ipv6(
        ends in any::<[u128; 2]>(), numbers in any::<[u32; 2]>(), ports in any::<[u16; 2]>(),
        flags in any::<u8>(), data in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut segment = tcp_segment(numbers, ports, flags, &data);
        let [source, destination] = ends.map(Ipv6Addr::from);
        let mut header = MutableTcpPacket::new(&mut segment).expect("a segment");
        let checksum = tcp::ipv6_checksum(&header.to_immutable(), &source, &destination);
        header.set_checksum(checksum);
        let bytes = with_ipv6(ends, IpNextHeaderProtocols::Tcp.0, &segment);
        let dissection = dissect(LinkType::Raw, &bytes);
        assert_good(&dissection);
        let theirs = Ipv6Packet::new(&bytes).expect("a packet");
        let ours = dissection.ip().expect("a packet");
        assert_eq!(ours.source, theirs.get_source());
        assert_eq!(ours.destination, theirs.get_destination());
        assert_eq!(ours.protocol.0, theirs.get_next_header().0);
        assert_eq!(ours.hop_limit, theirs.get_hop_limit());
        assert_tcp(&dissection, &bytes, IPV6);
    }

    #[test]
    fn udp_over_ipv4(
        ends in any::<[u32; 2]>(), ports in any::<[u16; 2]>(),
        data in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut datagram = vec![0; 8 + data.len()];
        let mut header = MutableUdpPacket::new(&mut datagram).expect("room for a header");
        header.set_source(ports[0]);
        header.set_destination(ports[1]);
        header.set_length(8 + u16::try_from(data.len()).expect("short data only"));
        header.set_payload(&data);
        let [source, destination] = ends.map(Ipv4Addr::from);
        let checksum = udp::ipv4_checksum(&header.to_immutable(), &source, &destination);
        // pnet leaves a zero as it is, which would say that there is none.
        header.set_checksum(if checksum == 0 { u16::MAX } else { checksum });
        let bytes = with_ipv4(ends, IpNextHeaderProtocols::Udp.0, &datagram);
        let dissection = dissect(LinkType::Raw, &bytes);
        assert_good(&dissection);
        let theirs = UdpPacket::new(&bytes[IPV4..]).expect("a datagram");
        let ours = dissection.udp().expect("a datagram");
        assert_eq!(ours.source_port, theirs.get_source());
        assert_eq!(ours.destination_port, theirs.get_destination());
        assert_eq!(ours.length, theirs.get_length());
        assert_eq!(&bytes[dissection.payload()], theirs.payload());
    }

    #[test]
    fn echo_over_ipv4(
        ends in any::<[u32; 2]>(), numbers in any::<[u16; 2]>(),
        data in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut message = vec![0; 8 + data.len()];
        let mut header = MutableEchoRequestPacket::new(&mut message).expect("room for a header");
        header.set_icmp_type(IcmpTypes::EchoRequest);
        header.set_identifier(numbers[0]);
        header.set_sequence_number(numbers[1]);
        header.set_payload(&data);
        let checksum = icmp::checksum(&IcmpPacket::new(header.packet()).expect("a message"));
        header.set_checksum(checksum);
        let bytes = with_ipv4(ends, IpNextHeaderProtocols::Icmp.0, &message);
        let dissection = dissect(LinkType::Raw, &bytes);
        assert_good(&dissection);
        let theirs = EchoRequestPacket::new(&bytes[IPV4..]).expect("a message");
        let expected = IcmpBody::Echo {
            request: true,
            identifier: theirs.get_identifier(),
            sequence: theirs.get_sequence_number(),
        };
        assert_eq!(dissection.icmp().map(|icmp| icmp.body), Some(expected));
        assert_eq!(&bytes[dissection.payload()], theirs.payload());
    }
}
