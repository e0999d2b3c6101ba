//! Remote control: the server that runs what is allowed, and its client.
//!
//! Owns the sockets, the programs, the keys' files and the audit log; what is
//! said is [`protocol::remote`](crate::protocol::remote)'s.

mod audit;
mod bounds;
mod client;
pub mod demo;
mod keeper;
pub mod keys;
mod machine;
mod process;
mod run;
mod server;
mod visit;

pub use audit::Audit;
pub use client::{Answer, Session, open};
pub use keeper::keep;
pub use machine::report;
pub use server::{Config, House, Served, serve};

use std::time::Duration;

use crate::event::{Remote, Topic, What};
use crate::recorder::Recorder;
use crate::socket::options::SocketOption;

/// How long a handshake may take, where nothing else is said.
pub const HANDSHAKE: Duration = Duration::from_secs(5);

/// Tells a step, where anybody listens.
fn tell(recorder: &Recorder, step: impl FnOnce() -> Remote) {
    if recorder.wants(Topic::App) {
        recorder.record(recorder.clock().now(), What::Remote(step()));
    }
}

/// What every connection has, so that a peer that is gone without a word is
/// found out (tcp(7)): asked after half a minute of silence, given up a minute
/// later.
pub fn keepalive() -> Vec<SocketOption> {
    "keepalive=30,10,6".parse().into_iter().collect()
}
