//! `socklab udp listen`: datagrams of whoever writes to standard output, and
//! standard input to them, as typed.
//!
//! Owns the arguments, and what is said when it listens.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use super::tool::{Run, ToolArgs, Wanted, summary};
use crate::address::{Admission, Endpoint, Network};
use crate::cli::output::{Colour, bytes, whole};
use crate::cli::telling::time;
use crate::error::Error;
use crate::event::Place;
use crate::flow::Family;
use crate::socket::is_without_ipv6;
use crate::udp::connect::{Ends, Until};
use crate::udp::listen::{Config, Listening, Reply, Service};
use crate::udp::{Cut, LARGEST, LineEnd};

/// Write the datagrams of whoever sends them to standard output, and send
/// standard input back.
///
/// Listens on port 5073, with IPv4 and IPv6. Each line of input is a datagram to
/// the peer who wrote last. An answer leaves from the address that was written
/// to. Ends at Ctrl-C, with a count.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  socklab udp listen                     on port 5073, of all addresses
  socklab udp listen 127.0.0.1:7 --echo -v
  socklab udp listen --reply named       each line: 2 TEXT, ADDRESS:PORT TEXT, * TEXT
  socklab udp listen --discard           only count
  socklab udp listen --join 239.1.2.3@eth0 --allow 10.0.0.0/8
  socklab udp listen --count 1 >datagram")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag that is typed"
)]
pub(super) struct ListenArgs {
    /// `[ADDRESS:]PORT`, or ADDRESS PORT; the port is 5073 where none is given
    #[arg(num_args = 0..=2, value_name = "ENDPOINT")]
    endpoint: Vec<String>,

    /// Send each datagram back (RFC 862)
    #[arg(long, group = "service")]
    echo: bool,

    /// Only count the datagrams (RFC 863)
    #[arg(long, group = "service")]
    discard: bool,

    /// Answer each datagram with characters (RFC 864)
    #[arg(long, group = "service")]
    chargen: bool,

    /// Answer each datagram with the time (RFC 867)
    #[arg(long, group = "service")]
    daytime: bool,

    /// To whom a line of input goes: who wrote last, all who have written, or
    /// whom the line names
    #[arg(
        long,
        value_name = "WHOM",
        default_value = "last",
        conflicts_with = "service"
    )]
    reply: Whom,

    /// Each so many bytes of input are a datagram, instead of each line
    #[arg(long, value_name = "BYTES", value_parser = bytes(1, LARGEST))]
    block: Option<usize>,

    /// Leave out each line's end: an empty line is an empty datagram
    #[arg(long, conflicts_with = "block")]
    chomp: bool,

    /// Hear only this network; repeat for more
    #[arg(long, value_name = "CIDR")]
    allow: Vec<Network>,

    /// Do not hear this network, whatever --allow says; repeat for more
    #[arg(long, value_name = "CIDR")]
    deny: Vec<Network>,

    /// Hear no more than so many peers
    #[arg(short = 'm', long, value_name = "N", default_value = "1000", value_parser = whole(1_usize, 1_000_000))]
    max_peers: usize,

    /// Become a member of a multicast group, and hear nothing else that is
    /// multicast: `GROUP[@INTERFACE][/SOURCE]`; repeat for more
    #[arg(long, value_name = "GROUP")]
    join: Vec<String>,

    /// End when so many seconds have passed without a datagram
    #[arg(short = 'w', long, value_name = "TIME", value_parser = time)]
    idle: Option<Duration>,

    /// End after so many datagrams
    #[arg(short, long, value_name = "N", value_parser = whole(1, u64::MAX))]
    count: Option<u64>,

    #[command(flatten)]
    tool: ToolArgs,
}

/// To whom input goes.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Whom {
    /// Who wrote last
    Last,
    /// All who have written
    All,
    /// Whom the line names: its number, ADDRESS:PORT, or * for all
    Named,
}

/// Runs the tool.
pub(super) fn run(args: &ListenArgs, colour: Colour) -> Result<ExitCode, Error> {
    if let Some(code) = args.tool.help()? {
        return Ok(code);
    }
    let mut output = args.tool.output()?;
    let mut run = args.tool.begin(Place::Server, colour, args.wanted())?;
    let listening = args.open(&run)?;
    let local = listening.opened().local;
    run.describe(listening.opened());
    args.tool.watch_at(&mut run, local);
    run.say(format_args!("listening on {local}{}", args.as_what(local)));
    let stdin = io::stdin();
    let outcome = listening.run(&mut Ends {
        // A service answers by itself.
        input: args.service().is_none().then(|| stdin.as_fd()),
        output: &mut output,
        stop: &run.interrupt.flag(),
    })?;
    let peers = outcome.peers.len();
    let s = if peers == 1 { "" } else { "s" };
    let ignored = match outcome.ignored {
        0 => String::new(),
        ignored => format!("; {ignored} ignored"),
    };
    let count = summary(&outcome.tally);
    run.say(format_args!("{count}; {peers} peer{s}{ignored}"));
    run.conclude("udp listen", &outcome);
    Ok(ExitCode::SUCCESS)
}

impl ListenArgs {
    /// Opens the socket: an IPv6 one that takes IPv4 too, where no address was
    /// typed and this host has IPv6.
    fn open(&self, run: &Run) -> Result<Listening, Error> {
        let typed = self.endpoint.join(" ");
        let endpoint = Endpoint::local(&self.endpoint)
            .map_err(|error| Error::new("listen on", typed, error.to_string()))?
            .or_port(crate::DEFAULT_PORT);
        let is_any = endpoint.host.is_none();
        let family = self.tool.family().or_else(|| self.family_of_groups());
        let host = match family {
            Some(Family::Ipv4) => "0.0.0.0",
            Some(Family::Ipv6) | None => "::",
        };
        let local = self.tool.resolve(&endpoint.or_host(host))?;
        let is_dual = is_any && family.is_none();
        match Listening::open(self.config(local, is_dual)?, &run.recorder) {
            Err(error) if is_dual && is_without_ipv6(&error) => {
                let local = SocketAddr::from((Ipv4Addr::UNSPECIFIED, local.port()));
                Listening::open(self.config(local, false)?, &run.recorder)
            }
            listening => listening,
        }
    }

    fn config(&self, local: SocketAddr, is_dual: bool) -> Result<Config, Error> {
        let mut options = Vec::new();
        let mut ask = |text: String| match text.parse() {
            Ok(option) => {
                options.push(option);
                Ok(())
            }
            Err(error) => Err(Error::new("option", text, format!("{error}"))),
        };
        if local.is_ipv6() {
            ask(format!("v6only={}", if is_dual { "off" } else { "on" }))?;
        }
        for group in &self.join {
            let is_placed = group.contains(['@', '%']);
            let group = match (&self.tool.interface, group.split_once('/')) {
                (Some(interface), Some((group, source))) if !is_placed => {
                    format!("{group}@{interface}/{source}")
                }
                (Some(interface), None) if !is_placed => format!("{group}@{interface}"),
                _ => group.clone(),
            };
            ask(format!("join={group}"))?;
        }
        if !self.join.is_empty() {
            ask("reuseaddr".into())?;
            ask("multicast-all=off".into())?;
        }
        // What was asked for by name has the last word.
        options.extend(self.tool.options(None));
        Ok(Config {
            local,
            options,
            service: self.service(),
            admission: Admission {
                allow: self.allow.clone(),
                deny: self.deny.clone(),
            },
            most_peers: self.max_peers,
            reply: match self.reply {
                Whom::Last => Reply::Last,
                Whom::All => Reply::All,
                Whom::Named => Reply::Named,
            },
            cut: match self.block {
                Some(length) => Cut::Blocks(length),
                None if self.chomp => Cut::Lines(LineEnd::Dropped),
                None => Cut::Lines(LineEnd::Kept),
            },
            buffer: self.tool.buffer,
            until: Until {
                idle: self.idle,
                linger: None,
                count: self.count,
            },
        })
    }

    /// The family of the groups to be joined, where all are of one: a group of
    /// IPv4 alone needs no IPv6 socket.
    fn family_of_groups(&self) -> Option<Family> {
        let family = |group: &String| {
            if group.contains(':') {
                Family::Ipv6
            } else {
                Family::Ipv4
            }
        };
        let first = self.join.first().map(family)?;
        let is_one = self.join.iter().all(|group| family(group) == first);
        is_one.then_some(first)
    }

    /// Whether any single datagram is of interest.
    fn wanted(&self) -> Wanted {
        if self.discard {
            Wanted::Counts
        } else {
            Wanted::Datagrams
        }
    }

    fn service(&self) -> Option<Service> {
        match () {
            () if self.echo => Some(Service::Echo),
            () if self.discard => Some(Service::Discard),
            () if self.chargen => Some(Service::Chargen),
            () if self.daytime => Some(Service::Daytime),
            () => None,
        }
    }

    fn as_what(&self, local: SocketAddr) -> String {
        let both = local.is_ipv6() && local.ip().is_unspecified() && self.tool.family().is_none();
        let families = if both && self.join.is_empty() {
            ", IPv4 and IPv6"
        } else {
            ""
        };
        let service = match self.service() {
            None => "",
            Some(Service::Echo) => ", echo",
            Some(Service::Discard) => ", discard",
            Some(Service::Chargen) => ", chargen",
            Some(Service::Daytime) => ", daytime",
        };
        format!("{families}{service}")
    }
}
