//! What a run's figures are held against: the packets on the wire, and the
//! link's own counters.
//!
//! Figures that should agree and do not are errors, and said as errors.

use std::fmt::Display;

use super::account;
use super::line::Line;
use super::style::{Paint, Style};
use super::table;
use crate::conversation::WireAccount;
use crate::event::{Event, Fate, What};
use crate::flow::Direction;
use crate::link::{Account, Traffic};

/// What is known of a run beside its outcome.
#[derive(Clone, Copy, Default)]
pub struct Evidence<'a> {
    /// The run's events, sorted by time.
    pub events: &'a [Event<'a>],
    /// The link's account, where there was a link.
    pub link: Option<&'a Account>,
}

/// Both directions, and how they are called.
pub(super) const DIRECTIONS: [(Direction, &str); 2] = [
    (Direction::ClientToServer, "client → server"),
    (Direction::ServerToClient, "server → client"),
];

impl Evidence<'_> {
    /// The wire's account, if any packet was seen.
    pub fn wire(&self) -> Option<WireAccount> {
        let mut events = self.events.iter();
        let seen = events.any(|event| matches!(event.what, What::Packet(_)));
        seen.then(|| WireAccount::of(self.events))
    }

    /// Where the link's counters and the packets seen on it differ.
    pub(super) fn disagreements(&self) -> Disagreements {
        let mut found = Disagreements::default();
        if self.link.is_some_and(|link| !link.is_conserved()) {
            found.add("the link's own figures do not add up".to_owned());
        }
        let (Some(link), Some(wire)) = (self.link, self.wire()) else {
            return found;
        };
        for (direction, name) in DIRECTIONS {
            let (traffic, count) = (traffic(link, direction), wire.direction(direction));
            let lost = traffic.lost_in_all().packets + traffic.refused.packets;
            let fates = self.lost(direction);
            found.compare(
                name,
                ("packets the link lost", lost),
                ("packets recorded as lost", fates),
            );
            found.compare(
                name,
                ("packets the link was offered", traffic.offered.packets),
                ("packets recorded", count.packets),
            );
            found.compare(
                name,
                ("bytes the link was offered", traffic.offered.bytes),
                ("bytes recorded", count.bytes),
            );
        }
        found
    }

    /// How many packets, copies included, were recorded as lost.
    fn lost(&self, direction: Direction) -> u64 {
        let is_lost = |event: &&Event<'_>| match &event.what {
            What::Packet(packet) => {
                packet.direction == direction && matches!(packet.fate, Fate::Lost { .. })
            }
            _ => false,
        };
        self.events.iter().filter(is_lost).count() as u64
    }

    /// The link's account in short, and as errors what the link lost by itself.
    pub(super) fn link_lines(&self, style: &Style) -> Vec<Line> {
        let account = self.link.map(|link| account::in_short(link, style));
        account.unwrap_or_default()
    }
}

fn traffic(link: &Account, direction: Direction) -> &Traffic {
    link.count.wire.towards(direction)
}

/// Pairs of figures that should be equal and are not.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Disagreements(Vec<String>);

impl Disagreements {
    /// Holds two figures against each other.
    pub(super) fn compare<Figure: PartialEq + Display>(
        &mut self,
        about: &str,
        (one, value): (&str, Figure),
        (other, against): (&str, Figure),
    ) {
        if value != against {
            let text = format!("{about}: {one} {value}, {other} {against}");
            self.0.push(text);
        }
    }

    /// Something that is wrong by itself.
    pub(super) fn add(&mut self, text: String) {
        self.0.push(text);
    }

    /// What was found, a sentence each.
    pub(super) fn into_texts(self) -> Vec<String> {
        self.0
    }

    /// One line each, as errors; `checked` says what was held against what.
    pub(super) fn lines(&self, checked: &str, style: &Style) -> Vec<Line> {
        if self.0.is_empty() {
            let text = format!("{} {checked} agree.", table::RIGHT);
            return table::sentence(Paint::Good, &text, style);
        }
        let line = |text: &String| {
            let text = format!("{} figures disagree: {text}", table::WRONG);
            table::sentence(Paint::Failure, &text, style)
        };
        self.0.iter().flat_map(line).collect()
    }
}
