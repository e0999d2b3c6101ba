//! JSON Lines: one event a line, as `event` serializes it.
//!
//! Owns no field name; those are the events' own.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::event::{Event, Sink, Topic};

/// Writes every event as a line of JSON.
pub struct JsonLines<Out> {
    stop: Arc<AtomicBool>,
    state: Mutex<(Out, Option<io::Error>)>,
}

impl<Out: Write + Send> JsonLines<Out> {
    /// Lines go to `out`; when that fails, `stop` is raised.
    pub fn new(out: Out, stop: Arc<AtomicBool>) -> Self {
        Self {
            stop,
            state: Mutex::new((out, None)),
        }
    }

    /// The error that ended the output, if one did.
    pub fn into_result(self) -> io::Result<()> {
        let (_, failure) = self
            .state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        failure.map_or(Ok(()), Err)
    }
}

impl<Out: Write + Send> Sink for JsonLines<Out> {
    fn wants(&self, _: Topic) -> bool {
        true
    }

    fn record(&self, event: &Event<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (out, failure) = &mut *state;
        if failure.is_some() {
            return;
        }
        let line = serde_json::to_string(event).map_err(io::Error::from);
        let written = line.and_then(|line| writeln!(out, "{line}").and_then(|()| out.flush()));
        if let Err(error) = written {
            *failure = Some(error);
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}
