//! The registry joined to the sockets: one epoll loop for the door, the clients,
//! the console and the names that come back from the resolver.
//!
//! Nothing here ever waits for one client: what it does not take is kept, up to a
//! bound, and then it is told no more. Reading the console and asking the
//! resolver may wait, and have threads of their own.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};

use super::Happening;
use super::inbox::{Console, Inbox, News};
use super::lines::Lines;
use super::order::Order;
use super::roster::{Counts, Handle, Roster};
use crate::address::canonical;
use crate::error::{Error, Exit, errno_name};
use crate::serve::door::{Arrival, Door, Knock, PAUSE};
use crate::serve::tale::Watched;
use crate::serve::{Entrance, Terms};

const STOP: Token = Token(usize::MAX);
const NEWS: Token = Token(usize::MAX - 1);
/// The first of the doors, counted downwards.
const DOOR: usize = usize::MAX - 2;

/// Bytes that may wait for a client that does not take them.
const QUEUE: usize = 64 << 10;
/// Bytes read at once.
const BUFFER: usize = 16 << 10;
/// Reads of one client before it is another's turn.
const TURN: usize = 16;

/// Hosts clients until the stop is asked for or an order says so. Every
/// happening goes to `tell` with its time since the start; told that nobody
/// listens any more, it ends.
pub fn host(
    entrance: &Entrance,
    terms: &Terms<'_>,
    house: House,
    tell: &mut dyn FnMut(Duration, &Happening) -> io::Result<()>,
) -> Result<Counts, Error> {
    let doors = entrance.listeners.iter();
    let doors: Vec<Door<'_>> = doors.map(|listener| Door::new(listener, terms)).collect();
    let failed = |error| doors[0].failure("epoll", error);
    let mut host = Host::open(&doors, (terms, &house), tell).map_err(failed)?;
    host.inbox
        .listen_to(house.console)
        .and_then(|()| host.inbox.ask_for_names())
        .map_err(|error| Error::new("start a thread for", "the console", error))?;
    while !host.is_over && !terms.stop.is_asked() {
        host.turn(&doors).map_err(failed)??;
    }
    host.see_off();
    let counts = host.roster.counts();
    match (host.told, host.is_lonely) {
        (Err(error), _) => Err(Error::new("write", house.output_name, error)),
        (Ok(()), true) => {
            let alone = house.alone.unwrap_or_default();
            let cause = format!("nobody was here for {alone:?} (--listen-timeout)");
            Err(Error::new("listen on", entrance.address, cause).exiting(Exit::Network))
        }
        (Ok(()), false) => Ok(counts),
    }
}

/// How a server that knows its clients is run.
pub struct House {
    /// Where orders come from.
    pub console: Console,
    /// What errors call the place where happenings go.
    pub output_name: String,
    /// What ends a line to a client.
    pub line_end: &'static str,
    /// How long a client may neither say nor be told anything.
    pub idle: Option<Duration>,
    /// How long nobody may be there.
    pub alone: Option<Duration>,
}

struct Guest {
    stream: Watched<TcpStream>,
    lines: Lines,
    queue: Vec<u8>,
    /// When it last said or took anything.
    moved: Instant,
}

struct Host<'a> {
    poll: Poll,
    roster: Roster,
    guests: HashMap<Handle, Guest>,
    /// Guests who have more to say than fitted into their turn.
    due: Vec<Handle>,
    /// Doors at which somebody may wait, by their number.
    awaited: Vec<usize>,
    rest: Option<Instant>,
    inbox: Inbox,
    began: Instant,
    tell: &'a mut dyn FnMut(Duration, &Happening) -> io::Result<()>,
    told: io::Result<()>,
    is_over: bool,
    /// It is over because nobody came.
    is_lonely: bool,
    line_end: &'static str,
    idle: Option<Duration>,
    alone: Option<Duration>,
    /// When the last guest left, or it began.
    left: Instant,
    /// When the next guest may have been idle for too long.
    look: Option<Instant>,
}

impl<'a> Host<'a> {
    fn open(
        doors: &[Door<'_>],
        (terms, house): (&Terms<'_>, &House),
        tell: &'a mut dyn FnMut(Duration, &Happening) -> io::Result<()>,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let registry = poll.registry();
        for (number, door) in doors.iter().enumerate() {
            let socket = door.listener.as_raw_fd();
            let token = Token(DOOR - number);
            registry.register(&mut SourceFd(&socket), token, Interest::READABLE)?;
        }
        let stop = terms.stop.as_fd().as_raw_fd();
        registry.register(&mut SourceFd(&stop), STOP, Interest::READABLE)?;
        let inbox = Inbox::open(Waker::new(registry, NEWS)?);
        Ok(Self {
            poll,
            roster: Roster::new(terms.most),
            guests: HashMap::new(),
            due: Vec::new(),
            awaited: Vec::new(),
            rest: None,
            inbox,
            began: Instant::now(),
            tell,
            told: Ok(()),
            is_over: false,
            is_lonely: false,
            line_end: house.line_end,
            idle: house.idle,
            alone: house.alone,
            left: Instant::now(),
            look: None,
        })
    }

    /// Sleeps until something is to be done, and does it.
    fn turn(&mut self, doors: &[Door<'_>]) -> io::Result<Result<(), Error>> {
        let patience = if self.due.is_empty() {
            let dues = [self.rest, self.look, self.lonely_at()].into_iter();
            let next = dues.flatten().min();
            next.map(|until| until.saturating_duration_since(Instant::now()))
        } else {
            Some(Duration::ZERO)
        };
        let mut events = Events::with_capacity(256);
        match self.poll.poll(&mut events, patience) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in &events {
            match event.token() {
                STOP | NEWS => {}
                Token(door) if DOOR - door < doors.len() => self.awaited.push(DOOR - door),
                Token(handle) => self.due.extend(Handle::try_from(handle)),
            }
        }
        for handle in std::mem::take(&mut self.due) {
            self.attend(handle);
        }
        while let Some(news) = self.inbox.next() {
            match news {
                News::Order(Ok(order)) => self.obey(order),
                News::Order(Err(why)) => self.tell(&Happening::Misunderstood { why }),
                News::Name(handle, name) => {
                    if let Some(name) = self.roster.find_name(handle, &name) {
                        self.tell(&Happening::Named { handle, name });
                    }
                }
            }
        }
        let opened = self.open_doors(doors);
        self.end_what_rests();
        Ok(opened)
    }

    /// When it has been without guests for too long.
    fn lonely_at(&self) -> Option<Instant> {
        let alone = self.alone.filter(|_| self.guests.is_empty())?;
        Some(self.left + alone)
    }

    /// Sends away the guests who have been idle for too long, and ends where
    /// nobody comes.
    fn end_what_rests(&mut self) {
        let now = Instant::now();
        if let Some(idle) = self
            .idle
            .filter(|_| self.look.is_none_or(|look| now >= look))
        {
            let mut late = Vec::new();
            self.look = None;
            for (handle, guest) in &self.guests {
                let until = guest.moved + idle;
                if until <= now {
                    late.push(*handle);
                } else {
                    self.look = Some(self.look.map_or(until, |look| look.min(until)));
                }
            }
            for handle in late {
                self.dismiss(handle, "you have been idle for too long", "idle");
            }
        }
        if self.lonely_at().is_some_and(|until| now >= until) {
            self.is_lonely = true;
            self.is_over = true;
        }
    }

    fn open_doors(&mut self, doors: &[Door<'_>]) -> Result<(), Error> {
        if self.rest.is_some_and(|until| Instant::now() < until) {
            return Ok(());
        }
        self.rest = None;
        while let Some(number) = self.awaited.pop() {
            loop {
                let door = &doors[number];
                match door.knock()? {
                    Knock::Client(arrival) => self.receive(arrival),
                    Knock::Nobody => break,
                    Knock::Gone => {}
                    Knock::Full => {
                        self.rest = Some(Instant::now() + PAUSE);
                        self.awaited.push(number);
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    fn receive(&mut self, arrival: Arrival<std::net::TcpStream>) {
        // An IPv4 client of a listener for both families.
        let address = canonical(arrival.address);
        if arrival.client.set_nonblocking(true).is_err() {
            return;
        }
        let mut stream = Watched {
            socket: arrival.client,
            tale: arrival.tale,
        };
        let most = self.roster.most();
        let now_there = Instant::now();
        self.look = None;
        let now = now_there.duration_since(self.began);
        let Some(handle) = self.roster.admit(address, now) else {
            let words = format!("no room: {most} clients are here; try later");
            say_good_bye(&mut stream, &(words + self.line_end));
            self.tell(&Happening::Refused { address, most });
            return;
        };
        let mut stream = Watched {
            socket: TcpStream::from_std(stream.socket),
            tale: stream.tale,
        };
        let both = Interest::READABLE | Interest::WRITABLE;
        let watched =
            self.poll
                .registry()
                .register(&mut stream.socket, Token(handle as usize), both);
        let guest = Guest {
            stream,
            lines: Lines::default(),
            queue: Vec::new(),
            moved: now_there,
        };
        self.guests.insert(handle, guest);
        let online = self.roster.online();
        self.tell(&Happening::Joined {
            handle,
            address,
            online,
            most,
        });
        if let Err(error) = watched {
            self.part(handle, &errno_name(&error));
        } else {
            self.inbox.ask_for_name(handle, address);
        }
    }

    /// Hears what a guest says, and sends what it is owed.
    fn attend(&mut self, handle: Handle) {
        self.flush(handle);
        let mut buffer = [0; BUFFER];
        for _ in 0..TURN {
            let Some(guest) = self.guests.get_mut(&handle) else {
                return;
            };
            match guest.stream.read(&mut buffer) {
                Ok(0) => return self.part(handle, "ended"),
                Ok(count) => {
                    self.roster.received(handle, count);
                    guest.moved = Instant::now();
                    let mut said = Vec::new();
                    let lines = &mut guest.lines;
                    lines.handle_data(&buffer[..count], |line| said.push(line));
                    for text in said {
                        self.hear(handle, text);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.part(handle, &errno_name(&error)),
            }
        }
        self.due.push(handle);
    }

    /// One line of a guest's: `/name` says who it is.
    fn hear(&mut self, handle: Handle, text: String) {
        let name = text.strip_prefix("/name ");
        let name = name.and_then(|name| self.roster.choose_name(handle, name));
        self.tell(&match name {
            Some(name) => Happening::Named { handle, name },
            None => Happening::Said { handle, text },
        });
    }

    fn obey(&mut self, order: Order) {
        let now = self.began.elapsed();
        match order {
            Order::List => self.tell(&Happening::List {
                clients: self.roster.list(now),
            }),
            Order::Stats => self.tell(&Happening::Stats {
                counts: self.roster.counts(),
                online: self.roster.online(),
                most: self.roster.most(),
            }),
            Order::Help => self.tell(&Happening::Help),
            Order::Send { handle, text } if self.guests.contains_key(&handle) => {
                self.say(handle, &text);
            }
            Order::Kick { handle } if self.guests.contains_key(&handle) => {
                self.dismiss(handle, "you are asked to leave", "kicked");
            }
            Order::Send { handle, .. } | Order::Kick { handle } => {
                let why = format!("nobody here has the handle {handle}; list shows who is");
                self.tell(&Happening::Misunderstood { why });
            }
            Order::Broadcast { text } => {
                for handle in self.roster.handles() {
                    self.say(handle, &text);
                }
            }
            Order::Quit => self.is_over = true,
        }
    }

    /// A line to a guest, unless too much waits for it already.
    fn say(&mut self, handle: Handle, text: &str) {
        let Some(guest) = self.guests.get_mut(&handle) else {
            return;
        };
        let bytes = text.len() + self.line_end.len();
        let waiting = guest.queue.len();
        if waiting > 0 && waiting + bytes > QUEUE {
            return self.tell(&Happening::Deaf { handle, waiting });
        }
        guest.queue.extend_from_slice(text.as_bytes());
        guest.queue.extend_from_slice(self.line_end.as_bytes());
        self.tell(&Happening::Told { handle, bytes });
        self.flush(handle);
    }

    /// Sends what is owed, as far as it is taken.
    fn flush(&mut self, handle: Handle) {
        while let Some(guest) = self.guests.get_mut(&handle) {
            if guest.queue.is_empty() {
                return;
            }
            match guest.stream.write(&guest.queue) {
                Ok(count) => {
                    guest.queue.drain(..count);
                    guest.moved = Instant::now();
                    self.roster.sent(handle, count);
                }
                // It is told of when there is room again.
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.part(handle, &errno_name(&error)),
            }
        }
    }

    /// Ends a guest's visit with a last line.
    fn dismiss(&mut self, handle: Handle, words: &str, how: &str) {
        self.flush(handle);
        if let Some(guest) = self.guests.get_mut(&handle) {
            if guest.queue.is_empty() {
                let words = format!("{words}{}", self.line_end);
                let count = say_good_bye(&mut guest.stream, &words);
                self.roster.sent(handle, count);
            }
            self.part(handle, how);
        }
    }

    /// A guest is gone: nobody else is concerned.
    fn part(&mut self, handle: Handle, how: &str) {
        let guest = self.guests.remove(&handle);
        if let Some(text) = guest.and_then(|mut guest| guest.lines.handle_end()) {
            self.hear(handle, text);
        }
        if let Some(client) = self.roster.leave(handle, self.began.elapsed()) {
            let how = how.to_owned();
            self.left = Instant::now();
            self.tell(&Happening::Left { client, how });
        }
    }

    fn see_off(&mut self) {
        for handle in self.roster.handles() {
            self.dismiss(handle, "the server ends", "server_ended");
        }
    }

    fn tell(&mut self, happening: &Happening) {
        if self.told.is_ok() {
            self.told = (self.tell)(self.began.elapsed(), happening);
            // Nobody listens any more.
            self.is_over |= self.told.is_err();
        }
    }
}

/// A last line, as far as it is taken at once, and the end of the stream. What
/// has arrived is read away, or close(2) would send a reset that could destroy
/// the line.
fn say_good_bye(stream: &mut (impl Read + Write + AsFd), words: &str) -> usize {
    let count = stream.write(words.as_bytes()).unwrap_or(0);
    let _ = socket2::SockRef::from(&*stream).shutdown(Shutdown::Write);
    let mut buffer = [0; BUFFER];
    for _ in 0..TURN {
        if !matches!(stream.read(&mut buffer), Ok(1..)) {
            break;
        }
    }
    count
}
