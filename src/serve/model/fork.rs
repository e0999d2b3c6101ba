//! A process for each client, as the first servers had it: accept(2), fork(2),
//! and the child talks while the parent accepts the next.
//!
//! Nothing that goes wrong with one client can touch another, and each costs a
//! process. Both sides close what is the other's: a parent that kept the
//! connection would keep it open after the child has gone. Children that ended
//! stay as zombies until they are waited for (wait(2)).

#![expect(unsafe_code, reason = "kernel edge: fork, _exit and signal handlers")]

use std::collections::HashSet;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Instant;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::sys::socket::{Shutdown, shutdown};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

use crate::error::Error;
use crate::serve::conversation::converse;
use crate::serve::door::{Arrival, Door, Knock, PAUSE};
use crate::serve::tale::Witness;

pub(super) fn serve(door: &Door<'_>) -> Result<(), Error> {
    refuse_threads()?;
    // A child that ends interrupts the parent's poll(2), and is waited for.
    signal_hook::flag::register(libc::SIGCHLD, Arc::<AtomicBool>::default())
        .map_err(|error| Error::new("sigaction", "SIGCHLD", error))?;
    let mut children = HashSet::new();
    let served = receive(door, &mut children);
    see_off(door, &mut children);
    served
}

fn receive(door: &Door<'_>, children: &mut HashSet<Pid>) -> Result<(), Error> {
    loop {
        reap(children);
        if door.terms.stop.is_asked() {
            return Ok(());
        }
        if children.len() >= door.terms.most {
            door.rest()?;
            continue;
        }
        match door.knock()? {
            Knock::Client(arrival) => children.extend(hand_over(door, arrival)),
            Knock::Nobody => door.wait()?,
            Knock::Gone => {}
            Knock::Full => door.rest()?,
        }
    }
}

/// Gives the client to a child of its own.
fn hand_over(door: &Door<'_>, arrival: Arrival<TcpStream>) -> Option<Pid> {
    let Arrival {
        client, mut tale, ..
    } = arrival;
    // SAFETY: this process has one thread (see `refuse_threads`), so that the
    // child may do whatever this one may.
    match unsafe { fork() } {
        Ok(ForkResult::Parent { child }) => {
            // The connection is the child's now.
            drop(client);
            if let Some(tale) = &mut tale {
                tale.disown();
            }
            Some(child)
        }
        Ok(ForkResult::Child) => attend(door, (&client, tale)),
        Err(errno) => {
            door.terms.journal.exhausted(&errno.into());
            None
        }
    }
}

/// The child's whole life.
fn attend(door: &Door<'_>, client: (&TcpStream, Witness)) -> ! {
    // The listener is the parent's.
    let _ = nix::unistd::close(door.listener.as_raw_fd());
    end_on_signals(client.0);
    let is_done = converse(client, door.terms, || Ok(true)).is_ok();
    // SAFETY: ends the process at once. What the parent had not yet written out,
    // and what it would undo at its end, is the parent's to write and to undo.
    unsafe { libc::_exit(i32::from(!is_done)) }
}

/// The descriptor of the child's only client.
static CLIENT: AtomicI32 = AtomicI32::new(-1);

extern "C" fn stop_reading(_: libc::c_int) {
    // shutdown(2) is async-signal-safe, and makes a read that waits or is about
    // to wait return the end of the stream.
    let _ = shutdown(CLIENT.load(Ordering::Relaxed), Shutdown::Read);
}

fn end_on_signals(client: &TcpStream) {
    CLIENT.store(client.as_raw_fd(), Ordering::Relaxed);
    let handler = SigHandler::Handler(stop_reading);
    let action = SigAction::new(handler, SaFlags::SA_RESTART, SigSet::empty());
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        // SAFETY: the handler makes one async-signal-safe call.
        let _ = unsafe { sigaction(signal, &action) };
    }
}

/// Waits for the children that have ended, without waiting for any to end.
fn reap(children: &mut HashSet<Pid>) {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => return,
            Ok(status) => {
                if let Some(child) = status.pid() {
                    children.remove(&child);
                }
            }
            Err(Errno::EINTR) => {}
            Err(_) => return,
        }
    }
}

/// Asks the children to end, and kills those that will not.
fn see_off(door: &Door<'_>, children: &mut HashSet<Pid>) {
    let deadline = Instant::now() + door.terms.patience;
    signal_all(children, Signal::SIGTERM);
    while !children.is_empty() && Instant::now() < deadline {
        std::thread::sleep(PAUSE.min(door.terms.patience));
        reap(children);
    }
    signal_all(children, Signal::SIGKILL);
    for child in children.drain() {
        let _ = waitpid(child, None);
    }
}

fn signal_all(children: &HashSet<Pid>, signal: Signal) {
    for child in children {
        // One that has ended is still there until it is waited for.
        let _ = kill(*child, signal);
    }
}

/// After fork(2) only the calling thread exists in the child; what the others
/// held, such as a lock of the allocator, would be held for ever.
fn refuse_threads() -> Result<(), Error> {
    const PATH: &str = "/proc/self/task";
    let threads = std::fs::read_dir(PATH).map_err(|error| Error::new("read", PATH, error))?;
    match threads.count() {
        0 | 1 => Ok(()),
        count => Err(Error::new(
            "fork",
            "a process for each client",
            format!("this process has {count} threads, and a child would have one of them"),
        )),
    }
}
