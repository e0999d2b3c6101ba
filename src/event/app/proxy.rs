//! What a proxy tells.
//!
//! Pure values. Nothing here formats a line of output.

use serde::Serialize;

/// A step of a proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "proxy", rename_all = "snake_case")]
pub enum Proxy {}
