//! From a comparison to its page: the question, the words, the facts.
//!
//! Draws nothing.

use std::io::{self, Write};
use std::net::SocketAddr;

use super::{Capture, Kept, Lane, Page, figures, render};
use crate::compare::{Compared, Variant};
use crate::report::compare::{Shown, closing, found_wrong, headline};
use crate::report::json::Environment;

/// What a comparison's page is made from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The figures.
    pub shown: Shown<'a>,
    /// The events.
    pub kept: &'a Kept,
    /// The packets as a file.
    pub capture: Option<&'a Capture>,
    /// Where it was done.
    pub environment: &'a Environment,
    /// What the link did to packets, as a description of it.
    pub plan: Option<&'a str>,
    /// The congestion control of the streams, where it is known.
    pub congestion_control: Option<&'a str>,
    /// The command that does the same again.
    pub command: &'a str,
}

/// Writes the page.
pub fn write(out: &mut impl Write, source: &Source<'_>) -> io::Result<()> {
    let shown = &source.shown;
    let lanes: Vec<Lane<'_>> = shown.compared.iter().filter_map(lane).collect();
    let page = Page {
        question: &question(&lanes),
        setting: &(headline(shown) + "."),
        words: &closing(shown),
        failures: &found_wrong(shown),
        table: &figures::table(shown.compared),
        lanes: &lanes,
        kept: source.kept,
        facts: &facts(source),
        command: source.command,
        capture: source.capture,
    };
    render(out, &page)
}

/// A kind that took part.
fn lane(compared: &Compared) -> Option<Lane<'_>> {
    let figures = compared.column.result.as_ref().ok()?;
    let client = figures.client;
    Some(Lane {
        variant: compared.column.variant,
        client: client
            .port
            .map(|port| SocketAddr::new(client.address, port)),
        messages: &compared.column.messages,
    })
}

/// What the run asks: `What do TCP, UDP and raw sockets make of the same
/// messages?`
fn question(lanes: &[Lane<'_>]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for lane in lanes {
        let name = match lane.variant {
            Variant::Tcp | Variant::TcpNodelay => "TCP",
            Variant::Udp | Variant::UdpConnected => "UDP",
            Variant::RawIcmp | Variant::RawIp => "raw",
            Variant::IcmpDatagram => "ICMP datagram",
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let listed = match names.split_last() {
        None => return "What do sockets make of the same messages?".to_owned(),
        Some((only, [])) => (*only).to_owned(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    };
    let make = if names.len() == 1 {
        "What does a"
    } else {
        "What do"
    };
    let sockets = if names.len() == 1 {
        "socket"
    } else {
        "sockets"
    };
    format!("{make} {listed} {sockets} make of the same messages?")
}

fn facts(source: &Source<'_>) -> Vec<(&'static str, String)> {
    let environment = source.environment;
    let link = source.shown.link;
    let plan = source
        .plan
        .map_or_else(|| "nothing".to_owned(), ToOwned::to_owned);
    let family = format!("{:?}", source.shown.config.family).replace("Ip", "IP");
    let facts = [
        (
            "kernel",
            environment
                .kernel
                .as_ref()
                .map(|kernel| format!("Linux {kernel}")),
        ),
        ("where it ran", Some(environment.stage.clone())),
        ("what the link does to packets", link.map(|_| plan)),
        (
            "seed of the link’s draws",
            link.map(|link| link.seed.to_string()),
        ),
        (
            "congestion control of TCP",
            source.congestion_control.map(ToOwned::to_owned),
        ),
        ("address family", Some(family)),
        ("began at", Some(utc(environment.started_at_unix_ns))),
        ("socklab", Some(environment.version.to_owned())),
    ];
    let known = facts
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    known.collect()
}

/// A moment in the form of RFC 3339, in whole seconds.
fn utc(unix_ns: u64) -> String {
    let seconds = unix_ns / 1_000_000_000;
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant, "chrono-compatible low-level date algorithms": the year
    // begins in March, so that a leap day is its last.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let of_era_years = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * of_era_years + of_era_years / 4 - of_era_years / 100);
    let march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = of_era_years + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_200, "2024-03-01T00:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(utc(seconds * 1_000_000_000), text);
        }
    }

    #[test]
    fn the_question_names_each_kind_once() {
        let lane = |variant| Lane {
            variant,
            client: None,
            messages: &[],
        };
        for (variants, text) in [
            (
                &Variant::USUAL[..],
                "What do TCP, UDP and raw sockets make of the same messages?",
            ),
            (
                &[Variant::Tcp, Variant::TcpNodelay],
                "What does a TCP socket make of the same messages?",
            ),
        ] {
            let lanes: Vec<Lane<'_>> = variants.iter().copied().map(lane).collect();
            assert_eq!(question(&lanes), text);
        }
    }
}
