//! Where lines are typed and shown: whoever sits at this end, or a pipe.
//!
//! Owns neither: lines come through a channel, and go through a function that
//! never waits.

use std::sync::Arc;

use tokio::sync::mpsc;

/// One end's person.
pub struct Console {
    /// What is typed, a line each; it ends when nothing more will be.
    pub typed: mpsc::Receiver<String>,
    /// Shows a line.
    pub show: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Console {
    /// The next line; for ever without one where nothing more will be typed.
    pub(super) async fn next(&mut self) -> String {
        match self.typed.recv().await {
            Some(line) => line,
            None => std::future::pending().await,
        }
    }

    /// Shows a line.
    pub(super) fn show(&self, line: &str) {
        (self.show)(line);
    }
}
