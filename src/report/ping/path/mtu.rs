//! A path's MTU in words: each size that was tried, the largest that passes, and
//! what limits it.

use std::fmt::Write as _;

use super::{called, milliseconds};
use crate::event::{EchoMtu, EchoMtuFinding, EchoMtuStep};
use crate::report::figure::counted;

/// A TCP header's bytes beyond those of an ICMP echo header.
const TCP_BEYOND_ECHO: u32 = 12;

pub(super) fn step(step: &EchoMtuStep) -> String {
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
    format!("{:>5} bytes  {finding}\n", step.packet_bytes)
}

pub(super) fn summary(found: &EchoMtu) -> String {
    let mut text = format!("\n--- {} path MTU ---\n", found.ends.target.name);
    if let (Some(mtu), Some(payload)) = (found.mtu_bytes, found.payload_bytes) {
        let segment = payload.saturating_sub(TCP_BEYOND_ECHO);
        let _ = writeln!(
            text,
            "{mtu} bytes: ping -s {payload}, {payload} of UDP, {segment} of TCP"
        );
        let _ = writeln!(text, "{}", limit(found, mtu));
    } else {
        let _ = writeln!(text, "unknown: {}", no_answer(found));
    }
    if let Some(kernel) = found.kernel_mtu_bytes {
        let _ = writeln!(text, "this host's kernel assumes {kernel} bytes");
    }
    let requests = counted(found.probes, "request");
    let _ = writeln!(text, "{requests}, time {}ms", found.time.as_millis());
    text
}

/// What happens to larger packets.
fn limit(found: &EchoMtu, mtu: u32) -> String {
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
                || "before any router".to_owned(),
                |heard| {
                    let who = called(&heard.from, heard.from_name.as_deref());
                    format!("behind hop {}, {who}", heard.hop)
                },
            );
            format!("larger packets vanish without a word {place}")
        }
        EchoMtuFinding::Passes { .. } => "not searched to the end".to_owned(),
    }
}

/// Why not even the smallest packet was answered.
fn no_answer(found: &EchoMtu) -> String {
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
        Some(EchoMtuFinding::Passes { .. }) | None => "interrupted".to_owned(),
    }
}
