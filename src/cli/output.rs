//! What is shown and where it goes, as typed: JSON Lines, pcapng, hex dumps,
//! sequence numbers, colour.

use clap::ValueEnum;

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Colour {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always, in a pipe too.
    Always,
    /// Never.
    Never,
}
