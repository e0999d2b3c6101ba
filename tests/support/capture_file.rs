//! pcapng files: fixtures written with our own writer, and any file read back
//! with pcap-parser.

use std::path::Path;
use std::time::Duration;

use pcap_parser::{Block, PcapBlockOwned, PcapNGSlice};
use socklab::packet::LinkType;
use socklab::packet::pcapng::{self, EnhancedPacket, Interface, Passage, Section, Statistics};

use super::fixtures::Fixture;

/// A packet as a file holds it.
pub struct Captured {
    /// What its first byte belongs to.
    pub link: LinkType,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// When it was seen, since 1970.
    pub at: Duration,
    /// The interface's name.
    pub interface: String,
    /// Its comment, or nothing.
    pub comment: String,
}

/// A file with these packets, each on the interface of its link type, its name
/// as its comment.
pub fn write(path: &Path, fixtures: &[Fixture]) {
    let links = [LinkType::Raw, LinkType::Ethernet];
    let mut out = Vec::new();
    pcapng::section_header(&mut out, &Section::default());
    for link in links {
        let interface = Interface {
            link,
            name: &link.to_string(),
            snapshot_length: 0,
        };
        pcapng::interface_description(&mut out, &interface);
    }
    let mut at = Duration::new(1_700_000_000, 1);
    for fixture in fixtures {
        let interface = u32::from(fixture.link != links[0]);
        let packet = EnhancedPacket {
            interface,
            at,
            bytes: &fixture.bytes,
            original_length: fixture.bytes.len(),
            passage: Some(Passage::Outbound),
            comment: Some(fixture.name),
        };
        pcapng::enhanced_packet(&mut out, &packet);
        at += Duration::from_micros(100);
    }
    let statistics = Statistics {
        interface: 0,
        at,
        received: fixtures.len() as u64,
        dropped: 0,
    };
    pcapng::interface_statistics(&mut out, &statistics);
    std::fs::write(path, out).expect("the file is written");
}

/// All packets of a file.
pub fn read(path: &Path) -> Vec<Captured> {
    parse(&std::fs::read(path).expect("the file is there"))
}

/// All packets of a file's bytes.
pub fn parse(bytes: &[u8]) -> Vec<Captured> {
    const COMMENT: u16 = 1;
    let mut interfaces = Vec::new();
    let mut packets = Vec::new();
    for block in PcapNGSlice::from_slice(bytes).expect("it is pcapng") {
        match block.expect("every block is whole") {
            PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
                let number = u16::try_from(interface.linktype.0).expect("16 bits in the file");
                let name = interface.if_name().and_then(Result::ok).unwrap_or_default();
                interfaces.push((LinkType::from(number), name.to_owned()));
            }
            PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                let (link, interface) = interfaces[packet.if_id as usize].clone();
                let (seconds, nanoseconds) = packet.decode_ts(0, 1_000_000_000);
                let mut options = packet.options.iter();
                let comment = options.find(|option| option.code.0 == COMMENT);
                let comment = comment.map(|option| &option.value[..usize::from(option.len)]);
                packets.push(Captured {
                    link,
                    bytes: packet.data[..packet.caplen as usize].to_vec(),
                    at: Duration::new(seconds.into(), nanoseconds),
                    interface,
                    comment: String::from_utf8(comment.unwrap_or_default().to_vec())
                        .expect("a comment is UTF-8"),
                });
            }
            _ => {}
        }
    }
    packets
}

/// How many blocks there are, all of them whole.
pub fn count_blocks(file: &[u8]) -> usize {
    let blocks = PcapNGSlice::from_slice(file).expect("a section header opens the file");
    blocks.fold(0, |count, block| {
        block.expect("every block is whole");
        count + 1
    })
}
