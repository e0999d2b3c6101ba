//! The names of addresses (`getnameinfo(3)`), asked for in the background.
//!
//! Never makes the caller wait: a name is known, or pending until the resolver
//! answers or patience ends. One thread, one bounded queue.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

use nix::libc;

/// How long a line of output may wait for a name.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many questions may wait for the resolver.
const QUESTIONS: usize = 64;
/// How many answers are kept.
const ANSWERS: usize = 4096;

/// An address's name, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// The resolver has not answered yet.
    Pending,
    /// This is it.
    Known(String),
    /// It has none, or none in time.
    Missing,
}

/// The names of addresses.
#[derive(Debug)]
pub struct Names {
    questions: SyncSender<SocketAddr>,
    answers: Receiver<(SocketAddr, Option<String>)>,
    wake: UnixStream,
    known: HashMap<SocketAddr, State>,
}

#[derive(Debug)]
enum State {
    Asked(Instant),
    Answered(Option<String>),
}

impl Names {
    /// Starts the thread that asks the system's resolver.
    pub fn start() -> io::Result<Self> {
        Self::asking(look_up)
    }

    fn asking(look_up: fn(&SocketAddr) -> Option<String>) -> io::Result<Self> {
        let (questions, asked) = sync_channel(QUESTIONS);
        let (answered, answers) = channel();
        let (wake, waker) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        waker.set_nonblocking(true)?;
        std::thread::Builder::new()
            .name("names".to_owned())
            .spawn(move || answer(&asked, &answered, waker, look_up))?;
        Ok(Self {
            questions,
            answers,
            wake,
            known: HashMap::new(),
        })
    }

    /// The name of `address`; asks for it the first time.
    pub fn name(&mut self, now: Instant, address: SocketAddr) -> Name {
        self.collect();
        if let Some(State::Asked(at)) = self.known.get(&address)
            && now.saturating_duration_since(*at) >= PATIENCE
        {
            // It has no deadline any more that anyone could wait for.
            self.known.insert(address, State::Answered(None));
        }
        match self.known.get(&address) {
            Some(State::Answered(Some(name))) => Name::Known(name.clone()),
            Some(State::Asked(_)) => Name::Pending,
            None if self.questions.try_send(address).is_ok() => {
                if self.known.len() >= ANSWERS {
                    self.known.clear();
                }
                self.known.insert(address, State::Asked(now));
                Name::Pending
            }
            Some(State::Answered(None)) | None => Name::Missing,
        }
    }

    /// When patience with a pending name ends.
    pub fn next_deadline(&self) -> Option<Instant> {
        let asked = self.known.values().filter_map(|state| match state {
            State::Asked(at) => Some(*at + PATIENCE),
            State::Answered(_) => None,
        });
        asked.min()
    }

    fn collect(&mut self) {
        let mut wakes = [0; QUESTIONS];
        while self.wake.read(&mut wakes).is_ok_and(|count| count > 0) {}
        for (address, name) in self.answers.try_iter() {
            self.known.insert(address, State::Answered(name));
        }
    }
}

/// Readable when an answer has come.
impl AsFd for Names {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

fn answer(
    asked: &Receiver<SocketAddr>,
    answered: &Sender<(SocketAddr, Option<String>)>,
    mut waker: UnixStream,
    look_up: fn(&SocketAddr) -> Option<String>,
) {
    for address in asked {
        if answered.send((address, look_up(&address))).is_err() {
            return;
        }
        // A full pipe wakes as well as one more byte would.
        let _ = waker.write(&[1]);
    }
}

fn look_up(address: &SocketAddr) -> Option<String> {
    let flags = libc::NI_NAMEREQD | libc::NI_NUMERICSERV;
    let (name, _) = dns_lookup::getnameinfo(address, flags).ok()?;
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 0))
    }

    fn wait(names: &Names) {
        let mut fds = [nix::poll::PollFd::new(
            names.as_fd(),
            nix::poll::PollFlags::POLLIN,
        )];
        nix::poll::poll(&mut fds, nix::poll::PollTimeout::NONE).unwrap();
    }

    #[test]
    fn a_name_is_pending_until_the_resolver_answers() {
        let mut names = Names::asking(|address| match address {
            SocketAddr::V4(v4) if v4.ip().octets()[3] == 1 => Some("one.example".to_owned()),
            _ => None,
        })
        .unwrap();
        let now = Instant::now();
        assert_eq!(names.name(now, address(1)), Name::Pending);
        wait(&names);
        assert_eq!(
            names.name(now, address(1)),
            Name::Known("one.example".to_owned())
        );
        assert_eq!(names.name(now, address(2)), Name::Pending);
        wait(&names);
        assert_eq!(names.name(now, address(2)), Name::Missing);
    }

    #[test]
    fn patience_ends_in_virtual_time() {
        let mut names = Names::asking(|_| {
            std::thread::park();
            None
        })
        .unwrap();
        let now = Instant::now();
        assert_eq!(names.name(now, address(1)), Name::Pending);
        let late = names.next_deadline().unwrap();
        assert_eq!(names.name(late, address(1)), Name::Missing);
    }
}
