//! Kernel edge: what neither socket2 nor nix has: socket options as bytes, and
//! accept4(2) with its flags and its address.
//!
//! Owns the unsafe calls and nothing else; what the bytes mean is the caller's
//! business (setsockopt(2)).

#![expect(
    unsafe_code,
    reason = "kernel edge: getsockopt and setsockopt on raw bytes, accept4 with flags"
)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::libc;
use socket2::SockAddr;

/// Reads a socket option into `buffer` and returns how many bytes the kernel
/// wrote: an older kernel writes fewer than a newer one.
pub(crate) fn option_bytes(
    socket: BorrowedFd<'_>,
    level: i32,
    name: i32,
    buffer: &mut [u8],
) -> io::Result<usize> {
    let mut length = libc::socklen_t::try_from(buffer.len()).unwrap_or(libc::socklen_t::MAX);
    // SAFETY: `buffer` is valid for writes of `length` bytes and `length` is a
    // valid socklen_t for the whole call; the descriptor is borrowed, so open.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            level,
            name,
            buffer.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result == 0 {
        Ok(length as usize)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Sets a socket option from bytes.
pub(crate) fn set_option_bytes(
    socket: BorrowedFd<'_>,
    level: i32,
    name: i32,
    value: &[u8],
) -> io::Result<()> {
    let length = libc::socklen_t::try_from(value.len()).map_err(io::Error::other)?;
    // SAFETY: `value` is valid for reads of `length` bytes; the descriptor is
    // borrowed, so open.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            value.as_ptr().cast(),
            length,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Accepts a connection as a socket that never blocks and no child inherits, and
/// its peer's address: one call where accept(2) needs two more.
pub(crate) fn accept_nonblocking(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, SockAddr)> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: the storage is valid for writes of `length` bytes, and `length` is how many the
    // kernel wrote; a descriptor that it returns is new, and nobody else's.
    unsafe {
        SockAddr::try_init(|storage, length| {
            let address = storage.cast::<libc::sockaddr>();
            match libc::accept4(listener.as_raw_fd(), address, length, flags) {
                -1 => Err(io::Error::last_os_error()),
                descriptor => Ok(OwnedFd::from_raw_fd(descriptor)),
            }
        })
    }
}
