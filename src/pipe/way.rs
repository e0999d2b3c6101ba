//! One way of a conversation: bytes from a file to the socket, or from the
//! socket to a file, until the source ends.
//!
//! Where a pipe is at the file's end and nobody looks at the bytes, the kernel
//! moves its pages (splice(2)); else they are read and written. Decides nothing
//! about the other way.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SpliceFFlags, fcntl, splice};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;

use super::lines::{LineEnds, lines};
use super::show;
use crate::event::{Topic, Way};
use crate::socket::Stream;

/// The most bytes of one call.
const LARGEST: usize = 1 << 20;
/// The most bytes of one call where they pass through this program.
const BUFFER: usize = 256 << 10;

/// Why a way ended before its source did.
#[derive(Debug)]
pub(super) enum Broken {
    /// The file at our end failed.
    File(io::Error),
    /// The socket failed.
    Socket(io::Error),
}

/// What is done to the bytes on their way to the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Treatment {
    /// LF becomes CRLF.
    pub crlf: bool,
    /// How long to wait after each line.
    pub line_delay: Option<Duration>,
}

impl Treatment {
    fn is_none(self) -> bool {
        self == Self::default()
    }
}

/// One way, ready to be gone.
pub(super) struct Carrier {
    pub(super) stream: Arc<Stream>,
    pub(super) file: Arc<OwnedFd>,
    /// Bytes that have gone.
    pub(super) moved: Arc<AtomicU64>,
    /// Readable when the conversation is over.
    pub(super) halt: Arc<EventFd>,
    pub(super) treatment: Treatment,
}

impl Carrier {
    /// From the file to the socket. True where the file ended, false where the
    /// conversation did.
    pub(super) fn send(&self) -> Result<bool, Broken> {
        widen(&self.file);
        let mut splicing = self.may_splice() && self.treatment.is_none();
        let mut buffer = Vec::new();
        let mut ends = LineEnds::default();
        loop {
            if !self.wait_for_file()? {
                return Ok(false);
            }
            if splicing {
                match relay(&*self.file, &**self.stream) {
                    Ok(0) => return Ok(true),
                    Ok(count) => self.count(count),
                    Err(Errno::EINVAL) => splicing = false,
                    Err(errno) => return Err(Broken::Socket(errno.into())),
                }
                continue;
            }
            buffer.resize(BUFFER, 0);
            let count = retried(|| nix::unistd::read(&*self.file, &mut buffer))
                .map_err(|errno| Broken::File(errno.into()))?;
            if count == 0 {
                return Ok(true);
            }
            self.send_treated(&buffer[..count], &mut ends)?;
        }
    }

    /// From the socket to the file, until the peer ends.
    pub(super) fn receive(&self) -> Result<(), Broken> {
        widen(&self.file);
        let mut splicing = self.may_splice();
        let mut buffer = Vec::new();
        loop {
            if splicing {
                match relay(&**self.stream, &*self.file) {
                    Ok(0) => return Ok(()),
                    Ok(count) => self.count(count),
                    Err(Errno::EINVAL) => splicing = false,
                    Err(Errno::EPIPE) => return Err(Broken::File(Errno::EPIPE.into())),
                    Err(errno) => return Err(Broken::Socket(errno.into())),
                }
                continue;
            }
            buffer.resize(BUFFER, 0);
            let count = match self.stream.recv(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Broken::Socket(error)),
            };
            self.show(Way::Received, &buffer[..count]);
            self.write(&buffer[..count]).map_err(Broken::File)?;
        }
    }

    /// The kernel may move the bytes where nobody looks at them or at the calls.
    fn may_splice(&self) -> bool {
        let recorder = self.stream.recorder();
        let is_pipe = fcntl(&*self.file, FcntlArg::F_GETPIPE_SZ).is_ok();
        is_pipe && !recorder.wants(Topic::Chunk) && !recorder.wants(Topic::Call)
    }

    /// Waits until there is something to read; false where it is over before.
    fn wait_for_file(&self) -> Result<bool, Broken> {
        loop {
            let mut waiting = [
                PollFd::new(self.file.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.halt.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut waiting, PollTimeout::NONE) {
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(Broken::File(errno.into())),
                Ok(_) if waiting[1].any() == Some(true) => return Ok(false),
                Ok(_) => return Ok(true),
            }
        }
    }

    fn send_treated(&self, piece: &[u8], ends: &mut LineEnds) -> Result<(), Broken> {
        let mut turned = Vec::new();
        let piece = if self.treatment.crlf {
            ends.turn(piece, &mut turned);
            &turned
        } else {
            piece
        };
        let Some(delay) = self.treatment.line_delay else {
            return self.send_all(piece);
        };
        for line in lines(piece) {
            self.send_all(line)?;
            if line.ends_with(b"\n") {
                self.pause(delay);
            }
        }
        Ok(())
    }

    /// Lets time pass, but not beyond the conversation's end.
    fn pause(&self, time: Duration) {
        let patience = PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX);
        let mut waiting = [PollFd::new(self.halt.as_fd(), PollFlags::POLLIN)];
        // Cut short by nothing: signals are left to who waits.
        let _ = poll(&mut waiting, patience);
    }

    fn send_all(&self, mut piece: &[u8]) -> Result<(), Broken> {
        while !piece.is_empty() {
            match self.stream.send(piece) {
                Ok(count) => {
                    self.show(Way::Sent, &piece[..count]);
                    self.count(count);
                    piece = &piece[count..];
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Broken::Socket(error)),
            }
        }
        Ok(())
    }

    fn write(&self, mut piece: &[u8]) -> io::Result<()> {
        while !piece.is_empty() {
            let count = retried(|| nix::unistd::write(&*self.file, piece))?;
            self.count(count);
            piece = &piece[count..];
        }
        Ok(())
    }

    fn count(&self, bytes: usize) {
        self.moved.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn show(&self, way: Way, bytes: &[u8]) {
        show(&self.stream, way, self.moved.load(Ordering::Relaxed), bytes);
    }
}

/// One splice(2), blocking.
fn relay(from: impl AsFd, to: impl AsFd) -> Result<usize, Errno> {
    retried(|| splice(&from, None, &to, None, LARGEST, SpliceFFlags::empty()))
}

fn retried<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

/// A pipe that holds more needs fewer turns of whoever is at its other end.
fn widen(file: &OwnedFd) {
    // What is no pipe, or may not grow (pipe-max-size), serves as it is.
    let _ = fcntl(file, FcntlArg::F_SETPIPE_SZ(1 << 20));
}
