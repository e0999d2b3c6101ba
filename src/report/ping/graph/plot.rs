//! The plot: round trips by when their requests were sent, and below them what
//! was lost.
//!
//! A column is a fixed stretch of time, so that nothing wanders between columns
//! as time goes on. Where a column holds several round trips, the mark is their
//! mean, and dots reach from the shortest to the longest.

use std::time::Duration;

use ratatui_core::layout::Rect;

use super::axis::Axis;
use super::draw::{Canvas, span};
use super::{HostView, Slice, View};
use crate::report::figure::duration;

/// Columns of the labels on the left.
const LABELS: u16 = 8;
/// The loss row, the axis, and its labels.
const BELOW: u16 = 3;
/// Rows to a step of the axis.
const STEP: u16 = 4;

/// Which stretch of time each column is.
#[derive(Debug, Clone, Copy)]
struct Columns {
    first: u64,
    width: Duration,
    count: u16,
}

impl Columns {
    fn of(view: &View, count: u16) -> Self {
        let width = (view.window / u32::from(count.max(1))).max(Duration::from_nanos(1));
        let last = u64::try_from(view.now.as_nanos() / width.as_nanos()).unwrap_or(u64::MAX);
        let first = (last + 1).saturating_sub(count.into());
        Self {
            first,
            width,
            count,
        }
    }

    /// The column that this slice of a host's time is in.
    fn of_slice(self, host: &HostView, slice: &Slice) -> Option<u16> {
        let at = host.slice.as_nanos() * u128::from(slice.number) + host.slice.as_nanos() / 2;
        let column = u64::try_from(at / self.width.as_nanos()).ok()?;
        let column = u16::try_from(column.checked_sub(self.first)?).ok()?;
        (column < self.count).then_some(column)
    }

    /// The host's slices, joined by column.
    fn join(self, host: &HostView) -> Vec<(u16, Slice)> {
        let mut joined: Vec<(u16, Slice)> = Vec::new();
        for slice in &host.slices {
            let Some(column) = self.of_slice(host, slice) else {
                continue;
            };
            match joined.last_mut() {
                Some((last, before)) if *last == column => before.join(slice),
                _ => joined.push((column, *slice)),
            }
        }
        joined
    }
}

/// Draws the plot of all hosts, its axes, and the row of losses.
pub(super) fn draw(canvas: &mut Canvas<'_>, view: &View, area: Rect) {
    let rows = area.height.saturating_sub(BELOW).max(1);
    let columns = Columns::of(view, area.width.saturating_sub(LABELS + 1));
    let hosts: Vec<Vec<(u16, Slice)>> = view.hosts.iter().map(|host| columns.join(host)).collect();
    let answered = hosts
        .iter()
        .flatten()
        .filter(|(_, slice)| slice.replies > 0);
    let min = answered.clone().map(|(_, slice)| slice.min).min();
    let max = answered.map(|(_, slice)| slice.max).max();
    let plot = Rect {
        x: area.x + LABELS + 1,
        y: area.y,
        width: columns.count,
        height: rows,
    };
    frame(canvas, view, area, plot);
    let Some((min, max)) = min.zip(max) else {
        let text = "no reply yet";
        let faint = canvas.faint();
        canvas.text((plot.x + 2, plot.y + rows / 2), text, plot.width, faint);
        losses(canvas, &hosts, plot);
        return;
    };
    let axis = Axis::over(min, max, u64::from(rows / STEP));
    for (row, time) in axis.marks(rows) {
        let text = format!(
            "{:>width$}",
            duration(time),
            width = usize::from(LABELS) - 1
        );
        let faint = canvas.faint();
        canvas.text((area.x, plot.y + row), &text, LABELS, faint);
        canvas.text((area.x + LABELS, plot.y + row), "┤", 1, faint);
    }
    // The first host's marks lie on top.
    for (index, slices) in hosts.iter().enumerate().rev() {
        ranges(canvas, index, slices, axis, plot);
    }
    for (index, slices) in hosts.iter().enumerate().rev() {
        means(canvas, index, slices, axis, plot);
    }
    losses(canvas, &hosts, plot);
}

fn ranges(canvas: &mut Canvas<'_>, index: usize, slices: &[(u16, Slice)], axis: Axis, plot: Rect) {
    let (_, paint) = canvas.mark(index);
    for (column, slice) in slices.iter().filter(|(_, slice)| slice.replies > 1) {
        let top = axis.row(slice.max, plot.height);
        let bottom = axis.row(slice.min, plot.height);
        for row in top..=bottom {
            canvas.text((plot.x + column, plot.y + row), "·", 1, paint);
        }
    }
}

fn means(canvas: &mut Canvas<'_>, index: usize, slices: &[(u16, Slice)], axis: Axis, plot: Rect) {
    let (mark, paint) = canvas.mark(index);
    for (column, slice) in slices.iter().filter(|(_, slice)| slice.replies > 0) {
        let row = axis.row(slice.sum / slice.replies, plot.height);
        let at = (plot.x + column, plot.y + row);
        canvas.text(at, &mark.to_string(), 1, paint);
    }
}

/// A cross for what was lost and an exclamation mark for what met an error; with
/// several hosts, one host's mark where only that one lost.
fn losses(canvas: &mut Canvas<'_>, hosts: &[Vec<(u16, Slice)>], plot: Rect) {
    let row = plot.y + plot.height;
    let (loss, faint) = (canvas.loss(), canvas.faint());
    let label = format!("{:>width$}", "lost", width = usize::from(LABELS) - 1);
    canvas.text((plot.x - LABELS - 1, row), &label, LABELS, faint);
    for slices in hosts {
        for (column, slice) in slices {
            let sign = match (slice.lost, slice.failed) {
                (0, 0) => continue,
                (0, _) => "!",
                _ => "×",
            };
            canvas.text((plot.x + column, row), sign, 1, loss);
        }
    }
}

/// The rails, and the time below.
fn frame(canvas: &mut Canvas<'_>, view: &View, area: Rect, plot: Rect) {
    let faint = canvas.faint();
    let bottom = plot.y + plot.height + 1;
    for y in plot.y..bottom {
        canvas.text((plot.x - 1, y), "│", 1, faint);
    }
    let rail = format!("└{}", "─".repeat(plot.width.into()));
    canvas.text((plot.x - 1, bottom), &rail, plot.width + 1, faint);
    if bottom + 1 >= area.bottom() {
        return;
    }
    let quarter = plot.width / 4;
    for part in 0..4 {
        let back = view.window / 4 * u32::from(4 - part);
        let text = format!("-{}", span(back));
        canvas.text((plot.x + part * quarter, bottom + 1), &text, quarter, faint);
    }
    let now = "now";
    let at = (plot.right().saturating_sub(3), bottom + 1);
    canvas.text(at, now, 3, faint);
}
