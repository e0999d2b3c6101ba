//! The link as typed: what it does to packets, its MTU, its seed.
//!
//! Each option is a word of a link's description ([`Spec`]); they go
//! over each other in this order: profile, `--link`, single options, `--up` and
//! `--down`, `--at`.

use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::BuildHasher;
use std::io::{BufRead, BufReader, Read};

use clap::builder::{StringValueParser, TypedValueParser};

use super::output::whole;
use crate::error::{Error, Exit, explain};
use crate::flow::Direction;
use crate::impair::{Dialect, PROFILES, Plan, Profile, Sketch, Source, Spec, SpecError};
use crate::link;

/// Options of every command that uses the link.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Link options")]
pub(super) struct LinkArgs {
    /// Time on the way, each way, such as 20ms
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    delay: Option<String>,

    /// Spread of the delay, such as 5ms; lets packets overtake
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    jitter: Option<String>,

    /// Shape of the jitter: uniform, normal, pareto or paretonormal
    #[arg(long, value_name = "SHAPE", hide_short_help = true)]
    distribution: Option<String>,

    /// Packets lost, such as 5%; also "gemodel P R", "state P13 P31"
    #[arg(long, value_name = "PERCENT", allow_hyphen_values = true)]
    loss: Option<String>,

    /// Mean number of packets lost in a row, with --loss
    #[arg(long, value_name = "PACKETS", allow_hyphen_values = true)]
    burst: Option<String>,

    /// Packets that arrive twice
    #[arg(long, value_name = "PERCENT", allow_hyphen_values = true)]
    duplicate: Option<String>,

    /// Packets that overtake the delayed ones; needs --delay
    #[arg(long, value_name = "PERCENT", allow_hyphen_values = true)]
    reorder: Option<String>,

    /// Reorder only after this many less one were delayed
    #[arg(
        long,
        value_name = "PACKETS",
        hide_short_help = true,
        allow_hyphen_values = true
    )]
    gap: Option<String>,

    /// Packets with one bit flipped
    #[arg(long, value_name = "PERCENT", allow_hyphen_values = true)]
    corrupt: Option<String>,

    /// Packets whose tail is cut off
    #[arg(
        long,
        value_name = "PERCENT",
        hide_short_help = true,
        allow_hyphen_values = true
    )]
    truncate: Option<String>,

    /// Mark ECN-capable packets instead of losing them
    #[arg(long, hide_short_help = true)]
    ecn: bool,

    /// Rate of the bottleneck, such as 10mbit
    #[arg(long, value_name = "RATE", allow_hyphen_values = true)]
    rate: Option<String>,

    /// Bytes that each packet takes more than its IP length, such as 14
    #[arg(
        long,
        value_name = "BYTES",
        hide_short_help = true,
        allow_hyphen_values = true
    )]
    overhead: Option<String>,

    /// Bytes that may leave at once after a pause (token bucket), such as 64kb
    #[arg(
        long,
        value_name = "SIZE",
        hide_short_help = true,
        allow_hyphen_values = true
    )]
    bucket: Option<String>,

    /// Room before the bottleneck, in packets or as a size: 100, 64kb
    #[arg(long, value_name = "PACKETS|SIZE", allow_hyphen_values = true)]
    queue: Option<String>,

    /// How the queue is kept short: droptail, codel, red
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    aqm: Option<String>,

    /// Serve the queue as a mahimahi trace says
    ///
    /// A whole number of milliseconds a line, each an opportunity for 1500 bytes;
    /// the trace repeats at its last time. At most 64 MiB are read.
    #[arg(
        long = "rate-trace",
        id = "rate_trace",
        value_name = "FILE",
        hide_short_help = true
    )]
    trace: Option<String>,

    /// Lose the packets chosen, such as "c2s data#3", "syn#1", "every 400"
    ///
    /// #N and every N count the packets for which all else holds, in each flow and
    /// direction by itself. port N does not choose a datagram's later fragments:
    /// only the first carries the ports.
    #[arg(long, value_name = "SELECTOR")]
    drop: Vec<String>,

    /// Delay the packets chosen, such as "s2c synack#1 200ms"
    #[arg(long, value_name = "SELECTOR TIME", hide_short_help = true)]
    hold: Vec<String>,

    /// Deliver the packets chosen twice
    #[arg(long, value_name = "SELECTOR", hide_short_help = true)]
    copy: Vec<String>,

    /// Mark the packets chosen as having met congestion
    #[arg(long, value_name = "SELECTOR", hide_short_help = true)]
    mark: Vec<String>,

    /// Change the link at a time, such as --at 2s "loss 100%"
    ///
    /// The time counts from when the link is built; in socklab lab, from when CMD
    /// starts, however long the server's program took to be ready. Until then the
    /// link stays as it is first.
    #[arg(long, num_args = 2, value_names = ["TIME", "SPEC"], hide_short_help = true)]
    at: Vec<String>,

    /// For the way from client to server only, as --link
    #[arg(long, value_name = "SPEC")]
    up: Option<String>,

    /// For the way from server to client only, as --link
    #[arg(long, value_name = "SPEC")]
    down: Option<String>,

    /// Everything in tc-netem's words: "delay 20ms 5ms loss 1% rate 10mbit"
    #[arg(long, value_name = "SPEC", num_args = 0..=1, default_missing_value = "")]
    link: Option<String>,

    /// A link by name: lan, broadband, 4g, wifi, satellite
    #[arg(long, value_name = "NAME", long_help = long_profiles())]
    profile: Option<String>,

    /// Largest packet in bytes, 1500 by default
    #[arg(long, id = "link_mtu", value_name = "BYTES", allow_negative_numbers = true, value_parser = mtu())]
    mtu: Option<u32>,

    /// Key of the random draws; the same seed gives the same fates
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true,
          value_parser = whole(0_u64, u64::MAX))]
    seed: Option<u64>,
}

impl LinkArgs {
    /// The link as configured; what will surprise is said on standard error.
    pub(super) fn config(&self) -> Result<link::Config, Error> {
        let (plan, warnings) = self.plan()?;
        for warning in warnings {
            note!("warning: {warning}");
        }
        let usual = link::Config::default();
        Ok(link::Config {
            plan,
            mtu: self.mtu.unwrap_or(usual.mtu),
            ..usual
        })
    }

    /// What the link does to packets, and what will surprise.
    pub(super) fn plan(&self) -> Result<(Plan, Vec<String>), Error> {
        let mut sketch = Sketch::default();
        if let Some(name) = &self.profile {
            let profile = Profile::find(name).ok_or_else(|| unknown_profile(name))?;
            sketch.apply(read("--profile", profile.spec, Dialect::Plain)?);
        }
        if let Some(spec) = &self.link {
            sketch.apply(read("--link", spec, Dialect::Netem)?);
        }
        sketch.apply(read("link options", &self.single(), Dialect::Options)?);
        for (name, spec, direction) in [
            ("--up", &self.up, Direction::ClientToServer),
            ("--down", &self.down, Direction::ServerToClient),
        ] {
            if let Some(spec) = spec {
                let spec = read(name, spec, Dialect::Netem)?;
                sketch.apply(spec.towards(direction).map_err(refused)?);
            }
        }
        for change in self.at.chunks(2) {
            let spec = read("--at", &format!("at {}", change.join(" ")), Dialect::Plain)?;
            sketch.apply(spec.single().map_err(refused)?);
        }
        let seed = sketch.seed().unwrap_or_else(random_seed);
        sketch.finish(seed).map_err(refused)
    }

    /// Whether anything was asked of the link.
    pub(super) fn is_asked_for(&self) -> bool {
        let texts = [&self.link, &self.up, &self.down, &self.profile];
        !self.single().is_empty()
            || !self.at.is_empty()
            || texts.into_iter().any(Option::is_some)
            || self.mtu.is_some()
    }

    /// Link options where there is no link.
    pub(super) fn refused_without_link(&self, why: &str) -> Result<(), Error> {
        if !self.is_asked_for() {
            return Ok(());
        }
        Err(Error::new("link options", "", why).exiting(Exit::Other))
    }

    /// The single options as they were typed, as one description.
    fn single(&self) -> String {
        let one = |name: &str, value: &Option<String>| {
            value.as_ref().map(|value| format!("--{name} {value}"))
        };
        let chosen = |name: &'static str, values: &[String]| -> Vec<Option<String>> {
            let quoted = values.iter().map(|value| crate::impair::quote(value));
            quoted
                .map(|value| Some(format!("--{name} {value}")))
                .collect()
        };
        let trace = self.trace.as_ref().map(|file| crate::impair::quote(file));
        let mut said = vec![
            one("delay", &self.delay),
            one("jitter", &self.jitter),
            one("distribution", &self.distribution),
            one("loss", &self.loss),
            one("burst", &self.burst),
            one("duplicate", &self.duplicate),
            one("reorder", &self.reorder),
            one("gap", &self.gap),
            one("corrupt", &self.corrupt),
            one("truncate", &self.truncate),
            self.ecn.then(|| "--ecn".to_owned()),
            one("rate", &self.rate),
            one("overhead", &self.overhead),
            one("bucket", &self.bucket),
            one("queue", &self.queue),
            one("aqm", &self.aqm),
            one("trace", &trace),
            self.seed.map(|seed| format!("--seed {seed}")),
        ];
        said.extend(chosen("drop", &self.drop));
        said.extend(chosen("hold", &self.hold));
        said.extend(chosen("copy", &self.copy));
        said.extend(chosen("mark", &self.mark));
        let said: Vec<String> = said.into_iter().flatten().collect();
        said.join(" ")
    }
}

fn read(name: &str, text: &str, dialect: Dialect) -> Result<Spec, Error> {
    let source = Source {
        name: name.to_owned(),
        text: text.to_owned(),
    };
    Spec::parse(source, dialect, &trace).map_err(refused)
}

/// The most that is read of a trace: an hour at 20 Mbit/s.
const LONGEST_TRACE: u64 = 64 << 20;

/// The longest line of a trace: what is longer is none.
const LONGEST_LINE: u64 = 4096;

/// Reads a trace, which may be anything that can be opened.
fn trace(file: &str) -> Result<String, String> {
    let opened = File::open(file).map_err(|error| explain(&error))?;
    let mut rest = BufReader::new(opened).take(LONGEST_TRACE + 1);
    let mut bytes = Vec::new();
    for number in 1.. {
        let mut line = rest.by_ref().take(LONGEST_LINE + 1);
        let read = line.read_until(b'\n', &mut bytes);
        let read = read.map_err(|error| explain(&error))? as u64;
        if rest.limit() == 0 {
            return Err("longer than 64 MiB, the most that is read of a trace".to_owned());
        }
        if read > LONGEST_LINE {
            return Err(format!(
                "line {number} is longer than {LONGEST_LINE} bytes; \
                 a trace has one whole number of milliseconds a line"
            ));
        }
        if read == 0 {
            break;
        }
    }
    String::from_utf8(bytes).map_err(|_| "not text: it is no UTF-8".to_owned())
}

/// Its caller passes it by value.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn refused(error: SpecError) -> Error {
    Error::new(error.option(), "", error.to_string()).exiting(Exit::Other)
}

fn unknown_profile(name: &str) -> Error {
    let name = name.escape_debug();
    let cause = format!("\"{name}\" is no profile; those are\n{}", profiles());
    Error::new("--profile", "", cause)
}

/// Each profile in a line.
fn profiles() -> String {
    let line = |profile: &Profile| format!("  {:10} {}", profile.name, profile.about);
    let lines: Vec<String> = PROFILES.iter().map(line).collect();
    lines.join("\n")
}

fn long_profiles() -> String {
    format!("A link by name:\n{}", profiles())
}

/// IPv6 needs at least 1280 (RFC 8200 section 5), and the link has both.
fn mtu() -> impl TypedValueParser<Value = u32> {
    StringValueParser::new().try_map(|text| match text.parse() {
        Ok(mtu @ 1280..=65_535) => Ok(mtu),
        Ok(0..1280) => Err("must be 1280 to 65535: IPv6 needs 1280"),
        Ok(_) => Err("must be 1280 to 65535"),
        Err(_) => Err("not a whole number of bytes"),
    })
}

/// Short enough to be typed again.
#[expect(clippy::cast_possible_truncation, reason = "any 32 bits will do")]
fn random_seed() -> u64 {
    u64::from(RandomState::new().hash_one(std::process::id()) as u32)
}
