//! `--packets`: the packets of the conversation, where capture is allowed.
//!
//! Owns on which interfaces they are looked for. Where it is not allowed, one
//! line says so, and the conversation goes on.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use pnet::datalink;

use crate::capture::{Capture, Servers};
use crate::cli::interrupt::left_to_this_thread;
use crate::error::Error;
use crate::event::Place;
use crate::recorder::Recorder;

/// Captures that run until this is dropped, or finished.
#[derive(Default)]
pub(super) struct Packets(Vec<Capture>);

impl Packets {
    /// Watches conversations with these servers, as a client.
    pub(super) fn towards(servers: &[SocketAddr], recorder: &Recorder) -> Self {
        let sources: Vec<IpAddr> = servers.iter().copied().filter_map(source).collect();
        Self::on(&sources, servers, &Servers::default(), recorder)
    }

    /// Opens the door of a server on these addresses, and watches who comes: from
    /// before anybody can know of the door, so that no handshake is missed.
    pub(super) fn of_door<D>(
        own: &[SocketAddr],
        recorder: &Recorder,
        open: impl FnOnce() -> Result<D, Error>,
        addresses: impl FnOnce(&D) -> Vec<SocketAddr>,
    ) -> Result<(D, Self), Error> {
        let servers = Servers::default();
        servers.add(own);
        let hosts: Vec<IpAddr> = own.iter().map(SocketAddr::ip).collect();
        let packets = left_to_this_thread(|| Self::on(&hosts, &[], &servers, recorder));
        let door = open()?;
        // Where the kernel chose the port.
        servers.add(&addresses(&door));
        Ok((door, packets))
    }

    /// Watches conversations with these addresses, as their server.
    pub(super) fn at(own: &[SocketAddr], recorder: &Recorder) -> Self {
        let addresses: Vec<IpAddr> = own.iter().map(SocketAddr::ip).collect();
        Self::on(&addresses, own, &Servers::default(), recorder)
    }

    /// Watches conversations with servers that become known as it goes, by whatever
    /// interface they are reached.
    pub(super) fn of(servers: &Servers, recorder: &Recorder) -> Self {
        let anywhere = [IpAddr::from([0; 4])];
        Self::on(&anywhere, &[], servers, recorder)
    }

    /// Watches every interface that has one of these addresses.
    fn on(
        addresses: &[IpAddr],
        servers: &[SocketAddr],
        others: &Servers,
        recorder: &Recorder,
    ) -> Self {
        let ports: Vec<u16> = servers.iter().map(SocketAddr::port).collect();
        let wire = recorder.at(Place::Wire);
        let mut captures = Vec::new();
        for interface in datalink::interfaces() {
            let mut own = interface.ips.iter();
            let is_used = addresses.iter().any(IpAddr::is_unspecified)
                || own.any(|network| addresses.contains(&network.ip()));
            if !(interface.is_up() && is_used) {
                continue;
            }
            match Capture::start_with(&interface.name, &ports, others, &wire) {
                Ok(capture) => captures.push(capture),
                Err(error) => {
                    // What is not allowed on one is allowed on none.
                    note!("packets are not shown: {error}");
                    break;
                }
            }
        }
        Self(captures)
    }

    /// Shows what has arrived, and says what has not been seen.
    pub(super) fn finish(self) {
        for capture in self.0 {
            match capture.finish() {
                Ok(0) => {}
                Ok(missed) => note!("{missed} packets came too fast to be seen"),
                Err(error) => note!("packets are not shown: {error}"),
            }
        }
    }
}

/// The address that the kernel would send from (connect(2) on a datagram socket
/// sends nothing).
fn source(server: SocketAddr) -> Option<IpAddr> {
    let any = if server.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(server).ok()?;
    Some(socket.local_addr().ok()?.ip())
}
