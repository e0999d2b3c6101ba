//! A ping run as a person reads it: the words of `ping(8)`, and what it has none
//! for.
//!
//! Renderings only: what happened and what it amounts to is decided before.

pub mod sweep;
mod text;

pub use text::{Addresses, Detail, Layout, PingText};
