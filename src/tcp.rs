//! The stream socket's demonstration (tcp(7), RFC 9293): one connection from
//! its listening socket to TIME_WAIT, told in order.
//!
//! Makes every call itself, on both ends, so that the story is the same each
//! time; the packets and states between the calls are the kernels' own.

use std::fmt::Display;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::libc;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::error::{Error, Exit};
use crate::event::{Place, SocketName};
use crate::flow::Family;
use crate::flow::{FiveTuple, Kind};
use crate::socket::{Handle, Listener, Stream, TcpInfo, bind_failure, kernel};
use crate::stage::Stage;
use crate::units::nanoseconds;

/// What to demonstrate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// IPv4 or IPv6.
    pub family: Family,
    /// The server's port.
    pub port: u16,
    /// Small writes, one after another.
    pub messages: Vec<String>,
    /// Length of the larger write in bytes; 0 leaves it out.
    pub size: usize,
    /// The client's congestion control, pinned: a new namespace inherits the
    /// machine's, which differs from machine to machine.
    pub congestion: String,
    /// Whether small writes wait for earlier ones to be acknowledged.
    pub nagle: Nagle,
}

/// Nagle's algorithm (RFC 896), on unless `TCP_NODELAY` is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Nagle {
    /// A small segment waits while an earlier one is unacknowledged.
    #[default]
    On,
    /// `TCP_NODELAY`: every write is sent at once.
    Off,
}

/// The congestion control that every Linux has (RFC 5681).
pub const CONGESTION_CONTROL: &str = "reno";

impl Default for Config {
    fn default() -> Self {
        Self {
            family: Family::Ipv4,
            port: crate::DEFAULT_PORT,
            messages: ["one", "two", "three"].map(String::from).into(),
            size: 4000,
            congestion: CONGESTION_CONTROL.into(),
            nagle: Nagle::On,
        }
    }
}

/// What came of it, as the two programs saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The listening socket's address.
    pub listener: SocketAddr,
    /// The connection as the client names it.
    pub client: FiveTuple,
    /// The connection as the server names it.
    pub server: FiveTuple,
    /// The client's congestion control.
    pub congestion_control: String,
    /// How long `connect()` took.
    #[serde(rename = "connect_ns", serialize_with = "nanoseconds")]
    pub connect: Duration,
    /// From client to server.
    pub request: Transfer,
    /// From server to client, after the client's half-close.
    pub reply: Transfer,
    /// The client's `TCP_INFO` when the reply had come.
    pub client_info: TcpInfo,
    /// The server's, before it closed.
    pub server_info: TcpInfo,
}

/// One direction of the byte stream.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Transfer {
    /// Calls to `send()`.
    pub writes: u64,
    /// Calls to `recv()` that returned data.
    pub reads: u64,
    /// Bytes written.
    pub bytes_sent: u64,
    /// Bytes read.
    pub bytes_received: u64,
    /// SHA-256 of what was written, in hexadecimal.
    pub sha256_sent: String,
    /// SHA-256 of what was read.
    pub sha256_received: String,
}

impl Transfer {
    /// Whether the same bytes arrived in the same order.
    pub fn is_intact(&self) -> bool {
        self.bytes_sent == self.bytes_received && self.sha256_sent == self.sha256_received
    }
}

/// The reply that the server sends after the client's half-close.
const REPLY: &[u8] = b"all received";

/// Plays the demonstration on `stage`.
pub fn demonstrate(config: &Config, stage: &Stage) -> Result<Outcome, Error> {
    let scene = Scene { config, stage };
    let (listener, address) = scene.listen()?;
    let (client, connect) = scene.connect(address)?;
    stage.settle()?;
    let tuple = Scene::five_tuple(&client)?;
    let connection = scene.accept(&listener, tuple.local)?;
    let mirrored = Scene::five_tuple(&connection)?;
    scene.pause(tuple)?;

    let mut request = Flow::default();
    scene.small_writes((&client, &connection), &mut request)?;
    scene.large_write((&client, &connection), &mut request)?;
    scene.half_close((&client, &connection), &mut request)?;
    scene.pause(tuple)?;

    let mut reply = Flow::default();
    scene.reply((&connection, &client), &mut reply)?;
    let client_info = info_of(&client)?;
    let server_info = info_of(&connection)?;
    let congestion_control = congestion_of(&client)?;
    scene.close(client, connection)?;
    scene.pause(tuple)?;
    close("listener", listener.close())?;
    Ok(Outcome {
        listener: address,
        client: tuple,
        server: mirrored,
        congestion_control,
        connect,
        request: request.finish(),
        reply: reply.finish(),
        client_info,
        server_info,
    })
}

/// What was written and read in one direction so far.
#[derive(Default)]
struct Flow {
    sent: Tally,
    received: Tally,
}

/// Calls and bytes at one end. The bytes are kept and hashed when all is over,
/// so that the hashing takes no time within the story.
#[derive(Default)]
struct Tally {
    calls: u64,
    data: Vec<u8>,
}

impl Tally {
    fn add(&mut self, data: &[u8]) {
        self.calls += 1;
        self.data.extend_from_slice(data);
    }
}

impl Flow {
    fn finish(self) -> Transfer {
        Transfer {
            writes: self.sent.calls,
            reads: self.received.calls,
            bytes_sent: self.sent.data.len() as u64,
            bytes_received: self.received.data.len() as u64,
            sha256_sent: hex::encode(Sha256::digest(&self.sent.data)),
            sha256_received: hex::encode(Sha256::digest(&self.received.data)),
        }
    }
}

struct Scene<'a> {
    config: &'a Config,
    stage: &'a Stage,
}

impl Scene<'_> {
    fn listen(&self) -> Result<(Listener, SocketAddr), Error> {
        let server = self.stage.server();
        self.note("The server listens. This socket waits for connections; it never carries data.");
        let address = server.address(self.config.family, self.config.port);
        let recorder = server.recorder().clone();
        let listener = server
            .run(move || Listener::open(&recorder, "listener", address))
            .map_err(|error| Error::new("open a stream socket for", address, error))?;
        listener
            .set_option("SO_REUSEADDR, 1", |socket| socket.set_reuse_address(true))
            .map_err(|error| Error::new("set SO_REUSEADDR on", address, error))?;
        // What is accepted inherits it.
        patience(&listener)?;
        listener
            .bind(address)
            .map_err(|error| bind_failure(address, error))?;
        listener
            .listen(5)
            .map_err(|error| Error::new("listen on", address, error))?;
        let address = listener
            .local_address()
            .map_err(|error| Error::new("getsockname of", address, error))?;
        Ok((listener, address))
    }

    fn connect(&self, address: SocketAddr) -> Result<(Stream, Duration), Error> {
        self.note("Three-way handshake: connect() returns when the server's SYN has come.");
        let seat = self.stage.client();
        let recorder = seat.recorder().clone();
        let client = seat
            .run(move || Stream::open(&recorder, "client", address))
            .map_err(|error| Error::new("open a stream socket for", address, error))?;
        patience(&client)?;
        let name = &self.config.congestion;
        client
            .set_option(format_args!("TCP_CONGESTION, {name}"), |socket| {
                socket.set_tcp_congestion(name.as_bytes())
            })
            .map_err(|error| congestion_failure(name, error))?;
        if self.config.nagle == Nagle::Off {
            client
                .set_option("TCP_NODELAY, 1", |socket| socket.set_tcp_nodelay(true))
                .map_err(|error| Error::new("set TCP_NODELAY for", address, error))?;
        }
        let clock = seat.recorder().clock();
        let before = clock.now();
        client
            .connect(address)
            .map_err(|error| Error::new("connect", address, error))?;
        Ok((client, clock.now().saturating_sub(before)))
    }

    fn accept(&self, listener: &Listener, client: SocketAddr) -> Result<Stream, Error> {
        self.note("accept() gives the server a second socket, connected to this one client.");
        let (connection, peer) = listener
            .accept("connection")
            .map_err(|error| overdue("accept on", listener.name(), error))?;
        if peer != client {
            let stranger = format!("{peer} connected before our own client {client}");
            return Err(Error::new("accept on", listener.name(), stranger)
                .remedy("another program uses this port; choose one with --port"));
        }
        Ok(connection)
    }

    fn five_tuple(stream: &Stream) -> Result<FiveTuple, Error> {
        let named = |error| Error::new("name the ends of", stream.name(), error);
        Ok(FiveTuple {
            protocol: Kind::Tcp,
            local: stream.local_address().map_err(named)?,
            remote: stream.peer_address().map_err(named)?,
        })
    }

    fn small_writes(&self, (client, connection): Ends<'_>, flow: &mut Flow) -> Result<(), Error> {
        let messages: Vec<&[u8]> = self
            .config
            .messages
            .iter()
            .map(String::as_bytes)
            .filter(|message| !message.is_empty())
            .collect();
        if messages.len() < self.config.messages.len() {
            self.note("An empty write sends nothing on a stream; it is left out.");
        }
        if messages.is_empty() {
            return Ok(());
        }
        let writes = counted(messages.len() as u64, "small write");
        self.note(format_args!(
            "{writes}, one after another. The stream keeps no boundaries."
        ));
        let segments = |info: TcpInfo| info.data_segments_out.unwrap_or_default();
        let (before, reads) = (segments(info_of(client)?), flow.received.calls);
        self.transfer((client, connection), &messages, flow)?;
        self.note(format_args!(
            "{writes} became {} and {}.",
            counted((segments(info_of(client)?) - before).into(), "segment"),
            counted(flow.received.calls - reads, "read"),
        ));
        Ok(())
    }

    fn large_write(&self, ends: Ends<'_>, flow: &mut Flow) -> Result<(), Error> {
        let size = self.config.size;
        if size == 0 {
            return Ok(());
        }
        let mss = info_of(ends.0)?.send_mss;
        let cut = if size > usize::try_from(mss).unwrap_or(usize::MAX) {
            "cuts it into segments of at most"
        } else {
            "needs not cut it: a segment holds"
        };
        self.note(format_args!(
            "One write of {size} bytes. The kernel {cut} {mss} bytes."
        ));
        let data: Vec<u8> = PATTERN.iter().copied().cycle().take(size).collect();
        self.transfer(ends, &[&data], flow)
    }

    fn half_close(&self, (client, connection): Ends<'_>, flow: &mut Flow) -> Result<(), Error> {
        self.note("Half-close: the client has said all, and can still listen.");
        client
            .shutdown(Shutdown::Write)
            .map_err(|error| Error::new("shutdown", client.name(), error))?;
        self.stage.settle()?;
        read_to_end(connection, &mut flow.received)
    }

    fn reply(&self, (connection, client): Ends<'_>, flow: &mut Flow) -> Result<(), Error> {
        self.note("The reply still arrives.");
        self.transfer((connection, client), &[REPLY], flow)
    }

    fn close(&self, client: Stream, connection: Stream) -> Result<(), Error> {
        self.note("The server closes too. The end that closed first waits in TIME_WAIT.");
        close("connection", connection.close())?;
        self.stage.settle()?;
        read_to_end(&client, &mut Tally::default())?;
        close("client", client.close())
    }

    fn transfer(
        &self,
        (from, to): Ends<'_>,
        writes: &[&[u8]],
        flow: &mut Flow,
    ) -> Result<(), Error> {
        let total: usize = writes.iter().map(|data| data.len()).sum();
        let Flow { sent, received } = flow;
        let mut write = || {
            writes
                .iter()
                .try_for_each(|data| write_all(from, data, sent))
        };
        if total <= FITS {
            write()?;
            self.stage.settle()?;
            read_exactly(to, total, received)?;
            return self.stage.settle();
        }
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| read_exactly(to, total, received));
            let written = write();
            let read = reader
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            written.and(read)
        })
    }

    /// Lets the packets arrive before the next call, so that the story reads in
    /// order, and asks both kernels where no wire does.
    fn pause(&self, connection: FiveTuple) -> Result<(), Error> {
        self.stage.settle()?;
        self.stage.observe(connection);
        Ok(())
    }

    fn note(&self, text: impl Display) {
        self.stage.client().recorder().at(Place::Wire).note(text);
    }
}

/// `1 write`, `3 writes`.
fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// The sending and the receiving end.
type Ends<'a> = (&'a Stream, &'a Stream);

/// What the larger write repeats: printable, so that a hex dump shows it.
const PATTERN: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-+";

/// So much fits into the socket buffers of any Linux, so that one thread can
/// write it all before it reads, and the calls keep their order.
const FITS: usize = 16 << 10;

fn write_all(stream: &Stream, mut data: &[u8], tally: &mut Tally) -> Result<(), Error> {
    while !data.is_empty() {
        let count = stream
            .send(data)
            .map_err(|error| overdue("send on", stream.name(), error))?;
        let (sent, rest) = data.split_at(count);
        tally.add(sent);
        data = rest;
    }
    Ok(())
}

fn read_exactly(stream: &Stream, mut missing: usize, tally: &mut Tally) -> Result<(), Error> {
    while missing > 0 {
        match read(stream, tally)? {
            0 => {
                let early = format!("the stream ended {missing} bytes early");
                return Err(Error::new("recv on", stream.name(), early).exiting(Exit::Network));
            }
            count => missing = missing.saturating_sub(count),
        }
    }
    Ok(())
}

fn read_to_end(stream: &Stream, tally: &mut Tally) -> Result<(), Error> {
    while read(stream, tally)? > 0 {}
    Ok(())
}

fn read(stream: &Stream, tally: &mut Tally) -> Result<usize, Error> {
    let mut buffer = vec![0; 65_536];
    let count = stream
        .recv(&mut buffer)
        .map_err(|error| overdue("recv on", stream.name(), error))?;
    if count > 0 {
        tally.add(&buffer[..count]);
    }
    Ok(count)
}

/// How long a call may block: longer than any retransmission that succeeds.
const PATIENCE: Duration = Duration::from_secs(30);

/// `SO_RCVTIMEO` and `SO_SNDTIMEO` (socket(7)): no call of the demonstration
/// waits for ever.
fn patience(socket: &Handle) -> Result<(), Error> {
    let set = |option, result: io::Result<()>| {
        result.map_err(|error| Error::new(format!("set {option} on"), socket.name(), error))
    };
    set("SO_RCVTIMEO", socket.set_receive_timeout(PATIENCE))?;
    set("SO_SNDTIMEO", socket.set_send_timeout(PATIENCE))
}

/// A failed call; one that waited in vain says for how long.
fn overdue(operation: &str, target: &SocketName, error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::WouldBlock {
        let cause = format!("nothing happened for {PATIENCE:?}");
        return Error::new(operation, target, cause).exiting(Exit::Network);
    }
    Error::new(operation, target, error)
}

fn info_of(stream: &Stream) -> Result<TcpInfo, Error> {
    stream
        .info()
        .map_err(|error| Error::new("read TCP_INFO of", stream.name(), error))
}

fn congestion_of(stream: &Stream) -> Result<String, Error> {
    let mut name = [0; 16];
    let length = kernel::option_bytes(
        stream.as_fd(),
        libc::IPPROTO_TCP,
        libc::TCP_CONGESTION,
        &mut name,
    )
    .map_err(|error| Error::new("read TCP_CONGESTION of", stream.name(), error))?;
    let name = name.get(..length).unwrap_or(&name);
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(length);
    Ok(String::from_utf8_lossy(&name[..end]).into_owned())
}

fn close(what: &str, closed: io::Result<()>) -> Result<(), Error> {
    closed.map_err(|error| Error::new("close", what, error))
}

fn congestion_failure(name: &str, error: io::Error) -> Error {
    const PATH: &str = "/proc/sys/net/ipv4/tcp_available_congestion_control";
    let failure = Error::new("set congestion control", name, error);
    match std::fs::read_to_string(PATH) {
        Ok(names) => failure.remedy(format!("this kernel has: {}", names.trim())),
        Err(_) => failure,
    }
}
