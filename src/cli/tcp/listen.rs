//! `socklab tcp listen`: wait for a connection, and speak with whoever comes, as
//! typed.

use std::io;
use std::net::TcpListener;
use std::process::ExitCode;

use super::serve::ServeArgs;
use crate::address::{Endpoint, Question, resolve};
use crate::cli::output::Colour;
use crate::error::Error;
use crate::flow::Kind;
use crate::pipe;

/// Wait for a connection: standard input goes to whoever comes, what they send
/// to standard output.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// PORT, ADDRESS:PORT, [IPv6]:PORT or ADDRESS PORT; port 5073 where none is
    /// given.
    #[arg(num_args = 0..=2, value_name = "ENDPOINT", allow_negative_numbers = true)]
    endpoint: Vec<String>,

    #[command(flatten)]
    serve: ServeArgs,
}

/// Runs the tool.
pub(super) fn run(args: &Args, colour: Colour) -> Result<ExitCode, Error> {
    let typed = args.endpoint.join(" ");
    let endpoint = Endpoint::local(&args.endpoint)
        .map_err(|error| Error::new("listen on", typed, error.to_string()))?
        .or_port(crate::DEFAULT_PORT)
        .or_host("::");
    let question = Question {
        family: None,
        kind: Kind::Tcp,
    };
    let addresses = resolve(&endpoint, question)?;
    if args.serve.is_asked_for() {
        return args.serve.run(&addresses, colour);
    }
    let failed = |error| Error::new("listen on", &endpoint, error);
    let listener = TcpListener::bind(&addresses[..]).map_err(failed)?;
    note!("listening on {}", listener.local_addr().map_err(failed)?);
    let (stream, _) = listener.accept().map_err(failed)?;
    pipe::join(stream, io::stdin(), io::stdout().lock())?;
    Ok(ExitCode::SUCCESS)
}
