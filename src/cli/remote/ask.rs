//! `socklab remote run` and `socklab remote list`: what is asked of a server, as
//! typed, and what its answer means for the exit code.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde::Serialize;

use super::printed::{Events, Spelt};
use crate::address::{Endpoint, Question, resolve};
use crate::app::net::{Connect, connect};
use crate::app::remote::keys::Folder;
use crate::app::remote::{Answer, HANDSHAKE, Session, keepalive, open};
use crate::app::{Stop, runtime};
use crate::cli::interrupt::left_to_this_thread;
use crate::cli::output::{Colour, unwritten};
use crate::cli::packets::Packets;
use crate::cli::telling::{Telling, TellingArgs, some_time};
use crate::error::{Error, Exit};
use crate::event::{Place, Told};
use crate::flow::{Family, Kind};
use crate::protocol::remote::{Amount, Ending, Entry, Outcome, Public, Secret, Why, harmless};
use crate::recorder::Recorder;
use crate::report::Stream;
use crate::report::app::remote as report;

/// Run a command on another machine.
///
/// What it prints comes here, standard output and standard error apart, and its
/// exit code is this program's. Ctrl-C ends it there. At a terminal its control
/// characters are spelt out, but for ends of lines and tabs; a pipe or a file gets
/// its bytes as they are. With --json its standard error comes as events.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  socklab remote run example.org info
  socklab remote run example.org backup home monday
  socklab remote run '[2001:db8::1]:5073' screen >screen.png
Exit code: the command's; 128 and the signal's number where a signal ended it;
124 where its time was over, 130 where Ctrl-C ended it; 1 where the network or
the server said no, 2 anything else. Standard error says which.")]
pub(super) struct RunArgs {
    #[command(flatten)]
    server: ServerArgs,

    /// Which command, as `socklab remote list` shows it, and its parameters in
    /// order: whatever follows is theirs, and no option of this program
    #[arg(
        value_names = ["COMMAND", "PARAMETER"],
        required = true,
        num_args = 1..,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    command: Vec<String>,
}

/// Show what may be run on another machine.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  socklab remote list example.org
Exit code: 0 done, 1 the network or the server said no, 2 anything else.")]
pub(super) struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, clap::Args)]
struct ServerArgs {
    /// HOST, HOST:PORT or `[IPv6]:PORT`; port 5073 where none is given
    #[arg(value_name = "HOST")]
    host: String,

    /// The server's port
    #[arg(short, long)]
    port: Option<u16>,

    /// Use IPv4 only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,

    /// Use IPv6 only
    #[arg(short = '6', long)]
    ipv6: bool,

    /// The folder of keys; $XDG_CONFIG_HOME/socklab where none is given
    #[arg(long, value_name = "FOLDER")]
    keys: Option<PathBuf>,

    /// The server's key, where it is not in remote-servers
    #[arg(long, value_name = "KEY")]
    server_key: Option<Public>,

    /// Give up when connecting, or then the handshake, takes longer; seconds, or
    /// with a unit
    #[arg(long, value_name = "TIME", value_parser = some_time)]
    timeout: Option<Duration>,

    #[command(flatten)]
    telling: TellingArgs,
}

/// What the last line of JSON holds.
#[derive(Serialize)]
struct Ran {
    outcome: String,
    exit_code: u8,
    stdout_bytes: u64,
    stderr_bytes: u64,
    left_out_bytes: u64,
}

#[derive(Serialize)]
struct Listed {
    commands: Vec<Entry>,
}

/// Runs a command.
pub(super) fn run(args: &RunArgs, colour: Colour) -> Result<ExitCode, Error> {
    let stop = Stop::on_signals()?;
    let Some((id, parameters)) = args.command.split_first() else {
        return Err(Error::new("run", "", "there is no command"));
    };
    let request = (id.as_str(), parameters);
    let (answer, telling) = args
        .server
        .talk(colour, &stop, async |session: &mut Session| {
            let (mut out, mut err) = args.outputs(session);
            session.run(request, &stop, (&mut *out, &mut *err)).await
        })?;
    let Some(answer) = answer else {
        return Ok(ExitCode::from(130));
    };
    let ending = match answer {
        Answer::Refused { why, reason } => return Err(refused(id, why, &reason)),
        Answer::Ended(ending) => ending,
    };
    let code = exit_code(ending.outcome);
    // The result says it too.
    if !args.server.telling.is_json() {
        note_ending(&ending);
    }
    telling.conclude(
        "remote run",
        &Ran {
            outcome: ending.outcome.to_string(),
            exit_code: code,
            stdout_bytes: ending.stdout.sent,
            stderr_bytes: ending.stderr.sent,
            left_out_bytes: ending.stdout.left_out + ending.stderr.left_out,
        },
    );
    Ok(ExitCode::from(code))
}

/// A remedy is told only where there is one at this end.
fn refused(id: &str, why: Why, reason: &str) -> Error {
    let error = Error::new("run", harmless(id), harmless(reason)).exiting(Exit::Network);
    match why {
        Why::NotAllowed => error.remedy("socklab remote list shows what is allowed"),
        Why::Busy => error.remedy("try again when one of them has ended"),
        Why::Failed => error,
    }
}

/// As shells and timeout(1) have it.
fn exit_code(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Exited(code) => code,
        Outcome::Signalled(signal) => 128_u8.saturating_add(signal),
        Outcome::TimedOut => 124,
        Outcome::Stopped => 130,
    }
}

/// Says what was left out, and whether the exit code is not the command's own.
fn note_ending(ending: &Ending) {
    if !matches!(ending.outcome, Outcome::Exited(_)) {
        note!("the command was {}", ending.outcome);
    }
    for (name, amount) in [
        ("standard output", ending.stdout),
        ("standard error", ending.stderr),
    ] {
        let Amount { sent, left_out } = amount;
        if left_out > 0 {
            note!("{name} is cut after {sent} bytes, {left_out} more were left out");
        }
    }
}

/// Shows what may be run.
pub(super) fn list(args: &ListArgs, colour: Colour) -> Result<ExitCode, Error> {
    let stop = Stop::on_signals()?;
    let (commands, telling) = args
        .server
        .talk(colour, &stop, async |session: &mut Session| {
            tokio::select! {
                entries = session.list() => entries.map(Some),
                () = stop.asked() => Ok(None),
            }
        })?;
    let Some(commands) = commands.flatten() else {
        return Ok(ExitCode::from(130));
    };
    let mut out = io::stdout().lock();
    let style = colour.style_of(Stream::Out);
    report::list(&mut out, &commands, &style)
        .and_then(|()| out.flush())
        .map_err(unwritten)?;
    telling.conclude("remote list", &Listed { commands });
    Ok(ExitCode::SUCCESS)
}

impl RunArgs {
    /// Where what the command prints goes.
    fn outputs(&self, session: &Session) -> (Box<dyn Write>, Box<dyn Write>) {
        let out: Box<dyn Write> = if io::stdout().is_terminal() {
            Box::new(Spelt::new(io::stdout()))
        } else {
            Box::new(io::stdout())
        };
        let err: Box<dyn Write> = if self.server.telling.is_json() {
            Box::new(Events::new(session.connection().recorder().clone()))
        } else if io::stderr().is_terminal() {
            Box::new(Spelt::new(io::stderr()))
        } else {
            Box::new(io::stderr())
        };
        (out, err)
    }
}

impl ServerArgs {
    /// Shakes hands with the server, and has a word with it. None where it was
    /// stopped before it could.
    fn talk<T>(
        &self,
        colour: Colour,
        stop: &Stop,
        word: impl AsyncFnOnce(&mut Session) -> Result<T, Error>,
    ) -> Result<(Option<T>, Telling), Error> {
        let (config, own, server) = self.config()?;
        let telling = self.telling.begin(colour);
        let recorder = telling.recorder(Place::Client);
        let packets = if self.telling.packets {
            left_to_this_thread(|| Packets::towards(&config.addresses, &recorder))
        } else {
            Packets::default()
        };
        let said = runtime(0)?.block_on(async {
            let greeted = tokio::select! {
                greeted = self.greet(&config, (&own, &server), &recorder) => greeted?,
                () = stop.asked() => return Ok(None),
            };
            converse(greeted, word).await.map(Some)
        });
        packets.finish();
        Ok((said?, telling))
    }

    async fn greet(
        &self,
        config: &Connect,
        (own, server): (&Secret, &Public),
        recorder: &Recorder,
    ) -> Result<Session, Error> {
        let connection = connect(config, recorder).await?;
        let patience = self.timeout.unwrap_or(HANDSHAKE);
        open(connection, own, server, patience).await
    }

    fn config(&self) -> Result<(Connect, Secret, Public), Error> {
        let wrong = |cause: String| Error::new("connect", &self.host, cause);
        let typed = Endpoint::remote(&[&self.host]).map_err(|error| wrong(error.to_string()))?;
        if typed.host.is_none() {
            return Err(wrong("there is no host".into()));
        }
        if self.port.is_some() && typed.service.is_some() {
            return Err(wrong("the port is there twice".into()));
        }
        let host = Endpoint {
            service: None,
            ..typed.clone()
        };
        let endpoint = typed.or_port(self.port.unwrap_or(crate::DEFAULT_PORT));
        let folder = Folder::at(self.keys.as_deref())?;
        let own = folder.secret()?;
        let server = match self.server_key {
            Some(key) => key,
            None => known(&folder, &endpoint, &host)?,
        };
        let family = match (self.ipv4, self.ipv6) {
            (true, _) => Some(Family::Ipv4),
            (_, true) => Some(Family::Ipv6),
            _ => None,
        };
        let question = Question {
            family,
            kind: Kind::Tcp,
        };
        let connect = Connect {
            endpoint: endpoint.to_string(),
            addresses: resolve(&endpoint, question)?,
            from: Vec::new(),
            timeout: self.timeout,
            options: keepalive(),
            stop: Arc::new(AtomicBool::new(false)),
        };
        Ok((connect, own, server))
    }
}

async fn converse<T>(
    mut session: Session,
    word: impl AsyncFnOnce(&mut Session) -> Result<T, Error>,
) -> Result<T, Error> {
    let said = word(&mut session).await;
    let connection = session.connection();
    connection.tell(|| Told::Over(Box::new(connection.figures())));
    session.close().await;
    said
}

/// The key of a server under the name that was typed, with its port or without.
fn known(folder: &Folder, endpoint: &Endpoint, host: &Endpoint) -> Result<Public, Error> {
    let known = folder.known()?;
    let (with_port, without) = (endpoint.to_string(), host.to_string());
    let bare = host.host.clone().unwrap_or_default();
    [&with_port, &without, &bare]
        .into_iter()
        .find_map(|name| known.of(name))
        .copied()
        .ok_or_else(|| {
            Error::new("connect", endpoint, "the server's key is not known").remedy(format!(
                "socklab remote keys authorize KEY --server '{without}'{}, with the KEY that socklab \
                 remote keys show prints there",
                folder.option()
            ))
        })
}
