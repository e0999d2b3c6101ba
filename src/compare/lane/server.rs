//! The server's end, until messages can come in: bind(2), listen(2), accept(2).

use std::io;
use std::net::SocketAddr;

use super::receiver::Receiver;
use super::{Failure, GLANCE, Terms, filter, overdue};
use crate::compare::{Identity, Mark};
use crate::socket::{Datagram, Listener, Raw, Stream, bind_failure};
use crate::stage::Seat;

/// A server's end that waits for its client.
pub(in crate::compare) struct Server {
    terms: Terms,
    identity: Identity,
    waiting: Waiting,
}

enum Waiting {
    Stream(Listener),
    Ready(Receiver),
}

impl Server {
    /// Opens the server's end alone, at the address that the terms give it.
    /// A port of 0 is one that the kernel chooses: [`Server::identity`] tells.
    pub(in crate::compare) fn open(seat: Seat<'_>, terms: &Terms) -> Result<Self, Failure> {
        let (waiting, address) = match terms.mark {
            Mark::Tcp(_) => open_stream(seat, terms)?,
            Mark::Udp(_) => open_datagram(seat, terms)?,
            Mark::Echo(_) | Mark::Protocol(_) => (open_raw(seat, terms)?, terms.server),
        };
        Ok(Self {
            terms: *terms,
            identity: Identity {
                address: address.ip(),
                port: terms.mark.port().map(|_| address.port()),
            },
            waiting,
        })
    }

    /// Where it receives.
    pub(in crate::compare) fn identity(&self) -> Identity {
        self.identity
    }

    /// Waits for the client's connection, where there are connections, as long
    /// as the terms allow.
    pub(in crate::compare) fn accept(self) -> Result<Receiver, Failure> {
        let terms = self.terms;
        let listener = match self.waiting {
            Waiting::Ready(receiver) => return Ok(receiver),
            Waiting::Stream(listener) => listener,
        };
        let connection =
            accept(&listener, terms).map_err(|error| overdue("accept on", terms.server, error))?;
        // No end waits for ever: each looks now and then whether it still should.
        connection
            .set_receive_timeout(GLANCE)
            .map_err(|error| terms.opening(error))?;
        Ok(Receiver::Stream(connection))
    }
}

fn name(terms: &Terms, role: &str) -> String {
    format!("{} {role}", terms.variant)
}

fn open_stream(seat: Seat<'_>, terms: &Terms) -> Result<(Waiting, SocketAddr), Failure> {
    let opening = |error: io::Error| terms.opening(error);
    let (recorder, address) = (seat.recorder().clone(), terms.server);
    let name = name(terms, "listener");
    let listener = seat
        .run(move || Listener::open(&recorder, name, address))
        .map_err(opening)?;
    listener
        .set_option("SO_REUSEADDR, 1", |socket| socket.set_reuse_address(true))
        .map_err(opening)?;
    listener
        .bind(address)
        .map_err(|error| bind_failure(address, error))?;
    listener.listen(1).map_err(opening)?;
    listener
        .set_receive_timeout(terms.timeout)
        .map_err(opening)?;
    let bound = listener.local_address().map_err(opening)?;
    Ok((Waiting::Stream(listener), bound))
}

/// `accept()`, again after a signal: with a time-out it is not restarted.
fn accept(listener: &Listener, terms: Terms) -> io::Result<Stream> {
    loop {
        match listener.accept(name(&terms, "connection")) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            accepted => return accepted.map(|(connection, _)| connection),
        }
    }
}

fn open_datagram(seat: Seat<'_>, terms: &Terms) -> Result<(Waiting, SocketAddr), Failure> {
    let opening = |error: io::Error| terms.opening(error);
    let (recorder, address) = (seat.recorder().clone(), terms.server);
    let name = name(terms, "server");
    let socket = seat
        .run(move || Datagram::open(&recorder, name, address))
        .map_err(opening)?;
    socket
        .bind(address)
        .map_err(|error| bind_failure(address, error))?;
    socket.set_receive_timeout(GLANCE).map_err(opening)?;
    let bound = socket.local_address().map_err(opening)?;
    Ok((Waiting::Ready(Receiver::Datagram(socket)), bound))
}

fn open_raw(seat: Seat<'_>, terms: &Terms) -> Result<Waiting, Failure> {
    let opening = |error: io::Error| terms.opening(error);
    let (recorder, address) = (seat.recorder().clone(), terms.server);
    let (name, protocol) = (name(terms, "server"), filter::protocol(terms));
    let socket = seat
        .run(move || Raw::open_for(&recorder, name, address, protocol))
        .map_err(|error| terms.opening_raw(error))?;
    if let Mark::Echo(identifier) = terms.mark {
        filter::admit_echoes(&socket, terms.family(), identifier).map_err(opening)?;
    }
    socket.set_receive_timeout(GLANCE).map_err(opening)?;
    Ok(Waiting::Ready(Receiver::Raw {
        socket,
        family: terms.family(),
        mark: terms.mark,
    }))
}
