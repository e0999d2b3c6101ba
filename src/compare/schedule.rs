//! Plays the schedule: message by message through every lane at once, one
//! thread to send and one a lane to receive.
//!
//! Send times count from the start, so that being late once does not make all
//! the rest late.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::lane::{Inbox, Lane, Receiver, Sender, privilege};
use super::{Boundaries, Column, Config, Figures};
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
) -> Result<Vec<Column>, Error> {
    let clock = stage.client().recorder().clock();
    let ending = Ending::default();
    let mut headings = Vec::new();
    let mut senders = Vec::new();
    let mut receivers = Vec::new();
    for lane in lanes {
        headings.push((lane.kind, lane.client, lane.server, lane.set_up));
        senders.push(lane.sender);
        receivers.push(lane.receiver);
    }
    let (sent, received) = std::thread::scope(|scope| {
        let readers: Vec<_> = receivers
            .into_iter()
            .map(|receiver| scope.spawn(|| listen(receiver, config, clock, &ending)))
            .collect();
        let sent = send_all(config, &senders, clock, stop);
        ending.announce(sent.as_ref().map_or(0, |tallies| tallies.messages));
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
    let columns = headings.into_iter().zip(sent.writes).zip(received);
    columns
        .map(|(((kind, client, server, set_up), writes), heard)| {
            let heard = heard.map_err(|error| Error::new("receive on", kind, error))?;
            let arrivals = heard.judge.arrivals();
            let figures = Figures {
                client,
                server,
                set_up,
                sent: sent.messages,
                lost: sent.messages.saturating_sub(arrivals.delivered),
                arrivals,
                writes,
                reads: heard.reads,
                boundaries: match kind {
                    Kind::Tcp => Boundaries::None,
                    Kind::Udp | Kind::Raw => Boundaries::Kept,
                },
                latency: heard.judge.latency().summary(),
            };
            Ok(Column {
                kind,
                privilege: privilege(kind),
                result: Ok(figures),
            })
        })
        .collect()
}

/// Tells the receivers that the last message has been sent.
#[derive(Default)]
struct Ending(Mutex<Option<(u32, Instant)>>);

impl Ending {
    fn announce(&self, sent: u32) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((sent, Instant::now()));
    }

    fn seen(&self) -> Option<(u32, Instant)> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Sent {
    messages: u32,
    writes: Vec<u64>,
}

fn send_all(
    config: &Config,
    senders: &[Sender],
    clock: Clock,
    stop: &AtomicBool,
) -> Result<Sent, Error> {
    let mut writes = vec![0; senders.len()];
    let mut messages = 0;
    let start = Instant::now();
    while messages < config.count && !stop.load(Ordering::Relaxed) {
        let due = start + config.interval * messages;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        messages += 1;
        for (sender, writes) in senders.iter().zip(&mut writes) {
            match sender.send(messages, config.size, clock) {
                Ok(count) => *writes += count,
                // A full queue takes no datagram: that message is lost, as it
                // would be further on.
                Err(error) if is_full(&error) => {}
                Err(error) => return Err(send_failure(config.size, error)),
            }
        }
    }
    for sender in senders {
        sender
            .finish()
            .map_err(|error| Error::new("shutdown", "tcp", error))?;
    }
    Ok(Sent { messages, writes })
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
}

fn listen(
    mut receiver: Receiver,
    config: &Config,
    clock: Clock,
    ending: &Ending,
) -> io::Result<Heard> {
    let mut inbox = Inbox::new();
    let mut judge = Judge::new(config.count);
    let mut reads = 0;
    let mut last_arrival = Instant::now();
    loop {
        match receiver.receive(&mut inbox) {
            Ok(Some(count)) => {
                let now = clock.now();
                last_arrival = Instant::now();
                reads += 1;
                receiver.judge(&mut inbox, count, now, &mut judge);
            }
            Ok(None) => break,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if is_over(ending.seen(), &judge, last_arrival, config.patience) {
                    break;
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Heard { judge, reads })
}

/// Whether a receiver that heard nothing for a glance may stop: all is there,
/// or patience has run out.
fn is_over(
    ending: Option<(u32, Instant)>,
    judge: &Judge,
    last_arrival: Instant,
    patience: Duration,
) -> bool {
    ending.is_some_and(|(sent, at)| {
        judge.arrivals().delivered >= sent || at.max(last_arrival).elapsed() >= patience
    })
}
