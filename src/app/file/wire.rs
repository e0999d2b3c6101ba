//! A transfer's connection: lines and data read and written in large pieces,
//! never without a limit of time.
//!
//! While it writes it takes in what arrives, so that two ends that both have
//! much to say cannot wait for each other. Owns the buffers; knows no file.

use std::fmt::Display;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use nix::errno::Errno;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::{JoinError, JoinHandle};

use crate::app::Stop;
use crate::app::net::{Connection, Reader, Writer};
use crate::error::{Error, Exit};
use crate::event::{File, Told, Topic};
use crate::protocol::file::{Code, Inbox, Line};
use crate::recorder::Recorder;

/// Bytes that are read, and written, at once.
pub(super) const PIECE: usize = 256 << 10;
/// How often the other end is told that the disk is busy.
const SIGN_OF_LIFE: Duration = Duration::from_secs(3);
/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_millis(500);

/// One conversation.
pub(super) struct Wire {
    reader: Reader,
    writer: Writer,
    inbox: Inbox,
    outbox: Vec<u8>,
    idle: Duration,
    stop: Stop,
    has_ended: bool,
    is_in_data: bool,
    parting: Parting,
}

impl Wire {
    pub(super) fn new(connection: Connection, idle: Duration, stop: Stop) -> Self {
        let (reader, writer) = connection.into_split();
        Self {
            reader,
            writer,
            inbox: Inbox::new(2 * PIECE),
            outbox: Vec::with_capacity(PIECE),
            idle,
            stop,
            has_ended: false,
            is_in_data: false,
            parting: Parting::Cause,
        }
    }

    pub(super) fn peer(&self) -> SocketAddr {
        self.reader.peer()
    }

    pub(super) fn local(&self) -> SocketAddr {
        self.reader.local()
    }

    pub(super) fn recorder(&self) -> &Recorder {
        self.reader.recorder()
    }

    /// Tells a step that is as it should be, where those are told.
    pub(super) fn step(&self, step: impl FnOnce() -> File) {
        super::tell(self.recorder(), Topic::Routine, self.peer(), step);
    }

    /// Tells what must be known.
    pub(super) fn tell(&self, step: impl FnOnce() -> File) {
        super::tell(self.recorder(), Topic::App, self.peer(), step);
    }

    /// Tells the kernel's figures.
    pub(super) fn tell_figures(&self) {
        self.reader
            .tell(|| Told::Over(Box::new(self.reader.figures())));
    }

    /// Puts a line where the next [`flush`](Self::flush) takes it.
    pub(super) fn say(&mut self, line: &Line) {
        // A vector takes everything.
        let _ = writeln!(self.outbox, "{line}");
    }

    /// Where data go, after what was said.
    pub(super) fn outbox(&mut self) -> &mut Vec<u8> {
        &mut self.outbox
    }

    /// Sends what is there, once it is worth a call.
    pub(super) async fn flush_if_large(&mut self) -> Result<(), Error> {
        if self.outbox.len() >= PIECE {
            self.flush().await?;
        }
        Ok(())
    }

    /// Sends what is there.
    pub(super) async fn flush(&mut self) -> Result<(), Error> {
        let mut sent = 0;
        while sent < self.outbox.len() {
            let room = self.inbox.room();
            let hears = !self.has_ended && !room.is_empty();
            let moved = tokio::select! {
                count = self.writer.write(&self.outbox[sent..]) => Moved::Out(count),
                count = self.reader.read(room), if hears => Moved::In(count),
                () = self.stop.asked() => return Err(self.stopped()),
                () = tokio::time::sleep(self.idle) => return Err(self.late()),
            };
            match moved {
                Moved::Out(Ok(count)) => sent += count,
                Moved::Out(Err(error)) => return Err(self.broken("send to", error)),
                Moved::In(count) => self.heard(count)?,
            }
        }
        self.outbox.clear();
        Ok(())
    }

    /// Sends what is there, if anything is: what was waited for may have come
    /// meanwhile.
    async fn flushed(&mut self) -> Result<bool, Error> {
        let is_any = !self.outbox.is_empty();
        self.flush().await?;
        Ok(is_any)
    }

    fn heard(&mut self, count: io::Result<usize>) -> Result<(), Error> {
        match count.map_err(|error| self.broken("receive from", error))? {
            0 => self.has_ended = true,
            count => self.inbox.filled(count),
        }
        Ok(())
    }

    /// Takes in more; whether anything came within `patience`, where one is
    /// given.
    async fn fill(&mut self, patience: Option<Duration>) -> Result<bool, Error> {
        if self.has_ended {
            return Err(self.gone());
        }
        let limit = patience.unwrap_or(self.idle).min(self.idle);
        let count = tokio::select! {
            count = self.reader.read(self.inbox.room()) => count,
            () = self.stop.asked() => return Err(self.stopped()),
            () = tokio::time::sleep(limit) => match patience {
                Some(_) => return Ok(false),
                None => return Err(self.late()),
            },
        };
        self.heard(count)?;
        if self.has_ended {
            return Err(self.gone());
        }
        Ok(true)
    }

    /// The next line, if it has arrived.
    pub(super) fn line_at_hand(&mut self) -> Result<Option<Line>, Error> {
        let line = self.inbox.line();
        line.map_err(|violation| self.offended(violation, Code::Protocol))
    }

    /// The next line. What was said is sent before.
    pub(super) async fn line(&mut self) -> Result<Line, Error> {
        loop {
            if let Some(line) = self.line_within(self.idle).await? {
                return Ok(line);
            }
        }
    }

    /// The next line, if it comes within `patience`. What was said is sent
    /// before.
    pub(super) async fn line_within(&mut self, patience: Duration) -> Result<Option<Line>, Error> {
        loop {
            if let Some(line) = self.line_at_hand()? {
                return Ok(Some(line));
            }
            if self.flushed().await? {
                continue;
            }
            let patience = (patience < self.idle).then_some(patience);
            if !self.fill(patience).await? {
                return Ok(None);
            }
        }
    }

    /// Hands the next `length` bytes over as they come.
    pub(super) async fn data(
        &mut self,
        length: u64,
        mut take: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut left = length;
        while left > 0 {
            let data = self.inbox.data(left);
            if data.is_empty() {
                if !self.flushed().await? {
                    self.fill(None).await?;
                }
                continue;
            }
            let count = data.len();
            take(data)?;
            self.inbox.taken(count);
            left -= count as u64;
        }
        Ok(())
    }

    /// The next line, or what `work` came to, whichever is there first. What was
    /// said is sent before.
    pub(super) async fn line_or<T>(
        &mut self,
        work: &mut JoinHandle<T>,
    ) -> Result<LineOr<T>, Error> {
        loop {
            if let Some(line) = self.line_at_hand()? {
                return Ok(LineOr::Line(line));
            }
            if self.flushed().await? {
                continue;
            }
            let is_any = tokio::select! {
                done = &mut *work => return done.map(LineOr::Done).map_err(|gone| lost(&gone)),
                is_any = self.fill(Some(SIGN_OF_LIFE)) => is_any?,
            };
            if !is_any {
                self.say(&Line::Wait);
            }
        }
    }

    /// So many bytes of data, where they have arrived already.
    pub(super) fn data_at_hand(&mut self, length: u64) -> Option<Vec<u8>> {
        let data = self.inbox.data(length);
        if data.len() as u64 != length {
            return None;
        }
        let data = data.to_vec();
        self.inbox.taken(data.len());
        Some(data)
    }

    /// Does this on a thread that may wait for the disk, and lets the other end
    /// know that it is waited for.
    pub(super) async fn patiently<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        self.outlast(&mut tokio::task::spawn_blocking(work)).await
    }

    /// Waits for the disk, and lets the other end know that it is waited for.
    pub(super) async fn outlast<T>(&mut self, work: &mut JoinHandle<T>) -> Result<T, Error> {
        loop {
            tokio::select! {
                done = &mut *work => return done.map_err(|gone| lost(&gone)),
                () = tokio::time::sleep(SIGN_OF_LIFE) => {}
            }
            self.say(&Line::Wait);
            self.flush().await?;
        }
    }

    /// Bytes of a file follow from now on, or do so no longer: a line among them
    /// would be taken for data.
    pub(super) fn set_in_data(&mut self, is_in_data: bool) {
        self.is_in_data = is_in_data;
    }

    /// Says why it ends here, where it does so early and that is still possible;
    /// takes what still comes, so that what was said is not lost in a reset
    /// (RFC 9293, section 3.10.4); and closes.
    pub(super) async fn leave(mut self, error: Option<&Error>) {
        if self.is_in_data {
            self.outbox.clear();
        } else if let Some(code) = error.and_then(|error| self.parting(error)) {
            self.say(&Line::Bye(code));
        }
        let farewell = async {
            // Whoever does not listen any more need not hear it.
            let _ = self.writer.write_all(&self.outbox).await;
            let _ = self.writer.shutdown().await;
            let mut rest = vec![0; PIECE];
            while !self.has_ended {
                match self.reader.read(&mut rest).await {
                    Ok(1..) => {}
                    _ => self.has_ended = true,
                }
            }
        };
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
        self.tell_figures();
    }

    /// What the other end is told when this one gives up.
    fn parting(&self, error: &Error) -> Option<Code> {
        match (&self.parting, error.errno()) {
            (Parting::Silent, _) => None,
            (Parting::Said(code), _) => Some(code.clone()),
            (Parting::Cause, Some(errno)) => Some(super::batch::code(&errno.into())),
            (Parting::Cause, None) => Some(Code::Disk),
        }
    }

    /// The other end said what makes no sense.
    pub(super) fn offended(&mut self, cause: impl Display, code: Code) -> Error {
        self.parting = Parting::Said(code);
        Error::new("understand", self.peer(), cause.to_string()).exiting(Exit::Network)
    }

    /// The other end ended it.
    pub(super) fn left(&mut self, code: &Code) -> Error {
        self.parting = Parting::Silent;
        let cause = format!("it ended the transfer: {code}");
        Error::new("talk to", self.peer(), cause).exiting(Exit::Network)
    }

    fn broken(&mut self, operation: &str, error: io::Error) -> Error {
        // Its last words may say more than the reset that followed them.
        while let Ok(Some(line)) = self.inbox.line() {
            if let Line::Bye(code) = line {
                return self.left(&code);
            }
        }
        self.parting = Parting::Silent;
        Error::new(operation, self.peer(), error)
            .remedy("run it again: the transfer goes on where it broke")
    }

    fn gone(&mut self) -> Error {
        self.parting = Parting::Silent;
        let cause = "it closed the connection before the end";
        Error::new("receive from", self.peer(), cause)
            .exiting(Exit::Network)
            .remedy("run it again: the transfer goes on where it broke")
    }

    fn late(&mut self) -> Error {
        self.parting = Parting::Said(Code::Idle);
        let limit = self.idle;
        Error::new("wait for", self.peer(), Errno::ETIMEDOUT)
            .exiting(Exit::Network)
            .remedy(format!("nothing moved for {limit:?} (--idle-timeout)"))
    }

    fn stopped(&mut self) -> Error {
        self.parting = Parting::Said(Code::Stopped);
        Error::new("talk to", self.peer(), "interrupted")
            .exiting(Exit::Network)
            .remedy("run it again: the transfer goes on where it was stopped")
    }
}

/// What came first.
pub(super) enum LineOr<T> {
    /// A line.
    Line(Line),
    /// The end of other work.
    Done(T),
}

/// What is said to the other end when this one gives up.
enum Parting {
    /// What the error's cause says.
    Cause,
    /// This.
    Said(Code),
    /// Nothing: it knows, or is gone.
    Silent,
}

fn lost(gone: &JoinError) -> Error {
    Error::new("wait for", "the disk", gone.to_string())
}

enum Moved {
    Out(io::Result<usize>),
    In(io::Result<usize>),
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpStream;
    use std::sync::Arc;

    use super::*;
    use crate::address::Admission;
    use crate::app::net::{Door, Doorway, Stack};
    use crate::app::runtime;
    use crate::event::{Place, Silence};
    use crate::recorder::{Clock, Recorder};

    /// An answer that is taken in while something is being sent is not waited
    /// for again.
    #[test]
    fn what_comes_while_we_speak_is_heard() {
        let recorder = Recorder::new(Place::Server, Clock::start(), Arc::new(Silence));
        let doorway = Doorway {
            addresses: vec!["127.0.0.1:0".parse().expect("an address")],
            stack: Stack::Single,
            options: Vec::new(),
            admission: Admission::default(),
        };
        let idle = Duration::from_secs(20);
        runtime(0).expect("a runtime").block_on(async {
            let door = Door::open(doorway, &recorder).expect("a port");
            let mut peer = TcpStream::connect(door.addresses()[0]).expect("it listens");
            let mut wire = Wire::new(door.accept().await, idle, Stop::default());
            // Whether writing or reading comes first is drawn each time.
            for _ in 0..64 {
                peer.write_all(b"OK\n").expect("it is open");
                wire.reader.readable().await.expect("it is open");
                wire.say(&Line::Wait);
                assert_eq!(wire.line().await.expect("it came"), Line::Ok);
                peer.write_all(b"12345").expect("it is open");
                wire.reader.readable().await.expect("it is open");
                wire.say(&Line::Wait);
                let mut heard = Vec::new();
                let take = |data: &[u8]| {
                    heard.extend_from_slice(data);
                    Ok(())
                };
                wire.data(5, take).await.expect("it came");
                assert_eq!(heard, b"12345");
            }
        });
    }
}
