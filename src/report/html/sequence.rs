//! The time-sequence graph of a TCP connection (after Stevens, and tcptrace's
//! `xplot`): each segment a bar from its first byte to its last, when it was
//! sent; what was sent again marked R, what the wire lost ✗; and the line of
//! what the client knew to have arrived.

use std::fmt::Write as _;

use super::Lane;
use super::accent;
use super::flow::Connection;
use super::markup::{Markup, Px};
use super::plot::{Panel, Picture, cross, words};
use super::ticks::{Scale, TimeUnit};
use crate::report::figure::{counted, duration, grouped};

/// The graph of each lane's connection that packets tell of.
pub(super) fn draw(out: &mut Markup, lanes: &[Lane<'_>], connections: &[Connection], cut: bool) {
    for lane in lanes.iter().filter(|lane| lane.variant.is_stream()) {
        let is_lanes = |one: &&Connection| lane.client.is_none_or(|client| client == one.client);
        if let Some(connection) = connections.iter().find(is_lanes) {
            graph(out, lane, connection, cut);
        }
    }
}

fn graph(out: &mut Markup, lane: &Lane<'_>, connection: &Connection, cut: bool) -> Option<()> {
    let (first, last) = connection.span()?;
    let unit = TimeUnit::for_up_to(last.saturating_sub(first));
    let panel = Panel {
        left: 64.0,
        top: 30.0,
        width: 990.0,
        height: 330.0,
        across: Scale::linear(0.0, unit.of(last.saturating_sub(first))),
        up: Scale::linear(0.0, connection.end().into()),
    };
    let picture = Picture {
        id: &format!("sequence-{}", lane.variant),
        title: &format!("Time and sequence: {}", lane.variant.title()),
        description: &description(connection, cut)?,
        width: 1080.0,
        height: 416.0,
    };
    let x = |at: std::time::Duration| panel.x(unit.of(at.saturating_sub(first)));
    picture.draw(out, |svg| {
        panel.axis_up(svg, "sequence number (bytes)");
        panel.axis_across(svg, &format!("time since the first packet ({})", unit.sign));
        svg.element("g", &[("class", &accent::class(lane.variant))], |drawn| {
            acknowledged(drawn, connection, &panel, x);
            segments(drawn, connection, &panel, x);
        });
        key(svg, lane);
    });
    Some(())
}

fn acknowledged(
    out: &mut Markup,
    connection: &Connection,
    panel: &Panel,
    x: impl Fn(std::time::Duration) -> f64,
) {
    let mut line = String::new();
    for (at, number) in &connection.acknowledged {
        let (x, y) = (Px(x(*at)), Px(panel.y(f64::from(*number))));
        let _ = if line.is_empty() {
            write!(line, "M{x} {y}")
        } else {
            write!(line, "H{x}V{y}")
        };
    }
    out.void("path", &[("d", &line), ("class", &"ack")]);
}

fn segments(
    out: &mut Markup,
    connection: &Connection,
    panel: &Panel,
    x: impl Fn(std::time::Duration) -> f64,
) {
    let (mut first, mut again, mut lost) = (String::new(), String::new(), String::new());
    let mut letters: Vec<(f64, f64)> = Vec::new();
    for segment in &connection.segments {
        let x = x(segment.at);
        let low = panel.y(segment.from.into());
        // A bar of one byte is seen too.
        let high = panel.y(segment.to.into()).min(low - 3.0);
        let bars = if segment.again {
            &mut again
        } else {
            &mut first
        };
        let _ = write!(bars, "M{} {}V{}", Px(x), Px(low), Px(high));
        if segment.lost {
            lost += &cross(x, low.midpoint(high), 4.0);
        }
        let is_free = |(other_x, other_y): &(f64, f64)| {
            (other_x - x).abs() > 9.0 || (other_y - high).abs() > 11.0
        };
        if segment.again && letters.iter().rev().take(40).all(is_free) {
            letters.push((x, high));
        }
    }
    out.void("path", &[("d", &first), ("class", &"segment")]);
    out.void("path", &[("d", &again), ("class", &"segment again")]);
    out.void("path", &[("d", &lost), ("class", &"lost")]);
    for (x, y) in letters {
        words(out, "letter", (x, y - 4.0), "R");
    }
}

/// What the signs mean.
fn key(out: &mut Markup, lane: &Lane<'_>) {
    let (y, sign) = (13.0, 17.0);
    out.element("g", &[("class", &accent::class(lane.variant))], |key| {
        key.void("path", &[("d", &"M400 6V20"), ("class", &"segment")]);
        words(key, "label", (410.0, sign), "a segment sent");
        key.void("path", &[("d", &"M530 6V20"), ("class", &"segment again")]);
        words(key, "letter", (540.0, sign), "R");
        words(key, "label", (550.0, sign), "sent again");
        key.void("path", &[("d", &cross(660.0, y, 4.0)), ("class", &"lost")]);
        words(key, "label", (672.0, sign), "lost on the wire");
        key.void("path", &[("d", &"M800 13H826"), ("class", &"ack")]);
        words(
            key,
            "label",
            (834.0, sign),
            "acknowledged, as the client learned it",
        );
    });
}

fn description(connection: &Connection, cut: bool) -> Option<String> {
    let (first, last) = connection.span()?;
    let mut text = format!(
        "{} with {} bytes in {}; {} sent again (R), {} lost on the wire (✗).",
        counted(connection.segments.len() as u64, "segment"),
        grouped(connection.end().into()),
        duration(last.saturating_sub(first)),
        grouped(connection.repeats() as u64),
        grouped(connection.losses() as u64),
    );
    if cut {
        text += " Cut where the record of packets ends.";
    }
    Some(text)
}
