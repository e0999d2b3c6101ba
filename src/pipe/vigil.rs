//! Waiting that a signal always ends (ppoll(2), signal(7)).
//!
//! A signal that comes between the look at the stop flag and the call that waits
//! would be missed. So it is held back meanwhile, and let through only by the
//! kernel while it waits. Never decides what a signal means.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, ppoll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::time::TimeSpec;

/// Signals are held back on this thread, but while it waits, and on those that it
/// starts meanwhile: they reach nobody but who waits.
pub struct Vigil<'a> {
    stop: &'a AtomicBool,
    before: SigSet,
    /// The mask while it waits: one vigil may begin during another.
    open: SigSet,
}

impl<'a> Vigil<'a> {
    /// Begins; `stop` is what the signals' handlers raise.
    pub fn begin(stop: &'a AtomicBool) -> Result<Self, Errno> {
        let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
        let before = signals.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        let mut open = before;
        open.remove(Signal::SIGINT);
        open.remove(Signal::SIGTERM);
        Ok(Self { stop, before, open })
    }

    /// Whether it is to end.
    pub fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Waits until one of these is ready, patience ends, or a signal comes.
    pub fn wait(&self, fds: &mut [PollFd<'_>], patience: Option<Duration>) -> Result<(), Errno> {
        if self.is_over() {
            return Ok(());
        }
        match ppoll(fds, patience.map(TimeSpec::from_duration), Some(self.open)) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }
}

impl Drop for Vigil<'_> {
    fn drop(&mut self) {
        // The mask was this thread's own before.
        let _ = self.before.thread_set_mask();
    }
}
