//! The kernel's own view of any TCP connection, by its five-tuple (sock_diag(7)).
//!
//! This sees what `TCP_INFO` on a descriptor cannot: SYN_RECV before `accept()`,
//! and LAST_ACK and TIME_WAIT after `close()`. It asks for one connection by
//! name, which costs microseconds, and never dumps the table. `TCP_INFO` comes
//! along where it is asked for.

use std::io;
use std::net::{IpAddr, SocketAddr};

use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::nlas::Nla;
use netlink_packet_sock_diag::inet::{
    ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags,
};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use netlink_sys::{Socket, SocketAddr as NetlinkAddress};
use nix::libc;

use super::tcp_info::TcpInfo;
use crate::flow::TcpState;

/// A question line to the network namespace it was opened in; it may be used
/// from any thread.
pub struct Diagnosis {
    socket: Socket,
    reply: Vec<u8>,
}

impl Diagnosis {
    /// Opens the line in the calling thread's network namespace.
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
        socket.bind_auto()?;
        socket.connect(&NetlinkAddress::new(0, 0))?;
        Ok(Self {
            socket,
            reply: Vec::with_capacity(4096),
        })
    }

    /// The state of the connection `local` → `remote` in this namespace.
    /// CLOSED where the kernel knows no such connection, a listener on the same
    /// address included.
    pub fn tcp_state(&mut self, local: SocketAddr, remote: SocketAddr) -> io::Result<TcpState> {
        let response = self.ask(local, remote, ExtensionFlags::empty())?;
        Ok(state_in(response.as_deref()))
    }

    /// The same with its `TCP_INFO`. A connection that the kernel keeps in a
    /// smaller form has none: SYN_RECV before it is established, TIME_WAIT.
    pub fn tcp_info(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> io::Result<(TcpState, Option<TcpInfo>)> {
        let response = self.ask(local, remote, ExtensionFlags::INFO)?;
        let state = state_in(response.as_deref());
        let info = response
            .filter(|_| state != TcpState::Closed)
            .and_then(|response| {
                let mut attributes = response.nlas.iter();
                attributes.find_map(|attribute| match attribute {
                    Nla::TcpInfo(bytes) => TcpInfo::parse(bytes),
                    _ => None,
                })
            });
        Ok((state, info))
    }

    /// What the kernel answers about a connection; `None` where it knows none.
    fn ask(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
        extensions: ExtensionFlags,
    ) -> io::Result<Option<Box<InetResponse>>> {
        self.socket.send(&request(local, remote, extensions), 0)?;
        self.reply.clear();
        self.socket.recv(&mut self.reply, 0)?;
        let answer = NetlinkMessage::<SockDiagMessage>::deserialize(&self.reply)
            .map_err(io::Error::other)?;
        match answer.payload {
            NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => {
                Ok(Some(response))
            }
            NetlinkPayload::Error(error) => {
                let error = error.to_io();
                match error.raw_os_error() {
                    Some(libc::ENOENT) => Ok(None),
                    _ => Err(error),
                }
            }
            other => Err(io::Error::other(format!("sock_diag answered {other:?}"))),
        }
    }
}

/// A listener on the same address is not the connection.
fn state_in(response: Option<&InetResponse>) -> TcpState {
    let state = response.map(|response| TcpState::from_linux(response.header.state));
    match state {
        None | Some(TcpState::Listen) => TcpState::Closed,
        Some(state) => state,
    }
}

fn request(local: SocketAddr, remote: SocketAddr, extensions: ExtensionFlags) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    let question = InetRequest {
        family: match local.ip() {
            IpAddr::V4(_) => AF_INET,
            IpAddr::V6(_) => AF_INET6,
        },
        protocol: IPPROTO_TCP,
        extensions,
        states: StateFlags::all(),
        socket_id: SocketId {
            source_port: local.port(),
            destination_port: remote.port(),
            source_address: local.ip(),
            destination_address: remote.ip(),
            interface_id: 0,
            cookie: [0xff; 8],
        },
    };
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(question).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::CongestionState;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    #[test]
    fn sees_a_connection_by_its_addresses_alone() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind on loopback");
        let address = listener.local_addr().expect("its address");
        let client = TcpStream::connect(address).expect("connect");
        let local = client.local_addr().expect("its address");
        let mut diagnosis = Diagnosis::open().expect("a netlink socket");
        assert_eq!(
            diagnosis.tcp_state(local, address).expect("an answer"),
            TcpState::Established
        );
        // The same figures as the descriptor's own, given that nothing happens.
        let (state, info) = diagnosis.tcp_info(local, address).expect("an answer");
        let own = TcpInfo::of(client.as_fd()).expect("TCP_INFO");
        let info = info.expect("an established connection has it");
        assert_eq!((state, info.state), (TcpState::Established, state));
        assert_eq!(info.congestion_window, own.congestion_window);
        assert_eq!(info.congestion_state, CongestionState::Open);
        assert_eq!(info.retransmission_timeout, own.retransmission_timeout);
        assert_eq!((info.in_flight(), info.not_sent), (0, own.not_sent));
        drop(listener);
        drop(client);
        let nobody = "127.0.0.1:9".parse().expect("an address");
        assert_eq!(
            diagnosis.tcp_state(nobody, nobody).expect("an answer"),
            TcpState::Closed
        );
    }
}
