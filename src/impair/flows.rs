//! Which conversation a packet belongs to.

use serde::Serialize;

/// A conversation's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FlowName {}
