//! A hop in words: a line for each router that answered, its round trips in the
//! columns of the requests, and below what else there is to say.

use std::fmt::Write as _;
use std::time::Duration;

use super::{PathDetail, PathLayout, called, milliseconds};
use crate::event::{EchoAddress, EchoHop, EchoHopError, EchoHopFate, EchoHopProbe};
use crate::packet::hexdump;
use crate::packet::icmp_extension::{Extension, MplsLabel};
use crate::packet::{IcmpFamily, dissect_icmp};

/// Round trips beyond this many are summed up.
const MOST_COLUMNS: usize = 5;
/// Where the columns begin, for addresses alone and with names.
const NUMBERS: usize = 17;
const NUMBERS_V6: usize = 26;
const NAMES: usize = 36;
const INDENT: &str = "    ";

pub(super) fn text(layout: PathLayout, ipv6: bool, hop: &EchoHop) -> String {
    let mut text = String::new();
    let mut number = format!("{:>2}", hop.hop);
    for group in groups(hop) {
        let who = group.who.map(|(address, name)| called(address, name));
        let who = who.unwrap_or_else(|| "*".to_owned());
        let line = format!(
            "{number:<4}{who:<width$}{}",
            group.times(ipv6),
            width = width(layout, ipv6)
        );
        let _ = writeln!(text, "{}", line.trim_end());
        for remark in group.remarks(layout, ipv6, hop.hop) {
            let _ = writeln!(text, "{INDENT}{remark}");
        }
        text.push_str(&group.bytes(layout, ipv6));
        number.clear();
    }
    text
}

fn width(layout: PathLayout, ipv6: bool) -> usize {
    match (layout.names, ipv6) {
        (true, _) => NAMES,
        (false, true) => NUMBERS_V6,
        (false, false) => NUMBERS,
    }
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

    /// The round trips, each in its request's column.
    fn times(&self, ipv6: bool) -> String {
        let probes = &self.hop.probes;
        if self.who.is_none() {
            let unsent = probes.iter().any(|probe| is_unsent(&probe.fate));
            return if unsent {
                "not sent"
            } else {
                "no error received"
            }
            .to_owned();
        }
        if probes.len() > MOST_COLUMNS {
            return self.summed_up(ipv6);
        }
        let cells = probes
            .iter()
            .map(|probe| match (&probe.fate, probe.round_trip) {
                (fate, Some(time)) if self.owns(probe) => cell(time, &sign(ipv6, fate)),
                (EchoHopFate::NoErrorReceived, _) if self.first => format!("{:>8}   ", "*"),
                _ => " ".repeat(11),
            });
        cells.collect()
    }

    fn summed_up(&self, ipv6: bool) -> String {
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
        format!(" {answers}/{all} min/avg/max {values} ms{sign}")
    }

    fn remarks(&self, layout: PathLayout, ipv6: bool, hop: u8) -> Vec<String> {
        let mut remarks = Vec::new();
        for probe in self.probes() {
            if let EchoHopFate::Unsent { errno, meaning } = &probe.fate {
                remarks.push(format!("this host could not send: {meaning} ({errno})"));
            }
        }
        for error in self.errors() {
            let sign = sign_of_error(ipv6, error);
            if !sign.is_empty() {
                remarks.push(format!("{sign} {}", error.meaning).trim_start().to_owned());
            } else if layout.detail >= PathDetail::Steps {
                let (kind, code) = (error.icmp_type, error.icmp_code);
                remarks.push(format!("{} (type {kind}, code {code})", error.meaning));
            }
            remarks.extend(error.extensions.iter().map(extension));
            remarks.extend(changes(layout, error, hop));
        }
        remarks.extend(self.way_back(hop));
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
                format!(
                    "came back with TTL {ttl}, probably of {began}: over {back} hops, not {hop}"
                )
            })
        });
        differing.collect()
    }

    /// The errors, field by field where the socket hands them over.
    fn bytes(&self, layout: PathLayout, ipv6: bool) -> String {
        if layout.detail < PathDetail::Bytes {
            return String::new();
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
        dumps.collect()
    }
}

fn is_unsent(fate: &EchoHopFate) -> bool {
    matches!(fate, EchoHopFate::Unsent { .. })
}

fn cell(time: Duration, sign: &str) -> String {
    format!("{:>8} ms{sign}", milliseconds(time))
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
fn changes(layout: PathLayout, error: &EchoHopError, hop: u8) -> Vec<String> {
    let Some(quote) = &error.quote else {
        return Vec::new();
    };
    let mut lines: Vec<String> = quote
        .changes
        .iter()
        .map(|change| {
            let (field, sent, quoted) = (change.field.name(), &change.sent, &change.quoted);
            format!("the request arrived with {field} {quoted}, sent with {sent}")
        })
        .collect();
    let ttl = quote.ttl_left;
    if ttl > 1 {
        let place = hop.saturating_sub(ttl).saturating_add(1);
        lines.push(format!(
            "the request arrived with TTL {ttl} of {hop}: this is hop {place}"
        ));
    } else if layout.detail >= PathDetail::Steps {
        lines.push(format!("the request arrived with TTL {ttl}"));
    }
    lines
}
