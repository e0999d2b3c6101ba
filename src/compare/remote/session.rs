//! One session as the server's threads share it: the control connection's
//! thread that leads it, and a reader for each kind.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::ledger::Ledger;
use super::protocol::{Ask, Plan, Receipts, Token};
use crate::compare::Variant;

/// A session.
pub(super) struct Session {
    pub(super) token: Token,
    /// Who leads it, and the only one who may send to it.
    pub(super) peer: IpAddr,
    /// The server's end of the control connection.
    pub(super) local: SocketAddr,
    plan: OnceLock<Plan>,
    gone: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    attached: Vec<Variant>,
    over: Option<Over>,
    heard: Vec<Heard>,
}

/// The sending is over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Over {
    /// Messages that were sent, where the client said so.
    pub(super) sent: Option<u32>,
    /// When that was said.
    pub(super) at: Instant,
}

/// What one reader heard.
pub(super) struct Heard {
    pub(super) variant: Variant,
    pub(super) ledger: Ledger,
    pub(super) reads: Receipts,
}

impl Session {
    pub(super) fn new(token: Token, peer: IpAddr, local: SocketAddr) -> Self {
        Self {
            token,
            peer,
            local,
            plan: OnceLock::new(),
            gone: AtomicBool::new(false),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// What is to be sent, once that is known.
    pub(super) fn plan(&self) -> Option<&Plan> {
        self.plan.get()
    }

    /// Lays down what is to be sent.
    pub(super) fn set_plan(&self, plan: Plan) {
        // The agenda allows one plan a session.
        let _ = self.plan.set(plan);
    }

    /// What the plan asks of a kind.
    pub(super) fn ask(&self, variant: Variant) -> Option<&Ask> {
        let mut asks = self.plan()?.kinds.iter();
        asks.find(|ask| ask.kind == variant.name())
    }

    /// Takes a kind for the one reader it may have. Whether that is allowed:
    /// once, of what was planned, before the end.
    pub(super) fn attach(&self, variant: Variant) -> bool {
        let mut state = self.state();
        let is_free = !state.attached.contains(&variant) && state.over.is_none();
        let allowed = is_free && self.ask(variant).is_some();
        if allowed {
            state.attached.push(variant);
        }
        allowed
    }

    /// A reader is done; without anything where it failed.
    pub(super) fn detach(&self, variant: Variant, heard: Option<Heard>) {
        let mut state = self.state();
        match heard {
            Some(heard) => state.heard.push(heard),
            None => state.attached.retain(|other| *other != variant),
        }
        self.changed.notify_all();
    }

    /// The readers learn that no more will be sent.
    pub(super) fn end(&self, sent: Option<u32>) {
        let at = Instant::now();
        self.state().over.get_or_insert(Over { sent, at });
    }

    /// How the sending ended, once it has.
    pub(super) fn over(&self) -> Option<Over> {
        self.state().over
    }

    /// Whatever happens, nobody reads on.
    pub(super) fn leave(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    /// Whether the session's leader is gone.
    pub(super) fn is_left(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// Waits until every reader is done, or `longest` has passed.
    pub(super) fn collect(&self, longest: Duration) -> Vec<Heard> {
        let waiting = |state: &mut State| state.heard.len() < state.attached.len();
        let waited = self
            .changed
            .wait_timeout_while(self.state(), longest, waiting);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let mut heard = std::mem::take(&mut state.heard);
        heard.sort_by_key(|heard| heard.variant);
        heard
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
