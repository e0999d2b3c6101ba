//! Many messages in one system call (`sendmmsg(2)`, `recvmmsg(2)`).
//!
//! Owns the memory that both calls work on, allocated once. Knows nothing of
//! what is in a message. Kernel edge: the only two calls, and the control
//! messages they carry.
#![allow(unsafe_code)]

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;

/// Control messages of one message received: time to live, class of service,
/// three time stamps, and spare.
const RECEIVED_CONTROL: usize = 256;
/// Room for one `int` as a control message.
const SENT_CONTROL: usize = 24;

/// Aligned as `struct cmsghdr` wants it.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(8))]
struct Control<const N: usize>([u8; N]);

/// Requests on their way into one `sendmmsg(2)`.
#[derive(Debug)]
pub struct Outgoing {
    stride: usize,
    bytes: Vec<u8>,
    lengths: Vec<usize>,
    addresses: Vec<libc::sockaddr_in6>,
    controls: Vec<Control<SENT_CONTROL>>,
    ttls: Vec<Option<u8>>,
}

impl Outgoing {
    /// Room for `capacity` messages of at most `longest` bytes, each of which
    /// begins as `template` does.
    pub fn new(capacity: usize, longest: usize, template: &[u8]) -> Self {
        let stride = longest.max(template.len()).next_multiple_of(8);
        let mut bytes = vec![0; stride * capacity];
        for slot in bytes.chunks_exact_mut(stride.max(1)) {
            slot[..template.len()].copy_from_slice(template);
        }
        Self {
            stride,
            bytes,
            lengths: Vec::with_capacity(capacity),
            // SAFETY: all of its fields are integers, for which zero is valid.
            addresses: vec![unsafe { std::mem::zeroed() }; capacity],
            controls: vec![Control([0; SENT_CONTROL]); capacity],
            ttls: vec![None; capacity],
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
        self.lengths.len() == self.addresses.len()
    }

    /// Adds a message of `length` bytes and hands out its slot, which holds what
    /// it held last. `None`: there is no room, or it is too long.
    pub fn push(&mut self, to: SocketAddr, ttl: Option<u8>, length: usize) -> Option<&mut [u8]> {
        let place = self.lengths.len();
        if self.is_full() || length > self.stride {
            return None;
        }
        self.lengths.push(length);
        write_address(&mut self.addresses[place], to);
        self.ttls[place] = ttl;
        let start = place * self.stride;
        self.bytes.get_mut(start..start + length)
    }

    /// The bytes of a message that waits.
    pub fn message(&self, place: usize) -> &[u8] {
        let start = place * self.stride;
        let length = self.lengths.get(place).copied().unwrap_or_default();
        self.bytes.get(start..start + length).unwrap_or_default()
    }

    /// Forgets all messages, their bytes excepted.
    pub fn clear(&mut self) {
        self.lengths.clear();
    }

    /// Sends the messages from `first` on; how many the kernel took. An error
    /// is the first message's own, or one that an earlier message met and that
    /// only this call reports.
    pub(super) fn send(&mut self, socket: BorrowedFd<'_>, first: usize) -> Result<usize, Errno> {
        let count = self.lengths.len();
        let mut vectors = Vec::with_capacity(count - first.min(count));
        let mut headers: Vec<libc::mmsghdr> = Vec::with_capacity(count - first.min(count));
        for place in first..count {
            vectors.push(libc::iovec {
                iov_base: self.bytes[place * self.stride..].as_mut_ptr().cast(),
                iov_len: self.lengths[place],
            });
        }
        for (place, vector) in (first..count).zip(&mut vectors) {
            let control = self.ttls[place].map(|ttl| {
                let family = i32::from(self.addresses[place].sin6_family);
                write_ttl(&mut self.controls[place], family, ttl)
            });
            // SAFETY: all fields are integers and pointers, for which zero is
            // valid; msghdr has private padding on some targets.
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            header.msg_hdr.msg_name = (&raw mut self.addresses[place]).cast();
            header.msg_hdr.msg_namelen = address_length(&self.addresses[place]);
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            if let Some(length) = control {
                header.msg_hdr.msg_control = self.controls[place].0.as_mut_ptr().cast();
                header.msg_hdr.msg_controllen = length as _;
            }
            headers.push(header);
        }
        let messages = libc::c_uint::try_from(headers.len()).unwrap_or(libc::c_uint::MAX);
        // SAFETY: each header points at an address, a vector and a control
        // buffer that outlive the call, with their true lengths; the kernel
        // reads them and writes only `msg_len`.
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                messages,
                libc::MSG_DONTWAIT,
            )
        };
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
    /// The sender.
    pub from: Option<SocketAddr>,
    /// The time to live or hop limit it arrived with, if it came along.
    pub ttl: Option<u8>,
    /// The type of service or traffic class it arrived with, if it came along.
    pub class: Option<u8>,
    /// When the kernel received it, since the Unix epoch by `CLOCK_REALTIME`.
    pub stamp: Option<Duration>,
}

/// Room for what one `recvmmsg(2)` brings.
#[derive(Debug)]
pub struct Incoming {
    stride: usize,
    bytes: Vec<u8>,
    addresses: Vec<libc::sockaddr_in6>,
    controls: Vec<Control<RECEIVED_CONTROL>>,
    headers: Vec<libc::mmsghdr>,
    vectors: Vec<libc::iovec>,
    count: usize,
}

// SAFETY: the pointers in `headers` and `vectors` point into the other vectors
// of the same value, are written anew before each call and never read outside.
unsafe impl Send for Incoming {}

impl Incoming {
    /// Room for `capacity` messages of at most `longest` bytes.
    pub fn new(capacity: usize, longest: usize) -> Self {
        let stride = longest.next_multiple_of(64);
        let empty = libc::iovec {
            iov_base: std::ptr::null_mut(),
            iov_len: 0,
        };
        Self {
            stride,
            bytes: vec![0; stride * capacity],
            // SAFETY: integers and pointers, for which zero is valid.
            addresses: vec![unsafe { std::mem::zeroed() }; capacity],
            controls: vec![Control([0; RECEIVED_CONTROL]); capacity],
            // SAFETY: as above.
            headers: vec![unsafe { std::mem::zeroed() }; capacity],
            vectors: vec![empty; capacity],
            count: 0,
        }
    }

    /// Takes what is there, without waiting; how many messages.
    pub(super) fn receive(&mut self, socket: BorrowedFd<'_>) -> Result<usize, Errno> {
        self.count = 0;
        for place in 0..self.headers.len() {
            self.vectors[place] = libc::iovec {
                iov_base: self.bytes[place * self.stride..].as_mut_ptr().cast(),
                iov_len: self.stride,
            };
            let header = &mut self.headers[place].msg_hdr;
            header.msg_name = (&raw mut self.addresses[place]).cast();
            header.msg_namelen = length_of::<libc::sockaddr_in6>();
            header.msg_iov = &raw mut self.vectors[place];
            header.msg_iovlen = 1;
            header.msg_control = self.controls[place].0.as_mut_ptr().cast();
            header.msg_controllen = RECEIVED_CONTROL as _;
            header.msg_flags = 0;
        }
        let room = libc::c_uint::try_from(self.headers.len()).unwrap_or(libc::c_uint::MAX);
        // SAFETY: each header points at an address, a vector over a slot of
        // `stride` bytes and a control buffer, with their true lengths; all
        // are owned by `self` and outlive the call.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                room,
                libc::MSG_DONTWAIT,
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
        self.count == self.headers.len()
    }

    /// What the last call brought, in order of arrival.
    pub fn messages(&self) -> impl Iterator<Item = Received<'_>> {
        (0..self.count).map(|place| self.message(place))
    }

    fn message(&self, place: usize) -> Received<'_> {
        let header = &self.headers[place];
        let start = place * self.stride;
        let length = (header.msg_len as usize).min(self.stride);
        let mut received = Received {
            bytes: &self.bytes[start..start + length],
            cut: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            from: read_address(&self.addresses[place], header.msg_hdr.msg_namelen),
            ttl: None,
            class: None,
            stamp: None,
        };
        for_each_control(&header.msg_hdr, |level, kind, data| match (level, kind) {
            (libc::IPPROTO_IP, libc::IP_TTL) | (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {
                received.ttl = int(data).and_then(|ttl| u8::try_from(ttl).ok());
            }
            (libc::IPPROTO_IP, libc::IP_TOS) => received.class = data.first().copied(),
            (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                received.class = int(data).and_then(|class| u8::try_from(class).ok());
            }
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPING) => received.stamp = software_stamp(data),
            _ => {}
        });
        received
    }
}

/// Calls `each` with level, type and data of each control message that the
/// kernel wrote for a message received.
pub(super) fn for_each_control(header: &libc::msghdr, mut each: impl FnMut(i32, i32, &[u8])) {
    // SAFETY: `header` describes a control buffer that the kernel filled and
    // that is still borrowed; the macros stay within `msg_controllen`.
    unsafe {
        let mut control = libc::CMSG_FIRSTHDR(header);
        while let Some(found) = control.as_ref() {
            let head = libc::CMSG_LEN(0) as usize;
            let length = control_length(found).saturating_sub(head);
            let data = std::slice::from_raw_parts(libc::CMSG_DATA(control), length);
            each(found.cmsg_level, found.cmsg_type, data);
            control = libc::CMSG_NXTHDR(header, control);
        }
    }
}

#[allow(
    clippy::unnecessary_cast,
    reason = "the field's type differs between C libraries"
)]
fn control_length(control: &libc::cmsghdr) -> usize {
    control.cmsg_len as usize
}

fn int(data: &[u8]) -> Option<i32> {
    let bytes = data.get(..4)?.try_into().ok()?;
    Some(i32::from_ne_bytes(bytes))
}

/// The first of three `struct timespec`: the kernel's own stamp
/// (`Documentation/networking/timestamping.rst`).
pub(super) fn software_stamp(data: &[u8]) -> Option<Duration> {
    let size = size_of::<libc::timespec>();
    let half = size / 2;
    let number = |bytes: &[u8]| match bytes.len() {
        8 => bytes.try_into().ok().map(i64::from_ne_bytes),
        4 => bytes.try_into().ok().map(i32::from_ne_bytes).map(i64::from),
        _ => None,
    };
    let seconds = u64::try_from(number(data.get(..half)?)?).ok()?;
    let nanoseconds = u32::try_from(number(data.get(half..size)?)?).ok()?;
    let stamp = Duration::from_secs(seconds) + Duration::from_nanos(nanoseconds.into());
    (!stamp.is_zero()).then_some(stamp)
}

/// Writes a time to live as the one control message; its length.
fn write_ttl(control: &mut Control<SENT_CONTROL>, family: i32, ttl: u8) -> usize {
    let (level, kind) = match family {
        libc::AF_INET => (libc::IPPROTO_IP, libc::IP_TTL),
        _ => (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT),
    };
    let bytes = u32::try_from(size_of::<libc::c_int>()).unwrap_or(4);
    // SAFETY: the buffer is aligned for cmsghdr and holds CMSG_SPACE of an
    // int, which is 24 bytes where pointers have 64 bits and less elsewhere.
    unsafe {
        let header: *mut libc::cmsghdr = control.0.as_mut_ptr().cast();
        (*header).cmsg_level = level;
        (*header).cmsg_type = kind;
        (*header).cmsg_len = libc::CMSG_LEN(bytes) as _;
        let data: *mut libc::c_int = libc::CMSG_DATA(header).cast();
        data.write_unaligned(ttl.into());
        libc::CMSG_SPACE(bytes) as usize
    }
}

fn length_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or_default()
}

fn address_length(address: &libc::sockaddr_in6) -> libc::socklen_t {
    match i32::from(address.sin6_family) {
        libc::AF_INET => length_of::<libc::sockaddr_in>(),
        _ => length_of::<libc::sockaddr_in6>(),
    }
}

/// An IPv4 address is the shorter of the two and fits where an IPv6 one does.
fn write_address(slot: &mut libc::sockaddr_in6, address: SocketAddr) {
    match address {
        SocketAddr::V4(v4) => {
            // SAFETY: sockaddr_in is shorter than sockaddr_in6 and no more
            // strictly aligned; both begin with the family.
            let slot = unsafe { &mut *std::ptr::from_mut(slot).cast::<libc::sockaddr_in>() };
            slot.sin_family = u16::try_from(libc::AF_INET).unwrap_or_default();
            slot.sin_port = v4.port().to_be();
            slot.sin_addr.s_addr = u32::from(*v4.ip()).to_be();
            slot.sin_zero = [0; 8];
        }
        SocketAddr::V6(v6) => {
            slot.sin6_family = u16::try_from(libc::AF_INET6).unwrap_or_default();
            slot.sin6_port = v6.port().to_be();
            slot.sin6_flowinfo = v6.flowinfo();
            slot.sin6_addr.s6_addr = v6.ip().octets();
            slot.sin6_scope_id = v6.scope_id();
        }
    }
}

pub(super) fn read_address(
    slot: &libc::sockaddr_in6,
    length: libc::socklen_t,
) -> Option<SocketAddr> {
    match i32::from(slot.sin6_family) {
        libc::AF_INET if length >= length_of::<libc::sockaddr_in>() => {
            // SAFETY: as in `write_address`; the kernel wrote a sockaddr_in.
            let slot = unsafe { &*std::ptr::from_ref(slot).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(slot.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(slot.sin_port)).into())
        }
        libc::AF_INET6 if length >= length_of::<libc::sockaddr_in6>() => {
            let ip = Ipv6Addr::from(slot.sin6_addr.s6_addr);
            let port = u16::from_be(slot.sin6_port);
            Some(SocketAddrV6::new(ip, port, slot.sin6_flowinfo, slot.sin6_scope_id).into())
        }
        _ => None,
    }
}

impl super::IcmpSocket {
    /// Sends the messages from `first` on (`sendmmsg(2)`); how many the kernel
    /// took, which is fewer where one of them failed: the next call, from there
    /// on, tells why.
    pub fn send_batch(&self, messages: &mut Outgoing, first: usize) -> Result<usize, Errno> {
        messages.send(std::os::fd::AsFd::as_fd(self), first)
    }

    /// Takes what is there (`recvmmsg(2)`), without waiting; how many messages.
    /// An error is one that an earlier request met; the queue has it too.
    pub fn receive_batch(&self, messages: &mut Incoming) -> io::Result<usize> {
        let count = messages.receive(std::os::fd::AsFd::as_fd(self));
        count.map_err(Into::into)
    }
}
