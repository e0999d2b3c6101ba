//! What the wire carries now, in one line a second (`--live`).
//!
//! [`line()`] is pure; [`Live`] only remembers the count before, and how its
//! line is replaced: on a terminal by the next, elsewhere not at all.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use super::figure::{grouped, percent, rate};
use super::glyph;
use super::style::Style;
use crate::flow::Direction;
use crate::link::{Traffic, WireCount};

/// What was carried between two counts, such as
/// `12.0 s  → 105 kpkt/s 1.20 Gbit/s lost 0.90 %  ← idle  34 under way`:
/// what was delivered, and the share of what entered that was lost. `at` is the
/// time of the second count since the run began.
pub fn line(before: &WireCount, now: &WireCount, at: Duration, over: Duration) -> String {
    let way = |arrow, direction| {
        let (before, now) = (before.wire.towards(direction), now.wire.towards(direction));
        format!("{arrow} {}", way(before, now, over))
    };
    let mut text = format!(
        "{:.1} s  {}  {}",
        at.as_secs_f64(),
        way("→", Direction::ClientToServer),
        way("←", Direction::ServerToClient)
    );
    if now.under_way > 0 {
        let _ = write!(text, "  {} under way", grouped(now.under_way));
    }
    text
}

fn way(before: &Traffic, now: &Traffic, over: Duration) -> String {
    let since = |count: fn(&Traffic) -> u64| count(now).saturating_sub(count(before));
    let packets = since(|traffic| traffic.delivered.packets);
    let bytes = since(|traffic| traffic.delivered.bytes);
    let lost = since(|traffic| traffic.lost_in_all().packets);
    let entered = since(|traffic| traffic.offered.packets + traffic.copied.packets);
    if packets + lost + entered == 0 {
        return "idle".to_owned();
    }
    let mut text = format!(
        "{} {}",
        rate(packets, over, "pkt"),
        rate(bytes.saturating_mul(8), over, "bit")
    );
    if lost > 0 {
        // What is lost now may have entered before.
        let _ = write!(text, " lost {}", percent(lost, entered.max(lost)));
    }
    text
}

/// A line that shows how a run is getting on.
pub struct Live<Out: Write> {
    out: Out,
    style: Style,
    /// Whether each line overwrites the one before.
    overwrites: bool,
    before: WireCount,
    at: Duration,
    is_shown: bool,
}

impl<Out: Write> Live<Out> {
    /// Lines go to `out`, which is a terminal or is not.
    pub fn new(out: Out, is_terminal: bool, style: Style) -> Self {
        Self {
            out,
            style,
            overwrites: is_terminal,
            before: WireCount::default(),
            at: Duration::ZERO,
            is_shown: false,
        }
    }

    /// Shows what was carried since the last time; `at` counts from the run's
    /// start.
    pub fn show(&mut self, at: Duration, now: WireCount) -> io::Result<()> {
        let over = at.saturating_sub(self.at);
        let text = line(&self.before, &now, at, over);
        let text = glyph::spelled(&text, self.style.charset);
        (self.before, self.at) = (now, at);
        if self.overwrites {
            // The last column stays free: some terminals break the line there.
            let text = glyph::fit(&text, self.style.columns() - 1);
            write!(self.out, "\r{text}\x1b[K")?;
        } else {
            writeln!(self.out, "{text}")?;
        }
        self.is_shown = true;
        self.out.flush()
    }

    /// Takes the line away, where it would be in the way of what comes next.
    pub fn finish(&mut self) -> io::Result<()> {
        if self.overwrites && std::mem::take(&mut self.is_shown) {
            write!(self.out, "\r\x1b[K")?;
            self.out.flush()?;
        }
        Ok(())
    }
}
