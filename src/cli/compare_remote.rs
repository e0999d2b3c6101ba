//! `socklab compare --listen` and `socklab compare HOST`: the two ends of a
//! comparison between real machines, as typed.

use std::fmt;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::output::whole;
use super::place::PlaceArgs;
use crate::compare::remote::{Journal, Limits, Server};
use crate::error::{Error, Exit};
use crate::event::{Place, Silence};
use crate::flow::Family;
use crate::recorder::{Clock, Recorder};
use crate::units::Rate;

/// Options of a comparison between real machines.
#[derive(Debug, clap::Args)]
pub(super) struct RemoteArgs {
    /// Compare on the way to another machine, where `socklab compare --listen`
    /// runs, instead of on a private link.
    #[arg(value_name = "HOST[:PORT]")]
    host: Option<Endpoint>,

    /// Be the other machine: wait for clients on this address and port, for all
    /// addresses and port 5073 where none is given.
    #[arg(long, value_name = "[ADDR][:PORT]", num_args = 0..=1, default_missing_value = "",
          conflicts_with = "host", help_heading = "Between real machines")]
    listen: Option<Endpoint>,

    /// Sessions that --listen holds at once; one more client is told "busy".
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().sessions,
          value_parser = whole(1_u32, 1000), help_heading = "Between real machines")]
    max_sessions: u32,

    /// Sessions that --listen holds at once with clients of one address.
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().sessions_per_address,
          value_parser = whole(1_u32, 1000), help_heading = "Between real machines")]
    max_sessions_per_address: u32,

    /// Messages of each kind that --listen takes in a session.
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().messages,
          value_parser = whole(1_u32, 1_000_000), help_heading = "Between real machines")]
    max_messages: u32,

    /// Bytes of a message that --listen takes.
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().message_bytes,
          value_parser = whole(24_u32, 65_507), help_heading = "Between real machines")]
    max_size: u32,

    /// What a session's kinds may send to --listen together, on average.
    #[arg(
        long,
        value_name = "RATE",
        default_value = "100mbit",
        help_heading = "Between real machines"
    )]
    max_rate: Rate,

    /// Seconds that a session's sending may take at --listen.
    #[arg(long, value_name = "SECONDS", default_value_t = Limits::default().seconds,
          value_parser = whole(1_u64, 86_400), help_heading = "Between real machines")]
    max_seconds: u64,
}

/// A host and perhaps a port, as typed: `name`, `name:port`, `10.0.0.1:port`,
/// `::1`, `[::1]:port`, `:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Endpoint {
    host: String,
    port: Option<u16>,
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let whole = |host: &str| Self {
            host: host.to_owned(),
            port: None,
        };
        if text.parse::<IpAddr>().is_ok() {
            return Ok(whole(text));
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or("\"[\" without \"]\"")?;
                match rest.strip_prefix(':') {
                    Some(port) => (host, port),
                    None if rest.is_empty() => return Ok(whole(host)),
                    None => return Err("after \"]\" comes \":\" and a port".into()),
                }
            }
            None => match text.rsplit_once(':') {
                Some((host, port)) if !host.contains(':') => (host, port),
                Some(_) => return Err("an IPv6 address with a port is [address]:port".into()),
                None => return Ok(whole(text)),
            },
        };
        let port = port.parse().map_err(|_| "a port is 0 to 65535")?;
        Ok(Self {
            host: host.to_owned(),
            port: Some(port),
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl Endpoint {
    /// Its first address of this family, or of any.
    fn resolve(&self, family: Option<Family>, port: u16) -> Result<SocketAddr, Error> {
        let port = self.port.unwrap_or(port);
        let failed = |why: String| {
            Error::new("resolve", &self.host, why)
                .remedy("give a name or an address of the machine where --listen runs")
                .exiting(Exit::Other)
        };
        let addresses = (self.host.as_str(), port).to_socket_addrs();
        let mut addresses = addresses.map_err(|error| failed(error.to_string()))?;
        let fits =
            |address: &SocketAddr| family.is_none_or(|family| family == Family::of(address.ip()));
        addresses
            .find(fits)
            .ok_or_else(|| failed("it has no address of this family".into()))
    }
}

/// Serves clients until a signal.
pub(super) fn listen(args: &RemoteArgs, place: &PlaceArgs, stop: &AtomicBool) -> Result<(), Error> {
    place.refuse_link("--listen is one end of a real network; leave one of the two")?;
    let typed = args.listen.as_ref();
    let host = typed.map_or("", |endpoint| &endpoint.host);
    let port = typed.and_then(|endpoint| endpoint.port);
    let port = port.unwrap_or(place.port);
    let address = match (typed, place.asked_family()) {
        (Some(endpoint), family) if !host.is_empty() => Ok(endpoint.resolve(family, port)?),
        (_, None) => Err(port),
        (_, Some(Family::Ipv4)) => Ok((Ipv4Addr::UNSPECIFIED, port).into()),
        (_, Some(Family::Ipv6)) => Ok((Ipv6Addr::UNSPECIFIED, port).into()),
    };
    let recorder = Recorder::new(Place::Server, Clock::start(), Arc::new(Silence));
    let server = Server::bind(address, args.limits(), (recorder, Journal::new(say)))?;
    for address in server.addresses() {
        say(&format!("listening on {address}, TCP and UDP"));
    }
    server.run(stop)
}

/// To standard error; where nobody reads that, to nobody.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "socklab: {line}");
}

impl RemoteArgs {
    /// Whether this is the other machine.
    pub(super) fn is_server(&self) -> bool {
        self.listen.is_some()
    }

    /// Where the other machine is, if there is one.
    pub(super) fn peer(&self, place: &PlaceArgs) -> Result<Option<SocketAddr>, Error> {
        let Some(host) = &self.host else {
            return Ok(None);
        };
        place.refuse_link("the way to HOST is a real network; leave one of the two")?;
        host.resolve(place.asked_family(), place.port).map(Some)
    }

    /// What JSON says of where it was played.
    pub(super) fn place(&self) -> Option<String> {
        let host = self.host.as_ref()?;
        Some(format!("real network {host}"))
    }

    fn limits(&self) -> Limits {
        Limits {
            sessions: self.max_sessions,
            sessions_per_address: self.max_sessions_per_address,
            messages: self.max_messages,
            message_bytes: self.max_size,
            bits_per_second: self.max_rate.0,
            seconds: self.max_seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_as_people_type_them() {
        for (text, host, port) in [
            ("", "", None),
            (":6000", "", Some(6000)),
            ("lab", "lab", None),
            ("lab:6000", "lab", Some(6000)),
            ("10.0.0.1:1", "10.0.0.1", Some(1)),
            ("::1", "::1", None),
            ("[::1]", "::1", None),
            ("[::1]:6000", "::1", Some(6000)),
        ] {
            let host = host.to_owned();
            assert_eq!(text.parse(), Ok(Endpoint { host, port }), "{text}");
        }
        for wrong in [
            "lab:",
            "lab:x",
            "lab:65536",
            "[::1",
            "[::1]6000",
            "fe80::1::2:x",
        ] {
            assert!(wrong.parse::<Endpoint>().is_err(), "{wrong}");
        }
    }
}
