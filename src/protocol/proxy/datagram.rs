//! The header of a datagram that goes through a SOCKS5 proxy, parse beside emit
//! (RFC 1928 section 7).
//!
//! ```text
//! 00 00 FRAG ATYP ADDR PORT PORT DATA…
//! ```

use std::net::SocketAddr;

use super::reader::Reader;
use super::{Destination, socks5};

/// The most bytes of a header: the longest name.
pub const LONGEST_HEADER: usize = 4 + 1 + 255 + 2;

/// A datagram of a client's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Which fragment it is; 0 is a whole datagram.
    pub fragment: u8,
    /// Where it is to go.
    pub destination: Destination,
    /// What.
    pub data: &'a [u8],
}

/// Takes a client's datagram apart; none where it has no header.
pub fn read(bytes: &[u8]) -> Option<Datagram<'_>> {
    let mut reader = Reader::new(bytes);
    reader.port().ok()?;
    let fragment = reader.byte().ok()?;
    let destination = socks5::address(&mut reader).ok()?;
    Some(Datagram {
        fragment,
        destination,
        data: &bytes[reader.taken()..],
    })
}

/// The datagram with the header that says from where it came.
pub fn write(source: SocketAddr, data: &[u8]) -> Vec<u8> {
    let source = SocketAddr::new(source.ip().to_canonical(), source.port());
    let mut out = Vec::with_capacity(LONGEST_HEADER + data.len());
    out.extend([0, 0, 0]);
    socks5::put_address(&mut out, &source.into());
    out.extend(data);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_has_no_header_is_none() {
        for bytes in [
            &b""[..],
            b"\0\0\0",
            b"\0\0\0\x09\x7f\0\0\x01\0\x35",
            b"\0\0\0\x01\x7f\0\0\x01\0",
            b"\0\0\0\x03\0\0\x35",
            b"\0\0\0\x03\x02a\0\0\x35",
        ] {
            assert_eq!(read(bytes), None, "{bytes:x?}");
        }
        let second = read(b"\0\0\x02\x03\x01a\0\x35data").expect("a fragment");
        assert_eq!((second.fragment, second.data), (2, &b"data"[..]));
        assert_eq!(second.destination.to_string(), "a:53");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(source: SocketAddr, data: Vec<u8>) {
            let bytes = write(source, &data);
            let source = SocketAddr::new(source.ip().to_canonical(), source.port());
            let expected = Datagram { fragment: 0, destination: source.into(), data: &data };
            prop_assert_eq!(read(&bytes), Some(expected));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            if let Some(datagram) = read(&bytes) {
                prop_assert!(bytes.ends_with(datagram.data));
            }
        }
    }
}
