//! Where the ladder's lanes are.
//!
//! From left to right: time, the client's calls and state, a rail, the wire, a
//! rail, the server's state and calls. Calls and states share a side, calls at
//! its outer edge and states at the rail, so that 80 columns are enough.

use super::story::{Happening, Moment, Part, Story};
use super::typeset::clock;
use crate::event::Place;
use crate::report::style::Style;

/// The lanes' columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    /// The time, with a space behind it.
    pub(super) gutter: usize,
    /// Each side.
    pub(super) side: usize,
    /// The wire between the rails.
    pub(super) wire: usize,
    /// How far the server's calls stand from its states.
    pub(super) indent: usize,
    /// Brackets that the client's, and the server's, calls need.
    pub(super) brackets: [usize; 2],
    /// Whether hosts are called by their names.
    pub(super) by_name: bool,
}

/// So many calls of one host are bracketed at once.
pub(super) const MOST_BRACKETS: usize = 3;

impl Layout {
    pub(super) fn of(story: &Story<'_>, style: &Style) -> Self {
        const BY_NAME_BELOW: usize = 100;
        /// What most packets say fits into this.
        const WIRE: usize = 26;
        /// What an ICMP error says fits into this.
        const LEAST_WIRE: usize = 22;
        const MOST_WIRE: usize = 44;
        /// A side where `client.sendto("one", 10.77.0.2:5073) = 3` is one line.
        const CALL: usize = 43;
        let columns = style.columns();
        let span = story.end().saturating_sub(story.start());
        let gutter = clock(span).len() + 1;
        let rest = columns.saturating_sub(gutter + 2);
        let by_name = columns < BY_NAME_BELOW;
        let wire = if by_name {
            (rest * 37 / 100).clamp(20, WIRE)
        } else if rest >= 2 * CALL + LEAST_WIRE {
            (rest - 2 * CALL).clamp(LEAST_WIRE, MOST_WIRE)
        } else {
            WIRE
        };
        // Both sides alike.
        let wire = wire + (rest - wire) % 2;
        let side = rest.saturating_sub(wire) / 2;
        Self {
            gutter,
            side,
            wire,
            indent: match side {
                // Calls have the lane for themselves.
                _ if !story.has_states() => 0,
                0..26 => 0,
                26..46 => 2,
                _ => 13,
            },
            brackets: [Place::Client, Place::Server].map(|host| depth(&story.moments, host)),
            by_name,
        }
    }

    /// The columns that brackets take on a side, their space included.
    pub(super) fn bracket_columns(&self, side: usize) -> usize {
        match self.brackets[side] {
            0 => 0,
            brackets => brackets + 1,
        }
    }

    /// The columns for words on a side.
    pub(super) fn room(&self, side: usize) -> usize {
        let indent = if side == 0 { 0 } else { self.indent };
        self.side
            .saturating_sub(self.bracket_columns(side) + 1 + indent)
    }
}

/// How many of a host's calls wait at once, at most.
fn depth(moments: &[Moment<'_>], host: Place) -> usize {
    let (mut open, mut deepest) = (0_usize, 0);
    for moment in moments {
        match moment.what {
            Happening::Call(place, _, Part::Start, _) if place == host => open += 1,
            Happening::Call(place, _, Part::Return, _) if place == host => {
                open = open.saturating_sub(1);
            }
            _ => {}
        }
        deepest = deepest.max(open);
    }
    deepest.min(MOST_BRACKETS)
}
