//! The closing pictures of made-up runs.

use std::time::Duration;

use super::*;
use crate::event::{EchoJudgement, Place};
use crate::packet::Charset;
use crate::report::ping::made_up::{reply, request, started, summary};

const BOTH: Pictures = Pictures {
    stats: true,
    histogram: true,
};

fn rendered(closing: &Closing, events: &[Echo<'static>], style: Style) -> String {
    for echo in events {
        closing.record(&Event {
            at: Duration::ZERO,
            host: Place::Client,
            what: What::Echo(echo.clone()),
        });
    }
    let mut out = Vec::new();
    closing.render(&mut out, &style).unwrap();
    String::from_utf8(out).unwrap()
}

fn run(index: u32, name: &str) -> Vec<Echo<'static>> {
    let mut echoes = vec![started(index, name)];
    for number in 1..=100 {
        echoes.push(request(index, number));
        let millis = 20 + u32::try_from(number * 7 % 10).unwrap() + index;
        echoes.push(reply(index, number, millis, EchoJudgement::Counted));
    }
    echoes.push(summary(index, name));
    echoes
}

#[test]
fn one_host_in_lines_and_bars() {
    let text = rendered(&Closing::of(BOTH), &run(0, "alpha"), Style::default());
    insta::assert_snapshot!(text);
}

#[test]
fn several_hosts_in_a_table_that_fits_80_columns() {
    let mut echoes = run(0, "alpha");
    echoes.extend(run(1, "a-rather-long-name.of-a-host.example"));
    echoes.extend([started(2, "silent"), request(2, 1)]);
    let mut silent = summary(2, "silent");
    if let Echo::Summary(summary) = &mut silent {
        summary.round_trips = None;
        summary.received = 0;
        summary.lost = summary.transmitted;
        summary.in_flight = 0;
    }
    echoes.push(silent);
    let text = rendered(&Closing::of(BOTH), &echoes, Style::default());
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    insta::assert_snapshot!(text);
    let style = Style {
        charset: Charset::Ascii,
        ..Style::default()
    };
    assert!(rendered(&Closing::of(BOTH), &echoes, style).is_ascii());
}

#[test]
fn figures_alone_need_no_event_of_a_packet() {
    let stats = Pictures {
        stats: true,
        histogram: false,
    };
    let closing = Closing::of(stats).of_figures_alone();
    assert!(!closing.wants(Topic::Echo) && closing.wants(Topic::EchoFigures));
    let text = rendered(
        &closing,
        &[started(0, "a"), summary(0, "a")],
        Style::default(),
    );
    assert!(text.contains("p50") && !text.contains("clocks"), "{text}");
}
