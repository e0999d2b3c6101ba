//! Network namespaces as threads (namespaces(7), `unshare(2)`).
//!
//! A [`Host`] is a thread that has unshared its network namespace. Work is sent
//! to it; children started from it live in it and die with it. The namespace
//! goes when the thread and the last socket in it are gone.

#![expect(
    unsafe_code,
    reason = "kernel edge: what a child does between fork and exec"
)]

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::{Child, Command};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use caps::{CapSet, Capability};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{getgid, getppid, getuid};

use super::Addresses;
use super::netlink::RouteSocket;
use crate::error::{Error, explain};
use crate::event::Place;
use crate::recorder::Recorder;

type Job = Box<dyn FnOnce() + Send>;

/// A private host: its own interfaces, addresses, routes, ports and sysctls.
pub struct Host {
    addresses: Addresses,
    recorder: Recorder,
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

/// How this process came to be allowed to make network namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    /// It has `CAP_SYS_ADMIN` already.
    Inherited,
    /// It is privileged inside a user namespace of its own.
    UserNamespace,
}

/// Makes the process able to build a link: does nothing where it may already
/// make network namespaces, else enters a user namespace of its own, in which
/// its user and group keep their numbers.
///
/// Must be called before the process starts a second thread (unshare(2) gives
/// EINVAL afterwards).
pub fn enter_private_user_namespace() -> Result<Privilege, Error> {
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SYS_ADMIN).unwrap_or(false) {
        return Ok(Privilege::Inherited);
    }
    let (user, group) = (getuid(), getgid());
    unshare(CloneFlags::CLONE_NEWUSER)
        .map_err(|errno| denied("unshare(CLONE_NEWUSER)", errno.into()))?;
    let map = |path: &str, text: String| {
        fs::write(path, text).map_err(|error| denied(&format!("write {path}"), error))
    };
    map("/proc/self/setgroups", "deny".into())?;
    map("/proc/self/uid_map", format!("{user} {user} 1"))?;
    map("/proc/self/gid_map", format!("{group} {group} 1"))?;
    Ok(Privilege::UserNamespace)
}

/// The calling thread's network namespace as a descriptor.
pub(super) fn current() -> Result<OwnedFd, Error> {
    const PATH: &str = "/proc/thread-self/ns/net";
    fs::File::open(PATH)
        .map(OwnedFd::from)
        .map_err(|error| Error::new("open", PATH, error))
}

impl Host {
    /// Starts the host's thread in a new network namespace with loopback up.
    pub(super) fn create(recorder: &Recorder, addresses: Addresses) -> Result<Self, Error> {
        let (jobs, queue) = channel::<Job>();
        let thread = std::thread::Builder::new()
            .name(format!("{}", recorder.place()))
            .spawn(move || queue.into_iter().for_each(|job| job()))
            .map_err(|error| Error::new("start the thread of", recorder.place(), error))?;
        let host = Self {
            addresses,
            recorder: recorder.clone(),
            jobs: Some(jobs),
            thread: Some(thread),
        };
        host.run(become_private)?;
        Ok(host)
    }

    /// Runs `work` in this host and returns what it returns. Sockets that it
    /// opens belong to the host and may be used from any thread afterwards.
    ///
    /// # Panics
    ///
    /// Where `work` does.
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (answer, result) = channel();
        let job: Job = Box::new(move || {
            // The receiver waits below until this send, so it is there.
            let _ = answer.send(catch_unwind(AssertUnwindSafe(work)));
        });
        let queued = self.jobs.as_ref().map(|jobs| jobs.send(job));
        match (queued, result.recv()) {
            (Some(Ok(())), Ok(Ok(value))) => value,
            (_, Ok(Err(panic))) => resume_unwind(panic),
            _ => unreachable!("the thread of a host outlives the host's handle"),
        }
    }

    /// Starts a program in this host. It dies when the host does, so that no
    /// orphan keeps the namespace alive, and it keeps the host's network
    /// privileges where those come from a user namespace.
    pub fn spawn(&self, mut command: Command) -> io::Result<Child> {
        let parent = nix::unistd::getpid();
        // SAFETY: between fork and exec only async-signal-safe system calls are
        // made: prctl, capget, capset and getppid; nothing allocates on success.
        unsafe {
            command.pre_exec(move || {
                prctl::set_pdeathsig(Signal::SIGKILL)?;
                if getppid() != parent {
                    return Err(io::Error::from_raw_os_error(nix::libc::ESRCH));
                }
                keep_network_capabilities();
                Ok(())
            });
        }
        self.run(move || command.spawn())
    }

    /// Which of the hosts it is.
    pub fn place(&self) -> Place {
        self.recorder.place()
    }

    /// Its addresses.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// A recorder for what happens here.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic in a job was handed to its caller; the thread has none.
            let _ = thread.join();
        }
    }
}

fn become_private() -> Result<(), Error> {
    unshare(CloneFlags::CLONE_NEWNET)
        .map_err(|errno| denied("unshare(CLONE_NEWNET)", errno.into()))?;
    // Link-local addresses and duplicate address detection would put packets on
    // the wire that no program sent. Absent where the kernel has no IPv6.
    for (path, value) in [
        ("/proc/sys/net/ipv6/conf/default/addr_gen_mode", "1"),
        ("/proc/sys/net/ipv6/conf/default/accept_dad", "0"),
        ("/proc/sys/net/ipv6/conf/default/router_solicitations", "0"),
        ("/proc/sys/net/ipv6/conf/default/disable_ipv6", "0"),
        ("/proc/sys/net/ipv4/tcp_no_metrics_save", "1"),
    ] {
        match fs::write(path, value) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::new("write", path, error));
            }
            _ => {}
        }
    }
    RouteSocket::open()?.set_up("lo")
}

fn keep_network_capabilities() {
    for capability in [
        Capability::CAP_NET_ADMIN,
        Capability::CAP_NET_RAW,
        Capability::CAP_NET_BIND_SERVICE,
    ] {
        // Ambient capabilities need inheritable ones; where the process has
        // none to give, the child simply has none.
        if caps::raise(None, CapSet::Inheritable, capability).is_ok() {
            let _ = caps::raise(None, CapSet::Ambient, capability);
        }
    }
}

fn denied(operation: &str, cause: io::Error) -> Error {
    let why = explain(&cause);
    Error::new(operation, "", cause).remedy(format!(
        "a private link needs root or user namespaces ({why}): run with sudo, or allow them with \
         `sysctl kernel.unprivileged_userns_clone=1` (Debian), \
         `sysctl kernel.apparmor_restrict_unprivileged_userns=0` or an AppArmor profile that \
         grants userns (Ubuntu), or a container option such as --privileged"
    ))
}
