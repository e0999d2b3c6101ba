//! What the datagram tools have in common: how their socket is and how much they
//! tell, as typed, and the sinks that follow from it.
//!
//! Owns no socket and no loop: those are the engine's.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Stderr, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use serde::Serialize;

use crate::address::{Endpoint, Question, resolve};
use crate::cli::interrupt::{Interrupt, left_to_this_thread};
use crate::cli::output::{Colour, bytes, environment, unwritten, whole};
use crate::cli::packets::Packets;
use crate::error::Error;
use crate::event::{Event, Place, Sink, Topic};
use crate::flow::{Family, Kind};
use crate::recorder::{Clock, Recorder};
use crate::report::Stream;
use crate::report::datagrams::{Depth, Teller};
use crate::report::json::JsonLines;
use crate::socket::options::{self, SocketOption};
use crate::udp::{Opened, Tally};

/// Options of every tool.
#[derive(Debug, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag that is typed"
)]
pub(super) struct ToolArgs {
    /// Use IPv4 only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,

    /// Use IPv6 only
    #[arg(short = '6', long)]
    ipv6: bool,

    /// Set a socket option, such as rcvbuf=1m, tos=0x10 or join=GROUP; repeat
    /// for more; `--opt help` lists them
    #[arg(long = "opt", value_name = "NAME[=VALUE]", value_parser = option)]
    options: Vec<Asked>,

    /// Time to live or hop limit of what is sent, multicast too
    #[arg(long, value_name = "N", value_parser = whole(1, u8::MAX))]
    ttl: Option<u8>,

    /// Allow to send to broadcast addresses
    #[arg(short, long)]
    broadcast: bool,

    /// Send multicast by this interface, and join groups on it
    #[arg(long, value_name = "INTERFACE")]
    pub(super) interface: Option<String>,

    /// Keep one's own multicast from this host's members
    #[arg(long)]
    no_loop: bool,

    /// Room for one datagram; the tail of a longer one is lost, and told
    #[arg(long, value_name = "BYTES", default_value = "65536", value_parser = bytes(1, 1 << 20))]
    pub(super) buffer: usize,

    /// Tell of each datagram on standard error, and of the socket
    #[arg(short, long)]
    verbose: bool,

    /// Tell of each system call too, and show the bytes
    #[arg(long)]
    trace: bool,

    /// Tell of nothing but errors
    #[arg(short, long, conflicts_with_all = ["verbose", "trace"])]
    quiet: bool,

    /// Tell it as JSON Lines on standard error, each datagram with its bytes in
    /// hexadecimal, the result last; with --trace the calls too
    #[arg(long, conflicts_with_all = ["verbose", "quiet"])]
    json: bool,

    /// Write what is received to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Show the packets too, where capture is allowed
    #[arg(long)]
    packets: bool,
}

/// What a tool is run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// What is odd about a datagram is worth a line.
    Datagrams,
    /// Nothing is worth a line but the count.
    Counts,
}

/// What `--opt` asks for.
#[derive(Debug, Clone)]
enum Asked {
    Option(SocketOption),
    Help,
}

fn option(typed: &str) -> Result<Asked, String> {
    match typed {
        "help" => Ok(Asked::Help),
        _ => typed
            .parse()
            .map(Asked::Option)
            .map_err(|error: options::OptionError| error.to_string()),
    }
}

impl ToolArgs {
    /// The address family, where one was asked for.
    pub(super) fn family(&self) -> Option<Family> {
        match (self.ipv4, self.ipv6) {
            (true, _) => Some(Family::Ipv4),
            (_, true) => Some(Family::Ipv6),
            _ => None,
        }
    }

    /// Lists the options, where that was asked for.
    pub(super) fn help(&self) -> Result<Option<ExitCode>, Error> {
        if !self
            .options
            .iter()
            .any(|asked| matches!(asked, Asked::Help))
        {
            return Ok(None);
        }
        let mut out = io::stdout().lock();
        for option in options::catalogue() {
            let name = format!("{}{}", option.name, option.value);
            let sockets = match option.sockets {
                "both" => String::new(),
                sockets => format!(" ({sockets})"),
            };
            writeln!(out, "{name:<28} {}{sockets}", option.about).map_err(unwritten)?;
        }
        Ok(Some(ExitCode::SUCCESS))
    }

    /// Where received bytes go.
    pub(super) fn output(&self) -> Result<Box<dyn Write>, Error> {
        match &self.output {
            None => Ok(Box::new(io::stdout())),
            Some(path) => match File::create(path) {
                Ok(file) => Ok(Box::new(file)),
                Err(error) => Err(Error::new("create", path.display(), error)),
            },
        }
    }

    /// The options of a socket that sends to `peer`, or to whoever writes.
    pub(super) fn options(&self, peer: Option<SocketAddr>) -> Vec<SocketOption> {
        let mut options: Vec<SocketOption> = self
            .options
            .iter()
            .filter_map(|asked| match asked {
                Asked::Option(option) => Some(option.clone()),
                Asked::Help => None,
            })
            .collect();
        let mut ask = |text: String| options.extend(text.parse::<SocketOption>());
        if let Some(ttl) = self.ttl {
            match peer.map(|peer| peer.ip().is_multicast()) {
                Some(true) => ask(format!("multicast-ttl={ttl}")),
                _ => ask(format!("ttl={ttl}")),
            }
        }
        if self.broadcast {
            ask("broadcast".into());
        }
        if let Some(interface) = &self.interface {
            ask(format!("multicast-if={interface}"));
        }
        if self.no_loop {
            ask("multicast-loop=off".into());
        }
        options
    }

    /// The addresses of what was typed, the resolver's favourite first.
    pub(super) fn addresses(&self, endpoint: &Endpoint) -> Result<Vec<SocketAddr>, Error> {
        let question = Question {
            family: self.family(),
            kind: Kind::Udp,
        };
        resolve(endpoint, question)
    }

    /// The first address of what was typed.
    pub(super) fn resolve(&self, endpoint: &Endpoint) -> Result<SocketAddr, Error> {
        let first = self.addresses(endpoint)?.into_iter().next();
        first.ok_or_else(|| Error::new("look up", endpoint, "no address was found"))
    }

    /// The sinks of a run, before it opens anything.
    pub(super) fn begin(&self, place: Place, colour: Colour, wanted: Wanted) -> Result<Run, Error> {
        let interrupt = Interrupt::catch()?;
        let clock = Clock::start();
        let depth = match () {
            () if self.quiet => Depth::Silent,
            () if self.trace => Depth::Calls,
            () if self.verbose => Depth::Datagrams,
            () if wanted == Wanted::Counts => Depth::Notes,
            () => Depth::Plain,
        };
        let json = self.json.then(|| {
            Arc::new(Chosen {
                lines: JsonLines::new(io::stderr(), interrupt.flag()),
                calls: self.trace,
                datagrams: self.trace || wanted == Wanted::Datagrams,
            })
        });
        let style = colour.style_of(Stream::Err);
        let sink: Arc<dyn Sink> = if let Some(json) = &json {
            json.clone()
        } else {
            Arc::new(Teller::new(io::stderr(), depth, style))
        };
        Ok(Run {
            interrupt,
            recorder: Recorder::new(place, clock, sink),
            json,
            depth,
            packets: Packets::default(),
        })
    }

    /// Watches the packets of conversations with these peers, where that was
    /// asked for.
    pub(super) fn watch_towards(&self, run: &mut Run, peers: &[SocketAddr]) {
        if self.packets {
            run.packets = left_to_this_thread(|| Packets::towards(peers, &run.recorder));
        }
    }

    /// Watches the packets of conversations with whoever writes to this address,
    /// where that was asked for.
    pub(super) fn watch_at(&self, run: &mut Run, local: SocketAddr) {
        if self.packets {
            run.packets = left_to_this_thread(|| Packets::at(&[local], &run.recorder));
        }
    }
}

/// JSON Lines on standard error, with or without each call and each datagram.
struct Chosen {
    lines: JsonLines<Stderr>,
    calls: bool,
    datagrams: bool,
}

impl Sink for Chosen {
    fn wants(&self, topic: Topic) -> bool {
        match topic {
            Topic::Call => self.calls,
            Topic::Datagram => self.datagrams,
            _ => true,
        }
    }

    fn record(&self, event: &Event<'_>) {
        self.lines.record(event);
    }
}

/// A run on its way.
pub(super) struct Run {
    pub(super) interrupt: Interrupt,
    pub(super) recorder: Recorder,
    json: Option<Arc<Chosen>>,
    depth: Depth,
    packets: Packets,
}

impl Run {
    /// Tells one sentence.
    pub(super) fn say(&self, text: impl Display) {
        self.recorder.note(text);
    }

    /// Tells what opening the socket found out, where that was asked for.
    pub(super) fn describe(&self, opened: &Opened) {
        if self.depth >= Depth::Datagrams || self.json.is_some() {
            opened.applied.iter().for_each(|applied| self.say(applied));
        }
    }

    /// Tells the count, where that was asked for or somebody stopped the run.
    pub(super) fn sum_up(&self, tally: &Tally) {
        if self.depth >= Depth::Datagrams || self.interrupt.came() {
            self.say(summary(tally));
        }
    }

    /// Ends the output with the result.
    pub(super) fn conclude(self, command: &str, result: &impl Serialize) {
        let clock = self.recorder.clock();
        self.packets.finish();
        drop(self.recorder);
        if let Some(json) = self.json {
            let environment = environment(clock, "network");
            json.lines.result(command, &environment, result);
        }
    }
}

/// `sent 2 datagrams, 12 bytes; received 1 datagram, 6 bytes`.
pub(super) fn summary(tally: &Tally) -> String {
    let counted = |count: u64, thing: &str| {
        let s = if count == 1 { "" } else { "s" };
        format!("{count} {thing}{s}")
    };
    let count = |count: crate::udp::Count| {
        let datagrams = counted(count.datagrams, "datagram");
        format!("{datagrams}, {}", counted(count.bytes, "byte"))
    };
    let mut parts = vec![
        format!("sent {}", count(tally.sent)),
        format!("received {}", count(tally.received)),
    ];
    for (number, what) in [
        (tally.empty, "empty"),
        (tally.truncated, "cut to the buffer"),
        (tally.refused, "refused"),
        (tally.dropped, "dropped at the socket"),
    ] {
        if number > 0 {
            parts.push(format!("{number} {what}"));
        }
    }
    parts.join("; ")
}
