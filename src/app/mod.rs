//! The applications on top of sockets: chat, file, remote, proxy.
//!
//! Each runs on tokio over the recorded sockets of [`socket`](crate::socket),
//! so that it can be watched call by call; what is said is the business of
//! [`protocol`](crate::protocol).

pub mod chat;
pub mod demo;
pub mod file;
pub mod net;
pub mod proxy;
pub mod remote;
mod stop;

pub use stop::Stop;

use tokio::runtime::{Builder, Runtime};

use crate::error::Error;

/// What runs an application's tasks: on so many threads, or on the caller's
/// alone where that is none. Its threads live in the network namespace of the
/// thread that builds it.
pub fn runtime(threads: usize) -> Result<Runtime, Error> {
    let mut builder = match threads {
        0 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    if threads > 0 {
        builder.worker_threads(threads);
    }
    builder
        .thread_name("task")
        .enable_all()
        .build()
        .map_err(|error| Error::new("start", "the runtime", error))
}
