//! What a file transfer tells.
//!
//! Pure values. Nothing here formats a line of output.

use serde::Serialize;

/// A step of a file transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "file", rename_all = "snake_case")]
pub enum File {}
