//! Who is connected and which sessions there are: the server's bounds on both,
//! and how a connection or a datagram finds its session by token.
//!
//! Entries are owned values: dropping one makes room for the next.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::limits::Limits;
use super::protocol::Token;
use super::session::Session;

/// Connections and sessions at this moment.
pub(super) struct Registry {
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connections: HashMap<IpAddr, usize>,
    sessions: HashMap<Token, Arc<Session>>,
}

impl Registry {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        let state = Mutex::default();
        Arc::new(Self { limits, state })
    }

    /// Lets one more connection in; `None` where there are too many.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Ticket> {
        let mut state = self.state();
        let all: usize = state.connections.values().sum();
        let here = state.connections.get(&peer).copied().unwrap_or(0);
        if all >= self.limits.connections() || here >= self.limits.connections_per_address() {
            return None;
        }
        *state.connections.entry(peer).or_default() += 1;
        let registry = Arc::clone(self);
        Some(Ticket { registry, peer })
    }

    /// Opens a session; why not, as its client reads it.
    pub(super) fn open(self: &Arc<Self>, session: Session) -> Result<Place, String> {
        let mut state = self.state();
        let (all, most) = (state.sessions.len(), self.limits.sessions as usize);
        if all >= most {
            return Err(format!("this server has {all} of {most} sessions"));
        }
        let same = |other: &&Arc<Session>| other.peer == session.peer;
        let here = state.sessions.values().filter(same).count();
        let most = self.limits.sessions_per_address as usize;
        if here >= most {
            return Err(format!(
                "this server has {here} of {most} sessions with your address"
            ));
        }
        let session = Arc::new(session);
        state.sessions.insert(session.token, Arc::clone(&session));
        let registry = Arc::clone(self);
        Ok(Place { registry, session })
    }

    /// The session of this name, for its own peer alone.
    pub(super) fn session(&self, token: Token, peer: IpAddr) -> Option<Arc<Session>> {
        let state = self.state();
        let session = state.sessions.get(&token)?;
        (session.peer == peer).then(|| Arc::clone(session))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place.
pub(super) struct Ticket {
    registry: Arc<Registry>,
    peer: IpAddr,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.registry.state();
        if let Some(count) = state.connections.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                state.connections.remove(&self.peer);
            }
        }
    }
}

/// A session's place: whoever reads for it stops when this goes.
pub(super) struct Place {
    registry: Arc<Registry>,
    pub(super) session: Arc<Session>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.session.leave();
        self.registry.state().sessions.remove(&self.session.token);
    }
}

/// A token from the kernel's random numbers.
pub(super) fn random_token() -> io::Result<Token> {
    let mut token = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut token)?;
    Ok(Token(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(number: u8, peer: &str) -> Session {
        let peer: IpAddr = peer.parse().expect("an address");
        Session::new(Token([number; 16]), peer, ([127, 0, 0, 1], 1).into())
    }

    #[test]
    fn places_are_bounded_and_come_back() {
        let limits = Limits {
            sessions: 2,
            sessions_per_address: 1,
            ..Limits::default()
        };
        let registry = Registry::new(limits);
        let first = registry.open(session(1, "::1")).expect("room");
        let why = registry.open(session(2, "::1")).err().expect("no room");
        assert!(why.contains("1 of 1 sessions with your address"), "{why}");
        let _second = registry.open(session(2, "::2")).expect("room");
        let why = registry.open(session(3, "::3")).err().expect("no room");
        assert!(why.contains("2 of 2 sessions"), "{why}");
        drop(first);
        assert!(registry.open(session(3, "::3")).is_ok());
    }

    #[test]
    fn a_session_is_found_by_its_own_peer_alone() {
        let registry = Registry::new(Limits::default());
        let place = registry.open(session(1, "::1")).expect("room");
        let find = |peer: &str| {
            let peer = peer.parse().expect("an address");
            registry.session(place.session.token, peer).is_some()
        };
        assert!(find("::1") && !find("::2"));
    }

    #[test]
    fn connections_are_bounded_by_address() {
        let registry = Registry::new(Limits::default());
        let peer: IpAddr = [127, 0, 0, 1].into();
        let most = Limits::default().connections_per_address();
        let tickets: Vec<_> = (0..most).filter_map(|_| registry.admit(peer)).collect();
        assert_eq!(tickets.len(), most);
        assert!(registry.admit(peer).is_none());
        drop(tickets);
        assert!(registry.admit(peer).is_some());
    }
}
