//! A network namespace for one test: whatever listens there and whatever comes,
//! the test has started.
//!
//! Owns no program: those are [`running`](super::running)'s.

use std::process::Command;
use std::thread;

use nix::sched::{CloneFlags, unshare};

use super::settled::SETTLED;

/// Runs `test` on a thread in a network namespace of its own, where loopback is
/// up and every port is free.
pub fn alone(what: &str, test: impl FnOnce() + Send + 'static) {
    alone_after(what, || {}, test);
}

/// The same, in a mount namespace of its own too, once `furnish` has put there
/// what the test needs: links, addresses, [`names`].
pub fn alone_after(
    what: &str,
    furnish: impl FnOnce() + Send + 'static,
    test: impl FnOnce() + Send + 'static,
) {
    if !super::may_make_namespaces(what) {
        return;
    }
    let stage = move || {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("namespaces");
        sh("mount --make-rprivate / && ip link set lo up");
        furnish();
        sh(SETTLED);
        test();
    };
    thread::spawn(stage).join().expect("the test passes");
}

/// Mounts these over `/etc/hosts`, for this thread and what it starts, and has no
/// name looked up outside.
pub fn names(hosts: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    for (file, text) in [("hosts", hosts), ("resolv.conf", RESOLVER)] {
        let own = folder.path().join(file);
        std::fs::write(&own, text).expect("it is written");
        // What is mounted stays when the folder goes.
        sh(&format!("mount --bind {} /etc/{file}", own.display()));
    }
}

/// Nobody answers there, at once.
const RESOLVER: &str = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n";

/// Runs a shell script, which must succeed.
pub fn sh(script: &str) {
    let status = Command::new("sh").args(["-ec", script]).status();
    assert!(status.expect("sh runs").success(), "{script}");
}
