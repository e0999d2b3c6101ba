//! How a TCP sender got on, from its kernel's own figures: congestion window,
//! slow-start threshold and segments in flight over time; the round trip; and
//! a strip of what held it back.

use std::fmt::Write as _;
use std::time::Duration;

use super::Lane;
use super::accent;
use super::markup::{Attribute, Markup, Px};
use super::plot::{Panel, Picture, words};
use super::ticks::{Scale, TimeUnit};
use crate::event::{Event, Limit, Place, Sample, What};
use crate::report::figure::{counted, duration, percent};

const LEFT: f64 = 64.0;
const WIDTH: f64 = 990.0;

/// Fewer samples are no course.
const LEAST: usize = 3;

/// The course of each lane's sender that samples tell of.
pub(super) fn draw(out: &mut Markup, lanes: &[Lane<'_>], events: &[Event<'_>]) {
    for lane in lanes.iter().filter(|lane| lane.variant.is_stream()) {
        let course = Course::of(lane, events);
        if course.0.len() >= LEAST {
            course.draw(out, lane);
        }
    }
}

/// One sender's samples.
struct Course(Vec<(Duration, Sample)>);

impl Course {
    fn of(lane: &Lane<'_>, events: &[Event<'_>]) -> Self {
        let samples = events.iter().filter_map(|event| match &event.what {
            What::Sample(sample)
                if event.host == Place::Client
                    && lane
                        .client
                        .is_none_or(|client| client == sample.connection.local) =>
            {
                Some((event.at, *sample))
            }
            _ => None,
        });
        Self(samples.collect())
    }

    fn start(&self) -> Duration {
        self.0.first().map_or(Duration::ZERO, |(at, _)| *at)
    }

    fn span(&self) -> Duration {
        let end = self.0.last().map_or(Duration::ZERO, |(at, _)| *at);
        end.saturating_sub(self.start())
    }

    fn draw(&self, out: &mut Markup, lane: &Lane<'_>) {
        let unit = TimeUnit::for_up_to(self.span());
        let panel = |top: f64, height: f64, most: f64| Panel {
            left: LEFT,
            top,
            width: WIDTH,
            height,
            across: Scale::linear(0.0, unit.of(self.span())),
            up: Scale::linear(0.0, most),
        };
        let picture = Picture {
            id: &format!("window-{}", lane.variant),
            title: &format!("How the sender got on: {}", lane.variant.title()),
            description: &self.description(),
            width: 1080.0,
            height: 458.0,
        };
        picture.draw(out, |svg| {
            svg.element("g", &[("class", &accent::class(lane.variant))], |svg| {
                let windows = panel(30.0, 190.0, self.most_segments());
                self.windows(svg, &windows, unit);
                let rtt = TimeUnit::for_up_to(self.longest());
                let trips = panel(262.0, 90.0, rtt.of(self.longest()));
                trips.axis_up(svg, &format!("smoothed round trip ({})", rtt.sign));
                let smoothed = self.line(&trips, unit, |sample| {
                    (!sample.rtt.is_zero()).then(|| rtt.of(sample.rtt))
                });
                svg.void("path", &[("d", &smoothed), ("class", &"line")]);
                trips.foot(svg);
                self.limits(svg, &panel(386.0, 16.0, 1.0), unit);
            });
        });
    }

    fn windows(&self, svg: &mut Markup, panel: &Panel, unit: TimeUnit) {
        panel.axis_up(svg, "segments");
        panel.foot(svg);
        let window = self.line(panel, unit, |sample| Some(sample.congestion_window.into()));
        let flight = self.line(panel, unit, |sample| Some(sample.in_flight.into()));
        let most = self.most_segments();
        let threshold = self.line(panel, unit, |sample| {
            let threshold = f64::from(sample.slow_start_threshold?);
            (threshold <= most).then_some(threshold)
        });
        svg.void("path", &[("d", &flight), ("class", &"flight")]);
        svg.void("path", &[("d", &threshold), ("class", &"threshold")]);
        svg.void("path", &[("d", &window), ("class", &"line")]);
        let legend = [
            (430.0, "line", "congestion window", &window),
            (590.0, "flight", "segments in flight", &flight),
            (740.0, "threshold", "slow-start threshold", &threshold),
        ];
        for (x, class, text, _) in legend.into_iter().filter(|(.., line)| !line.is_empty()) {
            let line = format!("M{} 13H{}", Px(x), Px(x + 26.0));
            svg.void("path", &[("d", &line), ("class", &class)]);
            words(svg, "label", (x + 34.0, 17.0), text);
        }
    }

    /// A step line; broken where there is no value.
    fn line(
        &self,
        panel: &Panel,
        unit: TimeUnit,
        value: impl Fn(&Sample) -> Option<f64>,
    ) -> String {
        let mut line = String::new();
        let mut is_drawing = false;
        for (at, sample) in &self.0 {
            let x = Px(panel.x(unit.of(at.saturating_sub(self.start()))));
            let _ = match value(sample).map(|value| Px(panel.y(value))) {
                Some(y) if is_drawing => write!(line, "H{x}V{y}"),
                Some(y) => write!(line, "M{x} {y}"),
                None if is_drawing => write!(line, "H{x}"),
                None => Ok(()),
            };
            is_drawing = value(sample).is_some();
        }
        line
    }

    /// What held it back: a strip with letters.
    fn limits(&self, svg: &mut Markup, panel: &Panel, unit: TimeUnit) {
        let x = |at: Duration| panel.x(unit.of(at.saturating_sub(self.start())));
        for (from, to, limit) in self.stretches() {
            let (left, right) = (x(from), x(to));
            let width = Px((right - left).max(0.6));
            let class = format!("limit {}", name(limit).0);
            let attributes: [Attribute<'_>; 5] = [
                ("class", &class),
                ("x", &Px(left)),
                ("y", &Px(panel.top)),
                ("width", &width),
                ("height", &Px(panel.height)),
            ];
            svg.void("rect", &attributes);
            if right - left > 12.0 {
                let middle = (left.midpoint(right), panel.bottom() - 4.0);
                words(svg, "sign", middle, name(limit).1);
            }
        }
        let above = (panel.left, panel.top - 8.0);
        let told = "held back by: C congestion window · R receive window · B send buffer · A the application gave no more";
        words(svg, "axis", above, told);
        panel.axis_across(svg, &format!("time since the first sample ({})", unit.sign));
    }

    /// Times of one limit each.
    fn stretches(&self) -> Vec<(Duration, Duration, Limit)> {
        let mut stretches: Vec<(Duration, Duration, Limit)> = Vec::new();
        for pair in self.0.windows(2) {
            let (from, to) = (pair[0].0, pair[1].0);
            let Some(limit) = pair[0].1.limited_by else {
                continue;
            };
            match stretches.last_mut() {
                Some((_, end, same)) if *same == limit && *end == from => *end = to,
                _ => stretches.push((from, to, limit)),
            }
        }
        stretches
    }

    fn most_segments(&self) -> f64 {
        let most = self
            .0
            .iter()
            .map(|(_, sample)| sample.congestion_window.max(sample.in_flight));
        most.max().unwrap_or(1).into()
    }

    fn longest(&self) -> Duration {
        let longest = self.0.iter().map(|(_, sample)| sample.rtt).max();
        longest.unwrap_or_default()
    }

    fn description(&self) -> String {
        let windows = self.0.iter().map(|(_, sample)| sample.congestion_window);
        let (least, most) = (
            windows.clone().min().unwrap_or(0),
            windows.max().unwrap_or(0),
        );
        let mut text = format!(
            "{} over {}: congestion window {least} to {most} segments, round trip up to {}",
            counted(self.0.len() as u64, "sample"),
            duration(self.span()),
            duration(self.longest()),
        );
        for limit in [
            Limit::CongestionWindow,
            Limit::ReceiveWindow,
            Limit::SendBuffer,
            Limit::Application,
        ] {
            let is_it = |(_, _, one): &&(_, _, Limit)| *one == limit;
            let stretches = self.stretches();
            let times = stretches
                .iter()
                .filter(is_it)
                .map(|(from, to, _)| to.saturating_sub(*from));
            let time: Duration = times.sum();
            if !time.is_zero() {
                let _ = write!(
                    text,
                    "; held back by {limit} {} of the time",
                    share(time, self.span())
                );
            }
        }
        text + "."
    }
}

fn share(part: Duration, whole: Duration) -> String {
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    percent(nanoseconds(part), nanoseconds(whole))
}

/// A limit's class and letter.
fn name(limit: Limit) -> (&'static str, &'static str) {
    match limit {
        Limit::CongestionWindow => ("by-window", "C"),
        Limit::ReceiveWindow => ("by-receiver", "R"),
        Limit::SendBuffer => ("by-buffer", "B"),
        Limit::Application => ("by-program", "A"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::CongestionState;
    use crate::flow::{FiveTuple, Kind};

    fn course(samples: &[(u64, u32, Option<Limit>)]) -> Course {
        let address = "10.77.0.1:1000".parse().expect("an address");
        let sample = |&(at, window, limited_by)| {
            let sample = Sample {
                connection: FiveTuple {
                    protocol: Kind::Tcp,
                    local: address,
                    remote: address,
                },
                congestion_window: window,
                slow_start_threshold: None,
                rtt: Duration::from_millis(20),
                rtt_variation: Duration::ZERO,
                in_flight: 1,
                retransmits: 0,
                congestion_state: CongestionState::Open,
                limited_by,
            };
            (Duration::from_millis(at), sample)
        };
        Course(samples.iter().map(sample).collect())
    }

    #[test]
    fn equal_limits_in_a_row_are_one_stretch() {
        use Limit::{Application, CongestionWindow};
        let course = course(&[
            (100, 10, Some(CongestionWindow)),
            (110, 12, Some(CongestionWindow)),
            (150, 20, None),
            (160, 20, Some(Application)),
            (200, 18, Some(Application)),
        ]);
        let at = Duration::from_millis;
        let expected = [
            (at(100), at(150), CongestionWindow),
            (at(160), at(200), Application),
        ];
        assert_eq!(course.stretches(), expected);
        let said = course.description();
        assert!(
            said.contains("congestion window 10 to 20 segments"),
            "{said}"
        );
        assert!(
            said.contains("the congestion window 50.0 % of the time"),
            "{said}"
        );
        assert!(
            said.contains("the application 40.0 % of the time"),
            "{said}"
        );
    }
}
