//! Settings and plans written as descriptions that are read as the same
//! settings and plans: what reports print.

use std::fmt::{self, Display};
use std::time::Duration;

use super::super::selector::{Action, Rule};
use super::super::settings::{
    Capacity, Chance, Course, Discipline, Distribution, Framing, Loss, Plan, Server, Settings, Slot,
};
use super::settle::bursts;
use super::token::quote;
use crate::units::{Probability, Time};

/// As a description: `loss 5% delay 20ms jitter 5ms`. Nothing where packets
/// pass as they are.
impl Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said: Vec<String> = self.said(Detail::Short).into_iter().flatten().collect();
        f.pad(&said.join(" "))
    }
}

/// How much is said.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Detail {
    /// What is not the default.
    Short,
    /// The parts of an aspect that are off, too, so that they end.
    Full,
}

impl Detail {
    /// `part`, if it must be said.
    fn part(self, is_default: bool, part: impl Display) -> String {
        match (self, is_default) {
            (Detail::Short, true) => String::new(),
            _ => format!(" {part}"),
        }
    }
}

const ASPECTS: usize = 16;

/// What turns each aspect off. Rules are only ever added.
const OFF: [&str; ASPECTS] = [
    "",
    "duplicate 0%",
    "loss 0%",
    "ecn off",
    "corrupt 0%",
    "truncate 0%",
    "limit off",
    "delay 0ms",
    "jitter 0ms",
    "distribution uniform",
    "reorder 0%",
    "slot 0ms",
    "rate 0bit",
    "queue 1000",
    "bucket 0b",
    "droptail",
];

impl Settings {
    /// What is said of each aspect, in the order of [`OFF`]; `None` where it is
    /// off.
    fn said(&self, detail: Detail) -> [Option<String>; ASPECTS] {
        let on = |name: &str, chance: &Chance| {
            (*chance != Chance::default()).then(|| format!("{name} {}", said_chance(chance)))
        };
        let time = |name: &str, time: Duration| {
            (!time.is_zero()).then(|| format!("{name} {}", Time(time)))
        };
        let shape = self.delay.distribution;
        let bottleneck = self.bottleneck.as_ref();
        [
            rules(&self.rules),
            on("duplicate", &self.duplicate),
            loss(&self.loss, detail),
            self.ecn.then(|| "ecn".to_owned()),
            on("corrupt", &self.corrupt),
            on("truncate", &self.truncate),
            self.limit.map(|limit| format!("limit {limit}")),
            time("delay", self.delay.base),
            time("jitter", self.delay.jitter).map(|jitter| {
                let correlation = self.delay.correlation;
                jitter + &detail.part(!correlation.is_possible(), correlation)
            }),
            (shape != Distribution::Uniform)
                .then(|| format!("distribution {}", distribution(shape))),
            self.reorder.map(|reorder| {
                let gap = format_args!("gap {}", reorder.gap);
                let gap = detail.part(reorder.gap == 1, gap);
                format!("reorder {}{gap}", said_chance(&reorder.chance))
            }),
            self.slot.as_ref().map(slot),
            bottleneck.map(|bottleneck| server(&bottleneck.server, detail)),
            bottleneck.and_then(|bottleneck| queue(bottleneck.capacity)),
            bottleneck.and_then(|bottleneck| bucket(&bottleneck.server)),
            bottleneck.and_then(|bottleneck| discipline(bottleneck.discipline)),
        ]
    }
}

fn said_chance(chance: &Chance) -> String {
    if chance.correlation.is_possible() {
        format!("{} {}", chance.probability, chance.correlation)
    } else {
        chance.probability.to_string()
    }
}

fn rules(rules: &[Rule]) -> Option<String> {
    let said: Vec<String> = rules.iter().map(rule).collect();
    (!said.is_empty()).then(|| said.join(" "))
}

fn rule(rule: &Rule) -> String {
    let chosen = rule.selector.to_string();
    let (word, text) = match rule.action {
        Action::Drop => ("drop", chosen),
        Action::Delay(time) => ("hold", format!("{chosen} {}", Time(time))),
        Action::Duplicate => ("copy", chosen),
        Action::Mark => ("mark", chosen),
    };
    format!("{word} '{text}'")
}

fn loss(loss: &Loss, detail: Detail) -> Option<String> {
    match loss {
        Loss::None => None,
        Loss::Random(chance) => {
            let burst = detail.part(true, "burst off");
            Some(format!("loss {}{burst}", said_chance(chance)))
        }
        Loss::GilbertElliott {
            p,
            r,
            bad_loss,
            good_loss,
        } => Some(
            burst(loss).unwrap_or_else(|| format!("loss gemodel {p} {r} {bad_loss} {good_loss}")),
        ),
        Loss::Markov {
            p13,
            p31,
            p32,
            p23,
            p14,
        } => Some(format!("loss state {p13} {p31} {p32} {p23} {p14}")),
    }
}

/// `loss 5% burst 4`, where plain words mean the very same model.
fn burst(loss: &Loss) -> Option<String> {
    let Loss::GilbertElliott { p, r, .. } = loss else {
        return None;
    };
    // Numbers that someone may have typed: rounding errors aside.
    let rounded = |number: f64| (number * 1e9).round() / 1e9;
    let mean = Probability::new(rounded(p.value() / (p.value() + r.value())))?;
    let length = rounded(1.0 / r.value());
    let is_same = length >= 1.0 && bursts(mean, length).as_ref() == Ok(loss);
    is_same.then(|| format!("loss {mean} burst {length}"))
}

fn distribution(distribution: Distribution) -> &'static str {
    match distribution {
        Distribution::Uniform => "uniform",
        Distribution::Normal => "normal",
        Distribution::Pareto => "pareto",
        Distribution::ParetoNormal => "paretonormal",
    }
}

fn slot(slot: &Slot) -> String {
    let (least, most) = (Time(slot.least), Time(slot.most));
    let times = match slot.distribution {
        Some(shape) => format!("slot distribution {} {least} {most}", distribution(shape)),
        None if least == most => format!("slot {least}"),
        None => format!("slot {least} {most}"),
    };
    let packets = Detail::Short.part(slot.packets == 0, format_args!("packets {}", slot.packets));
    let bytes = Detail::Short.part(slot.bytes == 0, format_args!("bytes {}", slot.bytes));
    times + &packets + &bytes
}

fn server(server: &Server, detail: Detail) -> String {
    match server {
        Server::Rate { rate, framing } | Server::TokenBucket { rate, framing, .. } => {
            format!("rate {rate}{}", said_framing(*framing, detail))
        }
        Server::Trace(trace) => format!("trace {}", quote(trace.name())),
    }
}

fn queue(capacity: Capacity) -> Option<String> {
    match capacity {
        _ if capacity == Capacity::default() => None,
        Capacity::Packets(packets) => Some(format!("queue {packets}")),
        Capacity::Bytes(bytes) => Some(format!("queue {bytes}")),
    }
}

fn said_framing(framing: Framing, detail: Detail) -> String {
    let Framing {
        packet_overhead,
        cell_size,
        cell_overhead,
    } = framing;
    if detail == Detail::Full || (cell_size, cell_overhead) != (0, 0) {
        format!(" {packet_overhead} {cell_size} {cell_overhead}")
    } else {
        detail.part(packet_overhead == 0, packet_overhead)
    }
}

fn bucket(server: &Server) -> Option<String> {
    match server {
        Server::TokenBucket { burst, .. } => Some(format!("bucket {burst}")),
        Server::Rate { .. } | Server::Trace(_) => None,
    }
}

fn discipline(discipline: Discipline) -> Option<String> {
    match discipline {
        Discipline::DropTail => None,
        Discipline::CODEL => Some("codel".to_owned()),
        Discipline::CoDel { target, interval } => Some(format!(
            "codel target {} interval {}",
            Time(target),
            Time(interval)
        )),
        Discipline::Red {
            min,
            max,
            probability,
        } => Some(format!("red min {min} max {max} probability {probability}")),
    }
}

/// As a description: `up delay 20ms; down loss 5%; at 2s loss 100%; seed 42`.
impl Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut clauses = Vec::new();
        if self.up == self.down {
            course(&self.up, "", &mut clauses);
        } else {
            course(&self.up, "up ", &mut clauses);
            course(&self.down, "down ", &mut clauses);
        }
        clauses.push(format!("seed {}", self.seed));
        f.pad(&clauses.join("; "))
    }
}

fn course(course: &Course, direction: &str, clauses: &mut Vec<String>) {
    if !course.first.is_transparent() {
        clauses.push(format!("{direction}{}", course.first));
    }
    let mut before = &course.first;
    for (at, settings) in &course.changes {
        change(before, settings, *at, direction, clauses);
        before = settings;
    }
}

/// What is said at one time: of each aspect that is other than it was.
fn change(
    before: &Settings,
    after: &Settings,
    at: Duration,
    direction: &str,
    clauses: &mut Vec<String>,
) {
    let mut old = before.said(Detail::Short);
    let new = after.said(Detail::Short);
    let full = after.said(Detail::Full);
    forget(&mut old, before, after);
    let mut said = Vec::new();
    let added = after.rules.get(before.rules.len()..).unwrap_or_default();
    said.extend(rules(added));
    for aspect in 1..ASPECTS {
        match (&old[aspect], &new[aspect]) {
            (old, new) if old == new => {}
            (_, None) => said.push(OFF[aspect].to_owned()),
            // Parts that were said and are not said again would stay.
            (Some(old), Some(new)) if words(new) < words(old) => said.extend(full[aspect].clone()),
            (_, Some(new)) => said.push(new.clone()),
        }
    }
    if !said.is_empty() {
        clauses.push(format!("at {} {direction}{}", Time(at), said.join(" ")));
    }
}

fn words(text: &str) -> usize {
    text.split(' ').count()
}

/// What ends with something else need not be ended, and must be said again if
/// it is to stay: a bottleneck takes along its bucket and its discipline, a
/// delay its jitter, a trace another server's bucket.
fn forget(old: &mut [Option<String>; ASPECTS], before: &Settings, after: &Settings) {
    const JITTER: usize = 8;
    const DISTRIBUTION: usize = 9;
    const QUEUE: usize = 13;
    const BUCKET: usize = 14;
    const DISCIPLINE: usize = 15;
    if after.delay.base.is_zero() && !before.delay.base.is_zero() {
        old[JITTER] = None;
    }
    if old[JITTER].is_none() || after.delay.jitter.is_zero() {
        old[DISTRIBUTION] = None;
    }
    let server = after.bottleneck.as_ref().map(|one| &one.server);
    if matches!(server, None | Some(Server::Trace(_))) {
        old[BUCKET] = None;
    }
    if server.is_none() {
        (old[QUEUE], old[DISCIPLINE]) = (None, None);
    }
}
