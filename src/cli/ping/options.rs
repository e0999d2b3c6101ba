//! The options of `ping(8)` beyond those that every way to ping has: how they
//! are typed, and what they ask of the socket.
//!
//! Owns no defaults but those of iputils. Never opens a socket.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use nix::unistd::getuid;

use super::Args;
use crate::cli::output::whole;
use crate::error::Error;
use crate::flow::Family;
use crate::socket::icmp::{IpOptions, Options, PathMtu};

/// The shortest interval for anyone but root, as in iputils.
const SHORTEST_USER_INTERVAL: Duration = Duration::from_millis(2);
/// The shortest between broadcasts for anyone but root, as in iputils.
const SHORTEST_BROADCAST_INTERVAL: Duration = Duration::from_secs(1);
/// The largest preload for anyone but root, as in iputils.
const LARGEST_USER_PRELOAD: u64 = 3;
/// The largest preload.
const LARGEST_PRELOAD: u64 = 1 << 16;
/// The longest pattern, in bytes.
const LONGEST_PATTERN: usize = 16;
/// `tsprespec` has room for the times of so many hosts.
const MOST_HOPS: usize = 4;

pub(super) const PACE: &str = "When to send";
pub(super) const REQUESTS: &str = "What to send";
pub(super) const ROUTE: &str = "From where, and which way";
pub(super) const LINES: &str = "What to print";

/// What `ping(8)` has beyond count, interval and size.
#[derive(Debug, Clone, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag that is typed"
)]
pub struct PingOptions {
    /// Adapt the interval to the round trip: about one request under way
    #[arg(short = 'A', display_order = 4, help_heading = PACE)]
    pub adaptive: bool,
    /// Flood: as fast as replies come, or a hundred a second; a dot for each
    /// request, a backspace for each reply
    #[arg(short, display_order = 12, help_heading = PACE)]
    pub flood: bool,
    /// Send this many requests without waiting for replies
    #[arg(short = 'l', value_name = "PRELOAD", default_value_t = 1, hide_default_value = true,
        value_parser = whole(1, LARGEST_PRELOAD), allow_negative_numbers = true, display_order = 17, help_heading = PACE)]
    pub preload: u64,
    /// IPv6 flow label, in decimal or as 0x and hex; 0: one by chance
    #[arg(short = 'F', value_name = "LABEL", value_parser = flow_label, display_order = 13, help_heading = REQUESTS)]
    pub flow_label: Option<u32>,
    /// Path MTU discovery: `do` never fragments, `want` fragments here where the
    /// path is known to be narrow, `dont` leaves it to the routers, `probe`
    /// pays no heed to what is known
    #[arg(short = 'M', value_name = "HOW", value_parser = path_mtu, display_order = 20, help_heading = REQUESTS)]
    pub path_mtu: Option<PathMtu>,
    /// Firewall mark of the requests
    #[arg(short = 'm', value_name = "MARK", value_parser = whole(0, u32::MAX), display_order = 19, help_heading = REQUESTS)]
    pub firewall_mark: Option<u32>,
    /// IPv6 node information queries: not built
    #[arg(short = 'N', value_name = "QUERY", display_order = 21, help_heading = REQUESTS, hide = true)]
    pub node_information: Option<String>,
    /// Up to 16 bytes in hex that the payload repeats
    #[arg(short, value_name = "PATTERN", value_parser = pattern, display_order = 24, help_heading = REQUESTS)]
    pub pattern: Option<Pattern>,
    /// Type of service or traffic class, decimal or hex
    #[arg(short = 'Q', value_name = "CLASS", value_parser = class, display_order = 26, help_heading = REQUESTS)]
    pub class: Option<u8>,
    /// Record the route in the IPv4 header, and print it
    #[arg(short = 'R', conflicts_with = "timestamp", display_order = 28, help_heading = REQUESTS)]
    pub record_route: bool,
    /// Bytes of the send buffer
    #[arg(short = 'S', value_name = "BYTES", value_parser = whole(1, u32::MAX), display_order = 30, help_heading = REQUESTS)]
    pub send_buffer: Option<u32>,
    /// Times in the IPv4 header, and print them: `tsonly`, `tsandaddr`, or
    /// `tsprespec HOP... HOST` for those of at most four hops
    #[arg(short = 'T', value_name = "OPTION", value_parser = ["tsonly", "tsandaddr", "tsprespec"],
        display_order = 32, help_heading = REQUESTS)]
    pub timestamp: Option<String>,
    /// Let a broadcast address be pinged
    #[arg(short, display_order = 5, help_heading = ROUTE)]
    pub broadcast: bool,
    /// Keep the source address that was chosen at the start
    #[arg(short = 'B', display_order = 6, help_heading = ROUTE)]
    pub sticky: bool,
    /// Set SO_DEBUG on the socket
    #[arg(short, display_order = 9, help_heading = ROUTE)]
    pub debug: bool,
    /// Interface to use, or address to send from; may be given twice, for both
    #[arg(short = 'I', value_name = "INTERFACE", value_parser = interface, display_order = 16, help_heading = ROUTE)]
    pub interface: Vec<String>,
    /// Multicast requests do not come back to this host
    #[arg(short = 'L', display_order = 18, help_heading = ROUTE)]
    pub no_loop: bool,
    /// Only a host on an attached network, past the routing table
    #[arg(short = 'r', display_order = 27, help_heading = ROUTE)]
    pub dont_route: bool,
    /// Ring the bell at each reply
    #[arg(short, display_order = 3, help_heading = LINES)]
    pub audible: bool,
    /// Begin each line with the time, in seconds since 1970
    #[arg(short = 'D', display_order = 11, help_heading = LINES)]
    pub stamps: bool,
    /// Say what has no answer when the next request goes out
    #[arg(short = 'O', display_order = 23, help_heading = LINES)]
    pub outstanding: bool,
    /// Round trips up to when this program took the reply, not the kernel
    #[arg(short = 'U', display_order = 33, help_heading = LINES)]
    pub user_to_user: bool,
    /// Say more: the socket, the resolver's name, each line's identifier, and
    /// duplicates from a multicast group
    #[arg(short, display_order = 34, help_heading = LINES)]
    pub verbose: bool,
}

/// What the payload repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(pub Vec<u8>);

impl Args {
    /// From one request to the next.
    pub(super) fn interval(&self) -> Duration {
        let default = if self.ping.flood {
            Duration::ZERO
        } else {
            Duration::from_secs(1)
        };
        self.interval.unwrap_or(default)
    }

    /// What is asked of the socket.
    pub(super) fn options(&self) -> Result<Options, Error> {
        let ping = &self.ping;
        let (interface, source) = self.origin();
        Ok(Options {
            ttl: self.ttl,
            class: ping.class,
            mark: ping.firewall_mark,
            interface,
            source,
            send_buffer: ping.send_buffer,
            broadcast: ping.broadcast,
            no_loop: ping.no_loop,
            dont_route: ping.dont_route,
            debug: ping.debug,
            path_mtu: ping.path_mtu,
            flow_label: ping.flow_label,
            ip_options: self.ip_options()?,
            ..Options::default()
        })
    }

    /// The interface and the address that `-I` names.
    pub(super) fn origin(&self) -> (Option<String>, Option<IpAddr>) {
        let (mut interface, mut source) = (None, None);
        for typed in &self.ping.interface {
            let (address, zone) = match typed.split_once('%') {
                Some((address, zone)) => (address, Some(zone)),
                None => (typed.as_str(), None),
            };
            match address.parse::<IpAddr>() {
                Ok(address) => {
                    source = Some(address);
                    interface = zone.map(str::to_owned).or(interface);
                }
                Err(_) => interface = Some(typed.clone()),
            }
        }
        (interface, source)
    }

    /// The IPv4 header's options; `tsprespec` takes all hosts but the last.
    fn ip_options(&self) -> Result<Option<IpOptions>, Error> {
        if self.ping.record_route {
            return Ok(Some(IpOptions::RecordRoute));
        }
        Ok(match self.ping.timestamp.as_deref() {
            Some("tsonly") => Some(IpOptions::Times),
            Some("tsandaddr") => Some(IpOptions::TimesAndAddresses),
            Some(_) => Some(IpOptions::TimesAt(self.hops()?)),
            None => None,
        })
    }

    /// The hops of `tsprespec`.
    fn hops(&self) -> Result<Vec<Ipv4Addr>, Error> {
        // None is typed where --link names the target.
        let hops = self.hosts.split_last().map_or(&[][..], |(_, hops)| hops);
        if hops.len() > MOST_HOPS {
            let cause = "there is room for the times of at most four hops";
            return Err(Error::new("-T tsprespec", hops.join(" "), cause));
        }
        let parse = |hop: &String| {
            hop.parse().map_err(|_| {
                Error::new("-T tsprespec", hop, "not an IPv4 address")
                    .remedy("name hops by address: names are looked up without privileges")
            })
        };
        hops.iter().map(parse).collect()
    }

    /// Whether the hosts before the last are hops, not targets.
    pub(super) fn has_hops(&self) -> bool {
        self.ping.timestamp.as_deref() == Some("tsprespec")
    }

    /// The family that an address of `-I` asks for.
    pub(super) fn source_family(&self) -> Option<Family> {
        self.origin().1.map(Family::of)
    }

    /// Why `host` has no address of the family that the source of `-I` has.
    pub(super) fn beside_its_source(&self, host: &str, error: Error) -> Error {
        let (Some(source), false) = (self.origin().1, self.ipv4 || self.ipv6) else {
            return error;
        };
        let family = Family::of(source);
        let (its, other) = match family {
            Family::Ipv4 => ("IPv4", "IPv6"),
            Family::Ipv6 => ("IPv6", "IPv4"),
        };
        match host.parse::<IpAddr>() {
            Ok(address) if Family::of(address) != family => error.remedy(format!(
                "{source} of -I is an {its} address: give an {other} one, or an interface"
            )),
            _ => error,
        }
    }

    /// What only root may do.
    pub(super) fn check_manners(&self) -> Result<(), Error> {
        if self.ping.node_information.is_some() {
            let cause = "node information queries (RFC 4620) are not built";
            return Err(Error::new("ping", "-N", cause).remedy("use ping -N of iputils"));
        }
        if getuid().is_root() {
            return Ok(());
        }
        if self.interval() < SHORTEST_USER_INTERVAL {
            let cause = "minimal interval allowed for user is 2ms";
            return Err(Error::new("cannot flood", "", cause).remedy("use sudo, or -i 0.002"));
        }
        if self.ping.preload > LARGEST_USER_PRELOAD {
            let cause = format!("a user's preload is at most {LARGEST_USER_PRELOAD}");
            let preload = self.ping.preload.to_string();
            return Err(Error::new("preload", preload, cause).remedy("use sudo"));
        }
        Ok(())
    }

    /// What only root may do to a whole network.
    pub(super) fn check_broadcast_manners(&self) -> Result<(), Error> {
        if getuid().is_root() || self.interval() >= SHORTEST_BROADCAST_INTERVAL {
            return Ok(());
        }
        let cause = "broadcast ping with too short interval";
        let interval = format!("{:?}", self.interval());
        Err(Error::new("ping", interval, cause).remedy("use sudo, or -i 1"))
    }
}

/// The shortest interval that may adapt itself.
pub(super) fn shortest_interval() -> Duration {
    if getuid().is_root() {
        Duration::ZERO
    } else {
        SHORTEST_USER_INTERVAL
    }
}

fn interface(typed: &str) -> Result<String, String> {
    if typed.is_empty() || typed.ends_with('%') {
        return Err("the interface is empty; see `ip link`".to_owned());
    }
    Ok(typed.to_owned())
}

fn pattern(typed: &str) -> Result<Pattern, String> {
    let digits = typed.as_bytes();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err("patterns must be specified as hex digits".to_owned());
    }
    let bytes = digits.chunks(2).take(LONGEST_PATTERN).map(|pair| {
        let digits = std::str::from_utf8(pair).unwrap_or_default();
        u8::from_str_radix(digits, 16).unwrap_or_default()
    });
    Ok(Pattern(bytes.collect()))
}

fn class(typed: &str) -> Result<u8, String> {
    let hex = typed.strip_prefix("0x").or(typed.strip_prefix("0X"));
    let number = match hex {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => typed.parse(),
    };
    let number = number.map_err(|_| "not a decimal or hex number".to_owned())?;
    u8::try_from(number).map_err(|_| "must be 0 to 255".to_owned())
}

fn flow_label(typed: &str) -> Result<u32, String> {
    let hex = typed.strip_prefix("0x").or(typed.strip_prefix("0X"));
    let label = match hex {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => typed.parse(),
    };
    let label = label.map_err(|_| "not a decimal or 0x hex number".to_owned())?;
    if label > 0xf_ffff {
        return Err("a flow label has 20 bits: at most 0xfffff".to_owned());
    }
    Ok(label)
}

fn path_mtu(typed: &str) -> Result<PathMtu, String> {
    match typed {
        "do" => Ok(PathMtu::Do),
        "want" => Ok(PathMtu::Want),
        "dont" => Ok(PathMtu::Dont),
        "probe" => Ok(PathMtu::Probe),
        _ => Err("must be do, want, dont or probe".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_hex_digits_two_a_byte() {
        for (typed, bytes) in [
            ("ff", &[0xff][..]),
            ("1", &[1]),
            ("123", &[0x12, 3]),
            ("aA55", &[0xaa, 0x55]),
        ] {
            assert_eq!(pattern(typed), Ok(Pattern(bytes.to_vec())), "{typed}");
        }
        assert_eq!(pattern(&"00".repeat(17)).unwrap().0.len(), 16);
        for typed in ["", "0x1", "xyz", "-1", "é"] {
            assert!(pattern(typed).is_err(), "{typed}");
        }
    }

    #[test]
    fn an_interface_has_a_name() {
        for typed in ["lo", "::1", "fe80::1%lo"] {
            assert_eq!(interface(typed), Ok(typed.to_owned()));
        }
        assert!(interface("").is_err() && interface("fe80::1%").is_err());
    }

    #[test]
    fn classes_and_labels_are_numbers_as_ping_reads_them() {
        assert_eq!((class("16"), class("0x10")), (Ok(16), Ok(16)));
        assert!(class("256").is_err() && class("zz").is_err() && class("0x").is_err());
        let labels = (flow_label("12345"), flow_label("0x12345"));
        assert_eq!(labels, (Ok(12_345), Ok(0x1_2345)));
        assert!(flow_label("1048576").is_err() && flow_label("zz").is_err());
    }
}
