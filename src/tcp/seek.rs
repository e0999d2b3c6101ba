//! A name on its way to addresses, waited for as a connection is: until they are
//! there, time is over, or somebody wants to stop.
//!
//! Owns the waiting and the telling; who is asked, and how, is
//! [`Search`]'s business. Connects to nothing.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};

use crate::address::{Endpoint, Question, Search};
use crate::error::{Error, Exit};
use crate::event::Told;
use crate::pipe::{Vigil, say};
use crate::recorder::Recorder;

/// How long to look for addresses, and who may end it.
#[derive(Debug, Clone, Copy)]
pub struct Patience<'a> {
    /// The time for all, connecting included.
    pub timeout: Option<Duration>,
    /// Raised when it is to end now.
    pub stop: &'a Arc<AtomicBool>,
}

/// Looks for the addresses of an endpoint.
pub struct Seeker<'a> {
    search: Search,
    host: String,
    /// Whether anybody has to be asked.
    is_name: bool,
    since: Instant,
    patience: Patience<'a>,
    recorder: &'a Recorder,
}

impl<'a> Seeker<'a> {
    /// Begins.
    pub fn begin(
        endpoint: &Endpoint,
        question: Question,
        patience: Patience<'a>,
        recorder: &'a Recorder,
    ) -> Result<Self, Error> {
        let host = endpoint.host.clone().unwrap_or_else(|| "localhost".into());
        let failed = |error: std::io::Error| Error::new("look up", &host, error);
        let since = Instant::now();
        // Its threads leave the signals to who waits.
        let vigil = Vigil::begin(patience.stop).map_err(|errno| failed(errno.into()))?;
        let search = Search::begin(endpoint.clone(), question, since).map_err(failed)?;
        drop(vigil);
        let seeker = Self {
            is_name: search.asks(),
            search,
            host,
            since,
            patience,
            recorder,
        };
        let name = seeker.host.clone();
        seeker.say(|| Told::LookingUp { name });
        Ok(seeker)
    }

    /// Waits for addresses, for the first or for all; none where it was stopped
    /// before.
    ///
    /// # Errors
    ///
    /// There is no such name, or the time was over before anybody answered.
    pub fn wait(&mut self, extent: Extent) -> Result<Option<Vec<SocketAddr>>, Error> {
        let stop = self.patience.stop;
        let vigil = Vigil::begin(stop).map_err(|errno| self.failed(errno))?;
        let mut found = Vec::new();
        loop {
            found.extend(self.poll()?);
            if self.is_over() || (extent == Extent::First && !found.is_empty()) {
                return Ok(Some(found));
            }
            let now = Instant::now();
            if vigil.is_over() {
                return Ok(None);
            }
            if self.deadline().is_some_and(|deadline| now >= deadline) {
                return Err(self.late());
            }
            let due = [self.search.next_deadline(), self.deadline()];
            let due = due.into_iter().flatten().min();
            let mut waiting = [PollFd::new(self.search.as_fd(), PollFlags::POLLIN)];
            let patience = due.map(|due| due.saturating_duration_since(now));
            let waited = vigil.wait(&mut waiting, patience);
            waited.map_err(|errno| self.failed(errno))?;
        }
    }

    /// What was found since it was last asked.
    pub(super) fn poll(&mut self) -> Result<Vec<SocketAddr>, Error> {
        let Some(addresses) = self.search.advance(Instant::now())? else {
            return Ok(Vec::new());
        };
        let found = addresses.clone();
        self.say(|| Told::Found {
            name: self.host.clone(),
            addresses: found,
            complete: self.is_over(),
            took: self.since.elapsed(),
        });
        Ok(addresses)
    }

    /// Whether nothing more will be found.
    pub fn is_over(&self) -> bool {
        self.search.is_over()
    }

    /// When the time is over.
    pub fn deadline(&self) -> Option<Instant> {
        self.patience.timeout.map(|timeout| self.since + timeout)
    }

    fn say(&self, told: impl FnOnce() -> Told<'static>) {
        if self.is_name {
            say(self.recorder, "resolver", told());
        }
    }

    fn failed(&self, errno: Errno) -> Error {
        Error::new("look up", &self.host, errno)
    }

    fn late(&self) -> Error {
        let timeout = self.patience.timeout.unwrap_or_default();
        let cause = format!("no answer within {timeout:?} (--connect-timeout)");
        Error::new("look up", &self.host, cause)
            .exiting(Exit::Network)
            .remedy("does a name server answer? give an address to do without")
    }
}

/// Readable when there is an answer.
impl AsFd for Seeker<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.search.as_fd()
    }
}

/// How much is to be known before going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Any address.
    First,
    /// Every address.
    All,
}
