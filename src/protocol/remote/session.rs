//! One connection of remote control at either end: bytes in, what they mean out.
//!
//! ```text
//! client:  greeted ──► waits for the answer ──► open ──► asked ──► over
//! server:  waits for a hello ──► open ──► asked (only End may follow) ──► over
//!                         any failure at all ──► closed
//! ```
//!
//! Nothing is heard before the handshake is done, and nothing after a failure.
//! Keeps one frame that has not wholly come.

use super::authorised::Authorised;
use super::channel::{self, Broken, Channel, Greeting, HELLO_BYTES, REPLY_BYTES, Salt, Seen, TAG};
use super::frame::{Frames, LARGEST_FRAME, framed};
use super::key::{Public, Secret};
use super::message::{Ask, CHUNK, Reply};

/// The longest sealed message that a client may send.
const LONGEST_ASK: usize = LARGEST_FRAME;
/// The longest sealed message that a server may send.
const LONGEST_REPLY: usize = 1 + CHUNK + TAG;

/// What a server hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Somebody with an authorised key is there. Send them this.
    Greeted {
        /// Whose key it is.
        client: Public,
        /// The answer's frame.
        reply: Vec<u8>,
    },
    /// They ask for something.
    Asked(Ask),
}

/// What a client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The server has the key that it should have, and knows ours.
    Greeted,
    /// It answers.
    Reply(Reply),
}

/// The server's end.
pub struct Server<'a> {
    own: &'a Secret,
    authorised: &'a Authorised,
    frames: Frames,
    phase: ServerPhase,
}

enum ServerPhase {
    Hello,
    Open(Channel),
    Asked(Channel),
    Closed,
}

impl<'a> Server<'a> {
    /// A server with this key that lets in who has one of those.
    pub fn new(own: &'a Secret, authorised: &'a Authorised) -> Self {
        Self {
            own,
            authorised,
            frames: Frames::default(),
            phase: ServerPhase::Hello,
        }
    }

    /// Takes bytes as they come.
    ///
    /// # Errors
    ///
    /// The connection is to be closed at once; nothing more is heard on it.
    pub fn handle_bytes(&mut self, bytes: &[u8], seen: &mut Seen) -> Result<Vec<Heard>, Broken> {
        self.frames.push(bytes);
        let mut heard = Vec::new();
        loop {
            match self.next(seen) {
                Ok(Some(one)) => heard.push(one),
                Ok(None) => return Ok(heard),
                Err(broken) => {
                    self.close();
                    return Err(broken);
                }
            }
        }
    }

    fn next(&mut self, seen: &mut Seen) -> Result<Option<Heard>, Broken> {
        let most = match self.phase {
            ServerPhase::Hello => HELLO_BYTES,
            ServerPhase::Open(_) | ServerPhase::Asked(_) => LONGEST_ASK,
            ServerPhase::Closed => return Err(Broken::Closed),
        };
        let frame = self.frames.next(most).map_err(|_| match self.phase {
            ServerPhase::Hello => Broken::Foreign,
            _ => Broken::TooLong,
        })?;
        let Some(frame) = frame else {
            return Ok(None);
        };
        let heard = match &mut self.phase {
            ServerPhase::Hello => {
                let keys = self.authorised.iter().map(|(key, _)| key);
                let answer = channel::answer(self.own, keys, frame, seen)?;
                self.phase = ServerPhase::Open(answer.channel);
                return Ok(Some(Heard::Greeted {
                    client: answer.client,
                    reply: framed(&answer.reply).ok_or(Broken::TooLong)?,
                }));
            }
            ServerPhase::Open(channel) | ServerPhase::Asked(channel) => {
                let message = channel.open(frame)?;
                Ask::decode(&message).map_err(|_| Broken::Meaning)?
            }
            ServerPhase::Closed => return Err(Broken::Closed),
        };
        self.note(&heard)?;
        Ok(Some(Heard::Asked(heard)))
    }

    /// One thing is asked on a connection, and then at most its end.
    fn note(&mut self, ask: &Ask) -> Result<(), Broken> {
        match (std::mem::replace(&mut self.phase, ServerPhase::Closed), ask) {
            (ServerPhase::Open(channel), Ask::List | Ask::Run { .. })
            | (ServerPhase::Asked(channel), Ask::End) => {
                self.phase = ServerPhase::Asked(channel);
                Ok(())
            }
            _ => Err(Broken::Order),
        }
    }

    /// An answer's frame.
    ///
    /// # Errors
    ///
    /// There is nobody to answer.
    pub fn answer(&mut self, reply: &Reply) -> Result<Vec<u8>, Broken> {
        match &mut self.phase {
            ServerPhase::Asked(channel) => {
                let sealed = channel.seal(&reply.encode())?;
                framed(&sealed).ok_or(Broken::TooLong)
            }
            _ => Err(Broken::Closed),
        }
    }

    /// Whether the handshake is done, and nothing has failed.
    pub fn is_open(&self) -> bool {
        matches!(self.phase, ServerPhase::Open(_) | ServerPhase::Asked(_))
    }

    fn close(&mut self) {
        self.phase = ServerPhase::Closed;
        self.frames = Frames::default();
    }
}

/// The client's end.
pub struct Client {
    frames: Frames,
    phase: ClientPhase,
}

enum ClientPhase {
    Greeting(Greeting),
    Open(Channel),
    Asked(Channel, Course),
    Closed,
}

/// How far the answers have come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Course {
    Listing,
    Waiting,
    Running,
    Over,
}

impl Client {
    /// A client with this key that speaks to the server with that one, and its
    /// first frame. The salt must never have been used before.
    pub fn begin(own: &Secret, server: &Public, salt: Salt) -> Result<(Self, Vec<u8>), Broken> {
        let (greeting, hello) = channel::greet(own, server, salt)?;
        let client = Self {
            frames: Frames::default(),
            phase: ClientPhase::Greeting(greeting),
        };
        Ok((client, framed(&hello).ok_or(Broken::TooLong)?))
    }

    /// Takes bytes as they come.
    ///
    /// # Errors
    ///
    /// The connection is to be closed at once; nothing more is heard on it.
    pub fn handle_bytes(&mut self, bytes: &[u8]) -> Result<Vec<Told>, Broken> {
        self.frames.push(bytes);
        let mut told = Vec::new();
        loop {
            match self.next() {
                Ok(Some(one)) => told.push(one),
                Ok(None) => return Ok(told),
                Err(broken) => {
                    self.phase = ClientPhase::Closed;
                    self.frames = Frames::default();
                    return Err(broken);
                }
            }
        }
    }

    fn next(&mut self) -> Result<Option<Told>, Broken> {
        let most = match self.phase {
            ClientPhase::Greeting(_) => REPLY_BYTES,
            ClientPhase::Open(_) | ClientPhase::Asked(..) => LONGEST_REPLY,
            ClientPhase::Closed => return Err(Broken::Closed),
        };
        let frame = self.frames.next(most).map_err(|_| match self.phase {
            ClientPhase::Greeting(_) => Broken::Foreign,
            _ => Broken::TooLong,
        })?;
        let Some(frame) = frame else {
            return Ok(None);
        };
        match std::mem::replace(&mut self.phase, ClientPhase::Closed) {
            ClientPhase::Greeting(greeting) => {
                self.phase = ClientPhase::Open(greeting.finish(frame)?);
                Ok(Some(Told::Greeted))
            }
            ClientPhase::Asked(mut channel, course) => {
                let message = channel.open(frame)?;
                let reply = Reply::decode(&message).map_err(|_| Broken::Meaning)?;
                let course = course.after(&reply).ok_or(Broken::Order)?;
                self.phase = ClientPhase::Asked(channel, course);
                Ok(Some(Told::Reply(reply)))
            }
            // Nothing was asked.
            ClientPhase::Open(_) => Err(Broken::Order),
            ClientPhase::Closed => Err(Broken::Closed),
        }
    }

    /// A question's frame: one question, and then at most its end.
    ///
    /// # Errors
    ///
    /// The handshake is not done, or this has no place now.
    pub fn ask(&mut self, ask: &Ask) -> Result<Vec<u8>, Broken> {
        let sealed = match (&mut self.phase, ask) {
            (ClientPhase::Open(channel), Ask::List | Ask::Run { .. })
            | (ClientPhase::Asked(channel, _), Ask::End) => channel.seal(&ask.encode())?,
            _ => return Err(Broken::Order),
        };
        if let ClientPhase::Open(_) = self.phase
            && let ClientPhase::Open(channel) =
                std::mem::replace(&mut self.phase, ClientPhase::Closed)
        {
            let course = match ask {
                Ask::List => Course::Listing,
                _ => Course::Waiting,
            };
            self.phase = ClientPhase::Asked(channel, course);
        }
        framed(&sealed).ok_or(Broken::TooLong)
    }

    /// Whether all that was asked for has been answered.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, ClientPhase::Asked(_, Course::Over))
    }
}

impl Course {
    /// Where this answer leads, where it has a place.
    fn after(self, reply: &Reply) -> Option<Self> {
        match (self, reply) {
            (Course::Listing, Reply::Entry(_)) => Some(Course::Listing),
            (Course::Listing, Reply::Listed) | (Course::Running, Reply::Ended(_)) => {
                Some(Course::Over)
            }
            (Course::Listing | Course::Waiting, Reply::Refused { .. }) => Some(Course::Over),
            (Course::Waiting, Reply::Begun { .. }) | (Course::Running, Reply::Output { .. }) => {
                Some(Course::Running)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
