//! What the applications say to each other: framing and state machines.
//!
//! Pure: bytes, values and `now` in, values out. Every machine here is bounded:
//! whoever sends without end is refused, never stored. The sockets that carry
//! it are the business of [`app`](crate::app).

pub mod chat;
pub mod file;
pub mod proxy;
pub mod remote;
pub mod services;
