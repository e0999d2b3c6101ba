//! One kind of socket's pair of ends, and how each is opened so that the next
//! call can send.
//!
//! Sends and receives nothing itself.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::libc;
use pnet::packet::icmp::IcmpTypes;
use pnet::packet::icmpv6::Icmpv6Types;

use super::receiver::Receiver;
use super::sender::{Draft, Outlet, Sender};
use super::{Config, Identity, Variant};
use crate::capture::echo_identifier;
use crate::error::{Error, Exit};
use crate::flow::{Family, Kind};
use crate::socket::{Datagram, Listener, Raw, Stream, bind_failure, kernel};
use crate::stage::{Seat, Stage};

/// An open pair of ends.
pub(super) struct Lane {
    pub(super) variant: Variant,
    pub(super) client: Identity,
    pub(super) server: Identity,
    pub(super) set_up: Duration,
    pub(super) sender: Sender,
    pub(super) receiver: Receiver,
}

/// Why no pair of ends could be opened.
pub(super) enum Failure {
    /// This user may not open sockets of this kind, or the link let no
    /// connection come about.
    Refused(Error),
    /// Anything else.
    Other(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// What opening this kind of socket needs.
pub(super) fn privilege(variant: Variant) -> &'static str {
    match variant.kind() {
        Kind::Tcp | Kind::Udp => "none",
        Kind::Raw => "CAP_NET_RAW",
    }
}

/// How often a waiting receiver looks whether it should still wait.
pub(super) const GLANCE: Duration = Duration::from_millis(20);

/// Opens both ends so that the next call can send.
pub(super) fn open(variant: Variant, config: &Config, stage: &Stage) -> Result<Lane, Failure> {
    let address = stage
        .server()
        .address(config.family, config.mark(variant).port().unwrap_or(0));
    match variant.kind() {
        Kind::Tcp => open_tcp(stage, address, config),
        Kind::Udp => Ok(open_udp(stage, address, config.size)?),
        Kind::Raw => open_raw(stage, SocketAddr::new(address.ip(), 0), config),
    }
}

fn open_tcp(stage: &Stage, address: SocketAddr, config: &Config) -> Result<Lane, Failure> {
    let opening = |error: io::Error| Error::new("open a stream socket for", address, error);
    let (server, client) = (stage.server(), stage.client());
    let recorder = server.recorder().clone();
    let listener = server
        .run(move || Listener::open(&recorder, "tcp listener", address))
        .map_err(opening)?;
    listener
        .set_option("SO_REUSEADDR, 1", |socket| socket.set_reuse_address(true))
        .map_err(opening)?;
    listener
        .bind(address)
        .map_err(|error| bind_failure(address, error))?;
    listener.listen(1).map_err(opening)?;
    listener
        .set_receive_timeout(config.timeout)
        .map_err(opening)?;
    let clock = client.recorder().clock();
    let before = clock.now();
    let recorder = client.recorder().clone();
    let stream = client
        .run(move || Stream::open(&recorder, "tcp client", address))
        .map_err(opening)?;
    // Unlike SO_SNDTIMEO, it lets connect() go on after a signal (signal(7)).
    stream
        .set_option(
            format_args!("TCP_USER_TIMEOUT, {:?}", config.timeout),
            |socket| socket.set_tcp_user_timeout(Some(config.timeout)),
        )
        .map_err(opening)?;
    stream
        .connect(address)
        .map_err(|error| overdue("connect", address, error))?;
    let set_up = clock.now().saturating_sub(before);
    let (connection, peer) =
        accept(&listener).map_err(|error| overdue("accept on", address, error))?;
    // No end waits for ever: each looks now and then whether it still should.
    connection
        .set_option(format_args!("SO_RCVTIMEO, {GLANCE:?}"), |socket| {
            socket.set_read_timeout(Some(GLANCE))
        })
        .map_err(opening)?;
    stream
        .set_option(format_args!("SO_SNDTIMEO, {GLANCE:?}"), |socket| {
            socket.set_write_timeout(Some(GLANCE))
        })
        .map_err(opening)?;
    Ok(Lane {
        variant: Variant::Tcp,
        client: identity(peer),
        server: identity(address),
        set_up,
        sender: Sender {
            socket: Outlet::Tcp(stream),
            draft: Draft::message(config.size),
        },
        receiver: Receiver::Tcp(connection),
    })
}

/// `accept()`, again after a signal: with a time-out it is not restarted.
fn accept(listener: &Listener) -> io::Result<(Stream, SocketAddr)> {
    loop {
        match listener.accept("tcp connection") {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            accepted => return accepted,
        }
    }
}

/// A call that failed; one that waited in vain is the link's doing.
fn overdue(operation: &str, address: SocketAddr, error: io::Error) -> Failure {
    let in_vain = matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    );
    if !in_vain {
        return Failure::Other(Error::new(operation, address, error));
    }
    let error = Error::new(operation, address, "nothing came back in time")
        .remedy("the link may lose too much; --timeout says how long to wait")
        .exiting(Exit::Network);
    Failure::Refused(error)
}

fn open_udp(stage: &Stage, address: SocketAddr, size: usize) -> Result<Lane, Error> {
    let opening = |error: io::Error| Error::new("open a datagram socket for", address, error);
    let open = |seat: Seat<'_>, name: &'static str| {
        let recorder = seat.recorder().clone();
        seat.run(move || Datagram::open(&recorder, name, address))
            .map_err(opening)
    };
    let server = open(stage.server(), "udp server")?;
    server
        .bind(address)
        .map_err(|error| bind_failure(address, error))?;
    server.set_receive_timeout(GLANCE).map_err(opening)?;
    let clock = stage.client().recorder().clock();
    let before = clock.now();
    let client = open(stage.client(), "udp client")?;
    // connect() fixes the peer and sends nothing; it lets the kernel choose the
    // source address, which is what names the client.
    client
        .connect(address)
        .map_err(|error| Error::new("connect", address, error))?;
    let set_up = clock.now().saturating_sub(before);
    let local = client.local_address().map_err(opening)?;
    Ok(Lane {
        variant: Variant::Udp,
        client: identity(local),
        server: identity(address),
        set_up,
        sender: Sender {
            socket: Outlet::Udp(client),
            draft: Draft::message(size),
        },
        receiver: Receiver::Udp(server),
    })
}

fn open_raw(stage: &Stage, address: SocketAddr, config: &Config) -> Result<Lane, Failure> {
    let opening = |error: io::Error| Error::new("open a raw socket for", address.ip(), error);
    let open = |seat: Seat<'_>, name: &'static str| {
        let recorder = seat.recorder().clone();
        seat.run(move || Raw::open(&recorder, name, address))
            .map_err(|error| match error.raw_os_error() {
                Some(libc::EPERM | libc::EACCES) => Failure::Refused(opening(error).remedy(
                    "raw sockets need CAP_NET_RAW: run with sudo, or on the private link \
                     (without --no-link)",
                )),
                _ => Failure::Other(opening(error)),
            })
    };
    let server = open(stage.server(), "raw server")?;
    admit(&server, address, Some(echo_request(config.family))).map_err(opening)?;
    server.set_receive_timeout(GLANCE).map_err(opening)?;
    let clock = stage.client().recorder().clock();
    let before = clock.now();
    let client = open(stage.client(), "raw client")?;
    // The server's kernel answers each echo; nobody here reads the answers.
    admit(&client, address, None).map_err(opening)?;
    let set_up = clock.now().saturating_sub(before);
    let identifier = echo_identifier();
    let end = |address| Identity {
        address,
        port: None,
    };
    Ok(Lane {
        variant: Variant::RawIcmp,
        client: end(stage.client().ip(config.family)),
        server: end(address.ip()),
        set_up,
        sender: Sender {
            socket: Outlet::Raw {
                socket: client,
                to: address,
            },
            draft: Draft::echo(config.family, identifier, config.size),
        },
        receiver: Receiver::Raw {
            socket: server,
            family: config.family,
            identifier,
        },
    })
}

fn identity(address: SocketAddr) -> Identity {
    Identity {
        address: address.ip(),
        port: Some(address.port()),
    }
}

pub(super) fn echo_request(family: Family) -> u8 {
    match family {
        Family::Ipv4 => IcmpTypes::EchoRequest.0,
        Family::Ipv6 => Icmpv6Types::EchoRequest.0,
    }
}

/// Sets the kernel's ICMP filter so that only messages of one type, or none,
/// reach the socket (`ICMP_FILTER` in raw(7), RFC 3542 section 3.2 for IPv6).
pub(super) fn admit(socket: &Raw, address: SocketAddr, only: Option<u8>) -> io::Result<()> {
    const SOL_RAW: i32 = 255;
    const FILTER: i32 = 1;
    let mut blocked = [0xff_u8; 32];
    if let Some(kind) = only {
        blocked[usize::from(kind / 8)] &= !(1 << (kind % 8));
    }
    let (level, mask) = match address {
        // Words of 32 bits in the machine's order; types above 31 always pass,
        // and none of those is sent here.
        SocketAddr::V4(_) => (SOL_RAW, &blocked[..4]),
        SocketAddr::V6(_) => (libc::IPPROTO_ICMPV6, &blocked[..]),
    };
    let words: Vec<u8> = mask
        .chunks_exact(4)
        .flat_map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]).to_ne_bytes())
        .collect();
    let what = only.map_or("none".into(), |kind| format!("type {kind} only"));
    socket.set_option(format_args!("ICMP_FILTER, {what}"), |socket| {
        kernel::set_option_bytes(socket.as_fd(), level, FILTER, &words)
    })
}
