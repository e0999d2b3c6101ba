//! Network namespaces as threads (namespaces(7), `unshare(2)`).
//!
//! A [`Host`] is a thread that has unshared its network namespace. Work is sent
//! to it; children started from it live in it and die with it. The namespace
//! goes when the thread and the last socket in it are gone.

#![expect(
    unsafe_code,
    reason = "kernel edge: fork, exec and process descriptors"
)]

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::{Child, Command};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use caps::{CapSet, Capability};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork, getgid, getppid, getuid};

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
    /// Each a process that was started here, whether or not it still runs.
    children: Mutex<Vec<OwnedFd>>,
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
    probe()?;
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

/// Makes the next process that this one starts the first of a PID namespace of
/// its own: when that one ends, the kernel kills all that are in it
/// (pid_namespaces(7)).
///
/// Comes after [`enter_private_user_namespace`]; afterwards this process may
/// start no thread.
pub fn begin_private_process_namespace() -> Result<(), Error> {
    unshare(CloneFlags::CLONE_NEWPID).map_err(|errno| denied("unshare(CLONE_NEWPID)", errno.into()))
}

/// Tries in a child whether both namespaces can be had: some systems allow the
/// user namespace and then refuse what it is for (AppArmor on Ubuntu), and a
/// process that has entered one cannot go back to the capabilities it had.
fn probe() -> Result<(), Error> {
    // SAFETY: the process has one thread, as unshare(CLONE_NEWUSER) demands of
    // it anyway, so that the child may do whatever this one may; it makes two
    // system calls and ends.
    let child = match unsafe { fork() } {
        Err(errno) => return Err(denied("fork", errno.into())),
        Ok(ForkResult::Child) => {
            let both = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET;
            let errno = unshare(both).err().map_or(0, |errno| errno as i32);
            // SAFETY: ends the child at once, without running the parent's
            // destructors or flushing its buffers a second time.
            unsafe { nix::libc::_exit(errno) }
        }
        Ok(ForkResult::Parent { child }) => child,
    };
    match waitpid(child, None) {
        Ok(WaitStatus::Exited(_, 0)) => Ok(()),
        Ok(WaitStatus::Exited(_, errno)) => Err(denied(
            "unshare(CLONE_NEWUSER | CLONE_NEWNET)",
            io::Error::from_raw_os_error(errno),
        )),
        Ok(status) => Err(Error::new("try", "a user namespace", format!("{status:?}"))),
        Err(errno) => Err(Error::new("wait for", "a trial process", errno)),
    }
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
            children: Mutex::new(Vec::new()),
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

    /// Starts a program in this host. It is killed when the host is dropped, and
    /// when this process is, so that no orphan keeps the namespace alive. No
    /// signal is blocked in it, whatever is in this process. It keeps the host's network privileges where those come from a user
    /// namespace.
    ///
    /// One exception: a program with file capabilities, such as `ping` on some
    /// distributions, loses the kernel's promise to kill it with its parent
    /// (prctl(2), `PR_SET_PDEATHSIG`). It is killed with the host, but outlives
    /// a SIGKILL of this process, unless that is the first of a PID namespace
    /// ([`begin_private_process_namespace`]).
    pub fn spawn(&self, mut command: Command) -> io::Result<Child> {
        let parent = nix::unistd::getpid();
        // SAFETY: between fork and exec only three system calls are made, prctl,
        // sigprocmask and getppid, which are async-signal-safe; nothing allocates.
        unsafe {
            command.pre_exec(move || {
                prctl::set_pdeathsig(Signal::SIGKILL)?;
                SigSet::empty().thread_set_mask()?;
                if getppid() != parent {
                    return Err(io::Error::from_raw_os_error(nix::libc::ESRCH));
                }
                Ok(())
            });
        }
        let child = self.run(move || command.spawn())?;
        // Before the caller can reap it, so that the number is still its own.
        let handle = process_descriptor(child.id())?;
        self.children
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(handle);
        Ok(child)
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
        let children = self.children.get_mut();
        for child in children.unwrap_or_else(PoisonError::into_inner) {
            kill(child);
        }
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
    keep_network_capabilities();
    // Link-local addresses would put packets on the wire that no program sent.
    // Where these cannot be written (no IPv6, a read-only /proc/sys in a
    // container) the link works all the same, with a listener report or two.
    for (path, value) in [
        ("/proc/sys/net/ipv6/conf/default/addr_gen_mode", "1"),
        ("/proc/sys/net/ipv6/conf/default/accept_dad", "0"),
        ("/proc/sys/net/ipv6/conf/default/router_solicitations", "0"),
        ("/proc/sys/net/ipv6/conf/default/disable_ipv6", "0"),
        ("/proc/sys/net/ipv4/tcp_no_metrics_save", "1"),
    ] {
        let _ = fs::write(path, value);
    }
    RouteSocket::open()?.set_up("lo")
}

/// A descriptor for a child of this process (pidfd_open(2)).
fn process_descriptor(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: takes two integers and returns a new descriptor or -1.
    let descriptor = unsafe { nix::libc::syscall(nix::libc::SYS_pidfd_open, pid, 0) };
    let descriptor = i32::try_from(descriptor).map_err(io::Error::other)?;
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made it for this call, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// SIGKILL to the process behind a descriptor; one that has ended is left alone.
fn kill(process: &OwnedFd) {
    // SAFETY: the descriptor is open, and a null siginfo is allowed.
    unsafe {
        nix::libc::syscall(
            nix::libc::SYS_pidfd_send_signal,
            process.as_raw_fd(),
            nix::libc::SIGKILL,
            std::ptr::null::<nix::libc::siginfo_t>(),
            0,
        );
    }
}

/// What children of the calling thread inherit: the privileges that make a
/// private host one's own, where the process is not root but has them from its
/// user namespace (capabilities(7), ambient set).
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
