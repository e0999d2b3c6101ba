//! What a raw or ICMP socket may see: the kernel's ICMP filter, a socket filter
//! for the identifier, and the sysctl that allows ICMP datagram sockets.

use std::io;
use std::os::fd::AsFd;

use nix::libc;
use pnet::packet::icmp::IcmpTypes;
use pnet::packet::icmpv6::Icmpv6Types;
use socket2::SockFilter;

use super::Terms;
use crate::compare::Mark;
use crate::flow::Family;
use crate::socket::{Raw, kernel};

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
    admit(socket, family, echo_request(family))?;
    let instruction = |code: u32, k: u32, [jt, jf]: [u8; 2]| {
        SockFilter::new(u16::try_from(code).unwrap_or_default(), jt, jf, k)
    };
    // An IPv4 socket sees the IP header, whose length goes into X first
    // (raw(7), `Documentation/networking/filter.rst`).
    let load = match family {
        Family::Ipv4 => vec![
            instruction(libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH, 0, [0, 0]),
            instruction(libc::BPF_LD | libc::BPF_H | libc::BPF_IND, 4, [0, 0]),
        ],
        Family::Ipv6 => vec![instruction(
            libc::BPF_LD | libc::BPF_H | libc::BPF_ABS,
            4,
            [0, 0],
        )],
    };
    let mut program = load;
    program.extend([
        instruction(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            identifier.into(),
            [0, 1],
        ),
        instruction(libc::BPF_RET | libc::BPF_K, u32::MAX, [0, 0]),
        instruction(libc::BPF_RET | libc::BPF_K, 0, [0, 0]),
    ]);
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

/// Sets the kernel's ICMP filter so that only messages of one type
/// reach the socket (`ICMP_FILTER` in raw(7), RFC 3542 section 3.2 for IPv6).
fn admit(socket: &Raw, family: Family, kind: u8) -> io::Result<()> {
    const SOL_RAW: i32 = 255;
    const FILTER: i32 = 1;
    let mut blocked = [0xff_u8; 32];
    blocked[usize::from(kind / 8)] &= !(1 << (kind % 8));
    let (level, mask) = match family {
        // Words of 32 bits in the machine's order; types above 31 always pass,
        // and none of those is sent here.
        Family::Ipv4 => (SOL_RAW, &blocked[..4]),
        Family::Ipv6 => (libc::IPPROTO_ICMPV6, &blocked[..]),
    };
    let words: Vec<u8> = mask
        .chunks_exact(4)
        .flat_map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]).to_ne_bytes())
        .collect();
    socket.set_option(format_args!("ICMP_FILTER, type {kind} only"), |socket| {
        kernel::set_option_bytes(socket.as_fd(), level, FILTER, &words)
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
