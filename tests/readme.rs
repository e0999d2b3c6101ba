//! README.md tells the truth: its commands run, its examples exist, its versions
//! are the package's.

mod support;

use std::process::Command;

use support::program::text;

const README: &str = include_str!("../README.md");

/// The lines that start with `$ ` in the README's console blocks.
fn commands() -> Vec<&'static str> {
    let lines = README.lines().filter_map(|line| line.strip_prefix("$ "));
    lines
        .map(|line| line.split(" # ").next().unwrap_or(line).trim())
        .collect()
}

#[test]
fn every_command_of_the_readme_runs() {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_socklab"));
    let programs = program.parent().expect("a folder").display().to_string();
    let path = std::env::var("PATH").unwrap_or_default();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut ran = 0;
    for command in commands() {
        let plain = command.replace("sudo ", "");
        if !plain.split("| ").any(|part| part.starts_with("socklab ")) {
            continue;
        }
        if plain != command && !nix::unistd::geteuid().is_root() {
            support::skipped("the README's sudo command", "root");
            continue;
        }
        let output = Command::new("sh")
            .args(["-c", &plain])
            .env("PATH", format!("{programs}:{path}"))
            .current_dir(&folder)
            .output()
            .expect("sh starts");
        assert!(
            output.status.success() && !output.stdout.is_empty(),
            "{command}: {}",
            text(&output.stderr)
        );
        ran += 1;
    }
    assert!(ran >= 10, "only {ran} commands were found in the README");
}

#[test]
fn every_example_of_the_readme_exists_and_none_is_missing() {
    let mut named: Vec<String> = commands()
        .into_iter()
        .filter_map(|command| command.strip_prefix("cargo run --example "))
        .map(str::to_owned)
        .collect();
    named.sort();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .expect("examples/")
        .filter_map(|entry| {
            let name = entry.expect("readable").file_name().into_string().ok()?;
            Some(name.strip_suffix(".rs")?.to_owned())
        })
        .collect();
    files.sort();
    assert_eq!(named, files);
    for example in files {
        let path = format!("{folder}/{example}.rs");
        let lines = std::fs::read_to_string(&path)
            .expect("readable")
            .lines()
            .count();
        assert!(lines < 40, "{path} has {lines} lines");
    }
}

#[test]
fn the_rust_version_of_the_readme_is_the_packages() {
    let version = env!("CARGO_PKG_RUST_VERSION");
    assert!(README.contains(&format!("Rust {version} or newer")));
}
