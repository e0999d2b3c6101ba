//! File transfer: sender and receiver, either of which may be the server.
//!
//! Owns the sockets and the files; what is said is the
//! [protocol](crate::protocol::file)'s. Each transfer has a thread of its own,
//! so that a slow disk holds up nobody else.

mod batch;
pub mod demo;
mod folder;
mod gauge;
mod greeting;
mod leftovers;
mod nameless;
mod part;
mod receive;
mod send;
mod serve;
mod source;
mod store;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{AccessFlags, eaccess};

use crate::error::Error;
use crate::event::{File, FileStep, FileTally as Tally, Topic, What};
use crate::protocol::file::{Algorithm, BLOCK};
use crate::recorder::Recorder;

pub use gauge::Gauge;
pub use serve::{Serve, call, serve};
pub use source::{Item, Kind, LeftOut, Source, Totals};
pub use store::{Exists, Limits};

/// What this end does.
#[derive(Clone)]
pub enum Work {
    /// It sends.
    Send(Send),
    /// It receives.
    Receive(Receive),
}

/// What is sent, and how.
#[derive(Clone)]
pub struct Send {
    /// The files.
    pub source: Arc<Source>,
    /// The unit in which they are sent.
    pub block: u64,
    /// The hash that they are judged by.
    pub hash: Algorithm,
}

/// Where files are received, and how.
#[derive(Clone)]
pub struct Receive {
    /// The folder that they go to, and never out of.
    pub into: PathBuf,
    /// What is done where something of that name is there.
    pub exists: Exists,
    /// Whether names that begin with a dot are taken.
    pub hidden: bool,
    /// What is taken.
    pub limits: Limits,
    /// Whether it is only said what would be done.
    pub rehearsal: bool,
}

impl Receive {
    /// Whether the folder is there, and may be written to, as far as can be said
    /// before anything comes.
    pub fn check(&self) -> Result<(), Error> {
        let checked = folder::Folder::open(&self.into).and_then(|_| {
            let may_write = AccessFlags::W_OK | AccessFlags::X_OK;
            let is_asked = !self.rehearsal;
            let access = || eaccess(&self.into, may_write);
            Ok(is_asked.then(access).transpose()?)
        });
        checked.map(drop).map_err(|error| self.unusable(error))
    }

    fn unusable(&self, error: io::Error) -> Error {
        Error::new("receive into", self.into.display(), error)
            .remedy("the folder must exist and be writable; --into names another")
    }
}

/// What every transfer needs.
#[derive(Clone)]
pub struct Terms {
    /// What this end does.
    pub work: Work,
    /// How long nothing may move.
    pub idle: Duration,
    /// How far it is.
    pub gauge: Arc<Gauge>,
}

impl Send {
    /// Sends these as the protocol has it by default.
    pub fn new(source: Arc<Source>) -> Self {
        Self {
            source,
            block: BLOCK,
            hash: Algorithm::default(),
        }
    }
}

/// What a transfer came to, and what went wrong in the end.
pub struct Outcome {
    /// As far as it went.
    pub tally: Tally,
    /// Why it went no further.
    pub error: Option<Error>,
}

/// Tells a step of a transfer with `peer`, where anybody listens to its topic.
fn tell(recorder: &Recorder, topic: Topic, peer: SocketAddr, step: impl FnOnce() -> File) {
    if recorder.wants(topic) {
        let step = FileStep { peer, step: step() };
        recorder.record(recorder.clock().now(), What::File(step));
    }
}

/// Lets this process have as many files open as it may: a transfer of many small
/// ones has hundreds at a time.
pub fn raise_descriptor_limit() {
    const ENOUGH: u64 = 65_536;
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Where even that is refused, the limit stays, and is met by a message.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, soft.max(hard.min(ENOUGH)), hard);
    }
}
