//! Ping: ICMP and ICMPv6 echo, judged by this host's clock (RFC 792, RFC 4443).
//!
//! [`Core`] decides, without a socket or a clock; [`run`] carries out: it waits
//! with `ppoll(2)` on a socket that the caller opened. Nothing here prints: all
//! that happens goes to a [`crate::event::Sink`].

mod core;
mod statistics;
pub mod wire;

pub use core::{Condition, Core, Judged, Plan, Probe, Refused};
pub use statistics::RoundTrips;
