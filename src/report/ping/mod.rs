//! A ping run as a person reads it: the words of `ping(8)`, and what it has none
//! for.
//!
//! Renderings only: what happened and what it amounts to is decided before.

mod path;
mod text;

pub use path::{PathDetail, PathLayout, PathText};
pub use text::{Addresses, Detail, Extras, Header, Layout, PingText, Preamble};
