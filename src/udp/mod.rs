//! Datagram sockets (udp(7), RFC 768): the demonstration, and the tools that talk
//! to other machines.
//!
//! `demonstration` plays between two hosts of its own; [`connect`] speaks with
//! one peer, [`listen`] with whoever writes, [`send`](mod@send) to many. A
//! `mailbox` is the socket of all three; `tally` has its count, and `returned` the
//! errors that come back. Engines never print: what is said
//! leaves as events, and the conversation's bytes through a writer.

pub mod check;
pub mod connect;
mod cut;
mod demonstration;
pub mod listen;
mod mailbox;
mod returned;
pub mod send;
mod tally;

pub use cut::{Cut, LineEnd};
pub use demonstration::{Config, LARGEST, Outcome, Pace, Row, demonstrate};
pub use mailbox::Opened;
pub use tally::{Count, Ending, Tally};
