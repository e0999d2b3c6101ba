//! A ping run as a person reads it: the words of `ping(8)`, and what it has none
//! for; and as programs do.
//!
//! Renderings only: what happened and what it amounts to is decided before.

pub mod closing;
pub mod csv;
pub mod graph;
mod histogram;
pub mod ledger;
#[cfg(test)]
mod made_up;
mod path;
pub mod prometheus;
mod stats;
pub mod sweep;
mod text;

pub use path::{PathDetail, PathLayout, PathText};
pub use text::{Addresses, Detail, Extras, Header, Layout, PingText, Preamble};
