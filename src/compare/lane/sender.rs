//! The client's end: how a message goes in, and how a stream is ended.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use nix::libc;

use super::draft::Draft;
use crate::recorder::Clock;
use crate::socket::{Datagram, Raw, Stream, TcpInfo};

/// The client's end with the message it sends next.
pub(in crate::compare) struct Sender {
    pub(super) socket: Outlet,
    pub(super) draft: Draft,
}

pub(super) enum Outlet {
    Stream(Stream),
    Connected(Datagram),
    Datagram { socket: Datagram, to: SocketAddr },
    Raw { socket: Raw, to: SocketAddr },
}

/// How a stream's end went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::compare) struct Parted {
    /// When the other end had ended it too, on the run's clock; none where it
    /// did not in time.
    pub(in crate::compare) at: Option<Duration>,
    /// What the kernel knows of the connection then.
    pub(in crate::compare) info: TcpInfo,
}

impl Sender {
    /// Sends message `number` of `size` bytes, stamped at the last moment.
    /// Returns when that was, and how many calls it took; a stream that takes
    /// nothing is given up, with `ETIMEDOUT`, when `give_up` says so.
    pub(in crate::compare) fn send(
        &mut self,
        (number, size): (u32, usize),
        clock: Clock,
        give_up: &dyn Fn(Duration) -> bool,
    ) -> io::Result<(Duration, u64)> {
        let Self { socket, draft } = self;
        draft.prepare(number, size);
        let sent_at = clock.now();
        let data = draft.stamp(number, size, sent_at);
        let writes = match socket {
            Outlet::Stream(socket) => send_stream(socket, data, clock, give_up),
            Outlet::Connected(socket) => socket.send(data).map(|_| 1),
            Outlet::Datagram { socket, to } => socket.send_to(data, *to).map(|_| 1),
            Outlet::Raw { socket, to } => socket.send_to(data, *to).map(|_| 1),
        };
        writes.map(|writes| (sent_at, writes))
    }

    /// Whether it sends into a stream.
    pub(in crate::compare) fn is_stream(&self) -> bool {
        matches!(self.socket, Outlet::Stream(_))
    }

    /// Says that nothing more will come, where the kind of socket can.
    pub(in crate::compare) fn finish(&self) -> io::Result<()> {
        match &self.socket {
            Outlet::Stream(socket) => match socket.shutdown(Shutdown::Write) {
                // It was given up before.
                Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
                ended => ended,
            },
            _ => Ok(()),
        }
    }

    /// Waits until the other end has ended a finished stream too, and asks the
    /// kernel how it went; nothing for kinds without a connection. Returns early
    /// when `give_up` says so.
    pub(in crate::compare) fn part(
        self,
        clock: Clock,
        give_up: &dyn Fn(Duration) -> bool,
    ) -> io::Result<Option<Parted>> {
        let Outlet::Stream(socket) = &self.socket else {
            return Ok(None);
        };
        let start = clock.now();
        let at = loop {
            match socket.recv(&mut [0; 512]) {
                Ok(0) => break Some(clock.now()),
                Ok(_) => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                    ) =>
                {
                    if give_up(clock.now().saturating_sub(start)) {
                        break None;
                    }
                }
                Err(_) => break None,
            }
        };
        let info = socket.info()?;
        Ok(Some(Parted { at, info }))
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
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(writes)
}
