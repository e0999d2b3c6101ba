//! Networks in CIDR notation (RFC 4632, RFC 4291 section 2.3), and who is
//! admitted by lists of them.
//!
//! Pure: an address in, yes or no out. An IPv4 address that a dual-stack socket
//! shows as IPv4-mapped (RFC 4291 section 2.5.5.2) is judged as IPv4.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// A network: those addresses whose first bits are these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// No address before the slash.
    #[error("{0:?} is no address; a network is written 192.0.2.0/24 or 2001:db8::/32")]
    Address(String),
    /// No length after it, or one that the family does not have.
    #[error("/{0} is no prefix length: it is 0 to {1} here")]
    Prefix(String, u8),
}

impl Network {
    /// How many of its bits are fixed.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether the address belongs to it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = leading(self.prefix, 32);
                (u128::from(own.to_bits()) ^ u128::from(other.to_bits())) & mask == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()) & leading(self.prefix, 128) == 0
            }
            _ => false,
        }
    }
}

/// An address as IPv4 where an IPv6 socket shows it IPv4-mapped.
pub fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(v4) => SocketAddr::from((v4, address.port())),
        // With its scope.
        IpAddr::V6(_) => address,
    }
}

/// The first `count` of `width` bits.
fn leading(count: u8, width: u8) -> u128 {
    let rest = u32::from(width.saturating_sub(count));
    let all = u128::MAX >> (128 - u32::from(width));
    all & u128::MAX.checked_shl(rest).unwrap_or(0)
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address
            .parse()
            .map_err(|_| NetworkError::Address(address.to_owned()))?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match length {
            None => most,
            Some(length) => length
                .parse()
                .ok()
                .filter(|prefix| *prefix <= most && !length.starts_with('+'))
                .ok_or_else(|| NetworkError::Prefix(length.to_owned(), most))?,
        };
        Ok(match address.to_canonical() {
            mapped @ IpAddr::V4(_) if prefix >= 96 => Self {
                address: mapped,
                prefix: prefix - 96,
            },
            _ => Self { address, prefix },
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// Who may take part.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Admission {
    /// Only these, where there are any.
    pub allow: Vec<Network>,
    /// Not these, whatever `allow` says.
    pub deny: Vec<Network>,
}

impl Admission {
    /// Whether this address may.
    pub fn admits(&self, address: IpAddr) -> bool {
        let is_in = |networks: &[Network]| networks.iter().any(|net| net.contains(address));
        !is_in(&self.deny) && (self.allow.is_empty() || is_in(&self.allow))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn network(text: &str) -> Network {
        text.parse().expect("a network")
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_network_has_its_addresses_and_no_others() {
        for (net, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("10.0.0.0/8", "::ffff:10.1.1.1", "::10.1.1.1"),
            ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
            ("0.0.0.0/0", "255.1.2.3", "::1"),
            ("::/0", "2001:db8::1", "127.0.0.1"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"),
            ("::1", "::1", "::2"),
            ("::ffff:10.0.0.0/104", "10.1.1.1", "11.0.0.0"),
        ] {
            assert!(network(net).contains(ip(inside)), "{inside} in {net}");
            assert!(!network(net).contains(ip(outside)), "{outside} in {net}");
        }
    }

    #[test]
    fn what_is_no_network_is_told_so() {
        for text in [
            "",
            "example",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/",
            "1.2.3.4/+8",
        ] {
            text.parse::<Network>().expect_err(text);
        }
    }

    #[test]
    fn who_is_denied_is_denied_whatever_is_allowed() {
        let lists = Admission {
            allow: vec![network("127.0.0.0/8")],
            deny: vec![network("127.0.0.2")],
        };
        assert!(lists.admits(ip("127.0.0.1")));
        assert!(!lists.admits(ip("127.0.0.2")));
        assert!(!lists.admits(ip("::1")));
        assert!(Admission::default().admits(ip("::1")));
    }

    proptest! {
        #[test]
        fn networks_read_back_and_have_their_own_address(address: IpAddr, length: u8) {
            let most = if address.is_ipv4() { 32 } else { 128 };
            let read = network(&format!("{address}/{}", length % (most + 1)));
            // Networks shorter than all IPv4-mapped addresses are IPv6's alone.
            let is_mapped = address.to_canonical() != address;
            prop_assert!(read.contains(address) || (is_mapped && read.address.is_ipv6()));
            prop_assert_eq!(network(&read.to_string()), read);
        }
    }
}
