//! `socklab ping` of many targets, as `fping(8)` does it.

use std::process::ExitCode;

use super::Args;
use crate::error::Error;

/// Which targets, and how.
#[derive(Debug, Clone, clap::Args)]
pub struct SweepArgs {}

impl SweepArgs {
    /// Whether there is more than one target.
    pub(super) const fn is_asked(_: &Self, hosts: &[String]) -> bool {
        hosts.len() > 1
    }
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Error> {
    super::host::run(args)
}
