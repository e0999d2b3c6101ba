//! What the room says of itself.
//!
//! Values in, text out.

use std::time::Duration;

use crate::event::{Chat, Departure};

/// The commands, as `/help` tells them.
pub(super) const HELP: &[&str] = &[
    "/who             who is here",
    "/msg NAME TEXT   say something to one only",
    "/nick NAME       be called something else",
    "/help            these lines",
    "exit             leave; so does /quit",
    "anything else is said to all; //text says /text",
];

/// A time in its largest two units: `2 h 5 min`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest} s"),
        (0, _) if rest == 0 => format!("{minutes} min"),
        (0, _) => format!("{minutes} min {rest} s"),
        (_, 0) => format!("{hours} h"),
        _ => format!("{hours} h {minutes} min"),
    }
}

/// What was said in the room, as whoever keeps it sees it; none where a step is
/// nobody else's business.
pub fn transcript(step: &Chat) -> Option<String> {
    Some(match step {
        Chat::Joined { nick, address, .. } => format!("* {nick} joined ({address})"),
        Chat::Said { nick, text, .. } => format!("<{nick}> {text}"),
        Chat::Renamed { from, to, .. } => format!("* {from} is now {to}"),
        Chat::Left { nick, why, .. } => format!("* {nick} left{}", reason(*why)),
        _ => return None,
    })
}

/// Why somebody left, where that is not how everybody does.
pub(super) fn reason(why: Departure) -> &'static str {
    match why {
        Departure::Exit | Departure::Ended | Departure::Closed => "",
        Departure::Reset => ": connection reset",
        Departure::TooSlow => ": too slow",
        Departure::Idle => ": idle",
        Departure::Unfinished => ": a line took too long",
        Departure::Failed => ": connection failed",
    }
}

/// A count and its word: `1 line`, `2 lines`.
pub fn counted(count: u64, word: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {word}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_as_people_say_them() {
        for (seconds, expected) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (61, "1 min 1 s"),
            (3600, "1 h"),
            (3660, "1 h 1 min"),
            (90_061, "25 h 1 min"),
        ] {
            assert_eq!(duration(Duration::from_secs(seconds)), expected);
        }
    }
}
