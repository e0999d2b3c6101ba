//! Giving up what only opening the socket needed (`capabilities(7)`,
//! `PR_SET_NO_NEW_PRIVS` in `prctl(2)`).
//!
//! Capabilities belong to a thread: call this before starting any other.

use caps::CapSet;
use nix::sys::prctl;
use nix::unistd::{Uid, geteuid, getuid, setresuid};

use crate::error::Error;

/// Drops every capability of this thread for good: a program started from here
/// does not get one back either, even where this process is root's.
pub fn drop_privileges() -> Result<(), Error> {
    let failed = |call| move |errno: nix::errno::Errno| Error::new(call, "", errno);
    prctl::set_no_new_privs().map_err(failed("prctl(PR_SET_NO_NEW_PRIVS)"))?;
    leave_set_user_id(getuid(), geteuid()).map_err(failed("setresuid"))?;
    for set in [
        CapSet::Ambient,
        CapSet::Inheritable,
        CapSet::Effective,
        CapSet::Permitted,
    ] {
        caps::clear(None, set)
            .map_err(|cause| Error::new("capset", format!("{set:?}"), cause.to_string()))?;
    }
    Ok(())
}

/// A set-user-ID program becomes its caller.
fn leave_set_user_id(real: Uid, effective: Uid) -> nix::Result<()> {
    if real == effective {
        return Ok(());
    }
    setresuid(real, real, real)
}
