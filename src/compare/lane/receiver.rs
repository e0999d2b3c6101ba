//! The server's end: how messages come out, and what each receive brought.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::libc;

use super::draft::ECHO_HEADER;
use super::filter::echo_request;
use crate::compare::Mark;
use crate::flow::Family;
use crate::probe::{Parsed, Probe};
use crate::socket::{Datagram, Raw, Stream, kernel};

/// The server's end.
pub(in crate::compare) enum Receiver {
    Stream(Stream),
    Datagram(Datagram),
    Raw {
        socket: Raw,
        family: Family,
        mark: Mark,
    },
}

/// What the receiving program finds in what it received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::compare) enum Found {
    /// A message, whole, of so many bytes.
    Whole(Probe, usize),
    /// A damaged message.
    Damaged,
}

/// What one receive was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// One message, whole.
    Message,
    /// Part of a message, or several, or a damaged one.
    Bytes,
    /// Somebody else's.
    Foreign,
}

impl Receiver {
    /// One receive. `Ok(None)` at the end of a stream; `WouldBlock` when nothing
    /// came for [`GLANCE`](super::GLANCE).
    pub(super) fn receive(&mut self, inbox: &mut Inbox) -> io::Result<Option<usize>> {
        let room = inbox.room();
        match self {
            Receiver::Stream(socket) => match socket.recv(room)? {
                0 => Ok(None),
                count => Ok(Some(count)),
            },
            Receiver::Datagram(socket) => socket.recv_from(room).map(|got| Some(got.bytes)),
            Receiver::Raw { socket, .. } => socket.recv_from(room).map(|got| Some(got.bytes)),
        }
    }

    /// Takes what one receive brought apart.
    pub(super) fn sort(
        &self,
        inbox: &mut Inbox,
        count: usize,
        each: &mut dyn FnMut(Found),
    ) -> Read {
        let found = match self {
            Receiver::Stream(_) => return inbox.sort_stream(count, each),
            Receiver::Datagram(_) => message(inbox.fresh(count)),
            Receiver::Raw { family, mark, .. } => {
                let bytes = inbox.fresh(count);
                // IPv4 gives the IP header too, IPv6 does not (raw(7)).
                let header = match family {
                    Family::Ipv4 => bytes
                        .first()
                        .map_or(0, |first| usize::from(first & 0xf) * 4),
                    Family::Ipv6 => 0,
                };
                expected(*mark, *family, bytes.get(header..).unwrap_or_default())
            }
        };
        found.inspect(|found| each(*found));
        match found {
            Some(Found::Whole(..)) => Read::Message,
            Some(Found::Damaged) => Read::Bytes,
            None => Read::Foreign,
        }
    }

    /// How many messages the kernel dropped because this socket's buffer was
    /// full or their checksum wrong (`SO_MEMINFO`); a stream drops none for
    /// good.
    pub(super) fn drops(&self) -> io::Result<Option<u64>> {
        match self {
            Receiver::Stream(_) => Ok(None),
            Receiver::Datagram(socket) => drops(socket.as_fd()),
            Receiver::Raw { socket, .. } => drops(socket.as_fd()),
        }
    }
}

/// `SK_MEMINFO_DROPS` of `SO_MEMINFO`: the ninth of its numbers (sock_diag(7)).
pub(in crate::compare) fn drops(socket: BorrowedFd<'_>) -> io::Result<Option<u64>> {
    const SO_MEMINFO: i32 = 55;
    const DROPS: std::ops::Range<usize> = 32..36;
    let mut numbers = [0; 36];
    let length = kernel::option_bytes(socket, libc::SOL_SOCKET, SO_MEMINFO, &mut numbers)?;
    let number = numbers[..length.min(36)].get(DROPS);
    let number = number.and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
    Ok(number.map(|bytes| u32::from_ne_bytes(bytes).into()))
}

/// What a receiving program finds in an IP datagram's content that its socket
/// was given: the whole content of a bare datagram, the data of an echo request
/// with the right identifier. `None` where it is somebody else's.
///
/// The wire's account uses it too: to say what the program must have found.
pub(in crate::compare) fn expected(mark: Mark, family: Family, content: &[u8]) -> Option<Found> {
    match mark {
        Mark::Echo(identifier) => {
            let header: &[u8; ECHO_HEADER] = content.first_chunk()?;
            let ours = header[4..6] == identifier.to_be_bytes();
            if header[0] != echo_request(family) || !ours {
                return None;
            }
            message(&content[ECHO_HEADER..])
        }
        Mark::Tcp(_) | Mark::Udp(_) | Mark::Protocol(_) => message(content),
    }
}

/// A datagram's content: one message.
fn message(data: &[u8]) -> Option<Found> {
    match Probe::parse(data) {
        Parsed::Whole(probe, length) if length == data.len() => Some(Found::Whole(probe, length)),
        Parsed::Whole(..) | Parsed::Corrupted(_) | Parsed::Incomplete | Parsed::Foreign => {
            Some(Found::Damaged)
        }
    }
}

/// Bytes received and not yet sorted: on a stream, the beginning of a message.
pub(super) struct Inbox {
    buffer: Vec<u8>,
    kept: usize,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self {
            buffer: vec![0; 2 << 16],
            kept: 0,
        }
    }

    fn room(&mut self) -> &mut [u8] {
        &mut self.buffer[self.kept..]
    }

    fn fresh(&self, count: usize) -> &[u8] {
        &self.buffer[..count]
    }

    fn sort_stream(&mut self, count: usize, each: &mut dyn FnMut(Found)) -> Read {
        let end = self.kept + count;
        let mut start = 0;
        let mut whole = 0;
        loop {
            match Probe::parse(&self.buffer[start..end]) {
                Parsed::Whole(probe, length) => {
                    each(Found::Whole(probe, length));
                    start += length;
                    whole += 1;
                }
                Parsed::Corrupted(length) => {
                    each(Found::Damaged);
                    start += length;
                }
                Parsed::Incomplete => break,
                // Only our own peer writes here: a foreign byte is damage, and
                // the next message is looked for behind it.
                Parsed::Foreign => start += 1,
            }
        }
        self.buffer.copy_within(start..end, 0);
        let began_afresh = std::mem::replace(&mut self.kept, end - start) == 0;
        if began_afresh && whole == 1 && self.kept == 0 {
            Read::Message
        } else {
            Read::Bytes
        }
    }
}
