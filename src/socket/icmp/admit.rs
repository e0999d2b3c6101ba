//! What a raw ICMP socket lets in: the kernel's ICMP filter by type (`raw(7)`,
//! RFC 3542 section 3.2), and a socket filter by identifier
//! (`Documentation/networking/filter.rst`).
//!
//! Owns both filters, so that other processes' replies never wake us. What is
//! in the error queue passes neither.

use std::io;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::libc;
use socket2::{SockFilter, Socket};

use super::batch::Incoming;
use super::{IcmpSocket, Identifiers};
use crate::event::EchoSocket;
use crate::flow::Family;
use crate::socket::kernel::set_option_bytes;

/// `ICMP_FILTER` and `ICMP6_FILTER`: the same number at two levels.
const FILTER: i32 = 1;
const ECHO_REPLY_V6: u8 = 129;
const REDIRECT_V6: u8 = 137;
/// The next header that is a fragment's.
const FRAGMENT: u32 = 44;
/// Echo replies, and what tells of a request but is never in the error queue:
/// source quench and redirects.
const ALWAYS: (&[u8], &[u8]) = (&[0, 4, 5], &[ECHO_REPLY_V6, REDIRECT_V6]);
/// The errors of RFC 792 and RFC 4443 besides.
const ERRORS: (&[u8], &[u8]) = (
    &[0, 3, 4, 5, 11, 12],
    &[1, 2, 3, 4, ECHO_REPLY_V6, REDIRECT_V6],
);

impl IcmpSocket {
    /// Lets whole ICMP errors in as messages, besides what the error queue tells
    /// of them; only raw sockets can (`ENOPROTOOPT`).
    pub fn admit_errors(&self) -> io::Result<()> {
        match self.kind {
            EchoSocket::Raw => admit_types(&self.socket, self.family, ERRORS),
            EchoSocket::Datagram => Err(Errno::ENOPROTOOPT.into()),
        }
    }
}

/// Sets both filters on a raw socket and throws away what came before.
pub(super) fn admit(socket: &Socket, family: Family, ours: Identifiers) -> io::Result<()> {
    admit_types(socket, family, ALWAYS)?;
    socket.attach_filter(&program(family, ours))?;
    let mut before = Incoming::new(16, 64);
    while before.receive(socket.as_fd(), 0)? > 0 {}
    Ok(())
}

/// A set bit keeps a type out.
fn admit_types(socket: &Socket, family: Family, types: (&[u8], &[u8])) -> io::Result<()> {
    let (level, words, types) = match family {
        Family::Ipv4 => (libc::SOL_RAW, 1, types.0),
        Family::Ipv6 => (libc::IPPROTO_ICMPV6, 8, types.1),
    };
    let mut kept_out = vec![u32::MAX; words];
    for kind in types {
        kept_out[usize::from(kind / 32)] &= !(1 << (kind % 32));
    }
    let bytes: Vec<u8> = kept_out.into_iter().flat_map(u32::to_ne_bytes).collect();
    set_option_bytes(socket.as_fd(), level, FILTER, &bytes)
}

/// Passes replies with an identifier of ours and messages that quote a request
/// with one. A load beyond the packet's end refuses it.
fn program(family: Family, ours: Identifiers) -> Vec<SockFilter> {
    use libc::{BPF_ABS, BPF_B, BPF_H, BPF_IND, BPF_K, BPF_LD, BPF_MISC, BPF_RET, BPF_TAX};
    use libc::{
        BPF_ADD, BPF_ALU, BPF_AND, BPF_JA, BPF_JEQ, BPF_JMP, BPF_LDX, BPF_LSH, BPF_MSH, BPF_X,
    };
    let step = |code: u32, k: u32| jump(code, k, [0, 0]);
    let mut program = match family {
        // The IPv4 header's length in X, then the type.
        Family::Ipv4 => vec![
            step(BPF_LDX | BPF_B | BPF_MSH, 0),
            step(BPF_LD | BPF_B | BPF_IND, 0),
            jump(BPF_JMP | BPF_JEQ | BPF_K, 0, [7, 0]),
            // An error: X over the quoted IPv4 header as well.
            step(BPF_LD | BPF_B | BPF_IND, 8),
            step(BPF_ALU | BPF_AND | BPF_K, 0xf),
            step(BPF_ALU | BPF_LSH | BPF_K, 2),
            step(BPF_ALU | BPF_ADD | BPF_X, 0),
            step(BPF_MISC | BPF_TAX, 0),
            step(BPF_LD | BPF_H | BPF_IND, 8 + 4),
            step(BPF_JMP | BPF_JA, 1),
            step(BPF_LD | BPF_H | BPF_IND, 4),
        ],
        // A redirect quotes behind options of any length: let it in.
        Family::Ipv6 => vec![
            step(BPF_LD | BPF_B | BPF_ABS, 0),
            jump(BPF_JMP | BPF_JEQ | BPF_K, ECHO_REPLY_V6.into(), [7, 0]),
            jump(BPF_JMP | BPF_JEQ | BPF_K, REDIRECT_V6.into(), [9, 0]),
            // The quoted packet may be a first fragment, whose header comes
            // before the request.
            step(BPF_LD | BPF_B | BPF_ABS, 8 + 6),
            jump(BPF_JMP | BPF_JEQ | BPF_K, FRAGMENT, [0, 2]),
            step(BPF_LD | BPF_H | BPF_ABS, 8 + 40 + 8 + 4),
            step(BPF_JMP | BPF_JA, 3),
            step(BPF_LD | BPF_H | BPF_ABS, 8 + 40 + 4),
            step(BPF_JMP | BPF_JA, 1),
            step(BPF_LD | BPF_H | BPF_ABS, 4),
        ],
    };
    program.extend([
        step(BPF_ALU | BPF_AND | BPF_K, ours.mask().into()),
        jump(BPF_JMP | BPF_JEQ | BPF_K, ours.first().into(), [0, 1]),
        step(BPF_RET | BPF_K, u32::MAX),
        step(BPF_RET | BPF_K, 0),
    ]);
    program
}

fn jump(code: u32, k: u32, [jt, jf]: [u8; 2]) -> SockFilter {
    SockFilter::new(u16::try_from(code).unwrap_or_default(), jt, jf, k)
}
