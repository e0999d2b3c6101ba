//! `socklab proxy` against curl, ncat, proxychains, ssh and clients of our own,
//! over IPv4 and IPv6, and every failure for real.
//!
//! Each test has a network namespace of its own, and names of its own that no
//! resolver outside is asked for. Nothing is waited for but the thing itself.

#[path = "../support/mod.rs"]
mod support;

mod bind;
mod demo;
mod handshake;
mod ordinary;
mod peers;
mod rules;
mod servers;
mod stand;
mod telling;
mod tunnel;
mod udp;
