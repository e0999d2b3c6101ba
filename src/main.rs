//! The binary: parse, run, report the error once, exit.

use std::process::ExitCode;

use socklab::cli;
use socklab::error::{Error, Exit};

fn main() -> ExitCode {
    match cli::run() {
        Ok(code) => code,
        Err(error) => report(&error),
    }
}

/// Prints the error and chooses the exit code. `| head` closing its pipe is
/// success: it has seen enough.
fn report(error: &anyhow::Error) -> ExitCode {
    let known = error.downcast_ref::<Error>();
    let broken_pipe = known.is_some_and(Error::is_broken_pipe)
        || error
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe);
    if broken_pipe {
        return ExitCode::SUCCESS;
    }
    eprintln!("socklab: {error:#}");
    ExitCode::from(known.map_or(Exit::Other, Error::exit).code())
}
