//! `socklab ping` of many targets, as `fping(8)` does it.
//!
//! Owns what fping's options are called here: where its letters mean something
//! else to `ping(8)`, a word stands for them.

mod limits;

use std::io::BufWriter;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::Args;
use super::output::Ending;
use super::seconds;
use crate::cli::output::{environment, whole};
use crate::error::Error;
use crate::flow::Family;
use crate::ping::Signals;
use crate::ping::sweep::{self, Config, Goal, Names, Outcome, Plan, Shown, Telling, Watcher};
use crate::ping::targets::{MOST, Span, Spec, Wanted, read_file};
use crate::recorder::Clock;
use crate::report::ping::sweep::{Layout, List, Subject, SweepResult, SweepText};
use crate::socket::icmp::IcmpSocket;

/// Which targets, and how.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Many targets")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag that is typed"
)]
pub struct SweepArgs {
    /// Targets from a file, one a line; - is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// All addresses from the first to the last, IPv4 or IPv6
    #[arg(long, num_args = 2, value_names = ["FIRST", "LAST"])]
    range: Vec<String>,
    /// Every address of each name, not the first only
    #[arg(long)]
    all_addresses: bool,
    /// Show addresses, with --names and --all-names beside the names
    #[arg(long)]
    show_address: bool,
    /// Show the names of targets that were given by address
    #[arg(long)]
    names: bool,
    /// Show the name that each target's address has
    #[arg(long)]
    all_names: bool,
    /// List the targets that answer
    #[arg(long, conflicts_with_all = ["unreachable", "columns", "loop_for_ever", "count"])]
    alive: bool,
    /// List the targets that do not answer
    #[arg(long, conflicts_with_all = ["columns", "loop_for_ever", "count"])]
    unreachable: bool,
    /// Without -c, ask a target again so many times [default: 3]
    #[arg(long, value_name = "N", value_parser = whole(0_u32, 1000))]
    retries: Option<u32>,
    /// Without -c, wait this many times longer for each further reply [default: 1.5]
    #[arg(long, value_name = "FACTOR", value_parser = factor)]
    backoff: Option<f64>,
    /// Seconds from one request to the next, whoever gets it; 0: no pause
    /// [default: 0.01, or less where -i asks for more]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    send_gap: Option<Duration>,
    /// With -c, print each target's figures at the end and no line for each reply
    #[arg(long)]
    count_summary: bool,
    /// Send so many requests to each target, and print each round trip at the end
    #[arg(long, value_name = "COUNT", value_parser = whole(1_u32, MOST), conflicts_with = "count")]
    columns: Option<u32>,
    /// Send requests until interrupted
    #[arg(long = "loop", conflicts_with_all = ["columns", "count"])]
    loop_for_ever: bool,
    /// Show the round trip to each target that is alive
    #[arg(long)]
    elapsed: bool,
    /// Show how long each target was out: requests lost, times -i
    #[arg(long)]
    outage: bool,
    /// Print statistics over all targets at the end
    #[arg(long)]
    sweep_stats: bool,
    /// Say only whether at least so many targets answer
    #[arg(long, value_name = "N", value_parser = whole(1_u32, MOST))]
    reachable: Option<u32>,
}

impl SweepArgs {
    /// Whether there is more than one target, or something is asked that only a
    /// sweep answers.
    pub(super) fn is_asked(&self, hosts: &[String]) -> bool {
        let flags = [
            self.all_addresses,
            self.show_address,
            self.names,
            self.all_names,
            self.alive,
            self.unreachable,
            self.count_summary,
            self.loop_for_ever,
            self.elapsed,
            self.outage,
            self.sweep_stats,
        ];
        let numbers = [self.retries, self.columns, self.reachable];
        hosts.len() > 1
            || hosts.iter().any(|host| host.contains('/'))
            || self.has_targets()
            || flags.contains(&true)
            || numbers.iter().any(Option::is_some)
            || self.backoff.is_some()
            || self.send_gap.is_some()
    }

    /// Whether targets are given otherwise than as operands.
    pub(super) fn has_targets(&self) -> bool {
        self.file.is_some() || !self.range.is_empty()
    }

    fn specs(&self, hosts: &[String]) -> Result<Vec<Spec>, Error> {
        let operands = hosts.iter().map(|host| Spec::parse(host));
        let mut specs = operands.collect::<Result<Vec<Spec>, Error>>()?;
        for ends in self.range.chunks_exact(2) {
            specs.push(Spec::Span(Span::between(&ends[0], &ends[1])?));
        }
        if let Some(path) = &self.file {
            read_file(path, |spec| specs.push(spec))?;
        }
        if specs.is_empty() {
            let error = Error::new("ping", "", "there are no targets");
            return Err(error.remedy("give hosts, networks, --range or --file"));
        }
        Ok(specs)
    }

    fn goal(&self, count: Option<u64>) -> Goal {
        if self.loop_for_ever {
            return Goal::Loop;
        }
        let count = count.map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        match self.columns.or(count) {
            Some(count) => Goal::Count(count),
            None => Goal::Check {
                retries: self.retries.unwrap_or(3),
                backoff: self.backoff.unwrap_or(1.5),
            },
        }
    }

    fn subject(&self, goal: Goal) -> Subject {
        match (goal, self.columns) {
            (_, Some(count)) => Subject::Columns(count),
            (Goal::Count(_) | Goal::Loop, None) => Subject::Figures,
            _ if self.alive => Subject::Verdicts(List::Alive),
            _ if self.unreachable => Subject::Verdicts(List::Unreachable),
            _ => Subject::default(),
        }
    }
}

impl Args {
    /// Whether a picture takes the place of the lines in between.
    fn is_drawn_alone(&self, plan: &Plan) -> bool {
        self.output.is_drawn() && !matches!(plan.goal, Goal::Check { .. })
    }

    fn sweep_plan(&self) -> Plan {
        Plan {
            goal: self.sweep.goal(self.count),
            period: self.interval(),
            gap: self.sweep.send_gap,
            wait: self.wait,
            deadline: self.deadline.filter(|deadline| !deadline.is_zero()),
        }
    }

    fn sweep_layout(&self, plan: &Plan) -> Layout {
        let sweep = &self.sweep;
        Layout {
            subject: sweep.subject(plan.goal),
            quiet: self.quiet || sweep.count_summary || self.is_drawn_alone(plan),
            elapsed: sweep.elapsed,
            stamps: self.ping.stamps,
            audible: self.ping.audible,
            outage: sweep.outage.then_some(plan.period),
            statistics: sweep.sweep_stats,
            required: sweep.reachable,
        }
    }

    fn sweep_config(&self, plan: Plan, layout: &Layout) -> Config {
        let sweep = &self.sweep;
        Config {
            plan,
            payload_bytes: self.size,
            pattern: self
                .ping
                .pattern
                .clone()
                .map_or(Vec::new(), |bytes| bytes.0),
            arrival: self.arrival(),
            wanted: Wanted {
                family: self.family(),
                all: sweep.all_addresses,
                names: false,
            },
            shown: Shown {
                address: sweep.show_address,
                names: match (sweep.all_names, sweep.names) {
                    (true, _) => Names::OfAll,
                    (_, true) => Names::OfAddresses,
                    _ => Names::None,
                },
            },
            telling: match (self.output.tells_everything(), layout.subject) {
                (true, _) => Telling::Everything,
                (_, Subject::Verdicts(_)) => Telling::Verdicts,
                _ => Telling::Replies,
            },
            keep_round_trips: sweep.columns.is_some(),
        }
    }
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Error> {
    let plan = args.sweep_plan();
    args.check_sweep(&plan)?;
    let layout = args.sweep_layout(&plan);
    let config = args.sweep_config(plan, &layout);
    let opened = args.output.open()?;
    let mut ground = args.ground()?;
    // What is read is read without privileges.
    let specs = args.sweep.specs(&args.hosts)?;
    let sockets = sockets(&mut ground, args.family())?;
    let signals = Signals::install().map_err(|cause| Error::new("sigaction", "", cause))?;
    let clock = Clock::start();
    let mut shown = None;
    let output = opened.with_text(args, clock, &signals, |out, err, stop| {
        let out = BufWriter::with_capacity(1 << 15, out);
        let text = Arc::new(SweepText::new(layout.clone(), out, err, stop));
        shown = Some(Arc::clone(&text));
        text
    })?;
    let watcher: &dyn Watcher = match &shown {
        Some(text) => text.as_ref(),
        None => &(),
    };
    let outcome = sweep::run(&config, specs, &sockets, &signals, (output.sink(), watcher));
    if let Ok(outcome) = &outcome {
        let result = SweepResult::of(outcome);
        output.result(&environment(clock, ground.stage()), &result);
        if let Some(text) = shown.take() {
            text.conclude(outcome);
        }
    }
    drop(shown);
    match output.finish()? {
        // The reader has what it wanted: head(1), say.
        Ending::ReaderGone => Ok(ExitCode::SUCCESS),
        Ending::Whole => Ok(exit_code(&outcome?, &layout)),
    }
}

/// The sockets that there are, one a family; none is an error.
fn sockets(ground: &mut super::Ground, family: Option<Family>) -> Result<Vec<IcmpSocket>, Error> {
    let families = [Family::Ipv4, Family::Ipv6].into_iter();
    let mut sockets = Vec::new();
    let mut refused = None;
    for family in families.filter(|&one| family.is_none_or(|asked| asked == one)) {
        match ground.take_socket(family) {
            Ok(socket) => sockets.push(socket),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    match refused {
        Some(error) if sockets.is_empty() => Err(error),
        _ => Ok(sockets),
    }
}

/// As fping has it: 2 if a name has no address, 1 if a target did not answer.
fn exit_code(outcome: &Outcome, layout: &Layout) -> ExitCode {
    let (alive, unresolved) = (outcome.alive(), outcome.unresolved());
    let enough = layout
        .required
        .unwrap_or(outcome.targets.count() - unresolved);
    match (unresolved, alive >= enough) {
        (0, true) => ExitCode::SUCCESS,
        (0, false) => ExitCode::FAILURE,
        _ => ExitCode::from(2),
    }
}

fn factor(typed: &str) -> Result<f64, String> {
    match typed.parse::<f64>() {
        Ok(factor) if (1.0..=100.0).contains(&factor) => Ok(factor),
        _ => Err("must be a number from 1 to 100".to_owned()),
    }
}
