//! Names to addresses and back, by the system's resolver (`getaddrinfo(3)`,
//! `getnameinfo(3)`; RFC 6724 orders what it answers).
//!
//! Asks once and waits for the answer. Opens no socket of its own, and decides
//! nothing about the order in which addresses are tried.

use std::net::SocketAddr;

use dns_lookup::{AddrInfoHints, AddrInfoIter, LookupError, LookupErrorKind, getaddrinfo};
use nix::libc;

use super::endpoint::Endpoint;
use crate::error::Error;
use crate::flow::{Family, Kind};

/// `EAI_ADDRFAMILY` of glibc's `netdb.h`, which the `libc` crate lacks.
const ADDRESS_FAMILY_NOT_SUPPORTED: i32 = -9;

/// What is asked of the resolver besides the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// Only addresses of this family, where one is given.
    pub family: Option<Family>,
    /// For which kind of socket: a service may have a port for one only.
    pub kind: Kind,
}

/// The addresses of `endpoint` in the resolver's order, each once. An endpoint
/// without a host stands for this host; one without a service has port 0.
pub fn resolve(endpoint: &Endpoint, question: Question) -> Result<Vec<SocketAddr>, Error> {
    let host = endpoint.host.as_deref().unwrap_or("localhost");
    let service = endpoint.service.as_ref().map(ToString::to_string);
    let entries = ask(host, service.as_deref(), question, 0)
        .map_err(|cause| unknown(host, service.as_deref(), question, cause))?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for entry in entries.flatten() {
        if !addresses.contains(&entry.sockaddr) {
            addresses.push(entry.sockaddr);
        }
    }
    if addresses.is_empty() {
        return Err(Error::new("look up", host, "the resolver knows no address"));
    }
    Ok(addresses)
}

/// An address's name; none where the resolver knows none.
pub fn name_of(address: SocketAddr) -> Option<String> {
    let flags = libc::NI_NAMEREQD | libc::NI_NUMERICSERV;
    let (name, _) = dns_lookup::getnameinfo(&address, flags).ok()?;
    Some(name)
}

/// Whether the host is an address already, so that nobody is asked.
pub(super) fn numeric(endpoint: &Endpoint) -> bool {
    let Some(host) = endpoint.host.as_deref() else {
        return false;
    };
    let question = Question {
        family: None,
        kind: Kind::Tcp,
    };
    ask(host, None, question, libc::AI_NUMERICHOST).is_ok()
}

fn ask(
    host: &str,
    service: Option<&str>,
    question: Question,
    flags: i32,
) -> Result<AddrInfoIter, LookupError> {
    let hints = AddrInfoHints {
        flags,
        address: match question.family {
            None => libc::AF_UNSPEC,
            Some(Family::Ipv4) => libc::AF_INET,
            Some(Family::Ipv6) => libc::AF_INET6,
        },
        socktype: match question.kind {
            Kind::Tcp => libc::SOCK_STREAM,
            _ => libc::SOCK_DGRAM,
        },
        protocol: 0,
    };
    getaddrinfo(Some(host), service, Some(hints))
}

fn unknown(host: &str, service: Option<&str>, question: Question, cause: LookupError) -> Error {
    let kind = cause.kind();
    let number = cause.error_num();
    let io = std::io::Error::from(cause);
    let words = io.to_string();
    let words = words.rsplit(": ").next().unwrap_or(&words).to_owned();
    if matches!(kind, LookupErrorKind::Service) {
        return Error::new("look up the service", service.unwrap_or_default(), words)
            .remedy("the names are in /etc/services; or give a port, 0 to 65535");
    }
    let without_family = Question {
        family: None,
        ..question
    };
    let error = Error::new("look up", host, words);
    match (kind, question.family) {
        (LookupErrorKind::Again, _) => {
            error.remedy("no name server answered; try again, or give an address")
        }
        // Some resolvers call a name without such an address unknown.
        (_, Some(family))
            if number == ADDRESS_FAMILY_NOT_SUPPORTED
                || ask(host, service, without_family, 0).is_ok() =>
        {
            error.remedy(match family {
                Family::Ipv4 => "it has no IPv4 address; try -6",
                Family::Ipv6 => "it has no IPv6 address; try -4",
            })
        }
        _ => error.remedy("check the spelling, or give an address"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look_up(words: &[&str], family: Option<Family>) -> Result<Vec<SocketAddr>, Error> {
        let endpoint = Endpoint::remote(words).expect("an endpoint");
        let kind = Kind::Tcp;
        resolve(&endpoint, Question { family, kind })
    }

    #[test]
    fn addresses_and_services_are_found() {
        let expected = |text: &str| vec![text.parse::<SocketAddr>().expect("an address")];
        assert_eq!(
            look_up(&["127.0.0.1", "80"], None).expect("a literal"),
            expected("127.0.0.1:80")
        );
        assert_eq!(
            look_up(&["[::1]:0"], None).expect("a literal"),
            expected("[::1]:0")
        );
        assert_eq!(
            look_up(&["127.1"], None).expect("as inet_aton has it"),
            expected("127.0.0.1:0")
        );
    }

    #[test]
    fn the_wrong_family_and_an_unknown_service_have_a_remedy() {
        let wrong = look_up(&["::1", "80"], Some(Family::Ipv4)).expect_err("IPv6 only");
        assert!(wrong.to_string().ends_with("try -6"), "{wrong}");
        let service = look_up(&["127.0.0.1", "no-such-service"], None).expect_err("unknown");
        let words = service.to_string();
        assert!(
            words.starts_with("look up the service no-such-service: "),
            "{words}"
        );
    }
}
