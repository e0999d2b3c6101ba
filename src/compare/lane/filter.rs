//! What a raw or ICMP socket may see: the kernel's ICMP filter, a socket filter
//! for the identifier, and the sysctl that allows ICMP datagram sockets.

use std::io;

use nix::libc;
use pnet::packet::icmp::IcmpTypes;
use pnet::packet::icmpv6::Icmpv6Types;
use socket2::SockFilter;

use super::Terms;
use crate::compare::Mark;
use crate::flow::Family;
use crate::socket::Raw;
use crate::socket::icmp::{self, Identifiers};

/// The ICMP or ICMPv6 type of an echo request.
pub(super) fn echo_request(family: Family) -> u8 {
    match family {
        Family::Ipv4 => IcmpTypes::EchoRequest.0,
        Family::Ipv6 => Icmpv6Types::EchoRequest.0,
    }
}

/// The IP protocol that a raw socket of these terms is opened for.
pub(super) fn protocol(terms: &Terms) -> u8 {
    match (terms.mark, terms.family()) {
        (Mark::Protocol(number), _) => number,
        (_, Family::Ipv4) => 1,
        (_, Family::Ipv6) => 58,
    }
}

/// Lets only echo requests with this identifier into the socket's buffer, so
/// that what it drops were messages of this lane.
pub(super) fn admit_echoes(socket: &Raw, family: Family, identifier: u16) -> io::Result<()> {
    let echo = echo_request(family);
    socket.set_option(format_args!("ICMP_FILTER, type {echo} only"), |socket| {
        icmp::admit_types(socket, family, &[echo])
    })?;
    let program = icmp::admit_identifiers(family, echo, Identifiers::around(identifier, 0));
    socket.set_option(
        format_args!("SO_ATTACH_FILTER, echo identifier {identifier}"),
        |socket| socket.attach_filter(&program),
    )
}

/// Lets nothing into the socket's buffer: it only sends.
pub(super) fn admit_nothing(socket: &Raw) -> io::Result<()> {
    let nothing = [SockFilter::new(
        u16::try_from(libc::BPF_RET | libc::BPF_K).unwrap_or_default(),
        0,
        0,
        0,
    )];
    socket.set_option("SO_ATTACH_FILTER, nothing", |socket| {
        socket.attach_filter(&nothing)
    })
}

/// Lets every group of the calling thread's own network namespace open ICMP
/// datagram sockets, or at least this process's own (icmp(7)). Where neither
/// may be written, opening one will say so.
pub(super) fn allow_pings() {
    const RANGE: &str = "/proc/sys/net/ipv4/ping_group_range";
    let own = nix::unistd::getegid();
    let _ = std::fs::write(RANGE, "0 2147483647")
        .or_else(|_| std::fs::write(RANGE, format!("{own} {own}")));
}
