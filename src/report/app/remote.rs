//! The lines of remote control.
//!
//! Values in, text out; knows no colour and no layout. What others sent is
//! escaped.

use std::io::{self, Write};

use crate::app::remote::Served;
use crate::app::remote::demo::{Outcome, Row};
use crate::event::Remote;
use crate::protocol::remote::{Entry, Output, harmless};
use crate::report::evidence::Evidence;
use crate::report::figure::{counted, duration, grouped};
use crate::report::line::Line;
use crate::report::style::{Paint, Style};
use crate::report::table::{self, Align, RIGHT, WRONG};
use crate::report::talk::Detail;

/// Writes what came of the demonstration.
pub fn render(
    out: &mut impl Write,
    outcome: &Outcome,
    evidence: Evidence<'_>,
    style: &Style,
) -> io::Result<()> {
    let head = [("asked", Align::Left), ("answer", Align::Left)];
    let row = |row: &Row| {
        let sign = if is_right(row) { RIGHT } else { WRONG };
        vec![row.question.to_owned(), format!("{sign} {}", row.answer)]
    };
    let rows: Vec<Vec<String>> = outcome.rows.iter().map(row).collect();
    let mut lines = table::heading("what was asked, and what came of it", style);
    lines.extend(table::table(&head, &rows, style));
    lines.push(Line::default());
    let count = format!(
        "The server let in whom it knew: {}.",
        summary(&outcome.served)
    );
    lines.extend(table::sentence(Paint::Plain, &count, style));
    lines.extend(evidence.link_lines(style));
    for wrong in disagreements(outcome, evidence) {
        lines.extend(table::sentence(
            Paint::Failure,
            &format!("{WRONG} {wrong}"),
            style,
        ));
    }
    lines.iter().try_for_each(|line| line.write(out, style))
}

/// What did not come as it had to, a sentence each; empty is success.
pub fn disagreements(outcome: &Outcome, _: Evidence<'_>) -> Vec<String> {
    let wrong = outcome.rows.iter().filter(|row| !is_right(row));
    wrong
        .map(|row| {
            format!(
                "{}: {:?} where {:?} had to come",
                row.question, row.answer, row.expected
            )
        })
        .collect()
}

/// What came to a server, in one line.
pub fn summary(served: &Served) -> String {
    format!(
        "{}, {} of them closed; {} run, {} refused",
        counted(served.connections, "connection"),
        grouped(served.rejected),
        counted(served.runs, "command"),
        grouped(served.refused),
    )
}

/// Writes what may be run.
pub fn list(out: &mut impl Write, commands: &[Entry], style: &Style) -> io::Result<()> {
    let head = [
        ("command", Align::Left),
        ("parameters", Align::Left),
        ("what it does", Align::Left),
    ];
    let row = |entry: &Entry| vec![entry.id.clone(), entry.usage.clone(), entry.summary.clone()];
    let rows: Vec<Vec<String>> = commands.iter().map(row).collect();
    let lines = table::table(&head, &rows, style);
    lines.iter().try_for_each(|line| line.write(out, style))
}

fn is_right(row: &Row) -> bool {
    row.answer == row.expected
}

/// What is said of a step, at this detail.
pub(in crate::report) fn lines(step: &Remote, detail: Detail) -> Vec<String> {
    let is_least = detail == Detail::Least;
    match step {
        Remote::Serving {
            fingerprint,
            clients,
            commands,
        } => vec![
            format!("this server's key is {fingerprint}"),
            format!(
                "{} may come in, and run {}",
                counted(*clients as u64, "key"),
                counted(*commands as u64, "command")
            ),
        ],
        Remote::LockedOut { source, time } => vec![format!(
            "{source} failed too often: locked out for {}",
            duration(*time)
        )],
        // It is there already.
        Remote::Stderr { .. } => Vec::new(),
        _ if is_least => Vec::new(),
        step => vec![one(step)],
    }
}

fn one(step: &Remote) -> String {
    match step {
        Remote::Greeted {
            peer,
            fingerprint,
            name,
            took,
        } => {
            let took = duration(*took);
            let name = if name.is_empty() {
                "without a name"
            } else {
                name
            };
            format!("{peer}: handshake done in {took}: {name}, {fingerprint}")
        }
        Remote::Broken { peer, cause } => format!("{peer}: closed: {cause}"),
        Remote::TurnedAway { peer, reason } => format!("{peer}: sent away: {reason}"),
        Remote::Listed { peer, commands } => {
            format!("{peer}: list of {}", counted(*commands as u64, "command"))
        }
        Remote::Asked { id, parameters } => {
            let words: Vec<String> = parameters.iter().map(|one| format!("{one:?}")).collect();
            format!("asked to run {} {}", harmless(id), words.join(" "))
                .trim_end()
                .to_owned()
        }
        Remote::Refused { id, reason, .. } => {
            format!("refused {}: {}", harmless(id), harmless(reason))
        }
        Remote::Begun { run, id } => format!("run {run}: {id} begins"),
        Remote::Ending { run, reason } => format!("run {run}: asked to end, SIGTERM: {reason}"),
        Remote::Killed { run, reason } => format!("run {run}: killed, SIGKILL: {reason}"),
        Remote::Capped { run, output, most } => {
            let name = match output {
                Output::Stdout => "standard output",
                Output::Stderr => "standard error",
            };
            let most = counted(*most, "byte");
            format!("run {run}: {name} is more than {most}: the rest is left out")
        }
        Remote::Ended { .. } => ended(step),
        Remote::Serving { .. } | Remote::LockedOut { .. } | Remote::Stderr { .. } => String::new(),
    }
}

fn ended(step: &Remote) -> String {
    let Remote::Ended {
        run,
        id,
        outcome,
        stdout,
        stderr,
        left_out,
        took,
    } = step
    else {
        return String::new();
    };
    let took = duration(*took);
    let printed = if stdout + stderr > 0 {
        let stdout = counted(*stdout, "byte");
        let stderr = grouped(*stderr);
        format!("; {stdout} on standard output, {stderr} on standard error")
    } else {
        String::new()
    };
    let left_out = match left_out {
        0 => String::new(),
        count => format!(", {} left out", grouped(*count)),
    };
    format!("run {run}: {id} ended after {took}: {outcome}{printed}{left_out}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn whoever_waits_is_told_only_what_they_must_know() {
        let serving = Remote::Serving {
            fingerprint: "SHA256:x".into(),
            clients: 1,
            commands: 3,
        };
        assert_eq!(
            lines(&serving, Detail::Least),
            [
                "this server's key is SHA256:x",
                "1 key may come in, and run 3 commands"
            ]
        );
        let asked = Remote::Asked {
            id: "greet".into(),
            parameters: vec!["\u{1b}[2J".into()],
        };
        assert!(lines(&asked, Detail::Least).is_empty());
        assert_eq!(
            lines(&asked, Detail::Steps),
            ["asked to run greet \"\\u{1b}[2J\""]
        );
    }

    #[test]
    fn an_end_says_what_was_left_out() {
        let ended = Remote::Ended {
            run: 7,
            id: "flood".into(),
            outcome: "exit code 0".into(),
            stdout: 1_048_576,
            stderr: 0,
            left_out: 5,
            took: Duration::from_millis(12),
        };
        assert_eq!(
            lines(&ended, Detail::Steps),
            [
                "run 7: flood ended after 12.0 ms: exit code 0; 1,048,576 bytes on standard \
                 output, 0 on standard error, 5 left out"
            ]
        );
    }
}
