//! The lines of a file transfer, and what came of its demonstration.
//!
//! Values in, text out; knows no colour and no layout but the closing table's.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::SocketAddr;

use crate::app::file::Totals;
use crate::app::file::demo::{Fate, Played};
use crate::event::{File, FileStep, FileTally, Place};
use crate::protocol::file::Role;
use crate::report::Evidence;
use crate::report::evidence::Disagreements;
use crate::report::figure::{counted, duration, grouped, rate};
use crate::report::line::Line;
use crate::report::style::Style;
use crate::report::table::{self, Align, RIGHT, WRONG};
use crate::report::talk::Detail;

/// What is said of a step at this end, at this detail. Whoever listens has many
/// transfers, and says which.
pub(in crate::report) fn lines(of: &FileStep, end: Place, detail: Detail) -> Vec<String> {
    let FileStep { peer, step } = of;
    if step.is_routine() && detail == Detail::Least {
        return Vec::new();
    }
    let text = match step {
        File::Greeted { name, role } => greeted(*peer, name, *role),
        _ if end == Place::Server => format!("{peer}: {}", line(step)),
        _ => line(step),
    };
    vec![text]
}

fn greeted(peer: SocketAddr, name: &str, role: Role) -> String {
    let does = match role {
        Role::Send => "it sends",
        Role::Receive => "it receives",
    };
    format!("{peer} greets as {name}: {does}")
}

/// What is said before a file's bytes move.
fn line(step: &File) -> String {
    match step {
        File::Announced {
            files,
            directories,
            bytes,
        } => format!(
            "to be offered: {}, {}, {}",
            counted(*files, "file"),
            counted(*directories, "folder"),
            counted(*bytes, "byte")
        ),
        File::LeftOut { path, why } => format!("{path}: not sent: {why}"),
        File::Offered {
            name,
            size,
            block,
            hash,
        } => format!(
            "{name}: offered, {} in blocks of {}, judged by {hash}",
            counted(*size, "byte"),
            grouped(*block)
        ),
        File::Wanted { name, offset: 0 } => format!("{name}: wanted"),
        File::Wanted { name, offset } => {
            format!("{name}: wanted from byte {} on", grouped(*offset))
        }
        File::Compared { name } => format!("{name}: there already; is it the same?"),
        File::Over(tally) => summary(tally),
        moved => outcome(moved),
    }
}

/// What is said of its bytes, and of what became of it.
fn outcome(step: &File) -> String {
    let because = |cause: &Option<String>| match cause {
        Some(cause) => format!(": {cause}"),
        None => String::new(),
    };
    match step {
        File::Restarted { name, discarded } => format!(
            "{name}: {} from before are of something else, it starts anew",
            counted(*discarded, "byte")
        ),
        File::Rehearsed { name, size } => {
            format!("{name}: would be received, {}", counted(*size, "byte"))
        }
        File::Skipped {
            name,
            reason,
            cause,
        } => format!("{name}: not received: {reason}{}", because(cause)),
        File::Data {
            name,
            offset,
            length,
            blocks,
        } => format!(
            "{name}: {} from byte {} on, {}",
            counted(*length, "byte"),
            grouped(*offset),
            counted(*blocks, "block")
        ),
        File::Ended { name, size, hash } => {
            format!("{name}: over after {}, {hash}", counted(*size, "byte"))
        }
        File::Kept {
            name, named: None, ..
        } => format!("{name}: received, whole"),
        File::Kept {
            name,
            named: Some(named),
            ..
        } => format!("{name}: received as {named}, whole"),
        File::Failed { name, code, cause } => {
            format!("{name}: not received: {code}{}", because(cause))
        }
        File::Missing { files, directories } => {
            let counts = [(*files, "file"), (*directories, "folder")];
            let some = counts.iter().filter(|(count, _)| *count > 0);
            let some: Vec<String> = some.map(|(count, what)| counted(*count, what)).collect();
            format!("{}: announced, and never came", some.join(" and "))
        }
        _ => String::new(),
    }
}

/// What a transfer came to, in one line.
pub fn summary(tally: &FileTally) -> String {
    let mut text = format!(
        "{}, {} in {}",
        counted(tally.files, "file"),
        counted(tally.moved, "byte"),
        duration(tally.took)
    );
    if tally.moved > 0 {
        let rate = rate(tally.moved, tally.took, "B");
        let _ = write!(text, " ({rate})");
    }
    if tally.resumed > 0 {
        let resumed = counted(tally.resumed, "byte");
        let _ = write!(text, "; {resumed} there from before");
    }
    for (count, what) in [
        (tally.same, "there already, the same"),
        (tally.skipped, "not wanted"),
        (tally.failed, "failed"),
    ] {
        if count > 0 {
            let _ = write!(text, "; {} {what}", grouped(count));
        }
    }
    text
}

/// What would be sent, in one line below the files' sizes.
pub fn rehearsal(totals: Totals) -> String {
    let files = counted(totals.files, "file");
    let folders = counted(totals.directories, "folder");
    let bytes = grouped(totals.bytes);
    format!("{bytes:>15}  in {files} and {folders}; nothing was sent")
}

/// Writes what came of the demonstration.
pub fn render(
    out: &mut impl Write,
    played: &Played,
    evidence: Evidence<'_>,
    style: &Style,
) -> io::Result<()> {
    let head = [
        ("file", Align::Left),
        ("bytes", Align::Right),
        ("there before", Align::Right),
        ("blocks sent", Align::Right),
        ("on the receiver's disk", Align::Left),
    ];
    let rows: Vec<Vec<String>> = played.files.iter().map(row).collect();
    let mut lines = table::heading("Files: whole and equal, or not there at all", style);
    lines.extend(table::table(&head, &rows, style));
    lines.push(Line::default());
    lines.extend(evidence.link_lines(style));
    let checked = "Both ends' counts, the disks, the packets and the link's counters";
    lines.extend(check(played, evidence).lines(checked, style));
    lines.iter().try_for_each(|line| line.write(out, style))
}

fn row(fate: &Fate) -> Vec<String> {
    let verdict = if fate.is_equal {
        format!("{RIGHT} equal, byte for byte")
    } else {
        format!("{WRONG} another file")
    };
    vec![
        fate.name.clone(),
        grouped(fate.size),
        grouped(fate.resumed),
        grouped(fate.blocks),
        verdict,
    ]
}

/// What should agree and does not; empty is success.
pub fn disagreements(played: &Played, evidence: Evidence<'_>) -> Vec<String> {
    check(played, evidence).into_texts()
}

fn check(played: &Played, evidence: Evidence<'_>) -> Disagreements {
    let mut found = evidence.disagreements();
    let (server, client) = (&played.server, &played.client);
    let sent = ("files sent", server.files);
    found.compare("both ends", sent, ("files received", client.files));
    let sent = ("bytes sent", server.moved);
    found.compare("both ends", sent, ("bytes received", client.moved));
    for fate in played.files.iter().filter(|fate| !fate.is_equal) {
        found.add(format!("{}: the receiver has another file", fate.name));
    }
    found
}
