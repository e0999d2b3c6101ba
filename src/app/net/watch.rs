//! Sockets given to tokio to be waited for (epoll(7)).
//!
//! Owns nothing; the kernel's edge of the applications.

#![expect(
    unsafe_code,
    reason = "kernel edge: tokio is promised that a socket keeps its descriptor"
)]

use std::io;
use std::sync::Arc;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::socket::{Listener, Stream};

/// A connection, to be read and written; an attempt to connect, which has ended
/// when its socket is writable.
pub(super) fn connection(stream: Arc<Stream>) -> io::Result<AsyncFd<Arc<Stream>>> {
    let interest = Interest::READABLE | Interest::WRITABLE;
    // SAFETY: a Stream owns its descriptor, and gives the same one as long as it
    // lives; it is closed only by being consumed, which this clone prevents.
    unsafe { AsyncFd::register_with_interest(stream, interest) }.map_err(io::Error::from)
}

/// A listening socket: readable when somebody waits.
pub(super) fn listener(listener: Listener) -> io::Result<AsyncFd<Listener>> {
    // SAFETY: as above: a Listener owns its descriptor and keeps it.
    unsafe { AsyncFd::register_with_interest(listener, Interest::READABLE) }
        .map_err(io::Error::from)
}
