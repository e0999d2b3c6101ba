//! The binary.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use socklab::cli::ping;

/// A socket protocol playground.
#[derive(Parser)]
#[command(version)]
struct Command {
    #[command(subcommand)]
    topic: Topic,
}

#[derive(Subcommand)]
enum Topic {
    Ping(Box<ping::Args>),
}

fn main() -> ExitCode {
    let Topic::Ping(args) = Command::parse().topic;
    ping::run(&args).unwrap_or_else(|error| {
        eprintln!("socklab: {error}");
        ExitCode::from(2)
    })
}
