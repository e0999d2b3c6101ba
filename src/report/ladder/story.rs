//! Events as the moments of a story, in the order in which they happened.
//!
//! A call that waited while something else happened has two moments, its start
//! and its return; so has a packet that took its time. Decides order only:
//! nothing here knows columns.

use std::time::Duration;

use crate::conversation::WireAccount;
use crate::event::{Call, Event, Fate, Note, Packet, Place, StateChange, What};
use crate::packet::{Checksums, Conversations, Dissection, dissect_with};

/// One moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment<'a> {
    pub(super) at: Duration,
    pub(super) what: Happening<'a>,
}

/// What happened at a moment.
#[derive(Debug, Clone, Copy)]
pub(super) enum Happening<'a> {
    Note(&'a Note),
    /// A call, with its place among the events.
    Call(Place, &'a Call, Part, usize),
    State(Place, &'a StateChange),
    /// A packet, by its place among those seen.
    Packet(usize, Leg),
}

/// Which part of a call a moment shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    Start,
    Return,
}

/// Which part of a packet's way a moment shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leg {
    Whole,
    Leaving,
    Arriving,
}

/// A packet taken apart, with what its conversation had told until then.
pub(super) struct Seen<'a> {
    pub(super) packet: &'a Packet<'a>,
    pub(super) dissection: Dissection,
    pub(super) conversations: Conversations,
    /// Whether it repeats data that its sender had sent before.
    pub(super) again: bool,
    /// How long it was held, where that is not what is usual in its direction.
    pub(super) held: Option<Duration>,
}

/// The whole story.
pub(super) struct Story<'a> {
    pub(super) moments: Vec<Moment<'a>>,
    pub(super) seen: Vec<Seen<'a>>,
}

/// So long under way, or in a call, is worth two rows.
const LONG: Duration = Duration::from_millis(1);

impl<'a> Story<'a> {
    /// The story that `events` tell.
    pub(super) fn of(events: &'a [Event<'_>]) -> Self {
        let marks = marks(events);
        let mut story = Self {
            moments: Vec::new(),
            seen: Vec::new(),
        };
        let mut conversations = Conversations::new();
        let mut account = WireAccount::default();
        let usual = UsualDelay::of(events);
        for (index, event) in in_order(events) {
            match &event.what {
                What::Note(note) => story.add(event.at, Happening::Note(note)),
                What::State(change) => story.add(event.at, Happening::State(event.host, change)),
                What::Call(call) => story.add_call(event, call, index, &marks),
                What::Packet(packet) => {
                    let dissection = dissect_with(packet.link, &packet.bytes, checksums(packet));
                    conversations.observe(&dissection);
                    let before = account.direction(packet.direction).tcp_retransmissions;
                    account.add(packet);
                    let after = account.direction(packet.direction).tcp_retransmissions;
                    story.seen.push(Seen {
                        packet,
                        dissection,
                        conversations: conversations.clone(),
                        again: after > before,
                        held: usual.deviation(packet),
                    });
                    story.add_packet(event.at, packet);
                }
                What::Sample(_)
                | What::Delivery(_)
                | What::Echo(_)
                | What::Datagram(_)
                | What::Talk(_)
                | What::Chat(_)
                | What::File(_)
                | What::Proxy(_)
                | What::Remote(_) => {}
            }
        }
        story.moments.sort_by_key(|moment| moment.at);
        story
    }

    /// When it begins: a heading has no time.
    pub(super) fn start(&self) -> Duration {
        let mut timed = self
            .moments
            .iter()
            .filter(|moment| !matches!(moment.what, Happening::Note(_)));
        timed.next().map_or(Duration::ZERO, |moment| moment.at)
    }

    /// When it ends.
    pub(super) fn end(&self) -> Duration {
        self.moments
            .last()
            .map_or(Duration::ZERO, |moment| moment.at)
    }

    /// Whether it tells of TCP states.
    pub(super) fn has_states(&self) -> bool {
        let is_state = |moment: &Moment<'_>| matches!(moment.what, Happening::State(..));
        self.moments.iter().any(is_state)
    }

    fn add(&mut self, at: Duration, what: Happening<'a>) {
        self.moments.push(Moment { at, what });
    }

    fn add_call(&mut self, event: &Event<'_>, call: &'a Call, index: usize, marks: &[Duration]) {
        let returned = event.at + call.took;
        let parts: &[_] = if waits(call) && between(marks, event.at, returned) {
            &[(event.at, Part::Start), (returned, Part::Return)]
        } else {
            &[(event.at, Part::Whole)]
        };
        for (at, part) in parts {
            self.add(*at, Happening::Call(event.host, call, *part, index));
        }
    }

    fn add_packet(&mut self, at: Duration, packet: &Packet<'_>) {
        let index = self.seen.len() - 1;
        match packet.delivered_at {
            Some(delivered_at) if slants(packet, at, delivered_at) => {
                self.add(at, Happening::Packet(index, Leg::Leaving));
                self.add(delivered_at, Happening::Packet(index, Leg::Arriving));
            }
            _ => self.add(at, Happening::Packet(index, Leg::Whole)),
        }
    }
}

/// Events with their places; packets of one time by their ids: a copy's fate
/// may be known before that of its original.
fn in_order<'a, 'b>(events: &'a [Event<'b>]) -> Vec<(usize, &'a Event<'b>)> {
    let id = |event: &Event<'_>| match &event.what {
        What::Packet(packet) => Some(packet.id),
        _ => None,
    };
    let mut order: Vec<_> = events.iter().enumerate().collect();
    let is_one_time = |(_, one): &(usize, &Event<'_>), (_, other): &(usize, &Event<'_>)| {
        one.at == other.at && id(one).is_some() && id(other).is_some()
    };
    for together in order.chunk_by_mut(is_one_time) {
        together.sort_by_key(|(_, event)| id(event));
    }
    order
}

/// How long a packet that arrives is usually held, in either direction: the
/// median.
struct UsualDelay([Duration; 2]);

impl UsualDelay {
    fn of(events: &[Event<'_>]) -> Self {
        let mut held: [Vec<Duration>; 2] = Default::default();
        for event in events {
            if let What::Packet(packet) = &event.what
                && packet.delivered_at.is_some()
            {
                held[packet.direction as usize].push(hold(packet));
            }
        }
        Self(held.map(|mut held| {
            held.sort_unstable();
            held.get(held.len() / 2).copied().unwrap_or_default()
        }))
    }

    /// How long a packet was held, where that is a fifth more or less than is
    /// usual.
    fn deviation(&self, packet: &Packet<'_>) -> Option<Duration> {
        let (held, usual) = (hold(packet), self.0[packet.direction as usize]);
        let differs = held.abs_diff(usual) > usual / 5;
        (packet.delivered_at.is_some() && !held.is_zero() && differs).then_some(held)
    }
}

/// How long a packet was held on purpose.
fn hold(packet: &Packet<'_>) -> Duration {
    let due = packet.due_at.unwrap_or(packet.sent_at);
    due.saturating_sub(packet.sent_at)
}

/// A capture on a real interface sees packets before the device has filled in
/// their checksums.
fn checksums(packet: &Packet<'_>) -> Checksums {
    match packet.fate {
        Fate::Unknown => Checksums::Pending,
        _ => Checksums::Complete,
    }
}

/// When anything happened that a row shows, states aside: they go with what
/// caused them.
fn marks(events: &[Event<'_>]) -> Vec<Duration> {
    let mut marks = Vec::new();
    for event in events {
        match &event.what {
            What::State(_)
            | What::Sample(_)
            | What::Delivery(_)
            | What::Echo(_)
            | What::Datagram(_)
            | What::Talk(_)
            | What::Chat(_)
            | What::File(_)
            | What::Proxy(_)
            | What::Remote(_) => {}
            What::Packet(packet) => {
                marks.push(event.at);
                marks.extend(packet.delivered_at);
            }
            What::Call(_) | What::Note(_) => marks.push(event.at),
        }
    }
    marks.sort();
    marks
}

fn between(marks: &[Duration], after: Duration, before: Duration) -> bool {
    let first = marks.partition_point(|mark| *mark <= after);
    marks.get(first).is_some_and(|mark| *mark < before)
}

/// Whether a call waits for the other side, by its nature or visibly.
fn waits(call: &Call) -> bool {
    const WAITING: [&str; 12] = [
        "accept",
        "accept4",
        "connect",
        "epoll_wait",
        "poll",
        "ppoll",
        "read",
        "recv",
        "recvfrom",
        "recvmmsg",
        "recvmsg",
        "select",
    ];
    WAITING.contains(&call.name) || call.took >= LONG
}

/// Whether leaving and arriving are two moments.
fn slants(packet: &Packet<'_>, at: Duration, delivered_at: Duration) -> bool {
    packet.due_at.is_some_and(|due| due > at) || delivered_at.saturating_sub(at) >= LONG
}
