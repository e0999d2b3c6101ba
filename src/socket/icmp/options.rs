//! What an ICMP socket's requests are like, as socket options (`ip(7)`,
//! `ipv6(7)`, `socket(7)`).
//!
//! Owns which call sets what for which family. Some need a capability: set them
//! before it is dropped. Never opens a socket and never reads one.

use std::fmt::{self, Display};
use std::io;
use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

use nix::libc::{self, c_int};
use thiserror::Error;

use super::{IcmpSocket, disconnect, random_bits};
use crate::error::explain;
use crate::event::EchoSocket;
use crate::flow::Family;
use crate::socket::kernel::{option_bytes, set_option_bytes};

/// `IPV6_FLOWLABEL_MGR` and `IPV6_FLOWINFO_SEND` (`linux/in6.h`).
const FLOW_LABEL_MANAGER: c_int = 32;
const FLOW_LABEL_SEND: c_int = 33;
/// A flow label has 20 bits (RFC 6437).
const FLOW_LABEL: u32 = 0x000f_ffff;
/// The longest IPv4 options (RFC 791).
const IP_OPTIONS: usize = 40;

/// What to set; what is `None` or false is left as the kernel has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the kernel's own, named as it is there"
)]
pub struct Options {
    /// The time to live or hop limit, unicast and multicast.
    pub ttl: Option<u8>,
    /// The type of service or traffic class (`IP_TOS`, `IPV6_TCLASS`).
    pub class: Option<u8>,
    /// The firewall mark (`SO_MARK`); needs `CAP_NET_ADMIN` or `CAP_NET_RAW`.
    pub mark: Option<u32>,
    /// The interface to send and receive on, by name (`SO_BINDTODEVICE`).
    pub interface: Option<String>,
    /// The address to send from (`bind(2)`).
    pub source: Option<IpAddr>,
    /// Bytes of the send buffer (`SO_SNDBUF`); the kernel doubles them.
    pub send_buffer: Option<u32>,
    /// Bytes of the receive buffer (`SO_RCVBUF`); the kernel doubles them.
    pub receive_buffer: Option<u32>,
    /// Broadcast addresses may be pinged (`SO_BROADCAST`).
    pub broadcast: bool,
    /// Multicast requests do not come back to this host
    /// (`IP_MULTICAST_LOOP`, `IPV6_MULTICAST_LOOP`).
    pub no_loop: bool,
    /// Only directly connected hosts, no router (`SO_DONTROUTE`).
    pub dont_route: bool,
    /// `SO_DEBUG`; needs `CAP_NET_ADMIN`. Whether it could be set is not told:
    /// nothing depends on it.
    pub debug: bool,
    /// What becomes of requests longer than the path takes.
    pub path_mtu: Option<PathMtu>,
    /// The IPv6 flow label of all requests; 0: one by chance.
    pub flow_label: Option<u32>,
    /// Options in the IPv4 header.
    pub ip_options: Option<IpOptions>,
}

/// Path MTU discovery (`IP_MTU_DISCOVER`, `IPV6_MTU_DISCOVER`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathMtu {
    /// Fragment, and do not set Don't Fragment.
    Dont,
    /// Set Don't Fragment; fragment here where the path is known to be narrow.
    Want,
    /// Set Don't Fragment and refuse what is longer than the known path MTU.
    Do,
    /// Set Don't Fragment and pay no heed to the known path MTU.
    Probe,
}

/// An option in each request's IPv4 header (RFC 791), which the target returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IpOptions {
    /// Room for nine addresses on the way.
    RecordRoute,
    /// Room for nine times on the way.
    Times,
    /// Room for four addresses and times on the way.
    TimesAndAddresses,
    /// The times at these hosts, at most four.
    TimesAt(Vec<Ipv4Addr>),
}

/// An option that could not be set.
#[derive(Debug, Error)]
#[error("{}({option}): {}", self.call(), explain(cause))]
pub struct OptionError {
    /// The option by name, with its value; for `bind` the address.
    pub option: String,
    /// What the call gave.
    pub cause: io::Error,
}

impl OptionError {
    /// The system call that failed.
    pub fn call(&self) -> &'static str {
        if self.option.parse::<IpAddr>().is_ok() {
            "bind"
        } else {
            "setsockopt"
        }
    }
}

impl IpOptions {
    /// The option as it stands in the header, a multiple of four bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        /// No operation; it aligns the addresses that follow three bytes.
        const NOP: u8 = 1;
        const RECORD_ROUTE: u8 = 7;
        const TIMESTAMP: u8 = 68;
        let (head, length) = match self {
            Self::RecordRoute => ([NOP, RECORD_ROUTE, 39, 4], IP_OPTIONS),
            Self::Times => ([TIMESTAMP, 40, 5, 0], IP_OPTIONS),
            Self::TimesAndAddresses => ([TIMESTAMP, 36, 5, 1], 36),
            Self::TimesAt(hosts) => {
                let length = 4 + 8 * hosts.len().min(4);
                let shown = u8::try_from(length).unwrap_or(36);
                ([TIMESTAMP, shown, 5, 3], length)
            }
        };
        let mut bytes = head.to_vec();
        bytes.resize(length, 0);
        if let Self::TimesAt(hosts) = self {
            for (slot, host) in bytes[4..].chunks_exact_mut(8).zip(hosts) {
                slot[..4].copy_from_slice(&host.octets());
            }
        }
        bytes
    }
}

impl Display for IpOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::RecordRoute => "record route",
            Self::Times => "times",
            Self::TimesAndAddresses => "times and addresses",
            Self::TimesAt(_) => "times at given addresses",
        })
    }
}

impl IcmpSocket {
    /// Sets all of `options` (`setsockopt(2)`, `bind(2)`); stops at the first
    /// that cannot be set.
    pub fn apply(&self, options: &Options) -> Result<(), OptionError> {
        self.bind_to(options)?;
        self.apply_to_all(options)?;
        if options.debug {
            let _ = self.set(libc::SOL_SOCKET, libc::SO_DEBUG, "SO_DEBUG", 1);
        }
        match self.family {
            Family::Ipv4 => {
                if let Some(label) = options.flow_label {
                    let cause = "only IPv6 has flow labels";
                    return Err(wrong_family("IPV6_FLOWLABEL_MGR", label, cause));
                }
                self.apply_ip_options(options)
            }
            Family::Ipv6 => {
                if let Some(wanted) = &options.ip_options {
                    return Err(wrong_family("IP_OPTIONS", wanted, "only IPv4 has them"));
                }
                options
                    .flow_label
                    .map_or(Ok(()), |label| self.set_flow_label(label))
            }
        }
    }

    /// The options that differ between the families in no more than a name.
    fn apply_to_all(&self, options: &Options) -> Result<(), OptionError> {
        let socket = libc::SOL_SOCKET;
        let (ip, unicast, multicast, class, looped, discovery) = match self.family {
            Family::Ipv4 => (
                libc::IPPROTO_IP,
                (libc::IP_TTL, "IP_TTL"),
                (libc::IP_MULTICAST_TTL, "IP_MULTICAST_TTL"),
                (libc::IP_TOS, "IP_TOS"),
                (libc::IP_MULTICAST_LOOP, "IP_MULTICAST_LOOP"),
                (libc::IP_MTU_DISCOVER, "IP_MTU_DISCOVER"),
            ),
            Family::Ipv6 => (
                libc::IPPROTO_IPV6,
                (libc::IPV6_UNICAST_HOPS, "IPV6_UNICAST_HOPS"),
                (libc::IPV6_MULTICAST_HOPS, "IPV6_MULTICAST_HOPS"),
                (libc::IPV6_TCLASS, "IPV6_TCLASS"),
                (libc::IPV6_MULTICAST_LOOP, "IPV6_MULTICAST_LOOP"),
                (libc::IPV6_MTU_DISCOVER, "IPV6_MTU_DISCOVER"),
            ),
        };
        let on = |wanted: bool| wanted.then_some(1);
        let (send, receive) = (options.send_buffer, options.receive_buffer);
        let table = [
            (ip, unicast, options.ttl.map(u32::from)),
            (ip, multicast, options.ttl.map(u32::from)),
            (ip, class, options.class.map(u32::from)),
            (ip, looped, options.no_loop.then_some(0)),
            (ip, discovery, options.path_mtu.map(PathMtu::number)),
            (socket, (libc::SO_MARK, "SO_MARK"), options.mark),
            (socket, (libc::SO_SNDBUF, "SO_SNDBUF"), send),
            (socket, (libc::SO_RCVBUF, "SO_RCVBUF"), receive),
            (
                socket,
                (libc::SO_BROADCAST, "SO_BROADCAST"),
                on(options.broadcast),
            ),
            (
                socket,
                (libc::SO_DONTROUTE, "SO_DONTROUTE"),
                on(options.dont_route),
            ),
        ];
        for (level, (option, name), value) in table {
            if let Some(value) = value {
                self.set(level, option, name, value)?;
            }
        }
        Ok(())
    }

    fn set(&self, level: c_int, option: c_int, name: &str, value: u32) -> Result<(), OptionError> {
        set_option_bytes(self.as_fd(), level, option, &value.to_ne_bytes())
            .map_err(failed(name, value))
    }

    /// Ties the socket to an interface and an address. A link-local address
    /// means nothing without its interface, which therefore comes first.
    fn bind_to(&self, options: &Options) -> Result<(), OptionError> {
        let interface = options.interface.as_deref();
        let again = self.kind == EchoSocket::Datagram && options.source.is_some();
        if let (true, Some(source)) = (again, options.source) {
            // It is bound to its identifier, which it gets back below.
            disconnect(&self.socket).map_err(|cause| OptionError {
                option: source.to_string(),
                cause,
            })?;
        }
        if let Some(name) = interface {
            self.set_interface(name)?;
        }
        let Some(source) = options.source else {
            return Ok(());
        };
        let port = if again { self.identifiers.first() } else { 0 };
        let address = match source {
            IpAddr::V6(ip) => {
                let scope = self
                    .interface_index()
                    .filter(|_| ip.is_unicast_link_local());
                SocketAddrV6::new(ip, port, 0, scope.unwrap_or(0)).into()
            }
            IpAddr::V4(_) => SocketAddr::new(source, port),
        };
        self.socket
            .bind(&address.into())
            .map_err(|cause| OptionError {
                option: source.to_string(),
                cause,
            })
    }

    fn set_interface(&self, name: &str) -> Result<(), OptionError> {
        let bound = self.socket.bind_device(Some(name.as_bytes()));
        bound.map_err(failed("SO_BINDTODEVICE", name))?;
        if let (Family::Ipv6, Some(index)) = (self.family, self.interface_index()) {
            // struct in6_pktinfo: no address, and the interface.
            let mut info = [0; 20];
            info[16..].copy_from_slice(&index.to_ne_bytes());
            let level = libc::IPPROTO_IPV6;
            set_option_bytes(self.as_fd(), level, libc::IPV6_PKTINFO, &info)
                .map_err(failed("IPV6_PKTINFO", name))?;
        }
        Ok(())
    }

    /// The interface the socket is bound to, by its index in the socket's own
    /// network namespace (`SO_BINDTOIFINDEX`).
    pub fn interface_index(&self) -> Option<u32> {
        let mut index = [0; size_of::<u32>()];
        let option = libc::SO_BINDTOIFINDEX;
        option_bytes(self.as_fd(), libc::SOL_SOCKET, option, &mut index).ok()?;
        Some(u32::from_ne_bytes(index)).filter(|&index| index != 0)
    }

    /// The address the socket is bound to (`getsockname(2)`); the unspecified
    /// one where it is bound to none.
    pub fn source(&self) -> Option<IpAddr> {
        let local = self.socket.local_addr().ok()?;
        local.as_socket().map(|address| address.ip())
    }

    /// Leases a flow label (`ipv6(7)`, `IPV6_FLOWLABEL_MGR`) and makes the
    /// kernel take labels from addresses; [`IcmpSocket::flow_label`] has it.
    fn set_flow_label(&self, label: u32) -> Result<(), OptionError> {
        const GET: u8 = 0;
        const SHARE_EXCLUSIVELY: u8 = 1;
        const CREATE: u16 = 1;
        let label = match label {
            0 => (u32::from(random_bits()) << 4 | 1) & FLOW_LABEL,
            label => label,
        };
        if label > FLOW_LABEL {
            let cause = "a flow label has 20 bits: at most 0xfffff";
            return Err(wrong_family("IPV6_FLOWLABEL_MGR", label, cause));
        }
        // struct in6_flowlabel_req: a destination, which the kernel wants but
        // does not hold us to, then label, action, share, flags, and two times
        // that are left to it.
        let mut lease = [0; 32];
        lease[15] = 1;
        lease[16..20].copy_from_slice(&label.to_be_bytes());
        lease[20] = GET;
        lease[21] = SHARE_EXCLUSIVELY;
        lease[22..24].copy_from_slice(&CREATE.to_ne_bytes());
        let level = libc::IPPROTO_IPV6;
        set_option_bytes(self.as_fd(), level, FLOW_LABEL_MANAGER, &lease)
            .map_err(failed("IPV6_FLOWLABEL_MGR", format_args!("{label:#x}")))?;
        self.set(level, FLOW_LABEL_SEND, "IPV6_FLOWINFO_SEND", 1)?;
        self.flow_label.store(label, Ordering::Relaxed);
        Ok(())
    }

    /// The flow label that requests carry, where one was set.
    pub fn flow_label(&self) -> Option<u32> {
        Some(self.flow_label.load(Ordering::Relaxed)).filter(|&label| label != 0)
    }

    fn apply_ip_options(&self, options: &Options) -> Result<(), OptionError> {
        let Some(options) = &options.ip_options else {
            return Ok(());
        };
        let bytes = options.to_bytes();
        set_option_bytes(self.as_fd(), libc::IPPROTO_IP, libc::IP_OPTIONS, &bytes)
            .map_err(failed("IP_OPTIONS", options))
    }
}

impl PathMtu {
    /// `IP_PMTUDISC_*` and `IPV6_PMTUDISC_*`, which are the same.
    fn number(self) -> u32 {
        match self {
            Self::Dont => 0,
            Self::Want => 1,
            Self::Do => 2,
            Self::Probe => 3,
        }
    }
}

fn failed(name: &str, value: impl Display) -> impl FnOnce(io::Error) -> OptionError {
    let option = format!("{name}, {value}");
    move |cause| OptionError { option, cause }
}

fn wrong_family(name: &str, value: impl Display, cause: &str) -> OptionError {
    failed(name, value)(io::Error::new(io::ErrorKind::InvalidInput, cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ip_options_are_those_of_ping() {
        let bytes = |options: IpOptions| hex::encode(options.to_bytes());
        let route = bytes(IpOptions::RecordRoute);
        assert_eq!((&route[..8], route.len()), ("01072704", 80));
        let times = bytes(IpOptions::Times);
        assert_eq!((&times[..8], times.len()), ("44280500", 80));
        let both = bytes(IpOptions::TimesAndAddresses);
        assert_eq!((&both[..8], both.len()), ("44240501", 72));
        let at = IpOptions::TimesAt(vec![[10, 1, 2, 3].into(), [10, 4, 5, 6].into()]);
        assert_eq!(bytes(at), "441405030a010203000000000a04050600000000");
    }
}
