//! Real readers open what our pcapng writer wrote.

mod support;

use std::process::Command;

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
