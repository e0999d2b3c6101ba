//! The server: who comes in, how many at once, and what all visits share.
//!
//! Owns no conversation: those are [`visit`](super::visit)'s.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::audit::{Audit, Entry};
use super::visit::visit;
use super::{HANDSHAKE, tell};
use crate::app::Stop;
use crate::app::net::{Connection, Door};
use crate::event::Remote;
use crate::protocol::remote::allow::AllowList;
use crate::protocol::remote::{Authorised, Guard, Limits, Secret, Seen, Verdict, network};
use crate::recorder::Recorder;

/// First messages that are remembered, so that none is answered twice.
const REMEMBERED: usize = 65_536;

/// What a server is to do.
pub struct Config {
    /// Its key.
    pub secret: Secret,
    /// Whom it lets in.
    pub authorised: Authorised,
    /// What they may run.
    pub list: AllowList,
    /// How often a source may try and fail.
    pub limits: Limits,
    /// How long a handshake and the first question may take.
    pub handshake: Duration,
    /// Connections at the same time.
    pub most: usize,
    /// This program, by which the built-in commands are run.
    pub own: PathBuf,
    /// Where it is written down.
    pub audit: Audit,
}

impl Config {
    /// A server with this key for those clients, otherwise as usual, that keeps
    /// no audit log.
    pub fn new(secret: Secret, authorised: Authorised) -> Self {
        Self {
            secret,
            authorised,
            list: AllowList::default(),
            limits: Limits::default(),
            handshake: HANDSHAKE,
            most: 1000,
            own: "/proc/self/exe".into(),
            audit: Audit::none(),
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Served {
    /// Connections that came.
    pub connections: u64,
    /// Those that were closed because of what came on them, or sent away.
    pub rejected: u64,
    /// Commands that were run.
    pub runs: u64,
    /// Commands that were asked for and not run.
    pub refused: u64,
}

/// What all visits share.
pub struct House {
    pub(super) config: Config,
    pub(super) recorder: Recorder,
    pub(super) running: Semaphore,
    guard: Mutex<Guard>,
    seen: Mutex<Seen>,
    /// How many of each source have not yet said what they want.
    waiting: Mutex<HashMap<IpAddr, usize>>,
    /// When it was last told that there is no place.
    full: Mutex<Option<Instant>>,
    connections: AtomicU64,
    pub(super) rejected: AtomicU64,
    pub(super) runs: AtomicU64,
    pub(super) refused: AtomicU64,
}

impl House {
    /// A house where nobody is yet.
    pub fn new(config: Config, recorder: &Recorder) -> Self {
        Self {
            recorder: recorder.clone(),
            running: Semaphore::new(config.list.concurrent),
            guard: Mutex::new(Guard::new(config.limits)),
            seen: Mutex::new(Seen::last(REMEMBERED)),
            waiting: Mutex::default(),
            full: Mutex::default(),
            connections: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            runs: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            config,
        }
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn guard(&self) -> MutexGuard<'_, Guard> {
        self.guard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody may try.
    fn admit(&self, peer: SocketAddr) -> Result<(), String> {
        match self
            .guard()
            .handle_arrival(self.recorder.clock().now(), peer.ip())
        {
            Verdict::Welcome => Ok(()),
            Verdict::TooFast => Err("it comes too fast".into()),
            Verdict::LockedOut(time) => Err(format!(
                "it failed too often, and is locked out for {} s more",
                time.as_secs() + 1
            )),
        }
    }

    /// A place for somebody, where there is one.
    fn place(self: &Arc<Self>, peer: SocketAddr, here: usize) -> Result<Waiting, String> {
        let most = self.config.most;
        if here >= most {
            return Err(self.full(peer, format!("{here} are here already")));
        }
        self.admit(peer)?;
        let source = network(peer.ip());
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let own = waiting.entry(source).or_default();
        // So that no one source keeps all others out without a key.
        if *own >= most.div_ceil(2) {
            let reason = format!("{own} of its connections have said nothing yet");
            return Err(self.full(peer, reason));
        }
        *own += 1;
        let house = Arc::clone(self);
        Ok(Waiting { house, source })
    }

    /// Tells the server's owner, once a second and not each time.
    fn full(&self, peer: SocketAddr, reason: String) -> String {
        let mut told = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|last| last.elapsed() >= Duration::from_secs(1)) {
            *told = Some(Instant::now());
            let most = self.config.most;
            self.recorder.note(format_args!(
                "full, of {most} places: {peer} is sent away: {reason}"
            ));
        }
        reason
    }

    /// Somebody proved that they have their key.
    pub(super) fn proved(&self, peer: SocketAddr) {
        self.guard()
            .handle_success(self.recorder.clock().now(), peer.ip());
    }

    /// Something came that no client sends. Whoever has not proved to be one is
    /// locked out in the end.
    pub(super) fn broken(&self, peer: SocketAddr, cause: &str, is_proved: bool) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
        tell(&self.recorder, || Remote::Broken {
            peer,
            cause: cause.to_owned(),
        });
        self.log(&Entry::Broken { peer, cause });
        if is_proved {
            return;
        }
        let locked = self
            .guard()
            .handle_failure(self.recorder.clock().now(), peer.ip());
        if let Some(time) = locked {
            let source = peer.ip();
            tell(&self.recorder, || Remote::LockedOut { source, time });
            self.log(&Entry::LockedOut { peer, for_ns: time });
        }
    }

    /// Writes to the audit log where nothing depends on it.
    pub(super) fn log(&self, entry: &Entry<'_>) {
        if let Err(error) = self.config.audit.write(entry) {
            self.recorder.note(error);
        }
    }

    fn served(&self) -> Served {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Served {
            connections: count(&self.connections),
            rejected: count(&self.rejected),
            runs: count(&self.runs),
            refused: count(&self.refused),
        }
    }
}

/// A place of somebody who has not yet said what they want.
pub(super) struct Waiting {
    house: Arc<House>,
    source: IpAddr,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let waiting = &self.house.waiting;
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = waiting.get_mut(&self.source) {
            *own -= 1;
            if *own == 0 {
                waiting.remove(&self.source);
            }
        }
    }
}

/// Serves until it is asked to stop; then ends what runs, in order.
pub async fn serve(door: Door, house: Arc<House>, stop: &Stop) -> Served {
    let config = &house.config;
    tell(&house.recorder, || Remote::Serving {
        fingerprint: config.secret.public().fingerprint(),
        clients: config.authorised.len(),
        commands: config.list.len(),
    });
    let mut visits = JoinSet::new();
    loop {
        let connection = tokio::select! {
            connection = door.accept() => connection,
            Some(visit) = visits.join_next() => {
                note_panic(&house, visit);
                continue;
            }
            () = stop.asked() => break,
        };
        house.connections.fetch_add(1, Ordering::Relaxed);
        let peer = connection.peer();
        match house.place(peer, visits.len()) {
            Ok(waiting) => {
                visits.spawn(come(connection, waiting, Arc::clone(&house), stop.clone()));
            }
            Err(reason) => {
                house.rejected.fetch_add(1, Ordering::Relaxed);
                tell(&house.recorder, || Remote::TurnedAway { peer, reason });
            }
        }
    }
    // Whoever comes now is refused rather than kept waiting.
    drop(door);
    while let Some(visit) = visits.join_next().await {
        note_panic(&house, visit);
    }
    house.served()
}

async fn come(connection: Connection, waiting: Waiting, house: Arc<House>, stop: Stop) {
    visit(connection, waiting, &house, &stop).await;
}

fn note_panic(house: &House, visit: Result<(), tokio::task::JoinError>) {
    if let Err(error) = visit {
        house.recorder.note(format_args!("a visit ended: {error}"));
    }
}
