//! How far a transfer is, for whoever draws it: counters that the transfer
//! moves and others read.
//!
//! Owns no clock and draws nothing.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of bytes.
#[derive(Debug, Default)]
pub struct Gauge {
    total: AtomicU64,
    settled: AtomicU64,
}

impl Gauge {
    /// Bytes of all files that were announced.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Of those, bytes that are there, or will not come.
    pub fn settled(&self) -> u64 {
        self.settled.load(Ordering::Relaxed)
    }

    pub(super) fn announce(&self, bytes: u64) {
        // A sender may announce anything.
        let add = |total: u64| Some(total.saturating_add(bytes));
        let _ = self
            .total
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    pub(super) fn settle(&self, bytes: u64) {
        self.settled.fetch_add(bytes, Ordering::Relaxed);
    }
}
