//! An endpoint as people type it: `HOST PORT`, `HOST:PORT`, `[v6]:PORT`,
//! `NAME:SERVICE`, `:PORT`, `PORT`.
//!
//! Text in, values out: a host stays a name, a service stays a word, until the
//! resolver is asked. A port that does not exist is refused here, so that it is
//! never cut to sixteen bits.

use std::fmt;
use std::net::Ipv6Addr;

/// A host and a service, either of which may have been left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// A name or an address without brackets; none where it was left out.
    pub host: Option<String>,
    /// A port or a service's name; none where it was left out.
    pub service: Option<Service>,
}

/// Which port, as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Service {
    /// A number.
    Port(u16),
    /// A name such as `http`, for `getaddrinfo(3)` to look up.
    Named(String),
}

/// Why a text is no endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// A number that is no port.
    #[error("{0} is no port: ports are 0 to 65535")]
    NoSuchPort(String),
    /// Nothing where a port should be.
    #[error("the port is empty")]
    EmptyPort,
    /// Nothing where a host should be.
    #[error("the host is empty")]
    EmptyHost,
    /// An opening bracket without its closing one, or with something after it.
    #[error("an address in brackets is written [ADDRESS]:PORT")]
    Brackets,
    /// Brackets around something that is no IPv6 address.
    #[error("{0} stands in brackets and is no IPv6 address")]
    NotIpv6(String),
    /// An IPv6 address whose end could be a port.
    #[error("an IPv6 address stands in brackets here: [{0}]:PORT")]
    BareIpv6(String),
    /// More than a host and a port.
    #[error("an endpoint is one word or two: HOST:PORT, or HOST PORT")]
    TooManyWords,
}

impl Endpoint {
    /// Where to go: one word or two. A lone number is a port, any other lone
    /// word a host.
    pub fn remote<Word: AsRef<str>>(words: &[Word]) -> Result<Self, EndpointError> {
        Self::read(words, |word| {
            if is_number(word) {
                Service::read(word).map(Self::on)
            } else {
                Ok(Self::at(word))
            }
        })
    }

    /// Where to be: one word or two. A lone word is an address where it looks
    /// like one, else a port or a service.
    pub fn local<Word: AsRef<str>>(words: &[Word]) -> Result<Self, EndpointError> {
        Self::read(words, |word| {
            if word.parse::<std::net::Ipv4Addr>().is_ok() {
                Ok(Self::at(word))
            } else {
                Service::read(word).map(Self::on)
            }
        })
    }

    fn read<Word: AsRef<str>>(
        words: &[Word],
        lone: impl FnOnce(&str) -> Result<Self, EndpointError>,
    ) -> Result<Self, EndpointError> {
        let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
        match words[..] {
            [] => Ok(Self {
                host: None,
                service: None,
            }),
            [word] => Self::read_word(word, lone),
            [host, service] => Ok(Self {
                host: Some(read_host(host)?),
                service: Some(Service::read(service)?),
            }),
            _ => Err(EndpointError::TooManyWords),
        }
    }

    fn read_word(
        word: &str,
        lone: impl FnOnce(&str) -> Result<Self, EndpointError>,
    ) -> Result<Self, EndpointError> {
        if let Some(rest) = word.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or(EndpointError::Brackets)?;
            let host = ipv6(host)?;
            return match rest.strip_prefix(':') {
                Some(service) => Ok(Self {
                    service: Some(Service::read(service)?),
                    ..Self::at(host)
                }),
                None if rest.is_empty() => Ok(Self::at(host)),
                None => Err(EndpointError::Brackets),
            };
        }
        match word.split_once(':') {
            None => lone(word),
            Some((_, rest)) if rest.contains(':') => bare(word).map(Self::at),
            Some(("", service)) => Service::read(service).map(Self::on),
            Some((host, service)) => Ok(Self {
                service: Some(Service::read(service)?),
                ..Self::at(host)
            }),
        }
    }

    /// A host without a service.
    fn at(host: &str) -> Self {
        Self {
            host: Some(host.to_owned()),
            service: None,
        }
    }

    /// A service without a host.
    fn on(service: Service) -> Self {
        Self {
            host: None,
            service: Some(service),
        }
    }

    /// The same, with this port where none was typed.
    #[must_use]
    pub fn or_port(mut self, port: u16) -> Self {
        self.service.get_or_insert(Service::Port(port));
        self
    }

    /// The same, with this host where none was typed.
    #[must_use]
    pub fn or_host(mut self, host: &str) -> Self {
        self.host.get_or_insert_with(|| host.to_owned());
        self
    }
}

/// A host of two words: brackets are allowed and not needed.
fn read_host(word: &str) -> Result<String, EndpointError> {
    if word.is_empty() {
        return Err(EndpointError::EmptyHost);
    }
    match word.strip_prefix('[') {
        Some(rest) => {
            ipv6(rest.strip_suffix(']').ok_or(EndpointError::Brackets)?).map(String::from)
        }
        None => Ok(word.to_owned()),
    }
}

/// An IPv6 address, perhaps with the interface it is meant on (RFC 4007).
/// An IPv6 address without brackets, where its end cannot be meant as a port.
fn bare(word: &str) -> Result<&str, EndpointError> {
    let could_end_in_a_port = word
        .rsplit_once(':')
        .is_some_and(|(address, _)| ipv6(address).is_ok());
    if could_end_in_a_port {
        return Err(EndpointError::BareIpv6(word.into()));
    }
    ipv6(word).map_err(|_| EndpointError::BareIpv6(word.into()))
}

fn ipv6(text: &str) -> Result<&str, EndpointError> {
    let address = text.split('%').next().unwrap_or(text);
    match address.parse::<Ipv6Addr>() {
        Ok(_) => Ok(text),
        Err(_) => Err(EndpointError::NotIpv6(text.into())),
    }
}

/// Whether a word is meant as a number, be it a port or not.
fn is_number(word: &str) -> bool {
    let digits = word.strip_prefix(['-', '+']).unwrap_or(word);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

impl Service {
    /// Reads a port or a service's name.
    pub fn read(word: &str) -> Result<Self, EndpointError> {
        if word.is_empty() {
            return Err(EndpointError::EmptyPort);
        }
        if !is_number(word) {
            return Ok(Self::Named(word.to_owned()));
        }
        match word.parse() {
            Ok(port) => Ok(Self::Port(port)),
            Err(_) => Err(EndpointError::NoSuchPort(word.to_owned())),
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Service::Port(port) => port.fmt(f),
            Service::Named(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Some(host) if host.contains(':') => write!(f, "[{host}]")?,
            Some(host) => f.write_str(host)?,
            None => {}
        }
        match &self.service {
            Some(service) => write!(f, ":{service}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn remote(words: &[&str]) -> Result<String, String> {
        let read = Endpoint::remote(words).map_err(|error| error.to_string())?;
        Ok(read.to_string())
    }

    fn local(words: &[&str]) -> Result<String, String> {
        let read = Endpoint::local(words).map_err(|error| error.to_string())?;
        Ok(read.to_string())
    }

    #[test]
    fn every_way_to_write_an_endpoint() {
        for (words, expected) in [
            (&["example", "80"][..], "example:80"),
            (&["example:80"], "example:80"),
            (&["example:http"], "example:http"),
            (&["[::1]:80"], "[::1]:80"),
            (&["::1", "80"], "[::1]:80"),
            (&["[::1]", "80"], "[::1]:80"),
            (&["fe80::1%eth0", "80"], "[fe80::1%eth0]:80"),
            (&["[fe80::1%eth0]:80"], "[fe80::1%eth0]:80"),
            (&[":80"], ":80"),
            (&["80"], ":80"),
            (&["example"], "example"),
            (&["127.0.0.1"], "127.0.0.1"),
            (&["[::1]"], "[::1]"),
            (&["::1"], "[::1]"),
            (&["fe80::1%eth0"], "[fe80::1%eth0]"),
            (&["0"], ":0"),
            (&["65535"], ":65535"),
        ] {
            assert_eq!(remote(words).as_deref(), Ok(expected), "{words:?}");
        }
        for (words, expected) in [
            (&["80"][..], ":80"),
            (&["http"], ":http"),
            (&["127.0.0.1"], "127.0.0.1"),
            (&["::"], "[::]"),
            (&["[::1]"], "[::1]"),
            (&["localhost:http"], "localhost:http"),
            (&[], ""),
        ] {
            assert_eq!(local(words).as_deref(), Ok(expected), "{words:?}");
        }
    }

    #[test]
    fn what_is_no_endpoint_is_told_so() {
        for (words, expected) in [
            (&["example", "70000"][..], "70000 is no port"),
            (&["example:70000"], "70000 is no port"),
            (&["99999999999999999999"], "ports are 0 to 65535"),
            (&["example", "-1"], "-1 is no port"),
            (&["example:"], "the port is empty"),
            (&[":"], "the port is empty"),
            (&["", "80"], "the host is empty"),
            (&["::1:80"], "[::1:80]:PORT"),
            (&["[::1"], "[ADDRESS]:PORT"),
            (&["[::1]80"], "[ADDRESS]:PORT"),
            (&["[example]:80"], "no IPv6 address"),
            (&["a", "b", "c"], "one word or two"),
        ] {
            let why = remote(words).expect_err("it is none");
            assert!(why.contains(expected), "{words:?}: {why}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(words: Vec<String>) {
            let _ = Endpoint::remote(&words);
            let _ = Endpoint::local(&words);
        }

        #[test]
        fn every_port_is_read_and_no_other_number(port: u32) {
            let read = Service::read(&port.to_string());
            let expected = u16::try_from(port).ok().map(Service::Port);
            prop_assert_eq!(read.ok(), expected);
        }

        #[test]
        fn what_is_shown_reads_back(address: std::net::SocketAddr) {
            let shown = address.to_string();
            prop_assume!(!shown.contains('%'));
            prop_assert_eq!(Endpoint::remote(&[&shown]).map(|read| read.to_string()), Ok(shown));
        }
    }
}
