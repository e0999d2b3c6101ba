//! Thin recorded wrappers over the kernel's sockets.
//!
//! Each method is one system call and records it: its arguments, its result or
//! errno, and how long it took. No policy, no retry, no buffering. A socket
//! belongs to the network namespace of the thread that opened it and may be
//! used from any thread.

pub mod datagram;
pub mod diag;
mod handle;
pub(crate) mod kernel;
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
