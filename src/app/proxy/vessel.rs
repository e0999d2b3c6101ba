//! What bytes are carried in from one socket to the other: a buffer at first,
//! which takes the fewest calls; once there are many, a pipe, in which they
//! never leave the kernel (splice(2), pipe(2)). A buffer throughout where calls
//! and bytes are to be seen or no pipe is to be had.
//!
//! Owns them all. An idle tunnel has none: one is lent while bytes move.

use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};

use crate::app::net::{Reader, Writer};
use crate::event::{Topic, Way};
use crate::recorder::Recorder;

/// What a pipe holds at most. An unprivileged user's pipes keep their own size
/// once there are many (pipe(7)).
const PIPE: usize = 1 << 20;
/// Pipes, and buffers, that are kept while nobody needs them.
const KEPT: usize = 64;
/// What a buffer holds.
const BUFFER: usize = 16 << 10;
/// What one direction has carried when it is worth a pipe.
const MANY: u64 = 64 << 10;

/// Lends pipes and buffers.
pub(super) struct Vessels {
    kind: Kind,
    pipes: Mutex<Vec<Pipe>>,
    buffers: Mutex<Vec<Vec<u8>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Pipes,
    Buffers,
}

/// One that is lent.
pub(super) struct Vessel<'a> {
    owner: &'a Vessels,
    hold: Option<Hold>,
}

enum Hold {
    Pipe(Pipe),
    Buffer(Vec<u8>),
}

struct Pipe {
    exit: OwnedFd,
    entry: OwnedFd,
    held: usize,
}

impl Vessels {
    /// Pipes; buffers where the recorder wants to see each call or byte.
    pub(super) fn new(recorder: &Recorder) -> Self {
        let is_watched = recorder.wants(Topic::Call) || recorder.wants(Topic::Chunk);
        Self {
            kind: if is_watched {
                Kind::Buffers
            } else {
                Kind::Pipes
            },
            pipes: Mutex::default(),
            buffers: Mutex::default(),
        }
    }

    /// An empty one, for a direction that has carried so much.
    pub(super) fn lend(&self, carried: u64) -> Vessel<'_> {
        let pipe = match self.kind {
            Kind::Pipes if carried >= MANY => kept(&self.pipes).pop().or_else(|| Pipe::open().ok()),
            _ => None,
        };
        let buffer = || {
            let known = kept(&self.buffers).pop();
            Hold::Buffer(known.unwrap_or_else(|| vec![0; BUFFER]))
        };
        Vessel {
            owner: self,
            hold: Some(pipe.map_or_else(buffer, Hold::Pipe)),
        }
    }
}

fn kept<T>(all: &Mutex<Vec<T>>) -> MutexGuard<'_, Vec<T>> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

fn keep<T>(all: &Mutex<Vec<T>>, one: T) {
    let mut kept = kept(all);
    if kept.len() < KEPT {
        kept.push(one);
    }
}

impl Drop for Vessel<'_> {
    fn drop(&mut self) {
        match self.hold.take() {
            // A pipe with bytes left in it is nobody else's.
            Some(Hold::Pipe(pipe)) if pipe.held == 0 => keep(&self.owner.pipes, pipe),
            Some(Hold::Buffer(buffer)) => keep(&self.owner.buffers, buffer),
            _ => {}
        }
    }
}

impl Vessel<'_> {
    /// Takes what has arrived; 0 at the end of the stream, none where nothing
    /// has.
    pub(super) async fn fill(&mut self, from: &mut Reader) -> Option<io::Result<usize>> {
        match self.hold.as_mut()? {
            Hold::Buffer(buffer) => at_once(from.read(buffer)).await,
            Hold::Pipe(pipe) => {
                let entry = &pipe.entry;
                let filled = from.ready(Interest::READABLE, |socket| moved(&**socket, entry, PIPE));
                let filled = at_once(filled).await?;
                if let Ok(count) = filled {
                    from.moved(Way::Received, count as u64);
                    pipe.held = count;
                }
                Some(filled)
            }
        }
    }

    /// Passes on those `count` bytes.
    pub(super) async fn pour(&mut self, to: &mut Writer, count: usize) -> io::Result<()> {
        match &mut self.hold {
            None => Ok(()),
            Some(Hold::Buffer(buffer)) => to.write_all(&buffer[..count]).await,
            Some(Hold::Pipe(pipe)) => {
                while pipe.held > 0 {
                    let (exit, held) = (&pipe.exit, pipe.held);
                    let poured =
                        to.ready(Interest::WRITABLE, |socket| moved(exit, &**socket, held));
                    let count = poured.await?;
                    if count == 0 {
                        return Err(io::ErrorKind::WriteZero.into());
                    }
                    to.moved(Way::Sent, count as u64);
                    pipe.held -= count;
                }
                Ok(())
            }
        }
    }
}

impl Pipe {
    fn open() -> io::Result<Self> {
        let (exit, entry) = nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        let size = i32::try_from(PIPE).unwrap_or(i32::MAX);
        // One that stays smaller carries as well.
        let _ = fcntl(&entry, FcntlArg::F_SETPIPE_SZ(size));
        Ok(Self {
            exit,
            entry,
            held: 0,
        })
    }
}

fn moved(
    from: &impl std::os::fd::AsFd,
    to: &impl std::os::fd::AsFd,
    most: usize,
) -> io::Result<usize> {
    let flags = SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK;
    loop {
        match splice(from, None, to, None, most, flags) {
            Err(nix::errno::Errno::EINTR) => {}
            result => return Ok(result?),
        }
    }
}

/// What a future comes to without waiting; none where it would have to.
async fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|context| {
        Poll::Ready(match future.as_mut().poll(context) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        })
    })
    .await
}
