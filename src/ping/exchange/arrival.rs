//! What comes back to a request, once it is known to be ours.
//!
//! Pure: bytes and addresses in, [`Arrival`]s out.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::clock::Times;
use super::quote;
use crate::flow::Family;
use crate::ping::wire::{self, Checksum, Echo, Framing};
use crate::socket::icmp::{Identifiers, Origin, QueuedError, Received, Token};

const SOURCE_QUENCH: u8 = 4;
const REDIRECT: u8 = 5;

/// Something that answers a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival<'b> {
    /// An echo reply with an identifier of ours.
    Reply(Reply<'b>),
    /// An ICMP error that quotes a request of ours.
    Error(IcmpError<'b>),
    /// This host's kernel reports an error of its own.
    Local(LocalError),
    /// A router knows a better one for a request of ours.
    Redirect(Redirect),
    /// The whole of an ICMP error that quotes a request of ours, beside its
    /// [`Arrival::Error`]; only where
    /// [`IcmpSocket::admit_errors`](crate::socket::icmp::IcmpSocket::admit_errors)
    /// was called.
    RawError(RawError<'b>),
    /// A request of ours has left this host; only where
    /// [`IcmpSocket::stamp_departures`](crate::socket::icmp::IcmpSocket::stamp_departures)
    /// was called.
    Departed(Departed),
}

/// An ICMP redirect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redirect {
    /// The request it quotes.
    pub token: Token,
    /// Where that request was going.
    pub to: IpAddr,
    /// Who sent the redirect, without port.
    pub from: SocketAddr,
    /// The router to use instead.
    pub gateway: IpAddr,
    /// Its code; 0 in ICMPv6.
    pub icmp_code: u8,
}

/// An ICMP error as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawError<'b> {
    /// The request it quotes.
    pub token: Token,
    /// Where that request was going.
    pub to: IpAddr,
    /// Who sent the error, without port.
    pub from: SocketAddr,
    /// The IPv4 header it arrived with; empty in IPv6.
    pub header: &'b [u8],
    /// The time to live or hop limit it arrived with.
    pub ttl: Option<u8>,
    /// The ICMP message, from its type on.
    pub message: &'b [u8],
    /// The quoted packet, from its IP header to the message's end: extensions
    /// (RFC 4884) may follow it.
    pub quoted: &'b [u8],
    /// When.
    pub times: Times,
}

/// When a request left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Departed {
    /// The request.
    pub token: Token,
    /// When the device got it, since the Unix epoch by `CLOCK_REALTIME`, as is
    /// [`Times::stamp`].
    pub stamp: Duration,
    /// The same on the monotonic clock.
    pub at: Instant,
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

/// Whose arrivals are looked at, and how they begin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope {
    pub(super) family: Family,
    pub(super) framing: Framing,
    pub(super) identifiers: Identifiers,
}

impl Scope {
    /// An answer to us.
    #[inline]
    pub(super) fn reply<'b>(self, received: &Received<'b>, times: Times) -> Option<Reply<'b>> {
        let parsed = wire::parse_reply(self.family, self.framing, received.bytes)?;
        Some(Reply {
            token: self.find(parsed.echo)?,
            from: self.sender(received)?,
            ttl: received.ttl.or(parsed.ttl),
            class: received.class.or(parsed.class),
            header: &received.bytes[..parsed.message.start],
            message: received.bytes.get(parsed.message)?,
            checksum: parsed.checksum,
            times,
        })
    }

    /// Without port. Where an IP header comes along, it is read from there.
    fn sender(self, received: &Received<'_>) -> Option<SocketAddr> {
        if self.framing == Framing::Message {
            return received.from.map(without_port);
        }
        let source: [u8; 4] = received.bytes.get(12..16)?.try_into().ok()?;
        Some((Ipv4Addr::from(source), 0).into())
    }

    /// An error or a redirect that quotes a request of ours.
    pub(super) fn quoting<'b>(self, received: &Received<'b>, times: Times) -> Option<Arrival<'b>> {
        let found = quote::quoting(self.family, self.framing, received.bytes)?;
        let (token, from) = (self.find(found.quoted.echo)?, self.sender(received)?);
        let to = found.quoted.to;
        if let Some(gateway) = found.gateway {
            return Some(Arrival::Redirect(Redirect {
                token,
                to,
                from,
                gateway,
                icmp_code: found.icmp_code,
            }));
        }
        // Of all errors only this one is never in the queue of a raw socket.
        if (self.family, found.icmp_type) == (Family::Ipv4, SOURCE_QUENCH) {
            return Some(Arrival::Error(IcmpError {
                token,
                to: SocketAddr::new(to, 0),
                from,
                icmp_type: found.icmp_type,
                icmp_code: found.icmp_code,
                info: found.info,
                quoted: found.quoted.request,
            }));
        }
        let header = received.bytes.len() - found.message.len();
        Some(Arrival::RawError(RawError {
            token,
            to,
            from,
            header: received.bytes.get(..header)?,
            ttl: received.ttl.or_else(|| received.bytes.get(8).copied()),
            message: found.message,
            quoted: found.quoted.bytes,
            times,
        }))
    }

    /// What a queued error is to us.
    pub(super) fn error<'b>(self, error: &QueuedError, quoted: &'b [u8]) -> Option<Arrival<'b>> {
        let Origin::Icmp {
            offender,
            icmp_type,
            icmp_code,
        } = error.origin
        else {
            let local = LocalError {
                to: error.target.map(without_port),
                errno: error.errno,
                info: error.info,
            };
            return (error.origin == Origin::Local).then_some(Arrival::Local(local));
        };
        let token = self.find(wire::parse_quoted_request(self.family, quoted)?)?;
        let (to, from) = (without_port(error.target?), without_port(offender?));
        if (self.family, icmp_type) == (Family::Ipv4, REDIRECT) {
            return Some(Arrival::Redirect(Redirect {
                token,
                to: to.ip(),
                from,
                gateway: Ipv4Addr::from(error.info).into(),
                icmp_code,
            }));
        }
        Some(Arrival::Error(IcmpError {
            token,
            to,
            from,
            icmp_type,
            icmp_code,
            info: error.info,
            quoted,
        }))
    }

    /// The request in a packet that left.
    pub(super) fn departed(
        self,
        received: &Received<'_>,
        stamp: Duration,
        at: Instant,
    ) -> Option<Departed> {
        let packet = quote::departed(self.family, received.bytes, received.cut)?;
        let token = self.find(packet.echo)?;
        Some(Departed { token, stamp, at })
    }

    fn find(self, echo: Echo) -> Option<Token> {
        self.identifiers.find(echo.identifier, echo.sequence)
    }
}

fn without_port(mut address: SocketAddr) -> SocketAddr {
    address.set_port(0);
    address
}
