//! Many messages in one system call (`sendmmsg(2)`, `recvmmsg(2)`).
//!
//! Owns the memory that both calls work on, allocated and tied together once: a
//! message costs no more than what differs from the last in its place. Knows
//! nothing of what is in a message. Kernel edge: the two calls.
#![allow(unsafe_code)]

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;

use super::IcmpSocket;
use super::control::{
    Control, RECEIVED_CONTROL, SENT_CONTROL, address_length, for_each_control, int, length_of,
    read_address, software_stamp, write_address, write_ttl,
};

/// What one call works on: `mmsghdr`s that point at addresses, buffers and
/// control messages, none of which ever moves.
struct Slots<const CONTROL: usize> {
    stride: usize,
    bytes: Vec<u8>,
    addresses: Vec<libc::sockaddr_in6>,
    controls: Vec<Control<CONTROL>>,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

// SAFETY: the pointers in `headers` and `vectors` point into the other vectors
// of the same value, which are never resized and move with it.
unsafe impl<const CONTROL: usize> Send for Slots<CONTROL> {}

impl<const CONTROL: usize> Slots<CONTROL> {
    fn new(capacity: usize, stride: usize) -> Self {
        let empty = libc::iovec {
            iov_base: std::ptr::null_mut(),
            iov_len: 0,
        };
        let mut slots = Self {
            stride,
            bytes: vec![0; stride * capacity],
            // SAFETY: all of its fields are integers, for which zero is valid.
            addresses: vec![unsafe { std::mem::zeroed() }; capacity],
            controls: vec![Control([0; CONTROL]); capacity],
            vectors: vec![empty; capacity],
            // SAFETY: integers and pointers, for which zero is valid.
            headers: vec![unsafe { std::mem::zeroed() }; capacity],
        };
        for place in 0..capacity {
            slots.vectors[place] = libc::iovec {
                iov_base: slots.bytes[place * stride..].as_mut_ptr().cast(),
                iov_len: stride,
            };
            let header = &mut slots.headers[place].msg_hdr;
            header.msg_name = (&raw mut slots.addresses[place]).cast();
            header.msg_iov = &raw mut slots.vectors[place];
            header.msg_iovlen = 1;
            header.msg_control = slots.controls[place].0.as_mut_ptr().cast();
        }
        slots
    }

    fn bytes_of(&self, place: usize, length: usize) -> &[u8] {
        let start = place * self.stride;
        self.bytes.get(start..start + length).unwrap_or_default()
    }
}

impl<const CONTROL: usize> std::fmt::Debug for Slots<CONTROL> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Slots")
            .field("capacity", &self.headers.len())
            .field("stride", &self.stride)
            .finish_non_exhaustive()
    }
}

/// Requests on their way into one `sendmmsg(2)`.
#[derive(Debug)]
pub struct Outgoing {
    slots: Slots<SENT_CONTROL>,
    lengths: Vec<usize>,
}

impl Outgoing {
    /// Room for `capacity` messages of at most `longest` bytes, each of which
    /// begins as `template` does.
    pub fn new(capacity: usize, longest: usize, template: &[u8]) -> Self {
        let stride = longest.max(template.len()).next_multiple_of(8).max(8);
        let mut slots = Slots::new(capacity, stride);
        for slot in slots.bytes.chunks_exact_mut(stride) {
            slot[..template.len()].copy_from_slice(template);
        }
        Self {
            slots,
            lengths: Vec::with_capacity(capacity),
        }
    }

    /// How many messages wait to be sent.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// Whether there is no room for another.
    pub fn is_full(&self) -> bool {
        self.lengths.len() == self.slots.headers.len()
    }

    /// Adds a message of `length` bytes and hands out its slot, which holds what
    /// it held last. `None`: there is no room, or it is too long.
    pub fn push(&mut self, to: SocketAddr, ttl: Option<u8>, length: usize) -> Option<&mut [u8]> {
        let (place, slots) = (self.lengths.len(), &mut self.slots);
        if place == slots.headers.len() || length > slots.stride {
            return None;
        }
        self.lengths.push(length);
        let address = &mut slots.addresses[place];
        write_address(address, to);
        slots.vectors[place].iov_len = length;
        let header = &mut slots.headers[place].msg_hdr;
        header.msg_namelen = address_length(address);
        header.msg_controllen = ttl.map_or(0, |ttl| {
            let family = i32::from(address.sin6_family);
            write_ttl(&mut slots.controls[place], family, ttl)
        }) as _;
        let start = place * slots.stride;
        slots.bytes.get_mut(start..start + length)
    }

    /// The bytes of a message that waits.
    pub fn message(&self, place: usize) -> &[u8] {
        let length = self.lengths.get(place).copied().unwrap_or_default();
        self.slots.bytes_of(place, length)
    }

    /// Forgets all messages, their bytes excepted.
    pub fn clear(&mut self) {
        self.lengths.clear();
    }

    /// Sends the messages from `first` on; how many the kernel took. An error
    /// is the first message's own, or one that an earlier message met and that
    /// only this call reports.
    fn send(&mut self, socket: BorrowedFd<'_>, first: usize) -> Result<usize, Errno> {
        let waiting = self.slots.headers.get_mut(first..self.lengths.len());
        let waiting = waiting.unwrap_or_default();
        let count = libc::c_uint::try_from(waiting.len()).unwrap_or(libc::c_uint::MAX);
        let descriptor = socket.as_raw_fd();
        // SAFETY: each header points at an address, a vector over its slot's
        // first bytes and a control buffer, with their true lengths, all owned
        // by `self`; the kernel reads them and writes only `msg_len`.
        let sent =
            unsafe { libc::sendmmsg(descriptor, waiting.as_mut_ptr(), count, libc::MSG_DONTWAIT) };
        Errno::result(sent).map(|sent| usize::try_from(sent).unwrap_or_default())
    }
}

/// A message that was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received<'b> {
    /// What was received; on a raw IPv4 socket the IPv4 header comes first.
    pub bytes: &'b [u8],
    /// Whether there was no room for all of it.
    pub cut: bool,
    /// The sender; with an error, where what it quotes was going.
    pub from: Option<SocketAddr>,
    /// The time to live or hop limit it arrived with, if it came along.
    pub ttl: Option<u8>,
    /// The type of service or traffic class it arrived with, if it came along.
    pub class: Option<u8>,
    /// When the kernel received or sent it, since the Unix epoch by
    /// `CLOCK_REALTIME`.
    pub stamp: Option<Duration>,
    /// What comes with what is in the error queue, a `struct sock_extended_err`.
    pub(super) extended: Option<&'b [u8]>,
}

/// Room for what one `recvmmsg(2)` brings.
#[derive(Debug)]
pub struct Incoming {
    slots: Slots<RECEIVED_CONTROL>,
    /// Room for each sender's address.
    name_length: libc::socklen_t,
    count: usize,
}

impl Incoming {
    /// Room for `capacity` messages of at most `longest` bytes.
    pub fn new(capacity: usize, longest: usize) -> Self {
        let mut incoming = Self {
            slots: Slots::new(capacity, longest.next_multiple_of(64).max(64)),
            name_length: length_of::<libc::sockaddr_in6>(),
            count: capacity,
        };
        incoming.clear();
        incoming
    }

    /// Does without the senders' addresses, for messages that begin with an IP
    /// header and so carry them.
    #[must_use]
    pub fn without_names(mut self) -> Self {
        self.name_length = 0;
        for header in &mut self.slots.headers {
            header.msg_hdr.msg_name = std::ptr::null_mut();
        }
        self.count = self.slots.headers.len();
        self.clear();
        self
    }

    /// Makes the room that the last call used whole again.
    fn clear(&mut self) {
        for header in &mut self.slots.headers[..self.count] {
            header.msg_hdr.msg_namelen = self.name_length;
            header.msg_hdr.msg_controllen = RECEIVED_CONTROL as _;
            header.msg_hdr.msg_flags = 0;
        }
        self.count = 0;
    }

    /// Takes what is there, without waiting; how many messages.
    pub(super) fn receive(&mut self, socket: BorrowedFd<'_>, flags: i32) -> Result<usize, Errno> {
        self.clear();
        let headers = &mut self.slots.headers;
        let room = libc::c_uint::try_from(headers.len()).unwrap_or(libc::c_uint::MAX);
        // SAFETY: each header points at an address, a vector over a slot of
        // `stride` bytes and a control buffer, with their true lengths; all
        // are owned by `self` and outlive the call.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                room,
                libc::MSG_DONTWAIT | flags,
                std::ptr::null_mut(),
            )
        };
        match Errno::result(received) {
            Ok(count) => self.count = usize::try_from(count).unwrap_or_default(),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
        Ok(self.count)
    }

    /// Whether the last call had no room for more.
    pub fn is_full(&self) -> bool {
        self.count == self.slots.headers.len()
    }

    /// What the last call brought, in order of arrival.
    pub fn messages(&self) -> impl Iterator<Item = Received<'_>> {
        (0..self.count).map(|place| self.message(place))
    }

    fn message(&self, place: usize) -> Received<'_> {
        let header = &self.slots.headers[place];
        let length = (header.msg_len as usize).min(self.slots.stride);
        let mut received = Received {
            bytes: self.slots.bytes_of(place, length),
            cut: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            from: read_address(&self.slots.addresses[place], header.msg_hdr.msg_namelen),
            ttl: None,
            class: None,
            stamp: None,
            extended: None,
        };
        let buffer = &self.slots.controls[place];
        for_each_control(&header.msg_hdr, buffer, |level, kind, data| {
            match (level, kind) {
                (libc::IPPROTO_IP, libc::IP_TTL) | (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {
                    received.ttl = int(data).and_then(|ttl| u8::try_from(ttl).ok());
                }
                (libc::IPPROTO_IP, libc::IP_TOS) => received.class = data.first().copied(),
                (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                    received.class = int(data).and_then(|class| u8::try_from(class).ok());
                }
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS | libc::SCM_TIMESTAMPING) => {
                    received.stamp = software_stamp(data);
                }
                (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) => {
                    received.extended = Some(data);
                }
                _ => {}
            }
        });
        received
    }
}

impl IcmpSocket {
    /// Sends the messages from `first` on (`sendmmsg(2)`); how many the kernel
    /// took, which is fewer where one of them failed: the next call, from there
    /// on, tells why.
    pub fn send_batch(&self, messages: &mut Outgoing, first: usize) -> Result<usize, Errno> {
        messages.send(self.as_fd(), first)
    }

    /// Takes what is there (`recvmmsg(2)`), without waiting; how many messages.
    /// An error is one that an earlier request met; the queue has it too.
    pub fn receive_batch(&self, messages: &mut Incoming) -> io::Result<usize> {
        messages.receive(self.as_fd(), 0).map_err(Into::into)
    }

    /// Takes what is in the error queue (`recvmmsg(2)` with `MSG_ERRQUEUE`),
    /// without waiting; how many messages. [`Received::queued`] reads them.
    pub fn receive_queue(&self, messages: &mut Incoming) -> io::Result<usize> {
        let count = messages.receive(self.as_fd(), libc::MSG_ERRQUEUE);
        count.map_err(Into::into)
    }
}
