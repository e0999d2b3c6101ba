//! `socklab tcp connect`: standard input to a server, its answer to standard
//! output, as typed.

use std::io;
use std::net::TcpStream;
use std::process::ExitCode;

use crate::address::{Endpoint, Question, resolve};
use crate::error::Error;
use crate::flow::Kind;
use crate::pipe;

/// Connect to a server: standard input goes there, what comes back to standard
/// output.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// HOST PORT, HOST:PORT, [IPv6]:PORT or NAME:SERVICE; the port is 5073
    /// where none is given.
    #[arg(required = true, num_args = 1..=2, value_name = "ENDPOINT",
          allow_negative_numbers = true)]
    endpoint: Vec<String>,
}

/// Runs the tool.
pub(super) fn run(args: &Args) -> Result<ExitCode, Error> {
    let typed = args.endpoint.join(" ");
    let endpoint = Endpoint::remote(&args.endpoint)
        .map_err(|error| Error::new("connect", typed, error.to_string()))?
        .or_port(crate::DEFAULT_PORT);
    let question = Question {
        family: None,
        kind: Kind::Tcp,
    };
    let addresses = resolve(&endpoint, question)?;
    let stream = TcpStream::connect(&addresses[..])
        .map_err(|error| Error::new("connect", &endpoint, error))?;
    pipe::join(stream, io::stdin(), io::stdout().lock())?;
    Ok(ExitCode::SUCCESS)
}
