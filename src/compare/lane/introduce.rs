//! What an end says and hears before its first message: where the two ends are
//! on two machines, the server must learn whose messages these are.

use std::io;
use std::time::Duration;

use super::Sender;
use super::sender::Outlet;

impl Sender {
    /// Sends bytes that are no message.
    pub(in crate::compare) fn introduce(&self, bytes: &[u8]) -> io::Result<()> {
        let sent = match &self.socket {
            Outlet::Stream(socket) => socket.send(bytes),
            Outlet::Connected(socket) => socket.send(bytes),
            Outlet::Datagram { socket, to } => socket.send_to(bytes, *to),
            Outlet::Raw { socket, to } => socket.send_to(bytes, *to),
        };
        match sent? {
            sent if sent == bytes.len() => Ok(()),
            _ => Err(io::ErrorKind::WriteZero.into()),
        }
    }

    /// Receives what answers them, of which nothing more is known than that it
    /// came to this socket; `WouldBlock` when nothing came for so long.
    pub(in crate::compare) fn answer(
        &self,
        buffer: &mut [u8],
        within: Duration,
    ) -> io::Result<usize> {
        let receive = |socket: &crate::socket::Datagram, buffer: &mut [u8]| {
            socket.set_receive_timeout(within)?;
            socket.recv_from(buffer).map(|received| received.bytes)
        };
        match &self.socket {
            Outlet::Stream(socket) => socket.recv(buffer),
            Outlet::Connected(socket) | Outlet::Datagram { socket, .. } => receive(socket, buffer),
            Outlet::Raw { socket, .. } => receive(socket, buffer),
        }
    }
}
