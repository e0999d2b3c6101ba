//! One kind of socket's pair of ends: how it is opened, how a message goes in,
//! and how messages come out.
//!
//! A receiving end is read by one thread until every message is there, or
//! patience has run out after the last was sent.

use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::libc;
use pnet::packet::icmp::echo_request::MutableEchoRequestPacket;
use pnet::packet::icmp::{self, IcmpTypes};
use pnet::packet::icmpv6::Icmpv6Types;

use super::{Config, Identity};
use crate::error::Error;
use crate::flow::Kind;
use crate::probe::{Parsed, Probe};
use crate::recorder::Clock;
use crate::socket::{Datagram, Listener, Raw, Stream, bind_failure, kernel};
use crate::stage::{Seat, Stage};
use crate::stats::Judge;

/// An open pair of ends.
pub(super) struct Lane {
    pub(super) kind: Kind,
    pub(super) client: Identity,
    pub(super) server: Identity,
    pub(super) set_up: Duration,
    pub(super) sender: Sender,
    pub(super) receiver: Receiver,
}

/// The client's end.
pub(super) enum Sender {
    Tcp(Stream),
    Udp(Datagram),
    Raw {
        socket: Raw,
        to: SocketAddr,
        identifier: u16,
    },
}

/// The server's end.
pub(super) enum Receiver {
    Tcp(Stream),
    Udp(Datagram),
    Raw { socket: Raw, identifier: u16 },
}

/// What opening this kind of socket needs.
pub(super) fn privilege(kind: Kind) -> &'static str {
    match kind {
        Kind::Tcp | Kind::Udp => "none",
        Kind::Raw => "CAP_NET_RAW",
    }
}

/// How often a waiting receiver looks whether it should still wait.
pub(super) const GLANCE: Duration = Duration::from_millis(20);

/// Opens both ends so that the next call can send.
pub(super) fn open(kind: Kind, config: &Config, stage: &Stage) -> Result<Lane, Error> {
    let address = stage.server().address(config.family, config.port);
    match kind {
        Kind::Tcp => open_tcp(stage, address),
        Kind::Udp => open_udp(stage, address),
        Kind::Raw => open_raw(stage, SocketAddr::new(address.ip(), 0), config),
    }
}

fn open_tcp(stage: &Stage, address: SocketAddr) -> Result<Lane, Error> {
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
    let clock = client.recorder().clock();
    let before = clock.now();
    let recorder = client.recorder().clone();
    let stream = client
        .run(move || Stream::open(&recorder, "tcp client", address))
        .map_err(opening)?;
    stream
        .connect(address)
        .map_err(|error| Error::new("connect", address, error))?;
    let set_up = clock.now().saturating_sub(before);
    let (connection, peer) = listener
        .accept("tcp connection")
        .map_err(|error| Error::new("accept on", address, error))?;
    Ok(Lane {
        kind: Kind::Tcp,
        client: identity(peer),
        server: identity(address),
        set_up,
        sender: Sender::Tcp(stream),
        receiver: Receiver::Tcp(connection),
    })
}

fn open_udp(stage: &Stage, address: SocketAddr) -> Result<Lane, Error> {
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
        kind: Kind::Udp,
        client: identity(local),
        server: identity(address),
        set_up,
        sender: Sender::Udp(client),
        receiver: Receiver::Udp(server),
    })
}

fn open_raw(stage: &Stage, address: SocketAddr, config: &Config) -> Result<Lane, Error> {
    let opening = |error: io::Error| {
        Error::new("open a raw socket for", address.ip(), error).remedy(
            "raw sockets need CAP_NET_RAW: run with sudo, or on the private link (without --no-link)",
        )
    };
    let open = |seat: Seat<'_>, name: &'static str| {
        let recorder = seat.recorder().clone();
        seat.run(move || Raw::open(&recorder, name, address))
            .map_err(opening)
    };
    let server = open(stage.server(), "raw server")?;
    admit(&server, address, Some(echo_request(address))).map_err(opening)?;
    server.set_receive_timeout(GLANCE).map_err(opening)?;
    let clock = stage.client().recorder().clock();
    let before = clock.now();
    let client = open(stage.client(), "raw client")?;
    // The server's kernel answers each echo; nobody here reads the answers.
    admit(&client, address, None).map_err(opening)?;
    let set_up = clock.now().saturating_sub(before);
    let identifier = u16::try_from(std::process::id() & 0xffff).unwrap_or_default();
    let end = |address| Identity {
        address,
        port: None,
    };
    Ok(Lane {
        kind: Kind::Raw,
        client: end(stage.client().ip(config.family)),
        server: end(address.ip()),
        set_up,
        sender: Sender::Raw {
            socket: client,
            to: address,
            identifier,
        },
        receiver: Receiver::Raw {
            socket: server,
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

fn echo_request(address: SocketAddr) -> u8 {
    match address {
        SocketAddr::V4(_) => IcmpTypes::EchoRequest.0,
        SocketAddr::V6(_) => Icmpv6Types::EchoRequest.0,
    }
}

/// Sets the kernel's ICMP filter so that only messages of one type, or none,
/// reach the socket (`ICMP_FILTER` in raw(7), RFC 3542 section 3.2 for IPv6).
fn admit(socket: &Raw, address: SocketAddr, only: Option<u8>) -> io::Result<()> {
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

impl Sender {
    /// Sends message `number`, stamped at the last moment.
    pub(super) fn send(&self, number: u32, size: usize, clock: Clock) -> io::Result<u64> {
        let mut data = vec![0; size];
        let stamp = |data: &mut [u8]| {
            let sent_at = clock.now();
            Probe { number, sent_at }.emit(data);
        };
        match self {
            Sender::Tcp(socket) => {
                stamp(&mut data);
                let mut writes = 0;
                let mut rest = &data[..];
                while !rest.is_empty() {
                    rest = &rest[socket.send(rest)?..];
                    writes += 1;
                }
                Ok(writes)
            }
            Sender::Udp(socket) => {
                stamp(&mut data);
                socket.send(&data).map(|_| 1)
            }
            Sender::Raw {
                socket,
                to,
                identifier,
            } => {
                stamp(&mut data);
                let message = echo(to.ip(), *identifier, number, &data);
                socket.send_to(&message, *to).map(|_| 1)
            }
        }
    }

    /// Says that nothing more will come, where the kind of socket can.
    pub(super) fn finish(&self) -> io::Result<()> {
        match self {
            Sender::Tcp(socket) => socket.shutdown(Shutdown::Write),
            Sender::Udp(_) | Sender::Raw { .. } => Ok(()),
        }
    }
}

/// An echo request around `data` (RFC 792, RFC 4443). The ICMPv6 checksum is
/// left to the kernel, which knows the source address.
fn echo(to: IpAddr, identifier: u16, number: u32, data: &[u8]) -> Vec<u8> {
    let header = MutableEchoRequestPacket::minimum_packet_size();
    let mut message = vec![0; header + data.len()];
    if let Some(mut request) = MutableEchoRequestPacket::new(&mut message) {
        request.set_identifier(identifier);
        // The sequence number is 16 bits; the probe inside has all 32.
        request.set_sequence_number((number & 0xffff) as u16);
        request.set_payload(data);
    }
    message[0] = match to {
        IpAddr::V4(_) => IcmpTypes::EchoRequest.0,
        IpAddr::V6(_) => Icmpv6Types::EchoRequest.0,
    };
    if to.is_ipv4()
        && let Some(view) = icmp::IcmpPacket::new(&message)
    {
        let checksum = icmp::checksum(&view).to_be_bytes();
        message[2..4].copy_from_slice(&checksum);
    }
    message
}

impl Receiver {
    /// One receive. `Ok(None)` at the end of a stream; `WouldBlock` when nothing
    /// came for [`GLANCE`].
    pub(super) fn receive(&mut self, inbox: &mut Inbox) -> io::Result<Option<usize>> {
        let room = inbox.room();
        match self {
            Receiver::Tcp(socket) => match socket.recv(room)? {
                0 => Ok(None),
                count => Ok(Some(count)),
            },
            Receiver::Udp(socket) => socket.recv_from(room).map(|got| Some(got.bytes)),
            Receiver::Raw { socket, .. } => socket.recv_from(room).map(|got| Some(got.bytes)),
        }
    }

    /// Judges what one receive brought.
    pub(super) fn judge(&self, inbox: &mut Inbox, count: usize, now: Duration, judge: &mut Judge) {
        match self {
            Receiver::Tcp(_) => inbox.judge_stream(count, now, judge),
            Receiver::Udp(_) => judge_message(inbox.fresh(count), now, judge),
            Receiver::Raw { identifier, .. } => {
                if let Some(data) = echo_data(inbox.fresh(count), *identifier) {
                    judge_message(data, now, judge);
                }
            }
        }
    }
}

/// What of a raw socket's bytes is an echo request's data: IPv4 gives the IP
/// header too, IPv6 does not (raw(7)).
fn echo_data(bytes: &[u8], identifier: u16) -> Option<&[u8]> {
    let icmp = if bytes.first()? >> 4 == 4 {
        bytes.get(usize::from(bytes[0] & 0xf) * 4..)?
    } else {
        bytes
    };
    let [_, _, _, _, high, low, _, _, data @ ..] = icmp else {
        return None;
    };
    (u16::from_be_bytes([*high, *low]) == identifier).then_some(data)
}

fn judge_message(data: &[u8], now: Duration, judge: &mut Judge) {
    match Probe::parse(data) {
        Parsed::Whole(probe, length) if length == data.len() => {
            judge.arrived(probe.number, now.saturating_sub(probe.sent_at));
        }
        Parsed::Foreign => {}
        Parsed::Whole(..) | Parsed::Corrupted(_) | Parsed::Incomplete => judge.corrupted(),
    }
}

/// Bytes received and not yet judged: on a stream, the beginning of a message.
pub(super) struct Inbox {
    buffer: Vec<u8>,
    kept: usize,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self {
            buffer: vec![0; 2 << 16],
            kept: 0,
        }
    }

    fn room(&mut self) -> &mut [u8] {
        &mut self.buffer[self.kept..]
    }

    fn fresh(&self, count: usize) -> &[u8] {
        &self.buffer[..count]
    }

    fn judge_stream(&mut self, count: usize, now: Duration, judge: &mut Judge) {
        let end = self.kept + count;
        let mut start = 0;
        loop {
            match Probe::parse(&self.buffer[start..end]) {
                Parsed::Whole(probe, length) => {
                    judge.arrived(probe.number, now.saturating_sub(probe.sent_at));
                    start += length;
                }
                Parsed::Corrupted(length) => {
                    judge.corrupted();
                    start += length;
                }
                Parsed::Incomplete => break,
                // Only our own peer writes here: a foreign byte is damage, and
                // the next message is looked for behind it.
                Parsed::Foreign => start += 1,
            }
        }
        self.buffer.copy_within(start..end, 0);
        self.kept = end - start;
    }
}
