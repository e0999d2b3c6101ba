//! Plays the schedule: message by message through every lane, one thread that
//! sends all and one a lane that receives.
//!
//! The kinds take turns at being first, so that none always waits for the
//! others' calls. Send times count from the start, so that being late once does
//! not make all the rest late.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::lane::{GLANCE, Lane, privilege};
use super::receiver::{Inbox, Read, Receiver};
use super::sender::Sender;
use super::{Boundaries, Column, Config, Figures, Identity, Outcome, Variant};
use crate::error::Error;
use crate::flow::Kind;
use crate::recorder::Clock;
use crate::stage::Stage;
use crate::stats::Judge;

/// Sends all messages and judges what arrives.
pub(super) fn play(
    config: &Config,
    stage: &Stage,
    lanes: Vec<Lane>,
    stop: &AtomicBool,
) -> Result<Outcome, Error> {
    let clock = stage.client().recorder().clock();
    let ending = Ending::default();
    let mut headings = Vec::new();
    let mut senders = Vec::new();
    let mut receivers = Vec::new();
    for lane in lanes {
        headings.push((lane.variant, lane.client, lane.server, lane.set_up));
        senders.push(lane.sender);
        receivers.push(lane.receiver);
    }
    let (sent, received) = std::thread::scope(|scope| {
        let readers: Vec<_> = receivers
            .into_iter()
            .map(|receiver| scope.spawn(|| listen(receiver, config, clock, &ending)))
            .collect();
        let sent = send_all(config, &mut senders, clock, stop);
        // Whatever happened, the receivers learn that no more will come.
        let finished = finish(&senders);
        let sent = sent.and_then(|sent| finished.map(|()| sent));
        ending.announce(match &sent {
            Ok(sent) => Over::Sent(sent.messages, Instant::now()),
            Err(_) => Over::Failed,
        });
        let received: Vec<_> = readers
            .into_iter()
            .map(|reader| {
                reader
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect();
        (sent, received)
    });
    let sent = sent?;
    let mut columns = Vec::new();
    for ((heading, writes), heard) in headings.into_iter().zip(sent.writes).zip(received) {
        let heard = heard.map_err(|error| Error::new("receive on", heading.0, error))?;
        columns.push(column(heading, sent.messages, writes, &heard));
    }
    Ok(Outcome {
        planned: config.count,
        sent_messages: sent.messages,
        columns,
    })
}

type Heading = (Variant, Identity, Identity, Duration);

fn column(heading: Heading, sent: u32, writes: u64, heard: &Heard) -> Column {
    let (variant, client, server, set_up) = heading;
    let arrivals = heard.judge.arrivals();
    let (not_sent, boundaries) = match variant.kind() {
        Kind::Tcp => (0, Boundaries::None),
        Kind::Udp | Kind::Raw => (u64::from(sent).saturating_sub(writes), Boundaries::Kept),
    };
    let figures = Figures {
        client,
        server,
        set_up,
        sent,
        lost: sent.saturating_sub(arrivals.delivered),
        not_sent,
        dropped_at_receiver: heard.drops,
        arrivals,
        writes,
        reads: heard.reads,
        reads_of_one_message: heard.whole,
        boundaries,
        latency: heard.judge.latency().summary(),
    };
    Column {
        variant,
        privilege: privilege(variant),
        result: Ok(figures),
        messages: Vec::new(),
    }
}

/// Tells the receivers that no more will be sent.
#[derive(Default)]
struct Ending(Mutex<Option<Over>>);

/// How the sending ended.
#[derive(Clone, Copy)]
enum Over {
    /// So many messages were sent, the last one then.
    Sent(u32, Instant),
    /// With an error: nothing is worth waiting for.
    Failed,
}

impl Ending {
    fn announce(&self, over: Over) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(over);
    }

    fn seen(&self) -> Option<Over> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Sent {
    messages: u32,
    writes: Vec<u64>,
}

fn send_all(
    config: &Config,
    senders: &mut [Sender],
    clock: Clock,
    stop: &AtomicBool,
) -> Result<Sent, Error> {
    let mut writes = vec![0; senders.len()];
    let mut messages = 0;
    // A stream that stood still for too long carries no more: what is sent
    // through it may be cut in the middle.
    let mut abandoned = vec![false; senders.len()];
    let start = Instant::now();
    let give_up = |stuck: Duration| {
        let is_interrupted = stop.load(Ordering::Relaxed);
        stuck >= config.timeout || (is_interrupted && stuck >= config.patience)
    };
    while messages < config.count && wait_until(start + config.interval * messages, stop) {
        messages += 1;
        for turn in 0..senders.len() {
            let lane = (messages as usize + turn) % senders.len();
            if abandoned[lane] {
                continue;
            }
            match senders[lane].send(messages, clock, &give_up) {
                Ok(count) => writes[lane] += count,
                // A full queue takes no datagram: that message is lost, as it
                // would be further on.
                Err(error) if is_full(&error) => {}
                Err(error) if is_stuck(&error) => abandoned[lane] = true,
                Err(error) => return Err(send_failure(config.size, error)),
            }
        }
    }
    Ok(Sent { messages, writes })
}

/// Waits, and looks now and then whether to stop. Whether to go on.
fn wait_until(due: Instant, stop: &AtomicBool) -> bool {
    while !stop.load(Ordering::Relaxed) {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        std::thread::sleep(left.min(GLANCE));
    }
    false
}

/// Ends every stream, whatever becomes of one of them.
fn finish(senders: &[Sender]) -> Result<(), Error> {
    let ended = senders.iter().map(|sender| match sender.finish() {
        // It was given up before.
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
        ended => ended,
    });
    ended
        .fold(Ok(()), Result::and)
        .map_err(|error| Error::new("shutdown", "TCP", error))
}

/// A stream that one of the kernels gave up: what is missing is lost.
fn is_broken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::TimedOut
    )
}

/// A stream that was given up, by us or by its kernel.
fn is_stuck(error: &io::Error) -> bool {
    error.raw_os_error() == Some(nix::libc::ETIMEDOUT)
}

fn is_full(error: &io::Error) -> bool {
    error.raw_os_error() == Some(nix::libc::ENOBUFS)
}

fn send_failure(size: usize, error: io::Error) -> Error {
    let too_long = error.raw_os_error() == Some(nix::libc::EMSGSIZE);
    let failure = Error::new("send", format!("a message of {size} bytes"), error);
    if too_long {
        failure.remedy("datagrams and echoes cannot be that long; try a smaller --size")
    } else {
        failure
    }
}

struct Heard {
    judge: Judge,
    reads: u64,
    whole: u64,
    drops: Option<u64>,
}

fn listen(
    mut receiver: Receiver,
    config: &Config,
    clock: Clock,
    ending: &Ending,
) -> io::Result<Heard> {
    let mut inbox = Inbox::new();
    let mut judge = Judge::new(config.count);
    let (mut reads, mut whole) = (0, 0);
    let mut last_arrival = Instant::now();
    // A stream is whole unless it stands still.
    let patience = match receiver {
        Receiver::Tcp(_) => config.timeout,
        Receiver::Udp(_) | Receiver::Raw { .. } => config.patience,
    };
    loop {
        match receiver.receive(&mut inbox) {
            Ok(Some(count)) => {
                let now = clock.now();
                let read = receiver.judge(&mut inbox, count, now, &mut judge);
                if read != Read::Foreign {
                    last_arrival = Instant::now();
                    reads += 1;
                    whole += u64::from(read == Read::Message);
                }
            }
            Ok(None) => break,
            Err(error) if is_broken(&error) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if is_over(ending.seen(), &judge, last_arrival, patience) {
                    break;
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Heard {
        judge,
        reads,
        whole,
        drops: receiver.drops()?,
    })
}

/// Whether a receiver that heard nothing for a glance may stop: all is there,
/// or patience has run out.
fn is_over(ending: Option<Over>, judge: &Judge, last_arrival: Instant, patience: Duration) -> bool {
    match ending {
        None => false,
        Some(Over::Failed) => true,
        Some(Over::Sent(sent, at)) => {
            judge.arrivals().delivered >= sent || at.max(last_arrival).elapsed() >= patience
        }
    }
}
