//! What several tests share.

#![allow(dead_code, reason = "each test takes what it needs")]

pub mod alone;
pub mod browser;
pub mod capture_file;
pub mod fixtures;
pub mod program;
pub mod refusing;
pub mod running;
pub mod settled;
pub mod story;
pub mod tshark;

use caps::{CapSet, Capability};

/// Says loudly that a test did not run, and fails where every test must run.
pub fn skipped(what: &str, lacking: &str) {
    assert!(
        std::env::var_os("SOCKLAB_REQUIRE_PRIVILEGED").is_none_or(|value| value != "1"),
        "{what} needs {lacking}, and SOCKLAB_REQUIRE_PRIVILEGED=1 forbids to skip it"
    );
    eprintln!("SKIPPED {what}: no {lacking}");
}

/// Whether this process may make network namespaces in itself and in what it
/// starts. Where not, says that `what` is skipped.
pub fn may_make_namespaces(what: &str) -> bool {
    let allowed = caps::has_cap(None, CapSet::Effective, Capability::CAP_SYS_ADMIN);
    let allowed = allowed.unwrap_or(false);
    if !allowed {
        skipped(what, "CAP_SYS_ADMIN");
    }
    allowed
}
