//! Follows the TCP states of one host's connections through its kernel's own
//! answers, and records each change (`sock_diag`).
//!
//! Looks when told to: after a packet, or after a call. Never polls.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use super::diag::Diagnosis;
use crate::event::{StateChange, What};
use crate::flow::{FiveTuple, TcpState};
use crate::recorder::Recorder;

/// The states of one host's connections, as far as they were looked at.
pub(crate) struct StateWatch {
    kernel: Diagnosis,
    known: HashMap<FiveTuple, TcpState>,
    recorder: Recorder,
}

impl StateWatch {
    /// A watch over the calling thread's network namespace.
    pub(crate) fn open(recorder: Recorder) -> io::Result<Self> {
        Ok(Self {
            kernel: Diagnosis::open()?,
            known: HashMap::new(),
            recorder,
        })
    }

    /// Asks for the state of `connection`, named as this host names it, and
    /// records a change as of `at`.
    pub(crate) fn look(&mut self, connection: FiveTuple, at: Duration) {
        // A kernel that does not answer leaves the state's lane empty; the calls
        // and the packets tell the story without it.
        let Ok(to) = self.kernel.tcp_state(connection.local, connection.remote) else {
            return;
        };
        let from = match to {
            // Forgotten, so that a long run keeps only what is open.
            TcpState::Closed => self.known.remove(&connection),
            _ => self.known.insert(connection, to),
        };
        let from = from.unwrap_or(TcpState::Closed);
        if from != to {
            let change = StateChange {
                connection,
                from,
                to,
            };
            self.recorder.record(at, What::State(change));
        }
    }
}
