//! `socklab ping HOST`: one host, as `ping(8)` does it.

use std::process::ExitCode;

use super::Args;
use super::output::{Ending, Opened};
use crate::cli::output::environment;
use crate::error::Error;
use crate::flow::Family;
use crate::ping::{self, Outcome, Reach, Signals, Target};
use crate::recorder::Clock;
use crate::report::ping::Layout;
use crate::socket::icmp::{IcmpSocket, Options};

pub(super) fn run(args: &Args) -> Result<ExitCode, Error> {
    args.check_manners()?;
    let opened = args.output.open()?;
    let mut ground = args.ground()?;
    let (host, family) = match &args.hosts[..] {
        [] => ground.server(args.family())?,
        [host] => (host.clone(), args.family()),
        [.., host] if args.has_hops() => (host.clone(), Some(Family::Ipv4)),
        several => {
            let cause = "several hosts are not one";
            return Err(Error::new("ping", several.join(" "), cause));
        }
    };
    let target = ground.resolve(&host, family);
    let target = target.map_err(|error| args.beside_its_source(&host, error))?;
    if target.reach == Reach::Broadcast {
        args.check_broadcast_manners()?;
    }
    let descriptors = ground.descriptors();
    let socket = ground.take_socket(Family::of(target.address.ip()))?;
    if args.ping.sticky {
        stick(&socket, &target)?;
    }
    let layout = args.layout(&target, &socket, &descriptors);
    let code = run_on(args, (opened, layout), &socket, target, ground.stage())?;
    drop(socket);
    ground.close()?;
    Ok(code)
}

/// Keeps the address that the route gave at the start (`-B`).
fn stick(socket: &IcmpSocket, target: &Target) -> Result<(), Error> {
    let options = Options {
        source: Some(target.source.ip()),
        ..Options::default()
    };
    super::ground::apply(socket, &options)
}

/// Pings on a socket and towards a target that belong together; both may be of
/// a private network namespace.
fn run_on(
    args: &Args,
    (opened, layout): (Opened, Layout),
    socket: &IcmpSocket,
    target: Target,
    stage: &str,
) -> Result<ExitCode, Error> {
    let signals = Signals::install().map_err(|cause| Error::new("sigaction", "", cause))?;
    let clock = Clock::start();
    let output = opened.for_host(args, layout, clock, &signals)?;
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
