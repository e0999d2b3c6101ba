//! A path's MTU in words: each size that was tried, the largest that passes, and
//! what limits it.

use super::{called, milliseconds, rule};
use crate::event::{EchoMtu, EchoMtuFinding, EchoMtuStep};
use crate::report::figure::counted;
use crate::report::line::Line;
use crate::report::style::Paint;

/// A TCP header's bytes beyond those of an ICMP echo header.
const TCP_BEYOND_ECHO: u32 = 12;

pub(super) fn step(step: &EchoMtuStep) -> Line {
    let finding = match &step.finding {
        EchoMtuFinding::Passes { round_trip } => {
            format!("answered in {} ms", milliseconds(*round_trip))
        }
        EchoMtuFinding::Refused {
            from,
            from_name,
            meaning,
            ..
        } => format!("{}: {meaning}", called(from, from_name.as_deref())),
        EchoMtuFinding::Unsent {
            mtu_bytes: Some(mtu),
            ..
        } => format!("this host: the interface has {mtu}"),
        EchoMtuFinding::Unsent { errno, meaning, .. } => {
            format!("this host: {meaning} ({errno})")
        }
        EchoMtuFinding::Vanishes => {
            format!("nothing heard, {} sent", counted(step.tries.into(), "time"))
        }
    };
    let paint = match &step.finding {
        EchoMtuFinding::Passes { .. } => Paint::Good,
        _ => Paint::Warning,
    };
    let bytes = format!("{:>5} bytes  ", step.packet_bytes);
    Line::of(Paint::Plain, &bytes).with(paint, &finding)
}

pub(super) fn summary(found: &EchoMtu) -> Vec<Line> {
    let plain = |text: &str| Line::of(Paint::Plain, text);
    let mut lines = vec![Line::default(), plain(&rule(&found.ends, "path MTU"))];
    if let (Some(mtu), Some(payload)) = (found.mtu_bytes, found.payload_bytes) {
        let segment = payload.saturating_sub(TCP_BEYOND_ECHO);
        let uses = format!(": ping -s {payload}, {payload} of UDP, {segment} of TCP");
        let least = if found.complete { "" } else { "at least " };
        let bytes = Line::of(Paint::Heading, &format!("{least}{mtu} bytes"));
        lines.push(bytes.with(Paint::Plain, &uses));
        lines.push(Line::of(paint_of_limit(found), &limit(found, mtu)));
    } else {
        let unknown = Line::of(Paint::Failure, "unknown");
        lines.push(unknown.with(Paint::Plain, &format!(": {}", no_answer(found))));
    }
    if let Some(kernel) = found.kernel_mtu_bytes {
        lines.push(plain(&format!("this host's kernel assumes {kernel} bytes")));
    }
    let requests = counted(found.probes, "request");
    let time = found.time.as_millis();
    lines.push(plain(&format!("{requests}, time {time}ms")));
    lines
}

/// Only a black hole and a router that errs are out of order.
fn paint_of_limit(found: &EchoMtu) -> Paint {
    if !found.complete {
        return Paint::Failure;
    }
    match found.beyond.as_ref().map(|step| &step.finding) {
        Some(EchoMtuFinding::Vanishes) => Paint::Failure,
        Some(EchoMtuFinding::Refused { mtu_bytes, .. }) if *mtu_bytes != found.mtu_bytes => {
            Paint::Warning
        }
        _ => Paint::Plain,
    }
}

/// What happens to larger packets.
fn limit(found: &EchoMtu, mtu: u32) -> String {
    if !found.complete {
        let tried = found.beyond.as_ref().map(|step| step.packet_bytes);
        return match tried {
            Some(bytes) => format!("not searched to the end: {bytes} do not pass"),
            None => "not searched to the end".to_owned(),
        };
    }
    let Some(beyond) = &found.beyond else {
        return "no limit: the largest packet there is passes".to_owned();
    };
    match &beyond.finding {
        EchoMtuFinding::Refused {
            from,
            from_name,
            mtu_bytes,
            meaning,
            ..
        } => {
            let who = called(from, from_name.as_deref());
            match mtu_bytes {
                Some(stated) if *stated == mtu => {
                    format!("limited by {who}, which says {stated}")
                }
                Some(stated) => format!("limited by {who}, which says {stated}, wrongly"),
                None => format!("limited by {who}, which says {meaning}"),
            }
        }
        EchoMtuFinding::Unsent { .. } => {
            let interface = found.ends.interface.as_deref().unwrap_or("interface");
            format!("limited by this host's {interface}")
        }
        EchoMtuFinding::Vanishes => {
            let place = found.last_heard.as_ref().map_or_else(
                || "; no router on the way was heard of".to_owned(),
                |heard| {
                    let who = called(&heard.from, heard.from_name.as_deref());
                    format!(" behind hop {}, {who}", heard.hop)
                },
            );
            format!("larger packets vanish without a word{place}")
        }
        EchoMtuFinding::Passes { .. } => "not searched to the end".to_owned(),
    }
}

/// Why not even the smallest packet was answered.
fn no_answer(found: &EchoMtu) -> String {
    if !found.complete {
        return "ended before anything was known".to_owned();
    }
    match found.beyond.as_ref().map(|step| &step.finding) {
        Some(EchoMtuFinding::Refused {
            from,
            from_name,
            meaning,
            ..
        }) => format!("{} says {meaning}", called(from, from_name.as_deref())),
        Some(EchoMtuFinding::Unsent { errno, meaning, .. }) => {
            format!("this host could not send: {meaning} ({errno})")
        }
        Some(EchoMtuFinding::Vanishes) => "no answer, however small the packet".to_owned(),
        Some(EchoMtuFinding::Passes { .. }) | None => "ended before anything was known".to_owned(),
    }
}
