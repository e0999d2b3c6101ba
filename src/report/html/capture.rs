//! The packets as a file within the page: pcapng in memory, of a bounded size,
//! and the link that hands it out.

use std::io::{self, Write};

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;

use super::markup::{Attribute, Markup};
use crate::report::figure::grouped;

/// Where a pcapng file is written that goes into a page: whole blocks, until
/// there is no room for the next.
///
/// Each block must come in one call of `write`, as
/// [`PcapFile`](crate::report::pcap::PcapFile) does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    bytes: Vec<u8>,
    limit: usize,
    left_out: u64,
}

impl Default for Capture {
    /// A page should stay small enough for a browser and a mail.
    fn default() -> Self {
        Self::of_at_most(4 << 20)
    }
}

impl Capture {
    /// One of at most so many bytes.
    pub fn of_at_most(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            limit,
            left_out: 0,
        }
    }

    /// The file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The link to it, and what it lacks.
    pub(super) fn draw(&self, out: &mut Markup) {
        out.element("p", &[("class", &"download")], |p| {
            let data = Base64Display::new(&self.bytes, &STANDARD);
            let href = format!("data:application/octet-stream;base64,{data}");
            let attributes: [Attribute<'_>; 2] =
                [("href", &href), ("download", &"socklab-compare.pcapng")];
            let size = grouped((self.bytes.len() as u64).div_ceil(1024));
            p.leaf("a", &attributes, format_args!("Download the packets (pcapng, {size} KiB)"));
            p.text(" Wireshark opens it; each packet’s fate is its comment.");
            if self.left_out > 0 {
                let (limit, blocks) = (grouped((self.limit >> 10) as u64), grouped(self.left_out));
                p.text(format_args!(
                    " Cut at {limit} KiB: {blocks} blocks more were left out; --pcap FILE writes all."
                ));
            }
        });
    }
}

impl Write for Capture {
    fn write(&mut self, block: &[u8]) -> io::Result<usize> {
        // After the first that does not fit, none: the file has no gaps.
        if self.left_out > 0 || self.bytes.len() + block.len() > self.limit {
            self.left_out += 1;
        } else {
            self.bytes.extend_from_slice(block);
        }
        Ok(block.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_blocks_are_kept_and_none_behind_a_gap() {
        let mut capture = Capture::of_at_most(6);
        for block in [&b"abcd"[..], b"efg", b"h"] {
            capture.write_all(block).expect("memory takes it");
        }
        assert_eq!(capture.bytes(), b"abcd");
        let mut out = Markup::default();
        capture.draw(&mut out);
        let text = out.into_text();
        assert!(text.contains("base64,YWJjZA==\""), "{text}");
        assert!(text.contains("2 blocks more were left out"), "{text}");
    }
}
