//! The figures of a ping run that `ping(8)` has none for: percentiles, jitter
//! (RFC 3550), order (RFC 4737), what is lost apart from what is under way, the
//! kernel's clock beside the program's, and what the requests went through.
//!
//! One host is told in lines, several in a table. Every figure is the summary's
//! own but the two clocks', which are means over the replies.

use std::fmt::Write as _;

use super::closing::Host;
use crate::event::{EchoRoundTrips, EchoSocket, EchoSummary};
use crate::report::figure::{counted, duration, grouped, percent};
use crate::report::glyph;
use crate::report::line::Line;
use crate::report::style::{Paint, Style};
use crate::report::table::{self, Align};

/// The columns of the words before the figures.
const GUTTER: usize = 13;

/// Names in the table take no more columns.
const WIDEST_NAME: usize = 17;

/// The figures with their heading; nothing of no host.
pub(super) fn lines(hosts: &[Host<'_>], style: &Style) -> Vec<Line> {
    match hosts {
        [] => Vec::new(),
        [host] => of_one(*host, style),
        hosts => of_several(hosts, style),
    }
}

fn of_one(host: Host<'_>, style: &Style) -> Vec<Line> {
    let summary = host.summary;
    let mut lines = table::heading("Beyond ping", style);
    let mut say = |name: &str, text: &str| {
        for (number, text) in wrapped(text, style).into_iter().enumerate() {
            let mut line = Line::default();
            if number == 0 {
                line.push(Paint::Faint, name);
            }
            line.pad(GUTTER);
            line.push(Paint::Plain, &text);
            lines.push(line);
        }
    };
    if let Some(figures) = summary.round_trips {
        say("round trips", &percentiles(&figures));
        if summary.received > 1 {
            let jitter = duration(figures.jitter);
            say("jitter", &format!("{jitter} (RFC 3550)"));
        }
    }
    say("loss", &loss(summary));
    if summary.received > 1 {
        say("order", &order(summary));
    }
    if let Some(text) = clocks(host) {
        say("clocks", &text);
    }
    say("sent from", &origin(host));
    lines
}

fn wrapped(text: &str, style: &Style) -> Vec<String> {
    let text = glyph::clean(text);
    let lines = glyph::wrap(&text, style.columns() - GUTTER);
    let spaced = |line: String| line.replace('\u{a0}', " ");
    lines.into_iter().map(spaced).collect()
}

fn percentiles(figures: &EchoRoundTrips) -> String {
    let EchoRoundTrips { p50, p90, p99, .. } = *figures;
    let [p50, p90, p99] = [p50, p90, p99].map(unbroken);
    format!("p50\u{a0}{p50}, p90\u{a0}{p90}, p99\u{a0}{p99}")
}

fn unbroken(time: std::time::Duration) -> String {
    duration(time).replace(' ', "\u{a0}")
}

fn loss(summary: &EchoSummary) -> String {
    let settled = summary.transmitted.saturating_sub(summary.in_flight);
    let mut text = format!(
        "{}: {} of {}",
        percent(summary.lost, settled),
        grouped(summary.lost),
        counted(settled, "request")
    );
    let failed = settled.saturating_sub(summary.received + summary.lost);
    if failed > 0 {
        let _ = write!(text, " lost, {} failed with an error", grouped(failed));
    } else {
        text += " lost";
    }
    if summary.in_flight > 0 {
        let _ = write!(
            text,
            "; {} more under way at the end",
            grouped(summary.in_flight)
        );
    }
    text
}

fn order(summary: &EchoSummary) -> String {
    let replies = counted(summary.received, "reply").replace("replys", "replies");
    match summary.out_of_order {
        0 => format!("all {replies} in order"),
        late => format!("{} of {replies} out of order (RFC 4737)", grouped(late)),
    }
}

fn clocks(host: Host<'_>) -> Option<String> {
    let (kernel, program) = host.account.clocks.averages()?;
    let between = program.saturating_sub(kernel);
    let [kernel, program, between] = [kernel, program, between].map(unbroken);
    Some(format!(
        "{kernel} between the kernel's stamps on the way out and in, {program} between \
         the program's own calls, on average: {between} is this host's"
    ))
}

fn origin(host: Host<'_>) -> String {
    let (summary, started) = (host.summary, &host.account.started);
    let interface = summary.interface.as_ref();
    let on = interface.map_or(String::new(), |name| format!(" on\u{a0}{name}"));
    let socket = match summary.socket {
        EchoSocket::Raw => "a raw socket",
        EchoSocket::Datagram => "a datagram socket, as a raw one needs CAP_NET_RAW",
    };
    let identifier = started.identifier;
    format!(
        "{}{on} by {socket}; identifier\u{a0}{identifier}",
        summary.source
    )
}

fn of_several(hosts: &[Host<'_>], style: &Style) -> Vec<Line> {
    const HEAD: [(&str, Align); 9] = [
        ("host", Align::Left),
        ("sent", Align::Right),
        ("lost", Align::Right),
        ("loss", Align::Right),
        ("p50", Align::Right),
        ("p90", Align::Right),
        ("p99", Align::Right),
        ("jitter", Align::Right),
        ("disorder", Align::Right),
    ];
    let rows: Vec<Vec<String>> = hosts.iter().map(|host| row(host.summary)).collect();
    let mut lines = table::heading("Beyond ping", style);
    lines.extend(table::table(&HEAD, &rows, style));
    lines.extend(table::sentence(Paint::Faint, &legend(hosts), style));
    lines
}

fn row(summary: &EchoSummary) -> Vec<String> {
    let settled = summary.transmitted.saturating_sub(summary.in_flight);
    let figures = summary.round_trips;
    let figure = |of: fn(&EchoRoundTrips) -> std::time::Duration| {
        let time = figures.as_ref().map(|figures| unbroken(of(figures)));
        time.unwrap_or_else(|| "–".to_owned())
    };
    vec![
        glyph::fit(&summary.target.name, WIDEST_NAME).into_owned(),
        grouped(summary.transmitted),
        grouped(summary.lost),
        percent(summary.lost, settled).replace(' ', "\u{a0}"),
        figure(|figures| figures.p50),
        figure(|figures| figures.p90),
        figure(|figures| figures.p99),
        figure(|figures| figures.jitter),
        grouped(summary.out_of_order),
    ]
}

fn legend(hosts: &[Host<'_>]) -> String {
    let under_way: u64 = hosts.iter().map(|host| host.summary.in_flight).sum();
    let mut text = "Jitter is RFC 3550's, disorder counts replies after a reply to a later \
                    request (RFC 4737), loss leaves out what was under way"
        .to_owned();
    if under_way > 0 {
        let _ = write!(text, " ({})", counted(under_way, "request"));
    }
    text + "."
}
