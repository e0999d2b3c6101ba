//! The scenes of the demonstration, one a chapter of its ladder: each makes its
//! calls, lets the packets arrive, and says in one sentence what is to be seen.

use std::fmt::Display;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::libc;

use super::flow::{
    Ends, Flow, Tally, overdue, read_to_end, receive_patience, send_patience, transfer,
};
use super::{Config, Nagle};
use crate::error::Error;
use crate::event::Place;
use crate::flow::{FiveTuple, Kind};
use crate::socket::{Listener, Stream, TcpInfo, bind_failure, kernel};
use crate::stage::Stage;

/// The reply that the server sends after the client's half-close.
const REPLY: &[u8] = b"all received";

/// What the larger write repeats: printable, so that a hex dump shows it.
const PATTERN: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-+";

pub(super) struct Scene<'a> {
    pub(super) config: &'a Config,
    pub(super) stage: &'a Stage,
}

impl Scene<'_> {
    pub(super) fn listen(&self) -> Result<(Listener, SocketAddr), Error> {
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
        receive_patience(&listener, self.config.timeout)?;
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

    pub(super) fn connect(&self, address: SocketAddr) -> Result<(Stream, Duration), Error> {
        self.note("Three-way handshake: connect() returns when the server's SYN has come.");
        let seat = self.stage.client();
        let recorder = seat.recorder().clone();
        let client = seat
            .run(move || Stream::open(&recorder, "client", address))
            .map_err(|error| Error::new("open a stream socket for", address, error))?;
        receive_patience(&client, self.config.timeout)?;
        send_patience(&client, self.config.timeout)?;
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
            .map_err(|error| overdue("connect", address, error))?;
        Ok((client, clock.now().saturating_sub(before)))
    }

    pub(super) fn accept(&self, listener: &Listener, client: SocketAddr) -> Result<Stream, Error> {
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

    pub(super) fn five_tuple(stream: &Stream) -> Result<FiveTuple, Error> {
        let named = |error| Error::new("name the ends of", stream.name(), error);
        Ok(FiveTuple {
            protocol: Kind::Tcp,
            local: stream.local_address().map_err(named)?,
            remote: stream.peer_address().map_err(named)?,
        })
    }

    pub(super) fn small_writes(
        &self,
        (client, connection): Ends<'_>,
        flow: &mut Flow,
    ) -> Result<(), Error> {
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
        transfer(self.stage, (client, connection), &messages, flow)?;
        self.note(format_args!(
            "{writes} became {} and {}.",
            counted((segments(info_of(client)?) - before).into(), "segment"),
            counted(flow.received.calls - reads, "read"),
        ));
        Ok(())
    }

    pub(super) fn large_write(&self, ends: Ends<'_>, flow: &mut Flow) -> Result<(), Error> {
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
        transfer(self.stage, ends, &[&data], flow)
    }

    pub(super) fn half_close(
        &self,
        (client, connection): Ends<'_>,
        flow: &mut Flow,
    ) -> Result<(), Error> {
        self.note("Half-close: the client has said all, and can still listen.");
        client
            .shutdown(Shutdown::Write)
            .map_err(|error| Error::new("shutdown", client.name(), error))?;
        self.stage.settle()?;
        read_to_end(connection, &mut flow.received)
    }

    pub(super) fn reply(
        &self,
        (connection, client): Ends<'_>,
        flow: &mut Flow,
    ) -> Result<(), Error> {
        self.note("The reply still arrives.");
        transfer(self.stage, (connection, client), &[REPLY], flow)
    }

    pub(super) fn close(&self, client: Stream, connection: Stream) -> Result<(), Error> {
        self.note("The server closes too. The end that closed first waits in TIME_WAIT.");
        close("connection", connection.close())?;
        self.stage.settle()?;
        read_to_end(&client, &mut Tally::default())?;
        close("client", client.close())
    }

    /// Lets the packets arrive before the next call, so that the story reads in
    /// order, and asks both kernels where no wire does.
    pub(super) fn pause(&self, connection: FiveTuple) -> Result<(), Error> {
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

pub(super) fn info_of(stream: &Stream) -> Result<TcpInfo, Error> {
    stream
        .info()
        .map_err(|error| Error::new("read TCP_INFO of", stream.name(), error))
}

pub(super) fn congestion_of(stream: &Stream) -> Result<String, Error> {
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

pub(super) fn close(what: &str, closed: io::Result<()>) -> Result<(), Error> {
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
