//! `socklab compare`: the same messages through TCP, UDP and raw sockets.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::compare_remote::{self, RemoteArgs};
use super::demonstration::describe;
use super::ground::{Equipment, Ground, Played};
use super::interrupt::Interrupt;
use super::output::{Colour, OutputArgs, whole};
use super::page::{PageFile, Setting};
use super::place::PlaceArgs;
use super::schedule::ScheduleArgs;
use super::verdict::{Checked, VerdictArgs};
use crate::compare::remote::Clocks;
use crate::compare::{self, Compared, Config, Order, WireTally};
use crate::error::Error;
use crate::event::Sink;
use crate::flow::Family;
use crate::link::Account;
use crate::packet::hexdump::Mode;
use crate::recorder::Clock;
use crate::report::dump::{self, Extent, Subject};
use crate::report::{self, Style};

/// Send the same messages through TCP, UDP and raw sockets, side by side.
///
/// Numbered, timestamped, checksummed messages go from the client to the server
/// through a stream socket, a datagram socket and a raw ICMP socket, over the
/// same private link and by the same schedule, each kind with a sender and a
/// receiver of its own. What arrives is judged by the receiving program and held
/// against what crossed the wire.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  socklab compare                       100 messages of 100 bytes
  socklab compare -c 1000 -i 0 -s 1400  as fast as possible, nearly an MTU each
  socklab compare -6 --pcap c.pcapng    over IPv6, packets for Wireshark
  socklab compare --listen              on one machine; then on another:
  socklab compare lab.example           what the network between them does
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
    /// How the two clocks stand, between real machines.
    clocks: Option<&'a Clocks>,
}

/// Runs the subcommand.
pub(super) fn run(args: &Args, colour: Colour) -> anyhow::Result<ExitCode> {
    if args.remote.is_server() {
        let stop = Interrupt::catch()?.flag();
        compare_remote::listen(&args.remote, &args.place, &stop)?;
        return Ok(ExitCode::SUCCESS);
    }
    let peer = args.remote.peer(&args.place)?;
    let ground = match peer {
        Some(peer) => {
            let why = "packets are not captured between machines; leave one of the two";
            args.output.refuse_packets(why)?;
            Ground::Network(peer)
        }
        None => Ground::Stage(args.place.prepare()?),
    };
    let config = Config {
        family: peer.map_or(args.place.family(), |peer| Family::of(peer.ip())),
        ..args.config(ground.seed())
    };
    play(args, &ground, &config, colour)
}

/// Plays a comparison and presents what came of it.
fn play(args: &Args, ground: &Ground, config: &Config, colour: Colour) -> anyhow::Result<ExitCode> {
    let lines = args.verdict.open(&config.variants, &args.output)?;
    let clock = Clock::start();
    let tally = Arc::new(WireTally::new(config));
    let sinks = args.output.open("compare", clock)?.with(tally.clone());
    let sinks = sinks.played_at(args.remote.place());
    let page = args.page(clock)?;
    let stop = Interrupt::catch()?.flag();
    let equipment = Equipment {
        place: &args.place,
        clock,
        sink: beside(page.as_ref(), sinks.tee()?),
        stop: &stop,
    };
    let Played {
        outcome,
        blind,
        account,
        described,
        clocks,
    } = ground.play(config, equipment)?;
    let (planned, sent_messages) = (outcome.planned, outcome.sent_messages);
    let interrupted = said_to_be_interrupted(&outcome);
    let compared = compare::with_wire(outcome.columns, &tally);
    drop(tally);
    let checked = args.verdict.check(&compared);
    let result = Report {
        planned,
        sent_messages,
        interrupted,
        order: config.order,
        size_bytes: config.largest(),
        kinds: &compared,
        link: account.as_ref(),
        plan: described.as_deref(),
        expectations: &checked,
        clocks: clocks.as_ref(),
    };
    let finished = sinks.conclude(&result, account.as_ref())?;
    lines.write(&compared)?;
    let shown = report::compare::Shown {
        config,
        sent: sent_messages,
        compared: &compared,
        link: account.as_ref(),
        blind: blind.as_deref(),
    };
    if let Some(page) = page {
        let setting = Setting {
            plan: described.as_deref(),
            place: args.remote.place(),
            clocks: clocks.as_ref(),
        };
        page.write_comparison(shown, clock, setting)?;
    }
    if finished.events.is_some() && !args.verdict.takes_standard_output() {
        show(&shown, (described.as_deref(), clocks.as_ref()), colour)?;
    }
    finished.pcap?;
    let is_right = agrees(&compared, account.as_ref()) && Checked::all_met(&checked);
    Ok(ended_as(is_right))
}

/// What the packets go to: the run's own sinks, and what a page keeps.
fn beside(page: Option<&PageFile>, sink: Arc<dyn Sink>) -> Arc<dyn Sink> {
    match page {
        Some(page) => page.beside(sink),
        None => sink,
    }
}

/// Says on standard error where the sending was ended early, and whether it was.
fn said_to_be_interrupted(outcome: &compare::Outcome) -> bool {
    let (planned, sent) = (outcome.planned, outcome.sent_messages);
    if outcome.is_interrupted() {
        note!("interrupted after {sent} of {planned} messages");
    }
    outcome.is_interrupted()
}

fn show(
    shown: &report::compare::Shown<'_>,
    (described, clocks): (Option<&str>, Option<&Clocks>),
    colour: Colour,
) -> std::io::Result<()> {
    let (mut out, style) = (std::io::stdout().lock(), colour.style());
    describe(&mut out, described)?;
    report::compare::render(&mut out, shown, &style)?;
    if let Some(clocks) = clocks {
        report::clocks::render(&mut out, clocks, &style)?;
    }
    first_packets(&mut out, shown.compared, &style)
}

fn ended_as(is_good: bool) -> ExitCode {
    if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
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
    /// The page in the making, where one is wanted.
    fn page(&self, clock: Clock) -> Result<Option<PageFile>, Error> {
        let path = self.html.as_deref();
        path.map(|path| PageFile::create(path, clock)).transpose()
    }

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
