//! The datagram socket's demonstration (udp(7), RFC 768): datagrams with their
//! own addresses, boundaries, fragments, truncation, and the closed port.
//!
//! Every receive has a time-out, so that a lost datagram is a result and not a
//! hang.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;

use crate::error::{Error, errno_name};
use crate::event::{Arrival, Delivery, Place, Topic, What};
use crate::flow::Family;
use crate::flow::Kind;
use crate::socket::{Datagram, Received, bind_failure};
use crate::stage::{Seat, Stage};

/// What to demonstrate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// IPv4 or IPv6.
    pub family: Family,
    /// The server's port; the port after it must be closed.
    pub port: u16,
    /// Datagrams, one after another.
    pub messages: Vec<String>,
    /// Length of the larger datagram's payload in bytes; 0 leaves it out.
    pub size: usize,
    /// How long a receive waits before the datagram counts as lost.
    pub patience: Duration,
    /// How the messages follow each other.
    pub pace: Pace,
}

/// How datagrams that need not wait for each other follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pace {
    /// Each when the one before has arrived, so that the story reads in order.
    #[default]
    OneByOne,
    /// At once, so that a link may put them in another order.
    AtOnce,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            family: Family::Ipv4,
            port: crate::DEFAULT_PORT,
            messages: ["one", "two", "three"].map(String::from).into(),
            size: 4000,
            patience: Duration::from_secs(1),
            pace: Pace::default(),
        }
    }
}

/// The largest payload of a UDP datagram over IPv4: 65,535 bytes less the IP
/// and UDP headers.
pub const LARGEST: usize = 65_507;

/// What came of it, as the two programs saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The server's address.
    pub server: SocketAddr,
    /// The client's address, as the server read it off the datagrams.
    pub client: SocketAddr,
    /// Each datagram, in the order of sending.
    pub datagrams: Vec<Row>,
    /// The address that nobody listened on.
    pub closed: SocketAddr,
    /// The address of the socket that was connected to it: connecting chose it.
    pub connected: SocketAddr,
    /// What the unconnected socket heard of the closed port; `None` is nothing.
    pub unconnected_error: Option<String>,
    /// What the connected socket heard of it.
    pub connected_error: Option<String>,
}

/// One datagram.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its number, from 1.
    pub number: u64,
    /// What it shows.
    pub purpose: &'static str,
    /// Payload bytes sent.
    #[serde(rename = "sent_bytes")]
    pub sent: usize,
    /// What the receiving program got.
    #[serde(flatten)]
    pub arrival: Arrival,
}

/// Plays the demonstration on `stage`.
pub fn demonstrate(config: &Config, stage: &Stage) -> Result<Outcome, Error> {
    let address = stage.server().address(config.family, config.port);
    note(
        stage,
        "Two sockets, no connection. The server's has an address; nobody listens or accepts.",
    );
    let server = open(stage.server(), "server", address)?;
    server
        .bind(address)
        .map_err(|error| bind_failure(address, error))?;
    let client = open(stage.client(), "client", address)?;
    for socket in [&server, &client] {
        patience(socket, config.patience)?;
    }
    let mut scene = Scene {
        stage,
        client,
        server,
        address,
        rows: Vec::new(),
        from: None,
        given_up: 0,
    };
    scene.boundaries(&config.messages, config.pace)?;
    scene.empty()?;
    scene.fragments(config.size)?;
    scene.truncation()?;
    let closed = SocketAddr::new(address.ip(), closed_port(config.port));
    let unconnected_error = scene.closed_port_unconnected(closed)?;
    let (connected, connected_error) = closed_port_connected(stage, closed, config.patience)?;
    let (server, client, datagrams) = scene.finish()?;
    Ok(Outcome {
        server,
        client,
        datagrams,
        closed,
        connected,
        unconnected_error,
        connected_error,
    })
}

/// How many of the messages may be on their way at once.
fn batch(messages: &[String]) -> usize {
    const MOST: usize = 16;
    const BYTES: usize = 32 << 10;
    let mut bytes = 0;
    let fitting = messages.iter().take(MOST).take_while(|message| {
        bytes += message.len();
        bytes <= BYTES
    });
    fitting.count().max(1)
}

fn closed_port(port: u16) -> u16 {
    port.checked_add(1).unwrap_or(port - 1)
}

struct Scene<'a> {
    stage: &'a Stage,
    client: Datagram,
    server: Datagram,
    address: SocketAddr,
    /// Each with what was sent.
    rows: Vec<(Row, Vec<u8>)>,
    from: Option<SocketAddr>,
    /// So many rows have had their time.
    given_up: usize,
}

impl Scene<'_> {
    fn boundaries(&mut self, messages: &[String], pace: Pace) -> Result<(), Error> {
        if messages.is_empty() {
            return Ok(());
        }
        note(
            self.stage,
            match messages.len() {
                1 => "One send, one receive: a datagram keeps its boundaries and addresses.".into(),
                count => format!(
                    "{count} sends, one receive for each: datagrams keep boundaries and addresses."
                ),
            },
        );
        // As many at once as any receive buffer holds.
        let mut rest = messages;
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(batch(rest));
            for message in batch {
                self.send("boundaries", message.as_bytes())?;
                if pace == Pace::OneByOne {
                    self.stage.settle()?;
                }
            }
            self.stage.settle()?;
            self.receive(&mut vec![0; LARGEST])?;
            rest = later;
        }
        Ok(())
    }

    fn empty(&mut self) -> Result<(), Error> {
        note(
            self.stage,
            "An empty datagram is a datagram: recvfrom() returns 0, and nothing has ended.",
        );
        self.send("empty", b"")?;
        self.stage.settle()?;
        self.receive(&mut [0; 64])
    }

    fn fragments(&mut self, size: usize) -> Result<(), Error> {
        if size == 0 {
            return Ok(());
        }
        note(
            self.stage,
            format_args!(
                "{size} bytes in one datagram. What exceeds the MTU crosses the wire as IP fragments."
            ),
        );
        let data: Vec<u8> = (b'a'..=b'z').cycle().take(size).collect();
        self.send("large", &data)?;
        self.stage.settle()?;
        self.receive(&mut vec![0; LARGEST])
    }

    fn truncation(&mut self) -> Result<(), Error> {
        note(
            self.stage,
            "A datagram longer than the receiver's buffer loses its tail; MSG_TRUNC tells.",
        );
        self.send("truncated", b"one that does not fit")?;
        self.stage.settle()?;
        self.receive(&mut [0; 10])
    }

    fn closed_port_unconnected(&mut self, closed: SocketAddr) -> Result<Option<String>, Error> {
        note(
            self.stage,
            "To a closed port: the server's kernel answers with ICMP. An unconnected socket hears nothing.",
        );
        self.client
            .send_to(b"anybody?", closed)
            .map_err(|error| Error::new("sendto", closed, error))?;
        self.stage.settle()?;
        // The echo comes back on the same wire after the ICMP error, so that
        // when it is here the error has been here too.
        self.send("to the open port", b"still there?")?;
        self.stage.settle()?;
        self.receive(&mut [0; 64])?;
        let from = self.from.unwrap_or(self.address);
        self.server
            .send_to(b"yes", from)
            .map_err(|error| Error::new("sendto", from, error))?;
        self.stage.settle()?;
        let heard = match self.client.recv_from(&mut [0; 64]) {
            Ok(_) => None,
            Err(error) if is_timeout(&error) => None,
            Err(error) => Some(errno_name(&error)),
        };
        Ok(heard)
    }

    fn send(&mut self, purpose: &'static str, data: &[u8]) -> Result<(), Error> {
        self.client
            .send_to(data, self.address)
            .map_err(|error| send_failure(self.address, data.len(), error))?;
        let row = Row {
            number: self.rows.len() as u64 + 1,
            purpose,
            sent: data.len(),
            arrival: Arrival::Lost,
        };
        self.rows.push((row, data.to_vec()));
        Ok(())
    }

    /// Receives until every datagram that was sent is there, or nothing more
    /// comes.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        // What was waited for in vain is not waited for again.
        while self.rows[self.given_up..]
            .iter()
            .any(|(row, _)| row.arrival == Arrival::Lost)
        {
            match self.server.recv_from(buffer) {
                Ok(received) => self.judge(&received, &buffer[..received.bytes]),
                Err(error) if is_timeout(&error) => {
                    self.given_up = self.rows.len();
                    break;
                }
                Err(error) => return Err(Error::new("recvfrom on", self.address, error)),
            }
        }
        Ok(())
    }

    /// Finds by its content which datagram it is: what was sent later may come
    /// while an earlier one is lost, and one may come twice.
    fn judge(&mut self, received: &Received, data: &[u8]) {
        let is_same = |sent: &[u8]| received.length == sent.len() && sent.starts_with(data);
        let same = |(row, sent): &(Row, Vec<u8>)| is_same(sent).then_some(row.arrival);
        let open = |entry: &(Row, Vec<u8>)| same(entry) == Some(Arrival::Lost);
        let known = |entry: &(Row, Vec<u8>)| same(entry).is_some();
        let first = self.rows.iter().position(open);
        let is_copy = first.is_none();
        // A datagram of somebody else's is not ours to judge.
        let Some(index) = first.or_else(|| self.rows.iter().position(known)) else {
            return;
        };
        self.from = Some(received.from);
        let is_late = self.rows[index..]
            .iter()
            .any(|(row, _)| row.arrival != Arrival::Lost);
        let row = &mut self.rows[index].0;
        let bytes = received.bytes;
        let arrival = match () {
            () if is_copy => Arrival::Duplicate,
            () if received.is_truncated() => Arrival::Truncated {
                bytes,
                sent: received.length,
            },
            () if is_late => Arrival::OutOfOrder { bytes },
            () => Arrival::Delivered { bytes },
        };
        if !is_copy {
            row.arrival = arrival;
        }
        let number = row.number;
        let recorder = self.stage.server().recorder();
        if recorder.wants(Topic::Delivery) {
            let delivery = Delivery {
                kind: Kind::Udp,
                variant: None,
                number,
                arrival,
                latency: None,
            };
            recorder.record(recorder.clock().now(), What::Delivery(delivery));
        }
    }

    fn finish(self) -> Result<(SocketAddr, SocketAddr, Vec<Row>), Error> {
        let local = self.client.local_address();
        let client = self
            .from
            .map_or_else(|| local, Ok)
            .map_err(|error| Error::new("getsockname of", "client", error))?;
        for socket in [self.client, self.server] {
            socket
                .close()
                .map_err(|error| Error::new("close", "a datagram socket", error))?;
        }
        let rows = self.rows.into_iter().map(|(row, _)| row).collect();
        Ok((self.address, client, rows))
    }
}

fn closed_port_connected(
    stage: &Stage,
    closed: SocketAddr,
    wait: Duration,
) -> Result<(SocketAddr, Option<String>), Error> {
    note(
        stage,
        "A connected socket hears of it: its next call returns ECONNREFUSED.",
    );
    let socket = open(stage.client(), "connected", closed)?;
    patience(&socket, wait)?;
    socket
        .connect(closed)
        .map_err(|error| Error::new("connect", closed, error))?;
    let local = socket
        .local_address()
        .map_err(|error| Error::new("getsockname of", "connected", error))?;
    socket
        .send(b"anybody?")
        .map_err(|error| Error::new("send", closed, error))?;
    stage.settle()?;
    let heard = match socket.recv_from(&mut [0; 64]) {
        Ok(_) => None,
        Err(error) if is_timeout(&error) => None,
        Err(error) => Some(errno_name(&error)),
    };
    socket
        .close()
        .map_err(|error| Error::new("close", "connected", error))?;
    Ok((local, heard))
}

fn open(seat: Seat<'_>, name: &'static str, address: SocketAddr) -> Result<Datagram, Error> {
    let recorder = seat.recorder().clone();
    seat.run(move || Datagram::open(&recorder, name, address))
        .map_err(|error| Error::new("open a datagram socket for", address, error))
}

fn patience(socket: &Datagram, wait: Duration) -> Result<(), Error> {
    socket
        .set_receive_timeout(wait)
        .map_err(|error| Error::new("set SO_RCVTIMEO on", socket.name(), error))
}

fn note(stage: &Stage, text: impl Display) {
    stage.client().recorder().at(Place::Wire).note(text);
}

fn is_timeout(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

fn send_failure(address: SocketAddr, length: usize, error: io::Error) -> Error {
    let too_long = error.raw_os_error() == Some(nix::libc::EMSGSIZE);
    let failure = Error::new(format!("sendto ({length} bytes)"), address, error);
    if too_long {
        failure.remedy(format!(
            "a datagram carries at most {LARGEST} bytes over IPv4; try a smaller --size"
        ))
    } else {
        failure
    }
}
