//! The package keeps what it promises: `rust-version` is what the dependencies
//! need, and only files that belong stand at the top.

use std::process::Command;

use serde_json::Value;

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("cargo prints JSON")
}

fn version(package: &Value) -> Option<(u32, u32)> {
    let mut parts = package["rust_version"].as_str()?.split('.');
    let mut part = || parts.next()?.parse().ok();
    Some((part()?, part()?))
}

#[test]
fn rust_version_is_what_the_dependencies_need() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    let own = packages
        .iter()
        .find(|package| package["name"] == "socklab")
        .expect("this package");
    // What users build: the normal dependencies, transitively. Edition 2024
    // alone needs 1.85.
    let mut needed = (1, 85);
    let nodes = metadata["resolve"]["nodes"].as_array().expect("a graph");
    let mut open = vec![own["id"].clone()];
    let mut seen: Vec<Value> = Vec::new();
    while let Some(id) = open.pop() {
        if seen.contains(&id) {
            continue;
        }
        // The package's own version is what is checked, so it does not count.
        let package = packages
            .iter()
            .find(|package| package["id"] == id && package["id"] != own["id"]);
        needed = needed.max(package.and_then(version).unwrap_or_default());
        let node = nodes.iter().find(|node| node["id"] == id).expect("a node");
        let dependencies = node["deps"].as_array().expect("its dependencies");
        open.extend(
            dependencies
                .iter()
                .filter(|dependency| is_built(dependency))
                .map(|dependency| dependency["pkg"].clone()),
        );
        seen.push(id);
    }
    assert_eq!(version(own), Some(needed), "rust-version in Cargo.toml");
}

/// Whether a user of the binary builds this dependency on Linux.
fn is_built(dependency: &Value) -> bool {
    let kinds = dependency["dep_kinds"].as_array().expect("kinds");
    kinds.iter().any(|kind| {
        let target = kind["target"].as_str().unwrap_or_default();
        kind["kind"] != "dev" && !target.contains("windows")
    })
}
