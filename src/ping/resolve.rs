//! From what was typed to the address that is pinged: the system's resolver
//! (`getaddrinfo(3)`) and the route the kernel would take.
//!
//! Done once, before the first probe. Never sends a packet: [`Way`] asks for the
//! route only.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use dns_lookup::{AddrInfoHints, AddrInfoIter, LookupError, LookupErrorKind, getaddrinfo};
use nix::errno::Errno;
use nix::libc;

use crate::error::Error;
use crate::event::EchoAddress;
use crate::flow::Family;
use crate::ping::outbox::named_zone;
use crate::ping::way::{Found, Reach, Way};
use crate::socket::icmp::Options;

/// `EAI_ADDRFAMILY` of glibc's `netdb.h`, which the `libc` crate lacks.
const ADDRESS_FAMILY_NOT_SUPPORTED: i32 = -9;

/// What is pinged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The host as header and summary call it.
    pub name: String,
    /// Its address, with port 0.
    pub address: SocketAddr,
    /// The address the route gives our packets.
    pub source: SocketAddr,
    /// The interface that has that address, if one of this host's has.
    pub interface: Option<String>,
    /// Whether an address was typed, so that no names are looked up.
    pub numeric: bool,
    /// The name the resolver has for the host, or the host as it was typed.
    pub canonical: String,
    /// Whether the address is one host's or all's.
    pub reach: Reach,
}

impl Target {
    /// The first address of `host`, of this family if one is given, that has a
    /// route.
    pub fn resolve(host: &str, family: Option<Family>) -> Result<Self, Error> {
        Self::resolve_by(host, family, &Way::open(&Options::default()))
    }

    /// The first address of `host`, of this family if one is given, to which
    /// there is this way.
    pub fn resolve_by(host: &str, family: Option<Family>, way: &Way) -> Result<Self, Error> {
        if host.is_empty() {
            let cause = "the host is empty";
            return Err(Error::new("look up", "\"\"", cause).remedy("give a name or an address"));
        }
        let mut first_failure = None;
        for (address, name) in look_up(host, family)? {
            match way.towards(address) {
                Ok(found) => return Ok(Self::towards(host, name, address, found)),
                Err(errno) => first_failure = first_failure.or(Some((address, errno))),
            }
        }
        Err(match first_failure {
            Some((address, errno)) => no_route(address, errno),
            None => Error::new("look up", host, "the resolver knows no address"),
        })
    }

    fn towards(host: &str, name: Option<String>, address: SocketAddr, found: Found) -> Self {
        let source = found.source;
        let canonical = name.clone().unwrap_or_else(|| host.to_owned());
        let name = match (Family::of(address.ip()), name) {
            // As ping(8) has it: the canonical name, but only for IPv4.
            (Family::Ipv4, Some(canonical)) if !is_literal(host) => canonical,
            _ => host.to_owned(),
        };
        // The unspecified address stands for this host.
        let address = if address.ip() == IpAddr::V4(Ipv4Addr::UNSPECIFIED) {
            source
        } else {
            address
        };
        Self {
            name,
            address: without_port(address),
            source: without_port(source),
            interface: interface_of(source.ip()),
            numeric: is_literal(host),
            canonical,
            reach: found.reach,
        }
    }
}

/// The addresses of `host` in the resolver's order, with its canonical name.
fn look_up(host: &str, family: Option<Family>) -> Result<Vec<(SocketAddr, Option<String>)>, Error> {
    let entries = ask(host, family).map_err(|cause| unknown_host(host, family, cause))?;
    let mut canonical = None;
    let mut addresses = Vec::new();
    // Only the first entry carries the name.
    for entry in entries.flatten() {
        canonical = canonical.or(entry.canonname);
        addresses.push((entry.sockaddr, canonical.clone()));
    }
    Ok(addresses)
}

/// Asks the system's resolver.
fn ask(host: &str, family: Option<Family>) -> Result<AddrInfoIter, LookupError> {
    let hints = AddrInfoHints {
        flags: libc::AI_CANONNAME,
        address: match family {
            None => libc::AF_UNSPEC,
            Some(Family::Ipv4) => libc::AF_INET,
            Some(Family::Ipv6) => libc::AF_INET6,
        },
        socktype: libc::SOCK_DGRAM,
        protocol: 0,
    };
    getaddrinfo(Some(host), None, Some(hints))
}

fn unknown_host(host: &str, family: Option<Family>, cause: LookupError) -> Error {
    let kind = cause.kind();
    let number = cause.error_num();
    let io = std::io::Error::from(cause);
    let words = io.to_string();
    let words = words.rsplit(": ").next().unwrap_or(&words).to_owned();
    let error = Error::new("look up", host, words);
    match (kind, family) {
        (LookupErrorKind::Again, _) => {
            error.remedy("no name server answered; try again, or give an address")
        }
        // Some resolvers call a name without such an address unknown.
        (_, Some(family)) if number == ADDRESS_FAMILY_NOT_SUPPORTED || ask(host, None).is_ok() => {
            error.remedy(match family {
                Family::Ipv4 => "it has no IPv4 address; try -6",
                Family::Ipv6 => "it has no IPv6 address; try -4",
            })
        }
        _ => error.remedy("check the spelling, or give an address"),
    }
}

fn no_route(address: SocketAddr, errno: Errno) -> Error {
    let error = Error::new("connect", named_zone(address).to_string(), errno);
    match errno {
        Errno::EINVAL if is_link_local(address.ip()) => error.remedy(format!(
            "a link-local address needs an interface: {}%eth0",
            address.ip()
        )),
        Errno::EACCES => error.remedy(
            "do you want to ping a broadcast address? then -b; \
             if not, see `ip route get` and the firewall's rules",
        ),
        Errno::ENODEV => error.remedy("no interface has the name that -I gives; see `ip link`"),
        Errno::EADDRNOTAVAIL => {
            error.remedy("no interface has the address that -I gives; see `ip address`")
        }
        Errno::ENETUNREACH | Errno::EHOSTUNREACH => {
            let EchoAddress { ip, zone } = named_zone(address);
            let way = zone.map_or(String::new(), |zone| format!(" oif {zone}"));
            error.remedy(format!("see `ip route get {ip}{way}`"))
        }
        _ => error,
    }
}

/// Whether the address means another host on every link (RFC 4291 section
/// 2.5.6).
fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// The interface that has this address (`getifaddrs(3)`).
pub(super) fn interface_of(address: IpAddr) -> Option<String> {
    let found = pnet::datalink::interfaces().into_iter().find(|interface| {
        let mut addresses = interface.ips.iter();
        addresses.any(|network| network.ip() == address)
    });
    found.map(|interface| interface.name)
}

fn without_port(mut address: SocketAddr) -> SocketAddr {
    address.set_port(0);
    address
}

/// Whether `host` is an address as `inet_aton(3)` or IPv6 spells it.
fn is_literal(host: &str) -> bool {
    host.contains(':') || (host.split('.').count() <= 4 && host.split('.').all(is_number))
}

/// Whether `part` is a part of what `inet_aton(3)` reads: decimal, octal or hex.
fn is_number(part: &str) -> bool {
    let (digits, is_digit): (_, fn(&u8) -> bool) =
        match part.strip_prefix("0x").or(part.strip_prefix("0X")) {
            Some(hex) => (hex, u8::is_ascii_hexdigit),
            None => (part, u8::is_ascii_digit),
        };
    !digits.is_empty() && digits.as_bytes().iter().all(is_digit)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddrV6;

    use super::*;

    #[test]
    fn addresses_are_told_from_names() {
        for host in ["127.0.0.1", "127.1", "0", "::1", "fe80::1%eth0", "fd77::2"] {
            assert!(is_literal(host), "{host}");
        }
        for host in ["0x7f000001", "0X7f.1", "0177.0.0.1"] {
            assert!(is_literal(host), "{host}");
        }
        for host in [
            "localhost",
            "1.example",
            "example",
            "",
            ".",
            "0x",
            "1.",
            "1.2.3.4.5",
        ] {
            assert!(!is_literal(host), "{host}");
        }
    }

    #[test]
    fn an_address_is_its_own_name() {
        let target = Target::resolve("127.1", None).unwrap();
        assert_eq!(target.name, "127.1");
        assert_eq!(target.address, SocketAddr::from(([127, 0, 0, 1], 0)));
        assert_eq!(target.source, SocketAddr::from(([127, 0, 0, 1], 0)));
        assert!(target.numeric);
    }

    #[test]
    fn the_unspecified_address_is_this_host() {
        let target = Target::resolve("0", None).unwrap();
        assert_eq!(target.name, "0");
        assert_eq!(target.address, SocketAddr::from(([127, 0, 0, 1], 0)));
    }

    #[test]
    fn what_cannot_be_a_host_is_refused_by_name() {
        let words = Target::resolve("", None).unwrap_err().to_string();
        assert!(words.contains("the host is empty"), "{words}");
        let no_scope = no_route("[fe80::1]:0".parse().unwrap(), Errno::EINVAL);
        let remedy = "; a link-local address needs an interface: fe80::1%eth0";
        assert!(no_scope.to_string().ends_with(remedy), "{no_scope}");
    }

    #[test]
    fn a_way_that_is_not_there_is_named_with_its_interface() {
        // The loopback device has the same index in every namespace.
        let loopback = SocketAddrV6::new("fe80::1".parse().unwrap(), 0, 0, 1);
        let words = no_route(loopback.into(), Errno::ENETUNREACH).to_string();
        assert!(words.starts_with("connect fe80::1%lo: "), "{words}");
        let remedy = "; see `ip route get fe80::1 oif lo`";
        assert!(words.ends_with(remedy), "{words}");
    }

    #[test]
    fn the_wrong_family_is_refused_with_a_remedy() {
        let error = Target::resolve("::1", Some(Family::Ipv4)).unwrap_err();
        let words = error.to_string();
        assert!(words.starts_with("look up ::1: "), "{words}");
        assert!(
            words.ends_with("; it has no IPv4 address; try -6"),
            "{words}"
        );
    }
}
