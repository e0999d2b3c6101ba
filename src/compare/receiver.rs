//! The server's end of a lane: how messages come out, and how each is judged. It
//! is read by one thread until every message is there, or patience has run out
//! after the last was sent.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::libc;

use super::lane::echo_request;
use crate::flow::Family;
use crate::probe::{Parsed, Probe};
use crate::socket::{Datagram, Raw, Stream, kernel};
use crate::stats::Judge;

/// The server's end.
pub(super) enum Receiver {
    Tcp(Stream),
    Udp(Datagram),
    Raw {
        socket: Raw,
        family: Family,
        identifier: u16,
    },
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
    /// came for [`GLANCE`](super::lane::GLANCE).
    pub(super) fn receive(&mut self, inbox: &mut Inbox) -> io::Result<Option<usize>> {
        let room = inbox.room();
        match self {
            Receiver::Tcp(socket) => match socket.recv(room)? {
                0 => Ok(None),
                count => Ok(Some(count)),
            },
            Receiver::Udp(socket) => socket.recv_from(room).map(|got| Some(got.bytes)),
            Receiver::Raw { socket, .. } => socket.recv_from(room).map(|got| Some(got.bytes)),
        }
    }

    /// Judges what one receive brought.
    pub(super) fn judge(
        &self,
        inbox: &mut Inbox,
        count: usize,
        now: Duration,
        judge: &mut Judge,
    ) -> Read {
        match self {
            Receiver::Tcp(_) => inbox.judge_stream(count, now, judge),
            Receiver::Udp(_) => judge_message(inbox.fresh(count), now, judge),
            Receiver::Raw {
                family, identifier, ..
            } => match echo_data(inbox.fresh(count), *family, *identifier) {
                Some(data) => judge_message(data, now, judge),
                None => Read::Foreign,
            },
        }
    }

    /// How many messages the kernel dropped because this socket's buffer was
    /// full (`SO_MEMINFO`); a stream drops none for good.
    pub(super) fn drops(&self) -> io::Result<Option<u64>> {
        match self {
            Receiver::Tcp(_) => Ok(None),
            Receiver::Udp(socket) => drops(socket.as_fd()),
            Receiver::Raw { socket, .. } => drops(socket.as_fd()),
        }
    }
}

/// `SK_MEMINFO_DROPS` of `SO_MEMINFO`: the ninth of its numbers (sock_diag(7)).
pub(super) fn drops(socket: BorrowedFd<'_>) -> io::Result<Option<u64>> {
    const SO_MEMINFO: i32 = 55;
    const DROPS: std::ops::Range<usize> = 32..36;
    let mut numbers = [0; 36];
    let length = kernel::option_bytes(socket, libc::SOL_SOCKET, SO_MEMINFO, &mut numbers)?;
    let number = numbers[..length.min(36)].get(DROPS);
    let number = number.and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
    Ok(number.map(|bytes| u32::from_ne_bytes(bytes).into()))
}

/// What of a raw socket's bytes is the data of this run's echo request: IPv4
/// gives the IP header too, IPv6 does not (raw(7)).
pub(super) fn echo_data(bytes: &[u8], family: Family, identifier: u16) -> Option<&[u8]> {
    let icmp = match family {
        Family::Ipv4 => bytes.get(usize::from(bytes.first()? & 0xf) * 4..)?,
        Family::Ipv6 => bytes,
    };
    let [kind, _, _, _, high, low, _, _, data @ ..] = icmp else {
        return None;
    };
    let ours = u16::from_be_bytes([*high, *low]) == identifier;
    (*kind == echo_request(family) && ours).then_some(data)
}

fn judge_message(data: &[u8], now: Duration, judge: &mut Judge) -> Read {
    match Probe::parse(data) {
        Parsed::Whole(probe, length) if length == data.len() => {
            judge.arrived(probe.number, now.saturating_sub(probe.sent_at));
            Read::Message
        }
        Parsed::Foreign => Read::Foreign,
        Parsed::Whole(..) | Parsed::Corrupted(_) | Parsed::Incomplete => {
            judge.corrupted();
            Read::Bytes
        }
    }
}

/// Bytes received and not yet judged: on a stream, the beginning of a message.
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

    fn judge_stream(&mut self, count: usize, now: Duration, judge: &mut Judge) -> Read {
        let end = self.kept + count;
        let mut start = 0;
        let mut whole = 0;
        loop {
            match Probe::parse(&self.buffer[start..end]) {
                Parsed::Whole(probe, length) => {
                    judge.arrived(probe.number, now.saturating_sub(probe.sent_at));
                    start += length;
                    whole += 1;
                }
                Parsed::Corrupted(length) => {
                    judge.corrupted();
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
