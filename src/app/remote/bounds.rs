//! What a program may take, set between fork(2) and execve(2), so that neither
//! it nor what it starts is ever without: setrlimit(2), prctl(2).
//!
//! Owns no process. Only calls that signal-safety(7) allows are made there.

#![expect(
    unsafe_code,
    reason = "kernel edge: what runs between fork(2) and execve(2)"
)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::libc;
use nix::sys::prctl::{set_no_new_privs, set_pdeathsig};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::setsid;

use crate::protocol::remote::allow::{Bounds, Privileges};

/// Makes `command` bind itself before it becomes another program.
pub(super) fn set(command: &mut Command, bounds: &Bounds) {
    let bounds = *bounds;
    // SAFETY: the closure runs in the child of a fork. It allocates nothing,
    // takes no lock, and makes only the system calls setsid, sigprocmask,
    // close_range, setrlimit, getrlimit and prctl; an error is made from an errno, without memory.
    unsafe {
        command.pre_exec(move || bind(&bounds));
    }
}

fn bind(bounds: &Bounds) -> io::Result<()> {
    // No terminal is left to it, and no group but its own can be joined.
    setsid()?;
    // What this thread leaves to others must reach the program: SIGTERM too.
    SigSet::empty().thread_set_mask()?;
    keep_nothing_open()?;
    limit(Resource::RLIMIT_CORE, 0)?;
    limit(Resource::RLIMIT_CPU, bounds.processor)?;
    limit(Resource::RLIMIT_AS, bounds.memory)?;
    limit(Resource::RLIMIT_FSIZE, bounds.file_size)?;
    limit(Resource::RLIMIT_NOFILE, bounds.files)?;
    if let Some(processes) = bounds.processes {
        limit(Resource::RLIMIT_NPROC, processes)?;
    }
    // A keeper that is killed leaves no program behind.
    set_pdeathsig(Signal::SIGKILL)?;
    if bounds.privileges == Privileges::None {
        set_no_new_privs()?;
    }
    Ok(())
}

/// At most `most`, and never more than is left to us.
fn limit(resource: Resource, most: u64) -> io::Result<()> {
    let (_, hard) = getrlimit(resource)?;
    let most = most.min(hard);
    Ok(setrlimit(resource, most, most)?)
}

/// Whatever descriptors this server was started with end with execve(2): all but
/// the first three.
fn keep_nothing_open() -> io::Result<()> {
    let flags = libc::CLOSE_RANGE_CLOEXEC.cast_signed();
    // SAFETY: only flags of descriptors change, and of this process alone: a
    // child of fork(2) has its own table.
    let result = unsafe { libc::close_range(3, u32::MAX, flags) };
    Errno::result(result)?;
    Ok(())
}
