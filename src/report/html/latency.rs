//! How long each message took, over the time of its sending: one panel a kind
//! of socket, all on the same axes, and what never came as a cross.

use std::fmt::Write as _;
use std::time::Duration;

use super::accent;
use super::markup::Markup;
use super::plot::{Panel, Picture, cross, words};
use super::ticks::{Scale, TimeUnit, number, typical};
use super::{Lane, caption};
use crate::compare::Message;
use crate::report::figure::duration;

/// More points than these are thinned, the longest and the shortest kept.
const MOST_POINTS: usize = 2_000;

const LEFT: f64 = 64.0;
const WIDTH: f64 = 990.0;
const HEIGHT: f64 = 116.0;
const STEP: f64 = HEIGHT + 34.0;

/// When something was sent, and how long it took.
type Point = (Duration, Duration);

/// The panels; nothing where nothing arrived.
pub(super) fn draw(out: &mut Markup, lanes: &[Lane<'_>]) {
    let Some(axes) = Axes::of(lanes) else {
        return;
    };
    let picture = Picture {
        id: "latency",
        title: "Latency over time",
        description: &description(lanes),
        width: LEFT + WIDTH + 26.0,
        height: number(lanes.len()) * STEP + 46.0,
    };
    picture.draw(out, |svg| {
        for (index, lane) in lanes.iter().enumerate() {
            let panel = axes.panel(26.0 + number(index) * STEP);
            panel_of(svg, lane, &panel, &axes);
            if index + 1 == lanes.len() {
                panel.axis_across(svg, &format!("time of sending ({})", axes.across.sign));
            } else {
                panel.foot(svg);
            }
        }
    });
}

fn panel_of(svg: &mut Markup, lane: &Lane<'_>, panel: &Panel, axes: &Axes) {
    let log = if panel.up.is_log() { ", log" } else { "" };
    panel.axis_up(svg, &format!("latency ({}{log})", axes.up.sign));
    let mut marks = String::new();
    for (sent, took) in thinned(lane.messages) {
        let (x, y) = (panel.x(axes.across.of(sent)), panel.y(axes.up.of(took)));
        marks += &accent::marker(lane.variant, x, y, 2.8);
    }
    let class = format!("{} point", accent::marks(lane.variant));
    svg.void("path", &[("d", &marks), ("class", &class)]);
    let mut lost = String::new();
    for sent in lane.messages.iter().filter_map(never_came) {
        lost += &cross(panel.x(axes.across.of(sent)), panel.top + 6.0, 3.5);
    }
    svg.void("path", &[("d", &lost), ("class", &"lost")]);
    let name = accent::marker(lane.variant, panel.right() - 130.0, panel.top - 13.0, 4.5);
    svg.void(
        "path",
        &[("d", &name), ("class", &accent::marks(lane.variant))],
    );
    let at = (panel.right() - 119.0, panel.top - 8.5);
    words(svg, "label", at, lane.variant.title());
}

/// The axes that all panels share.
struct Axes {
    across: TimeUnit,
    up: TimeUnit,
    x: Scale,
    y: Scale,
}

impl Axes {
    fn of(lanes: &[Lane<'_>]) -> Option<Self> {
        let messages = || lanes.iter().flat_map(|lane| lane.messages);
        let latencies = || messages().filter_map(Message::latency);
        let (least, most) = (latencies().min()?, latencies().max()?);
        let sent = || messages().filter_map(|message| message.sent_at);
        let each = |lane: &Lane<'_>| lane.messages.iter().filter_map(Message::latency).collect();
        let typical = typical(lanes.iter().map(each))?;
        let (begin, end) = (sent().min()?, sent().max()?);
        let (across, up) = (TimeUnit::for_up_to(end), TimeUnit::for_up_to(most));
        Some(Self {
            across,
            up,
            x: Scale::Linear {
                from: across.of(begin),
                to: across.of(end.max(begin + Duration::from_nanos(1))),
            },
            y: Scale::of_spread(up.of(least), up.of(typical), up.of(most)),
        })
    }

    fn panel(&self, top: f64) -> Panel {
        Panel {
            left: LEFT,
            top,
            width: WIDTH,
            height: HEIGHT,
            across: self.x,
            up: self.y,
        }
    }
}

/// When a message was sent that never came.
fn never_came(message: &Message) -> Option<Duration> {
    message.sent_at.filter(|_| message.received_at.is_none())
}

/// The points to draw: all, or of each group the shortest and the longest.
fn thinned(messages: &[Message]) -> Vec<Point> {
    let points: Vec<Point> = messages
        .iter()
        .filter_map(|message| Some((message.sent_at?, message.latency()?)))
        .collect();
    let each = points.len().div_ceil(MOST_POINTS / 2);
    if points.len() <= MOST_POINTS {
        return points;
    }
    let ends = |group: &[Point]| {
        let took = |point: &&Point| point.1;
        let (least, most) = (group.iter().min_by_key(took), group.iter().max_by_key(took));
        [least.copied(), most.copied()]
    };
    points.chunks(each).flat_map(ends).flatten().collect()
}

fn description(lanes: &[Lane<'_>]) -> String {
    let told = lanes.iter().map(|lane| {
        let latencies = || lane.messages.iter().filter_map(Message::latency);
        let mut text = match (latencies().min(), latencies().max()) {
            (Some(least), Some(most)) => {
                let (least, most) = (duration(least), duration(most));
                format!("{}: {least} to {most}", lane.variant)
            }
            _ => format!("{}: nothing arrived", lane.variant),
        };
        let lost = lane.messages.iter().filter_map(never_came).count();
        if lost > 0 {
            let _ = write!(text, ", {lost} never came (✗ at the top)");
        }
        text
    });
    let most = lanes.iter().map(|lane| lane.messages.len()).max();
    let mut text = caption("From the sender's call to the receiver's return.", told);
    if most.is_some_and(|most| most > MOST_POINTS) {
        text += " Of every few messages the shortest and the longest are drawn.";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: u32, took: Option<u64>) -> Message {
        let sent_at = Duration::from_millis(number.into());
        Message {
            number,
            size: 100,
            due_at: sent_at,
            sent_at: Some(sent_at),
            received_at: took.map(|took| sent_at + Duration::from_micros(took)),
            arrivals: u16::from(took.is_some()),
            out_of_order: false,
            late: false,
            waited: None,
            wire: None,
        }
    }

    #[test]
    fn thinning_keeps_the_extremes() {
        let mut messages: Vec<Message> = (1..=10_000).map(|n| message(n, Some(500))).collect();
        messages[4_321] = message(4_322, Some(90_000));
        messages[7_000] = message(7_001, Some(3));
        let points = thinned(&messages);
        assert!(points.len() <= MOST_POINTS, "{}", points.len());
        let took: Vec<Duration> = points.iter().map(|point| point.1).collect();
        assert_eq!(took.iter().max(), Some(&Duration::from_millis(90)));
        assert_eq!(took.iter().min(), Some(&Duration::from_micros(3)));
    }

    #[test]
    fn nothing_that_arrived_is_no_drawing() {
        let messages = [message(1, None)];
        let lane = Lane {
            variant: crate::compare::Variant::Udp,
            client: None,
            messages: &messages,
        };
        let mut out = Markup::default();
        draw(&mut out, &[lane]);
        assert_eq!(out.into_text(), "");
        assert_eq!(never_came(&messages[0]), Some(Duration::from_millis(1)));
    }
}
