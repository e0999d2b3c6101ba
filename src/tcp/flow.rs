//! Bytes through a stream, both ways counted and kept: whole writes, reads until
//! all is there, and no wait without an end.

use std::fmt::Display;
use std::io;
use std::time::Duration;

use nix::libc;
use sha2::{Digest, Sha256};

use super::Transfer;
use crate::error::{Error, Exit};
use crate::socket::{Handle, Stream};
use crate::stage::Stage;

/// What was written and read in one direction so far.
#[derive(Default)]
pub(super) struct Flow {
    pub(super) sent: Tally,
    pub(super) received: Tally,
}

/// Calls and bytes at one end. The bytes are kept and hashed when all is over,
/// so that the hashing takes no time within the story.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) calls: u64,
    data: Vec<u8>,
}

impl Tally {
    fn add(&mut self, data: &[u8]) {
        self.calls += 1;
        self.data.extend_from_slice(data);
    }
}

impl Flow {
    pub(super) fn finish(self) -> Transfer {
        Transfer {
            writes: self.sent.calls,
            reads: self.received.calls,
            bytes_sent: self.sent.data.len() as u64,
            bytes_received: self.received.data.len() as u64,
            sha256_sent: hex::encode(Sha256::digest(&self.sent.data)),
            sha256_received: hex::encode(Sha256::digest(&self.received.data)),
        }
    }
}

/// The sending and the receiving end.
pub(super) type Ends<'a> = (&'a Stream, &'a Stream);

/// So much fits into the socket buffers of any Linux, so that one thread can
/// write it all before it reads, and the calls keep their order.
const FITS: usize = 16 << 10;

fn write_all(stream: &Stream, mut data: &[u8], tally: &mut Tally) -> Result<(), Error> {
    while !data.is_empty() {
        let count = stream
            .send(data)
            .map_err(|error| overdue("send on", stream.name(), error))?;
        let (sent, rest) = data.split_at(count);
        tally.add(sent);
        data = rest;
    }
    Ok(())
}

fn read_exactly(stream: &Stream, mut missing: usize, tally: &mut Tally) -> Result<(), Error> {
    while missing > 0 {
        match read(stream, tally)? {
            0 => {
                let early = format!("the stream ended {missing} bytes early");
                return Err(Error::new("recv on", stream.name(), early).exiting(Exit::Network));
            }
            count => missing = missing.saturating_sub(count),
        }
    }
    Ok(())
}

pub(super) fn read_to_end(stream: &Stream, tally: &mut Tally) -> Result<(), Error> {
    while read(stream, tally)? > 0 {}
    Ok(())
}

fn read(stream: &Stream, tally: &mut Tally) -> Result<usize, Error> {
    let mut buffer = vec![0; 65_536];
    let count = stream
        .recv(&mut buffer)
        .map_err(|error| overdue("recv on", stream.name(), error))?;
    if count > 0 {
        tally.add(&buffer[..count]);
    }
    Ok(count)
}

/// Writes all of `writes` at one end and reads them at the other.
pub(super) fn transfer(
    stage: &Stage,
    (from, to): Ends<'_>,
    writes: &[&[u8]],
    flow: &mut Flow,
) -> Result<(), Error> {
    let total: usize = writes.iter().map(|data| data.len()).sum();
    let Flow { sent, received } = flow;
    let mut write = || {
        writes
            .iter()
            .try_for_each(|data| write_all(from, data, sent))
    };
    if total <= FITS {
        write()?;
        stage.settle()?;
        read_exactly(to, total, received)?;
        return stage.settle();
    }
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| read_exactly(to, total, received));
        let written = write();
        let read = reader
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        written.and(read)
    })
}

/// `SO_RCVTIMEO` (socket(7)): no receive or accept waits for ever.
pub(super) fn receive_patience(socket: &Handle, patience: Duration) -> Result<(), Error> {
    socket
        .set_receive_timeout(patience)
        .map_err(|error| Error::new("set SO_RCVTIMEO on", socket.name(), error))
}

/// `SO_SNDTIMEO`: nor does a connect, or a large send when nobody reads any
/// more.
pub(super) fn send_patience(socket: &Handle, patience: Duration) -> Result<(), Error> {
    socket
        .set_send_timeout(patience)
        .map_err(|error| Error::new("set SO_SNDTIMEO on", socket.name(), error))
}

/// A failed call; one that waited in vain says so.
pub(super) fn overdue(operation: &str, target: impl Display, error: io::Error) -> Error {
    if is_overdue(&error) {
        return Error::new(operation, target, "nothing came back in time")
            .remedy("the link may lose too much; --timeout says how long to wait")
            .exiting(Exit::Network);
    }
    Error::new(operation, target, error)
}

/// EAGAIN, which is what a connect that times out by `SO_SNDTIMEO` calls
/// EINPROGRESS (socket(7)).
fn is_overdue(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(libc::EINPROGRESS)
}
