//! What remote control tells.
//!
//! Pure values. Nothing here formats a line of output.

use serde::Serialize;

/// A step of remote control.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "remote", rename_all = "snake_case")]
pub enum Remote {}
