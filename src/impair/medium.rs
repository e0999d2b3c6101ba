//! Both directions of a wire: takes packets in, gives them back when they are
//! due, each with its fate.

use std::borrow::Cow;
use std::time::Duration;

use super::flows::FlowName;
use super::settings::Plan;
use crate::event::{Changes, InFlow};
use crate::flow::Direction;

/// Both directions of a wire.
#[derive(Debug)]
pub struct Medium {
    plan: Plan,
    ids: u64,
}

/// A packet on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    /// Its number on this wire, from 1, by arrival; a copy has its own.
    pub id: u64,
    /// Which way it goes.
    pub direction: Direction,
    /// Where it stands in its conversation; a copy stands where its original does.
    pub place: InFlow,
    /// When it entered.
    pub sent_at: Duration,
    /// When it leaves; when it was lost, where it is.
    pub due_at: Duration,
    /// What was changed.
    pub changes: Changes,
    /// The bytes as they were sent.
    pub sent: Vec<u8>,
    /// The bytes to hand over, where they are others.
    pub altered: Option<Vec<u8>>,
}

impl Parcel {
    /// The bytes to hand over.
    pub fn bytes(&self) -> &[u8] {
        self.altered.as_deref().unwrap_or(&self.sent)
    }
}

/// What became of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is to be handed over now.
    Deliver,
    /// It is lost.
    Lost(Cow<'static, str>),
}

/// A packet whose way has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The packet.
    pub parcel: Parcel,
    /// How its way ended.
    pub verdict: Verdict,
}

impl Medium {
    /// A medium that does what `plan` says.
    pub fn new(plan: Plan) -> Self {
        Self { plan, ids: 0 }
    }

    /// Whether packets of this direction pass as they are, at once, and always
    /// will: such packets need only be [noted](Self::note).
    pub fn is_transparent(&self, direction: Direction) -> bool {
        match direction {
            Direction::ClientToServer => self.plan.up.is_transparent(),
            Direction::ServerToClient => self.plan.down.is_transparent(),
        }
    }

    /// Numbers a packet that passes as it is: its id and its place.
    pub fn note(&mut self, direction: Direction, bytes: &[u8]) -> (u64, InFlow) {
        let _ = (direction, bytes);
        self.ids += 1;
        let place = InFlow {
            flow: 1,
            index: self.ids,
        };
        (self.ids, place)
    }

    /// Takes a packet in. Whatever is due before `now` must have been polled.
    pub fn offer(&mut self, direction: Direction, now: Duration, bytes: Vec<u8>) -> InFlow {
        let _ = (direction, now, bytes);
        todo!()
    }

    /// The next packet whose way has ended by `now`, in the order of `due_at`.
    pub fn poll(&mut self, now: Duration) -> Option<Outcome> {
        let _ = now;
        None
    }

    /// When [`poll`](Self::poll) will next have something.
    pub fn next_deadline(&self) -> Option<Duration> {
        None
    }

    /// The conversations so far; the first is flow 1.
    pub fn flows(&self) -> &[FlowName] {
        &[]
    }

    /// Packets under way.
    pub fn in_flight(&self) -> usize {
        0
    }

    /// The number of the last packet that entered or was made.
    pub fn last_id(&self) -> u64 {
        self.ids
    }

    /// Takes out what is still under way, in the order of ids.
    pub fn abandon(&mut self) -> Vec<Parcel> {
        Vec::new()
    }
}
