//! A session joined to its socket, in the two ways there are: a thread that
//! waits inside read(2) and write(2), and a loop that goes on as far as it can
//! and is told what it would wait for.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::SystemTime;

use super::Session;
use super::model::Terms;
use super::tale::{Watched, Witness};

/// Bytes of a blocking conversation's buffer. Each thread has its own, so it is
/// small.
const BLOCK: usize = 4096;

/// Talks with one client to the end, waiting wherever there is something to wait
/// for. `before_reading` is called before each read, and ends the conversation
/// by answering no.
pub(super) fn converse(
    (client, tale): (&TcpStream, Witness),
    terms: &Terms<'_>,
    before_reading: impl Fn() -> io::Result<bool>,
) -> io::Result<()> {
    let mut session = terms.service.begin(SystemTime::now());
    let mut buffer = [0; BLOCK];
    let mut stream = Watched {
        socket: client,
        tale,
    };
    loop {
        while !session.poll_output().is_empty() {
            match stream.write(session.poll_output()) {
                Ok(count) => session.handle_sent(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if terms.stop.is_asked() {
                session.handle_end();
            }
        }
        if session.is_over() {
            if session.leaves_unread() {
                drain_now(client, &mut buffer);
            }
            return Ok(());
        }
        if !before_reading()? {
            session.handle_end();
            continue;
        }
        match stream.read(&mut buffer) {
            Ok(0) => session.handle_end(),
            Ok(count) => session.handle_data(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Reads away what has arrived on a socket that may block.
pub(super) fn drain_now(client: &TcpStream, buffer: &mut [u8]) {
    if client.set_nonblocking(true).is_ok() {
        drain(client, buffer);
    }
}

/// Reads away what has arrived: close(2) with unread input sends a reset, which
/// may destroy the answer that is still under way.
fn drain(mut client: impl Read, buffer: &mut [u8]) {
    for _ in 0..TURN {
        if !matches!(client.read(buffer), Ok(1..)) {
            return;
        }
    }
}

/// A conversation on a socket that never blocks.
pub(super) struct Talk<S> {
    pub(super) stream: Watched<S>,
    pub(super) session: Session,
}

/// What a conversation waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// The client to speak.
    Reading,
    /// The client to take what it is owed.
    Writing,
    /// Its turn: it could go on at once, but others are waiting.
    Turn,
    /// Nothing: it is over.
    Over,
}

/// How a loop learns that a socket has no more to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// A read said so.
    Empty,
    /// A read that did not fill its buffer says so too (epoll(7)): whatever comes
    /// later is told of again. Not where the end of the stream may have been told
    /// of already.
    Short,
}

/// Calls that one client may have made for it before it is another's turn.
const TURN: usize = 32;

impl<S: Read + Write> Talk<S> {
    pub(super) fn begin((socket, tale): (S, Witness), terms: &Terms<'_>) -> Self {
        Self {
            stream: Watched { socket, tale },
            session: terms.service.begin(SystemTime::now()),
        }
    }

    /// Goes on until the socket would block. `buffer` belongs to the loop and
    /// serves all its clients: an idle one has none.
    pub(super) fn advance(&mut self, buffer: &mut [u8], until: Until) -> Next {
        let mut has_drained = false;
        for _ in 0..TURN {
            let owed = self.session.poll_output();
            let is_speaking = !owed.is_empty();
            let moved = if is_speaking {
                self.stream.write(owed)
            } else if self.session.is_over() {
                if self.session.leaves_unread() {
                    drain(&mut self.stream, buffer);
                }
                return Next::Over;
            } else if has_drained {
                return Next::Reading;
            } else {
                self.stream.read(buffer)
            };
            match (moved, is_speaking) {
                (Ok(count), true) => self.session.handle_sent(count),
                (Ok(0), false) => self.session.handle_end(),
                (Ok(count), false) => {
                    has_drained = until == Until::Short && count < buffer.len();
                    self.session.handle_data(&buffer[..count]);
                }
                (Err(error), _) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock if is_speaking => return Next::Writing,
                    ErrorKind::WouldBlock => return Next::Reading,
                    // A client that reset the connection is over like another.
                    _ => return Next::Over,
                },
            }
        }
        Next::Turn
    }
}
