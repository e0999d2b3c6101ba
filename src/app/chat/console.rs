//! Where lines are typed and shown: whoever sits at this end, or a pipe.
//!
//! Owns neither: lines come through a channel, and go through a function that
//! never waits.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;

use crate::protocol::chat::Room;

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

    /// A line typed by whoever keeps the room: the room's own words, or a look at
    /// who is here.
    pub(super) fn speak(&self, line: &str, room: &mut Room) {
        match line.trim() {
            "" => {}
            "/who" => {
                let lines: Vec<String> = room.register(Instant::now()).collect();
                self.show(&format!("* {} here", lines.len()));
                for line in lines {
                    self.show(&format!("*   {line}"));
                }
            }
            _ => room.announce(Instant::now(), line),
        }
    }

    /// Shows a line.
    pub(super) fn show(&self, line: &str) {
        (self.show)(line);
    }
}
