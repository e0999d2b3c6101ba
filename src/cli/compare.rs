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
use super::output::{Colour, OutputArgs, bytes, whole};
use super::page::PageFile;
use super::place::PlaceArgs;
use super::verdict::{Checked, VerdictArgs};
use crate::compare::remote::{self, Clocks};
use crate::compare::{
    self, Compared, Config, LARGEST, Pace, SMALLEST, Schedule, Sizes, Variant, WireTally,
};
use crate::error::Error;
use crate::event::Place;
use crate::link::Account;
use crate::packet::hexdump::Mode;
use crate::recorder::{Clock, Recorder};
use crate::report::dump::{self, Extent, Subject};
use crate::report::{self, Style};

/// Send the same messages through TCP, UDP and raw sockets, side by side.
///
/// Numbered, timestamped, checksummed messages go from the client to the server
/// through a stream socket, a datagram socket and a raw ICMP socket, over the
/// same private link. One thread sends them all; the kinds take turns at being
/// first. What arrives is judged by the receiving program
/// and held against what crossed the wire.
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
    /// How many messages each kind of socket carries.
    #[arg(short, long, value_name = "COUNT", default_value_t = 100,
          value_parser = whole(1_u32, 10_000_000), allow_negative_numbers = true)]
    count: u32,

    /// Length of a message in bytes.
    #[arg(short, long, value_name = "BYTES", default_value = "100",
          value_parser = bytes(SMALLEST, LARGEST))]
    size: usize,

    /// Milliseconds from one message to the next; fractions allowed.
    #[arg(short, long, value_name = "MS", default_value = "1", value_parser = milliseconds)]
    interval: Duration,

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
    if let Some(endpoint) = &args.remote.listen {
        let family = args.place.asked_family();
        args.place
            .refuse_link("--listen is one end of a real network; leave one of the two")?;
        compare_remote::listen(&args.remote, endpoint, (family, &stop_on_signals()?))?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(host) = &args.remote.host {
        return run_remote(args, host, colour);
    }
    let config = args.config();
    let lines = args.verdict.open(&config.variants, &args.output)?;
    let prepared = args.place.prepare()?;
    let clock = Clock::start();
    let tally = Arc::new(WireTally::new(&config));
    let sinks = args.output.open("compare", clock)?.with(tally.clone());
    let html = args.html.as_deref();
    let page = html.map(|path| PageFile::create(path, clock)).transpose()?;
    let stop = stop_on_signals()?;
    let sink = sinks.tee()?;
    let sink = page.as_ref().map_or(sink.clone(), |page| page.beside(sink));
    let stage = args.place.build(&prepared, clock, &sink)?;
    drop(sink);
    let described = prepared.plan();
    let outcome = compare::run(&config, &stage, &stop)?;
    let blind = stage.blind().map(ToString::to_string);
    let account = ended(stage)?;
    let (planned, sent_messages) = (outcome.planned, outcome.sent_messages);
    let interrupted = outcome.is_interrupted();
    if interrupted {
        note!("interrupted after {sent_messages} of {planned} messages");
    }
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
        let (mut out, style) = (std::io::stdout().lock(), colour.style());
        describe(&mut out, described.as_deref())?;
        report::compare::render(&mut out, &shown, &style)?;
        first_packets(&mut out, &compared, &style)?;
    }
    finished.pcap?;
    let agrees = agrees(&compared, account.as_ref());
    Ok(if agrees && Checked::all_met(&checked) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
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
        ..args.config()
    };
    let lines = args.verdict.open(&config.variants, &args.output)?;
    let recorder = Recorder::new(Place::Client, clock, sinks.tee()?);
    let ran = remote::run(&config, peer, &recorder, &stop)?;
    drop(recorder);
    let compared = compare::with_wire(ran.outcome.columns.clone(), &WireTally::new(&config));
    let interrupted = ran.outcome.is_interrupted();
    let (planned, sent_messages) = (ran.outcome.planned, ran.outcome.sent_messages);
    if interrupted {
        note!("interrupted after {sent_messages} of {planned} messages");
    }
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
    Ok(if agrees(&compared, None) && Checked::all_met(&checked) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
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
    fn config(&self) -> Config {
        Config {
            family: self.place.family(),
            port: self.place.port,
            variants: Variant::USUAL.to_vec(),
            raw_protocol: compare::RAW_PROTOCOL,
            schedule: Schedule {
                sizes: Sizes::Fixed(u32::try_from(self.size).unwrap_or(u32::MAX)),
                pace: Pace::Every(self.interval),
                extent: compare::Extent::Messages(self.count),
                seed: 0,
            },
            deadline: None,
            patience: Config::default().patience + self.place.longest_way(self.size),
            timeout: Duration::from_secs(self.timeout),
        }
    }
}

fn milliseconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "not a number of milliseconds")?;
    if !(0.0..=3_600_000.0).contains(&number) {
        return Err("must be 0 to 3600000 milliseconds".into());
    }
    Ok(Duration::from_secs_f64(number / 1000.0))
}
