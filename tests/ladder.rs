//! The ladder as a whole: what it looks like, and what it never does, however
//! strange the events.

mod support;

use std::borrow::Cow;

use insta::assert_snapshot;
use proptest::prelude::*;
use socklab::event::{Changes, Event, Fate, Outcome, Packet, Place, What};
use socklab::flow::{Direction, TcpState};
use socklab::packet::{Charset, LinkType, Numbering};
use socklab::report::Style;
use socklab::report::ladder::{self, Options};
use support::{fixtures, story};
use unicode_width::UnicodeWidthStr;

fn unicode(width: usize) -> Style {
    Style {
        width,
        charset: Charset::Unicode,
        colour: false,
    }
}

fn ascii(width: usize) -> Style {
    Style {
        charset: Charset::Ascii,
        ..unicode(width)
    }
}

fn options() -> Options {
    Options::default().with_addresses([10, 77, 0, 1].into(), [10, 77, 0, 2].into())
}

fn drawn(events: &[Event<'_>], style: Style) -> String {
    let mut out = Vec::new();
    ladder::render(&mut out, events, &options(), &style).expect("memory takes it");
    String::from_utf8(out).expect("a ladder is UTF-8")
}

#[test]
fn a_stream_in_80_columns() {
    assert_snapshot!(drawn(&story::tcp(), unicode(80)));
}

#[test]
fn a_stream_in_120_columns() {
    assert_snapshot!(drawn(&story::tcp(), unicode(120)));
}

#[test]
fn a_stream_in_ascii() {
    assert_snapshot!(drawn(&story::tcp(), ascii(80)));
}

#[test]
fn datagrams_in_80_columns() {
    assert_snapshot!(drawn(&story::udp(), unicode(80)));
}

#[test]
fn datagrams_in_120_columns_of_ascii() {
    assert_snapshot!(drawn(&story::udp(), ascii(120)));
}

/// A thousand packets of one chapter are told by the first and the last of them.
#[test]
fn a_long_chapter_is_shortened_and_says_so() {
    let packets: Vec<Event<'_>> = story::tcp()
        .into_iter()
        .filter(|event| matches!(event.what, What::Packet(_)))
        .cycle()
        .take(1000)
        .collect();
    let out = drawn(&packets, unicode(80));
    assert!(out.lines().count() < 100, "{} lines", out.lines().count());
    let drawn_rows = 60;
    let said = format!("… {} more rows", 1000 - drawn_rows);
    assert!(out.contains(&said), "{said} in {out}");
}

#[test]
fn every_fate_in_80_columns() {
    assert_snapshot!(drawn(&story::fates(), unicode(80)));
}

#[test]
fn every_fate_in_120_columns() {
    assert_snapshot!(drawn(&story::fates(), unicode(120)));
}

#[test]
fn every_fate_in_ascii() {
    assert_snapshot!(drawn(&story::fates(), ascii(80)));
}

#[test]
fn colours_of_a_stream() {
    let style = Style {
        colour: true,
        ..unicode(80)
    };
    assert_snapshot!(drawn(&story::tcp()[5..13], style).replace('\x1b', "^"));
}

#[test]
fn absolute_numbers() {
    let options = Options {
        numbering: Numbering::Absolute,
        ..options()
    };
    let mut out = Vec::new();
    ladder::render(&mut out, &story::tcp(), &options, &unicode(80)).expect("memory takes it");
    let text = String::from_utf8(out).expect("a ladder is UTF-8");
    assert!(text.contains("SYN seq=3714730768"), "{text}");
    // The server's number, its acknowledgment of the client's, and the client's
    // of it: j, j+1, k and k+1.
    assert!(text.contains("ack=3714730769"), "{text}");
    for line in text.lines().filter(|line| line.contains("SYN,ACK seq=")) {
        let digits = line.split("seq=").nth(1).expect("a number");
        let end = digits.find(|c: char| !c.is_ascii_digit()).expect("an end");
        let server: u32 = digits[..end].parse().expect("a number");
        let acknowledged = format!("ACK ack={}", server.wrapping_add(1));
        assert!(text.contains(&acknowledged), "{acknowledged} in {text}");
    }
}

fn call(name: &'static str, arguments: &str, returned: i64) -> Event<'static> {
    Event {
        at: std::time::Duration::ZERO,
        host: Place::Client,
        what: What::Call(socklab::event::Call {
            socket: "client".into(),
            name,
            arguments: arguments.to_owned(),
            outcome: Outcome::Returned {
                returned,
                detail: None,
            },
            took: std::time::Duration::from_micros(1),
        }),
    }
}

/// Arguments give way before results do, and a result of 0 is one.
#[test]
fn results_stay_where_arguments_find_no_room() {
    let long = "\"a message of 44 letters, which is too long..\"";
    for (call, said) in [
        (call("send", long, 44), ["send(44 bytes)", "= 44"]),
        (
            call("send", "4000 bytes", 4000),
            ["send(4000 bytes)", "= 4000"],
        ),
        (call("close", "", 0), ["close()", "= 0"]),
        (
            call("setsockopt", "TCP_CONGESTION, reno", 0),
            ["setsockopt(", "= 0"],
        ),
    ] {
        let [_, result] = said;
        let out = drawn(std::slice::from_ref(&call), unicode(80));
        assert!(said.iter().all(|part| out.contains(part)), "{out}");
        let out = drawn(std::slice::from_ref(&call), unicode(60));
        assert!(out.contains(result), "{out}");
    }
}

#[test]
fn text_that_is_not_ascii_is_escaped_in_ascii() {
    let out = drawn(&[call("send", "\"日\"", 3)], ascii(80));
    assert!(out.contains(r#"send("\u{65e5}")"#), "{out}");
}

#[test]
fn nothing_is_one_line() {
    assert_eq!(
        drawn(&[], unicode(80)),
        "Nothing happened: there are no events to draw.\n"
    );
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-z0-9 ,.\"\\\\:]{0,90}",
        "(\x1b\\[2J|\u{202e}|\u{2028}|\u{85}|漢|e\u{301}|👩\u{200d}🚀|❤\u{fe0f}| |x|\r|\n|\t){0,40}",
    ]
}

fn host() -> impl Strategy<Value = Place> {
    prop_oneof![Just(Place::Client), Just(Place::Server), Just(Place::Wire)]
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        Just(Fate::Delivered),
        text().prop_map(|cause| Fate::Lost {
            cause: Cow::Owned(cause)
        }),
        Just(Fate::Queued),
        Just(Fate::Unknown),
    ]
}

fn changes() -> impl Strategy<Value = Changes> {
    (
        proptest::option::of(any::<u64>()),
        proptest::option::of(any::<u64>()),
        proptest::option::of(any::<usize>()),
        any::<[bool; 3]>(),
    )
        .prop_map(
            |(copy_of, corrupted_bit, truncated_to, [marked, hastened, reordered])| Changes {
                copy_of,
                corrupted_bit,
                truncated_to,
                marked,
                hastened,
                reordered,
            },
        )
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let fixture = (0..fixtures::all().len(), text()).prop_map(|(index, text)| {
        let mut bytes = fixtures::all().swap_remove(index).bytes;
        bytes.extend(text.bytes());
        bytes
    });
    prop_oneof![proptest::collection::vec(any::<u8>(), 0..80), fixture]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        text().prop_map(|errno| Outcome::Failed { errno }),
        (any::<i64>(), proptest::option::of(text()))
            .prop_map(|(returned, detail)| Outcome::Returned { returned, detail }),
    ]
}

fn event() -> impl Strategy<Value = Event<'static>> {
    const NAMES: [&str; 6] = [
        "socket",
        "connect",
        "accept",
        "recvfrom",
        "sendto",
        "getsockopt",
    ];
    const SOCKETS: [&str; 4] = ["client", "connection", "connected", "連\u{1b}続"];
    let time = prop_oneof![0..3000_u64, 0..5_000_000_u64];
    let call = (
        (time.clone(), 0..2000_u64),
        (host(), proptest::sample::select(&SOCKETS[..])),
        (proptest::sample::select(&NAMES[..]), text()),
        outcome(),
    )
        .prop_map(|(times, whose, (name, arguments), outcome)| {
            story::call(times, whose, (name, &arguments), outcome)
        });
    let way = (fate(), changes(), any::<bool>());
    let packet = ((time.clone(), 0..4000_u64), bytes(), any::<bool>(), way).prop_map(
        |((sent, under_way), bytes, up, (fate, changes, is_held))| Event {
            at: story::at(sent),
            host: Place::Wire,
            what: What::Packet(Packet {
                id: sent,
                direction: if up {
                    Direction::ClientToServer
                } else {
                    Direction::ServerToClient
                },
                link: LinkType::Raw,
                bytes: bytes.into(),
                sent_at: story::at(sent),
                delivered_at: (!matches!(fate, Fate::Lost { .. }))
                    .then_some(story::at(sent + under_way)),
                changes,
                place: None,
                due_at: is_held.then_some(story::at(sent + under_way)),
                fate,
            }),
        },
    );
    let state = (time.clone(), host(), any::<u8>()).prop_map(|(at, host, to)| {
        story::state(at, host, TcpState::Closed, TcpState::from_linux(to))
    });
    let note = (time, text()).prop_map(|(at, text)| story::note(at, &text));
    prop_oneof![4 => call, 4 => packet, 2 => state, 1 => note]
}

/// The text without its colours.
fn stripped(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        out.push_str(before);
        let (codes, after) = after.split_once('m').expect("a colour ends");
        assert!(
            codes
                .chars()
                .all(|code| code.is_ascii_digit() || code == ';')
        );
        rest = after;
    }
    out + rest
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_line_overflows_and_nothing_escapes(
        mut events in proptest::collection::vec(event(), 0..25),
        width in 60..180_usize,
        ascii_only in any::<bool>(),
    ) {
        events.sort_by_key(|event| event.at);
        let style = if ascii_only { ascii(width) } else { unicode(width) };
        let plain = drawn(&events, style);
        for line in plain.lines() {
            prop_assert!(line.width() <= width, "{} columns: {line}", line.width());
            prop_assert!(!line.chars().any(|glyph| glyph.is_control()
                || ('\u{202a}'..='\u{202e}').contains(&glyph)
                || ('\u{2066}'..='\u{2069}').contains(&glyph)), "{line:?}");
            prop_assert!(!ascii_only || line.is_ascii(), "{line}");
        }
        let colourful = drawn(&events, Style { colour: true, ..style });
        prop_assert_eq!(stripped(&colourful), plain);
    }
}
