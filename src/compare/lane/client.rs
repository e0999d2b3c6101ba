//! The client's end, until the next call can send: connect(2), bind(2).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::draft::Draft;
use super::sender::{Outlet, Sender};
use super::{Failure, GLANCE, Terms, filter, overdue};
use crate::compare::{Identity, Mark, Variant};
use crate::error::Error;
use crate::flow::Family;
use crate::socket::{Datagram, Raw, Stream};
use crate::stage::Seat;

/// A client's end that may send.
pub(in crate::compare) struct Client {
    /// What names it.
    pub(in crate::compare) identity: Identity,
    /// How long opening it took.
    pub(in crate::compare) set_up: Duration,
    /// What sends.
    pub(in crate::compare) sender: Sender,
}

impl Client {
    /// Opens the client's end alone, towards the server's address in the terms.
    /// A stream's server must already listen there.
    pub(in crate::compare) fn open(seat: Seat<'_>, terms: &Terms) -> Result<Self, Failure> {
        let clock = seat.recorder().clock();
        let before = clock.now();
        let (outlet, local) = match terms.variant {
            Variant::Tcp | Variant::TcpNodelay => open_stream(seat, terms)?,
            Variant::Udp | Variant::UdpConnected => open_datagram(seat, terms)?,
            Variant::RawIcmp | Variant::RawIp => open_raw(seat, terms)?,
            Variant::IcmpDatagram => open_icmp(seat, terms)?,
        };
        let set_up = clock.now().saturating_sub(before);
        Ok(Self {
            identity: Identity {
                address: local.ip(),
                port: terms.mark.port().map(|_| local.port()),
            },
            set_up,
            sender: Sender {
                socket: outlet,
                draft: Draft::new(terms.family(), terms.mark, terms.largest),
            },
        })
    }
}

fn name(terms: &Terms) -> String {
    format!("{} client", terms.variant)
}

fn open_stream(seat: Seat<'_>, terms: &Terms) -> Result<(Outlet, SocketAddr), Failure> {
    let opening = |error: io::Error| terms.opening(error);
    let (recorder, name, address) = (seat.recorder().clone(), name(terms), terms.server);
    let stream = seat
        .run(move || Stream::open(&recorder, name, address))
        .map_err(opening)?;
    let timeout = terms.timeout;
    // Unlike SO_SNDTIMEO, it lets connect() go on after a signal (signal(7)).
    stream
        .set_option(format_args!("TCP_USER_TIMEOUT, {timeout:?}"), |socket| {
            socket.set_tcp_user_timeout(Some(timeout))
        })
        .map_err(opening)?;
    if terms.variant == Variant::TcpNodelay {
        stream
            .set_option("TCP_NODELAY, 1", |socket| socket.set_tcp_nodelay(true))
            .map_err(opening)?;
    }
    stream
        .connect(address)
        .map_err(|error| overdue("connect", address, error))?;
    stream.set_send_timeout(GLANCE).map_err(opening)?;
    stream.set_receive_timeout(GLANCE).map_err(opening)?;
    let local = stream.local_address().map_err(opening)?;
    Ok((Outlet::Stream(stream), local))
}

fn open_datagram(seat: Seat<'_>, terms: &Terms) -> Result<(Outlet, SocketAddr), Failure> {
    let opening = |error: io::Error| terms.opening(error);
    let (recorder, name, address) = (seat.recorder().clone(), name(terms), terms.server);
    let socket = seat
        .run(move || Datagram::open(&recorder, name, address))
        .map_err(opening)?;
    let is_connected = terms.variant == Variant::UdpConnected;
    if is_connected {
        // It fixes the peer and sends nothing; it lets the kernel choose the
        // source address, which is what names the client.
        socket
            .connect(address)
            .map_err(|error| Error::new("connect", address, error))?;
    } else {
        let local = SocketAddr::new(terms.client.unwrap_or(unspecified(terms.family())), 0);
        socket
            .bind(local)
            .map_err(|error| Error::new("bind", local, error))?;
    }
    let local = socket.local_address().map_err(opening)?;
    let outlet = if is_connected {
        Outlet::Connected(socket)
    } else {
        Outlet::Datagram {
            socket,
            to: address,
        }
    };
    Ok((outlet, local))
}

fn open_raw(seat: Seat<'_>, terms: &Terms) -> Result<(Outlet, SocketAddr), Failure> {
    let (recorder, name, to) = (seat.recorder().clone(), name(terms), terms.server);
    let protocol = filter::protocol(terms);
    let socket = seat
        .run(move || Raw::open_for(&recorder, name, to, protocol))
        .map_err(|error| terms.opening_raw(error))?;
    // The server's kernel answers each echo; nobody here reads the answers.
    filter::admit_nothing(&socket).map_err(|error| terms.opening(error))?;
    Ok((Outlet::Raw { socket, to }, portless(terms)))
}

/// `socket(SOCK_DGRAM, IPPROTO_ICMP)`: the kernel allows it to the groups of
/// `ping_group_range` and writes the identifier itself, that of `bind()`
/// (icmp(7)).
fn open_icmp(seat: Seat<'_>, terms: &Terms) -> Result<(Outlet, SocketAddr), Failure> {
    let opening = |error: io::Error| terms.opening(error);
    let (recorder, name, to) = (seat.recorder().clone(), name(terms), terms.server);
    let is_private = seat.is_private();
    let socket = seat
        .run(move || {
            if is_private {
                filter::allow_pings();
            }
            Datagram::open_icmp(&recorder, name, to)
        })
        .map_err(|error| match error.raw_os_error() {
            Some(nix::libc::EPERM | nix::libc::EACCES) => Failure::Refused(opening(error).remedy(
                "allow it with `sudo sysctl net.ipv4.ping_group_range='0 2147483647'`, or run on \
                 the private link (without --no-link)",
            )),
            _ => Failure::Other(opening(error)),
        })?;
    if let Mark::Echo(identifier) = terms.mark {
        let local = SocketAddr::new(unspecified(terms.family()), identifier);
        socket
            .bind(local)
            .map_err(|error| Error::new("bind an ICMP socket to", identifier, error))?;
    }
    Ok((Outlet::Datagram { socket, to }, portless(terms)))
}

/// The client's address, where it is not bound to one with a port.
fn portless(terms: &Terms) -> SocketAddr {
    SocketAddr::new(terms.client.unwrap_or(unspecified(terms.family())), 0)
}

fn unspecified(family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::Ipv6 => Ipv6Addr::UNSPECIFIED.into(),
    }
}
