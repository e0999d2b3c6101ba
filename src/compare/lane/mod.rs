//! One way to send: a client's end that sends messages and a server's end that
//! receives them, each opened by itself, so that the two need not be on one
//! machine.
//!
//! ```text
//!   Server::open ──► accept ──► Receiver ──► listen ──► Heard
//!   Client::open ──► Sender ──► dispatch ──► Dispatched
//! ```
//!
//! Judges nothing: what was sent and what was heard are lists of facts.

mod client;
mod dispatch;
mod draft;
mod filter;
mod introduce;
mod listen;
mod receiver;
mod sender;
mod server;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nix::libc;

use super::{Config, Mark, Variant};
use crate::error::{Error, Exit};
use crate::flow::{Family, Kind};

pub(super) use client::Client;
pub(super) use dispatch::{Dispatched, Sending, dispatch};
pub(super) use listen::{Arrived, Ending, Heard, Over, Patience, listen};
pub(super) use receiver::{Found, Receiver, drops, expected};
pub(super) use sender::Sender;
pub(super) use server::Server;

/// What both ends of a lane agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) variant: Variant,
    /// Where the server receives; its port is 0 where the kind has none.
    pub(super) server: SocketAddr,
    /// Where the client sends from; where none is given, the kernel chooses.
    pub(super) client: Option<IpAddr>,
    pub(super) mark: Mark,
    /// The longest message in bytes.
    pub(super) largest: usize,
    /// How long `connect()` and `accept()` may take.
    pub(super) timeout: Duration,
}

impl Terms {
    pub(super) fn new(
        config: &Config,
        variant: Variant,
        server: IpAddr,
        client: Option<IpAddr>,
    ) -> Self {
        let mark = config.mark(variant);
        Self {
            variant,
            server: SocketAddr::new(server, mark.port().unwrap_or(0)),
            client,
            mark,
            largest: config.largest(),
            timeout: config.timeout,
        }
    }

    fn family(&self) -> Family {
        Family::of(self.server.ip())
    }

    fn opening(&self, error: io::Error) -> Error {
        let operation = match self.variant.kind() {
            Kind::Tcp => "open a stream socket for",
            Kind::Udp => "open a datagram socket for",
            Kind::Raw if self.variant == Variant::IcmpDatagram => {
                "open an ICMP datagram socket for"
            }
            Kind::Raw => "open a raw socket for",
        };
        match self.mark.port() {
            Some(_) => Error::new(operation, self.server, error),
            None => Error::new(operation, self.server.ip(), error),
        }
    }

    /// A raw socket that could not be opened: a refusal where this user may not.
    fn opening_raw(&self, error: io::Error) -> Failure {
        match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Failure::Refused(self.opening(error).remedy(
                "raw sockets need CAP_NET_RAW: run with sudo, or on the private link (without \
                 --no-link)",
            )),
            _ => Failure::Other(self.opening(error)),
        }
    }
}

/// Why an end could not be opened.
#[derive(Debug)]
pub(super) enum Failure {
    /// This user may not open sockets of this kind, or the network let no
    /// connection come about: the others may still take part.
    Refused(Error),
    /// Anything else.
    Other(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// What opening a variant's two ends needs.
pub(super) fn privilege(variant: Variant) -> &'static str {
    match variant {
        Variant::Tcp | Variant::TcpNodelay | Variant::Udp | Variant::UdpConnected => "none",
        Variant::RawIcmp | Variant::RawIp => "CAP_NET_RAW",
        Variant::IcmpDatagram => "ping_group_range; CAP_NET_RAW to receive",
    }
}

/// How often whoever waits looks whether it still should.
pub(super) const GLANCE: Duration = Duration::from_millis(20);

/// A call that failed; one that waited in vain, or met a refusal, is the
/// network's doing.
fn overdue(operation: &str, address: SocketAddr, error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Failure::Refused(
            Error::new(operation, address, "nothing came back in time")
                .remedy("the link may lose too much; --timeout says how long to wait")
                .exiting(Exit::Network),
        ),
        io::ErrorKind::ConnectionRefused
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable => {
            Failure::Refused(Error::new(operation, address, error).exiting(Exit::Network))
        }
        _ => Failure::Other(Error::new(operation, address, error)),
    }
}
