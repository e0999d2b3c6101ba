//! Thin recorded wrappers over the kernel's sockets.
//!
//! Each method is one system call and records it: its arguments, its result or
//! errno, and how long it took. No policy, no retry, no buffering. A socket
//! belongs to the network namespace of the thread that opened it and may be
//! used from any thread.

pub mod bulk;
pub mod datagram;
pub mod diag;
mod handle;
pub mod icmp;
pub(crate) mod kernel;
pub mod message;
pub mod options;
pub(crate) mod packet;
pub mod raw;
pub mod stream;
pub mod tcp_info;
pub(crate) mod watch;

pub use datagram::{Datagram, Received};
pub use handle::Handle;
pub use raw::Raw;
pub use stream::{Listener, Stream};
pub use tcp_info::TcpInfo;

use std::io;
use std::net::SocketAddr;

use nix::errno::Errno;
use nix::libc;

use crate::error::Error;

/// Whether a failure to listen means that this host has no IPv6: it is switched
/// off, or not built into the kernel.
pub fn is_without_ipv6(error: &Error) -> bool {
    matches!(
        error.errno(),
        Some(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL)
    )
}

/// A failed `bind()` with what would help.
pub fn bind_failure(address: SocketAddr, error: io::Error) -> Error {
    let remedy = match error.raw_os_error() {
        Some(libc::EADDRINUSE) => "another program has this port; choose one with --port",
        Some(libc::EACCES) => "ports below 1024 need CAP_NET_BIND_SERVICE; try --port 8080",
        Some(libc::EADDRNOTAVAIL) if address.is_ipv6() => {
            "this host has no such address; is IPv6 disabled? try -4"
        }
        _ => return Error::new("bind", address, error),
    };
    Error::new("bind", address, error).remedy(remedy)
}
