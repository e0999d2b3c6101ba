//! A multicast group as it is joined: the group, the interface, and the source
//! where only one is to be heard (RFC 3678, ip(7) `MCAST_JOIN_GROUP`).
//!
//! Owns the text `GROUP[@INTERFACE][/SOURCE]` and the bytes of `group_req` and
//! `group_source_req`. Never makes a call but if_nametoindex(3).

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::str::FromStr;

use nix::libc;
use nix::net::if_::if_nametoindex;

/// A group to become a member of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// The group's address.
    pub(crate) address: IpAddr,
    /// The interface, by name or number; the kernel's choice where `None`.
    pub(crate) interface: Option<String>,
    /// The only sender to be heard, where there is one.
    pub(crate) source: Option<IpAddr>,
}

/// Text that names no group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotAGroup;

impl FromStr for Group {
    type Err = NotAGroup;

    fn from_str(text: &str) -> Result<Self, NotAGroup> {
        let (rest, source) = match text.split_once('/') {
            Some((rest, source)) => (rest, Some(source.parse().map_err(|_| NotAGroup)?)),
            None => (text, None),
        };
        let (address, interface) = match rest.split_once(['@', '%']) {
            Some((address, interface)) => (address, Some(interface.to_owned())),
            None => (rest, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NotAGroup)?;
        let is_sound = address.is_multicast()
            && source.is_none_or(|source: IpAddr| source.is_ipv4() == address.is_ipv4())
            && interface.as_deref().is_none_or(is_name);
        is_sound
            .then_some(Self {
                address,
                interface,
                source,
            })
            .ok_or(NotAGroup)
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        if let Some(interface) = &self.interface {
            write!(f, "@{interface}")?;
        }
        match self.source {
            Some(source) => write!(f, "/{source}"),
            None => Ok(()),
        }
    }
}

impl Group {
    /// `struct group_req`, or `group_source_req` where there is a source.
    pub(super) fn bytes(&self) -> io::Result<Vec<u8>> {
        let index = match &self.interface {
            Some(interface) => interface_index(interface)?,
            None => 0,
        };
        let mut bytes = index.to_ne_bytes().to_vec();
        // The addresses are aligned as a word is.
        bytes.resize(size_of::<usize>(), 0);
        for address in [Some(self.address), self.source].into_iter().flatten() {
            bytes.extend_from_slice(&storage(address));
        }
        Ok(bytes)
    }
}

/// The number of an interface given by name or number.
pub(super) fn interface_index(interface: &str) -> io::Result<u32> {
    match interface.parse() {
        Ok(index) => Ok(index),
        Err(_) => Ok(if_nametoindex(interface)?),
    }
}

fn is_name(interface: &str) -> bool {
    let is_graphic = |letter: char| letter.is_ascii_graphic();
    (1..libc::IFNAMSIZ).contains(&interface.len()) && interface.chars().all(is_graphic)
}

/// `struct sockaddr_storage` of an address, without a port.
fn storage(address: IpAddr) -> [u8; size_of::<libc::sockaddr_storage>()] {
    let mut bytes = [0; size_of::<libc::sockaddr_storage>()];
    let (family, at, octets) = match address {
        IpAddr::V4(v4) => (libc::AF_INET, 4, v4.octets().to_vec()),
        IpAddr::V6(v6) => (libc::AF_INET6, 8, v6.octets().to_vec()),
    };
    let family = u16::try_from(family).unwrap_or_default();
    bytes[..2].copy_from_slice(&family.to_ne_bytes());
    bytes[at..at + octets.len()].copy_from_slice(&octets);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_may_have_an_interface_and_a_source() {
        for text in [
            "239.1.2.3",
            "239.1.2.3@eth0",
            "232.1.2.3@eth0/10.0.0.1",
            "ff02::5073@2",
            "ff3e::1/fd00::1",
        ] {
            let group: Group = text.parse().expect(text);
            assert_eq!(group.to_string(), text);
        }
        for text in [
            "10.0.0.1",
            "239.1.2.3@",
            "239.1.2.3/ff02::1",
            "",
            "@eth0",
            "239.1.2.3/x",
        ] {
            assert_eq!(text.parse::<Group>(), Err(NotAGroup), "{text}");
        }
    }

    #[test]
    fn the_kernels_structures_have_its_sizes() {
        let group: Group = "239.1.2.3".parse().expect("a group");
        assert_eq!(
            group.bytes().expect("no interface").len(),
            size_of::<usize>() + 128
        );
        let group: Group = "232.1.2.3@1/10.0.0.1".parse().expect("a group");
        assert_eq!(
            group.bytes().expect("a number").len(),
            size_of::<usize>() + 256
        );
    }
}
