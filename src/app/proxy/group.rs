//! Several servers that share the load: which is next, whether each answers, and
//! how many connections it has.
//!
//! The choice is [`Balance`]'s; here are the servers' names, the lease that a
//! connection holds, and the asking whether they answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::timeout;

use super::reach::{Missed, dial, greet, look_up};
use super::steps::Steps;
use super::{Proxy, Share};
use crate::app::net::Connection;
use crate::event::ProxyStep;
use crate::protocol::proxy::balance::{Balance, Health, Policy, Standing};
use crate::protocol::proxy::upstream::{Scheme, Upstream};
use crate::protocol::proxy::{Cause, Credentials, Destination};
use crate::recorder::Recorder;

/// Several servers.
pub(super) struct Group {
    servers: Vec<Server>,
    balance: Mutex<Balance>,
}

/// One of them.
pub(super) struct Server {
    pub(super) name: String,
    pub(super) at: Destination,
    /// What it speaks, where it is another proxy.
    pub(super) proxy: Option<(Scheme, Option<Credentials>)>,
}

/// That a connection goes to one of them, for as long as it is there.
pub(super) struct Lease {
    group: Arc<Group>,
    index: usize,
}

/// How long one of several may take to answer before the next is tried.
const PATIENCE: Duration = Duration::from_secs(5);

impl Group {
    /// Other proxies.
    pub(super) fn via(policy: Policy, all: &[(Upstream, Option<Credentials>)]) -> Self {
        let servers = all.iter().map(|(upstream, credentials)| Server {
            name: upstream.to_string(),
            at: upstream.at.clone(),
            proxy: Some((upstream.scheme, credentials.clone())),
        });
        Self::of(policy, servers.collect())
    }

    /// Servers.
    pub(super) fn servers(policy: Policy, all: &[Destination]) -> Self {
        let servers = all.iter().map(|at| Server {
            name: at.to_string(),
            at: at.clone(),
            proxy: None,
        });
        Self::of(policy, servers.collect())
    }

    fn of(policy: Policy, servers: Vec<Server>) -> Self {
        let balance = Mutex::new(Balance::new(policy, servers.len()));
        Self { servers, balance }
    }

    fn balance(&self) -> MutexGuard<'_, Balance> {
        self.balance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next server, where those of `tried` have failed.
    pub(super) fn choose(self: &Arc<Self>, tried: &[usize]) -> Option<Lease> {
        let index = self.balance().choose(tried)?;
        Some(Lease {
            group: Arc::clone(self),
            index,
        })
    }

    /// Whether any of them has names looked up here.
    pub(super) fn looks_up_here(&self) -> bool {
        let mut servers = self.servers.iter();
        servers.any(|server| matches!(server.proxy, Some((Scheme::Socks5, _))))
    }

    /// What each was given.
    pub(super) fn shares(&self) -> Vec<Share> {
        let balance = self.balance();
        let pairs = self.servers.iter().zip(balance.standings());
        let share = |(server, standing): (&Server, &Standing)| Share {
            server: server.name.clone(),
            connections: standing.given,
        };
        pairs.map(share).collect()
    }

    /// Takes what came of reaching a server, and tells it where it is news.
    fn heed(&self, index: usize, missed: Option<&Missed>, steps: &Steps) {
        let now = match missed {
            None => Health::Up,
            Some(_) => Health::Down,
        };
        if let Some(news) = self.balance().handle_health(index, now) {
            steps.always(ProxyStep::Health {
                server: self.servers[index].name.clone(),
                health: news.to_string(),
                why: missed.map(|missed| missed.why.clone()),
            });
        }
    }

    /// Asks each, again and again, whether it answers, until the proxy ends.
    pub(super) async fn watch(self: Arc<Self>, proxy: Arc<Proxy>) {
        let steps = Steps::of_proxy(&proxy);
        let mut rounds = tokio::time::interval(proxy.config.limits.health);
        rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let asking = async {
            loop {
                rounds.tick().await;
                for (index, server) in self.servers.iter().enumerate() {
                    let asked = ask(&proxy, server).await;
                    self.heed(index, asked.err().as_ref(), &steps);
                }
            }
        };
        tokio::select! {
            () = asking => {}
            () = proxy.stop.asked() => {}
        }
    }
}

/// Whether a server answers: nobody is told of it. A port that accepts whoever
/// comes may be anything, so that one for SOCKS5 is greeted too.
async fn ask(proxy: &Proxy, server: &Server) -> Result<(), Missed> {
    let silent = Recorder::new(
        proxy.recorder.place(),
        proxy.recorder.clock(),
        Arc::new(crate::event::Silence),
    );
    let connection = server.dial(proxy, &silent).await?;
    match &server.proxy {
        Some((Scheme::Socks5 | Scheme::Socks5h, credentials)) => {
            let greeted = greet(connection, &server.at, credentials.clone());
            let late = |_| Err(Missed::late("greet the other proxy", PATIENCE));
            timeout(PATIENCE, greeted).await.unwrap_or_else(late)
        }
        _ => Ok(()),
    }
}

impl Server {
    /// A connection to it: not where it is this proxy itself, which would go
    /// round for ever.
    pub(super) async fn dial(
        &self,
        proxy: &Proxy,
        recorder: &Recorder,
    ) -> Result<Connection, Missed> {
        let patience = PATIENCE.min(proxy.config.limits.connect);
        let mut addresses = look_up(proxy, None, &self.at, patience).await?;
        addresses.retain(|address| !proxy.is_own(*address));
        if addresses.is_empty() {
            return Err(Missed {
                cause: Cause::Failure,
                why: format!("{} is this proxy itself", self.at),
            });
        }
        proxy.capture(&addresses);
        dial(&self.at, addresses, patience, recorder).await
    }
}

impl Lease {
    /// Which server it is.
    pub(super) fn server(&self) -> &Server {
        &self.group.servers[self.index]
    }

    /// Its place among the others.
    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// Takes what came of reaching it.
    pub(super) fn heed(&self, missed: Option<&Missed>, steps: &Steps) {
        self.group.heed(self.index, missed, steps);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.group.balance().release(self.index);
    }
}
