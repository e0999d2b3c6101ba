//! A proxy's steps in words, numbered as every connection goes through them.
//!
//! Values in, text out; knows no colour and no layout.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::app::proxy::Served;
use crate::app::proxy::demonstration::{Outcome, Visit};
use crate::event::{Event, Proxy, ProxyPassword, ProxyStep, Sink, Talk, Told, Topic, What};
use crate::recorder::Recorder;
use crate::report::Evidence;
use crate::report::figure::{counted, duration, grouped};
use crate::report::line::Line;
use crate::report::style::{Paint, Style};
use crate::report::table::{self, Align, WRONG};
use crate::report::talk::Detail;

/// The proxy's steps say what happens: what is told of each connection besides
/// is left out, except where calls are told.
pub struct StepsAlone(Recorder);

impl StepsAlone {
    /// A recorder that tells it to `recorder`.
    pub fn over(recorder: Recorder) -> Recorder {
        if recorder.wants(Topic::Call) {
            return recorder;
        }
        let (place, clock) = (recorder.place(), recorder.clock());
        Recorder::new(place, clock, Arc::new(Self(recorder)))
    }
}

impl Sink for StepsAlone {
    fn wants(&self, topic: Topic) -> bool {
        self.0.wants(topic)
    }

    fn record(&self, event: &Event<'_>) {
        let is_said_by_a_step = matches!(
            &event.what,
            What::Talk(Talk {
                told: Told::Attempt { .. }
                    | Told::AttemptFailed { .. }
                    | Told::AttemptLeft { .. }
                    | Told::Connected { .. }
                    | Told::Accepted { .. }
                    | Told::Option { .. },
                ..
            })
        );
        if !is_said_by_a_step {
            self.0.at(event.host).record(event.at, event.what.clone());
        }
    }
}

/// What came of it all, at the end.
pub fn summary(served: &Served) -> Vec<String> {
    let mut lines = vec![format!(
        "{}: {} granted, {} refused; {} to destinations, {} back",
        counted(served.clients, "client"),
        grouped(served.granted),
        grouped(served.refused),
        counted(served.up, "byte"),
        counted(served.down, "byte"),
    )];
    lines.extend(served.servers.iter().map(|share| {
        let connections = counted(share.connections, "connection");
        format!("{}: {connections}", share.server)
    }));
    lines
}

/// Writes what came of the demonstration: what the proxy told, and what the
/// client got.
pub fn render(
    out: &mut impl Write,
    outcome: &Outcome,
    evidence: Evidence<'_>,
    style: &Style,
) -> io::Result<()> {
    let mut all = table::heading("Steps: what the proxy told", style);
    for event in evidence.events {
        if let What::Proxy(step) = &event.what {
            let texts = lines(step, Detail::Steps);
            all.extend(texts.iter().map(|text| {
                let mut line = Line::default();
                line.push_fit(Paint::Plain, text, style.columns());
                line
            }));
        }
    }
    all.extend(visits(outcome, style));
    all.extend(evidence.link_lines(style));
    for wrong in disagreements(outcome) {
        all.push(Line::of(Paint::Failure, &format!("{WRONG} {wrong}")));
    }
    all.iter().try_for_each(|line| line.write(out, style))
}

fn visits(outcome: &Outcome, style: &Style) -> Vec<Line> {
    let head = [
        ("Visit", Align::Left),
        ("Destination", Align::Left),
        ("Answer", Align::Left),
        ("Sent", Align::Right),
        ("Received", Align::Right),
    ];
    let row = |visit: &Visit| {
        vec![
            visit.method.to_owned(),
            visit.destination.clone(),
            visit.answer.clone(),
            format!("{}\u{a0}B", grouped(visit.sent)),
            format!("{}\u{a0}B", grouped(visit.received)),
        ]
    };
    let rows: Vec<Vec<String>> = outcome.visits.iter().map(row).collect();
    let mut all = table::heading("Visits: what the client got", style);
    all.extend(table::table(&head, &rows, style));
    all.push(Line::default());
    let texts = summary(&outcome.served);
    all.extend(texts.iter().map(|text| Line::of(Paint::Plain, text)));
    all
}

/// What client and proxy should agree on and do not, a sentence each.
pub fn disagreements(outcome: &Outcome) -> Vec<String> {
    let sum = |of: fn(&Visit) -> u64| outcome.visits.iter().map(of).sum::<u64>();
    let (sent, received) = (sum(|visit| visit.sent), sum(|visit| visit.received));
    [
        (sent, outcome.served.up, "sent", "passed on"),
        (received, outcome.served.down, "received", "passed back"),
    ]
    .into_iter()
    .filter(|(client, proxy, ..)| client != proxy)
    .map(|(client, proxy, verb, done)| {
        let client = counted(client, "byte");
        format!(
            "the client {verb} {client}, and the proxy {done} {}",
            grouped(proxy)
        )
    })
    .collect()
}

/// How many steps a connection has.
const STEPS: u8 = 8;

/// The lines for a step.
pub(in crate::report) fn lines(Proxy { client, step }: &Proxy, detail: Detail) -> Vec<String> {
    let text = match step {
        ProxyStep::Health {
            server,
            health,
            why,
        } => {
            let why = why
                .as_deref()
                .map_or_else(String::new, |why| format!(": {why}"));
            format!("{server} is {health}{why}")
        }
        ProxyStep::Full { by, most } => {
            format!("{by}: sent away: {most} are here already (--max-connections)")
        }
        _ if detail == Detail::Least => return Vec::new(),
        step => {
            let client = client.map_or_else(String::new, |number| format!("client {number}  "));
            format!("{client}{}", numbered(step))
        }
    };
    vec![text]
}

fn numbered(step: &ProxyStep) -> String {
    let (number, name) = place(step);
    let place = match number {
        Some(number) => format!("{number}/{STEPS}"),
        None => "   ".into(),
    };
    format!("{place} {name:<11} {}", said(step))
}

/// Which step it is, and what that one is called.
fn place(step: &ProxyStep) -> (Option<u8>, &'static str) {
    match step {
        ProxyStep::Asked { .. } => (Some(1), "asked"),
        ProxyStep::Method { .. } => (Some(2), "method"),
        ProxyStep::Destination { .. } => (Some(3), "destination"),
        ProxyStep::Resolved { .. } | ProxyStep::Left { .. } => (Some(4), "resolved"),
        ProxyStep::Connected { .. } => (Some(5), "connected"),
        ProxyStep::Waiting { .. } => (Some(5), "waits"),
        ProxyStep::Refused { .. } => (Some(5), "refused"),
        ProxyStep::Replied { .. } => (Some(6), "replied"),
        ProxyStep::Relayed { .. } => (Some(7), "relayed"),
        ProxyStep::Ended { .. } => (Some(8), "ended"),
        ProxyStep::Dropped { .. } => (None, "dropped"),
        ProxyStep::Full { .. } | ProxyStep::Health { .. } => (None, ""),
    }
}

fn said(step: &ProxyStep) -> String {
    match step {
        ProxyStep::Asked { by, at } => format!("{by} at {at}"),
        ProxyStep::Method {
            method,
            user,
            password,
        } => match (user, password) {
            (Some(user), _) => format!("{method}, user \"{user}\""),
            (None, Some(ProxyPassword::Wrong)) => format!("{method}, a wrong password"),
            (None, Some(ProxyPassword::Missing)) => format!("{method}, without a password"),
            (None, Some(_)) => format!("{method}, no password"),
            (None, None) => method.clone(),
        },
        ProxyStep::Destination {
            command,
            destination,
        } => format!("{command} {destination}"),
        ProxyStep::Resolved {
            addresses,
            denied,
            took,
        } => resolved(addresses, denied, *took),
        ProxyStep::Left { to } => format!("left to {to}"),
        ProxyStep::Connected {
            local,
            remote,
            through,
            took,
        } => {
            let through = through.as_deref();
            let through = through.map_or_else(String::new, |name| format!(" ({name})"));
            format!("{local} → {remote}{through} in {}", duration(*took))
        }
        ProxyStep::Waiting { local } => format!("at {local}"),
        ProxyStep::Refused { why } | ProxyStep::Dropped { why } => why.clone(),
        ProxyStep::Replied { code, meaning } => format!("{code}, {meaning}"),
        ProxyStep::Relayed {
            up,
            down,
            datagrams,
        } => {
            let of = |index: usize| {
                let counts = datagrams.as_ref();
                counts.map_or_else(String::new, |counts| {
                    format!(" in {}", counted(counts[index], "datagram"))
                })
            };
            let (up, down) = (counted(*up, "byte"), counted(*down, "byte"));
            format!("{up}{} to the destination, {down}{} back", of(0), of(1))
        }
        ProxyStep::Ended { how, lasted } => format!("{how}, after {}", duration(*lasted)),
        ProxyStep::Full { .. } | ProxyStep::Health { .. } => String::new(),
    }
}

fn resolved(addresses: &[SocketAddr], denied: &[SocketAddr], took: Option<Duration>) -> String {
    let listed = |all: &[SocketAddr]| {
        let all: Vec<String> = all.iter().map(|one| one.ip().to_string()).collect();
        all.join(", ")
    };
    let took = took.map_or_else(
        || ", which is an address".into(),
        |took| format!(" in {}", duration(took)),
    );
    match (addresses, denied) {
        (some, []) => format!("{}{took}", listed(some)),
        ([], none) => format!("{}{took}: denied", listed(none)),
        (some, others) => format!("{}{took}; denied: {}", listed(some), listed(others)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    fn text(step: ProxyStep, detail: Detail) -> String {
        let client = Some(3);
        lines(&Proxy { client, step }, detail).join("\n")
    }

    #[test]
    fn the_eight_steps_of_a_connection() {
        let took = Duration::from_micros(120);
        let steps = [
            ProxyStep::Asked {
                by: address("127.0.0.1:40000"),
                at: address("127.0.0.1:1080"),
            },
            ProxyStep::Method {
                method: "SOCKS5".into(),
                user: Some("ann".into()),
                password: Some(ProxyPassword::Right),
            },
            ProxyStep::Destination {
                command: "CONNECT".into(),
                destination: "example.org:443".into(),
            },
            ProxyStep::Resolved {
                addresses: vec![address("192.0.2.1:443")],
                denied: vec![address("10.0.0.1:443")],
                took: Some(took),
            },
            ProxyStep::Connected {
                local: address("192.0.2.9:50000"),
                remote: address("192.0.2.1:443"),
                through: None,
                took,
            },
            ProxyStep::Replied {
                code: 0,
                meaning: "granted".into(),
            },
            ProxyStep::Relayed {
                up: 1,
                down: 12_345,
                datagrams: None,
            },
            ProxyStep::Ended {
                how: "the client ended first".into(),
                lasted: took,
            },
        ];
        let lines: Vec<String> = steps
            .into_iter()
            .map(|step| text(step, Detail::Steps))
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        client 3  1/8 asked       127.0.0.1:40000 at 127.0.0.1:1080
        client 3  2/8 method      SOCKS5, user "ann"
        client 3  3/8 destination CONNECT example.org:443
        client 3  4/8 resolved    192.0.2.1 in 120 µs; denied: 10.0.0.1
        client 3  5/8 connected   192.0.2.9:50000 → 192.0.2.1:443 in 120 µs
        client 3  6/8 replied     0, granted
        client 3  7/8 relayed     1 byte to the destination, 12,345 bytes back
        client 3  8/8 ended       the client ended first, after 120 µs
        "#);
    }

    #[test]
    fn whoever_only_waits_is_told_what_goes_wrong() {
        let health = ProxyStep::Health {
            server: "a:1".into(),
            health: "down".into(),
            why: Some("connection refused (ECONNREFUSED)".into()),
        };
        assert_eq!(
            text(health, Detail::Least),
            "a:1 is down: connection refused (ECONNREFUSED)"
        );
        let waiting = ProxyStep::Waiting {
            local: address("[::1]:5"),
        };
        assert_eq!(text(waiting, Detail::Least), "");
    }
}
