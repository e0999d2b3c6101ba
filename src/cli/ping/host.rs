//! `socklab ping HOST`: one host, as `ping(8)` does it.

use std::process::ExitCode;

use super::Args;
use super::output::{Ending, Opened};
use crate::cli::output::environment;
use crate::error::Error;
use crate::flow::Family;
use crate::ping::{self, Outcome, Signals, Target};
use crate::recorder::Clock;
use crate::socket::icmp::IcmpSocket;

pub(super) fn run(args: &Args) -> Result<ExitCode, Error> {
    super::check_interval(args.interval)?;
    let opened = args.output.open()?;
    let mut ground = args.ground()?;
    let (host, family) = match &args.hosts[..] {
        [] => ground.server(args.family())?,
        [host] => (host.clone(), args.family()),
        several => {
            let cause = "several hosts are not one";
            return Err(Error::new("ping", several.join(" "), cause));
        }
    };
    let target = ground.resolve(&host, family)?;
    let socket = ground.take_socket(Family::of(target.address.ip()))?;
    let code = run_on(args, opened, &socket, target, ground.stage())?;
    drop(socket);
    ground.close()?;
    Ok(code)
}

/// Pings on a socket and towards a target that belong together; both may be of
/// a private network namespace.
fn run_on(
    args: &Args,
    opened: Opened,
    socket: &IcmpSocket,
    target: Target,
    stage: &str,
) -> Result<ExitCode, Error> {
    let signals = Signals::install().map_err(|cause| Error::new("sigaction", "", cause))?;
    let clock = Clock::start();
    let output = opened.for_host(args, args.layout(&target), clock, &signals)?;
    let outcome = ping::run(&args.config(target), socket, &signals, output.sink());
    if let Ok(outcome) = &outcome {
        output.result(&environment(clock, stage), &outcome.summary);
    }
    match output.finish()? {
        Ending::ReaderGone => Ok(ExitCode::SUCCESS),
        Ending::Whole => Ok(exit_code(&outcome?)),
    }
}

fn exit_code(outcome: &Outcome) -> ExitCode {
    if outcome.success {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
