//! One moment of a run, drawn: a title, the plot, a row of losses, the time, and
//! a legend with each host's figures.
//!
//! Draws into a buffer of cells and nowhere else. Colour never stands alone: each
//! host has a mark of its own, in ASCII too.

use std::time::Duration;

use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::{Color, Modifier, Style as Cells};

use super::plot;
use super::{HostView, View};
use crate::packet::Charset;
use crate::report::Style;
use crate::report::figure::{counted, duration, percent};
use crate::report::glyph;

/// A host's mark in Unicode, in ASCII, and its colour. Red is for losses.
pub(super) const MARKS: [(char, char, Color); 8] = [
    ('●', 'o', Color::Cyan),
    ('▲', '^', Color::Yellow),
    ('■', '#', Color::Green),
    ('◆', '*', Color::Magenta),
    ('○', '%', Color::Blue),
    ('△', 'A', Color::LightYellow),
    ('□', '=', Color::LightGreen),
    ('◇', '&', Color::LightMagenta),
];

/// Less than that shows nothing that could be read.
const LEAST: (u16, u16) = (40, 10);
/// Columns of a figure in the legend, and how many there are.
const FIGURE: u16 = 8;
const HEAD: [&str; 7] = ["last", "min", "avg", "p95", "max", "jitter", "loss"];
/// The fewest and the most columns of a name.
const NAME: (u16, u16) = (12, 40);

/// Where and how to draw.
pub(super) struct Canvas<'b> {
    pub(super) buffer: &'b mut Buffer,
    pub(super) style: Style,
}

/// Draws `view` into `area`.
pub fn draw(view: &View, is_paused: bool, style: Style, area: Rect, buffer: &mut Buffer) {
    let mut canvas = Canvas { buffer, style };
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let (columns, rows) = LEAST;
        let text = format!("the graph needs {columns} × {rows}; q ends");
        canvas.text((area.x, area.y), &text, area.width, Cells::new());
        return;
    }
    let most = (area.height / 3).max(1);
    let hosts = u16::try_from(view.hosts.len()).unwrap_or(u16::MAX);
    let unlisted = usize::from(hosts.saturating_sub(most)) + view.not_shown;
    let listed = hosts.min(most);
    title(&mut canvas, view, is_paused, area);
    let below = listed + 1 + u16::from(unlisted > 0);
    let plotted = Rect {
        y: area.y + 1,
        height: area.height - 1 - below,
        ..area
    };
    plot::draw(&mut canvas, view, plotted);
    let table = Rect {
        y: plotted.bottom(),
        height: below,
        ..area
    };
    legend(&mut canvas, view, usize::from(listed), table);
    if unlisted > 0 {
        let text = format!("and {} more", counted(unlisted as u64, "host"));
        let at = (area.x + 2, area.bottom() - 1);
        canvas.text(at, &text, area.width, canvas.faint());
    }
}

fn title(canvas: &mut Canvas<'_>, view: &View, is_paused: bool, area: Rect) {
    let state = if is_paused { "paused" } else { "space pauses" };
    let keys = format!("{state}, q ends");
    let hosts = match &view.hosts[..] {
        [] => "waiting".to_owned(),
        [host] => host.name.clone(),
        hosts => counted((hosts.len() + view.not_shown) as u64, "host"),
    };
    let room = area
        .width
        .saturating_sub(u16::try_from(keys.len()).unwrap_or(0) + 1);
    let text = format!("round trips to {hosts}, last {}", span(view.window));
    canvas.text((area.x, area.y), &text, room, canvas.strong());
    let paint = if is_paused {
        canvas.strong()
    } else {
        canvas.faint()
    };
    canvas.text((area.x + room + 1, area.y), &keys, area.width, paint);
}

fn legend(canvas: &mut Canvas<'_>, view: &View, listed: usize, area: Rect) {
    let figures_width = FIGURE * 7 + 2;
    let name = area
        .width
        .saturating_sub(figures_width)
        .clamp(NAME.0, NAME.1);
    let start = area.x + 2 + name;
    for (column, name) in (0..).zip(HEAD) {
        let at = (start + column * FIGURE, area.y);
        let faint = canvas.faint();
        canvas.right(at, name, area, faint);
    }
    for (index, host) in view.hosts.iter().take(listed).enumerate() {
        let y = area.y + 1 + u16::try_from(index).unwrap_or(u16::MAX);
        let (mark, paint) = canvas.mark(index);
        canvas.text((area.x, y), &mark.to_string(), 1, paint);
        canvas.text((area.x + 2, y), &host.name, name - 1, canvas.strong());
        if let Some(reason) = &host.unresolved {
            let room = area.right().saturating_sub(start);
            canvas.text((start, y), reason, room, canvas.loss());
            continue;
        }
        for (column, text) in (0..).zip(figures(host)) {
            let is_loss = column == 6 && host.lost.0 > 0;
            let paint = if is_loss { canvas.loss() } else { Cells::new() };
            canvas.right((start + column * FIGURE, y), &text, area, paint);
        }
    }
}

fn figures(host: &HostView) -> [String; 7] {
    let shown = |time: Option<Duration>| time.map_or_else(|| "–".to_owned(), duration);
    let (lost, settled) = host.lost;
    [
        shown(host.last),
        shown(host.extremes.map(|(min, _)| min)),
        shown(host.average),
        shown(host.p95),
        shown(host.extremes.map(|(_, max)| max)),
        shown(host.jitter),
        percent(lost, settled),
    ]
}

/// A round span in as few characters as it takes.
pub(super) fn span(time: Duration) -> String {
    match (time.as_secs(), time.subsec_millis() / 100) {
        (seconds, 0) if seconds > 0 && seconds % 60 == 0 => format!("{} min", seconds / 60),
        (seconds, 0) => format!("{seconds} s"),
        (seconds, tenths) => format!("{seconds}.{tenths} s"),
    }
}

impl Canvas<'_> {
    /// Writes as much of the text as fits into `room` columns.
    pub(super) fn text(&mut self, (x, y): (u16, u16), text: &str, room: u16, paint: Cells) {
        let text = glyph::clean(text);
        let text = glyph::fit(&text, room.into());
        let text = match self.style.charset {
            Charset::Unicode => text,
            Charset::Ascii => glyph::ascii(&text).into_owned().into(),
        };
        if self.buffer.area.contains((x, y).into()) {
            self.buffer.set_stringn(x, y, text, room.into(), paint);
        }
    }

    /// A figure that ends where its column ends.
    fn right(&mut self, (x, y): (u16, u16), text: &str, area: Rect, paint: Cells) {
        let width = u16::try_from(glyph::width(text)).unwrap_or(FIGURE);
        if x + FIGURE <= area.right() {
            self.text((x + FIGURE.saturating_sub(width), y), text, width, paint);
        }
    }

    /// The mark of the host at this place among those shown, and its colour.
    pub(super) fn mark(&self, index: usize) -> (char, Cells) {
        let (unicode, ascii, colour) = MARKS[index % MARKS.len()];
        let mark = match self.style.charset {
            Charset::Unicode => unicode,
            Charset::Ascii => ascii,
        };
        (mark, self.paint(Cells::new().fg(colour)))
    }

    pub(super) fn loss(&self) -> Cells {
        self.paint(Cells::new().fg(Color::Red).add_modifier(Modifier::BOLD))
    }

    pub(super) fn faint(&self) -> Cells {
        self.paint(Cells::new().add_modifier(Modifier::DIM))
    }

    pub(super) fn strong(&self) -> Cells {
        self.paint(Cells::new().add_modifier(Modifier::BOLD))
    }

    fn paint(&self, cells: Cells) -> Cells {
        if self.style.colour {
            cells
        } else {
            Cells::new()
        }
    }
}
