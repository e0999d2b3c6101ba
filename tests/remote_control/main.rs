//! `socklab remote`: the binary at both ends, each in a network namespace of its
//! test, with programs that behave as badly as programs can, and with somebody
//! between the ends.
//!
//! That a program has died is seen at a FIFO that it held open: the reader's end
//! of file comes when the last writer is gone.

#[path = "../support/mod.rs"]
mod support;

mod audit;
mod between;
mod demo;
mod door;
mod ends;
mod ground;
mod keys;
mod runs;
mod users;
