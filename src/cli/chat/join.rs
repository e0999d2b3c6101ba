//! `socklab chat join`: take part in a room, as typed.
//!
//! Owns what the options mean; the conversation is the engine's.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::desk::{Desk, Taste};
use crate::address::{Endpoint, Question, resolve};
use crate::app::chat::{Console, Joining, Parted, join};
use crate::app::net::{Connect, connect};
use crate::app::{Stop, runtime};
use crate::cli::output::Colour;
use crate::cli::packets::Packets;
use crate::cli::telling::{TellingArgs, some_time};
use crate::error::Error;
use crate::event::Place;
use crate::flow::{Family, Kind};
use crate::protocol::chat::Nick;
use crate::recorder::Recorder;

/// Join a room: what is typed is said there, what is said is shown.
///
/// On a terminal lines can be edited, and earlier ones come back with the arrow
/// keys; incoming lines do not tear what is being typed. Ctrl-D, Ctrl-C and exit
/// leave.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  socklab chat join --nick ann          the room on this machine
  socklab chat join example.org 5073 --nick ann
  echo 'the build is done' | socklab chat join example.org
Exit code: 0 done, 1 the network said no, 2 anything else.")]
pub(super) struct Args {
    /// HOST, HOST:PORT, `[IPv6]:PORT` or HOST PORT; this machine where no host is
    /// given
    #[arg(num_args = 0..=2, value_name = "ENDPOINT")]
    endpoint: Vec<String>,

    /// The port, where ENDPOINT names none
    #[arg(short, long, default_value_t = crate::DEFAULT_PORT)]
    port: u16,

    /// What to be called
    #[arg(short, long, value_name = "NAME", value_parser = nick)]
    nick: Option<Nick>,

    /// Use IPv4 only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,

    /// Use IPv6 only
    #[arg(short = '6', long)]
    ipv6: bool,

    /// Keep typed lines in FILE, for the arrow keys next time
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,

    /// Give up connecting after so long; seconds, or with a unit
    #[arg(long, value_name = "TIME", default_value = "30", value_parser = some_time)]
    connect_timeout: Duration,

    #[command(flatten)]
    telling: TellingArgs,
}

fn nick(typed: &str) -> Result<Nick, String> {
    Nick::new(typed).map_err(|error| error.to_string())
}

/// Runs the tool.
pub(super) fn run(args: &Args, colour: Colour) -> Result<ExitCode, Error> {
    let config = args.towards()?;
    let stop = Stop::on_signals()?;
    let telling = args.telling.begin(colour);
    let recorder = telling.recorder(Place::Client);
    let packets = if args.telling.packets {
        Packets::towards(&config.addresses, &recorder)
    } else {
        Packets::default()
    };
    let result = args.take_part(&config, &stop, &recorder);
    packets.finish();
    if let Some(parted) = result? {
        telling.conclude("chat join", &parted);
    }
    Ok(ExitCode::SUCCESS)
}

impl Args {
    /// None where it was stopped before it was connected.
    fn take_part(
        &self,
        config: &Connect,
        stop: &Stop,
        recorder: &Recorder,
    ) -> Result<Option<Parted>, Error> {
        let taste = Taste {
            tells_steps: self.telling.tells_steps(),
            history: self.history.clone(),
        };
        let runtime = runtime(0)?;
        let connected = runtime.block_on(async {
            tokio::select! {
                connected = connect(config, recorder) => connected.map(Some),
                () = stop.asked() => Ok(None),
            }
        })?;
        let Some(connection) = connected else {
            return Ok(None);
        };
        // Nobody types into a conversation that there is none of.
        let (desk, console): (Desk, Console) = Desk::open(&taste, stop)?;
        let joining = Joining {
            nick: self.nick.clone(),
        };
        let result = runtime.block_on(join(connection, &joining, console, stop));
        desk.leave();
        result.map(Some)
    }

    fn towards(&self) -> Result<Connect, Error> {
        let typed = self.endpoint.join(" ");
        let endpoint = Endpoint::remote(&self.endpoint)
            .map_err(|error| Error::new("join", &typed, error.to_string()))?
            .or_port(self.port)
            .or_host("localhost");
        let question = Question {
            family: match (self.ipv4, self.ipv6) {
                (true, _) => Some(Family::Ipv4),
                (_, true) => Some(Family::Ipv6),
                _ => None,
            },
            kind: Kind::Tcp,
        };
        Ok(Connect {
            addresses: resolve(&endpoint, question)?,
            endpoint: endpoint.to_string(),
            from: Vec::new(),
            timeout: Some(self.connect_timeout),
            options: Vec::new(),
            stop: Arc::default(),
        })
    }
}
