//! Signals as flags: stop (`SIGINT`) and show the figures (`SIGQUIT`).
//!
//! A handler only sets a flag and writes a byte to a pipe that `ppoll(2)`
//! watches, so that no signal is lost between a look at the flags and the wait
//! (`signal-safety(7)`).

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGQUIT};
use signal_hook::{flag, low_level::pipe};

/// What a run is asked to do from outside.
#[derive(Debug)]
pub struct Signals {
    stop: Arc<AtomicBool>,
    status: Arc<AtomicBool>,
    wake: UnixStream,
    waker: UnixStream,
}

impl Signals {
    /// Flags that no signal sets.
    pub fn unconnected() -> io::Result<Self> {
        let (wake, waker) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        Ok(Self {
            stop: Arc::default(),
            status: Arc::default(),
            wake,
            waker,
        })
    }

    /// Flags that this process's signals set from now on.
    pub fn install() -> io::Result<Self> {
        let signals = Self::unconnected()?;
        for (signal, raised) in [(SIGINT, &signals.stop), (SIGQUIT, &signals.status)] {
            flag::register(signal, Arc::clone(raised))?;
            pipe::register(signal, signals.waker.try_clone()?)?;
        }
        Ok(signals)
    }

    /// The flag that ends the run, for whoever else may want it to end: a sink
    /// whose reader is gone, say.
    pub fn stop_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// Whether the run is to end.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Whether the figures were asked for since the last call.
    pub fn take_status_request(&self) -> bool {
        self.forget_wakes();
        self.take_status_flag()
    }

    /// The same, for whoever calls [`Signals::may_sleep`] before sleeping and
    /// cannot spare a system call a turn.
    pub fn take_status_flag(&self) -> bool {
        self.status.swap(false, Ordering::Relaxed)
    }

    /// Forgets past wakes; false where a flag is raised, so that nobody sleeps
    /// over a wake that was forgotten.
    pub fn may_sleep(&self) -> bool {
        self.forget_wakes();
        !self.is_stopped() && !self.status.load(Ordering::Relaxed)
    }

    fn forget_wakes(&self) {
        let mut wakes = [0; 16];
        while (&self.wake).read(&mut wakes).is_ok_and(|count| count > 0) {}
    }
}

/// Readable when a signal has come.
impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_raises_its_flag_and_wakes() {
        let signals = Signals::install().unwrap();
        assert!(!signals.is_stopped() && !signals.take_status_request());
        signal_hook::low_level::raise(SIGQUIT).unwrap();
        let mut wake = [0; 4];
        assert!((&signals.wake).read(&mut wake).is_ok_and(|count| count > 0));
        assert!(signals.take_status_request());
        assert!(!signals.take_status_request());
        assert!(signals.may_sleep());
        signal_hook::low_level::raise(SIGQUIT).unwrap();
        assert!(!signals.may_sleep());
        assert!(signals.take_status_flag() && signals.may_sleep());
        signal_hook::low_level::raise(SIGINT).unwrap();
        assert!(signals.is_stopped() && !signals.may_sleep());
    }
}
