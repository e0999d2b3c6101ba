//! A look-up under way, so that whoever waits for it can wait for something else
//! as well (`getaddrinfo(3)`; RFC 8305 section 3).
//!
//! ```text
//!  both families, in the resolver's order ──────────────► the answer
//!       └─ none after 50 ms ─► each family apart ─► what is known so far
//! ```
//!
//! The resolver answers for both families together or not at all: a server that
//! never answers for one of them would hide what it said of the other. Never
//! makes the caller wait, and opens no socket of its own.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use nix::sys::eventfd::{EfdFlags, EventFd};

use super::endpoint::Endpoint;
use super::lookup::{Question, numeric, resolve};
use crate::error::Error;
use crate::flow::Family;

/// The Resolution Delay of RFC 8305 section 3.
pub const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

type Found = Result<Vec<SocketAddr>, Error>;

/// Addresses that are being looked for.
pub struct Search {
    endpoint: Endpoint,
    question: Question,
    /// When each family is asked for apart.
    due: Option<Instant>,
    tell: Sender<(Question, Found)>,
    answers: Receiver<(Question, Found)>,
    /// Readable when there is an answer.
    bell: Arc<EventFd>,
    known: Vec<SocketAddr>,
    asks: bool,
    is_over: bool,
}

impl Search {
    /// Begins to look for the addresses of `endpoint`; what is no name needs no
    /// resolver, and its answer is there at once.
    pub fn begin(endpoint: Endpoint, question: Question, now: Instant) -> io::Result<Self> {
        let (tell, answers) = channel();
        let may_part = question.family.is_none();
        let mut search = Self {
            endpoint,
            question,
            due: may_part.then(|| now + RESOLUTION_DELAY),
            tell,
            answers,
            bell: Arc::new(EventFd::from_flags(EfdFlags::EFD_NONBLOCK)?),
            known: Vec::new(),
            asks: true,
            is_over: false,
        };
        if numeric(&search.endpoint) {
            search.due = None;
            search.asks = false;
            let found = resolve(&search.endpoint, question);
            // This end is ours, and open.
            let _ = search.tell.send((question, found));
            search.bell.write(1)?;
        } else {
            search.ask(question)?;
        }
        Ok(search)
    }

    /// When it is to be advanced again, at the latest, whether there was an
    /// answer or not.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Whether the resolver is asked: the host is a name.
    pub fn asks(&self) -> bool {
        self.asks
    }

    /// Whether nothing more will be found.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// What was found since the last call, none of it for the second time; none
    /// where there is no answer yet.
    ///
    /// # Errors
    ///
    /// There is no such name, or nobody who could tell.
    pub fn advance(&mut self, now: Instant) -> Result<Option<Vec<SocketAddr>>, Error> {
        // One count for all answers so far.
        let _ = self.bell.read();
        let mut new = Vec::new();
        while let Ok((question, found)) = self.answers.try_recv() {
            self.is_over |= question == self.question;
            match found {
                Ok(addresses) => new.extend(addresses),
                Err(error) if self.is_over && self.known.is_empty() && new.is_empty() => {
                    return Err(error);
                }
                // Of one family, or too late to matter.
                Err(_) => {}
            }
        }
        if self.is_over {
            self.due = None;
        } else if self.due.is_some_and(|due| now >= due) {
            self.due = None;
            for family in [Family::Ipv6, Family::Ipv4] {
                let family = Some(family);
                let question = Question {
                    family,
                    ..self.question
                };
                // Without the threads the answer comes later.
                let _ = self.ask(question);
            }
        }
        let before = self.known.len();
        for address in new {
            if !self.known.contains(&address) {
                self.known.push(address);
            }
        }
        let new = &self.known[before..];
        Ok((self.is_over || !new.is_empty()).then(|| new.to_vec()))
    }

    fn ask(&self, question: Question) -> io::Result<()> {
        let (endpoint, tell) = (self.endpoint.clone(), self.tell.clone());
        let bell = Arc::clone(&self.bell);
        std::thread::Builder::new()
            .name("look up".into())
            .spawn(move || {
                // Nobody listens any more where another answer was enough.
                let _ = tell.send((question, resolve(&endpoint, question)));
                let _ = bell.write(1);
            })?;
        Ok(())
    }
}

/// Readable when there is an answer.
impl AsFd for Search {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Kind;

    #[test]
    fn what_is_no_name_is_found_at_once() {
        let endpoint = Endpoint::remote(&["127.1:80"]).expect("an endpoint");
        let question = Question {
            family: None,
            kind: Kind::Tcp,
        };
        let now = Instant::now();
        let mut search = Search::begin(endpoint, question, now).expect("it begins");
        let found = search.advance(now).expect("known");
        assert_eq!(found, Some(vec!["127.0.0.1:80".parse().expect("one")]));
        assert!(search.is_over() && search.next_deadline().is_none());
    }
}
