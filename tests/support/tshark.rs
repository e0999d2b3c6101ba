//! Our dissection held against Wireshark's, field by field.
//!
//! Every number and address in our field trees is asked of tshark by its key,
//! and so are checksums' worth and relative sequence numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use socklab::packet::checksum::{Reason, Status};
use socklab::packet::{
    Conversations, Dissection, Field, Layer, Protocol, TcpFlags, TcpOption, Value, dissect,
};

use super::capture_file;

/// Fields that Wireshark makes where we have none: IPv6's version a second time,
/// and what it says of transport headers that are quoted.
const WIRESHARKS_OWN: [&str; 6] = [
    "ip.version",
    "tcp.seq",
    "tcp.ack",
    "tcp.len",
    "tcp.checksum.status",
    "udp.checksum.status",
];

/// Whether tshark can be run.
pub fn is_installed() -> bool {
    Command::new("tshark").arg("--version").output().is_ok()
}

/// Where our dissection of a pcapng file's packets and tshark's differ: a
/// sentence each.
///
/// # Panics
///
/// If tshark cannot read the file, or does not know one of our keys.
pub fn disagreements(path: &Path) -> Vec<String> {
    let mut conversations = Conversations::new();
    let ours: Vec<BTreeMap<&str, String>> = capture_file::read(path)
        .iter()
        .map(|packet| values(&dissect(packet.link, &packet.bytes), &mut conversations))
        .collect();
    let keys: BTreeSet<&str> = ours.iter().flat_map(BTreeMap::keys).copied().collect();
    let keys: Vec<&str> = keys.into_iter().collect();
    let theirs = ask(path, &keys);
    assert_eq!(theirs.len(), ours.len(), "both see as many packets");
    let mut differences = Vec::new();
    for (number, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        for (key, theirs) in keys.iter().zip(theirs) {
            let theirs = normal(theirs);
            let is_their_own = WIRESHARKS_OWN.contains(key) && !ours.contains_key(key);
            let ours = ours.get(key).map_or("", String::as_str);
            if ours != theirs && !is_their_own {
                let number = number + 1;
                differences.push(format!(
                    "packet {number}: {key} is {ours:?}, tshark {theirs:?}"
                ));
            }
        }
    }
    differences
}

/// One row of values a packet, one value a key.
fn ask(path: &Path, keys: &[&str]) -> Vec<Vec<String>> {
    const PREFERENCES: [&str; 7] = [
        "ip.check_checksum:TRUE",
        "tcp.check_checksum:TRUE",
        "udp.check_checksum:TRUE",
        "ip.defragment:FALSE",
        "ipv6.defragment:FALSE",
        "tcp.desegment_tcp_streams:FALSE",
        "tcp.relative_sequence_numbers:TRUE",
    ];
    let mut tshark = Command::new("tshark");
    tshark.args(["-n", "-2", "-T", "fields", "-E", "occurrence=f"]);
    tshark.args(["-E", "separator=|", "-r"]).arg(path);
    for preference in PREFERENCES {
        tshark.args(["-o", preference]);
    }
    for key in keys {
        tshark.args(["-e", key]);
    }
    let output = tshark.output().expect("tshark runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tshark: {errors}");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| line.split('|').map(str::to_owned).collect())
        .collect()
}

/// What tshark prints, with numbers in decimal.
fn normal(text: &str) -> String {
    match text {
        "True" => return "1".to_owned(),
        "False" => return "0".to_owned(),
        _ => {}
    }
    let hex = text.strip_prefix("0x");
    match hex.and_then(|digits| u64::from_str_radix(digits, 16).ok()) {
        Some(number) => number.to_string(),
        None => text.to_owned(),
    }
}

/// Our values by key: the first of each in the order of the bytes.
fn values(
    dissection: &Dissection,
    conversations: &mut Conversations,
) -> BTreeMap<&'static str, String> {
    let mut values = BTreeMap::new();
    for layer in &dissection.layers {
        // A header that a quote cuts gets fewer fields there.
        if layer.quoted && layer.header.is_none() {
            let is_port = |field: &&Field| field.key.ends_with("port");
            for field in layer.fields.iter().filter(is_port) {
                collect(field, &mut values);
            }
            continue;
        }
        for field in &layer.fields {
            collect(field, &mut values);
        }
        if let Some((key, status)) = checksum_status(layer) {
            values.entry(key).or_insert_with(|| status.to_string());
        }
    }
    conversations.observe(dissection);
    if let Some(tcp) = dissection.tcp() {
        let origin = conversations.origin(dissection);
        let sequence = tcp.sequence.wrapping_sub(origin.sequence);
        values.insert("tcp.seq", sequence.to_string());
        values.insert("tcp.len", dissection.payload().len().to_string());
        if tcp.flags.contains(TcpFlags::ACK) {
            let acknowledgment = tcp.acknowledgment.wrapping_sub(origin.acknowledgment);
            values.insert("tcp.ack", acknowledgment.to_string());
        }
        let blocks = tcp.options.iter().find_map(|option| match option {
            TcpOption::Sack(blocks) => blocks.first(),
            _ => None,
        });
        if let Some((left, right)) = blocks {
            let left = left.wrapping_sub(origin.acknowledgment);
            let right = right.wrapping_sub(origin.acknowledgment);
            values.insert("tcp.options.sack_le", left.to_string());
            values.insert("tcp.options.sack_re", right.to_string());
        }
    }
    // Wireshark puts the captured length in place of a zero.
    if let Some(length) = values.get_mut("ip.len").filter(|length| *length == "0")
        && let (Some(first), Some(last)) = (dissection.layers.first(), dissection.layers.last())
    {
        *length = (last.range.end - first.range.start).to_string();
    }
    values
}

fn collect(field: &Field, values: &mut BTreeMap<&'static str, String>) {
    let value = match &field.value {
        Value::Number(number) | Value::Hex { number, .. } => Some(number.to_string()),
        Value::Address(address) => Some(address.to_string()),
        Value::Hardware(address) => Some(address.to_string()),
        Value::Bytes(_) | Value::Group => None,
    };
    if let (Some(value), true) = (value, field.key.contains('.')) {
        values.entry(field.key).or_insert(value);
    }
    for child in &field.children {
        collect(child, values);
    }
}

/// Wireshark's numbers for what a checksum is worth.
fn checksum_status(layer: &Layer) -> Option<(&'static str, u8)> {
    let key = match layer.protocol {
        Protocol::Ipv4 => "ip.checksum.status",
        Protocol::Tcp => "tcp.checksum.status",
        Protocol::Udp => "udp.checksum.status",
        Protocol::Icmp => "icmp.checksum.status",
        Protocol::Icmpv6 => "icmpv6.checksum.status",
        _ => return None,
    };
    // Whether Wireshark checks a quoted segment depends on the error's type.
    if layer.quoted && matches!(layer.protocol, Protocol::Tcp | Protocol::Udp) {
        return None;
    }
    let status = match layer.checksum? {
        Status::Bad { .. } => 0,
        Status::Good => 1,
        Status::Unverified(Reason::Absent) => 3,
        Status::Unverified(_) => 2,
    };
    Some((key, status))
}
