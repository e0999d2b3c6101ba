//! What we believe of Linux. A kernel that differs is found here, and not in
//! the middle of a demonstration.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::{MsgFlags, recv};
use socklab::event::Silence;
use socklab::flow::TcpState;
use socklab::link::{Config, Link};
use socklab::packet::{LinkType, dissect};
use socklab::recorder::{Clock, Recorder};
use socklab::socket::diag::Diagnosis;
use socklab::socket::{Raw, TcpInfo};

fn pair() -> (TcpStream, TcpStream, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let client = TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
    let (server, _) = listener.accept().expect("accept");
    (client, server, listener)
}

#[test]
fn connect_returns_before_accept_is_called() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let client = TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
    let info = TcpInfo::of(client.as_fd()).expect("TCP_INFO");
    assert_eq!(info.state, TcpState::Established);
    // On a listener `unacked` is the number of connections that wait.
    let queue = TcpInfo::of(listener.as_fd()).expect("TCP_INFO");
    assert_eq!((queue.state, queue.unacked), (TcpState::Listen, 1));
}

#[test]
fn a_kernel_of_this_age_tells_how_many_bytes_were_retransmitted() {
    let (client, ..) = pair();
    let info = TcpInfo::of(client.as_fd()).expect("TCP_INFO");
    assert_eq!(info.bytes_retrans, Some(0));
    assert_eq!(info.bytes_acked, Some(1), "the SYN counts as one");
}

#[test]
fn a_half_closed_connection_still_carries_the_reply() {
    let (mut client, mut server, _) = pair();
    client
        .shutdown(std::net::Shutdown::Write)
        .expect("shutdown");
    let mut nothing = [0; 1];
    assert_eq!(server.read(&mut nothing).expect("end"), 0);
    server.write_all(b"reply").expect("write");
    let mut reply = [0; 5];
    client.read_exact(&mut reply).expect("read");
    assert_eq!(&reply, b"reply");
    // The reply also acknowledged the FIN, whose own ACK may be delayed.
    let state = |stream: &TcpStream| TcpInfo::of(stream.as_fd()).expect("TCP_INFO").state;
    assert_eq!(
        (state(&client), state(&server)),
        (TcpState::FinWait2, TcpState::CloseWait)
    );
}

#[test]
fn sock_diag_sees_time_wait_when_no_descriptor_is_left() {
    let (client, server, _listener) = pair();
    let (local, remote) = (
        client.local_addr().expect("address"),
        server.local_addr().expect("address"),
    );
    drop(client);
    drop(server);
    let mut diagnosis = Diagnosis::open().expect("sock_diag");
    let state = diagnosis.tcp_state(local, remote).expect("an answer");
    assert_eq!(state, TcpState::TimeWait);
}

#[test]
fn msg_trunc_returns_the_length_that_did_not_fit() {
    let receiver = UdpSocket::bind("127.0.0.1:0").expect("bind");
    let sender = UdpSocket::bind("127.0.0.1:0").expect("bind");
    sender
        .send_to(b"0123456789", receiver.local_addr().expect("address"))
        .expect("send");
    let mut buffer = [0; 4];
    let count = recv(receiver.as_raw_fd(), &mut buffer, MsgFlags::MSG_TRUNC).expect("recv");
    assert_eq!((count, &buffer), (10, b"0123"));
    // The tail is gone: nothing is left to read.
    receiver.set_nonblocking(true).expect("O_NONBLOCK");
    let rest = receiver.recv(&mut buffer).expect_err("nothing is left");
    assert_eq!(rest.kind(), ErrorKind::WouldBlock);
}

#[test]
fn only_a_connected_datagram_socket_hears_of_a_closed_port() {
    // Connected to itself it takes nobody else's datagrams, and no other test
    // can get its port.
    let deaf = UdpSocket::bind("127.0.0.1:0").expect("bind");
    let closed = deaf.local_addr().expect("address");
    deaf.connect(closed).expect("connect");
    let unconnected = UdpSocket::bind("127.0.0.1:0").expect("bind");
    unconnected.send_to(b"?", closed).expect("send");
    assert!(unconnected.take_error().expect("SO_ERROR").is_none());
    let connected = UdpSocket::bind("127.0.0.1:0").expect("bind");
    connected.connect(closed).expect("connect");
    connected.send(b"?").expect("the first send succeeds");
    connected
        .set_read_timeout(Some(Duration::from_secs(5)))
        .expect("SO_RCVTIMEO");
    let error = connected.recv(&mut [0; 1]).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_raw_socket_gets_the_ip_header_with_ipv4_and_not_with_ipv6() {
    if !nix::unistd::geteuid().is_root() {
        return support::skipped("raw sockets on a private link", "root");
    }
    let link = Link::build(&Config::default(), Clock::start(), Arc::new(Silence)).expect("a link");
    let client = link.client().addresses();
    for address in [
        SocketAddr::from((link.server().addresses().v4, 0)),
        SocketAddr::from((link.server().addresses().v6, 0)),
    ] {
        let recorder: Recorder = link.client().recorder().clone();
        let socket = link
            .client()
            .run(move || Raw::open(&recorder, "raw", address))
            .expect("a raw socket");
        // Type 8 or 128, identifier 1, sequence number 1. ICMP wants its
        // checksum; ICMPv6's is filled in by the kernel.
        let mut request = [8, 0, 0, 0, 0, 1, 0, 1];
        if address.is_ipv6() {
            request[0] = 128;
        } else {
            let sum = socklab::packet::checksum::checksum(&request);
            request[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        socket.send_to(&request, address).expect("send");
        let mut buffer = [0; 100];
        let reply = socket.recv_from(&mut buffer).expect("the kernel replies");
        let bytes = &buffer[..reply.bytes];
        if address.is_ipv4() {
            let ip = dissect(LinkType::Raw, bytes).ip().expect("an IP header");
            assert_eq!(ip.destination, client.v4);
            assert_eq!(bytes.len(), 28);
        } else {
            assert_eq!((bytes.len(), bytes[0]), (8, 129));
        }
    }
}

#[test]
fn unsharing_a_user_namespace_is_too_late_in_a_second_thread() {
    // The test harness runs each test in a thread of its own, so this process
    // has several.
    let late = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER);
    assert_eq!(late, Err(nix::errno::Errno::EINVAL));
}
