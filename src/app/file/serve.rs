//! The server of either kind, and the client: who is let in, how many at once,
//! and one transfer from its greeting to its end.
//!
//! Owns no protocol and no file.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};

use super::greeting::{End, greet};
use super::receive::Receiving;
use super::send::Sending;
use super::wire::Wire;
use super::{Outcome, Terms, Work, tell};
use crate::app::Stop;
use crate::app::net::{Connection, Door};
use crate::error::Error;
use crate::event::{File, FileTally as Tally, Topic};
use crate::protocol::file::Role;
use crate::recorder::Recorder;

/// How a server serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serve {
    /// Until it is stopped, so many at once.
    Many(usize),
    /// Until one transfer has come to its end.
    Once,
}

/// Serves whoever comes.
///
/// A transfer that breaks is told of, and the next one served.
pub async fn serve(door: &Door, serve: Serve, terms: &Terms, stop: &Stop) -> Outcome {
    let places = match serve {
        Serve::Many(most) => most.max(1),
        Serve::Once => 1,
    };
    let places = Arc::new(Semaphore::new(places));
    let mut transfers = JoinSet::new();
    let mut all = Outcome {
        tally: Tally::default(),
        error: None,
    };
    loop {
        let accepted = async {
            // The semaphore is never closed.
            let place = Arc::clone(&places).acquire_owned().await;
            (place, door.accept().await)
        };
        tokio::select! {
            biased;
            () = stop.asked() => break,
            Some(ended) = transfers.join_next() => {
                let is_whole = all.add(settled(ended));
                if serve == Serve::Once && is_whole {
                    break;
                }
            }
            (place, connection) = accepted => {
                let (terms, stop) = (terms.clone(), stop.clone());
                transfers.spawn(async move {
                    let outcome = transfer(connection, End::Server, terms, stop).await;
                    drop(place);
                    outcome
                });
            }
        }
    }
    while let Some(ended) = transfers.join_next().await {
        all.add(settled(ended));
    }
    all
}

/// Transfers as the client of a server that was reached.
pub async fn call(connection: Connection, terms: &Terms, stop: &Stop) -> Outcome {
    transfer(connection, End::Client, terms.clone(), stop.clone()).await
}

impl Outcome {
    /// Adds one transfer; whether it came to its end.
    fn add(&mut self, one: Self) -> bool {
        self.tally = self.tally.and(one.tally);
        let is_whole = one.error.is_none();
        if is_whole {
            // What broke before was done again.
            self.error = None;
        } else {
            self.error = one.error;
        }
        is_whole
    }
}

fn settled(ended: Result<Outcome, JoinError>) -> Outcome {
    ended.unwrap_or_else(|gone| Outcome {
        tally: Tally::default(),
        error: Some(Error::new("wait for", "a transfer", gone.to_string())),
    })
}

/// One transfer, on a thread of its own.
async fn transfer(connection: Connection, end: End, terms: Terms, stop: Stop) -> Outcome {
    let runtime = Handle::current();
    let work = move || runtime.block_on(converse(connection, end, &terms, stop));
    settled(tokio::task::spawn_blocking(work).await)
}

async fn converse(connection: Connection, end: End, terms: &Terms, stop: Stop) -> Outcome {
    let begun = Instant::now();
    let recorder: Recorder = connection.recorder().clone();
    let peer = connection.peer();
    let mut wire = Wire::new(connection, terms.idle, stop);
    let mut tally = Tally::default();
    let result = run(&mut wire, end, terms, &mut tally).await;
    tally.took = begun.elapsed();
    wire.leave(result.as_ref().err()).await;
    tell(&recorder, Topic::Routine, peer, || File::Over(tally));
    Outcome {
        tally,
        error: result.err(),
    }
}

async fn run(wire: &mut Wire, end: End, terms: &Terms, tally: &mut Tally) -> Result<(), Error> {
    let (recorder, is_server) = (wire.recorder().clone(), end == End::Server);
    let result = async {
        match &terms.work {
            Work::Send(config) => {
                greet(wire, end, Role::Send).await?;
                let sending = Sending::new(wire, config, &terms.gauge, tally);
                sending.run().await
            }
            Work::Receive(config) => {
                greet(wire, end, Role::Receive).await?;
                let receiving = Receiving::new(wire, config, &terms.gauge, tally)?;
                receiving.run().await
            }
        }
    }
    .await;
    if let Err(error) = &result
        && is_server
    {
        recorder.note(whose(error, wire.peer()));
    }
    result
}

/// An error of one of many transfers, with the other end's address: one that is
/// the disk's does not have it.
fn whose(error: &Error, peer: SocketAddr) -> String {
    let (text, peer) = (error.to_string(), peer.to_string());
    if text.contains(&peer) {
        text
    } else {
        format!("{peer}: {text}")
    }
}
