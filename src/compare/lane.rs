//! One kind of socket's pair of ends: how it is opened, how a message goes in,
//! and how messages come out.
//!
//! A receiving end is read by one thread until every message is there, or
//! patience has run out after the last was sent.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::libc;
use pnet::packet::icmp::IcmpTypes;
use pnet::packet::icmp::echo_request::MutableEchoRequestPacket;
use pnet::packet::icmpv6::Icmpv6Types;

use super::{Config, Identity};
use crate::capture::echo_identifier;
use crate::error::Error;
use crate::flow::{Family, Kind};
use crate::packet::checksum::Sum;
use crate::probe::{Filler, HEADER, Parsed, Probe};
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

/// The client's end with the message it sends next.
pub(super) struct Sender {
    socket: Outlet,
    draft: Draft,
}

enum Outlet {
    Tcp(Stream),
    Udp(Datagram),
    Raw { socket: Raw, to: SocketAddr },
}

/// Why no pair of ends could be opened.
pub(super) enum Failure {
    /// This user may not open sockets of this kind.
    Forbidden(Error),
    /// Anything else.
    Other(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// The server's end.
pub(super) enum Receiver {
    Tcp(Stream),
    Udp(Datagram),
    Raw {
        socket: Raw,
        family: Family,
        identifier: u16,
    },
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
pub(super) fn open(kind: Kind, config: &Config, stage: &Stage) -> Result<Lane, Failure> {
    let address = stage.server().address(config.family, config.port);
    match kind {
        Kind::Tcp => Ok(open_tcp(stage, address, config.size)?),
        Kind::Udp => Ok(open_udp(stage, address, config.size)?),
        Kind::Raw => open_raw(stage, SocketAddr::new(address.ip(), 0), config),
    }
}

fn open_tcp(stage: &Stage, address: SocketAddr, size: usize) -> Result<Lane, Error> {
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
        kind: Kind::Tcp,
        client: identity(peer),
        server: identity(address),
        set_up,
        sender: Sender {
            socket: Outlet::Tcp(stream),
            draft: Draft::message(size),
        },
        receiver: Receiver::Tcp(connection),
    })
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
        kind: Kind::Udp,
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
                Some(libc::EPERM | libc::EACCES) => Failure::Forbidden(opening(error).remedy(
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
        kind: Kind::Raw,
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

fn echo_request(family: Family) -> u8 {
    match family {
        Family::Ipv4 => IcmpTypes::EchoRequest.0,
        Family::Ipv6 => Icmpv6Types::EchoRequest.0,
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
struct Draft {
    bytes: Vec<u8>,
    filler: Filler,
    echo: Option<EchoSum>,
}

/// What an ICMP checksum over the draft begins with: the sum of its filler.
/// The ICMPv6 checksum is left to the kernel, which knows the source address.
enum EchoSum {
    Icmp(Sum),
    Icmpv6,
}

impl Draft {
    fn message(size: usize) -> Self {
        let mut bytes = vec![0; size];
        Self {
            filler: Filler::write(&mut bytes),
            bytes,
            echo: None,
        }
    }

    /// An echo request around a message (RFC 792, RFC 4443).
    fn echo(family: Family, identifier: u16, size: usize) -> Self {
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
    fn number(&mut self, number: u32) {
        if self.echo.is_some() {
            let [_, _, low @ ..] = number.to_be_bytes();
            self.bytes[6..8].copy_from_slice(&low);
        }
    }

    fn stamp(&mut self, number: u32, clock: Clock) {
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
const ECHO_HEADER: usize = MutableEchoRequestPacket::minimum_packet_size();

/// What one receive was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// One message, whole.
    Message,
    /// Part of a message, or several, or a damaged one.
    Bytes,
    /// Somebody else's.
    Foreign,
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
    pub(super) fn judge(
        &self,
        inbox: &mut Inbox,
        count: usize,
        now: Duration,
        judge: &mut Judge,
    ) -> Read {
        match self {
            Receiver::Tcp(_) => inbox.judge_stream(count, now, judge),
            Receiver::Udp(_) => judge_message(inbox.fresh(count), now, judge),
            Receiver::Raw {
                family, identifier, ..
            } => match echo_data(inbox.fresh(count), *family, *identifier) {
                Some(data) => judge_message(data, now, judge),
                None => Read::Foreign,
            },
        }
    }

    /// How many messages the kernel dropped because this socket's buffer was
    /// full (`SO_MEMINFO`); a stream drops none for good.
    pub(super) fn drops(&self) -> io::Result<Option<u64>> {
        match self {
            Receiver::Tcp(_) => Ok(None),
            Receiver::Udp(socket) => drops(socket.as_fd()),
            Receiver::Raw { socket, .. } => drops(socket.as_fd()),
        }
    }
}

/// `SK_MEMINFO_DROPS` of `SO_MEMINFO`: the ninth of its numbers (sock_diag(7)).
fn drops(socket: BorrowedFd<'_>) -> io::Result<Option<u64>> {
    const SO_MEMINFO: i32 = 55;
    const DROPS: std::ops::Range<usize> = 32..36;
    let mut numbers = [0; 36];
    let length = kernel::option_bytes(socket, libc::SOL_SOCKET, SO_MEMINFO, &mut numbers)?;
    let number = numbers[..length.min(36)].get(DROPS);
    let number = number.and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
    Ok(number.map(|bytes| u32::from_ne_bytes(bytes).into()))
}

/// What of a raw socket's bytes is the data of this run's echo request: IPv4
/// gives the IP header too, IPv6 does not (raw(7)).
fn echo_data(bytes: &[u8], family: Family, identifier: u16) -> Option<&[u8]> {
    let icmp = match family {
        Family::Ipv4 => bytes.get(usize::from(bytes.first()? & 0xf) * 4..)?,
        Family::Ipv6 => bytes,
    };
    let [kind, _, _, _, high, low, _, _, data @ ..] = icmp else {
        return None;
    };
    let ours = u16::from_be_bytes([*high, *low]) == identifier;
    (*kind == echo_request(family) && ours).then_some(data)
}

fn judge_message(data: &[u8], now: Duration, judge: &mut Judge) -> Read {
    match Probe::parse(data) {
        Parsed::Whole(probe, length) if length == data.len() => {
            judge.arrived(probe.number, now.saturating_sub(probe.sent_at));
            Read::Message
        }
        Parsed::Foreign => Read::Foreign,
        Parsed::Whole(..) | Parsed::Corrupted(_) | Parsed::Incomplete => {
            judge.corrupted();
            Read::Bytes
        }
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

    fn judge_stream(&mut self, count: usize, now: Duration, judge: &mut Judge) -> Read {
        let end = self.kept + count;
        let mut start = 0;
        let mut whole = 0;
        loop {
            match Probe::parse(&self.buffer[start..end]) {
                Parsed::Whole(probe, length) => {
                    judge.arrived(probe.number, now.saturating_sub(probe.sent_at));
                    start += length;
                    whole += 1;
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
        let began_afresh = std::mem::replace(&mut self.kept, end - start) == 0;
        if began_afresh && whole == 1 && self.kept == 0 {
            Read::Message
        } else {
            Read::Bytes
        }
    }
}
