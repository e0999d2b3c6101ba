//! Rows in lines: gutter, lanes, rails, brackets, chapters and the heading.

use std::time::Duration;

use super::Options;
use super::layout::Layout;
use super::rows::{Bracket, Entry, Row, Side};
use crate::flow::Direction;
use crate::report::glyph;
use crate::report::line::Line;
use crate::report::style::Paint;

/// A time in the gutter: milliseconds.
pub(super) fn clock(time: Duration) -> String {
    let microseconds = time.as_micros();
    format!("{}.{:03}", microseconds / 1000, microseconds % 1000)
}

/// Sets entries in lines.
pub(super) struct Typesetter<'a> {
    pub(super) layout: Layout,
    pub(super) options: &'a Options,
    /// When the gutter's clock starts.
    pub(super) start: Duration,
    /// Whether any state is shown.
    pub(super) has_states: bool,
}

impl Typesetter<'_> {
    /// Who stands where.
    pub(super) fn heading(&self) -> Vec<Line> {
        let Layout {
            gutter, side, wire, ..
        } = self.layout;
        let mut hosts = self.gutter("ms", Paint::Faint);
        let [client, server] = self.options.hosts.each_ref().map(|host| {
            let mut line = Line::default();
            line.push_fit(Paint::Heading, &host.name, side - 1);
            if let Some(address) = host.address {
                let room = (side - 1).saturating_sub(line.width() + 1);
                line.push(Paint::Plain, " ");
                line.push_fit(Paint::Plain, &address.to_string(), room);
            }
            line
        });
        hosts.append(&client);
        hosts.pad(gutter + side);
        hosts.push(Paint::Faint, "│");
        let title = glyph::fit("the wire", wire);
        hosts.pad(hosts.width() + (wire - glyph::width(&title)) / 2);
        hosts.push(Paint::Heading, &title);
        hosts.pad(gutter + side + 1 + wire);
        hosts.push(Paint::Faint, "│");
        hosts.push(Paint::Plain, " ");
        hosts.append(&server);
        vec![hosts, self.lanes()]
    }

    /// What the lanes hold.
    fn lanes(&self) -> Line {
        let Layout {
            gutter, side, wire, ..
        } = self.layout;
        let mut line = self.gutter("", Paint::Faint);
        line.push(Paint::Faint, "calls");
        if self.has_states {
            line.pad(gutter + side - 1 - "state".len());
            line.push(Paint::Faint, "state");
        }
        line.pad(gutter + side);
        line.push(Paint::Faint, "│");
        line.pad(gutter + side + 1 + wire);
        line.push(Paint::Faint, "│ ");
        let indent = self.layout.indent;
        if self.has_states {
            line.push(Paint::Faint, "state");
            line.pad(gutter + side + wire + 3 + indent.max("state  ".len()));
        }
        line.push(Paint::Faint, "calls");
        line
    }

    /// The lines of a row or a chapter.
    pub(super) fn lines(&self, entry: &Entry<'_>) -> Vec<Line> {
        match entry {
            Entry::Chapter(text) => self.chapter(text),
            Entry::Row(row) => self.row(row),
            Entry::Omitted(count) => self.omitted(*count),
        }
    }

    /// In place of rows that are not drawn.
    fn omitted(&self, count: usize) -> Vec<Line> {
        let text = format!("… {count} more rows; --json and --pcap have every packet");
        let mut line = Line::default();
        line.pad(self.layout.gutter);
        line.push_fit(Paint::Faint, &text, self.columns() - self.layout.gutter);
        vec![line]
    }

    /// A sentence across all lanes.
    fn chapter(&self, text: &str) -> Vec<Line> {
        const RULE: usize = 2;
        let columns = self.columns();
        let room = columns - RULE - 2;
        let text = glyph::clean(text);
        let lines = glyph::wrap(&text, room);
        let last = lines.len() - 1;
        // A rule behind a sentence of several lines would only disturb it.
        let set = |(index, text): (usize, &String)| {
            let mut line = Line::default();
            line.fill(Paint::Faint, if index == 0 { '─' } else { ' ' }, RULE);
            line.push(Paint::Plain, " ");
            line.push(Paint::Heading, text);
            if last == 0 {
                line.push(Paint::Plain, " ");
                let rest = columns.saturating_sub(line.width());
                line.fill(Paint::Faint, '─', rest);
            }
            line
        };
        lines.iter().enumerate().map(set).collect()
    }

    fn row(&self, row: &Row) -> Vec<Line> {
        let [client, server] = &row.sides;
        let arrow = row
            .wire
            .as_ref()
            .map(|(arrow, direction)| (arrow, *direction));
        let height = [
            client.words.len(),
            server.words.len(),
            arrow.map_or(0, |(arrow, _)| arrow.rows.len()),
            1,
        ];
        let height = height.into_iter().max().unwrap_or(1);
        let set = |index: usize| {
            let first = index == 0;
            let time = if first {
                clock(row.at.saturating_sub(self.start))
            } else {
                String::new()
            };
            let mut line = self.gutter(&time, Paint::Faint);
            line.append(&self.client(client, index));
            let leaves = arrow
                .filter(|(arrow, _)| first && arrow.leaves)
                .map(|(_, direction)| direction);
            line.push(
                Paint::Faint,
                match leaves {
                    Some(Direction::ClientToServer) => "├",
                    _ => "│",
                },
            );
            let end = line.width() + self.layout.wire;
            if let Some(wire) = arrow.and_then(|(arrow, _)| arrow.rows.get(index)) {
                line.append(wire);
            }
            line.pad(end);
            line.push(
                Paint::Faint,
                match leaves {
                    Some(Direction::ServerToClient) => "┤",
                    _ => "│",
                },
            );
            line.append(&self.server(server, index));
            line
        };
        (0..height).map(set).collect()
    }

    /// Brackets, calls, and the state at the rail.
    fn client(&self, side: &Side, index: usize) -> Line {
        let width = self.layout.side;
        let mut line = Line::default();
        for column in 0..self.layout.brackets[0] {
            let [opens, closes] = ['┌', '└'];
            match corner(side, column, index, opens, closes) {
                Some(corner) => line.fill(Paint::Faint, corner, 1),
                None => line.fill(Paint::Plain, ' ', 1),
            }
        }
        line.pad(self.layout.bracket_columns(0));
        if let Some(words) = side.words.get(index) {
            line.append(words);
        }
        if let Some(state) = side.state.as_deref().filter(|_| index == 0) {
            let room = (width - 1).saturating_sub(line.width() + 1);
            let state = glyph::fit(state, room);
            line.pad(width - 1 - glyph::width(&state));
            line.push(Paint::State, &state);
        }
        line.pad(width);
        line
    }

    /// The state at the rail, calls, and brackets at the edge.
    fn server(&self, side: &Side, index: usize) -> Line {
        let width = self.layout.side;
        let brackets = self.layout.brackets[1];
        let inner = width - self.layout.bracket_columns(1);
        let mut line = Line::of(Paint::Plain, " ");
        if let Some(state) = side.state.as_deref().filter(|_| index == 0) {
            line.push_fit(Paint::State, state, inner - 1);
        }
        if let Some(words) = side.words.get(index) {
            line.pad(1 + self.layout.indent);
            line.append(words);
        }
        line.pad(width - brackets);
        for column in (0..brackets).rev() {
            let [opens, closes] = ['┐', '┘'];
            match corner(side, column, index, opens, closes) {
                Some(corner) => line.fill(Paint::Faint, corner, 1),
                None => line.fill(Paint::Plain, ' ', 1),
            }
        }
        line
    }

    fn gutter(&self, text: &str, paint: Paint) -> Line {
        let mut line = Line::default();
        line.pad((self.layout.gutter - 1).saturating_sub(text.len()));
        line.push(paint, text);
        line.pad(self.layout.gutter);
        line
    }

    fn columns(&self) -> usize {
        self.layout.gutter + 2 * self.layout.side + self.layout.wire + 2
    }
}

/// A bracket column's glyph in one line of a row.
fn corner(side: &Side, column: usize, index: usize, opens: char, closes: char) -> Option<char> {
    match (side.brackets[column], index) {
        (Bracket::Open, _) | (Bracket::Opens, 1..) => Some('│'),
        (Bracket::Opens, 0) => Some(opens),
        (Bracket::Closes, 0) => Some(closes),
        (Bracket::None | Bracket::Closes, _) => None,
    }
}
