//! The delivery strip: a row a kind of socket, a cell a message, so that the
//! same message stands in the same column of every row.
//!
//! A stream's row shows head-of-line blocking: the message that the wire lost
//! and TCP sent again, and behind it those that had to wait for it. Where there
//! are more messages than cells, a cell stands for several and shows the worst
//! of them; the legend says so. Owns no figure.

use super::Row;
use crate::compare::{Message, State};
use crate::report::figure::{counted, grouped};
use crate::report::glyph;
use crate::report::line::Line;
use crate::report::style::{Paint, Style};
use crate::report::table;

/// What a cell shows, from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    Delivered,
    Waited,
    SentAgain,
    WaitedLate,
    Late,
    Duplicated,
    OutOfOrder,
    Lost,
    NotSent,
}

impl Mark {
    const ALL: [Self; 9] = [
        Self::Delivered,
        Self::Waited,
        Self::SentAgain,
        Self::WaitedLate,
        Self::Late,
        Self::Duplicated,
        Self::OutOfOrder,
        Self::Lost,
        Self::NotSent,
    ];

    fn of(message: &Message, is_stream: bool) -> Self {
        let waited = message.waited.is_some();
        let sent_again = is_stream
            && message
                .wire
                .is_some_and(|wire| wire.lost + wire.damaged > 0);
        match message.state() {
            State::Delivered if waited => Self::Waited,
            State::Delivered if sent_again => Self::SentAgain,
            State::Delivered => Self::Delivered,
            State::Late if waited => Self::WaitedLate,
            State::Late => Self::Late,
            State::Duplicated => Self::Duplicated,
            State::OutOfOrder => Self::OutOfOrder,
            State::Lost => Self::Lost,
            State::NotSent => Self::NotSent,
        }
    }

    fn sign(self) -> char {
        match self {
            Self::Delivered => '▇',
            Self::Waited => '▒',
            Self::SentAgain => '↻',
            Self::WaitedLate => '▓',
            Self::Late => 'L',
            Self::Duplicated => '2',
            Self::OutOfOrder => '⇅',
            Self::Lost => '✗',
            Self::NotSent => '·',
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Waited => "waited for an earlier one",
            Self::SentAgain => "lost on the way and sent again",
            Self::WaitedLate => "late: waited for an earlier one",
            Self::Late => "late",
            Self::Duplicated => "delivered twice or more",
            Self::OutOfOrder => "after a later one",
            Self::Lost => "lost",
            Self::NotSent => "not sent",
        }
    }

    fn paint(self) -> Paint {
        match self {
            Self::Delivered => Paint::Good,
            Self::Waited | Self::NotSent => Paint::Faint,
            Self::SentAgain => Paint::State,
            Self::WaitedLate | Self::Late | Self::Duplicated | Self::OutOfOrder => Paint::Warning,
            Self::Lost => Paint::Failure,
        }
    }
}

/// How the messages are laid out.
#[derive(Debug, Clone, Copy)]
struct Grid {
    /// Cells in a row.
    across: usize,
    /// Messages in a cell.
    each: usize,
    /// Messages that each kind was given, or was to be given.
    messages: usize,
}

/// All rows together are no more than these, so that a strip fits a screen.
const MOST_ROWS: usize = 15;

/// A row is as long as there is room for a multiple of this.
const TEN: usize = 10;

impl Grid {
    fn of(messages: usize, kinds: usize, room: usize) -> Self {
        let across = (room / TEN * TEN).max(TEN);
        let blocks = (MOST_ROWS / kinds.max(1)).clamp(1, 4);
        let least = messages.div_ceil(across * blocks).max(1);
        Self {
            across,
            each: round(least),
            messages,
        }
    }

    fn cells(self) -> usize {
        self.messages.div_ceil(self.each)
    }

    /// The cells of each block of rows.
    fn blocks(self) -> impl Iterator<Item = std::ops::Range<usize>> {
        let starts = (0..self.cells()).step_by(self.across);
        starts.map(move |start| start..(start + self.across).min(self.cells()))
    }
}

/// The next number of 1, 2, 5, 10, 20, 50, …
fn round(least: usize) -> usize {
    let mut scale: usize = 1;
    loop {
        for digit in [1, 2, 5] {
            let number = digit * scale;
            if number >= least {
                return number;
            }
        }
        match scale.checked_mul(10) {
            Some(more) => scale = more,
            None => return least,
        }
    }
}

/// The strip with its heading and legend; nothing where there are no messages.
pub(super) fn lines(rows: &[Row<'_>], messages: usize, style: &Style) -> Vec<Line> {
    let rows: Vec<&Row<'_>> = rows.iter().filter(|row| !row.messages.is_empty()).collect();
    if rows.is_empty() || messages == 0 {
        return Vec::new();
    }
    let gutter = super::gutter(rows.iter().copied());
    let grid = Grid::of(messages, rows.len(), style.columns() - gutter);
    let marks: Vec<Vec<Option<Mark>>> = rows.iter().map(|row| cells(row, grid)).collect();
    let mut lines = table::heading("What became of each message", style);
    for block in grid.blocks() {
        lines.push(ruler(&block, grid, gutter));
        for (row, marks) in rows.iter().zip(&marks) {
            let mut line = Line::of(Paint::Heading, row.variant.title());
            line.pad(gutter);
            for mark in &marks[block.clone()] {
                match mark {
                    Some(mark) => line.push(mark.paint(), &mark.sign().to_string()),
                    None => line.push(Paint::Plain, " "),
                }
            }
            lines.push(line);
        }
    }
    lines.extend(legend(&marks, grid, style));
    lines
}

/// The worst of each cell's messages; `None` where a kind has no such message.
fn cells(row: &Row<'_>, grid: Grid) -> Vec<Option<Mark>> {
    let mut cells = vec![None; grid.cells()];
    for message in row.messages {
        let index = (message.number as usize).saturating_sub(1) / grid.each;
        if let Some(cell) = cells.get_mut(index) {
            *cell = (*cell).max(Some(Mark::of(message, row.variant.is_stream())));
        }
    }
    cells
}

/// The number of the first message of every tenth cell.
fn ruler(block: &std::ops::Range<usize>, grid: Grid, gutter: usize) -> Line {
    let mut line = Line::of(Paint::Faint, "message");
    for cell in block.clone().step_by(TEN) {
        let label = grouped((cell * grid.each + 1) as u64);
        let column = gutter + cell - block.start;
        let fits = column + glyph::width(&label) <= gutter + grid.across;
        if fits && (line.width() < column || cell == block.start) {
            line.pad(column);
            line.push(Paint::Faint, &label);
        }
    }
    line
}

/// What the signs mean that were used, each painted as it was.
fn legend(marks: &[Vec<Option<Mark>>], grid: Grid, style: &Style) -> Vec<Line> {
    let is_used = |mark: &Mark| marks.iter().flatten().any(|cell| *cell == Some(*mark));
    let mut lines = vec![Line::default()];
    for mark in Mark::ALL.into_iter().filter(is_used) {
        let width = glyph::width(mark.meaning()) + 2;
        let last = lines.pop().unwrap_or_default();
        let (full, mut line) = match last.width() {
            0 => (None, last),
            used if used + 3 + width > style.columns() => (Some(last), Line::default()),
            _ => (None, last.with(Paint::Plain, "   ")),
        };
        lines.extend(full);
        line.push(mark.paint(), &mark.sign().to_string());
        line.push(Paint::Plain, " ");
        line.push(Paint::Plain, mark.meaning());
        lines.push(line);
    }
    if grid.each > 1 {
        let each = counted(grid.each as u64, "message");
        let text = format!("Each sign stands for {each} and shows the worst of them.");
        lines.extend(table::sentence(Paint::Plain, &text, style));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewest_round_messages_a_cell_that_fit() {
        for (messages, kinds, room, each) in [
            (0, 3, 62, 1),
            (100, 3, 62, 1),
            (240, 3, 62, 1),
            (241, 3, 62, 2),
            (10_000, 3, 62, 50),
            (100, 7, 62, 1),
            (121, 7, 62, 2),
        ] {
            let grid = Grid::of(messages, kinds, room);
            assert_eq!(
                (grid.across, grid.each),
                (60, each),
                "{messages} of {kinds}"
            );
        }
    }
}
