//! One thread for all clients, with epoll(7): the kernel keeps the list of
//! sockets and hands over only those that became ready.
//!
//! A turn costs as much as there is to do, however many clients are idle. The
//! price is the edge: readiness is told once, so a socket must be read until it
//! has no more, or be remembered.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Instant;

use mio::net::TcpStream;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use crate::error::Error;
use crate::serve::conversation::{Next, Talk, Until};
use crate::serve::door::{Arrival, Door, Knock, PAUSE};

/// Bytes read at once; one buffer serves all.
const BUFFER: usize = 64 << 10;
/// Sockets told of at once.
const EVENTS: usize = 1024;

const STOP: Token = Token(usize::MAX);
const DOOR: Token = Token(usize::MAX - 1);

pub(super) fn serve(door: &Door<'_>) -> Result<(), Error> {
    Loop::open(door)?.run(door)
}

struct Client {
    talk: Talk<TcpStream>,
    /// Told when it takes more, too: only a client that once took none needs to.
    is_watched_for_room: bool,
}

pub(super) struct Loop {
    poll: Poll,
    events: Events,
    listener: mio::net::TcpListener,
    clients: Slab<Client>,
    buffer: Vec<u8>,
    /// Clients with something to do, or who were given a turn and need another.
    due: Vec<(usize, Until)>,
    /// Whether somebody may be at the door.
    is_awaited: bool,
    /// Without descriptors the door is left alone until then.
    rest: Option<Instant>,
    /// Set when it is time to end: until then what is owed is sent.
    deadline: Option<Instant>,
}

impl Loop {
    /// A loop that watches the door and the stop.
    pub(super) fn open(door: &Door<'_>) -> Result<Self, Error> {
        Self::watch(door).map_err(|error| door.failure("epoll", error))
    }

    /// Turns until it is time to end.
    pub(super) fn run(mut self, door: &Door<'_>) -> Result<(), Error> {
        while !self.is_ending(door) {
            self.sleep().map_err(|error| door.failure("epoll", error))?;
            self.advance();
            self.welcome(door)?;
        }
        Ok(())
    }

    fn watch(door: &Door<'_>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut listener = mio::net::TcpListener::from_std(door.listener.try_clone()?);
        let stop = door.terms.stop.as_fd().as_raw_fd();
        let registry = poll.registry();
        registry.register(&mut listener, DOOR, Interest::READABLE)?;
        registry.register(&mut SourceFd(&stop), STOP, Interest::READABLE)?;
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS),
            listener,
            clients: Slab::new(),
            buffer: vec![0; BUFFER],
            due: Vec::new(),
            is_awaited: false,
            rest: None,
            deadline: None,
        })
    }

    /// Waits for sockets to become ready, unless somebody is due already.
    fn sleep(&mut self) -> io::Result<()> {
        let until = self.rest.or(self.deadline);
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let left = if self.due.is_empty() {
            left
        } else {
            Some(std::time::Duration::ZERO)
        };
        match self.poll.poll(&mut self.events, left) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in &self.events {
            match event.token() {
                // Its flag is looked at after every sleep.
                STOP => {}
                DOOR => self.is_awaited = true,
                Token(number) => {
                    let has_ended = event.is_read_closed() || event.is_error();
                    let until = if has_ended {
                        Until::Empty
                    } else {
                        Until::Short
                    };
                    self.due.push((number, until));
                }
            }
        }
        Ok(())
    }

    /// Goes on with every client that is due.
    fn advance(&mut self) {
        for (number, until) in std::mem::take(&mut self.due) {
            // It may have been told of twice, and be gone after the first.
            if let Some(client) = self.clients.get_mut(number) {
                match client.talk.advance(&mut self.buffer, until) {
                    Next::Reading => {}
                    Next::Writing => self.watch_for_room(number),
                    Next::Turn => self.due.push((number, Until::Empty)),
                    Next::Over => drop(self.clients.remove(number)),
                }
            }
        }
    }

    fn watch_for_room(&mut self, number: usize) {
        let Some(client) = self.clients.get_mut(number) else {
            return;
        };
        if !client.is_watched_for_room {
            client.is_watched_for_room = true;
            let both = Interest::READABLE | Interest::WRITABLE;
            let (registry, stream) = (self.poll.registry(), &mut client.talk.stream.socket);
            if registry.reregister(stream, Token(number), both).is_err() {
                self.clients.remove(number);
            }
        }
    }

    /// Accepts all who wait, as far as there is room.
    fn welcome(&mut self, door: &Door<'_>) -> Result<(), Error> {
        if self.rest.is_some_and(|until| Instant::now() < until) {
            return Ok(());
        }
        // Whoever came during the rest was told of then.
        self.is_awaited |= self.rest.take().is_some();
        while self.is_awaited && self.clients.len() < door.terms.most && self.deadline.is_none() {
            match door.judge(|| self.listener.accept())? {
                Knock::Client(arrival) => self.receive(door, arrival),
                Knock::Nobody => self.is_awaited = false,
                Knock::Gone => {}
                Knock::Full => {
                    self.rest = Some(Instant::now() + PAUSE);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Talks with a client at once, and watches it only where that is not all:
    /// who has said everything by then never costs an epoll_ctl(2).
    fn receive(&mut self, door: &Door<'_>, arrival: Arrival<TcpStream>) {
        let mut talk = Talk::begin((arrival.client, arrival.tale), door.terms);
        let next = talk.advance(&mut self.buffer, Until::Short);
        if next == Next::Over {
            return;
        }
        let is_watched_for_room = next == Next::Writing;
        let interest = if is_watched_for_room {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::READABLE
        };
        let entry = self.clients.vacant_entry();
        let (registry, token) = (self.poll.registry(), Token(entry.key()));
        let watched = registry.register(&mut talk.stream.socket, token, interest);
        // One that cannot be watched is closed.
        if watched.is_ok() {
            if next == Next::Turn {
                self.due.push((entry.key(), Until::Empty));
            }
            entry.insert(Client {
                talk,
                is_watched_for_room,
            });
        }
    }

    /// Whether all is over: the stop was asked for, and nothing is owed or there
    /// is no more patience.
    fn is_ending(&mut self, door: &Door<'_>) -> bool {
        if !door.terms.stop.is_asked() {
            return false;
        }
        let now = Instant::now();
        let deadline = *self.deadline.get_or_insert_with(|| {
            self.rest = None;
            for (number, client) in &mut self.clients {
                client.talk.session.handle_end();
                self.due.push((number, Until::Empty));
            }
            now + door.terms.patience
        });
        self.clients.is_empty() || now >= deadline
    }
}
