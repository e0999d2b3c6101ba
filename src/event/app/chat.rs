//! What a chat room tells.
//!
//! Pure values. Nothing here formats a line of output.

use serde::Serialize;

/// A step of a chat room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "chat", rename_all = "snake_case")]
pub enum Chat {}
