//! What a raw ICMP socket lets in: the kernel's ICMP filter by type (`raw(7)`,
//! RFC 3542 section 3.2), and a socket filter by identifier
//! (`Documentation/networking/filter.rst`).
//!
//! Owns both filters, so that other processes' replies never wake us. What is
//! in the error queue passes neither.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

use nix::errno::Errno;
use nix::libc::{self, BPF_ABS, BPF_B, BPF_H, BPF_IND, BPF_K, BPF_LD, BPF_LDX, BPF_MSH, BPF_X};
use nix::libc::{BPF_ADD, BPF_ALU, BPF_AND, BPF_LSH, BPF_MISC, BPF_TAX};
use nix::libc::{BPF_JA, BPF_JEQ, BPF_JMP, BPF_RET};
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
/// Of a half-word, the byte that comes first on the wire.
const FIRST_BYTE: u32 = 0xff00;
/// The next header that is a fragment's.
const FRAGMENT: u32 = 44;
/// Echo replies, and what tells of a request but is never in the error queue:
/// source quench and redirects. IPv4's types, then IPv6's.
const ALWAYS: (&[u8], &[u8]) = (&[0, 4, 5], &[ECHO_REPLY_V6, REDIRECT_V6]);
/// The errors of RFC 792 and RFC 4443 besides.
const ERRORS: (&[u8], &[u8]) = (
    &[0, 3, 4, 5, 11, 12],
    &[ECHO_REPLY_V6, 1, 2, 3, 4, REDIRECT_V6],
);

/// Who keeps other processes' replies apart from ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sorting {
    /// The kernel, so that they never wake us.
    Kernel,
    /// This program, which gets them all.
    Program,
}

impl IcmpSocket {
    /// Does without the filter by identifier, or with it again. Where nobody else
    /// pings it keeps nothing out, and costs a flood a few of a hundred replies;
    /// datagram sockets have none, as the kernel sorts what they get.
    pub fn sort_by_identifier(&self, sorting: Sorting) -> io::Result<()> {
        match (self.kind, sorting) {
            (EchoSocket::Datagram, _) => Ok(()),
            (EchoSocket::Raw, Sorting::Program) => self.socket.detach_filter(),
            (EchoSocket::Raw, Sorting::Kernel) => {
                let reply = of(ALWAYS, self.family)[0];
                let program = admit_identifiers(self.family, reply, self.identifiers);
                self.socket.attach_filter(&program)
            }
        }
    }

    /// Lets whole ICMP errors in as messages, besides what the error queue tells
    /// of them; only raw sockets can (`ENOPROTOOPT`).
    pub fn admit_errors(&self) -> io::Result<()> {
        if self.kind == EchoSocket::Datagram {
            return Err(Errno::ENOPROTOOPT.into());
        }
        admit_types(&self.socket, self.family, of(ERRORS, self.family))?;
        self.errors.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Whether [`IcmpSocket::admit_errors`] was called.
    pub fn is_admitting_errors(&self) -> bool {
        self.errors.load(Ordering::Relaxed)
    }
}

/// Sets both filters on a raw socket and throws away what came before.
pub(super) fn admit(socket: &Socket, family: Family, ours: Identifiers) -> io::Result<()> {
    admit_types(socket, family, of(ALWAYS, family))?;
    let reply = of(ALWAYS, family)[0];
    socket.attach_filter(&admit_identifiers(family, reply, ours))?;
    let mut before = Incoming::new(16, 64);
    while before.receive(socket.as_fd(), 0)? > 0 {}
    Ok(())
}

fn of(types: (&'static [u8], &'static [u8]), family: Family) -> &'static [u8] {
    match family {
        Family::Ipv4 => types.0,
        Family::Ipv6 => types.1,
    }
}

/// Lets only ICMP messages of these types into a raw socket (`ICMP_FILTER`,
/// `ICMP6_FILTER`); in IPv4 those above 31 always pass.
pub fn admit_types(socket: &Socket, family: Family, types: &[u8]) -> io::Result<()> {
    let (level, words) = match family {
        Family::Ipv4 => (libc::SOL_RAW, 1),
        Family::Ipv6 => (libc::IPPROTO_ICMPV6, 8),
    };
    // A set bit keeps a type out.
    let mut kept_out = vec![u32::MAX; words];
    for kind in types {
        if let Some(word) = kept_out.get_mut(usize::from(kind / 32)) {
            *word &= !(1 << (kind % 32));
        }
    }
    let bytes: Vec<u8> = kept_out.into_iter().flat_map(u32::to_ne_bytes).collect();
    set_option_bytes(socket.as_fd(), level, FILTER, &bytes)
}

/// A program for `SO_ATTACH_FILTER` on a raw ICMP socket. It passes echo
/// messages of type `echo` with an identifier of ours, and all else that quotes
/// a request with one. A load beyond the packet's end refuses it.
///
/// A flood runs it for each reply. The kernel does loads of half-words at fixed
/// places inline and calls a function for any other, which took a tenth of a
/// flood's time: an echo message behind a header without options needs only
/// such half-words.
pub fn admit_identifiers(family: Family, echo: u8, ours: Identifiers) -> Vec<SockFilter> {
    let mut program = match family {
        Family::Ipv4 => load_identifier_v4(echo),
        Family::Ipv6 => load_identifier_v6(echo),
    };
    program.extend([
        step(BPF_ALU | BPF_AND | BPF_K, ours.mask().into()),
        jump(BPF_JMP | BPF_JEQ | BPF_K, ours.first().into(), [0, 1]),
        step(BPF_RET | BPF_K, u32::MAX),
        step(BPF_RET | BPF_K, 0),
    ]);
    program
}

/// Puts the identifier of an echo message, or of the request that anything else
/// quotes, where the check at the end finds it.
fn load_identifier_v4(echo: u8) -> Vec<SockFilter> {
    /// Version 4, and a header of five words.
    const PLAIN: u32 = 0x4500;
    vec![
        step(BPF_LD | BPF_H | BPF_ABS, 0),
        step(BPF_ALU | BPF_AND | BPF_K, FIRST_BYTE),
        jump(BPF_JMP | BPF_JEQ | BPF_K, PLAIN, [0, 5]),
        step(BPF_LD | BPF_H | BPF_ABS, 20),
        step(BPF_ALU | BPF_AND | BPF_K, FIRST_BYTE),
        jump(BPF_JMP | BPF_JEQ | BPF_K, u32::from(echo) << 8, [0, 2]),
        step(BPF_LD | BPF_H | BPF_ABS, 20 + 4),
        step(BPF_JMP | BPF_JA, 11),
        // The IPv4 header's length in X, then the type.
        step(BPF_LDX | BPF_B | BPF_MSH, 0),
        step(BPF_LD | BPF_B | BPF_IND, 0),
        jump(BPF_JMP | BPF_JEQ | BPF_K, echo.into(), [7, 0]),
        // An error: X over the quoted IPv4 header as well.
        step(BPF_LD | BPF_B | BPF_IND, 8),
        step(BPF_ALU | BPF_AND | BPF_K, 0xf),
        step(BPF_ALU | BPF_LSH | BPF_K, 2),
        step(BPF_ALU | BPF_ADD | BPF_X, 0),
        step(BPF_MISC | BPF_TAX, 0),
        step(BPF_LD | BPF_H | BPF_IND, 8 + 4),
        step(BPF_JMP | BPF_JA, 1),
        step(BPF_LD | BPF_H | BPF_IND, 4),
    ]
}

/// The same. A redirect quotes behind options of any length: it is let in.
fn load_identifier_v6(echo: u8) -> Vec<SockFilter> {
    vec![
        step(BPF_LD | BPF_H | BPF_ABS, 0),
        step(BPF_ALU | BPF_AND | BPF_K, FIRST_BYTE),
        jump(BPF_JMP | BPF_JEQ | BPF_K, u32::from(echo) << 8, [7, 0]),
        jump(
            BPF_JMP | BPF_JEQ | BPF_K,
            u32::from(REDIRECT_V6) << 8,
            [9, 0],
        ),
        // The quoted packet may be a first fragment, whose header comes before
        // the request.
        step(BPF_LD | BPF_B | BPF_ABS, 8 + 6),
        jump(BPF_JMP | BPF_JEQ | BPF_K, FRAGMENT, [0, 2]),
        step(BPF_LD | BPF_H | BPF_ABS, 8 + 40 + 8 + 4),
        step(BPF_JMP | BPF_JA, 3),
        step(BPF_LD | BPF_H | BPF_ABS, 8 + 40 + 4),
        step(BPF_JMP | BPF_JA, 1),
        step(BPF_LD | BPF_H | BPF_ABS, 4),
    ]
}

fn step(code: u32, k: u32) -> SockFilter {
    jump(code, k, [0, 0])
}

fn jump(code: u32, k: u32, [jt, jf]: [u8; 2]) -> SockFilter {
    SockFilter::new(u16::try_from(code).unwrap_or_default(), jt, jf, k)
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::SockRef;
    use std::os::unix::net::UnixDatagram;

    const OURS: u16 = 0x1230;

    /// Whether the kernel lets a message through the filter. A local datagram
    /// socket runs it too, over the message as it was sent.
    fn passes(family: Family, message: &[u8]) -> bool {
        let (from, to) = UnixDatagram::pair().unwrap();
        let program = admit_identifiers(
            family,
            of(ALWAYS, family)[0],
            Identifiers::around(OURS, Identifiers::RAW_BITS),
        );
        SockRef::from(&to).attach_filter(&program).unwrap();
        to.set_nonblocking(true).unwrap();
        from.send(message).unwrap();
        to.recv(&mut [0; 512]).is_ok()
    }

    fn ipv4(options: usize, message: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 20 + options];
        bytes[0] = 0x45 + u8::try_from(options / 4).unwrap();
        // A type of service, which is no part of what is asked for.
        bytes[1] = 0xff;
        bytes.extend_from_slice(message);
        bytes
    }

    fn ipv6(next: u8, extension: usize, message: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x60, 0, 0, 0, 0, 0, next, 64];
        bytes.resize(40 + extension, 0);
        bytes.extend_from_slice(message);
        bytes
    }

    fn echo(kind: u8, identifier: u16) -> Vec<u8> {
        let [high, low] = identifier.to_be_bytes();
        vec![kind, 0xff, 0xff, 0xff, high, low, 0, 1, 0, 1, 2, 3]
    }

    fn error(kind: u8, quoted: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind, 0, 0, 0, 0, 0, 0, 0];
        bytes.extend_from_slice(quoted);
        bytes
    }

    #[test]
    fn identifiers_of_ours_pass_behind_any_header_and_no_others() {
        for (identifier, is_ours) in [
            (OURS, true),
            (OURS + 15, true),
            (OURS + 16, false),
            (OURS - 1, false),
        ] {
            for options in [0, 4, 40] {
                let reply = ipv4(options, &echo(0, identifier));
                assert_eq!(passes(Family::Ipv4, &reply), is_ours, "reply {options}");
                for quoted in [0, 40] {
                    let error = error(3, &ipv4(quoted, &echo(8, identifier)));
                    let error = ipv4(options, &error);
                    assert_eq!(passes(Family::Ipv4, &error), is_ours, "{options} {quoted}");
                }
            }
            let reply = echo(ECHO_REPLY_V6, identifier);
            assert_eq!(passes(Family::Ipv6, &reply), is_ours);
            for (next, extension) in [(58, 0), (44, 8)] {
                let error = error(1, &ipv6(next, extension, &echo(128, identifier)));
                assert_eq!(passes(Family::Ipv6, &error), is_ours, "next header {next}");
            }
        }
    }

    #[test]
    fn what_ends_too_soon_does_not_pass_and_a_redirect_does() {
        let reply = ipv4(0, &echo(0, OURS));
        assert!(!passes(Family::Ipv4, &reply[..25]) && passes(Family::Ipv4, &reply[..26]));
        assert!(!passes(Family::Ipv4, &[0x45]));
        let reply = echo(ECHO_REPLY_V6, OURS);
        assert!(!passes(Family::Ipv6, &reply[..5]) && passes(Family::Ipv6, &reply[..6]));
        assert!(passes(Family::Ipv6, &error(REDIRECT_V6, &[])));
    }
}
