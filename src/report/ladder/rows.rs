//! Moments in rows: which moments share one, and which calls wait meanwhile.
//!
//! A state change shares the row of the packet that caused it where nothing
//! happened in between: the sender's, which has the packet's own time, and the
//! receiver's, which is the next thing that happens.

use std::time::Duration;

use super::Options;
use super::arrow::{Arrow, Drawing};
use super::layout::{Layout, MOST_BRACKETS};
use super::phrase;
use super::sockets::Sockets;
use super::story::{Happening, Leg, Moment, Part, Seen, Story};
use super::words::Context;
use crate::event::{Call, Place, StateChange};
use crate::flow::{Direction, FiveTuple, Kind};
use crate::report::line::Line;
use crate::report::style::Style;

/// One row before it is laid out.
#[derive(Default)]
pub(super) struct Row {
    pub(super) at: Duration,
    pub(super) sides: [Side; 2],
    pub(super) wire: Option<(Arrow, Direction)>,
}

/// One host's part of a row.
#[derive(Default)]
pub(super) struct Side {
    pub(super) words: Vec<Line>,
    pub(super) state: Option<String>,
    /// Its bracket columns, from the outermost.
    pub(super) brackets: [Bracket; MOST_BRACKETS],
}

/// What a bracket column shows in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Bracket {
    #[default]
    None,
    Opens,
    Open,
    Closes,
}

/// A row, or a heading across all lanes.
pub(super) enum Entry<'a> {
    Chapter(&'a str),
    Row(Row),
    /// So many rows that are not drawn.
    Omitted(usize),
}

/// The most rows of one chapter that are drawn, and how many of them are its
/// end.
const MOST: usize = 60;
const END: usize = 12;

/// The same entries with the middle of each long chapter left out: a transfer
/// of a thousand segments is told by its first and its last.
pub(super) fn shortened(entries: Vec<Entry<'_>>) -> Vec<Entry<'_>> {
    let mut kept = Vec::with_capacity(entries.len());
    let mut chapter = Vec::new();
    for entry in entries {
        match entry {
            Entry::Row(row) => chapter.push(Entry::Row(row)),
            heading => {
                kept.extend(ends_of(std::mem::take(&mut chapter)));
                kept.push(heading);
            }
        }
    }
    kept.extend(ends_of(chapter));
    kept
}

/// A chapter's beginning and end, and between them how many rows are missing.
fn ends_of(mut chapter: Vec<Entry<'_>>) -> Vec<Entry<'_>> {
    if chapter.len() > MOST {
        let middle = MOST - END..chapter.len() - END;
        let omitted = Entry::Omitted(middle.len());
        chapter.splice(middle, [omitted]);
    }
    chapter
}

/// All rows of a story.
pub(super) fn of<'a>(
    story: &'a Story<'a>,
    options: &Options,
    style: &Style,
    layout: Layout,
) -> Vec<Entry<'a>> {
    let mut rows = Rows {
        story,
        options,
        style,
        layout,
        open: [[None; MOST_BRACKETS]; 2],
        sockets: Sockets::of(story),
    };
    let mut entries = Vec::new();
    let mut rest = story.moments.as_slice();
    let mut leaving = None;
    while let Some((moment, after)) = rest.split_first() {
        if let Happening::Note(note) = moment.what {
            entries.push(Entry::Chapter(&note.text));
            (rest, leaving) = (after, None);
            continue;
        }
        let (row, taken) = rows.row(rest, leaving);
        leaving = rest[..taken].iter().find_map(|moment| match moment.what {
            Happening::Packet(index, Leg::Leaving) => Some(index),
            _ => None,
        });
        entries.push(Entry::Row(row));
        rest = &rest[taken..];
    }
    entries
}

struct Rows<'a, 'o> {
    story: &'a Story<'a>,
    options: &'o Options,
    style: &'o Style,
    layout: Layout,
    /// The calls that wait, by their places among the events; each in its own
    /// bracket column.
    open: [[Option<usize>; MOST_BRACKETS]; 2],
    sockets: Sockets<'a>,
}

impl Rows<'_, '_> {
    /// The row that begins with the first moment, and how many it takes.
    fn row(&mut self, moments: &[Moment<'_>], leaving: Option<usize>) -> (Row, usize) {
        let at = moments[0].at;
        let mut row = Row {
            at,
            ..Row::default()
        };
        // States and a packet of the same time; or states alone.
        let mut taken = 0;
        for moment in moments.iter().take_while(|moment| moment.at == at) {
            match moment.what {
                Happening::State(host, change) if is_free(&row, host) => {
                    self.set_state(&mut row, host, change);
                }
                Happening::Packet(index, leg) if row.wire.is_none() => {
                    self.set_packet(&mut row, index, leg, leaving);
                }
                Happening::Call(host, call, part, id) if taken == 0 => {
                    self.say(&mut row, host, (call, part, id));
                    taken += 1;
                    break;
                }
                _ => break,
            }
            taken += 1;
        }
        if taken == 0 {
            return (row, 1);
        }
        taken += self.effects(&mut row, &moments[..taken], &moments[taken..]);
        self.wait(&mut row);
        (row, taken)
    }

    /// What the packet in this row caused at its receiver's, if it is the next
    /// thing that happened.
    fn effects(&self, row: &mut Row, shown: &[Moment<'_>], next: &[Moment<'_>]) -> usize {
        let arrived = shown.iter().find_map(|moment| match moment.what {
            Happening::Packet(index, Leg::Whole | Leg::Arriving) => self.story.seen.get(index),
            _ => None,
        });
        let (Some(seen), Some(moment)) = (arrived, next.first()) else {
            return 0;
        };
        match moment.what {
            Happening::State(host, change)
                if host == receiver(seen.packet.direction)
                    && seen.packet.delivered_at.is_some()
                    && is_free(row, host)
                    && is_about(seen, change) =>
            {
                self.set_state(row, host, change);
                1
            }
            _ => 0,
        }
    }

    fn set_state(&self, row: &mut Row, host: Place, change: &StateChange) {
        if let Some(side) = side(host) {
            let whose = self.sockets.connection(host, &change.connection);
            row.sides[side].state = Some(format!("{}{whose}", change.to));
        }
    }

    fn set_packet(&self, row: &mut Row, index: usize, leg: Leg, leaving: Option<usize>) {
        let Some(seen) = self.story.seen.get(index) else {
            return;
        };
        let drawing = Drawing {
            width: self.layout.wire,
            numbering: self.options.numbering,
            charset: self.style.charset,
        };
        let arrow = drawing.arrow(seen, leg, leaving == Some(index));
        row.wire = Some((arrow, seen.packet.direction));
    }

    fn say(&mut self, row: &mut Row, host: Place, (call, part, id): (&Call, Part, usize)) {
        let Some(side) = side(host) else {
            return;
        };
        let part = self.bracket(row, side, part, id);
        let context = Context {
            room: self.layout.room(side),
            socket: self.sockets.called(host, &call.socket, self.layout.by_name),
            hosts: &self.options.hosts,
            by_name: self.layout.by_name,
            charset: self.style.charset,
        };
        row.sides[side].words = phrase::lines(call, part, context);
    }

    /// Opens or closes the call's bracket; a call that finds no bracket column
    /// is said whole where it starts.
    fn bracket(&mut self, row: &mut Row, side: usize, part: Part, id: usize) -> Part {
        let wanted = match part {
            Part::Whole => return part,
            Part::Start => None,
            Part::Return => Some(id),
        };
        let brackets = self.layout.brackets[side];
        let mut columns = self.open[side].iter().take(brackets);
        match (columns.position(|open| *open == wanted), part) {
            (Some(column), Part::Start) => {
                self.open[side][column] = Some(id);
                row.sides[side].brackets[column] = Bracket::Opens;
                part
            }
            (Some(column), _) => {
                self.open[side][column] = None;
                row.sides[side].brackets[column] = Bracket::Closes;
                part
            }
            (None, Part::Start) => Part::Whole,
            (None, _) => part,
        }
    }

    /// Draws the brackets of all calls that go on waiting.
    fn wait(&self, row: &mut Row) {
        for (side, open) in row.sides.iter_mut().zip(&self.open) {
            for (bracket, open) in side.brackets.iter_mut().zip(open) {
                if open.is_some() && *bracket == Bracket::None {
                    *bracket = Bracket::Open;
                }
            }
        }
    }
}

/// A host's side of the ladder.
pub(super) fn side(host: Place) -> Option<usize> {
    match host {
        Place::Client => Some(0),
        Place::Server => Some(1),
        Place::Wire => None,
    }
}

fn is_free(row: &Row, host: Place) -> bool {
    side(host).is_some_and(|side| row.sides[side].state.is_none())
}

fn receiver(direction: Direction) -> Place {
    match direction {
        Direction::ClientToServer => Place::Server,
        Direction::ServerToClient => Place::Client,
    }
}

/// Whether the packet belongs to the receiver's connection.
fn is_about(seen: &Seen<'_>, change: &StateChange) -> bool {
    let FiveTuple {
        protocol,
        local,
        remote,
    } = change.connection;
    seen.dissection.endpoints().is_some_and(|ends| {
        protocol == Kind::Tcp
            && (ends.source.address, ends.source.port) == (remote.ip(), Some(remote.port()))
            && (ends.destination.address, ends.destination.port) == (local.ip(), Some(local.port()))
    })
}
