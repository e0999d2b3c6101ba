//! `socklab file receive`, as typed.
//!
//! Owns what is taken and where it goes; writes no file.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;

use super::send::size;
use super::tool::{Errand, ToolArgs};
use crate::app::file::{Exists, Limits, Receive, Work};
use crate::cli::output::Colour;
use crate::error::Error;

/// Receive files, from a server or from whoever sends.
///
/// Nothing leaves the folder that they go to: links there are not followed,
/// names that lead elsewhere are refused, and so are those that begin with a
/// dot: a sender could plant .bashrc or .ssh/authorized_keys with them. A file that is there stays, unless
/// told otherwise; one that is there in part is finished.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  socklab file receive 192.0.2.7               what that server sends, to here
  socklab file receive --listen --into inbox   what anybody here sends
  socklab file receive HOST --exists rename    keep both, as photo (1).jpg
  socklab file receive HOST --dry-run          what would come
Exit code: 0 all received, 1 the network said no or a file was not taken, 2
anything else.")]
pub(super) struct Args {
    /// The sender, where it listens: HOST or HOST:PORT
    #[arg(value_name = "HOST")]
    server: Option<String>,

    /// The folder that files go to
    #[arg(short, long, value_name = "FOLDER", default_value = ".")]
    into: PathBuf,

    /// What to do where something of that name is there
    #[arg(short, long, value_name = "WHAT", default_value = "refuse")]
    exists: What,

    /// Take names that begin with a dot, too
    #[arg(long)]
    hidden: bool,

    /// Refuse files larger than this
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_size: Option<u64>,

    /// Refuse senders that offer more than this
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_total: Option<u64>,

    /// Refuse senders that offer more files and folders than this
    #[arg(long, value_name = "N", default_value_t = Limits::default().entries)]
    max_files: u64,

    /// Only say what would come, and take nothing
    #[arg(short = 'n', long)]
    dry_run: bool,

    #[command(flatten)]
    tool: ToolArgs,
}

/// What is done where something of that name is there.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    /// It stays, and nothing is received
    Refuse,
    /// What comes gets another name
    Rename,
    /// What comes takes its place, once it is whole
    Overwrite,
}

/// Runs it.
pub(super) fn run(args: &Args, colour: Colour) -> Result<ExitCode, Error> {
    let errand = Errand {
        command: "file receive",
        server: args.server.as_deref(),
        work: Work::Receive(Receive {
            into: args.into.clone(),
            exists: match args.exists {
                What::Refuse => Exists::Refuse,
                What::Rename => Exists::Rename,
                What::Overwrite => Exists::Overwrite,
            },
            hidden: args.hidden,
            limits: Limits {
                file: args.max_size.unwrap_or(u64::MAX),
                bytes: args.max_total.unwrap_or(u64::MAX),
                entries: args.max_files,
            },
            rehearsal: args.dry_run,
        }),
        remedy: "HOST fetches from a sender, --listen waits for one",
    };
    args.tool.run(errand, colour)
}
