//! Real readers open what our pcapng writer wrote.

mod support;

use std::path::Path;
use std::process::Command;

use socklab::conversation::WireAccount;
use socklab::event::{Changes, Event, Fate, Packet, Place, What};
use socklab::flow::Direction;
use support::program::{As, Program};
use support::{capture_file, fixtures, skipped, tshark};

#[test]
fn tshark_reads_times_directions_and_comments() {
    if !tshark::is_installed() {
        return skipped("reading our pcapng with Wireshark's tools", "tshark");
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("fixtures.pcapng");
    let fixtures = fixtures::all();
    capture_file::write(&path, &fixtures);
    let output = Command::new("tshark")
        .args(["-n", "-T", "fields", "-E", "separator=|"])
        .args([
            "-e",
            "frame.time_epoch",
            "-e",
            "frame.packet_flags_direction",
        ])
        .args(["-e", "frame.interface_name", "-e", "frame.comment", "-r"])
        .arg(&path)
        .output()
        .expect("tshark runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), fixtures.len());
    for (number, (line, fixture)) in lines.iter().zip(&fixtures).enumerate() {
        let nanoseconds = 1 + number * 100_000;
        let expected = format!(
            "1700000000.{nanoseconds:09}|0x00000002|{}|{}",
            fixture.link, fixture.name
        );
        assert_eq!(*line, expected);
    }
}

#[test]
fn capinfos_finds_no_fault_in_the_file() {
    if Command::new("capinfos").arg("--version").output().is_err() {
        return skipped("reading our pcapng with capinfos", "capinfos");
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("fixtures.pcapng");
    let fixtures = fixtures::all();
    capture_file::write(&path, &fixtures);
    let output = Command::new("capinfos")
        .arg(&path)
        .output()
        .expect("capinfos runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8_lossy(&output.stdout);
    for expected in [
        format!("Number of packets:   {}", fixtures.len()),
        "Capture application: socklab".to_owned(),
        "File timestamp precision:  nanoseconds (9)".to_owned(),
        "Number of interfaces in file: 2".to_owned(),
    ] {
        assert!(text.contains(&expected), "{expected:?} in\n{text}");
    }
}

/// The lines that tshark prints of one field, for the packets that `filter`
/// keeps.
fn asked(path: &Path, filter: &str, field: &str) -> Vec<String> {
    let output = Command::new("tshark")
        .args(["-n", "-T", "fields", "-e", field, "-Y", filter, "-r"])
        .arg(path)
        .output()
        .expect("tshark runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tshark: {errors}");
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(str::to_owned).collect()
}

/// What our own count of a file's packets finds sent again, in both directions.
fn sent_again(path: &Path) -> u64 {
    let packets = capture_file::read(path);
    let events: Vec<Event<'_>> = packets
        .iter()
        .zip(1..)
        .map(|(seen, id)| Event {
            at: seen.at,
            host: Place::Wire,
            what: What::Packet(Packet {
                id,
                direction: Direction::ClientToServer,
                link: seen.link,
                bytes: seen.bytes.as_slice().into(),
                sent_at: seen.at,
                fate: Fate::Delivered,
                changes: Changes::default(),
                place: None,
                due_at: None,
                delivered_at: None,
            }),
        })
        .collect();
    WireAccount::of(&events)
        .client_to_server
        .tcp_retransmissions
}

/// An impaired connection: Wireshark finds as many segments sent again as we
/// do, every packet in the order of its time, and every fate.
#[test]
fn tshark_sees_the_losses_and_what_was_sent_again() {
    if !tshark::is_installed() {
        return skipped("reading an impaired connection with tshark", "tshark");
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("impaired.pcapng");
    let file = path.to_str().expect("a path in UTF-8");
    let program = Program::new();
    let drops = [
        "--drop",
        "c2s data#3",
        "--drop",
        "c2s data#6",
        "--delay",
        "5ms",
    ];
    let arguments = [&["tcp", "--size", "40000", "--pcap", file][..], &drops].concat();
    let lines = program.json(As::Myself, &arguments).expect("it runs");
    let result = lines.last().expect("a result");
    if result["result"]["link"].is_null() {
        return skipped("a connection on an impaired link", "a private link");
    }
    let packets = lines.iter().filter(|line| line["type"] == "packet").count();
    let times = asked(&path, "frame", "frame.time_epoch");
    assert_eq!(times.len(), packets);
    assert!(times.is_sorted(), "{times:?}");
    let lost = asked(&path, "frame.comment contains \"lost\"", "frame.comment");
    assert_eq!(lost.len(), 2, "{lost:?}");
    assert!(lost[0].contains("c2s data#3"), "{lost:?}");
    // What comes again soon after a gap Wireshark may take for out of order.
    let again = "tcp.analysis.retransmission || tcp.analysis.out_of_order";
    let theirs = asked(&path, again, "frame.number").len() as u64;
    let ours = sent_again(&path);
    assert!(ours >= 2, "two segments were lost");
    assert_eq!(theirs, ours, "what was sent again");
}
