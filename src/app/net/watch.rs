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

/// A connection, to be read and written.
pub(super) fn connection(stream: Stream) -> io::Result<AsyncFd<Stream>> {
    let interest = Interest::READABLE | Interest::WRITABLE;
    // SAFETY: a Stream owns its descriptor, and gives the same one as long as it
    // lives; it is closed only by being consumed, which AsyncFd prevents.
    unsafe { AsyncFd::register_with_interest(stream, interest) }.map_err(io::Error::from)
}

/// An attempt to connect: it has ended when its socket is writable.
pub(super) fn attempt(stream: &Arc<Stream>) -> io::Result<AsyncFd<Arc<Stream>>> {
    // SAFETY: as above; the clone keeps the Stream, and thus its descriptor, for
    // as long as it is watched.
    unsafe { AsyncFd::register_with_interest(Arc::clone(stream), Interest::WRITABLE) }
        .map_err(io::Error::from)
}

/// A listening socket: readable when somebody waits.
pub(super) fn listener(listener: Listener) -> io::Result<AsyncFd<Listener>> {
    // SAFETY: as above: a Listener owns its descriptor and keeps it.
    unsafe { AsyncFd::register_with_interest(listener, Interest::READABLE) }
        .map_err(io::Error::from)
}
