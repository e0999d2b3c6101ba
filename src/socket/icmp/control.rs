//! Addresses and control messages as the kernel wants and gives them
//! (`cmsg(3)`, `ip(7)`, `ipv6(7)`, `socket(7)`).
//!
//! Owns their layout. Knows nothing of what is in a message and calls no
//! kernel. Kernel edge: it reads and writes the C structures.
#![allow(unsafe_code)]

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::time::Duration;

use nix::libc;

/// Control messages of one message received: an error with its offender or time
/// to live and class of service, three time stamps, and spare.
pub(super) const RECEIVED_CONTROL: usize = 256;
/// Room for one `int` as a control message.
pub(super) const SENT_CONTROL: usize = 24;

/// Aligned as `struct cmsghdr` wants it.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Control<const N: usize>(pub(super) [u8; N]);

/// Calls `each` with level, type and data of each control message that the
/// kernel wrote into `buffer`, which `header` points at, for a message received.
pub(super) fn for_each_control<'b, const N: usize>(
    header: &libc::msghdr,
    buffer: &'b Control<N>,
    mut each: impl FnMut(i32, i32, &'b [u8]),
) {
    if header.msg_control.cast_const() != buffer.0.as_ptr().cast() {
        return;
    }
    // SAFETY: the kernel filled the buffer, which is borrowed for as long as what
    // is handed out; the macros stay within `msg_controllen`.
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

pub(super) fn int(data: &[u8]) -> Option<i32> {
    let bytes = data.get(..4)?.try_into().ok()?;
    Some(i32::from_ne_bytes(bytes))
}

/// A `struct timespec` or the first of three: the kernel's own stamp
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

/// An address in bytes, as `struct sockaddr_in` or `sockaddr_in6`.
pub(super) fn address_in(bytes: &[u8]) -> Option<SocketAddr> {
    let family = u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?);
    let port = u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?);
    match i32::from(family) {
        libc::AF_INET => {
            let ip: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
            Some((ip, port).into())
        }
        libc::AF_INET6 => {
            let ip: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
            let scope = u32::from_ne_bytes(bytes.get(24..28)?.try_into().ok()?);
            Some(SocketAddrV6::new(ip.into(), port, 0, scope).into())
        }
        _ => None,
    }
}

/// Writes a time to live as the one control message; its length.
pub(super) fn write_ttl(control: &mut Control<SENT_CONTROL>, family: i32, ttl: u8) -> usize {
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

pub(super) fn length_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or_default()
}

pub(super) fn address_length(address: &libc::sockaddr_in6) -> libc::socklen_t {
    match i32::from(address.sin6_family) {
        libc::AF_INET => length_of::<libc::sockaddr_in>(),
        _ => length_of::<libc::sockaddr_in6>(),
    }
}

/// An IPv4 address is the shorter of the two and fits where an IPv6 one does.
pub(super) fn write_address(slot: &mut libc::sockaddr_in6, address: SocketAddr) {
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
