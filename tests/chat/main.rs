//! `socklab chat` with bare nc, ncat and telnet, with itself, with members who do
//! not read, reset or send what could harm a terminal, over streams, datagrams
//! and a multicast group.
//!
//! Each test has a network namespace of its own. Nothing is waited for but the
//! thing itself: a line.

#[path = "../support/mod.rs"]
mod support;

mod datagrams;
mod demonstration;
mod members;
mod ordinary;
mod peers;
mod stage;
mod terminal;
