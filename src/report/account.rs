//! A link's account for people: what entered, what became of it and why, by
//! direction and by flow; whether all of it is accounted for; how punctual the
//! wire was; the seed.
//!
//! Owns wording and layout only. What is zero in both directions is left out.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::evidence::DIRECTIONS;
use super::figure::{counted, duration, grouped, percent};
use super::line::Line;
use super::style::{Paint, Style};
use super::table::{self, Align, RIGHT, WRONG};
use crate::flow::Direction;
use crate::link::{Account, Amount, Carried, FlowAccount, Offload, Traffic};

/// Writes the whole account.
pub fn render(out: &mut impl Write, account: &Account, style: &Style) -> io::Result<()> {
    let device = account.device;
    let kind = match account.offload {
        Offload::Off => format!("{device}"),
        Offload::On => format!("{device}, fast: uncut packets of up to 64 KiB"),
    };
    let mut lines = table::heading(
        &format!("The link ({kind}): what became of every packet"),
        style,
    );
    lines.extend(directions(account, style));
    lines.extend(flows(&account.count.flows, style));
    lines.extend(conservation(account, style));
    lines.extend(own_losses(account, style));
    lines.extend(punctuality(account, style));
    lines.extend(orders(account, style));
    lines.iter().try_for_each(|line| line.write(out, style))
}

/// The account in a sentence or two, for runs that say more than that
/// themselves; then what the link lost by itself.
pub(super) fn in_short(account: &Account, style: &Style) -> Vec<Line> {
    let each = DIRECTIONS.map(|(direction, name)| {
        let traffic = account.count.wire.towards(direction);
        format!("{name} {}", fates(traffic, "packets offered"))
    });
    let text = format!("The link: {}.", each.join("; "));
    let mut lines = table::sentence(Paint::Plain, &text, style);
    if !account.is_conserved() {
        lines.extend(conservation(account, style));
    }
    lines.extend(own_losses(account, style));
    lines.extend(punctuality(account, style));
    lines
}

/// Whether the wire did anything to any packet.
pub(super) fn is_impaired(account: &Account) -> bool {
    let is_impaired = |(direction, _): (Direction, _)| {
        let traffic = account.count.wire.towards(direction);
        let changed = CHANGES.iter().any(|(_, count)| count(traffic) > 0);
        changed || !traffic.lost.is_empty() || traffic.copied.packets > 0
    };
    DIRECTIONS.into_iter().any(is_impaired)
}

type Count = fn(&Traffic) -> u64;

/// What was changed of delivered packets.
const CHANGES: [(&str, Count); 6] = [
    ("delayed", |traffic| traffic.changed.delayed),
    ("sent ahead", |traffic| traffic.changed.hastened),
    ("reordered", |traffic| traffic.changed.reordered),
    ("corrupted", |traffic| traffic.changed.corrupted),
    ("truncated", |traffic| traffic.changed.truncated),
    ("marked CE", |traffic| traffic.changed.marked),
];

/// All that entered and all that was made, in packets.
fn entered(traffic: &Traffic) -> u64 {
    traffic.offered.packets + traffic.copied.packets
}

/// A table's rows, each with a cell a direction.
struct Rows<'a> {
    carried: &'a Carried,
    rows: Vec<Vec<String>>,
}

impl Rows<'_> {
    /// A row, unless it is nothing but zeros.
    fn add(&mut self, name: &str, count: impl Fn(&Traffic) -> u64) {
        self.row(name, count, |_, _| String::new());
    }

    /// The same with the share of all packets.
    fn add_share(&mut self, name: &str, count: impl Fn(&Traffic) -> u64) {
        self.row(name, count, |count, traffic| match count {
            0 => String::new(),
            _ => percent(count, entered(traffic)),
        });
    }

    fn row(
        &mut self,
        name: &str,
        count: impl Fn(&Traffic) -> u64,
        share: impl Fn(u64, &Traffic) -> String,
    ) {
        let traffic = DIRECTIONS.map(|(direction, _)| self.carried.towards(direction));
        if traffic.iter().any(|traffic| count(traffic) > 0) {
            let cells = traffic.map(|traffic| {
                let count = count(traffic);
                [grouped(count), share(count, traffic)]
            });
            self.rows
                .push([vec![name.to_owned()], cells.concat()].concat());
        }
    }
}

fn directions(account: &Account, style: &Style) -> Vec<Line> {
    let carried = &account.count.wire;
    let mut rows = Rows {
        carried,
        rows: Vec::new(),
    };
    rows.add("offered", |traffic| traffic.offered.packets);
    rows.add("copied", |traffic| traffic.copied.packets);
    rows.add_share("delivered", |traffic| traffic.delivered.packets);
    for (name, count) in CHANGES {
        rows.add_share(&format!("  {name}"), count);
    }
    rows.add_share("lost", |traffic| traffic.lost_in_all().packets);
    for cause in causes(carried) {
        let lost = |traffic: &Traffic| traffic.lost.get(cause).map_or(0, |lost| lost.packets);
        rows.add_share(&format!("  {cause}"), lost);
    }
    rows.add_share("refused", |traffic| traffic.refused.packets);
    rows.add_share("under way", |traffic| traffic.queued.packets);
    rows.add("bytes offered", |traffic| traffic.offered.bytes);
    rows.add("  copied", |traffic| traffic.copied.bytes);
    rows.add("  delivered", |traffic| traffic.delivered.bytes);
    rows.add("  cut off", |traffic| traffic.truncated_bytes);
    rows.add("  lost", |traffic| traffic.lost_in_all().bytes);
    rows.add("  refused", |traffic| traffic.refused.bytes);
    rows.add("  under way", |traffic| traffic.queued.bytes);
    if rows.rows.is_empty() {
        return table::sentence(Paint::Plain, "No packet entered the link.", style);
    }
    let [(_, up), (_, down)] = DIRECTIONS;
    let head = [
        ("packets", Align::Left),
        (up, Align::Right),
        ("", Align::Right),
        (down, Align::Right),
        ("", Align::Right),
    ];
    table::table(&head, &rows.rows, style)
}

/// Why packets were lost on purpose, in either direction.
fn causes(carried: &Carried) -> Vec<&str> {
    let both = DIRECTIONS.map(|(direction, _)| carried.towards(direction).lost.keys());
    let mut causes: Vec<&str> = both.into_iter().flatten().map(AsRef::as_ref).collect();
    causes.sort_unstable();
    causes.dedup();
    causes
}

/// So many flows are listed.
const MOST_FLOWS: usize = 12;

/// The busiest flows, where there are several.
fn flows(flows: &[FlowAccount], style: &Style) -> Vec<Line> {
    let mut lines = vec![Line::default()];
    if let [flow] = flows {
        let text = format!("All of it is {}.", flow.name);
        lines.extend(table::sentence(Paint::Plain, &text, style));
    }
    if flows.len() < 2 {
        return lines;
    }
    let packets = |flow: &FlowAccount| -> u64 {
        let each = DIRECTIONS.map(|(direction, _)| entered(flow.carried.towards(direction)));
        each.iter().sum()
    };
    let mut busiest: Vec<&FlowAccount> = flows.iter().collect();
    busiest.sort_by_key(|flow| (std::cmp::Reverse(packets(flow)), flow.flow));
    busiest.truncate(MOST_FLOWS);
    lines.extend(listed(&busiest, style));
    let others = flows.len() - busiest.len();
    if others > 0 {
        let text = format!("and {} more flows", grouped(others as u64));
        lines.extend(table::sentence(Paint::Faint, &text, style));
    }
    lines.push(Line::default());
    lines
}

/// Flows in a table, or in sentences where that is too wide.
fn listed(flows: &[&FlowAccount], style: &Style) -> Vec<Line> {
    let head = [
        ("flow", Align::Right),
        ("", Align::Left),
        ("→ sent", Align::Right),
        ("lost", Align::Right),
        ("← sent", Align::Right),
        ("lost", Align::Right),
    ];
    let rows: Vec<Vec<String>> = flows
        .iter()
        .map(|flow| {
            let mut cells = vec![flow.flow.to_string(), flow.name.to_string()];
            for (direction, _) in DIRECTIONS {
                let traffic = flow.carried.towards(direction);
                cells.push(grouped(traffic.offered.packets));
                cells.push(match traffic.lost_in_all().packets {
                    0 => "0".to_owned(),
                    lost => percent(lost, entered(traffic)),
                });
            }
            cells
        })
        .collect();
    if table::natural_width(&head, &rows) <= style.columns() {
        let mut lines = table::table(&head, &rows, style);
        lines.extend(flows.iter().flat_map(|flow| changed(flow, style)));
        return lines;
    }
    let said = |flow: &&FlowAccount| {
        let [up, down] = DIRECTIONS.map(|(direction, _)| flow.carried.towards(direction));
        let (up, down) = (fates(up, "packets"), fates(down, "packets"));
        let text = format!("flow {}, {}: → {up}; ← {down}", flow.flow, flow.name);
        table::sentence(Paint::Plain, &text, style)
    };
    flows.iter().flat_map(said).collect()
}

/// What the table has no columns for: what was changed of a flow's packets.
fn changed(flow: &FlowAccount, style: &Style) -> Vec<Line> {
    let each = DIRECTIONS.map(|(direction, _)| {
        let traffic = flow.carried.towards(direction);
        let copied = [("copied", traffic.copied.packets)];
        // That all were delayed is the setting, not the flow's lot.
        let changes = CHANGES.iter().filter(|(name, _)| *name != "delayed");
        let changes = changes.map(|(name, count)| (*name, count(traffic)));
        let said = copied.into_iter().chain(changes);
        let said = said.filter(|(_, count)| *count > 0);
        let said: Vec<_> = said
            .map(|(name, count)| format!("{} {name}", grouped(count)))
            .collect();
        said.join(", ")
    });
    let said = ["→", "←"].into_iter().zip(each);
    let said: Vec<_> = said
        .filter(|(_, text)| !text.is_empty())
        .map(|(arrow, text)| format!("{arrow} {text}"))
        .collect();
    if said.is_empty() {
        return Vec::new();
    }
    let text = format!("flow {}: {}", flow.flow, said.join("; "));
    table::sentence(Paint::Plain, &text, style)
}

/// `20 packets offered, 18 delivered, 2 lost on purpose (loss 2)`.
fn fates(traffic: &Traffic, what: &str) -> String {
    let mut text = format!("{} {what}", grouped(traffic.offered.packets));
    if traffic.copied.packets > 0 {
        let _ = write!(text, ", {} copied", grouped(traffic.copied.packets));
    }
    let _ = write!(text, ", {} delivered", grouped(traffic.delivered.packets));
    let lost = traffic.lost_in_all().packets;
    if lost > 0 {
        let each = |(cause, amount): (_, &Amount)| format!("{cause} {}", grouped(amount.packets));
        let causes: Vec<_> = traffic.lost.iter().map(each).collect();
        let (lost, causes) = (grouped(lost), causes.join(", "));
        let _ = write!(text, ", {lost} lost on purpose ({causes})");
    }
    for (name, count) in CHANGES {
        let count = count(traffic);
        if count > 0 {
            let _ = write!(text, ", {} {name}", grouped(count));
        }
    }
    let queued = traffic.queued.packets;
    if queued > 0 {
        let _ = write!(text, ", {} still under way", grouped(queued));
    }
    text
}

/// Whether all that came has gone somewhere.
fn conservation(account: &Account, style: &Style) -> Vec<Line> {
    let sum = |count: fn(&Traffic) -> Amount| {
        let mut sum = Amount::default();
        for (direction, _) in DIRECTIONS {
            sum += count(account.count.wire.towards(direction));
        }
        sum
    };
    let offered = sum(|traffic| traffic.offered);
    let copied = sum(|traffic| traffic.copied);
    let delivered = sum(|traffic| traffic.delivered);
    let lost = sum(Traffic::lost_in_all);
    let refused = sum(|traffic| traffic.refused);
    let queued = sum(|traffic| traffic.queued);
    let came = offered.packets + copied.packets;
    let went = delivered.packets + lost.packets + refused.packets + queued.packets;
    let mut text = grouped(offered.packets) + " offered";
    if copied.packets > 0 {
        let _ = write!(text, " + {} copied", grouped(copied.packets));
    }
    let sign = if came == went { "=" } else { "≠" };
    let _ = write!(
        text,
        " {sign} {} delivered + {} lost",
        grouped(delivered.packets),
        grouped(lost.packets)
    );
    if refused.packets > 0 {
        let _ = write!(text, " + {} refused", grouped(refused.packets));
    }
    let _ = write!(text, " + {} still under way", grouped(queued.packets));
    if account.is_conserved() {
        return table::sentence(Paint::Good, &format!("{RIGHT} {text}"), style);
    }
    let why = match came.cmp(&went) {
        std::cmp::Ordering::Greater => format!("{} missing", counted(came - went, "packet")),
        std::cmp::Ordering::Less => format!("{} too many", counted(went - came, "packet")),
        std::cmp::Ordering::Equal => match crooked(account) {
            Some(flow) => format!("but flow {flow} does not add up"),
            None => "but the bytes do not add up".to_owned(),
        },
    };
    table::sentence(Paint::Failure, &format!("{WRONG} {text}: {why}"), style)
}

/// The first flow that is not conserved.
fn crooked(account: &Account) -> Option<u32> {
    let is_conserved = |flow: &&FlowAccount| {
        let mut both = DIRECTIONS.into_iter();
        both.all(|(direction, _)| flow.carried.towards(direction).is_conserved())
    };
    let mut flows = account.count.flows.iter();
    flows.find(|flow| !is_conserved(flow)).map(|flow| flow.flow)
}

/// What was lost and nobody asked for.
pub(super) fn own_losses(account: &Account, style: &Style) -> Vec<Line> {
    let lost = account.unmodelled_loss();
    if lost == 0 {
        let text = format!("{RIGHT} The link itself lost nothing.");
        return table::sentence(Paint::Good, &text, style);
    }
    let text = format!(
        "{WRONG} The link itself lost {} (device drops included): \
         the figures of this run are not to be trusted.",
        counted(lost, "packet")
    );
    table::sentence(Paint::Failure, &text, style)
}

/// How long after they were due packets left.
fn punctuality(account: &Account, style: &Style) -> Vec<Line> {
    let lateness = account.count.lateness;
    if lateness.packets == 0 {
        return Vec::new();
    }
    let text = format!(
        "Delayed packets left p50 {}, p99 {}, max {} after they were due.",
        duration(lateness.p50),
        duration(lateness.p99),
        duration(lateness.max)
    );
    table::sentence(Paint::Plain, &text, style)
}

/// What the link was told to do: words that do the same again.
fn orders(account: &Account, style: &Style) -> Vec<Line> {
    let Some(plan) = &account.plan else {
        return Vec::new();
    };
    let text = format!("The link was told: {plan}.");
    table::sentence(Paint::Plain, &text, style)
}
