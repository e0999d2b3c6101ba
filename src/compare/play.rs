//! Plays the schedule: for each lane one thread that sends and one that
//! receives. So a stream that stands still holds up no datagram.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::lane::{
    self, Client, Dispatched, Ending, Heard, Over, Patience, Sending, Server, Terms,
};
use super::{Column, Config, Identity, Refused, Variant};
use crate::error::Error;
use crate::socket::TcpInfo;
use crate::stage::Stage;

/// Everything that one lane's programs and kernels know at the end.
#[derive(Debug, Clone)]
pub(super) struct Played {
    pub(super) variant: Variant,
    pub(super) client: Identity,
    pub(super) server: Identity,
    pub(super) set_up: Duration,
    /// What the schedule's times are counted from, on the run's clock.
    pub(super) start: Duration,
    pub(super) sent: Dispatched,
    pub(super) heard: Heard,
    /// How long it took to end a stream at both ends; none where it did not end.
    pub(super) closing: Option<Duration>,
    /// What the client's kernel knew of a stream at its end.
    pub(super) info: Option<TcpInfo>,
}

/// An open pair of ends.
struct Lane {
    variant: Variant,
    server: Identity,
    client: Client,
    receiver: lane::Receiver,
}

/// Sends the schedule through these variants at once. Variants that cannot take
/// part are columns that say so.
pub(super) fn play(
    config: &Config,
    variants: &[Variant],
    stage: &Stage,
    stop: &AtomicBool,
) -> Result<(Vec<Played>, Vec<Column>), Error> {
    let mut refused = Vec::new();
    let mut lanes = Vec::new();
    for &variant in variants {
        match open(variant, config, stage) {
            Ok(lane) => lanes.push(lane),
            // A kind that this user may not open, or that this link lets nobody
            // open, is a column that says so; the others still tell their story.
            Err(lane::Failure::Refused(error)) => refused.push(refusal(variant, &error)),
            Err(lane::Failure::Other(error)) => return Err(error),
        }
    }
    let clock = stage.client().recorder().clock();
    // What breaks one lane ends the others.
    let failed = AtomicBool::new(false);
    let sending = Sending {
        schedule: &config.schedule,
        start: clock.now(),
        clock,
        stops: [stop, &failed],
        timeout: config.timeout,
        patience: config.patience,
    };
    let played = std::thread::scope(|scope| {
        let threads: Vec<_> = lanes
            .into_iter()
            .map(|lane| {
                scope.spawn(|| {
                    let played = run(lane, config, stage, &sending);
                    failed.fetch_or(played.is_err(), Ordering::Relaxed);
                    played
                })
            })
            .collect();
        let ended = threads.into_iter().map(|thread| {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        ended.collect::<Vec<_>>()
    });
    let played = played.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok((played, refused))
}

/// A column of a variant that could not take part.
pub(super) fn refusal(variant: Variant, error: &Error) -> Column {
    Column {
        variant,
        privilege: lane::privilege(variant),
        result: Err(Refused {
            refused: error.to_string(),
            exit: error.exit(),
        }),
        messages: Vec::new(),
    }
}

/// Opens both ends so that the next call can send.
fn open(variant: Variant, config: &Config, stage: &Stage) -> Result<Lane, lane::Failure> {
    let (client, server) = (stage.client(), stage.server());
    let terms = Terms::new(
        config,
        variant,
        server.ip(config.family),
        Some(client.ip(config.family)),
    );
    let server = Server::open(server, &terms)?;
    let client = Client::open(client, &terms)?;
    Ok(Lane {
        variant,
        server: server.identity(),
        client,
        receiver: server.accept()?,
    })
}

/// One lane from the first message to the end.
fn run(lane: Lane, config: &Config, stage: &Stage, sending: &Sending<'_>) -> Result<Played, Error> {
    let Lane {
        variant,
        server,
        client,
        receiver,
    } = lane;
    let mut sender = client.sender;
    let patience = Patience {
        // A stream is whole unless it stands still.
        quiet: if variant.is_stream() {
            config.timeout
        } else {
            config.patience
        },
        settles: stage.as_link().is_some(),
    };
    let clock = sending.clock;
    let ending = Ending::default();
    let (sent, finished_at, heard) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| lane::listen(receiver, patience, clock, &ending));
        let sent = lane::dispatch(&mut sender, sending);
        let finished_at = clock.now();
        // Whatever happened, the receiver learns that no more will come.
        let finished = end(&sender, sent, stage, &ending);
        let heard = reader
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (finished, finished_at, heard)
    });
    let sent = sent?;
    let failed = |operation| move |error: io::Error| Error::new(operation, variant, error);
    let heard = heard.map_err(failed("receive on"))?;
    let parted = sender
        .part(clock, &|stuck| sending.give_up(stuck))
        .map_err(failed("close"))?;
    let closed_at = parted.and_then(|parted| parted.at);
    Ok(Played {
        variant,
        client: client.identity,
        server,
        set_up: client.set_up,
        start: sending.start,
        sent,
        heard,
        closing: closed_at.map(|at| at.saturating_sub(finished_at)),
        info: parted.map(|parted| parted.info),
    })
}

/// Ends the sending: the stream, and the receiver's wait.
fn end(
    sender: &lane::Sender,
    sent: Result<Dispatched, Error>,
    stage: &Stage,
    ending: &Ending,
) -> Result<Dispatched, Error> {
    let finished = sender
        .finish()
        .map_err(|error| Error::new("shutdown", "TCP", error));
    let sent = sent.and_then(|sent| finished.map(|()| sent));
    let Ok(Dispatched { messages, .. }) = &sent else {
        ending.announce(Over::Failed);
        return sent;
    };
    let count = u32::try_from(messages.len()).unwrap_or(u32::MAX);
    ending.announce(Over::Sent(count, Instant::now()));
    if stage.as_link().is_some() {
        let settled = stage.settle();
        ending.announce(settled.as_ref().map_or(Over::Failed, |()| Over::Settled));
        settled?;
    }
    sent
}
