//! The control connection: frames over a stream, each wait with an end.
//!
//! Owns the stream's time-outs. Knows nothing of what is said.

use std::io;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::frame::{self, Decoder, Malformed};
use crate::compare::lane::GLANCE;
use crate::socket::Stream;

/// Why no message came.
#[derive(Debug, thiserror::Error)]
pub(super) enum Silence {
    #[error("it closed the connection")]
    Closed,
    #[error("it sent {0}")]
    Malformed(#[from] Malformed),
    #[error("it said nothing in time")]
    Late,
    #[error("the program was stopped")]
    Stopped,
    #[error("{}", crate::error::explain(.0))]
    Io(#[from] io::Error),
}

/// A connection on which frames are exchanged.
pub(super) struct Control {
    stream: Stream,
    decoder: Decoder,
}

/// How long a peer may take nothing of what is said to it.
const STUCK: Duration = Duration::from_secs(10);

impl Control {
    /// Over a connected stream, for frames of at most `longest` bytes.
    pub(super) fn new(stream: Stream, longest: usize) -> io::Result<Self> {
        stream.set_receive_timeout(GLANCE)?;
        stream.set_send_timeout(STUCK)?;
        stream.set_option("TCP_NODELAY, 1", |socket| socket.set_tcp_nodelay(true))?;
        Ok(Self {
            stream,
            decoder: Decoder::new(longest),
        })
    }

    /// Says something whole.
    pub(super) fn say(&self, message: &impl Serialize) -> io::Result<()> {
        let frame = frame::encode(message);
        let mut rest = &frame[..];
        let until = Instant::now() + STUCK;
        while !rest.is_empty() {
            match self.stream.send(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if !rest.is_empty() && Instant::now() >= until {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        Ok(())
    }

    /// Waits for the next message until `until`, and no longer than `stopped`
    /// allows.
    pub(super) fn hear<T: DeserializeOwned>(
        &mut self,
        until: Instant,
        stopped: &dyn Fn() -> bool,
    ) -> Result<T, Silence> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(message) = self.decoder.next()? {
                return Ok(message);
            }
            if stopped() {
                return Err(Silence::Stopped);
            }
            if Instant::now() >= until {
                return Err(Silence::Late);
            }
            match self.stream.recv(&mut buffer) {
                Ok(0) => return Err(Silence::Closed),
                Ok(count) => self.decoder.feed(&buffer[..count]),
                Err(error) if is_only_time(&error) => {}
                Err(error) => return Err(Silence::Io(error)),
            }
        }
    }

    /// Whether nothing has been received that no message was made of.
    pub(super) fn is_empty(&self) -> bool {
        self.decoder.is_empty()
    }

    /// The stream alone, for what comes after the frames.
    pub(super) fn into_stream(self) -> Stream {
        self.stream
    }

    /// The stream, to look at.
    pub(super) fn stream(&self) -> &Stream {
        &self.stream
    }
}

/// Whether a call failed only because nothing came for a while.
pub(super) fn is_only_time(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}
