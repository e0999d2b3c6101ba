//! Renderings of events.

pub mod json;
pub mod ping;
