//! `socklab tcp connect`: standard input to a server, its answer to standard
//! output, as typed.

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::tool::{ToolArgs, is_typed};
use crate::address::{Endpoint, Question, resolve};
use crate::cli::interrupt::{Interrupt, left_to_this_thread};
use crate::cli::output::{Colour, unwritten};
use crate::cli::packets::Packets;
use crate::cli::telling::some_time;
use crate::error::Error;
use crate::event::{Figures, Place};
use crate::flow::{Family, Kind};
use crate::pipe::{Ends, Terms, ask_name, converse};
use crate::recorder::Recorder;
use crate::socket::options::{self, Role, Target};
use crate::tcp::connect::{Connect, Connected, connect_seeking};
use crate::tcp::seek::{Extent, Patience, Seeker};

/// Connect to a server: standard input goes there, what comes back to standard
/// output.
///
/// The end of the input is passed on, and the answer awaited to its end. Of
/// several addresses, IPv6 and IPv4 in turn, the first to answer is taken.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  echo hello | socklab tcp connect localhost 5073
  socklab tcp connect -v example.org:http <request  each step told on stderr
  socklab tcp connect '[fe80::1%eth0]:5073' --trace  every call, every byte
  socklab tcp connect -z HOST 22                    is the port open?
  socklab tcp connect HOST 5073 --opt nodelay --opt rcvbuf=64k -v
Exit code: 0 done, 1 the network said no, 2 anything else.")]
pub(super) struct Args {
    /// HOST PORT, HOST:PORT, `[IPv6]:PORT` or NAME:SERVICE; the port is 5073
    /// where none is given
    #[arg(num_args = 0..=2, value_name = "ENDPOINT")]
    endpoint: Vec<String>,

    /// Connect from this address: ADDRESS, ADDRESS:PORT or :PORT
    #[arg(short = 's', long, value_name = "ENDPOINT", visible_alias = "source")]
    from: Option<String>,

    /// Give up connecting after so long; seconds, or with a unit
    #[arg(long, value_name = "TIME", value_parser = some_time)]
    connect_timeout: Option<Duration>,

    /// Only find out whether the port is open: nothing is sent
    #[arg(short = 'z', long)]
    zero: bool,

    #[command(flatten)]
    tool: ToolArgs,
}

/// Runs the tool.
pub(super) fn run(args: &Args, colour: Colour) -> Result<ExitCode, Error> {
    if let Some(code) = args.tool.help()? {
        return Ok(code);
    }
    if args.endpoint.is_empty() {
        let error = Error::new("connect", "", "no endpoint is given");
        return Err(error.remedy("give HOST PORT or HOST:PORT"));
    }
    // What cannot be written is better known before anybody is spoken to.
    let ends = if args.zero {
        None
    } else {
        Some(args.tool.ends()?)
    };
    let stop = Interrupt::catch()?;
    let telling = args.tool.telling.begin(colour);
    let recorder = telling.recorder(Place::Client);
    let flag = stop.flag();
    let patience = Patience {
        timeout: args.connect_timeout,
        stop: &flag,
    };
    let mut seeker = args.seek(patience, &recorder)?;
    let Some(config) = args.config(&mut seeker, patience, &recorder)? else {
        return Ok(ExitCode::SUCCESS);
    };
    let packets = if args.tool.telling.packets {
        left_to_this_thread(|| Packets::towards(&config.addresses, &recorder))
    } else {
        Packets::default()
    };
    let result = args.talk((&config, &mut seeker), ends.as_ref(), &stop, &recorder);
    packets.finish();
    if let Some(figures) = result? {
        telling.conclude("tcp connect", &figures);
    }
    Ok(ExitCode::SUCCESS)
}

fn open(connected: &Connected) -> std::io::Result<()> {
    let took = connected.took;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}: open, connected in {took:.1?}", connected.remote)?;
    out.flush()
}

impl Args {
    /// Connects, and converses where that was asked for; none where there is
    /// nothing to be told of a conversation.
    fn talk(
        &self,
        (config, seeker): (&Connect, &mut Seeker<'_>),
        ends: Option<&Ends>,
        stop: &Interrupt,
        recorder: &Recorder,
    ) -> Result<Option<Figures>, Error> {
        let Some(connected) = connect_seeking(config, seeker, recorder)? else {
            return Ok(None);
        };
        let Some(ends) = ends else {
            return open(&connected).map(|()| None).map_err(unwritten);
        };
        if self.tool.telling.tells_steps() {
            left_to_this_thread(|| ask_name(recorder, connected.remote));
        }
        let terms = Terms {
            // Whoever types would have to end what nobody hears any more.
            ends_with_peer: is_typed(),
            ..self.tool.terms(stop)
        };
        converse(connected.stream, connected.remote, ends, &terms).map(Some)
    }

    fn question(&self) -> Question {
        Question {
            family: self.tool.family(),
            kind: Kind::Tcp,
        }
    }

    fn endpoint(&self) -> Result<Endpoint, Error> {
        Ok(read("connect", &self.endpoint)?.or_port(crate::DEFAULT_PORT))
    }

    fn seek<'a>(
        &self,
        patience: Patience<'a>,
        recorder: &'a Recorder,
    ) -> Result<Seeker<'a>, Error> {
        Seeker::begin(&self.endpoint()?, self.question(), patience, recorder)
    }

    /// What to connect to, as far as it is known; none where it was stopped
    /// before.
    fn config(
        &self,
        seeker: &mut Seeker<'_>,
        patience: Patience<'_>,
        recorder: &Recorder,
    ) -> Result<Option<Connect>, Error> {
        // Both look at all of them.
        let extent = match (&self.from, self.tool.telling.packets) {
            (None, false) => Extent::First,
            _ => Extent::All,
        };
        let Some(addresses) = seeker.wait(extent)? else {
            return Ok(None);
        };
        if let Some(zero) = addresses.iter().find(|address| address.port() == 0) {
            let cause = "port 0 is no port to connect to";
            return Err(Error::new("connect", zero, cause).remedy("ports are 1 to 65535 here"));
        }
        let options = self.tool.options();
        for address in &addresses {
            let target = Target {
                kind: Kind::Tcp,
                family: Family::of(address.ip()),
                role: Role::Connecting,
            };
            options::check(&options, target)?;
        }
        let from = match &self.from {
            None => Some(Vec::new()),
            Some(typed) => self.sources(typed, patience, recorder)?,
        };
        let endpoint = self.endpoint()?.to_string();
        Ok(from.map(|from| Connect {
            endpoint,
            addresses,
            from,
            timeout: self.connect_timeout,
            options,
            stop: Arc::clone(patience.stop),
        }))
    }

    /// The addresses to connect from: those of the name, or of any of this
    /// host's where there is only a port. None where it was stopped before.
    fn sources(
        &self,
        typed: &str,
        patience: Patience<'_>,
        recorder: &Recorder,
    ) -> Result<Option<Vec<SocketAddr>>, Error> {
        let endpoint = Endpoint::local(&[typed])
            .map_err(|error| Error::new("--from", typed, error.to_string()))?;
        let question = self.question();
        if endpoint.host.is_some() {
            return Seeker::begin(&endpoint, question, patience, recorder)?.wait(Extent::All);
        }
        let family = None;
        let mut sources = Vec::new();
        for any in ["::", "0.0.0.0"] {
            let anywhere = endpoint.clone().or_host(any);
            sources.extend(resolve(&anywhere, Question { family, ..question })?);
        }
        Ok(Some(sources))
    }
}

/// The endpoint that was typed.
fn read(operation: &str, words: &[String]) -> Result<Endpoint, Error> {
    Endpoint::remote(words)
        .map_err(|error| Error::new(operation, words.join(" "), error.to_string()))
}
