//! A hop in words: a line for each router that answered, its round trips in the
//! columns of the requests, and below what else there is to say.

use std::time::Duration;

use super::{PathDetail, PathLayout, called, milliseconds};
use crate::event::{EchoAddress, EchoHop, EchoHopError, EchoHopFate, EchoHopProbe};
use crate::packet::hexdump;
use crate::packet::icmp_extension::{Extension, MplsLabel};
use crate::packet::quote::Change;
use crate::packet::{IcmpFamily, dissect_icmp};
use crate::report::line::Line;
use crate::report::style::Paint;

/// Round trips beyond this many are summed up.
const MOST_COLUMNS: usize = 5;
/// Columns of a round trip, of those summed up, and of a sign behind them.
const CELL: usize = 11;
const SUM: usize = 44;
const SIGN: usize = 7;
/// Columns of an address alone, and of one with its name on a line of 80.
const NUMBERS: usize = 17;
const NUMBERS_V6: usize = 26;
const NAMES: usize = 36;
const ROW: usize = 80;
/// Columns of the hop's number, and the indent of what is said of it.
const NUMBER: usize = 4;

pub(super) fn lines(layout: PathLayout, ipv6: bool, hop: &EchoHop) -> Vec<Line> {
    let mut lines = Vec::new();
    let column = NUMBER + width(layout, ipv6, hop.probes.len());
    for group in groups(hop) {
        let number = if group.first {
            format!("{:>2}", hop.hop)
        } else {
            String::new()
        };
        let mut line = Line::of(Paint::Heading, &number);
        line.pad(NUMBER);
        let who = group.who.map(|(address, name)| called(address, name));
        line.push(group.paint(), &who.unwrap_or_else(|| "*".to_owned()));
        if line.width() >= column {
            // The round trips keep their columns under a long name.
            lines.push(std::mem::take(&mut line));
        }
        line.pad(column);
        line.append(&group.times(ipv6));
        lines.push(line);
        for (paint, remark) in group.remarks(layout, ipv6, hop.hop) {
            let mut line = Line::default();
            line.pad(NUMBER);
            lines.push(line.with(paint, &remark));
        }
        lines.extend(group.bytes(layout, ipv6));
    }
    lines
}

/// The columns of the address: what the round trips leave of the line, within
/// what is easy to read.
fn width(layout: PathLayout, ipv6: bool, probes: usize) -> usize {
    let least = if ipv6 { NUMBERS_V6 } else { NUMBERS };
    if !layout.names {
        return least;
    }
    let times = if probes > MOST_COLUMNS {
        SUM
    } else {
        probes * CELL + SIGN
    };
    let columns = layout.style.columns();
    let most = NAMES + columns.saturating_sub(ROW) / 2;
    columns.saturating_sub(NUMBER + times).clamp(least, most)
}

/// What came from one address, or from nobody.
struct Group<'h> {
    who: Option<(&'h EchoAddress, Option<&'h str>)>,
    hop: &'h EchoHop,
    first: bool,
}

/// The addresses in the order of their first answers; whoever answers first
/// also shows which requests were not answered.
fn groups(hop: &EchoHop) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for who in hop.probes.iter().filter_map(|probe| probe.fate.answerer()) {
        let known = groups.iter().any(|group| group.who == Some(who));
        if !known {
            let first = groups.is_empty();
            let who = Some(who);
            groups.push(Group { who, hop, first });
        }
    }
    if groups.is_empty() {
        groups.push(Group {
            who: None,
            hop,
            first: true,
        });
    }
    groups
}

impl<'h> Group<'h> {
    fn owns(&self, probe: &EchoHopProbe) -> bool {
        probe.fate.answerer() == self.who
    }

    fn probes(&self) -> impl Iterator<Item = &'h EchoHopProbe> {
        let who = self.who;
        let probes = self.hop.probes.iter();
        probes.filter(move |probe| probe.fate.answerer() == who)
    }

    fn errors(&self) -> impl Iterator<Item = &'h EchoHopError> {
        self.probes().filter_map(|probe| match &probe.fate {
            EchoHopFate::Error(error) => Some(&**error),
            _ => None,
        })
    }

    /// The target is what was looked for.
    fn paint(&self) -> Paint {
        let mut probes = self.probes();
        match (self.who, probes.next().map(|probe| &probe.fate)) {
            (None, _) => Paint::Faint,
            (_, Some(EchoHopFate::Reply { .. })) => Paint::Good,
            _ => Paint::Plain,
        }
    }

    /// The round trips, each in its request's column.
    fn times(&self, ipv6: bool) -> Line {
        let probes = &self.hop.probes;
        if self.who.is_none() {
            return if probes.iter().any(|probe| is_unsent(&probe.fate)) {
                Line::of(Paint::Failure, "not sent")
            } else {
                Line::of(Paint::Faint, "no error received")
            };
        }
        if probes.len() > MOST_COLUMNS {
            return self.summed_up(ipv6);
        }
        let mut line = Line::default();
        for probe in probes {
            match (&probe.fate, probe.round_trip) {
                (fate, Some(time)) if self.owns(probe) => {
                    line.push(Paint::Plain, &format!("{:>8}", milliseconds(time)));
                    line.push(Paint::Faint, " ms");
                    line.push(Paint::Failure, &sign(ipv6, fate));
                }
                (EchoHopFate::NoErrorReceived, _) if self.first => {
                    line.push(Paint::Faint, &format!("{:>8}   ", "*"));
                }
                _ => line.push(Paint::Plain, &" ".repeat(CELL)),
            }
        }
        line
    }

    fn summed_up(&self, ipv6: bool) -> Line {
        let times: Vec<Duration> = self.probes().filter_map(|probe| probe.round_trip).collect();
        let count = u32::try_from(times.len()).unwrap_or(u32::MAX).max(1);
        let average = times.iter().sum::<Duration>() / count;
        let least = times.iter().min().copied().unwrap_or_default();
        let most = times.iter().max().copied().unwrap_or_default();
        let mut signs: Vec<String> = self.probes().map(|probe| sign(ipv6, &probe.fate)).collect();
        signs.dedup();
        let values = [least, average, most].map(milliseconds).join("/");
        let (answers, all) = (times.len(), self.hop.probes.len());
        let sign = signs.first().cloned().unwrap_or_default();
        let text = format!(" {answers}/{all} min/avg/max {values} ms");
        Line::of(Paint::Plain, &text).with(Paint::Failure, &sign)
    }

    fn remarks(&self, layout: PathLayout, ipv6: bool, hop: u8) -> Vec<(Paint, String)> {
        let mut remarks = Vec::new();
        for probe in self.probes() {
            if let EchoHopFate::Unsent { errno, meaning } = &probe.fate {
                let text = format!("this host could not send: {meaning} ({errno})");
                remarks.push((Paint::Failure, text));
            }
        }
        for error in self.errors() {
            let sign = sign_of_error(ipv6, error);
            if !sign.is_empty() {
                let text = format!("{sign} {}", error.meaning);
                remarks.push((Paint::Failure, text.trim_start().to_owned()));
            } else if layout.detail >= PathDetail::Steps {
                let (kind, code) = (error.icmp_type, error.icmp_code);
                let text = format!("{} (type {kind}, code {code})", error.meaning);
                remarks.push((Paint::Plain, text));
            }
            let extensions = error.extensions.iter().map(extension);
            remarks.extend(extensions.map(|text| (Paint::Plain, text)));
            remarks.extend(changes(layout, error, hop));
        }
        let back = self.way_back(hop).into_iter();
        remarks.extend(back.map(|text| (Paint::Faint, text)));
        let mut seen = Vec::new();
        remarks.retain(|remark| {
            let new = !seen.contains(remark);
            seen.push(remark.clone());
            new
        });
        remarks
    }

    /// A hint that answers take another way than requests.
    fn way_back(&self, hop: u8) -> Vec<String> {
        let ttls = self.probes().filter_map(|probe| match &probe.fate {
            EchoHopFate::Reply { ttl, .. } => *ttl,
            EchoHopFate::Error(error) => error.ttl,
            _ => None,
        });
        let differing = ttls.filter_map(|ttl| {
            let began = [32, 64, 128, 255].into_iter().find(|&began| began >= ttl)?;
            let back = began - ttl + 1;
            (back != hop).then(|| {
                let hops = if back == 1 { "hop" } else { "hops" };
                format!(
                    "came back with TTL {ttl}, probably of {began}: over {back} {hops}, not {hop}"
                )
            })
        });
        differing.collect()
    }

    /// The errors, field by field where the socket hands them over.
    fn bytes(&self, layout: PathLayout, ipv6: bool) -> Vec<Line> {
        if layout.detail < PathDetail::Bytes {
            return Vec::new();
        }
        let family = if ipv6 { IcmpFamily::V6 } else { IcmpFamily::V4 };
        let dumps = self
            .errors()
            .filter(|error| !error.message.is_empty())
            .map(|error| {
                let layout = hexdump::Layout::default();
                let dissection = dissect_icmp(family, &error.message);
                let rows = hexdump::rows(&dissection, &error.message, layout);
                hexdump::render(&rows, layout)
            });
        let dumps: String = dumps.collect();
        let lines = dumps.lines();
        lines.map(|line| Line::of(Paint::Plain, line)).collect()
    }
}

fn is_unsent(fate: &EchoHopFate) -> bool {
    matches!(fate, EchoHopFate::Unsent { .. })
}

/// A blank and the sign that `traceroute(8)` made known, or nothing.
fn sign(ipv6: bool, fate: &EchoHopFate) -> String {
    match fate {
        EchoHopFate::Error(error) => sign_of_error(ipv6, error),
        _ => String::new(),
    }
}

fn sign_of_error(ipv6: bool, error: &EchoHopError) -> String {
    let sign = match (ipv6, error.icmp_type, error.icmp_code) {
        (false, 11, 0) | (true, 3, 0) => return String::new(),
        (false, 3, 0 | 6) | (true, 1, 0) => "N",
        (false, 3, 1 | 7) | (true, 1, 3) => "H",
        (false, 3, 2) => "P",
        (false, 3, 3) | (true, 1, 4) => "p",
        (false, 3, 4) | (true, 2, _) => return format!(" !F-{}", error.info),
        (false, 3, 5) => "S",
        (false, 3, 9 | 10) | (true, 1, 5 | 6) => "A",
        (false, 3, 13) | (true, 1, 1) => "X",
        (false, 3, 14) => "V",
        (false, 3, 15) => "C",
        (_, kind, code) => return format!(" !{kind}-{code}"),
    };
    format!(" !{sign}")
}

fn extension(extension: &Extension) -> String {
    match extension {
        Extension::Mpls { labels } => {
            let labels: Vec<String> = labels.iter().map(|&entry| label(entry)).collect();
            format!("MPLS {}", labels.join(", "))
        }
        Extension::Unknown {
            class,
            kind,
            payload,
        } => {
            let hex = hex::encode(payload);
            format!("extension class {class}, type {kind}: {hex}")
        }
    }
}

fn label(entry: MplsLabel) -> String {
    let MplsLabel {
        label, class, ttl, ..
    } = entry;
    format!("label {label} class {class} TTL {ttl}")
}

/// What became of the request on its way to who quotes it.
fn changes(layout: PathLayout, error: &EchoHopError, hop: u8) -> Vec<(Paint, String)> {
    let Some(quote) = &error.quote else {
        return Vec::new();
    };
    let change = |change: &Change| {
        let (field, sent, quoted) = (change.field.name(), &change.sent, &change.quoted);
        let text = format!("the request arrived with {field} {quoted}, sent with {sent}");
        (Paint::Warning, text)
    };
    let mut lines: Vec<(Paint, String)> = quote.changes.iter().map(change).collect();
    let ttl = quote.ttl_left;
    let arrived = format!("the request arrived with TTL {ttl}");
    if ttl > 1 {
        let place = hop.saturating_sub(ttl).saturating_add(1);
        let text = format!("{arrived} of {hop}: this is hop {place}");
        lines.push((Paint::Warning, text));
    } else if layout.detail >= PathDetail::Steps {
        lines.push((Paint::Plain, arrived));
    }
    lines
}
