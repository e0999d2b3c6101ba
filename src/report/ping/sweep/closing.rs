//! What a sweep amounts to, from the table it leaves: who is unreachable, each
//! target's figures, the figures over all.
//!
//! Owns the wording, which is `fping(8)`'s.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::numbers::{TimeOfDay, milliseconds};
use super::{Layout, List, Subject};
use crate::ping::sweep::{Core, Outcome, Verdict, View};
use crate::ping::targets::Targets;

/// Text is handed on in pieces of this size.
const PIECE: usize = 1 << 15;

pub(super) fn write(
    layout: &Layout,
    outcome: &Outcome,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<()> {
    let Outcome { targets, core, .. } = outcome;
    if let Some(required) = layout.required {
        let reachable = outcome.alive();
        let enough = if reachable >= required {
            "Enough"
        } else {
            "Not enough"
        };
        writeln!(
            out,
            "{enough} hosts reachable (required: {required}, reachable: {reachable})"
        )?;
    }
    if let Subject::Verdicts(list) = layout.subject {
        let wanted = match list {
            List::All => !layout.quiet,
            List::Unreachable => true,
            List::Alive => false,
        };
        if wanted && layout.required.is_none() {
            unreachable(list, targets, core, out)?;
        }
    }
    out.flush()?;
    // Nobody may be reading standard error; that is no failure.
    let _ = figures(layout, targets, core, err);
    if layout.statistics {
        let _ = statistics(outcome, err);
    }
    let _ = err.flush();
    Ok(())
}

/// The figures so far, under the time.
pub(super) fn status(layout: &Layout, view: &View<'_>, err: &mut impl Write) -> io::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    write!(err, "\n[{}]", TimeOfDay(now.unwrap_or_default()))?;
    let layout = Layout {
        subject: Subject::Figures,
        quiet: false,
        ..layout.clone()
    };
    figures(&layout, view.targets, view.core, err)?;
    err.flush()
}

fn unreachable(list: List, targets: &Targets, core: &Core, out: &mut impl Write) -> io::Result<()> {
    for index in 0..targets.count() {
        if matches!(
            core.figures(index).verdict(),
            Verdict::Alive | Verdict::Unresolved
        ) {
            continue;
        }
        let words = if list == List::All {
            " is unreachable"
        } else {
            ""
        };
        writeln!(out, "{}{words}", targets.label(index))?;
    }
    Ok(())
}

fn figures(
    layout: &Layout,
    targets: &Targets,
    core: &Core,
    err: &mut impl Write,
) -> io::Result<()> {
    if layout.is_check() {
        return Ok(());
    }
    let mut text = String::with_capacity(PIECE + 256);
    let somebody = targets.width() > 0;
    if !layout.quiet && somebody {
        text.push('\n');
    }
    let width = targets.width();
    for index in 0..targets.count() {
        if targets.reason(index).is_some() {
            continue;
        }
        let start = text.len();
        let _ = write!(text, "{}", targets.label(index));
        let name = text[start..].chars().count();
        text.extend(std::iter::repeat_n(' ', width.saturating_sub(name)));
        text.push_str(" : ");
        match layout.subject {
            Subject::Columns(count) => columns(core, index, count, &mut text),
            _ => row(layout, core, index, &mut text),
        }
        text.push('\n');
        if text.len() >= PIECE {
            err.write_all(text.as_bytes())?;
            text.clear();
        }
    }
    err.write_all(text.as_bytes())
}

fn columns(core: &Core, index: u32, count: u32, text: &mut String) {
    let times = core.round_trips(index).take(count as usize);
    for (place, time) in times.enumerate() {
        if place > 0 {
            text.push(' ');
        }
        let _ = match time {
            Some(time) => write!(text, "{}", milliseconds(time)),
            None => write!(text, "-"),
        };
    }
}

fn row(layout: &Layout, core: &Core, index: u32, text: &mut String) {
    let figures = core.figures(index);
    let (settled, received) = (figures.settled(), figures.received);
    let unanswered = settled - received;
    let loss = u64::from(unanswered) * 100 / u64::from(settled.max(1));
    let _ = write!(text, "xmt/rcv/%loss = {settled}/{received}/{loss}%");
    if let Some(period) = layout.outage {
        let outage = (period * unanswered).as_millis();
        let _ = write!(text, ", outage(ms) = {outage}");
    }
    if let Some(times) = figures.extremes() {
        let [min, average, max] = times.map(milliseconds);
        let _ = write!(text, ", min/avg/max = {min}/{average}/{max}");
    }
}

fn statistics(outcome: &Outcome, err: &mut impl Write) -> io::Result<()> {
    let totals = outcome.core.totals();
    let (alive, unresolved) = (outcome.alive(), outcome.unresolved());
    let targets = outcome.targets.count() - unresolved;
    let [min, average, max] = extremes(outcome).map(milliseconds);
    let seconds = outcome.elapsed.as_secs_f64();
    write!(
        err,
        "\n {targets:7} targets\n {alive:7} alive\n {:7} unreachable\n \
         {unresolved:7} unknown addresses\n\n \
         {:7} timeouts (waiting for response)\n {:7} ICMP Echos sent\n \
         {:7} ICMP Echo Replies received\n {:7} other ICMP received\n\n \
         {min} ms (min round trip time)\n {average} ms (avg round trip time)\n \
         {max} ms (max round trip time)\n {seconds:12.3} sec (elapsed real time)\n\n",
        targets - alive,
        totals.lost,
        totals.sent,
        totals.replies,
        totals.errors,
    )
}

/// Shortest, mean and longest round trip over all targets.
fn extremes(outcome: &Outcome) -> [Duration; 3] {
    let (mut shortest, mut longest) = (Duration::MAX, Duration::ZERO);
    let (mut sum, mut count) = (0, 0);
    for index in 0..outcome.targets.count() {
        let figures = outcome.core.figures(index);
        if let Some([min, average, max]) = figures.extremes() {
            shortest = shortest.min(min);
            longest = longest.max(max);
            sum += average.as_nanos() * u128::from(figures.received);
            count += u128::from(figures.received);
        }
    }
    match sum.checked_div(count) {
        Some(mean) => {
            let mean = u64::try_from(mean).unwrap_or(u64::MAX);
            [shortest, Duration::from_nanos(mean), longest]
        }
        None => [Duration::ZERO; 3],
    }
}
