//! What a reply is like, as far as its packet shows, before a core says whether it
//! counts.
//!
//! Pure.

/// What is known of a reply before a core has judged it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Sound, and from the target.
    Sound,
    /// Its checksum is wrong.
    BadChecksum,
    /// From another address than the target's.
    DifferentAddress,
}
