//! The client's end of a lane: how a message goes in, and what is prepared so
//! that stamping and sending it take no longer for one kind than for another.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use nix::libc;
use pnet::packet::icmp::echo_request::MutableEchoRequestPacket;

use super::lane::echo_request;
use crate::flow::Family;
use crate::packet::checksum::Sum;
use crate::probe::{Filler, HEADER, Probe};
use crate::recorder::Clock;
use crate::socket::{Datagram, Raw, Stream};

/// The client's end with the message it sends next.
pub(super) struct Sender {
    pub(super) socket: Outlet,
    pub(super) draft: Draft,
}

pub(super) enum Outlet {
    Tcp(Stream),
    Udp(Datagram),
    Raw { socket: Raw, to: SocketAddr },
}
impl Sender {
    /// Sends message `number`, stamped at the last moment. Returns how many
    /// calls it took; a stream that takes nothing is given up when `give_up`
    /// says so.
    pub(super) fn send(
        &mut self,
        number: u32,
        clock: Clock,
        give_up: &dyn Fn(Duration) -> bool,
    ) -> io::Result<u64> {
        let Self { socket, draft } = self;
        draft.number(number);
        draft.stamp(number, clock);
        let data = &draft.bytes[..];
        match socket {
            Outlet::Tcp(socket) => send_stream(socket, data, clock, give_up),
            Outlet::Udp(socket) => socket.send(data).map(|_| 1),
            Outlet::Raw { socket, to } => socket.send_to(data, *to).map(|_| 1),
        }
    }

    /// Says that nothing more will come, where the kind of socket can.
    pub(super) fn finish(&self) -> io::Result<()> {
        match &self.socket {
            Outlet::Tcp(socket) => socket.shutdown(Shutdown::Write),
            Outlet::Udp(_) | Outlet::Raw { .. } => Ok(()),
        }
    }
}

fn send_stream(
    socket: &Stream,
    data: &[u8],
    clock: Clock,
    give_up: &dyn Fn(Duration) -> bool,
) -> io::Result<u64> {
    let mut writes = 0;
    let mut rest = data;
    let mut progress = clock.now();
    while !rest.is_empty() {
        match socket.send(rest) {
            Ok(count) => {
                rest = &rest[count..];
                writes += 1;
                progress = clock.now();
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if give_up(clock.now().saturating_sub(progress)) {
                    return Err(io::Error::from_raw_os_error(libc::ETIMEDOUT));
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(writes)
}

/// A message built beforehand, to which sending adds only its number, the time
/// and the checksums.
pub(super) struct Draft {
    bytes: Vec<u8>,
    filler: Filler,
    echo: Option<EchoSum>,
}

/// What an ICMP checksum over the draft begins with: the sum of its filler.
/// The ICMPv6 checksum is left to the kernel, which knows the source address.
pub(super) enum EchoSum {
    Icmp(Sum),
    Icmpv6,
}

impl Draft {
    pub(super) fn message(size: usize) -> Self {
        let mut bytes = vec![0; size];
        Self {
            filler: Filler::write(&mut bytes),
            bytes,
            echo: None,
        }
    }

    /// An echo request around a message (RFC 792, RFC 4443).
    pub(super) fn echo(family: Family, identifier: u16, size: usize) -> Self {
        let mut bytes = vec![0; ECHO_HEADER + size];
        if let Some(mut request) = MutableEchoRequestPacket::new(&mut bytes) {
            request.set_identifier(identifier);
        }
        bytes[0] = echo_request(family);
        let filler = Filler::write(&mut bytes[ECHO_HEADER..]);
        let echo = match family {
            // A zero behind an odd filler, so that the header may be added.
            Family::Ipv4 => EchoSum::Icmp(
                Sum::new()
                    .bytes(&bytes[ECHO_HEADER + HEADER..])
                    .bytes(&[0][..size % 2]),
            ),
            Family::Ipv6 => EchoSum::Icmpv6,
        };
        Self {
            bytes,
            filler,
            echo: Some(echo),
        }
    }

    /// The echo's sequence number: 16 bits; the probe inside has all 32.
    pub(super) fn number(&mut self, number: u32) {
        if self.echo.is_some() {
            let [_, _, low @ ..] = number.to_be_bytes();
            self.bytes[6..8].copy_from_slice(&low);
        }
    }

    pub(super) fn stamp(&mut self, number: u32, clock: Clock) {
        let data = match self.echo {
            None => &mut self.bytes[..],
            Some(_) => &mut self.bytes[ECHO_HEADER..],
        };
        let sent_at = clock.now();
        Probe { number, sent_at }.stamp(data, &self.filler);
        if let Some(EchoSum::Icmp(filler)) = &self.echo {
            self.bytes[2..4].fill(0);
            let sum = filler.bytes(&self.bytes[..ECHO_HEADER + HEADER]);
            self.bytes[2..4].copy_from_slice(&sum.checksum().to_be_bytes());
        }
    }
}

/// The length of an echo's header.
pub(super) const ECHO_HEADER: usize = MutableEchoRequestPacket::minimum_packet_size();
