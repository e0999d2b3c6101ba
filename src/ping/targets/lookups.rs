//! Names to addresses and addresses to names (`getaddrinfo(3)`,
//! `getnameinfo(3)`), asked for by a few threads in the background.
//!
//! Never makes the caller wait, and never takes a thread where nothing is asked.
//! Start it after privileges are dropped: its threads keep what its maker has.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use dns_lookup::{AddrInfoHints, getaddrinfo};
use nix::libc;

use crate::flow::Family;

/// How many questions the resolver is asked at once.
const THREADS: usize = 8;

/// Whom to look up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The asker's own number for it.
    pub place: usize,
    /// A name or an address.
    pub host: String,
}

/// What to find out about each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Addresses of this family only.
    pub family: Option<Family>,
    /// All addresses, not the first only.
    pub all: bool,
    /// The name of each address as well.
    pub names: bool,
}

/// What the resolver says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The question's number.
    pub place: usize,
    /// The addresses, each with its name if that was wanted and is known; or why
    /// there is none.
    pub found: Result<Vec<(SocketAddr, Option<String>)>, String>,
}

/// Questions under way.
#[derive(Debug)]
pub struct Lookups {
    answers: Receiver<Answer>,
    wake: UnixStream,
    open: usize,
}

impl Lookups {
    /// Asks all `questions`.
    pub fn start(questions: VecDeque<Question>, wanted: Wanted) -> io::Result<Self> {
        let (answered, answers) = channel();
        let (wake, waker) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        waker.set_nonblocking(true)?;
        let open = questions.len();
        let questions = Arc::new(Mutex::new(questions));
        for _ in 0..THREADS.min(open) {
            let (questions, answered) = (Arc::clone(&questions), answered.clone());
            let waker = waker.try_clone()?;
            std::thread::Builder::new()
                .name("lookups".to_owned())
                .spawn(move || answer(&questions, &answered, waker, wanted))?;
        }
        Ok(Self {
            answers,
            wake,
            open,
        })
    }

    /// Whether every question has been answered and its answer taken.
    pub fn is_done(&self) -> bool {
        self.open == 0
    }

    /// What has been answered since the last call.
    pub fn take(&mut self) -> Vec<Answer> {
        let mut wakes = [0; 64];
        while self.wake.read(&mut wakes).is_ok_and(|count| count > 0) {}
        let answers: Vec<Answer> = self.answers.try_iter().collect();
        self.open -= answers.len().min(self.open);
        answers
    }
}

/// Readable when an answer has come.
impl AsFd for Lookups {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

fn answer(
    questions: &Mutex<VecDeque<Question>>,
    answered: &Sender<Answer>,
    mut waker: UnixStream,
    wanted: Wanted,
) {
    let next = || {
        let mut questions = questions.lock().unwrap_or_else(PoisonError::into_inner);
        questions.pop_front()
    };
    while let Some(Question { place, host }) = next() {
        let found = look_up(&host, wanted);
        if answered.send(Answer { place, found }).is_err() {
            return;
        }
        // A full pipe wakes as well as one more byte would.
        let _ = waker.write(&[1]);
    }
}

fn look_up(host: &str, wanted: Wanted) -> Result<Vec<(SocketAddr, Option<String>)>, String> {
    let hints = AddrInfoHints {
        flags: 0,
        address: match wanted.family {
            None => libc::AF_UNSPEC,
            Some(Family::Ipv4) => libc::AF_INET,
            Some(Family::Ipv6) => libc::AF_INET6,
        },
        socktype: libc::SOCK_DGRAM,
        protocol: 0,
    };
    let entries = getaddrinfo(Some(host), None, Some(hints)).map_err(|cause| {
        let words = io::Error::from(cause).to_string();
        words.rsplit(": ").next().unwrap_or(&words).to_owned()
    })?;
    let addresses = entries.flatten().map(|entry| entry.sockaddr);
    let limit = if wanted.all { usize::MAX } else { 1 };
    Ok(addresses
        .take(limit)
        .map(|address| (address, wanted.names.then(|| name_of(&address)).flatten()))
        .collect())
}

fn name_of(address: &SocketAddr) -> Option<String> {
    let flags = libc::NI_NAMEREQD | libc::NI_NUMERICSERV;
    let (name, _) = dns_lookup::getnameinfo(address, flags).ok()?;
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    #[test]
    fn every_question_is_answered() {
        let hosts = ["127.1", "::1", "127.0.0.9"];
        let questions = hosts.iter().enumerate().map(|(place, host)| Question {
            place,
            host: (*host).to_owned(),
        });
        let wanted = Wanted {
            family: Some(Family::Ipv4),
            ..Wanted::default()
        };
        let mut lookups = Lookups::start(questions.collect(), wanted).unwrap();
        let mut answers = Vec::new();
        while !lookups.is_done() {
            let mut readable = [PollFd::new(lookups.as_fd(), PollFlags::POLLIN)];
            poll(&mut readable, PollTimeout::NONE).unwrap();
            answers.extend(lookups.take());
        }
        answers.sort_by_key(|answer| answer.place);
        let first = answers[0].found.as_ref().unwrap();
        assert_eq!(first[0].0, SocketAddr::from(([127, 0, 0, 1], 0)));
        assert!(answers[1].found.is_err(), "an IPv6 address is none of IPv4");
        assert_eq!(answers.len(), 3);
    }
}
