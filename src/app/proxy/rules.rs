//! Where the proxy may connect to: judged by address, after the name has been
//! looked up, so that no name leads anywhere else.
//!
//! Pure: which addresses this host has is asked of the caller. Of the networks
//! that were typed and have the address, the smallest one decides; what none of
//! them has is left to the default. An IPv6 address that stands for an IPv4 one
//! (RFC 4291, RFC 6052, RFC 3056) is judged as both, and the unspecified address,
//! which leads to loopback (ip(7)), as that too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::address::Network;

/// Where the proxy may connect to.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Networks that are allowed.
    pub allow: Vec<Network>,
    /// Networks that are not.
    pub deny: Vec<Network>,
    /// What holds besides.
    pub default: Default,
}

/// What holds for addresses that no rule names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Default {
    /// All are allowed: only who is on this host can ask.
    #[default]
    Open,
    /// All are but those that only this host and its neighbours should reach.
    Public,
}

/// Networks that are nobody else's business (RFC 6890, RFC 4291).
const PRIVATE: [&str; 18] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/128",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
    "100::/64",
];

impl Rules {
    /// Whether this address may be connected to; `is_here` knows the addresses
    /// of this host.
    pub fn admit(&self, address: IpAddr, is_here: fn(IpAddr) -> bool) -> bool {
        let address = address.to_canonical();
        self.judge(address, is_here)
            && meant(address).is_none_or(|other| self.admit(other, is_here))
    }

    fn judge(&self, address: IpAddr, is_here: fn(IpAddr) -> bool) -> bool {
        match (
            smallest(&self.allow, address),
            smallest(&self.deny, address),
        ) {
            (None, None) => {
                self.default == Default::Open || !(is_private(address) || is_here(address))
            }
            // Of two that are as small, the one that forbids.
            (allowed, denied) => allowed > denied,
        }
    }
}

/// How many bits the smallest of these networks that has the address fixes.
fn smallest(networks: &[Network], address: IpAddr) -> Option<u8> {
    let found = networks.iter().filter(|one| one.contains(address));
    found.map(Network::prefix).max()
}

fn is_private(address: IpAddr) -> bool {
    let mut networks = PRIVATE.iter().filter_map(|text| text.parse().ok());
    networks.any(|network: Network| network.contains(address))
}

/// The other address at which packets for this one may arrive.
fn meant(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Some(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Some(Ipv6Addr::LOCALHOST.into()),
        address => embedded(address).map(IpAddr::from),
    }
}

/// The IPv4 address to which packets for this IPv6 address may find their way.
fn embedded(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(address) = address else {
        return None;
    };
    let inner = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        // IPv4-compatible, where it is not `::` or `::1`.
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => Some(inner(high, low)),
        // NAT64, the well-known prefix and the local one.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 1, _, _, _, high, low] => {
            Some(inner(high, low))
        }
        // 6to4.
        [0x2002, high, low, ..] => Some(inner(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(default: Default, allow: &[&str], deny: &[&str]) -> Rules {
        let networks = |texts: &[&str]| {
            let read = |text: &&str| text.parse().expect("a network");
            texts.iter().map(read).collect()
        };
        Rules {
            allow: networks(allow),
            deny: networks(deny),
            default,
        }
    }

    fn admits(rules: &Rules, address: &str) -> bool {
        let own = |address: IpAddr| address == IpAddr::from([192, 0, 2, 9]);
        rules.admit(address.parse().expect("an address"), own)
    }

    #[test]
    fn by_default_strangers_reach_only_what_is_public() {
        for text in PRIVATE {
            text.parse::<Network>().expect(text);
        }
        let public = rules(Default::Public, &[], &[]);
        for address in [
            "127.0.0.1",
            "127.255.255.254",
            "0.0.0.0",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::a00:1",
            "2002:7f00:1::1",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "192.0.2.9",
            "64:ff9b::192.0.2.9",
        ] {
            assert!(!admits(&public, address), "{address}");
            assert!(admits(&rules(Default::Open, &[], &[]), address));
        }
        for address in ["192.0.2.1", "8.8.8.8", "2001:db8::1", "64:ff9b::808:808"] {
            assert!(admits(&public, address), "{address}");
        }
    }

    #[test]
    fn the_smallest_network_decides_and_of_equals_the_one_that_forbids() {
        let some = rules(Default::Public, &["10.0.0.0/8"], &["10.1.0.0/16"]);
        assert!(admits(&some, "10.2.0.1"));
        assert!(!admits(&some, "10.1.0.1"));
        assert!(!admits(&some, "192.168.0.1"), "the default still holds");
        let only = rules(Default::Open, &["10.0.0.0/8"], &["0.0.0.0/0", "::/0"]);
        assert!(admits(&only, "10.0.0.1"));
        assert!(!admits(&only, "192.0.2.1"));
        assert!(!admits(&only, "2001:db8::1"));
        let here = rules(Default::Public, &["192.0.2.9"], &[]);
        assert!(admits(&here, "192.0.2.9"), "it was typed");
        let torn = rules(Default::Open, &["10.0.0.0/8"], &["10.0.0.0/8"]);
        assert!(!admits(&torn, "10.0.0.1"));
        assert!(!admits(&torn, "::ffff:10.0.0.1"));
        let abroad = rules(Default::Open, &[], &["127.0.0.0/8", "::1/128"]);
        for here in ["0.0.0.0", "::", "::ffff:0.0.0.0", "64:ff9b::"] {
            assert!(!admits(&abroad, here), "{here} leads to loopback");
        }
        assert!(admits(&abroad, "0.0.0.1"));
        let all = rules(Default::Public, &["0.0.0.0/0"], &[]);
        assert!(admits(&all, "127.0.0.1"));
    }
}
