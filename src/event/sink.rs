//! Where events go: the [`Sink`] trait and the sinks that need no file.
//!
//! A sink says beforehand which topics it wants, so that a run pays nothing for
//! what nobody listens to. Sinks are called from several threads; each keeps
//! its own order.

use std::sync::{Mutex, PoisonError};

use super::Event;

/// What an event is about, for a sink to choose by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// System calls.
    Call,
    /// TCP state changes.
    State,
    /// How senders' kernels are getting on.
    Sample,
    /// Packets on the wire.
    Packet,
    /// What the receiving program got.
    Delivery,
    /// What a ping run sends, receives and counts.
    Echo,
    /// Of that, only its beginning and its figures: for a sink that wants no
    /// more, so that a flood makes no event of each packet.
    EchoFigures,
    /// Datagrams at a program's socket.
    Datagram,
    /// What the tools tell that converse with other machines.
    Talk,
    /// The bytes of those conversations.
    Chunk,
    /// What the applications do.
    App,
    /// What they do over and over, and as they should.
    Routine,
    /// Sentences.
    Note,
}

/// Takes events as they happen.
///
/// A packet is recorded when its fate is known, so events need not come in the
/// order of their times.
pub trait Sink: Send + Sync {
    /// Whether events on this topic are wanted. Whoever would make an event
    /// asks first and, told no, makes none.
    fn wants(&self, topic: Topic) -> bool;

    /// Takes one event.
    fn record(&self, event: &Event<'_>);
}

/// Wants nothing.
#[derive(Debug, Default, Clone, Copy)]
pub struct Silence;

impl Sink for Silence {
    fn wants(&self, _: Topic) -> bool {
        false
    }

    fn record(&self, _: &Event<'_>) {}
}

/// Keeps events in memory, the first `limit` of them.
#[derive(Debug)]
pub struct Recording {
    events: Mutex<Vec<Event<'static>>>,
    limit: usize,
}

impl Recording {
    /// A recording without limit, for runs that are short by construction.
    pub fn new() -> Self {
        Self::first(usize::MAX)
    }

    /// A recording that keeps the first `limit` events and drops the rest.
    pub fn first(limit: usize) -> Self {
        Self {
            events: Mutex::new(Vec::new()),
            limit,
        }
    }

    /// The events so far, in the order of their times; the recording is empty
    /// afterwards.
    pub fn take(&self) -> Vec<Event<'static>> {
        let mut events =
            std::mem::take(&mut *self.events.lock().unwrap_or_else(PoisonError::into_inner));
        events.sort_by_key(|event| event.at);
        events
    }
}

impl Default for Recording {
    fn default() -> Self {
        Self::new()
    }
}

impl Sink for Recording {
    fn wants(&self, _: Topic) -> bool {
        true
    }

    fn record(&self, event: &Event<'_>) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() < self.limit {
            events.push(event.clone().into_owned());
        }
    }
}

/// Hands each event to several sinks.
#[derive(Default)]
pub struct Tee(Vec<std::sync::Arc<dyn Sink>>);

impl Tee {
    /// A sink that feeds all of `sinks`.
    pub fn new(sinks: Vec<std::sync::Arc<dyn Sink>>) -> Self {
        Self(sinks)
    }
}

impl Sink for Tee {
    fn wants(&self, topic: Topic) -> bool {
        self.0.iter().any(|sink| sink.wants(topic))
    }

    fn record(&self, event: &Event<'_>) {
        let topic = event.topic();
        let wants = |sink: &dyn Sink| {
            // Who wants the figures alone takes them from among the rest.
            sink.wants(topic) || (topic == Topic::Echo && sink.wants(Topic::EchoFigures))
        };
        for sink in self.0.iter().filter(|sink| wants(sink.as_ref())) {
            sink.record(event);
        }
    }
}
