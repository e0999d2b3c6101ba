//! Where a client wants to go: an address or a name, and a port.
//!
//! A name is held only where every resolver and every terminal can take it:
//! visible ASCII, at most 255 bytes (RFC 1035 section 2.3.4). A NUL, which would
//! cut it short for a resolver, is refused.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Destination {
    /// Which host.
    pub host: Host,
    /// Which port.
    pub port: u16,
}

/// An address or a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// An address.
    Ip(IpAddr),
    /// A name.
    Name(Name),
}

/// A name that may be looked up.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name(Box<str>);

/// Why bytes are no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There are none.
    #[error("the name is empty")]
    Empty,
    /// There are too many.
    #[error("the name has more than 255 bytes")]
    Long,
    /// A resolver would stop there.
    #[error("the name has a NUL in it")]
    Nul,
    /// No name has it.
    #[error("the name has the byte {0:#04x} in it")]
    Strange(u8),
}

impl Name {
    /// The most bytes that a name has.
    pub const LONGEST: usize = 255;

    /// Reads a name.
    ///
    /// # Errors
    ///
    /// It is empty, too long, or has bytes that names do not have.
    pub fn read(bytes: &[u8]) -> Result<Self, NameError> {
        let strange = |byte: &&u8| !byte.is_ascii_graphic();
        match bytes.iter().find(strange) {
            _ if bytes.is_empty() => Err(NameError::Empty),
            _ if bytes.len() > Self::LONGEST => Err(NameError::Long),
            Some(0) => Err(NameError::Nul),
            Some(byte) => Err(NameError::Strange(*byte)),
            None => Ok(Self(bytes.iter().copied().map(char::from).collect())),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Host {
    /// Reads a name, or an address that is written as one, in the old ways too
    /// (inet(3)): whoever looks it up would find that address.
    ///
    /// # Errors
    ///
    /// It is neither.
    pub fn read(bytes: &[u8]) -> Result<Self, NameError> {
        let name = Name::read(unbracketed(bytes))?;
        let text = name.as_str();
        let numeric = || numeric(text).map(IpAddr::from);
        let read = text.parse().ok().or_else(numeric);
        Ok(match read {
            Some(ip) => Self::Ip(ip),
            None => Self::Name(name),
        })
    }
}

/// One to four numbers, each decimal, octal or hexadecimal, of which the last
/// one has all bytes that the others leave.
fn numeric(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<&str> = text.split('.').collect();
    let (last, others) = parts.split_last()?;
    if others.len() > 3 {
        return None;
    }
    let mut bits = number(last)?;
    if u64::from(bits) >> (8 * (4 - others.len())) != 0 {
        return None;
    }
    for (index, part) in others.iter().enumerate() {
        let byte = u8::try_from(number(part)?).ok()?;
        bits |= u32::from(byte) << (24 - 8 * index);
    }
    Some(bits.into())
}

/// An IPv6 address, perhaps with its zone, without the brackets that URLs put
/// around it.
fn unbracketed(bytes: &[u8]) -> &[u8] {
    let inside = bytes
        .strip_prefix(b"[")
        .and_then(|rest| rest.strip_suffix(b"]"));
    let is_v6 = |inside: &&[u8]| {
        let address = inside.split(|byte| *byte == b'%').next();
        let text = address.and_then(|address| std::str::from_utf8(address).ok());
        text.is_some_and(|text| text.parse::<Ipv6Addr>().is_ok())
    };
    inside.filter(is_v6).unwrap_or(bytes)
}

fn number(text: &str) -> Option<u32> {
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (digits, radix) = match (hexadecimal, text.strip_prefix('0')) {
        (Some(digits), _) => (digits, 16),
        (None, Some(digits)) if !digits.is_empty() => (digits, 8),
        _ => (text, 10),
    };
    let is_number = digits.starts_with(|first: char| first.is_digit(radix));
    is_number
        .then(|| u32::from_str_radix(digits, radix).ok())
        .flatten()
}

impl Destination {
    /// Reads `HOST:PORT` or `[IPv6]:PORT`; without a port it is `port`.
    pub fn read(text: &str, port: Option<u16>) -> Option<Self> {
        let (host, rest) = match text.strip_prefix('[') {
            Some(inside) => {
                let (host, rest) = inside.split_once(']')?;
                host.split('%').next()?.parse::<std::net::Ipv6Addr>().ok()?;
                (host, rest)
            }
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        let port = match rest.strip_prefix(':') {
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok()?
            }
            None if rest.is_empty() => port?,
            _ => return None,
        };
        let host = Host::read(host.as_bytes()).ok()?;
        Some(Self { host, port })
    }

    /// Whether it is the same: names have no case (RFC 4343).
    pub fn matches(&self, other: &Self) -> bool {
        let is_same = match (&self.host, &other.host) {
            (Host::Name(one), Host::Name(two)) => one.0.eq_ignore_ascii_case(&two.0),
            (one, two) => one == two,
        };
        is_same && self.port == other.port
    }
}

impl From<SocketAddr> for Destination {
    fn from(address: SocketAddr) -> Self {
        Self {
            host: Host::Ip(address.ip()),
            port: address.port(),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Ip(ip) => ip.fmt(f),
            Host::Name(name) => f.pad(name.as_str()),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port;
        match &self.host {
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]:{port}"),
            Host::Name(name) if name.as_str().contains(':') => write!(f, "[{}]:{port}", name.0),
            host => write!(f, "{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_name_is_told_so() {
        for (bytes, expected) in [
            (&b""[..], NameError::Empty),
            (b"example.org\0.evil.example", NameError::Nul),
            (b"exa mple", NameError::Strange(b' ')),
            (b"\x1b[2J", NameError::Strange(0x1b)),
            ("b\u{fc}cher".as_bytes(), NameError::Strange(0xc3)),
            (&[b'a'; 256], NameError::Long),
        ] {
            assert_eq!(Host::read(bytes), Err(expected));
        }
        Host::read(&[b'a'; 255]).expect("the longest name");
    }

    #[test]
    fn an_authority_is_a_host_and_a_port() {
        for (text, expected) in [
            ("example.org:443", Some("example.org:443")),
            ("192.0.2.1:1", Some("192.0.2.1:1")),
            ("[2001:db8::1]:443", Some("[2001:db8::1]:443")),
            ("example.org", Some("example.org:80")),
            ("[::1]", Some("[::1]:80")),
            ("[fe80::1%lo]:1", Some("[fe80::1%lo]:1")),
            ("example.org:", None),
            ("example.org:+1", None),
            ("example.org:65536", None),
            ("2001:db8::1", None),
            ("[example]:1", None),
            ("[::1]1", None),
            (":80", None),
            ("", None),
        ] {
            let read = Destination::read(text, Some(80));
            assert_eq!(read.map(|to| to.to_string()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn an_address_in_an_old_way_of_writing_is_an_address() {
        for (text, expected) in [
            ("2130706433", Some("127.0.0.1")),
            ("127.1", Some("127.0.0.1")),
            ("10.1.258", Some("10.1.1.2")),
            ("0x7f000001", Some("127.0.0.1")),
            ("0X7F.0.0.1", Some("127.0.0.1")),
            ("0177.0.0.01", Some("127.0.0.1")),
            ("0", Some("0.0.0.0")),
            ("4294967295", Some("255.255.255.255")),
            ("4294967296", None),
            ("127.16777216", None),
            ("256.0.0.1", None),
            ("127.0.0.08", None),
            ("127.0.0.1.", None),
            ("1.2.3.4.5", None),
            ("127.+1", None),
            ("0x", None),
            ("0x+1", None),
            ("1.example", None),
            ("[::1]", Some("::1")),
            ("[127.0.0.1]", None),
            (".", None),
        ] {
            let read = Host::read(text.as_bytes()).expect("a name or an address");
            let ip = match read {
                Host::Ip(ip) => Some(ip.to_string()),
                Host::Name(_) => None,
            };
            assert_eq!(ip.as_deref(), expected, "{text}");
        }
        let scoped = Host::read(b"[fe80::1%lo]").expect("a name");
        assert_eq!(scoped.to_string(), "fe80::1%lo");
    }

    proptest! {
        /// What is an address here is the same one to the resolver.
        #[test]
        fn the_resolver_finds_no_other(text in "[0-9xa-fX]{1,11}(\\.[0-9xa-f]{1,5}){0,3}") {
            use std::net::ToSocketAddrs;
            let old = numeric(&text);
            if let Some(old) = old {
                let found = (text.as_str(), 1).to_socket_addrs().expect("an address");
                prop_assert_eq!(found.map(|one| one.ip()).next(), Some(IpAddr::from(old)));
            }
        }

        #[test]
        fn what_is_shown_reads_back(address: SocketAddr) {
            let to = Destination::from(SocketAddr::new(address.ip(), address.port()));
            prop_assert_eq!(Destination::read(&to.to_string(), None), Some(to));
        }

        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = Destination::read(&text, Some(1));
        }
    }
}
