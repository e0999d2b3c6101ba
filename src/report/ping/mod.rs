//! A ping run as a person reads it: the words of `ping(8)`, and what it has none
//! for.
//!
//! Renderings only: what happened and what it amounts to is decided before.

pub mod csv;
pub mod ledger;
#[cfg(test)]
mod made_up;
mod text;

pub use text::{Addresses, Detail, Layout, PingText};
