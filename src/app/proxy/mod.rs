//! The proxy: it connects on behalf of others (RFC 1928, RFC 9110 section
//! 9.3.6), and passes bytes on without looking at them.
//!
//! Owns the sockets, the tasks and the limits; what is said is
//! [`protocol::proxy`](crate::protocol::proxy)'s. One task a client and none of
//! its own threads: an idle tunnel holds two sockets and no buffer.

mod associate;
mod bind;
mod datagrams;
pub mod demonstration;
mod greet;
mod group;
mod lookups;
mod reach;
mod relay;
mod rules;
mod steps;
mod vessel;
mod visit;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::time::{interval, timeout};

use crate::app::Stop;
use crate::app::net::{Connection, Door, Doorway};
use crate::capture::Servers;
use crate::error::Error;
use crate::event::{ProxyStep, Silence, Topic};
use crate::protocol::proxy::balance::Policy;
use crate::protocol::proxy::upstream::Upstream;
use crate::protocol::proxy::{Credentials, Destination, Users};
use crate::recorder::Recorder;
use crate::socket::options::SocketOption;

use group::Group;
use lookups::Lookups;
use steps::Steps;
use vessel::Vessels;

pub use rules::{Default as RulesDefault, Rules};
pub use steps::Tells;

/// What a proxy does, and for whom.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Who may use it; anybody who is let in where there are none.
    pub users: Option<Arc<Users>>,
    /// Where it may connect to.
    pub rules: Rules,
    /// Other proxies that share what this one is asked for, each with the
    /// password for it. They are asked for connections (CONNECT); BIND and UDP
    /// ASSOCIATE are refused while there are any.
    pub via: Vec<(Upstream, Option<Credentials>)>,
    /// Servers that share the connections to a destination.
    pub balanced: Vec<Balanced>,
    /// How one of several is chosen.
    pub policy: Policy,
    /// How many and how long.
    pub limits: Limits,
    /// How much is told.
    pub tells: Tells,
    /// Who is told of every destination before it is connected to, where packets
    /// are captured.
    pub captured: Option<Servers>,
}

/// Servers that share the connections to a destination.
#[derive(Debug, Clone)]
pub struct Balanced {
    /// Which; none stands for every destination.
    pub destination: Option<Destination>,
    /// The servers.
    pub servers: Vec<Destination>,
}

/// How many, and how long.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most clients at once.
    pub most: usize,
    /// How long a handshake may take.
    pub handshake: Duration,
    /// How long reaching the destination may take.
    pub connect: Duration,
    /// How long a tunnel may be idle.
    pub idle: Duration,
    /// How long a connection from the destination is waited for (BIND).
    pub bind: Duration,
    /// How often servers that share the load are asked whether they answer.
    pub health: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            most: 10_000,
            handshake: Duration::from_secs(10),
            connect: Duration::from_secs(30),
            idle: Duration::from_secs(600),
            bind: Duration::from_secs(120),
            health: Duration::from_secs(5),
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Served {
    /// Clients that came.
    pub clients: u64,
    /// Clients that got what they asked for.
    pub granted: u64,
    /// Clients that were refused, and those that were sent away because others
    /// were here already.
    pub refused: u64,
    /// Bytes passed on to destinations.
    #[serde(rename = "to_destination_bytes")]
    pub up: u64,
    /// Bytes passed on to clients.
    #[serde(rename = "to_client_bytes")]
    pub down: u64,
    /// What each of several servers was given.
    pub servers: Vec<Share>,
}

/// What one of several servers was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Which server.
    pub server: String,
    /// How many connections.
    pub connections: u64,
}

/// How long clients may take to leave when it ends.
const PATIENCE: Duration = Duration::from_secs(2);
/// Sooner than any time that a connection is given unless it is typed.
const TICK: Duration = Duration::from_secs(5);

/// A proxy at work.
struct Proxy {
    config: Config,
    recorder: Recorder,
    /// Records what is done with sockets, where anybody wants to know.
    sockets: Recorder,
    own: Vec<SocketAddr>,
    via: Option<Arc<Group>>,
    balanced: Vec<(Option<Destination>, Arc<Group>)>,
    vessels: Vessels,
    lookups: Lookups,
    stop: Stop,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    clients: AtomicU64,
    granted: AtomicU64,
    refused: AtomicU64,
    up: AtomicU64,
    down: AtomicU64,
}

/// Serves whoever comes in by `door`, until `stop`.
///
/// # Errors
///
/// Nothing that a client or a destination does is one.
pub async fn serve(
    config: Config,
    door: Door,
    stop: Stop,
    recorder: &Recorder,
) -> Result<Served, Error> {
    let proxy = Arc::new(Proxy::new(config, &door, stop.clone(), recorder));
    let door = door.telling_of_clients_to(&proxy.sockets);
    let most = proxy.config.limits.most.min(Semaphore::MAX_PERMITS);
    let places = Arc::new(Semaphore::new(most));
    tokio::spawn(tick(stop.clone()));
    for group in proxy.groups() {
        tokio::spawn(Arc::clone(group).watch(Arc::clone(&proxy)));
    }
    let mut stopped = pin!(stop.asked());
    loop {
        let client = tokio::select! {
            biased;
            () = &mut stopped => break,
            client = door.accept() => client,
        };
        match Arc::clone(&places).try_acquire_owned() {
            Ok(place) => {
                let visit = visit::visit(Arc::clone(&proxy), client);
                tokio::spawn(async move {
                    visit.await;
                    drop(place);
                });
            }
            Err(_) => proxy.send_away(&client),
        }
    }
    // Whoever comes now is refused.
    drop(door);
    let everybody = u32::try_from(most).unwrap_or(u32::MAX);
    let gone = timeout(PATIENCE, places.acquire_many(everybody)).await;
    if gone.is_err() {
        recorder.note("some clients did not leave in time, and were left");
    }
    Ok(proxy.served())
}

/// Looks up now and then, until `stop`. A timer that is due before all others
/// wakes the thread that waits for sockets, to wait less long: each connection
/// sets some, and while this one is due sooner none of them is that timer.
async fn tick(stop: Stop) {
    let mut ticks = interval(TICK);
    let ticking = async {
        loop {
            ticks.tick().await;
        }
    };
    tokio::select! {
        () = ticking => {}
        () = stop.asked() => {}
    }
}

impl Config {
    /// Whether strangers may use it: it listens beyond this host, and neither a
    /// password nor an address is asked for.
    pub fn is_open(&self, doorway: &Doorway) -> bool {
        let is_reached = doorway.addresses.iter().any(|one| !one.ip().is_loopback());
        is_reached && self.users.is_none() && doorway.admission.allow.is_empty()
    }
}

/// Takes as many descriptors as this process may have: a tunnel needs two. Where
/// that fails, it does with what it has.
pub fn raise_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// A recorder for sockets. Where neither their calls nor each connection's steps
/// are told, it makes no event: connections come by the thousand.
fn of_sockets(recorder: &Recorder, tells: Tells) -> Recorder {
    let is_watched = recorder.wants(Topic::Call) || recorder.wants(Topic::Chunk);
    if is_watched || tells == Tells::Steps {
        return recorder.clone();
    }
    Recorder::new(recorder.place(), recorder.clock(), Arc::new(Silence))
}

/// What is set on every client's connection, and inherited from the listening
/// socket: small writes are passed on at once.
pub fn socket_options() -> Vec<SocketOption> {
    "nodelay".parse().into_iter().collect()
}

impl Proxy {
    fn new(config: Config, door: &Door, stop: Stop, recorder: &Recorder) -> Self {
        let policy = config.policy;
        let via = (!config.via.is_empty()).then(|| Arc::new(Group::via(policy, &config.via)));
        let balanced = config.balanced.iter();
        let balanced = balanced.map(|balanced| {
            let group = Group::servers(policy, &balanced.servers);
            (balanced.destination.clone(), Arc::new(group))
        });
        Self {
            own: door.addresses(),
            via,
            balanced: balanced.collect(),
            vessels: Vessels::new(recorder),
            lookups: Lookups::new(),
            recorder: recorder.clone(),
            sockets: of_sockets(recorder, config.tells),
            counts: Counts::default(),
            config,
            stop,
        }
    }

    fn groups(&self) -> impl Iterator<Item = &Arc<Group>> {
        let balanced = self.balanced.iter().map(|(_, group)| group);
        self.via.iter().chain(balanced)
    }

    /// Has the packets to and from these captured, where any are.
    fn capture(&self, servers: &[SocketAddr]) {
        if let Some(captured) = &self.config.captured {
            captured.add(servers);
        }
    }

    /// The servers that share connections to this destination, where some do.
    fn balanced(&self, destination: &Destination) -> Option<&Arc<Group>> {
        let fits = |named: &Option<Destination>| {
            named
                .as_ref()
                .is_none_or(|named| named.matches(destination))
        };
        let mut groups = self.balanced.iter();
        groups.find_map(|(named, group)| fits(named).then_some(group))
    }

    fn send_away(&self, client: &Connection) {
        self.counts.clients.fetch_add(1, Ordering::Relaxed);
        self.count_refused();
        let by = client.peer();
        let most = self.config.limits.most;
        let steps = Steps::of_proxy(self);
        steps.always(ProxyStep::Full { by, most });
    }

    fn served(&self) -> Served {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Served {
            clients: count(&self.counts.clients),
            granted: count(&self.counts.granted),
            refused: count(&self.counts.refused),
            up: count(&self.counts.up),
            down: count(&self.counts.down),
            servers: self.groups().flat_map(|group| group.shares()).collect(),
        }
    }
}
