//! The lines of a chat room.
//!
//! Values in, text out; knows no colour and no layout.

use std::time::Duration;

use crate::event::{Chat, Departure};
use crate::protocol::chat::{duration, numbers};
use crate::report::talk::Detail;

/// What is said of a step, at this detail. What members say to each other is
/// the tool's own output, and told here only where steps are asked for.
pub(in crate::report) fn lines(step: &Chat, detail: Detail) -> Vec<String> {
    let is_brief = detail == Detail::Least;
    let line = match step {
        Chat::Refused { address, reason } => format!("{address} was sent away: {reason}"),
        _ if is_brief => return Vec::new(),
        Chat::Joined {
            member,
            nick,
            address,
        } => format!("{nick} joined: client {member} at {address}"),
        Chat::Said {
            nick,
            text,
            heard_by,
            ..
        } => format!(
            "{nick} said {} to {}",
            counted(text.len(), "byte"),
            heard_by
        ),
        Chat::Whispered {
            nick, to, bytes, ..
        } => format!("{nick} said {} to {to} only", counted(*bytes, "byte")),
        Chat::Renamed { from, to, .. } => format!("{from} is now {to}"),
        Chat::Denied { nick, reason, .. } => format!("{nick} was told: {reason}"),
        Chat::Missing { nick, from, to, .. } => {
            let count = usize::try_from(to - from)
                .unwrap_or(usize::MAX)
                .saturating_add(1);
            let count = counted(count, "message");
            format!(
                "lost on the way: {count} of {nick} ({})",
                numbers(*from, *to)
            )
        }
        Chat::Stray {
            nick,
            number,
            again,
            ..
        } => {
            let how = if *again { "a second time" } else { "late" };
            format!("#{number} of {nick} came {how}")
        }
        Chat::Heard { line } => format!("received: {line}"),
        Chat::Sent { line } => format!("sent: {line}"),
        Chat::Left { .. } => left(step),
    };
    vec![line]
}

fn left(step: &Chat) -> String {
    let Chat::Left {
        nick,
        why,
        lines,
        received,
        dropped_lines,
        stayed,
        ..
    } = step
    else {
        return String::new();
    };
    let why = match why {
        Departure::Exit => "",
        Departure::Ended => ": the stream ended",
        Departure::Reset => ": connection reset (ECONNRESET)",
        Departure::TooSlow => ": too slow",
        Departure::Idle => ": idle",
        Departure::Unfinished => ": a line took too long",
        Departure::Failed => ": the connection failed",
        Departure::Closed => ": the room closes",
    };
    let lines = counted(usize::try_from(*lines).unwrap_or(usize::MAX), "line");
    let dropped = match dropped_lines {
        0 => String::new(),
        count => format!(", {count} waiting lines dropped"),
    };
    let stayed = duration(Duration::from_secs(stayed.as_secs()));
    format!("{nick} left{why}; here for {stayed}, {lines} of {received} bytes{dropped}")
}

fn counted(count: usize, word: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {word}{plural}")
}
