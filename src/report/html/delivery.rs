//! The delivery strips: one cell a message, one row a kind of socket, the same
//! message of all kinds under one another. A cell's sign says what its colour
//! says.

use std::fmt::Write as _;

use super::accent;
use super::markup::{Attribute, Markup, Px};
use super::plot::{Picture, words};
use super::ticks::number;
use super::{Lane, caption};
use crate::compare::{Message, OnWire, State, Variant};
use crate::report::figure::{counted, duration, percent};

/// Cells in a row.
const ACROSS: usize = 50;

/// More messages than these share cells.
const MOST_CELLS: usize = 500;

const GUTTER: f64 = 150.0;
const STEP: f64 = 18.4;
const SIDE: f64 = 16.0;
const ROW: f64 = 19.0;
/// Between a block's rows and the next block's, room for the numbers included.
const GAP: f64 = 26.0;
const LEGEND: f64 = 34.0;

/// What a cell shows, from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cell {
    Delivered,
    Waited,
    Again,
    Late,
    Duplicated,
    OutOfOrder,
    NotSent,
    Lost,
}

impl Cell {
    const ALL: [Self; 8] = [
        Self::Delivered,
        Self::Waited,
        Self::Again,
        Self::Late,
        Self::Duplicated,
        Self::OutOfOrder,
        Self::NotSent,
        Self::Lost,
    ];

    fn of(variant: Variant, message: &Message) -> Self {
        let harmed = |wire: OnWire| wire.lost + wire.damaged > 0;
        let is_again = variant.is_stream() && message.wire.is_some_and(harmed);
        match message.state() {
            State::Delivered if message.waited.is_some() => Self::Waited,
            State::Delivered if is_again => Self::Again,
            State::Delivered => Self::Delivered,
            State::Late => Self::Late,
            State::Duplicated => Self::Duplicated,
            State::OutOfOrder => Self::OutOfOrder,
            State::NotSent => Self::NotSent,
            State::Lost => Self::Lost,
        }
    }

    /// The sign, none for the plainest.
    fn sign(self) -> &'static str {
        match self {
            Self::Delivered | Self::Waited => "",
            Self::Again => "R",
            Self::Late => "L",
            Self::Duplicated => "2",
            Self::OutOfOrder => "↷",
            Self::NotSent => "–",
            Self::Lost => "✗",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Waited => "waited for an earlier one",
            Self::Again => "lost on the way and sent again",
            Self::Late => "late",
            Self::Duplicated => "duplicated",
            Self::OutOfOrder => "out of order",
            Self::NotSent => "not sent",
            Self::Lost => "lost",
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Delivered => "cell full",
            Self::Waited => "cell half",
            Self::Again | Self::Late | Self::Duplicated | Self::OutOfOrder => "cell odd",
            Self::NotSent | Self::Lost => "cell gone",
        }
    }

    fn id(self) -> &'static str {
        match self {
            Self::Delivered => "cell-delivered",
            Self::Waited => "cell-waited",
            Self::Again => "cell-again",
            Self::Late => "cell-late",
            Self::Duplicated => "cell-duplicated",
            Self::OutOfOrder => "cell-out-of-order",
            Self::NotSent => "cell-not-sent",
            Self::Lost => "cell-lost",
        }
    }
}

/// Draws the strips; nothing where there are no messages.
pub(super) fn draw(out: &mut Markup, lanes: &[Lane<'_>]) {
    let count = lanes.iter().map(|lane| lane.messages.len()).max();
    let Some(count) = count.filter(|count| *count > 0) else {
        return;
    };
    let each = count.div_ceil(MOST_CELLS);
    let blocks = count.div_ceil(each).div_ceil(ACROSS);
    let block = number(lanes.len()) * ROW + GAP;
    let picture = Picture {
        id: "delivery",
        title: "What became of each message",
        description: &description(lanes, each),
        width: GUTTER + number(ACROSS) * STEP + 4.0,
        height: LEGEND + number(blocks) * block,
    };
    picture.draw(out, |svg| {
        define(svg);
        legend(svg);
        for (index, lane) in lanes.iter().enumerate() {
            svg.element("g", &[("class", &accent::class(lane.variant))], |row| {
                strip(row, lane, each, |place| {
                    let (line, column) = (place / ACROSS, place % ACROSS);
                    let y = LEGEND + number(line) * block + number(index) * ROW + 14.0;
                    (GUTTER + number(column) * STEP, y)
                });
            });
        }
        for line in 0..blocks {
            let y = LEGEND + number(line) * block;
            numbers(svg, line * ACROSS * each, each, count, y + 9.0);
            for (index, lane) in lanes.iter().enumerate() {
                let y = y + number(index) * ROW + 14.0;
                let at = (20.0, y + 12.5);
                let marker = accent::marker(lane.variant, 8.0, y + 8.0, 5.0);
                svg.void(
                    "path",
                    &[("d", &marker), ("class", &accent::marks(lane.variant))],
                );
                words(svg, "label", at, lane.variant.title());
            }
        }
    });
}

/// The cells, drawn once and used many times.
fn define(out: &mut Markup) {
    out.element("defs", &[], |defs| {
        for cell in Cell::ALL {
            defs.element("g", &[("id", &cell.id())], |g| {
                let (all, class) = (Px(SIDE), cell.class());
                let square: [Attribute<'_>; 4] = [
                    ("width", &all),
                    ("height", &all),
                    ("rx", &3),
                    ("class", &class),
                ];
                g.void("rect", &square);
                if cell == Cell::Waited {
                    let half = format!(
                        "M0 {0}H{SIDE}V13a3 3 0 0 1 -3 3H3a3 3 0 0 1 -3 -3Z",
                        SIDE / 2.0
                    );
                    g.void("path", &[("d", &half), ("class", &"cell full")]);
                }
                words(g, "sign", (SIDE / 2.0, SIDE / 2.0 + 4.0), cell.sign());
            });
        }
    });
}

fn legend(out: &mut Markup) {
    let mut x = 0.0;
    for cell in Cell::ALL {
        let href = format!("#{}", cell.id());
        out.void(
            "use",
            &[("href", &href), ("x", &Px(x)), ("class", &"k-plain")],
        );
        words(out, "label", (x + 22.0, 12.5), cell.name());
        x += 42.0 + 6.4 * number(cell.name().chars().count());
    }
}

/// The numbers of a block's first and last message.
fn numbers(out: &mut Markup, before: usize, each: usize, count: usize, y: f64) {
    let last = (before + ACROSS * each).min(count);
    let text = format!("messages {} to {last}", before + 1);
    words(out, "tick", (GUTTER, y), &text);
}

fn strip(out: &mut Markup, lane: &Lane<'_>, each: usize, at: impl Fn(usize) -> (f64, f64)) {
    for (place, together) in lane.messages.chunks(each).enumerate() {
        let worst = together
            .iter()
            .max_by_key(|message| Cell::of(lane.variant, message));
        let Some(worst) = worst else { continue };
        let (x, y) = at(place);
        let href = format!("#{}", Cell::of(lane.variant, worst).id());
        out.element(
            "use",
            &[("href", &href), ("x", &Px(x)), ("y", &Px(y))],
            |cell| {
                cell.leaf("title", &[], story(lane, worst));
            },
        );
    }
}

/// One message's story, for whoever points at its cell.
fn story(lane: &Lane<'_>, message: &Message) -> String {
    let (number, name) = (message.number, Cell::of(lane.variant, message).name());
    let mut text = format!("{}, message {number}: {name}", lane.variant);
    if let Some(latency) = message.latency() {
        let _ = write!(text, ", after {}", duration(latency));
    }
    if let Some(waited) = message.waited {
        let _ = write!(text, ", waited {}", duration(waited));
    }
    if message.arrivals > 1 {
        let _ = write!(text, ", arrived {} times", message.arrivals);
    }
    text
}

fn description(lanes: &[Lane<'_>], each: usize) -> String {
    let told = lanes.iter().map(|lane| {
        let counts = Cell::ALL.map(|cell| {
            let is_it = |message: &&Message| Cell::of(lane.variant, message) == cell;
            (cell, lane.messages.iter().filter(is_it).count())
        });
        let all = lane.messages.len() as u64;
        let said = counts.iter().filter(|(_, count)| *count > 0);
        let said: Vec<String> = said
            .map(|(cell, count)| {
                let share = percent(*count as u64, all);
                format!("{count} {} ({share})", cell.name())
            })
            .collect();
        format!("{}: {}", lane.variant, said.join(", "))
    });
    let mut text = caption("One cell a message, in the order of sending.", told);
    if each > 1 {
        let messages = counted(each as u64, "message");
        let _ = write!(
            text,
            " Each cell stands for {messages} and shows the worst of them."
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn messages(count: u32, lost: &[u32]) -> Vec<Message> {
        let message = |number| {
            let sent_at = Duration::from_millis(u64::from(number));
            let is_lost = lost.contains(&number);
            Message {
                number,
                size: 100,
                due_at: sent_at,
                sent_at: Some(sent_at),
                received_at: (!is_lost).then_some(sent_at),
                arrivals: u16::from(!is_lost),
                out_of_order: false,
                late: false,
                waited: None,
                wire: None,
            }
        };
        (1..=count).map(message).collect()
    }

    fn drawn(messages: &[Message]) -> String {
        let lane = Lane {
            variant: Variant::Udp,
            client: None,
            messages,
        };
        let mut out = Markup::default();
        draw(&mut out, &[lane]);
        out.into_text()
    }

    #[test]
    fn a_cell_of_several_messages_shows_the_worst() {
        let text = drawn(&messages(1500, &[7, 8, 700]));
        let cells = |id: &str| text.matches(&format!("href=\"#{id}\"")).count();
        // One of each in the legend; 7, 8 and 700 are in three groups of three.
        assert_eq!(cells("cell-lost"), 1 + 2, "7, 8 and 9 share one");
        assert_eq!(cells("cell-delivered"), 1 + 498);
        assert!(text.contains("Each cell stands for 3 messages"));
        assert!(
            text.contains("1497 delivered (99.8 %), 3 lost (0.20 %)"),
            "{text:.900}"
        );
    }

    #[test]
    fn every_message_has_a_cell_that_tells_its_story() {
        let text = drawn(&messages(3, &[2]));
        assert!(text.contains("<title>udp, message 2: lost</title>"));
        assert!(text.contains("<title>udp, message 3: delivered, after 0.00 µs</title>"));
        assert_eq!(drawn(&[]), "");
    }
}
