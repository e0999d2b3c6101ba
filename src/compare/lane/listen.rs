//! Receives on one lane until every message is there, or nothing more can come.
//! Keeps what came, in its order, and judges nothing.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::receiver::{Found, Inbox, Read, Receiver};
use crate::recorder::Clock;

/// Everything one receiver heard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::compare) struct Heard {
    /// Every message that came whole, copies included, in the order in which
    /// they came.
    pub(in crate::compare) arrived: Vec<Arrived>,
    /// Damaged messages.
    pub(in crate::compare) damaged: u32,
    /// Calls that received something.
    pub(in crate::compare) reads: u64,
    /// Of those, calls that gave exactly one message.
    pub(in crate::compare) reads_of_one_message: u64,
    /// What the kernel dropped at this socket, where it counts that.
    pub(in crate::compare) drops: Option<u64>,
}

/// One message that came whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::compare) struct Arrived {
    pub(in crate::compare) number: u32,
    pub(in crate::compare) size: u32,
    /// The sender's stamp, on the sender's clock.
    pub(in crate::compare) sent_at: Duration,
    /// When the program had it, on the receiver's clock.
    pub(in crate::compare) at: Duration,
}

/// How long to wait for what is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::compare) struct Patience {
    /// After the last message, sent or received.
    pub(in crate::compare) quiet: Duration,
    /// Whether the sending end will say [`Over::Settled`], which is worth
    /// waiting for: copies may come after the last message.
    pub(in crate::compare) settles: bool,
}

/// Tells a receiver that no more will be sent.
#[derive(Debug, Default)]
pub(in crate::compare) struct Ending(Mutex<Option<Over>>);

/// How the sending ended.
#[derive(Debug, Clone, Copy)]
pub(in crate::compare) enum Over {
    /// So many messages were sent, the last one then.
    Sent(u32, Instant),
    /// What was sent has come to the receiving kernel, or never will.
    Settled,
    /// With an error: nothing is worth waiting for.
    Failed,
}

impl Ending {
    pub(in crate::compare) fn announce(&self, over: Over) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(over);
    }

    fn seen(&self) -> Option<Over> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Receives until it is over. The receiver is closed then; a stream's peer
/// learns it.
pub(in crate::compare) fn listen(
    mut receiver: Receiver,
    patience: Patience,
    clock: Clock,
    ending: &Ending,
) -> io::Result<Heard> {
    let mut inbox = Inbox::new();
    let mut heard = Heard::default();
    let mut there = There::default();
    let mut last_arrival = Instant::now();
    loop {
        match receiver.receive(&mut inbox) {
            Ok(Some(count)) => {
                let now = clock.now();
                let read = receiver.sort(&mut inbox, count, &mut |found| match found {
                    Found::Whole(probe, length) => {
                        there.add(probe.number);
                        heard.arrived.push(Arrived {
                            number: probe.number,
                            size: u32::try_from(length).unwrap_or(u32::MAX),
                            sent_at: probe.sent_at,
                            at: now,
                        });
                    }
                    Found::Damaged => heard.damaged += 1,
                });
                if read != Read::Foreign {
                    last_arrival = Instant::now();
                    heard.reads += 1;
                    heard.reads_of_one_message += u64::from(read == Read::Message);
                }
            }
            Ok(None) => break,
            Err(error) if is_broken(&error) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let is_stream = matches!(receiver, Receiver::Stream(_));
                let quiet_for = last_arrival.elapsed();
                if is_over(ending.seen(), is_stream, &there, (quiet_for, patience)) {
                    break;
                }
            }
            Err(error) => return Err(error),
        }
    }
    heard.drops = receiver.drops()?;
    Ok(heard)
}

/// Which messages are there.
#[derive(Debug, Default)]
struct There {
    seen: Vec<bool>,
    count: u32,
}

impl There {
    fn add(&mut self, number: u32) {
        // Beyond any schedule: nobody sent it.
        const MOST: usize = 1 << 26;
        let index = number as usize;
        if index >= MOST {
            return;
        }
        if self.seen.len() <= index {
            self.seen.resize(index + 1, false);
        }
        self.count += u32::from(!std::mem::replace(&mut self.seen[index], true));
    }
}

/// A stream that one of the kernels gave up: what is missing is lost.
fn is_broken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::TimedOut
    )
}

/// Whether a receiver that heard nothing for a glance may stop: all is there, or
/// patience has run out.
fn is_over(
    ending: Option<Over>,
    is_stream: bool,
    there: &There,
    (quiet_for, patience): (Duration, Patience),
) -> bool {
    match ending {
        None => false,
        Some(Over::Failed) => true,
        // A stream says itself that it is over.
        Some(Over::Settled) => !is_stream || quiet_for >= patience.quiet,
        Some(Over::Sent(sent, at)) => {
            let is_quiet = quiet_for.min(at.elapsed()) >= patience.quiet;
            (!patience.settles && (is_quiet || there.count >= sent)) || (is_stream && is_quiet)
        }
    }
}
