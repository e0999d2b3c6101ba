//! How many of the messages had arrived after how long: a step curve for each
//! kind of socket. What never came keeps its curve below the whole.

use std::fmt::Write as _;
use std::time::Duration;

use super::accent;
use super::markup::{Markup, Px};
use super::plot::{Panel, Picture, words};
use super::ticks::{Scale, TimeUnit, number, typical};
use super::{Lane, caption};
use crate::compare::Message;
use crate::report::figure::{duration, percent};

/// More steps than these cannot be seen.
const MOST_STEPS: usize = 400;

/// The curves; nothing where nothing arrived.
pub(super) fn draw(out: &mut Markup, lanes: &[Lane<'_>]) {
    let curves: Vec<Curve<'_>> = lanes.iter().map(Curve::of).collect();
    let least = curves.iter().filter_map(|curve| curve.sorted.first()).min();
    let most = curves.iter().filter_map(|curve| curve.sorted.last()).max();
    let typical = typical(curves.iter().map(|curve| curve.sorted.clone()));
    let (Some(least), Some(typical), Some(most)) = (least, typical, most) else {
        return;
    };
    let unit = TimeUnit::for_up_to(*most);
    let panel = Panel {
        left: 64.0,
        top: 30.0,
        width: 990.0 - 150.0,
        height: 260.0,
        across: Scale::of_spread(unit.of(*least), unit.of(typical), unit.of(*most)),
        up: Scale::Linear {
            from: 0.0,
            to: 100.0,
        },
    };
    let told = curves.iter().map(Curve::told);
    let start = "The share of all messages sent that had arrived after so long.";
    let picture = Picture {
        id: "distribution",
        title: "Latency, how many within how long",
        description: &caption(start, told),
        width: 1080.0,
        height: 346.0,
    };
    picture.draw(out, |svg| {
        panel.axis_up(svg, "arrived (% of the messages sent)");
        let log = if panel.across.is_log() { ", log" } else { "" };
        panel.axis_across(svg, &format!("latency ({}{log})", unit.sign));
        let mut labels = Vec::new();
        for curve in &curves {
            labels.extend(curve.draw(svg, &panel, unit));
        }
        label(svg, labels, &panel);
    });
}

/// One kind's latencies, the shortest first, and how many messages there were.
struct Curve<'a> {
    lane: &'a Lane<'a>,
    sorted: Vec<Duration>,
    sent: usize,
}

impl<'a> Curve<'a> {
    fn of(lane: &'a Lane<'a>) -> Self {
        let latencies = lane.messages.iter().filter_map(Message::latency);
        let mut sorted: Vec<Duration> = latencies.collect();
        sorted.sort_unstable();
        let was_sent = |message: &&Message| message.sent_at.is_some();
        Self {
            lane,
            sorted,
            sent: lane.messages.iter().filter(was_sent).count(),
        }
    }

    /// The nearest rank (RFC 2330 section 11.3).
    fn percentile(&self, percent: usize) -> Option<Duration> {
        let rank = (self.sorted.len() * percent).div_ceil(100).max(1);
        self.sorted.get(rank - 1).copied()
    }

    fn told(&self) -> String {
        let name = self.lane.variant;
        let (Some(half), Some(most)) = (self.percentile(50), self.percentile(99)) else {
            return format!("{name}: nothing arrived");
        };
        let (half, most) = (duration(half), duration(most));
        let share = percent(self.sorted.len() as u64, self.sent as u64);
        format!(
            "{name}: half of those that arrived within {half}, 99 % within {most}; {share} arrived"
        )
    }

    /// Draws the curve; where it ends, and how it is called there.
    fn draw(&self, svg: &mut Markup, panel: &Panel, unit: TimeUnit) -> Option<Label<'a>> {
        let share = |count: usize| number(count) * 100.0 / number(self.sent.max(1));
        let first = self.sorted.first()?;
        let mut line = format!("M{} {}", Px(panel.x(unit.of(*first))), Px(panel.bottom()));
        let each = self.sorted.len().div_ceil(MOST_STEPS);
        for (index, group) in self.sorted.chunks(each).enumerate() {
            let count = index * each + group.len();
            let latency = group.last()?;
            let (x, y) = (panel.x(unit.of(*latency)), panel.y(share(count)));
            let _ = write!(line, "H{}V{}", Px(x), Px(y));
        }
        let y = panel.y(share(self.sorted.len()));
        let _ = write!(line, "H{}", Px(panel.right()));
        let variant = self.lane.variant;
        let class = format!("{} line", accent::class(variant));
        let dashes = accent::dashes(variant);
        svg.void(
            "path",
            &[
                ("d", &line),
                ("class", &class),
                ("stroke-dasharray", &dashes),
            ],
        );
        Some((
            y,
            self.lane,
            format!(
                "{} {}",
                variant.title(),
                percent(self.sorted.len() as u64, self.sent as u64)
            ),
        ))
    }
}

/// Where a curve ends, whose it is, and its name.
type Label<'a> = (f64, &'a Lane<'a>, String);

/// The curves' names at their ends, none over another.
fn label(svg: &mut Markup, mut labels: Vec<Label<'_>>, panel: &Panel) {
    labels.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut free = 0.0_f64;
    for (y, lane, text) in labels {
        let y = y.max(free);
        free = y + 18.0;
        let x = panel.right() + 14.0;
        let marker = accent::marker(lane.variant, x, y, 4.5);
        svg.void(
            "path",
            &[("d", &marker), ("class", &accent::marks(lane.variant))],
        );
        words(svg, "label", (x + 11.0, y + 4.5), &text);
    }
}
