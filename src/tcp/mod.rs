//! TCP: the stream socket's demonstration, and the tools that converse with
//! other machines, [`connect`] and [`listen`] (tcp(7), RFC 9293).
//!
//! [`demonstrate`] tells one connection from its listening socket to TIME_WAIT.
//! It makes every call itself, on both ends, so that the story is the same each
//! time; the packets and states between the calls are the kernels' own.

pub(crate) mod bound;
pub mod connect;
mod flow;
pub mod listen;
mod scene;
pub mod seek;
pub mod service;
mod verdict;

use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;

use crate::error::Error;
use crate::flow::{Family, FiveTuple};
use crate::socket::TcpInfo;
use crate::stage::Stage;
use crate::units::nanoseconds;

use flow::Flow;
use scene::{Scene, close, congestion_of, info_of};

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
    /// How long a call may wait: on a lossy link, longer than retransmissions
    /// take that succeed.
    pub timeout: Duration,
}

/// How long a stream may stand still before it is given up.
pub const TIMEOUT: Duration = Duration::from_secs(10);

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
            timeout: TIMEOUT,
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
