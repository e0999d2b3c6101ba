//! The way the kernel would take to an address, and the address it would send
//! from: asked for with the options that the requests will have.
//!
//! Never sends a packet: a UDP socket's `connect(2)` asks for the route only.
//! Opened while there are privileges, used once they are gone.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::libc;
use nix::net::if_::if_nametoindex;
use socket2::{Domain, Protocol, Socket, Type};

use crate::flow::Family;
use crate::socket::icmp::{Options, disconnect};
use crate::socket::kernel::set_option_bytes;

/// Any port: nothing is sent there.
const ROUTE_PORT: u16 = 1025;

/// Asks for routes, by both families.
#[derive(Debug)]
pub struct Way {
    options: Options,
    sockets: [io::Result<Socket>; 2],
}

/// What the kernel says of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    /// The address it would send from.
    pub(super) source: SocketAddr,
    /// What the address stands for.
    pub(super) reach: Reach,
}

/// How many hosts an address stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// One, or the members of a multicast group.
    Ordinary,
    /// All on a network.
    Broadcast,
}

impl Way {
    /// The way of requests with these options.
    pub fn open(options: &Options) -> Self {
        Self {
            options: options.clone(),
            sockets: [Family::Ipv4, Family::Ipv6].map(|family| open(family, options)),
        }
    }

    pub(super) fn towards(&self, address: SocketAddr) -> Result<Found, Errno> {
        let family = Family::of(address.ip());
        let socket = match (&self.sockets, family) {
            ([Ok(socket), _], Family::Ipv4) | ([_, Ok(socket)], Family::Ipv6) => socket,
            ([Err(error), _], Family::Ipv4) | ([_, Err(error)], Family::Ipv6) => {
                return Err(errno(error));
            }
        };
        let found = self.ask(socket, family, address);
        // It may be asked again, and then is as it was at first.
        let _ = disconnect(socket);
        found.map_err(|error| errno(&error))
    }

    fn ask(&self, socket: &Socket, family: Family, mut address: SocketAddr) -> io::Result<Found> {
        self.tie(socket, family)?;
        address.set_port(ROUTE_PORT);
        let mut reach = Reach::Ordinary;
        match socket.connect(&address.into()) {
            Err(error) if is_broadcast(&error) && self.options.broadcast => {
                socket.set_broadcast(true)?;
                socket.connect(&address.into())?;
                reach = Reach::Broadcast;
            }
            other => other?,
        }
        let local = socket.local_addr()?.as_socket();
        let source = local.ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))?;
        Ok(Found { source, reach })
    }

    /// What `disconnect` undoes.
    fn tie(&self, socket: &Socket, family: Family) -> io::Result<()> {
        if let Some(name) = &self.options.interface {
            socket.bind_device(Some(name.as_bytes()))?;
        }
        match self.options.source {
            Some(source) if Family::of(source) == family => {
                let interface = self.options.interface.as_deref();
                socket.bind(&with_scope(source, interface).into())
            }
            _ => Ok(()),
        }
    }
}

/// A link-local address means nothing without its interface.
fn with_scope(source: IpAddr, interface: Option<&str>) -> SocketAddr {
    match (source, interface) {
        (IpAddr::V6(ip), Some(name)) if ip.is_unicast_link_local() => {
            let scope = if_nametoindex(name).unwrap_or_default();
            SocketAddrV6::new(ip, 0, 0, scope).into()
        }
        _ => SocketAddr::new(source, 0),
    }
}

fn open(family: Family, options: &Options) -> io::Result<Socket> {
    let domain = match family {
        Family::Ipv4 => Domain::IPV4,
        Family::Ipv6 => Domain::IPV6,
    };
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if let Some(mark) = options.mark {
        // Whoever may not set it has been told so.
        let _ = socket.set_mark(mark);
    }
    if let (Some(class), Family::Ipv4) = (options.class, family) {
        socket.set_tos_v4(class.into())?;
    }
    if options.dont_route {
        let level = libc::SOL_SOCKET;
        set_option_bytes(
            socket.as_fd(),
            level,
            libc::SO_DONTROUTE,
            &1_i32.to_ne_bytes(),
        )?;
    }
    Ok(socket)
}

fn is_broadcast(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EACCES)
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or_default())
}
