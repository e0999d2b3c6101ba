//! The comparison between real machines: a server that listens, and a client
//! that sends what it would send on a link.
//!
//! A control connection agrees on everything; messages flow from client to
//! server only. The server never sends a datagram but the answer to one that
//! knew the session's token, and no longer than that.
//!
//! ```text
//!  client                                   server
//!    │ ── hello ─────────────────────────────► │
//!    │ ◄──────────────── welcome (token) ────── │   or busy
//!    │ ── ping ──►  ◄── pong (times) ── ×8      │   how far apart are the clocks?
//!    │ ── plan (kinds, count, size, rate) ────► │
//!    │ ◄──────────── ready (which kinds can) ── │
//!    │ ══ attach (token), a stream a kind ════► │
//!    │ ·· proof (token), datagrams ···········► │   ··► one answer, as long
//!    │ ── go ─────────────────────────────────► │
//!    │ ══··· messages ···══════════════════════►│
//!    │ ── end (how many) ─────────────────────► │
//!    │ ◄────────── arrivals, message by message │
//!    │ ── ping ──►  ◄── pong ── ×8, bye         │   have the clocks kept step?
//! ```

mod agenda;
mod caller;
mod client;
mod clocks;
mod control;
mod ear;
mod frame;
mod journal;
mod ledger;
mod limits;
mod offset;
mod proof;
mod protocol;
mod raw;
mod registry;
mod server;
mod session;
mod visit;
mod way;

pub use client::{Ran, run};
pub use clocks::Clocks;
pub use journal::Journal;
pub use limits::Limits;
pub use server::Server;
