//! Sends a schedule through one lane: each message when it is due.
//!
//! Send times count from the start, so that being late once does not make all
//! the rest late. It sleeps until a message is due and never spins.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::libc;

use super::{GLANCE, Sender};
use crate::compare::schedule::{Planned, Schedule};
use crate::error::Error;
use crate::recorder::Clock;

/// How a schedule is sent.
#[derive(Clone, Copy)]
pub(in crate::compare) struct Sending<'a> {
    pub(in crate::compare) schedule: &'a Schedule,
    /// What the schedule's times are counted from, on the run's clock.
    pub(in crate::compare) start: Duration,
    pub(in crate::compare) clock: Clock,
    /// Any of them ends the sending early.
    pub(in crate::compare) stops: [&'a AtomicBool; 2],
    /// How long a stream may take nothing before it is given up.
    pub(in crate::compare) timeout: Duration,
    /// The same, once the sending was stopped.
    pub(in crate::compare) patience: Duration,
}

/// What was sent, and when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::compare) struct Dispatched {
    /// Each message that was due, in the order of their numbers, and when it was
    /// sent; none where it was not.
    pub(in crate::compare) messages: Vec<(Planned, Option<Duration>)>,
    /// Calls that sent something.
    pub(in crate::compare) writes: u64,
    /// When the last call returned, on the run's clock.
    pub(in crate::compare) ended: Duration,
}

impl Sending<'_> {
    /// Whether to give up on a stream that has stood still for so long.
    pub(in crate::compare) fn give_up(&self, stuck: Duration) -> bool {
        stuck >= self.timeout || (self.is_stopped() && stuck >= self.patience)
    }

    fn is_stopped(&self) -> bool {
        self.stops.iter().any(|stop| stop.load(Ordering::Relaxed))
    }

    /// Waits, and looks now and then whether to stop. Whether to go on.
    fn wait_until(&self, due: Duration) -> bool {
        while !self.is_stopped() {
            let left = due.saturating_sub(self.clock.now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(GLANCE));
        }
        false
    }
}

/// Sends all messages, until the schedule ends or is stopped.
pub(in crate::compare) fn dispatch(
    sender: &mut Sender,
    sending: &Sending<'_>,
) -> Result<Dispatched, Error> {
    let mut sent = Dispatched::default();
    // A stream that stood still for too long carries no more: what is sent
    // through it may be cut in the middle.
    let mut is_abandoned = false;
    for planned in sending.schedule.plan() {
        if !sending.wait_until(sending.start + planned.due) {
            break;
        }
        let mut sent_at = None;
        if !is_abandoned {
            let size = planned.size as usize;
            let give_up = |stuck| sending.give_up(stuck);
            match sender.send((planned.number, size), sending.clock, &give_up) {
                Ok((at, writes)) => {
                    sent_at = Some(at);
                    sent.writes += writes;
                }
                Err(error) if sender.is_stream() && is_stuck(&error) => is_abandoned = true,
                Err(error) if !sender.is_stream() && is_turned_away(&error) => {}
                Err(error) => return Err(failure(size, error)),
            }
        }
        sent.messages.push((planned, sent_at));
    }
    sent.ended = sending.clock.now();
    Ok(sent)
}

/// A stream that was given up, by us or by its kernel.
fn is_stuck(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ETIMEDOUT)
}

/// A datagram that its own host did not let out: the queue is full, a firewall
/// forbids it, or an earlier one was answered with an ICMP error, which only now
/// is told (udp(7)). That message is lost, as it would be further on.
fn is_turned_away(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ENOBUFS
                | libc::EPERM
                | libc::ECONNREFUSED
                | libc::EHOSTUNREACH
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
        )
    )
}

fn failure(size: usize, error: io::Error) -> Error {
    let too_long = error.raw_os_error() == Some(libc::EMSGSIZE);
    let failure = Error::new("send", format!("a message of {size} bytes"), error);
    if too_long {
        failure.remedy("datagrams and echoes cannot be that long; try a smaller --size")
    } else {
        failure
    }
}
