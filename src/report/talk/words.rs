//! The sentences of a conversation.
//!
//! Values in, text out; knows no colour and no layout.

use std::net::SocketAddr;
use std::time::Duration;

use crate::event::{Figures, Side, Told, Way};
use crate::report::figure::{counted, duration, grouped};
use crate::report::style::Paint;

/// The least time that is worth to be told of what is counted in ticks of up to
/// 10 ms.
const TICKS: Duration = Duration::from_millis(50);

/// What is said even to whoever did not ask.
pub(super) fn brief(told: &Told<'_>) -> Option<String> {
    match told {
        Told::Listening { local } => Some(format!("listening on {local}")),
        Told::Short { cause } => Some(short(cause)),
        _ => None,
    }
}

/// What is said of a step, a line each.
pub(super) fn steps(told: &Told<'_>) -> (Paint, Vec<String>) {
    let one = |paint, text| (paint, vec![text]);
    match told {
        Told::Listening { local } => one(Paint::Good, format!("listening on {local}")),
        Told::LookingUp { name } => one(Paint::Plain, format!("looking up {name}")),
        Told::Found {
            name,
            addresses,
            complete,
            took,
        } => one(
            Paint::Plain,
            format!(
                "{} after {}",
                found(name, addresses, *complete),
                duration(*took)
            ),
        ),
        Told::Attempt { remote } => one(Paint::Plain, format!("connecting to {remote}")),
        Told::AttemptFailed {
            remote,
            cause,
            took,
        } => one(
            Paint::Failure,
            format!("{remote}: {cause}, after {}", duration(*took)),
        ),
        Told::AttemptLeft { remote } => one(
            Paint::Faint,
            format!("{remote}: given up, another address was faster"),
        ),
        Told::Connected {
            local,
            remote,
            took,
        } => one(
            Paint::Good,
            format!("connected: {local} → {remote}, in {}", duration(*took)),
        ),
        Told::Accepted { local, remote } => {
            one(Paint::Good, format!("accepted: {remote} → {local}"))
        }
        Told::Named { remote, name } => one(Paint::Plain, format!("{remote} is {name}")),
        Told::Rejected { remote, reason } => {
            one(Paint::Warning, format!("{remote}: sent away: {reason}"))
        }
        Told::Option { text } => one(Paint::Plain, format!("option {text}")),
        Told::Chunk { way, offset, bytes } => one(Paint::State, chunk(*way, *offset, bytes.len())),
        Told::Ended { by, bytes } => one(Paint::State, ended(*by, *bytes)),
        Told::Reset { by } => one(Paint::Failure, reset(*by).into()),
        Told::Short { cause } => one(Paint::Failure, short(cause)),
        Told::Over(figures) => (Paint::Plain, over(figures)),
    }
}

fn found(name: &str, addresses: &[SocketAddr], complete: bool) -> String {
    let addresses: Vec<String> = addresses.iter().map(|one| one.ip().to_string()).collect();
    match (addresses.is_empty(), complete) {
        (true, _) => format!("{name} has no other address,"),
        (false, true) => format!("{name} is {},", addresses.join(", ")),
        (false, false) => format!("{name} is {} so far,", addresses.join(", ")),
    }
}

fn ended(by: Side, bytes: u64) -> String {
    let bytes = counted(bytes, "byte");
    match by {
        Side::Us => format!("FIN sent: we say no more, after {bytes}"),
        Side::Peer => format!("FIN received: the peer says no more, after {bytes}"),
    }
}

fn reset(by: Side) -> &'static str {
    match by {
        Side::Us => "RST sent: we reset the connection",
        Side::Peer => "RST received: the peer reset the connection",
    }
}

/// The title of bytes.
pub(super) fn chunk(way: Way, offset: u64, count: usize) -> String {
    let (arrow, done) = match way {
        Way::Sent => ("→", "sent"),
        Way::Received => ("←", "received"),
    };
    let count = counted(count as u64, "byte");
    format!("{arrow} {count} {done}, from byte {} on", grouped(offset))
}

fn short(cause: &str) -> String {
    format!("accept: {cause}; those who connect wait until somebody leaves")
}

fn over(figures: &Figures) -> Vec<String> {
    let acknowledged = match figures.acknowledged {
        _ if figures.sent == 0 => String::new(),
        Some(count) if count >= figures.sent => ", all acknowledged".into(),
        Some(count) => format!(", {} acknowledged", grouped(count)),
        None => String::new(),
    };
    let mut lines = vec![format!(
        "over after {}: {} sent{acknowledged}; {} received",
        duration(figures.lasted),
        counted(figures.sent, "byte"),
        grouped(figures.received),
    )];
    if let Some(rtt) = figures.rtt {
        let least = figures
            .min_rtt
            .map_or_else(String::new, |least| format!(" (least {})", duration(least)));
        lines.push(format!(
            "RTT {}{least}, {} sent again, cwnd {} of {} bytes",
            duration(rtt),
            counted(figures.retransmitted.into(), "segment"),
            counted(figures.congestion_window.into(), "segment"),
            grouped(figures.send_mss.into()),
        ));
    }
    // The kernel counts these in its clock's ticks: below some of them they say
    // nothing.
    if let Some(busy) = figures.busy.filter(|busy| *busy >= TICKS) {
        let part = |time: Option<Duration>| duration(time.unwrap_or_default());
        lines.push(format!(
            "sending for {}; held back by the peer's window {}, by our buffer {}",
            duration(busy),
            part(figures.receive_window_limited),
            part(figures.send_buffer_limited),
        ));
    }
    lines
}
