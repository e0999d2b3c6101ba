//! The demonstrations: ann and bob in a room over a stream, over datagrams, or in
//! a group without a room, on a private link, so that every call and every packet
//! is seen.
//!
//! Owns what came of them, and what their scripts share. One file a script.

mod datagrams;
mod group;
mod streams;

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tokio::sync::mpsc;

use super::Console;
use crate::error::{Error, Exit};
use crate::flow::Family;
use crate::protocol::chat::{Account, Sequence};
use crate::stage::Stage;

/// How the demonstration plays.
#[derive(Debug, Clone)]
pub struct Scene {
    /// What carries the lines.
    pub carrier: Carrier,
    /// The address family.
    pub family: Family,
    /// The host's port, or the group's.
    pub port: u16,
    /// How long one step may take, where the transport has time-outs of its own.
    pub patience: std::time::Duration,
}

/// What carries the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// A connection to the room for each member.
    Streams,
    /// Numbered datagrams to and from the room.
    Datagrams,
    /// Numbered datagrams to a multicast group, without a room.
    Group,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Told {
    /// Each line that was sent, and what was seen of it.
    pub turns: Vec<Turn>,
    /// What the host counted, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
    /// What became of the numbered messages, where they are numbered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ways: Vec<Way>,
}

/// A step of the script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Turn {
    /// Who did it.
    pub who: &'static str,
    /// What.
    pub sent: String,
    /// What ann saw then.
    pub ann: Vec<String>,
    /// What bob saw then.
    pub bob: Vec<String>,
}

/// The numbered messages from one to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Way {
    /// Whose numbers.
    pub from: &'static str,
    /// Who counted them.
    pub to: &'static str,
    /// The last number that was given.
    pub sent_messages: u64,
    /// Messages that came, each counted once.
    pub received_messages: u64,
    /// Of those, the ones that came after a later one.
    pub late_messages: u64,
    /// Messages that came again.
    pub repeated_messages: u64,
    /// Messages that the receiver knows to be missing.
    pub missing_messages: u64,
}

impl Way {
    fn of(from: &'static str, to: &'static str, sent: u64, heard: Sequence) -> Self {
        Self {
            from,
            to,
            sent_messages: sent,
            received_messages: heard.received(),
            late_messages: heard.late(),
            repeated_messages: heard.repeated(),
            missing_messages: heard.missing(),
        }
    }

    /// Whether the receiver knows of every message whether it came.
    pub fn is_accounted_for(&self) -> bool {
        self.sent_messages == self.received_messages + self.missing_messages
    }
}

/// Plays it.
///
/// # Errors
///
/// A socket fails, or a step takes longer than it may.
pub fn demonstrate(scene: &Scene, stage: &Stage) -> Result<Told, Error> {
    match scene.carrier {
        Carrier::Streams => streams::demonstrate(scene, stage),
        Carrier::Datagrams => datagrams::demonstrate(scene, stage),
        Carrier::Group => group::demonstrate(scene, stage),
    }
}

/// How often something that may be lost is said before the scene is given up.
const ATTEMPTS: usize = 50;

/// What was said so often, and never had its effect.
fn in_vain(what: &str) -> Error {
    let cause = format!("{what} was lost {ATTEMPTS} times");
    Error::new("play", "the scene", cause).exiting(Exit::Network)
}

/// The lines that somebody saw and that no turn tells of yet.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    /// Where they are shown; nothing is typed there.
    fn console(&self) -> Console {
        let lines = Arc::clone(&self.0);
        let (_, typed) = mpsc::channel(1);
        Console {
            typed,
            show: Arc::new(move |line| {
                let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                lines.push(line.to_owned());
            }),
        }
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
