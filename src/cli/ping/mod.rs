//! `socklab ping`: the options of `ping(8)` and what they mean, and which of its
//! ways to ping was asked for.

mod ground;
mod host;
mod lines;
mod options;
mod output;
mod path;
mod scrape;
mod screen;
mod sweep;

use std::process::ExitCode;
use std::time::Duration;

use clap::ArgAction;

use ground::Ground;

use crate::cli::link::LinkArgs;
use crate::cli::output::{bytes, whole};
use crate::error::{Error, Exit};
use crate::flow::Family;
use crate::ping::{
    ArrivalTime, Config, MOST_PAYLOAD, Naming, Plan, Reach, Responders, Rhythm, Target,
};

/// How long ping waits for a first reply.
const WAIT: Duration = Duration::from_secs(10);
/// iputils counts an interval in milliseconds in 31 bits.
const LONGEST_SECONDS: f64 = 2_147_483.0;

/// Send ICMP echo requests to a host and tell of the replies, as ping(8) does
///
/// Options, lines and exit codes are those of iputils: 0 if replies came, 1 if
/// none did, 2 for anything else.
///
/// A raw ICMP socket needs CAP_NET_RAW (sudo, or setcap cap_net_raw+ep); an ICMP
/// datagram socket needs your group in net.ipv4.ping_group_range. Every
/// capability is dropped for good once the socket is open. --link needs neither:
/// it pings the server of a private link through a raw socket.
#[derive(Debug, Clone, clap::Args)]
#[command(
    // `--mtu` finds the path's.
    mut_arg("link_mtu", |link| link.long("link-mtu")),
    override_usage = "\
socklab ping [OPTIONS] <HOST>
       socklab ping [OPTIONS] <HOST|NETWORK>... [--file FILE] [--range FIRST LAST]
       socklab ping [OPTIONS] --trace|--mtu <HOST>
       socklab ping [OPTIONS] --link [SPEC]",
    after_help = "\
Examples:
  socklab ping localhost -c 3         three requests
  socklab ping -6 -i 0.2 -W 1 HOST    over IPv6, five a second, patient for 1 s
  socklab ping -fqc 100000 HOST       a flood, its figures only
  socklab ping -M do -s 1472 HOST     does a full packet pass unfragmented?
  socklab ping -ODc 60 HOST           a stamped log with what has no answer
  socklab ping --trace HOST           every router on the way, and what it says
  socklab ping --mtu -v HOST          the largest packet that gets there, and why
  socklab ping --file FILE --loop     all of a file's hosts, once a second each
  socklab ping --link -c 3 --hex      a raw socket without root, in hex
  socklab ping --link 'delay 20ms 5ms loss 10%' -c 9
  socklab ping --link -c 3 --json     every event, the result last
  socklab ping --alive 10.0.0.0/24    who answers, as fping has it
  socklab ping -c 5 HOST HOST HOST    how they answer; the figures on stderr
  socklab ping --graph --loop -i 0.2 HOST HOST"
)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag that is typed"
)]
pub struct Args {
    /// Names, addresses, or networks such as 10.0.0.0/24
    #[arg(value_name = "HOST", required_unless_present_any = ["link", "file", "range"])]
    pub hosts: Vec<String>,
    /// Stop after this many replies; of many targets, send each so many requests
    #[arg(short, value_name = "COUNT", value_parser = whole(1, i64::MAX as u64), allow_negative_numbers = true, display_order = 7, help_heading = options::PACE)]
    pub count: Option<u64>,
    /// Seconds from one request to the next; fractions allowed [default: 1, with -f 0]
    #[arg(short, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true, display_order = 15, help_heading = options::PACE)]
    pub interval: Option<Duration>,
    /// Seconds to wait for a first reply after the last request; 0 waits for ever
    /// [default: 10; with --trace and --mtu 1; of many targets without -c 0.5, else
    /// -i up to 2]
    #[arg(short = 'W', value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true, display_order = 37, help_heading = options::PACE)]
    pub wait: Option<Duration>,
    /// Stop after this many seconds, however many replies there were; 0 never
    #[arg(short = 'w', value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true, display_order = 36, help_heading = options::PACE)]
    pub deadline: Option<Duration>,
    /// Bytes of payload in each request
    #[arg(short, value_name = "BYTES", default_value_t = 56, value_parser = bytes(0, MOST_PAYLOAD), allow_negative_numbers = true, display_order = 29, help_heading = options::REQUESTS)]
    pub size: usize,
    /// Time to live (IPv4) or hop limit (IPv6) of the requests
    #[arg(short, value_name = "TTL", value_parser = whole(1, u8::MAX), allow_negative_numbers = true, display_order = 31, help_heading = options::REQUESTS)]
    pub ttl: Option<u8>,
    /// Use IPv4
    #[arg(short = '4', long, action = ArgAction::SetTrue, conflicts_with = "ipv6", display_order = 1, help_heading = options::ROUTE)]
    pub ipv4: bool,
    /// Use IPv6
    #[arg(short = '6', long, action = ArgAction::SetTrue, display_order = 2, help_heading = options::ROUTE)]
    pub ipv6: bool,
    /// Print the header and the summary only
    #[arg(short, display_order = 25, help_heading = options::LINES)]
    pub quiet: bool,
    /// Do not look up names of addresses
    #[arg(short, display_order = 22, help_heading = options::LINES)]
    pub numeric: bool,
    #[command(flatten)]
    pub ping: options::PingOptions,
    #[command(flatten)]
    sweep: sweep::SweepArgs,
    #[command(flatten)]
    path: path::PathArgs,
    #[command(flatten)]
    output: output::OutputArgs,
    /// With --link, pings the private server of socklab's own link.
    #[command(flatten)]
    link: LinkArgs,
}

impl Args {
    /// The family asked for.
    pub fn family(&self) -> Option<Family> {
        match (self.ipv4, self.ipv6) {
            (true, _) => Some(Family::Ipv4),
            (_, true) => Some(Family::Ipv6),
            _ => self.source_family(),
        }
    }

    /// What a run against `target` does.
    pub fn config(&self, target: Target) -> Config {
        Config {
            plan: Plan {
                family: Family::of(target.address.ip()),
                interval: self.interval(),
                rhythm: self.rhythm(),
                preload: self.ping.preload,
                count: self.count,
                deadline: self.deadline.filter(|deadline| !deadline.is_zero()),
                linger: Some(self.wait.unwrap_or(WAIT)).filter(|wait| !wait.is_zero()),
            },
            payload_bytes: self.size,
            pattern: self
                .ping
                .pattern
                .clone()
                .map_or(Vec::new(), |bytes| bytes.0),
            naming: if self.numeric {
                Naming::Numbers
            } else {
                Naming::Names
            },
            arrival: self.arrival(),
            responders: match target.reach {
                Reach::Ordinary => Responders::Target,
                Reach::Broadcast => Responders::Anyone,
            },
            target,
        }
    }

    /// Whether it is the path that is asked for.
    fn is_path(&self) -> bool {
        path::PathArgs::is_asked(&self.path)
    }

    /// Whether many targets are pinged, or one as one of many is.
    pub(super) fn is_sweep(&self) -> bool {
        let hosts = if self.has_hops() {
            &[][..]
        } else {
            &self.hosts[..]
        };
        self.sweep.is_asked(hosts)
    }

    fn arrival(&self) -> ArrivalTime {
        if self.ping.user_to_user {
            ArrivalTime::Program
        } else {
            ArrivalTime::Kernel
        }
    }

    fn rhythm(&self) -> Rhythm {
        match (self.ping.adaptive, self.ping.flood) {
            (true, _) => Rhythm::Adaptive(options::shortest_interval()),
            (_, true) => Rhythm::Flood,
            _ => Rhythm::Steady,
        }
    }

    /// Where these arguments ping, with sockets open and privileges dropped.
    fn ground(&self) -> Result<Ground, Error> {
        if self.hosts.is_empty() && !self.sweep.has_targets() {
            return Ground::link(&self.link, self.family(), &self.options()?);
        }
        let why = "they are for the private link; leave the host, and ping that with --link";
        self.link.refused_without_link(why)?;
        Ground::network(self.family(), &self.options()?)
    }
}

/// Pings the host, or the private link's server. As `ping(8)` has it, 1 means
/// that replies did not come; whatever kept a ping from running is 2.
pub fn run(args: &Args) -> Result<ExitCode, Error> {
    let run = if args.is_path() {
        let refused = args.output.refuse_series("--trace and --mtu");
        refused.and_then(|()| path::run(args))
    } else if args.is_sweep() {
        sweep::run(args)
    } else {
        host::run(args)
    };
    run.map_err(|error| error.exiting(Exit::Other))
}

fn seconds(typed: &str) -> Result<Duration, String> {
    let seconds: f64 = typed
        .parse()
        .map_err(|_| "not a number of seconds".to_owned())?;
    if !(0.0..=LONGEST_SECONDS).contains(&seconds) {
        return Err(format!("must be 0 to {LONGEST_SECONDS} seconds"));
    }
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::socket::icmp::IpOptions;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        ping: Args,
    }

    fn parse(words: &str) -> Result<Args, String> {
        let words = std::iter::once("ping").chain(words.split_whitespace());
        let parsed = Command::try_parse_from(words);
        parsed
            .map(|command| command.ping)
            .map_err(|error| error.to_string())
    }

    fn target() -> Target {
        let address = ([127, 0, 0, 1], 0).into();
        Target {
            name: "h".to_owned(),
            address,
            source: address,
            interface: None,
            numeric: true,
            canonical: "h".to_owned(),
            reach: Reach::Ordinary,
        }
    }

    #[test]
    fn options_mean_what_they_mean_to_ping() {
        let args = parse("-c 3 -i 0.2 -W 1.5 -w 4 -s 100 -t 9 -qn -4 h").unwrap();
        let config = args.config(target());
        assert_eq!(config.plan.interval, Duration::from_millis(200));
        assert_eq!(config.plan.count, Some(3));
        assert_eq!(config.plan.linger, Some(Duration::from_millis(1500)));
        assert_eq!(config.plan.deadline, Some(Duration::from_secs(4)));
        assert_eq!(config.payload_bytes, 100);
        assert_eq!((args.ttl, args.family()), (Some(9), Some(Family::Ipv4)));
        assert!(args.quiet);
    }

    #[test]
    fn without_a_host_there_are_no_hops() {
        let args = parse("--link -T tsprespec").unwrap();
        let options = args.options().unwrap().ip_options;
        assert_eq!(options, Some(IpOptions::TimesAt(Vec::new())));
    }

    #[test]
    fn zero_seconds_mean_no_limit() {
        let config = parse("-W 0 -w 0 h").unwrap().config(target());
        assert_eq!((config.plan.linger, config.plan.deadline), (None, None));
    }

    #[test]
    fn nonsense_is_refused() {
        for words in [
            "",
            "-c 0 h",
            "-c -1 h",
            "-c x h",
            "-i x h",
            "-i -1 h",
            "-i nan h",
            "-i 1e9 h",
            "-W -1 h",
            "-w x h",
            "-s -1 h",
            "-s 65508 h",
            "-t 0 h",
            "-t 256 h",
            "-4 -6 h",
            "--hex -q h",
        ] {
            assert!(parse(words).is_err(), "{words}");
        }
        assert!(parse("--link").is_ok());
        assert!(parse("-s 65507 -t 255 -i 0 h").is_ok());
    }
}
