//! `socklab udp send`: the same datagrams to many peers, as typed.
//!
//! Owns the arguments and the exit code.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::tool::{ToolArgs, Wanted};
use crate::address::Endpoint;
use crate::cli::output::{Colour, bytes, text, whole};
use crate::cli::telling::time;
use crate::error::Error;
use crate::event::Place;
use crate::udp::send::{Config, send};
use crate::udp::{LARGEST, Tally};

/// Send datagrams to one peer or many, and tell what comes back of them.
///
/// The socket is not connected: an ICMP error is told with the peer that it came
/// for, and the others still get theirs. Exit code 1 where any peer refused.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  socklab udp send HOST:5073 -M hello
  socklab udp send 10.0.0.1:9 10.0.0.2:9 '[fd00::1]:9' -M ping --count 5 --rate 2
  socklab udp send HOST:5073 --file FILE --block 1400 --rate 1000
  socklab udp send 239.1.2.3:5073 --interface eth0 --ttl 4 -M 'to all members'")]
pub(super) struct SendArgs {
    /// HOST:PORT, `[IPv6]:PORT` or NAME:SERVICE; the port is 5073 where none is
    /// given
    #[arg(required = true, value_name = "ENDPOINT")]
    peers: Vec<String>,

    /// A datagram; repeat for more
    #[arg(short = 'M', long = "message", value_name = "TEXT", value_parser = text(),
          required_unless_present = "file")]
    messages: Vec<String>,

    /// The datagrams' bytes: the whole file is one, unless --block cuts it
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// Each so many bytes of the file are a datagram
    #[arg(long, value_name = "BYTES", value_parser = bytes(1, LARGEST), requires = "file")]
    block: Option<usize>,

    /// Send all of it so many times
    #[arg(short, long, value_name = "N", default_value = "1", value_parser = whole(1, u64::MAX))]
    count: u64,

    /// At most so many datagrams a second, all peers together
    #[arg(short, long, value_name = "N", value_parser = whole(1_u32, 1_000_000_000))]
    rate: Option<u32>,

    /// Wait so long for answers and errors when all has been sent
    #[arg(short = 'W', long, value_name = "TIME", default_value = "200ms", value_parser = time)]
    wait: Duration,

    #[command(flatten)]
    tool: ToolArgs,
}

/// Runs the tool.
pub(super) fn run(args: &SendArgs, colour: Colour) -> Result<ExitCode, Error> {
    if let Some(code) = args.tool.help()? {
        return Ok(code);
    }
    let mut peers = Vec::new();
    for typed in &args.peers {
        let endpoint = Endpoint::remote(&[typed])
            .map_err(|error| Error::new("send to", typed, error.to_string()))?
            .or_port(crate::DEFAULT_PORT);
        peers.push(args.tool.resolve(&endpoint)?);
    }
    let config = Config {
        options: args.tool.options(peers.first().copied()),
        peers,
        datagrams: args.datagrams()?,
        rounds: args.count,
        interval: args
            .rate
            .map_or(Duration::ZERO, |rate| Duration::from_secs(1) / rate),
        wait: args.wait,
        buffer: args.tool.buffer,
    };
    let mut output = args.tool.output()?;
    let mut run = args.tool.begin(Place::Client, colour, Wanted::Datagrams)?;
    args.tool.watch_towards(&mut run, &config.peers);
    let stop = run.interrupt.flag();
    let outcome = send(&config, &mut output, &stop, &run.recorder)?;
    for peer in outcome.peers.iter().filter(|peer| peer.refused > 0) {
        let (refused, sent) = (peer.refused, peer.sent.datagrams);
        run.say(format_args!("{}: {refused} of {sent} refused", peer.peer));
    }
    let tally: &Tally = &outcome.tally;
    run.sum_up(tally);
    run.conclude("udp send", &outcome);
    match outcome.failure() {
        Some(error) => Err(error),
        None => Ok(ExitCode::SUCCESS),
    }
}

impl SendArgs {
    fn datagrams(&self) -> Result<Vec<Vec<u8>>, Error> {
        let messages = self.messages.iter().map(|text| text.clone().into_bytes());
        let mut datagrams: Vec<Vec<u8>> = messages.collect();
        if let Some(path) = &self.file {
            let bytes =
                fs::read(path).map_err(|error| Error::new("read", path.display(), error))?;
            match self.block {
                Some(length) => datagrams.extend(bytes.chunks(length).map(<[u8]>::to_vec)),
                None => datagrams.push(bytes),
            }
        }
        Ok(datagrams)
    }
}
