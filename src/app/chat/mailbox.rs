//! A datagram socket as tokio waits for it, each call recorded (sendto(2),
//! recvfrom(2)).
//!
//! Never blocks; one datagram a call, and one that was cut says so.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::io::Interest;

use crate::error::Error;
use crate::flow::{Family, Kind};
use crate::recorder::Recorder;
use crate::socket::options::{self, Moment, Role, SocketOption, Target};
use crate::socket::{Datagram, Received};

/// A socket.
pub struct Mailbox {
    socket: Datagram,
    /// The same socket, for tokio to wait on.
    ready: tokio::net::UdpSocket,
}

/// Its address, its name, and what is set before it is bound.
pub(super) struct Place<'a> {
    pub(super) address: SocketAddr,
    pub(super) name: &'static str,
    pub(super) options: &'a [SocketOption],
    pub(super) role: Role,
}

impl Mailbox {
    /// Opens a socket and binds it. Must be called within a runtime.
    pub(super) fn bind(place: &Place<'_>, recorder: &Recorder) -> Result<Self, Error> {
        let mailbox = Self::open(place, recorder)?;
        let address = place.address;
        mailbox
            .socket
            .bind(address)
            .map_err(|error| Error::new("bind", address, error))?;
        Ok(mailbox)
    }

    /// Opens a socket that talks with one address only.
    pub(super) fn connect(place: &Place<'_>, recorder: &Recorder) -> Result<Self, Error> {
        let mailbox = Self::open(place, recorder)?;
        let address = place.address;
        mailbox
            .socket
            .connect(address)
            .map_err(|error| Error::new("connect", address, error))?;
        Ok(mailbox)
    }

    fn open(place: &Place<'_>, recorder: &Recorder) -> Result<Self, Error> {
        let address = place.address;
        let failed = |error: io::Error| Error::new("socket for", address, error);
        let socket = Datagram::open(recorder, place.name, address).map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        if address.ip().is_multicast() && place.role == Role::Listening {
            // Several members of one machine.
            let share = |socket: &socket2::Socket| socket.set_reuse_address(true);
            socket
                .set_option("SO_REUSEADDR, 1", share)
                .map_err(failed)?;
        }
        let target = Target {
            kind: Kind::Udp,
            family: Family::of(address.ip()),
            role: place.role,
        };
        options::apply(place.options, Moment::Opened, target, &socket)?;
        let same = socket.as_fd().try_clone_to_owned().map_err(failed)?;
        let ready = tokio::net::UdpSocket::from_std(UdpSocket::from(same)).map_err(failed)?;
        Ok(Self { socket, ready })
    }

    /// This end's address.
    pub fn local(&self) -> io::Result<SocketAddr> {
        self.socket.local_address()
    }

    /// The next datagram.
    pub(super) async fn receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        let receive = || self.socket.recv_from(buffer);
        self.ready.async_io(Interest::READABLE, receive).await
    }

    /// The next datagram, where one is there already (poll(2)).
    pub(super) fn receive_at_once(&self, buffer: &mut [u8]) -> io::Result<Option<Received>> {
        let mut ready = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ready, PollTimeout::ZERO)? {
            0 => Ok(None),
            _ => self.socket.recv_from(buffer).map(Some),
        }
    }

    /// Sends a datagram to an address.
    pub(super) async fn send_to(&self, bytes: &[u8], address: SocketAddr) -> io::Result<()> {
        let send = || self.socket.send_to(bytes, address);
        self.ready
            .async_io(Interest::WRITABLE, send)
            .await
            .map(drop)
    }

    /// Sends a datagram to the one address that there is.
    pub(super) async fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let send = || self.socket.send(bytes);
        self.ready
            .async_io(Interest::WRITABLE, send)
            .await
            .map(drop)
    }
}
