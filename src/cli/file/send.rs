//! `socklab file send`, as typed.
//!
//! Owns what is sent; reads no file.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use serde::Serialize;

use super::tool::{Errand, ToolArgs};
use crate::app::file::{Item, Kind, Send, Source, Totals, Work};
use crate::cli::output::{Colour, unwritten};
use crate::error::Error;
use crate::protocol::file::{Algorithm, LARGEST_BLOCK, Name};
use crate::report::app::file::rehearsal;
use crate::units::ByteSize;

/// Send files and folders, to a server or to whoever asks.
///
/// Links are not followed. Of a file that is there in part, only the rest is
/// sent.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  socklab file send photo.jpg --to 192.0.2.7    to a receiver that listens
  socklab file send --listen --once album/      to the first that asks
  socklab file send --listen --bind 0.0.0.0 f.mkv  to many, all at once
  socklab file send album/ --dry-run            what would be sent
Exit code: 0 all sent, 1 the network or the receiver said no, 2 anything else.")]
pub(super) struct Args {
    /// Files, and folders with all that is in them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// The receiver, where it listens: HOST or HOST:PORT
    #[arg(short, long, value_name = "HOST")]
    to: Option<String>,

    /// The unit in which bytes are sent
    #[arg(short, long, value_name = "SIZE", default_value = "2048b", value_parser = block)]
    block: u64,

    /// The hash that files are judged by: blake3 or sha256
    #[arg(long, value_name = "NAME", default_value = "blake3")]
    hash: Algorithm,

    /// Only say what would be offered, without a connection
    #[arg(short = 'n', long)]
    dry_run: bool,

    #[command(flatten)]
    tool: ToolArgs,
}

fn block(typed: &str) -> Result<u64, String> {
    let size = size(typed)?;
    match size {
        1..=LARGEST_BLOCK => Ok(size),
        _ => Err("must be 1 byte to 1 MiB".into()),
    }
}

/// A size: bytes where no unit is given.
pub(super) fn size(typed: &str) -> Result<u64, String> {
    if let Ok(bytes) = typed.parse::<u64>() {
        return Ok(bytes);
    }
    let size = typed.parse::<ByteSize>();
    size.map(|size| size.0).map_err(|error| error.to_string())
}

/// Runs it.
pub(super) fn run(args: &Args, colour: Colour) -> Result<ExitCode, Error> {
    let source = Arc::new(Source::find(&args.paths)?);
    for left_out in source.left_out() {
        note!("{}: not sent: {}", left_out.path, left_out.why);
    }
    let is_missing_some = source.left_out().iter().any(|one| one.is_missed);
    if args.dry_run {
        rehearse(&source, &args.tool, colour).map_err(unwritten)?;
        return Ok(after(ExitCode::SUCCESS, is_missing_some));
    }
    let errand = Errand {
        command: "file send",
        server: args.to.as_deref(),
        work: Work::Send(Send {
            block: args.block,
            hash: args.hash,
            ..Send::new(source)
        }),
        remedy: "--to HOST sends to a receiver, --listen waits for one",
    };
    let code = args.tool.run(errand, colour)?;
    Ok(after(code, is_missing_some))
}

/// What could not be read is missed there.
fn after(code: ExitCode, is_missing_some: bool) -> ExitCode {
    if is_missing_some && code == ExitCode::SUCCESS {
        return ExitCode::from(2);
    }
    code
}

/// What would be offered, all told.
#[derive(Debug, Serialize)]
struct Rehearsal<'a> {
    dry_run: bool,
    #[serde(flatten)]
    totals: Totals,
    offers: Vec<Offer<'a>>,
}

/// An entry of it.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Offer<'a> {
    Folder { name: &'a Name },
    File { name: &'a Name, size_bytes: u64 },
}

fn rehearse(source: &Arc<Source>, tool: &ToolArgs, colour: Colour) -> io::Result<()> {
    let (totals, sizes) = source.measure();
    let entries = source.items().iter().zip(&sizes);
    tool.conclude_rehearsal(colour, || Rehearsal {
        dry_run: true,
        totals,
        offers: entries.map(|(item, size)| offer(item, *size)).collect(),
    });
    let mut out = io::stdout().lock();
    for (item, size) in source.items().iter().zip(sizes) {
        match item.kind {
            Kind::Directory(_) => writeln!(out, "{:>15}  {}/", "folder", item.name)?,
            Kind::File => writeln!(out, "{size:>15}  {}", item.name)?,
        }
    }
    writeln!(out, "{}", rehearsal(totals))?;
    out.flush()
}

fn offer(item: &Item, size_bytes: u64) -> Offer<'_> {
    let name = &item.name;
    match item.kind {
        Kind::Directory(_) => Offer::Folder { name },
        Kind::File => Offer::File { name, size_bytes },
    }
}
