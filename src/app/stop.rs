//! The request to end, for tasks to wait for: made by a signal, or by another
//! task.
//!
//! A second signal ends the process as if nobody had listened.

use std::io;
use std::sync::Arc;

use nix::sys::signal::SigSet;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use tokio::sync::watch;

use crate::error::Error;

/// A request to end; each clone is the same request.
#[derive(Debug, Clone)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Default for Stop {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Stop {
    /// One that SIGINT or SIGTERM makes.
    pub fn on_signals() -> Result<Self, Error> {
        let failed = |error: io::Error| Error::new("sigaction", "SIGINT", error);
        let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(failed)?;
        let stop = Self::default();
        let asked = stop.clone();
        let listen = move || {
            // Handlers run where they disturb no call of the application's.
            let _ = SigSet::all().thread_unblock();
            for signal in signals.forever() {
                if asked.is_asked() {
                    // Nothing is left to be done where even that fails.
                    let _ = emulate_default_handler(signal);
                }
                asked.ask();
            }
        };
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(listen)
            .map_err(failed)?;
        Ok(stop)
    }

    /// Makes the request.
    pub fn ask(&self) {
        self.0.send_replace(true);
    }

    /// Whether it was made.
    pub fn is_asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is made.
    pub async fn asked(&self) {
        let mut receiver = self.0.subscribe();
        // The sender lives as long as `self`.
        let _ = receiver.wait_for(|is_asked| *is_asked).await;
    }
}
