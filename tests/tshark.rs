//! Every number and address of every fixture, held against tshark's.

mod support;

use support::{capture_file, fixtures, skipped, tshark};

#[test]
fn tshark_agrees_on_every_field_of_every_fixture() {
    if !tshark::is_installed() {
        return skipped("the comparison with Wireshark's dissection", "tshark");
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("fixtures.pcapng");
    capture_file::write(&path, &fixtures::all());
    let differences = tshark::disagreements(&path);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
