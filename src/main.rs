//! The binary: parse, run, report the error once, exit.

use std::process::ExitCode;

use socklab::cli;
use socklab::error::{Error, Exit};

fn main() -> ExitCode {
    match cli::run() {
        Ok(code) => code,
        Err(error) => report(error),
    }
}

/// Prints the error and chooses the exit code. `| head` closing its pipe is
/// success: it has seen enough.
fn report(error: anyhow::Error) -> ExitCode {
    // Only what renders to standard output fails with a bare I/O error.
    let error = match error.downcast::<std::io::Error>() {
        Ok(error) => Error::new("write", "standard output", error)
            .exiting(Exit::Other)
            .into(),
        Err(error) => error,
    };
    let known = error.downcast_ref::<Error>();
    if known.is_some_and(Error::is_broken_pipe) {
        return ExitCode::SUCCESS;
    }
    cli::note(format_args!("{error:#}"));
    ExitCode::from(known.map_or(Exit::Other, Error::exit).code())
}
