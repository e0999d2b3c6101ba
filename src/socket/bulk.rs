//! Many datagrams in one call, of which only lengths and senders matter:
//! recvmmsg(2) with `MSG_TRUNC` into no room at all, so that nothing is copied.
//!
//! Owns the memory of the call, allocated once. Not recorded: who counts at this
//! rate does not write down each call.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg};

use super::datagram::internet;

/// Room for what is told of the datagrams of one call.
pub struct Bulk {
    headers: MultiHeaders<SockaddrStorage>,
    /// How many are asked for: each slot costs something, filled or not.
    asked: usize,
}

impl Bulk {
    /// As many datagrams as a call takes at most,
    const MOST: usize = 256;
    /// and as it is ready to take when few come.
    const LEAST: usize = 8;

    /// Room for as many datagrams as a call takes at most.
    pub fn new() -> Self {
        Self {
            headers: MultiHeaders::preallocate(Self::MOST, None),
            asked: Self::LEAST,
        }
    }

    /// Takes what waits, as far as there is room, and hands over the length and
    /// the sender of each datagram; whether more may wait. The more come at once,
    /// the more the next call is ready to take.
    pub fn receive(
        &mut self,
        socket: BorrowedFd<'_>,
        mut each: impl FnMut(usize, SocketAddr),
    ) -> io::Result<bool> {
        let mut nothing: Vec<[IoSliceMut<'_>; 1]> = Vec::with_capacity(self.asked);
        nothing.resize_with(self.asked, || [IoSliceMut::new(&mut [])]);
        let flags = MsgFlags::MSG_TRUNC | MsgFlags::MSG_DONTWAIT;
        let fd = socket.as_raw_fd();
        let messages = match recvmmsg(fd, &mut self.headers, nothing.iter_mut(), flags, None) {
            Ok(messages) => messages,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(false),
            Err(errno) => return Err(errno.into()),
        };
        let mut count = 0;
        for message in messages {
            count += 1;
            if let Some(from) = message.address.as_ref().and_then(internet) {
                each(message.bytes, from);
            }
        }
        let is_full = count >= self.asked;
        if is_full {
            self.asked = (4 * self.asked).min(Self::MOST);
        } else if 4 * count < self.asked {
            self.asked = (self.asked / 2).max(Self::LEAST);
        }
        Ok(is_full)
    }
}

impl Default for Bulk {
    fn default() -> Self {
        Self::new()
    }
}
