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
}

impl Bulk {
    /// As many datagrams as a call takes at most.
    pub const MOST: usize = 256;

    /// Room for [`Bulk::MOST`] datagrams.
    pub fn new() -> Self {
        Self {
            headers: MultiHeaders::preallocate(Self::MOST, None),
        }
    }

    /// Takes what waits, up to [`Bulk::MOST`] datagrams, and hands over the
    /// length and the sender of each; how many there were.
    pub fn receive(
        &mut self,
        socket: BorrowedFd<'_>,
        mut each: impl FnMut(usize, SocketAddr),
    ) -> io::Result<usize> {
        let mut nothing: Vec<[IoSliceMut<'_>; 1]> = Vec::with_capacity(Self::MOST);
        nothing.resize_with(Self::MOST, || [IoSliceMut::new(&mut [])]);
        let flags = MsgFlags::MSG_TRUNC | MsgFlags::MSG_DONTWAIT;
        let fd = socket.as_raw_fd();
        let messages = match recvmmsg(fd, &mut self.headers, nothing.iter_mut(), flags, None) {
            Ok(messages) => messages,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(0),
            Err(errno) => return Err(errno.into()),
        };
        let mut count = 0;
        for message in messages {
            count += 1;
            if let Some(from) = message.address.as_ref().and_then(internet) {
                each(message.bytes, from);
            }
        }
        Ok(count)
    }
}

impl Default for Bulk {
    fn default() -> Self {
        Self::new()
    }
}
