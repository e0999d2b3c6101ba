//! Writes pcapng blocks (draft-ietf-opsawg-pcapng), little endian, with times
//! in nanoseconds.
//!
//! Bytes out: the caller owns the file, and writes the section header first,
//! then the interfaces, then packets in any number. Interfaces count from 0 in
//! the order they were described.

use std::time::Duration;

use super::link_type::LinkType;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;

/// Tells readers the byte order.
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;

/// What made the capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section<'a> {
    /// The program, with its version.
    pub application: &'a str,
    /// The machine.
    pub hardware: Option<&'a str>,
    /// The operating system.
    pub system: Option<&'a str>,
    /// A remark on the whole capture.
    pub comment: Option<&'a str>,
}

impl Default for Section<'_> {
    fn default() -> Self {
        Self {
            application: concat!("socklab ", env!("CARGO_PKG_VERSION")),
            hardware: None,
            system: None,
            comment: None,
        }
    }
}

/// Where packets were seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interface<'a> {
    /// What their first byte belongs to.
    pub link: LinkType,
    /// The interface's name.
    pub name: &'a str,
    /// At most this many bytes of a packet are kept; 0 is no limit.
    pub snapshot_length: u32,
}

/// Which way a packet passed the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// To the host.
    Inbound,
    /// From the host.
    Outbound,
}

/// One packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnhancedPacket<'a> {
    /// At which interface.
    pub interface: u32,
    /// When, since 1970-01-01 00:00 UTC.
    pub at: Duration,
    /// Its bytes, as many as were kept.
    pub bytes: &'a [u8],
    /// How long it was.
    pub original_length: usize,
    /// Which way it passed.
    pub passage: Option<Passage>,
    /// A remark, such as what became of it.
    pub comment: Option<&'a str>,
}

/// What an interface counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statistics {
    /// Which interface.
    pub interface: u32,
    /// Until when, since 1970-01-01 00:00 UTC.
    pub at: Duration,
    /// Packets that came to it.
    pub received: u64,
    /// Packets that were dropped for want of room.
    pub dropped: u64,
}

/// Appends a section header block: the first block of a file.
pub fn section_header(out: &mut Vec<u8>, section: &Section<'_>) {
    const UNKNOWN_LENGTH: u64 = u64::MAX;
    block(out, SECTION_HEADER, |out| {
        out.extend(BYTE_ORDER_MAGIC.to_le_bytes());
        out.extend(1_u16.to_le_bytes());
        out.extend(0_u16.to_le_bytes());
        out.extend(UNKNOWN_LENGTH.to_le_bytes());
        let mut options = Options::new(out);
        options.text(COMMENT, section.comment);
        options.text(2, section.hardware);
        options.text(3, section.system);
        options.text(4, Some(section.application));
        options.end();
    });
}

/// Appends an interface description block.
pub fn interface_description(out: &mut Vec<u8>, interface: &Interface<'_>) {
    const NAME: u16 = 2;
    const TIME_RESOLUTION: u16 = 9;
    const NANOSECONDS: u8 = 9;
    block(out, INTERFACE_DESCRIPTION, |out| {
        out.extend(interface.link.number().to_le_bytes());
        out.extend(0_u16.to_le_bytes());
        out.extend(interface.snapshot_length.to_le_bytes());
        let mut options = Options::new(out);
        options.text(NAME, Some(interface.name));
        options.bytes(TIME_RESOLUTION, &[NANOSECONDS]);
        options.end();
    });
}

/// Appends an enhanced packet block.
pub fn enhanced_packet(out: &mut Vec<u8>, packet: &EnhancedPacket<'_>) {
    const FLAGS: u16 = 2;
    block(out, ENHANCED_PACKET, |out| {
        out.extend(packet.interface.to_le_bytes());
        timestamp(out, packet.at);
        out.extend(length(packet.bytes.len()).to_le_bytes());
        out.extend(length(packet.original_length).to_le_bytes());
        out.extend(packet.bytes);
        pad(out, packet.bytes.len());
        let mut options = Options::new(out);
        options.text(COMMENT, packet.comment);
        if let Some(passage) = packet.passage {
            let flags: u32 = match passage {
                Passage::Inbound => 1,
                Passage::Outbound => 2,
            };
            options.bytes(FLAGS, &flags.to_le_bytes());
        }
        options.end();
    });
}

/// Appends an interface statistics block.
pub fn interface_statistics(out: &mut Vec<u8>, statistics: &Statistics) {
    const RECEIVED: u16 = 4;
    const DROPPED: u16 = 5;
    block(out, INTERFACE_STATISTICS, |out| {
        out.extend(statistics.interface.to_le_bytes());
        timestamp(out, statistics.at);
        let mut options = Options::new(out);
        options.bytes(RECEIVED, &statistics.received.to_le_bytes());
        options.bytes(DROPPED, &statistics.dropped.to_le_bytes());
        options.end();
    });
}

/// A block's frame: its type, and its length at both ends.
fn block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend(kind.to_le_bytes());
    out.extend([0; 4]);
    body(out);
    let total = length(out.len() - start + 4).to_le_bytes();
    out.extend(total);
    out[start + 4..start + 8].copy_from_slice(&total);
}

const COMMENT: u16 = 1;

/// A block's options. Texts longer than their 16-bit length are cut.
struct Options<'a> {
    out: &'a mut Vec<u8>,
    any: bool,
}

impl<'a> Options<'a> {
    fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, any: false }
    }

    fn text(&mut self, code: u16, text: Option<&str>) {
        if let Some(text) = text {
            let mut end = text.len().min(usize::from(u16::MAX));
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            self.bytes(code, &text.as_bytes()[..end]);
        }
    }

    fn bytes(&mut self, code: u16, bytes: &[u8]) {
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        self.out.extend(code.to_le_bytes());
        self.out.extend(length.to_le_bytes());
        self.out.extend(bytes);
        pad(self.out, bytes.len());
        self.any = true;
    }

    fn end(self) {
        if self.any {
            self.out.extend([0; 4]);
        }
    }
}

/// Fills up to a multiple of four bytes.
fn pad(out: &mut Vec<u8>, length: usize) {
    out.extend(&[0; 3][..length.wrapping_neg() % 4]);
}

fn timestamp(out: &mut Vec<u8>, at: Duration) {
    let nanoseconds = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
    let [low, high] = [nanoseconds & 0xffff_ffff, nanoseconds >> 32];
    for half in [high, low] {
        out.extend(u32::try_from(half).unwrap_or_default().to_le_bytes());
    }
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pcap_parser::{Block, PcapBlockOwned, PcapNGSlice};

    use super::{
        EnhancedPacket, Interface, LinkType, Passage, Section, Statistics, enhanced_packet,
        interface_description, interface_statistics, section_header,
    };

    fn blocks(bytes: &[u8]) -> Vec<Block<'_>> {
        PcapNGSlice::from_slice(bytes)
            .expect("a section header opens the file")
            .map(|block| match block.expect("every block is whole") {
                PcapBlockOwned::NG(block) => block,
                _ => panic!("not pcapng"),
            })
            .collect()
    }

    fn start() -> Vec<u8> {
        let mut out = Vec::new();
        let section = Section {
            system: Some("Linux"),
            ..Section::default()
        };
        section_header(&mut out, &section);
        let interface = Interface {
            link: LinkType::Raw,
            name: "client",
            snapshot_length: 0,
        };
        interface_description(&mut out, &interface);
        out
    }

    #[test]
    fn section_and_interface_read_back() {
        let out = start();
        let [
            Block::SectionHeader(section),
            Block::InterfaceDescription(interface),
        ] = &blocks(&out)[..]
        else {
            panic!("two blocks were written");
        };
        let application = section.shb_userappl().expect("named").expect("a text");
        assert!(application.starts_with("socklab "));
        assert_eq!(section.shb_os(), Some(Ok("Linux")));
        assert_eq!(section.shb_hardware(), None);
        assert_eq!(interface.linktype.0, 101);
        assert_eq!(interface.if_name(), Some(Ok("client")));
        assert_eq!(interface.ts_resolution(), Some(1_000_000_000));
    }

    #[test]
    fn packets_of_every_length_read_back() {
        for length in 0..9 {
            let bytes: Vec<u8> = (0..length).collect();
            let mut out = start();
            let packet = EnhancedPacket {
                interface: 0,
                at: Duration::new(1_700_000_000, 123_456_789),
                bytes: &bytes,
                original_length: 1500,
                passage: Some(Passage::Outbound),
                comment: Some("lost: queue full"),
            };
            enhanced_packet(&mut out, &packet);
            let blocks = blocks(&out);
            let Some(Block::EnhancedPacket(read)) = blocks.last() else {
                panic!("a packet was written");
            };
            assert_eq!(read.data[..bytes.len()], bytes);
            assert_eq!(read.caplen, u32::from(length));
            assert_eq!(read.origlen, 1500);
            assert_eq!(
                read.decode_ts(0, 1_000_000_000),
                (1_700_000_000, 123_456_789)
            );
            let options: Vec<_> = read
                .options
                .iter()
                .map(|option| (option.code.0, &option.value[..usize::from(option.len)]))
                .collect();
            assert_eq!(
                options,
                [
                    (1, &b"lost: queue full"[..]),
                    (2, &[2, 0, 0, 0][..]),
                    (0, &[][..])
                ]
            );
        }
    }

    #[test]
    fn statistics_read_back() {
        let mut out = start();
        let statistics = Statistics {
            interface: 0,
            at: Duration::from_secs(1_700_000_001),
            received: 12,
            dropped: 3,
        };
        interface_statistics(&mut out, &statistics);
        let blocks = blocks(&out);
        let Some(Block::InterfaceStatistics(read)) = blocks.last() else {
            panic!("statistics were written");
        };
        assert_eq!(read.isb_ifrecv(), Some(Ok(12)));
        assert_eq!(read.isb_ifdrop(), Some(Ok(3)));
    }

    #[test]
    fn an_overlong_comment_is_cut_between_characters() {
        let comment = "é".repeat(40_000);
        let mut out = start();
        let packet = EnhancedPacket {
            interface: 0,
            at: Duration::ZERO,
            bytes: &[],
            original_length: 0,
            passage: None,
            comment: Some(&comment),
        };
        enhanced_packet(&mut out, &packet);
        let blocks = blocks(&out);
        let Some(Block::EnhancedPacket(read)) = blocks.last() else {
            panic!("a packet was written");
        };
        assert_eq!(read.options[0].len, 65_534);
    }
}
