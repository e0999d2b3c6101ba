//! `socklab ping --trace` and `--mtu`: what lies between here and the host.

use std::process::ExitCode;

use super::Args;
use crate::error::Error;

/// What to find out about the path.
#[derive(Debug, Clone, clap::Args)]
pub struct PathArgs {}

impl PathArgs {
    /// Whether the path is asked about at all.
    pub(super) const fn is_asked(_: &Self) -> bool {
        false
    }
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Error> {
    super::host::run(args)
}
