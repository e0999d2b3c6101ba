//! One thread for all clients, with poll(2): before each sleep the kernel is
//! given the list of all sockets, and afterwards every one of them is looked at.
//!
//! No client costs more than its socket and its session. But the work of every
//! turn grows with all clients, busy or not.

use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::error::Error;
use crate::serve::conversation::{Next, Talk, Until};
use crate::serve::door::{Arrival, Door, Knock, PAUSE};

/// Bytes read at once; one buffer serves all.
const BUFFER: usize = 64 << 10;

struct Client {
    talk: Talk<TcpStream>,
    next: Next,
}

pub(super) fn serve(door: &Door<'_>) -> Result<(), Error> {
    let mut clients: Vec<Client> = Vec::new();
    let mut buffer = vec![0; BUFFER];
    let mut rest = None;
    while !door.terms.stop.is_asked() {
        let has_room = rest.is_none() && clients.len() < door.terms.most;
        let [at_door, ready @ ..] = &sleep(door, &clients, has_room, rest)?[..] else {
            continue;
        };
        advance(&mut clients, ready, &mut buffer);
        rest = rest.filter(|until| Instant::now() < *until);
        if *at_door {
            rest = welcome(door, &mut clients, &mut buffer)?;
        }
    }
    see_off(door, clients, &mut buffer)
}

/// Sleeps until something is ready: whether the door is, then which clients are.
fn sleep(
    door: &Door<'_>,
    clients: &[Client],
    has_room: bool,
    until: Option<Instant>,
) -> Result<Vec<bool>, Error> {
    let at_door = if has_room {
        PollFlags::POLLIN
    } else {
        PollFlags::empty()
    };
    let wanted = |client: &Client| match client.next {
        Next::Writing => PollFlags::POLLOUT,
        _ => PollFlags::POLLIN,
    };
    let own = [
        PollFd::new(door.terms.stop.as_fd(), PollFlags::POLLIN),
        PollFd::new(door.listener.as_fd(), at_door),
    ];
    let sockets = clients
        .iter()
        .map(|client| PollFd::new(client.talk.stream.as_fd(), wanted(client)));
    let mut all: Vec<PollFd<'_>> = own.into_iter().chain(sockets).collect();
    let is_hurried = clients.iter().any(|client| client.next == Next::Turn);
    match poll(&mut all, timeout(is_hurried, until)) {
        Ok(_) => {}
        Err(Errno::EINTR) => return Ok(Vec::new()),
        Err(errno) => return Err(door.failure("poll", errno.into())),
    }
    Ok(all[1..]
        .iter()
        .map(|socket| socket.any().unwrap_or(false))
        .collect())
}

fn timeout(is_hurried: bool, until: Option<Instant>) -> PollTimeout {
    if is_hurried {
        return PollTimeout::ZERO;
    }
    let Some(until) = until else {
        return PollTimeout::NONE;
    };
    let left = until.saturating_duration_since(Instant::now());
    // Rounded up: poll(2) counts in milliseconds.
    PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::ZERO)
}

fn advance(clients: &mut Vec<Client>, ready: &[bool], buffer: &mut [u8]) {
    for (client, is_ready) in clients.iter_mut().zip(ready) {
        if *is_ready || client.next == Next::Turn {
            client.next = client.talk.advance(buffer, Until::Short);
        }
    }
    clients.retain(|client| client.next != Next::Over);
}

/// Accepts all who wait; when the next may be accepted, where none can be now.
fn welcome(
    door: &Door<'_>,
    clients: &mut Vec<Client>,
    buffer: &mut [u8],
) -> Result<Option<Instant>, Error> {
    while clients.len() < door.terms.most {
        match door.knock()? {
            Knock::Client(Arrival { client, tale, .. }) => {
                if client.set_nonblocking(true).is_ok() {
                    let mut talk = Talk::begin((client, tale), door.terms);
                    let next = talk.advance(buffer, Until::Short);
                    if next != Next::Over {
                        clients.push(Client { talk, next });
                    }
                }
            }
            Knock::Nobody => break,
            Knock::Gone => {}
            Knock::Full => return Ok(Some(Instant::now() + PAUSE)),
        }
    }
    Ok(None)
}

/// Sends what is owed, for as long as there is patience.
fn see_off(door: &Door<'_>, mut clients: Vec<Client>, buffer: &mut [u8]) -> Result<(), Error> {
    let deadline = Instant::now() + door.terms.patience;
    for client in &mut clients {
        client.talk.session.handle_end();
        client.next = client.talk.advance(buffer, Until::Short);
    }
    clients.retain(|client| client.next != Next::Over);
    while !clients.is_empty() && Instant::now() < deadline {
        let sockets = clients
            .iter()
            .map(|client| PollFd::new(client.talk.stream.as_fd(), PollFlags::POLLOUT));
        let mut all: Vec<PollFd<'_>> = sockets.collect();
        match poll(&mut all, timeout(false, Some(deadline))) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(door.failure("poll", errno.into())),
        }
        let ready: Vec<bool> = all
            .iter()
            .map(|socket| socket.any().unwrap_or(false))
            .collect();
        advance(&mut clients, &ready, buffer);
    }
    Ok(())
}
