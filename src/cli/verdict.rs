//! What is asked of a comparison's outcome, as typed: expectations, and a line
//! a message for spreadsheets.
//!
//! Expectations are read, and files are opened, before anything runs.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::output::{OutputArgs, unwritten};
use crate::compare::expect::Expectation;
use crate::compare::{Compared, Variant};
use crate::error::Error;
use crate::report::compare::csv;

/// Options about what came of a comparison.
#[derive(Debug, clap::Args)]
pub(super) struct VerdictArgs {
    /// Fail unless a figure is as expected, such as "udp.lost <= 2%";
    /// repeatable.
    ///
    /// KIND.FIGURE, one of < <= == != >= >, and a value: a count, a percentage
    /// of the messages sent, a time (200ms), a rate (10mbit) or a number, as the
    /// figure has it. The run ends with 1, and a line for each that is not so.
    #[arg(long, value_name = "EXPECTATION")]
    expect: Vec<Expectation>,

    /// Write a line of comma-separated values a message to FILE, or to standard
    /// output, alone, where that is -.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

/// What became of an expectation, for programs.
#[derive(Debug, Serialize)]
pub(super) struct Checked {
    /// As it is typed.
    expected: String,
    met: bool,
    /// Why it is not met, with the figure.
    reason: Option<String>,
}

/// Where the lines go.
#[derive(Debug)]
pub(super) enum Lines {
    Nowhere,
    StandardOutput,
    To(BufWriter<File>, PathBuf),
}

impl VerdictArgs {
    /// Whether standard output is for the lines alone.
    pub(super) fn takes_standard_output(&self) -> bool {
        self.csv.as_deref().is_some_and(is_standard_output)
    }

    /// Opens what will be written to; refuses expectations of a kind that takes
    /// no part, and two outputs into one.
    pub(super) fn open(&self, kinds: &[Variant], output: &OutputArgs) -> Result<Lines, Error> {
        if output.json && self.takes_standard_output() {
            let why = "standard output is for --json or for --csv, not for both";
            return Err(Error::new("--csv", "-", why).remedy("write one of them to a file"));
        }
        if let Some(expected) = self.expect.iter().find(|one| !kinds.contains(&one.variant)) {
            let named: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
            let why = format!("{} takes no part in this run", expected.variant);
            let remedy = format!("those that do are {}; --kinds chooses", named.join(", "));
            return Err(Error::new("--expect", format!("\"{expected}\""), why).remedy(remedy));
        }
        match &self.csv {
            None => Ok(Lines::Nowhere),
            Some(path) if is_standard_output(path) => Ok(Lines::StandardOutput),
            Some(path) => match File::create(path) {
                Ok(file) => Ok(Lines::To(BufWriter::new(file), path.clone())),
                Err(error) => Err(Error::new("create", path.display(), error)
                    .remedy("--csv needs a path in a folder that you may write to, or -")),
            },
        }
    }

    /// Holds all expectations against what came of the run; those not met are
    /// told on standard error.
    pub(super) fn check(&self, compared: &[Compared]) -> Vec<Checked> {
        let check = |expectation: &Expectation| {
            let reason = expectation.check(compared).err().map(|why| why.to_string());
            if let Some(reason) = &reason {
                note!("{reason}");
            }
            Checked {
                expected: expectation.to_string(),
                met: reason.is_none(),
                reason,
            }
        };
        self.expect.iter().map(check).collect()
    }
}

impl Checked {
    /// Whether all of them are met.
    pub(super) fn all_met(checked: &[Self]) -> bool {
        checked.iter().all(|one| one.met)
    }
}

impl Lines {
    /// Writes the lines where they go.
    pub(super) fn write(self, compared: &[Compared]) -> Result<(), Error> {
        match self {
            Lines::Nowhere => Ok(()),
            Lines::StandardOutput => {
                let mut out = BufWriter::new(io::stdout().lock());
                csv::render(&mut out, compared)
                    .and_then(|()| out.flush())
                    .map_err(unwritten)
            }
            Lines::To(mut file, path) => csv::render(&mut file, compared)
                .and_then(|()| file.flush())
                .map_err(|error| Error::new("write", path.display(), error)),
        }
    }
}

fn is_standard_output(path: &Path) -> bool {
    path.as_os_str() == "-"
}
