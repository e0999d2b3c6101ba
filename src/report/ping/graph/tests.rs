//! The graph of made-up runs, drawn into ratatui's test terminal.

use ratatui_core::backend::TestBackend;
use ratatui_core::terminal::Terminal;

use super::*;
use crate::event::{Echo, EchoJudgement, Place};
use crate::packet::Charset;
use crate::report::Style;
use crate::report::ping::made_up::{failure, reply, request, started, unresolved};

const MS: Duration = Duration::from_millis(1);

fn tell(graph: &Graph, at: Duration, echo: Echo<'_>) {
    graph.record(&Event {
        at,
        host: Place::Client,
        what: What::Echo(echo),
    });
}

/// Nine seconds, a request every tenth of a second; the second host is slower,
/// loses one in fifteen and once meets an error.
fn two_hosts() -> Graph {
    let graph = Graph::default();
    tell(&graph, MS, started(0, "alpha"));
    tell(&graph, MS, started(1, "beta"));
    for number in 1..=90_u64 {
        let at = MS * 100 * u32::try_from(number).unwrap();
        for index in [0, 1] {
            tell(&graph, at, request(index, number));
            let wave = u32::try_from(number % 20).unwrap();
            let millis = 10 + index * 12 + wave.abs_diff(10);
            if number == 50 && index == 1 {
                tell(&graph, at + MS, failure(1, number));
            } else if index == 0 || number % 15 != 0 {
                let answer = reply(index, number, millis, EchoJudgement::Counted);
                tell(&graph, at + MS * millis, answer);
            }
        }
    }
    graph
}

fn drawn(view: &View, (columns, rows): (u16, u16), style: Style) -> String {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal
        .draw(|frame| draw(view, false, style, frame.area(), frame.buffer_mut()))
        .unwrap();
    terminal.backend().to_string()
}

#[test]
fn two_hosts_at_80_by_24() {
    let view = two_hosts().view(MS * 9500);
    insta::assert_snapshot!(drawn(&view, (80, 24), Style::default()));
}

#[test]
fn two_hosts_at_120_by_30_in_ascii() {
    let view = two_hosts().view(MS * 9500);
    let style = Style {
        charset: Charset::Ascii,
        ..Style::default()
    };
    let text = drawn(&view, (120, 30), style);
    assert!(text.is_ascii(), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn no_size_of_terminal_is_too_small_or_too_large() {
    let view = two_hosts().view(MS * 9500);
    let sizes = [1, 2, 9, 10, 24, 39, 40, 41, 79, 200, 500];
    for columns in sizes {
        for rows in sizes {
            let style = Style {
                colour: true,
                ..Style::default()
            };
            drawn(&view, (columns, rows), style);
        }
    }
    insta::assert_snapshot!(drawn(&view, (30, 2), Style::default()), @r#"
    "the graph needs 40 × 10; q en…"
    "                              "
    "#);
}

#[test]
fn colours_are_written_only_where_they_are_wanted() {
    let view = two_hosts().view(MS * 9500);
    let coloured = |colour| {
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        let style = Style {
            colour,
            ..Style::default()
        };
        terminal
            .draw(|frame| draw(&view, true, style, frame.area(), frame.buffer_mut()))
            .unwrap();
        let plain = ratatui_core::style::Color::Reset;
        let cells = terminal.backend().buffer().content();
        cells
            .iter()
            .any(|cell| cell.fg != plain || !cell.modifier.is_empty())
    };
    assert!(coloured(true) && !coloured(false));
}

#[test]
fn memory_does_not_grow_with_the_replies() {
    let graph = Graph::default();
    tell(&graph, MS, started(0, "alpha"));
    for number in 1..=100_000_u64 {
        let at = Duration::from_micros(number * 500);
        tell(&graph, at, request(0, number));
        tell(&graph, at + MS, reply(0, number, 1, EchoJudgement::Counted));
    }
    let view = graph.view(Duration::from_secs(50));
    assert!(view.hosts[0].slices.len() <= SLICES as usize + 2);
    assert_eq!(view.hosts[0].lost, (0, 100_000));
}

#[test]
fn hosts_that_nothing_reaches_have_rows_too() {
    let graph = Graph::default();
    tell(&graph, MS, started(0, "alpha"));
    tell(&graph, MS, unresolved(1, "nosuch.name"));
    tell(&graph, MS, started(2, "gamma"));
    for number in 1..=4 {
        let at = MS * 1000 * u32::try_from(number).unwrap();
        tell(&graph, at, request(0, number));
        tell(&graph, at, failure(2, number));
        let answer = reply(0, number, 10, EchoJudgement::Counted);
        tell(&graph, at + MS * 10, answer);
    }
    let view = graph.view(MS * 4500);
    insta::assert_snapshot!(drawn(&view, (80, 16), Style::default()));
}

#[test]
fn nothing_has_come_yet() {
    let graph = Graph::default();
    assert!(drawn(&graph.view(MS), (80, 24), Style::default()).contains("waiting"));
    tell(&graph, MS, started(0, "alpha"));
    assert!(drawn(&graph.view(MS), (80, 24), Style::default()).contains("no reply yet"));
}
