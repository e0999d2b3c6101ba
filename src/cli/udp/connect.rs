//! `socklab udp connect`: standard input to one peer, datagram by datagram, and
//! its datagrams to standard output, as typed.
//!
//! Owns the arguments and the exit code.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use super::tool::{Run, ToolArgs, Wanted};
use crate::address::Endpoint;
use crate::cli::output::{Colour, bytes, whole};
use crate::cli::telling::time;
use crate::error::Error;
use crate::event::Place;
use crate::udp::check::{self, Verdict, check};
use crate::udp::connect::{Config, Conversation, Ends, Path, Until};
use crate::udp::{Cut, LARGEST, LineEnd};

/// Send standard input to a peer, and its datagrams to standard output.
///
/// Each line is a datagram. After the input's end, replies are awaited for as
/// long as --wait says. An ICMP error ends the run with exit code 1, and says who
/// sent it; of a name with several addresses, the next is tried before.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  echo hello | socklab udp connect localhost 5073
  socklab udp connect '[fe80::1%eth0]:5073' -v   each datagram told
  socklab udp connect HOST 5073 --block 1400 <file
  socklab udp connect -z HOST 53                 open, closed, or no answer
  socklab udp connect --broadcast 255.255.255.255 5073
  socklab udp connect --interface eth0 --ttl 4 239.1.2.3 5073")]
pub(super) struct ConnectArgs {
    /// HOST PORT, HOST:PORT, `[IPv6]:PORT` or NAME:SERVICE; the port is 5073
    /// where none is given
    #[arg(num_args = 0..=2, value_name = "ENDPOINT")]
    endpoint: Vec<String>,

    /// From this address, `[ADDRESS:]PORT` or ADDRESS
    #[arg(short, long, value_name = "ENDPOINT")]
    source: Option<String>,

    /// Each so many bytes are a datagram, instead of each line
    #[arg(long, value_name = "BYTES", value_parser = bytes(1, LARGEST))]
    block: Option<usize>,

    /// Send each line's end as CR LF
    #[arg(short = 'C', long, conflicts_with = "block")]
    crlf: bool,

    /// Leave out each line's end: an empty line is an empty datagram
    #[arg(long, conflicts_with_all = ["block", "crlf"])]
    chomp: bool,

    /// End when so many seconds have passed with nothing sent or received after
    /// the input's end
    #[arg(short = 'W', long, value_name = "TIME", default_value = "1", value_parser = time)]
    wait: Duration,

    /// End when so many seconds have passed with nothing sent or received
    #[arg(short = 'w', long, value_name = "TIME", value_parser = time)]
    idle: Option<Duration>,

    /// End after so many datagrams have been received
    #[arg(short, long, value_name = "N", value_parser = whole(1, u64::MAX))]
    count: Option<u64>,

    /// Only find out whether somebody listens: `open` is exit code 0; `closed`
    /// and `no answer` are 1
    #[arg(short = 'z', long)]
    zero: bool,

    #[command(flatten)]
    tool: ToolArgs,
}

/// Runs the tool.
pub(super) fn run(args: &ConnectArgs, colour: Colour) -> Result<ExitCode, Error> {
    if let Some(code) = args.tool.help()? {
        return Ok(code);
    }
    let typed = args.endpoint.join(" ");
    if typed.is_empty() {
        return Err(Error::new("connect", "", "to whom?").remedy("give HOST PORT or HOST:PORT"));
    }
    let endpoint = Endpoint::remote(&args.endpoint)
        .map_err(|error| Error::new("connect", typed, error.to_string()))?
        .or_port(crate::DEFAULT_PORT);
    let paths = args.paths(&args.tool.addresses(&endpoint)?)?;
    let wanted = if args.zero {
        Wanted::Counts
    } else {
        Wanted::Datagrams
    };
    let run = args.tool.begin(Place::Client, colour, wanted)?;
    if args.zero {
        return args.check(run, paths);
    }
    args.speak(run, paths)
}

impl ConnectArgs {
    fn speak(&self, mut run: Run, paths: Vec<Path>) -> Result<ExitCode, Error> {
        let config = Config {
            cut: self.cut(),
            buffer: self.tool.buffer,
            until: Until {
                idle: self.idle,
                linger: Some(self.wait),
                count: self.count,
            },
        };
        let peers: Vec<SocketAddr> = paths.iter().map(|path| path.peer).collect();
        let conversation = Conversation::open(config, paths, &run.recorder)?;
        run.describe(conversation.opened());
        self.tool.watch_towards(&mut run, &peers);
        let stdin = io::stdin();
        let outcome = conversation.run(&mut Ends {
            input: Some(stdin.as_fd()),
            output: &mut self.tool.output()?,
            stop: &run.interrupt.flag(),
        })?;
        run.sum_up(&outcome.tally);
        run.conclude("udp connect", &outcome);
        match outcome.failure() {
            Some(error) => Err(error),
            None => Ok(ExitCode::SUCCESS),
        }
    }

    /// Asks one address after another until one of them does not say no.
    fn check(&self, mut run: Run, paths: Vec<Path>) -> Result<ExitCode, Error> {
        let peers: Vec<SocketAddr> = paths.iter().map(|path| path.peer).collect();
        self.tool.watch_towards(&mut run, &peers);
        let mut verdict = None;
        for path in paths {
            let config = check::Config {
                peer: path.peer,
                source: path.source,
                options: path.options,
                patience: self.idle.unwrap_or(self.wait),
            };
            let asked = check(&config, &run.interrupt.flag(), &run.recorder)?;
            run.say(asked.line(path.peer));
            let is_closed = matches!(asked, Verdict::Closed(_));
            verdict = Some(asked);
            if !is_closed || run.interrupt.came() {
                break;
            }
        }
        run.conclude("udp connect", &verdict);
        Ok(match verdict {
            Some(Verdict::Open { .. }) => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        })
    }

    fn cut(&self) -> Cut {
        match self.block {
            Some(length) => Cut::Blocks(length),
            None if self.crlf => Cut::Lines(LineEnd::CrLf),
            None if self.chomp => Cut::Lines(LineEnd::Dropped),
            None => Cut::Lines(LineEnd::Kept),
        }
    }

    /// The addresses in turn, and from where each is spoken to: those of the
    /// source's family, where a source was asked for.
    fn paths(&self, peers: &[SocketAddr]) -> Result<Vec<Path>, Error> {
        let mut paths = Vec::new();
        let mut foreign = None;
        for peer in peers {
            match self.source(*peer) {
                Ok(source) => paths.push(Path {
                    peer: *peer,
                    source,
                    options: self.tool.options(Some(*peer)),
                }),
                Err(error) => foreign = foreign.or(Some(error)),
            }
        }
        match foreign {
            Some(error) if paths.is_empty() => Err(error),
            _ => Ok(paths),
        }
    }

    /// The source address, of the peer's family; any address where only a port
    /// was typed.
    fn source(&self, peer: SocketAddr) -> Result<Option<SocketAddr>, Error> {
        let Some(typed) = &self.source else {
            return Ok(None);
        };
        let any = if peer.is_ipv4() { "0.0.0.0" } else { "::" };
        let endpoint = Endpoint::local(&[typed])
            .map_err(|error| Error::new("--source", typed, error.to_string()))?
            .or_host(any)
            .or_port(0);
        let source = self.tool.resolve(&endpoint)?;
        if source.is_ipv4() == peer.is_ipv4() {
            return Ok(Some(source));
        }
        let why = format!("it and {peer} are of different address families");
        Err(Error::new("--source", typed, why).remedy("choose one with -4 or -6"))
    }
}
