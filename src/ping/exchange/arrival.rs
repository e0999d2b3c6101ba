//! What comes back to a request, once it is known to be ours.
//!
//! Pure: bytes and addresses in, [`Arrival`]s out.

use std::net::SocketAddr;

use nix::errno::Errno;

use super::clock::Times;
use crate::flow::Family;
use crate::ping::wire::{self, Checksum, Framing};
use crate::socket::icmp::{Identifiers, Origin, QueuedError, Received, Token};

/// Something that answers a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival<'b> {
    /// An echo reply with an identifier of ours.
    Reply(Reply<'b>),
    /// An ICMP error that quotes a request of ours.
    Error(IcmpError<'b>),
    /// This host's kernel reports an error of its own.
    Local(LocalError),
}

/// An echo reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply<'b> {
    /// The request it claims to answer.
    pub token: Token,
    /// Who sent it, without port.
    pub from: SocketAddr,
    /// The time to live or hop limit it arrived with.
    pub ttl: Option<u8>,
    /// The type of service or traffic class it arrived with.
    pub class: Option<u8>,
    /// The IPv4 header with its options, on a raw IPv4 socket.
    pub header: &'b [u8],
    /// The ICMP message.
    pub message: &'b [u8],
    /// Whether the ICMP checksum is right.
    pub checksum: Checksum,
    /// When.
    pub times: Times,
}

/// An ICMP error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IcmpError<'b> {
    /// The request it quotes.
    pub token: Token,
    /// Where that request was going, without port.
    pub to: SocketAddr,
    /// Who sent the error, without port.
    pub from: SocketAddr,
    /// Its type.
    pub icmp_type: u8,
    /// Its code.
    pub icmp_code: u8,
    /// An MTU in bytes or a pointer, with the errors that have one.
    pub info: u32,
    /// The quoted request, from its ICMP header on.
    pub quoted: &'b [u8],
}

/// An error of this host's kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalError {
    /// Where the request was going, without port, if it says so.
    pub to: Option<SocketAddr>,
    /// What it is.
    pub errno: Errno,
    /// The MTU in bytes, with `EMSGSIZE`.
    pub info: u32,
}

pub(super) fn reply<'b>(
    family: Family,
    framing: Framing,
    identifiers: Identifiers,
    received: &Received<'b>,
    times: Times,
) -> Option<Reply<'b>> {
    let parsed = wire::parse_reply(family, framing, received.bytes)?;
    let token = identifiers.find(parsed.echo.identifier, parsed.echo.sequence)?;
    Some(Reply {
        token,
        from: without_port(received.from?),
        ttl: received.ttl.or(parsed.ttl),
        class: received.class.or(parsed.class),
        header: &received.bytes[..parsed.message.start],
        message: received.bytes.get(parsed.message)?,
        checksum: parsed.checksum,
        times,
    })
}

pub(super) fn error<'b>(
    family: Family,
    identifiers: Identifiers,
    error: &QueuedError,
    quoted: &'b [u8],
) -> Option<Arrival<'b>> {
    match error.origin {
        Origin::Local => Some(Arrival::Local(LocalError {
            to: error.target.map(without_port),
            errno: error.errno,
            info: error.info,
        })),
        Origin::Icmp {
            offender,
            icmp_type,
            icmp_code,
        } => {
            let request = wire::parse_quoted_request(family, quoted)?;
            Some(Arrival::Error(IcmpError {
                token: identifiers.find(request.identifier, request.sequence)?,
                to: without_port(error.target?),
                from: without_port(offender?),
                icmp_type,
                icmp_code,
                info: error.info,
                quoted,
            }))
        }
        Origin::Unknown(_) => None,
    }
}

fn without_port(mut address: SocketAddr) -> SocketAddr {
    address.set_port(0);
    address
}
