//! The one-line summary of every fixture, in its long and its short form.

mod support;

use socklab::packet::summary::{self, Style};
use socklab::packet::{Charset, Conversations, Numbering, dissect};
use support::fixtures;

#[test]
fn every_fixture_reads_well() {
    let mut conversations = Conversations::new();
    let mut text = String::new();
    for fixture in fixtures::all() {
        let dissection = dissect(fixture.link, &fixture.bytes);
        conversations.observe(&dissection);
        let line = summary::line(&dissection, &conversations, Style::default());
        let short = summary::short(&dissection, &conversations, Style::default());
        text.extend([fixture.name, "\n  ", &line, "\n  ", &short, "\n"]);
    }
    insta::assert_snapshot!(text);
}

#[test]
fn numbers_are_absolute_on_demand() {
    let fixture = fixtures::named("syn_ack");
    let dissection = dissect(fixture.link, &fixture.bytes);
    let style = Style {
        numbering: Numbering::Absolute,
        charset: Charset::Ascii,
        ..Style::default()
    };
    assert_eq!(
        summary::line(&dissection, &Conversations::new(), style),
        "10.77.0.2:5073 -> 10.77.0.1:40312 TCP SYN,ACK seq=16777200 ack=3714730769 \
         win=65160 mss=1460 sackOK wscale=7 len=0"
    );
}

#[test]
fn too_long_a_summary_loses_its_least_part_first() {
    let fixture = fixtures::named("sack");
    let dissection = dissect(fixture.link, &fixture.bytes);
    let mut conversations = Conversations::new();
    conversations.observe(&dissect(
        fixtures::named("syn").link,
        &fixtures::named("syn").bytes,
    ));
    let at = |width| {
        let style = Style {
            width: Some(width),
            ..Style::default()
        };
        summary::short(&dissection, &conversations, style)
    };
    assert_eq!(at(80), "ACK ack=1 sack=3..6");
    assert_eq!(at(19), "ACK ack=1 sack=3..6");
    assert_eq!(at(18), "ACK ack=1");
    assert_eq!(at(8), "ACK");
    assert_eq!(at(2), "A…");
    assert_eq!(at(0), "");
}

#[test]
fn a_new_conversation_on_the_same_ports_counts_from_its_own_syn() {
    let mut conversations = Conversations::new();
    for name in ["syn", "syn_ack", "ack"] {
        let fixture = fixtures::named(name);
        conversations.observe(&dissect(fixture.link, &fixture.bytes));
    }
    // Another initial sequence number; the checksum covers it.
    let mut again = fixtures::named("syn");
    again.bytes[24..28].copy_from_slice(&7_u32.to_be_bytes());
    let sent = dissect(again.link, &again.bytes);
    let Some(socklab::packet::checksum::Status::Bad { expected }) = sent.layers[1].checksum else {
        panic!("the change shows in the checksum");
    };
    conversations.observe(&sent);
    assert_ne!(
        summary::short(&sent, &conversations, Style::default()),
        "SYN seq=0 bad checksum",
        "a corrupt packet changes nothing"
    );
    again.bytes[36..38].copy_from_slice(&expected.to_be_bytes());
    let sent = dissect(again.link, &again.bytes);
    conversations.observe(&sent);
    assert_eq!(
        summary::short(&sent, &conversations, Style::default()),
        "SYN seq=0"
    );
}

#[test]
fn what_is_cut_or_malformed_says_so() {
    let mut text = String::new();
    let conversations = Conversations::new();
    for length in [0, 1, 19, 20, 30, 45, 59] {
        let fixture = fixtures::named("syn");
        let dissection = dissect(fixture.link, &fixture.bytes[..length]);
        let line = summary::line(&dissection, &conversations, Style::default());
        let short = summary::short(&dissection, &conversations, Style::default());
        let length = format!("{length} bytes");
        text.extend([&length, "\n  ", &line, "\n  ", &short, "\n"]);
    }
    insta::assert_snapshot!(text);
}

#[test]
fn relative_numbers_stand_beside_absolute_ones() {
    let mut conversations = Conversations::new();
    let fixture = fixtures::named("syn");
    conversations.observe(&dissect(fixture.link, &fixture.bytes));
    let fixture = fixtures::named("data");
    let mut dissection = dissect(fixture.link, &fixture.bytes);
    conversations.explain(&mut dissection);
    let field = dissection.field("tcp.seq_raw").map(ToString::to_string);
    assert_eq!(
        field.as_deref(),
        Some("sequence number = 3714730769 (relative 1)")
    );
}
