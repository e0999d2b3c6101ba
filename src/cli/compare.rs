//! `socklab compare`: the same messages through TCP, UDP and raw sockets.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::compare_remote::{self, Endpoint, RemoteArgs};
use super::demonstration::{describe, ended};
use super::output::{Colour, OutputArgs, whole};
use super::page::PageFile;
use super::place::PlaceArgs;
use super::schedule::ScheduleArgs;
use super::verdict::{Checked, VerdictArgs};
use crate::compare::remote::{self, Clocks};
use crate::compare::{self, Compared, Config, Order, Outcome, WireTally};
use crate::error::Error;
use crate::event::Place;
use crate::link::Account;
use crate::packet::hexdump::Mode;
use crate::recorder::{Clock, Recorder};
use crate::report::dump::{self, Extent, Subject};
use crate::report::{self, Style};
use crate::stage::Stage;

/// Send the same messages through TCP, UDP and raw sockets, side by side.
///
/// Numbered, timestamped, checksummed messages go from the client to the server
/// through a stream socket, a datagram socket and a raw ICMP socket, or what
/// --kinds says, over the same private link. What arrives is judged by the
/// receiving program and held against what crossed the wire.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  socklab compare                       100 messages of 100 bytes
  socklab compare -c 1000 -i 0 -s 1400  as fast as possible, nearly an MTU each
  socklab compare -6 --pcap c.pcapng    over IPv6, packets for Wireshark
  socklab compare --json | tail -n 1    every figure, for a program
  socklab compare --csv messages.csv    a line a message, for a spreadsheet
  socklab compare --loss 1% --expect \"udp.lost <= 3%\" --expect \"tcp.p99 < 1s\"
                                        ends with 1 where that is not so")]
pub(super) struct Args {
    #[command(flatten)]
    schedule: ScheduleArgs,

    /// Give up a stream that stands still for this many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = compare::TIMEOUT.as_secs(),
          allow_negative_numbers = true, value_parser = whole(1_u64, 86_400))]
    timeout: u64,

    /// Write one self-contained page to FILE: the figures, the pictures, the
    /// packets.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    #[command(flatten)]
    verdict: VerdictArgs,

    #[command(flatten)]
    output: OutputArgs,

    #[command(flatten)]
    remote: RemoteArgs,

    // The last, so that its heading is over nothing else.
    #[command(flatten)]
    place: PlaceArgs,
}

/// What the last line of JSON holds.
#[derive(Serialize)]
struct Report<'a> {
    planned: u32,
    sent_messages: u32,
    interrupted: bool,
    /// Whether the kinds sent `at_once` or `in_turn`.
    order: Order,
    size_bytes: usize,
    kinds: &'a [Compared],
    link: Option<&'a Account>,
    /// What the link did to packets, as a description of it.
    plan: Option<&'a str>,
    /// What was expected (`--expect`), and whether it is so.
    expectations: &'a [Checked],
    /// How the clocks stand, between real machines.
    clocks: Option<&'a Clocks>,
}

/// Runs the subcommand.
pub(super) fn run(args: &Args, colour: Colour) -> anyhow::Result<ExitCode> {
    match (&args.remote.listen, &args.remote.host) {
        (Some(endpoint), _) => listen(args, endpoint),
        (None, Some(host)) => run_remote(args, host, colour),
        (None, None) => run_here(args, colour),
    }
}

/// The other machine of a run against one.
fn listen(args: &Args, endpoint: &Endpoint) -> anyhow::Result<ExitCode> {
    let family = args.place.asked_family();
    args.place
        .refuse_link("--listen is one end of a real network; leave one of the two")?;
    compare_remote::listen(&args.remote, endpoint, (family, &stop_on_signals()?))?;
    Ok(ExitCode::SUCCESS)
}

/// The run on this machine.
fn run_here(args: &Args, colour: Colour) -> anyhow::Result<ExitCode> {
    let prepared = args.place.prepare()?;
    let config = args.config(prepared.seed());
    let lines = args.verdict.open(&config.variants, &args.output)?;
    let clock = Clock::start();
    let tally = Arc::new(WireTally::new(&config));
    let sinks = args.output.open("compare", clock)?.with(tally.clone());
    let html = args.html.as_deref();
    let page = html.map(|path| PageFile::create(path, clock)).transpose()?;
    let stop = stop_on_signals()?;
    let sink = sinks.tee()?;
    let sink = page.as_ref().map_or(sink.clone(), |page| page.beside(sink));
    let described = prepared.plan();
    let mut build = || {
        let prepared = match config.order {
            Order::AtOnce => &prepared,
            Order::InTurn => &prepared.starting_at(clock.now()),
        };
        args.place.build(prepared, clock, &sink)
    };
    let Played {
        outcome,
        blind,
        account,
    } = play(&config, &mut build, &stop)?;
    drop(sink);
    let (planned, sent_messages) = (outcome.planned, outcome.sent_messages);
    let interrupted = said_to_be_interrupted(&outcome);
    let compared = compare::with_wire(outcome.columns, &tally);
    drop(tally);
    let checked = args.verdict.check(&compared);
    let result = Report {
        planned,
        sent_messages,
        interrupted,
        size_bytes: config.largest(),
        kinds: &compared,
        link: account.as_ref(),
        plan: described.as_deref(),
        expectations: &checked,
        order: config.order,
        clocks: None,
    };
    let finished = sinks.conclude(&result, account.as_ref())?;
    lines.write(&compared)?;
    let shown = report::compare::Shown {
        config: &config,
        sent: sent_messages,
        compared: &compared,
        link: account.as_ref(),
        blind: blind.as_deref(),
    };
    if let Some(page) = page {
        page.write_comparison(shown, clock, described.as_deref())?;
    }
    if finished.events.is_some() && !args.verdict.takes_standard_output() {
        show(&shown, described.as_deref(), colour)?;
    }
    finished.pcap?;
    let agrees = agrees(&compared, account.as_ref());
    Ok(ended_as(agrees && Checked::all_met(&checked)))
}

/// Says on standard error where the sending was ended early, and whether it was.
fn said_to_be_interrupted(outcome: &Outcome) -> bool {
    let (planned, sent) = (outcome.planned, outcome.sent_messages);
    if outcome.is_interrupted() {
        note!("interrupted after {sent} of {planned} messages");
    }
    outcome.is_interrupted()
}

fn show(
    shown: &report::compare::Shown<'_>,
    described: Option<&str>,
    colour: Colour,
) -> std::io::Result<()> {
    let (mut out, style) = (std::io::stdout().lock(), colour.style());
    describe(&mut out, described)?;
    report::compare::render(&mut out, shown, &style)?;
    first_packets(&mut out, shown.compared, &style)
}

fn ended_as(is_good: bool) -> ExitCode {
    if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What a run on this machine gave.
struct Played {
    outcome: Outcome,
    /// Why no packets could be seen, where none could.
    blind: Option<String>,
    account: Option<Account>,
}

/// Sends at once, or through one kind after another: then each over a link of
/// its own, so that none meets what another left behind.
fn play(
    config: &Config,
    build: &mut dyn FnMut() -> Result<Stage, Error>,
    stop: &AtomicBool,
) -> Result<Played, Error> {
    let mut runs = match config.order {
        Order::AtOnce => vec![config.clone()],
        Order::InTurn => config
            .variants
            .iter()
            .map(|one| config.alone(*one))
            .collect(),
    }
    .into_iter();
    let mut stage = build()?;
    let mut outcome = Outcome::default();
    let mut accounts: Option<Account> = None;
    let mut run = runs.next();
    while let Some(config) = run {
        outcome.add(compare::run(&config, &stage, stop)?);
        run = runs.next();
        if run.is_some() && stage.as_link().is_some() {
            let account = ended(stage)?;
            accounts = merged(accounts, account);
            stage = build()?;
        }
    }
    let blind = stage.blind().map(ToString::to_string);
    let account = merged(accounts, ended(stage)?);
    Ok(Played {
        outcome,
        blind,
        account,
    })
}

fn merged(before: Option<Account>, last: Option<Account>) -> Option<Account> {
    match (before, last) {
        (Some(before), Some(last)) => Some(before.and(last)),
        (before, last) => before.or(last),
    }
}

/// The run against another machine.
fn run_remote(args: &Args, host: &Endpoint, colour: Colour) -> anyhow::Result<ExitCode> {
    let clock = Clock::start();
    let sinks = args.output.open("compare", clock)?;
    let stop = stop_on_signals()?;
    let peer = host.resolve((args.place.asked_family(), args.place.port))?;
    args.place
        .refuse_link("the way to HOST is a real network; leave one of the two")?;
    let config = Config {
        family: crate::flow::Family::of(peer.ip()),
        ..args.config(0)
    };
    let lines = args.verdict.open(&config.variants, &args.output)?;
    let recorder = Recorder::new(Place::Client, clock, sinks.tee()?);
    let ran = remote::run(&config, peer, &recorder, &stop)?;
    drop(recorder);
    let compared = compare::with_wire(ran.outcome.columns.clone(), &WireTally::new(&config));
    let interrupted = said_to_be_interrupted(&ran.outcome);
    let (planned, sent_messages) = (ran.outcome.planned, ran.outcome.sent_messages);
    if let Some(why) = &ran.cut {
        note!("the server ended the run: {why}");
    }
    let checked = args.verdict.check(&compared);
    let result = Report {
        planned,
        sent_messages,
        interrupted,
        size_bytes: config.largest(),
        kinds: &compared,
        link: None,
        plan: None,
        expectations: &checked,
        order: config.order,
        clocks: Some(&ran.clocks),
    };
    let finished = sinks
        .played(format!("real network {host}"))
        .conclude(&result, None)?;
    lines.write(&compared)?;
    if finished.events.is_some() && !args.verdict.takes_standard_output() {
        let (mut out, style) = (std::io::stdout().lock(), colour.style());
        let shown = report::compare::Shown {
            config: &config,
            sent: sent_messages,
            compared: &compared,
            link: None,
            blind: None,
        };
        report::compare::render(&mut out, &shown, &style)?;
        report::clocks::render(&mut out, &ran.clocks, &style)?;
    }
    finished.pcap?;
    let is_good = agrees(&compared, None) && Checked::all_met(&checked);
    Ok(ended_as(is_good))
}

/// Ctrl-C ends the sending; what was sent is judged and shown all the same.
fn stop_on_signals() -> Result<Arc<AtomicBool>, Error> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // A second signal ends the process as if nobody listened.
        signal_hook::flag::register_conditional_default(signal, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
            .map_err(|error| Error::new("sigaction", "SIGINT", error))?;
    }
    Ok(stop)
}

fn first_packets(
    out: &mut impl Write,
    compared: &[Compared],
    style: &Style,
) -> std::io::Result<()> {
    let first: Vec<_> = compared
        .iter()
        .filter_map(|compared| {
            let packet = compared.first.as_ref()?;
            let name = compared.column.variant.title();
            let title = format!("The first {name} packet with a message");
            Some((title, packet.dissect(), packet))
        })
        .collect();
    let subjects: Vec<Subject<'_>> = first
        .iter()
        .map(|(title, dissection, packet)| Subject {
            title,
            dissection,
            bytes: &packet.bytes,
        })
        .collect();
    let extent = Extent {
        mode: Mode::Annotated,
        data: Some(32),
    };
    writeln!(out)?;
    dump::side_by_side(out, &subjects, extent, style)
}

/// Whether the programs' figures and the wire's can both be true.
fn agrees(compared: &[Compared], account: Option<&Account>) -> bool {
    compared
        .iter()
        .all(|one| one.disagreements(account).is_empty() && !one.failed_on_the_network())
        && account.is_none_or(|account| account.unmodelled_loss() == 0 && account.is_conserved())
}

impl Args {
    fn config(&self, seed: u64) -> Config {
        let config = self.schedule.config(seed, self.place.narrowest());
        let longest_way = self.place.longest_way(self.schedule.longest());
        Config {
            family: self.place.family(),
            port: self.place.port,
            patience: config.patience + longest_way,
            timeout: Duration::from_secs(self.timeout),
            ..config
        }
    }
}
