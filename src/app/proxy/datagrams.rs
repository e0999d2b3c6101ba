//! A datagram socket of an association's, whose calls are recorded.
//!
//! Owns the socket and waits for it; judges nothing that goes through it
//! (udp(7)).

use std::io;
use std::net::SocketAddr;

use tokio::net::UdpSocket;

use crate::event::SocketName;
use crate::recorder::{Recorder, Returned};

/// A datagram socket whose calls are recorded.
pub(super) struct Socket {
    pub(super) io: UdpSocket,
    name: SocketName,
    recorder: Recorder,
}

impl Socket {
    pub(super) async fn bind(
        address: SocketAddr,
        name: &'static str,
        recorder: &Recorder,
    ) -> io::Result<Self> {
        let name = SocketName::from(name);
        let bound = UdpSocket::bind(address).await;
        let io = recorder.call(&name, "bind", address, || bound, |_| Returned::ZERO)?;
        Ok(Self {
            io,
            name,
            recorder: recorder.clone(),
        })
    }

    pub(super) async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        loop {
            self.io.readable().await?;
            match self.try_receive(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }

    pub(super) fn try_receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let room = buffer.len();
        self.recorder.call(
            &self.name,
            "recvfrom",
            room,
            || self.io.try_recv_from(buffer),
            |(count, from)| Returned::bytes(*count).and(format_args!("from {from}")),
        )
    }

    pub(super) async fn send(&self, data: &[u8], to: SocketAddr) -> io::Result<usize> {
        loop {
            let sent = self.recorder.call(
                &self.name,
                "sendto",
                format_args!("{} bytes, {to}", data.len()),
                || self.io.try_send_to(data, to),
                |count| Returned::bytes(*count),
            );
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.io.writable().await?;
                }
                result => return result,
            }
        }
    }
}
