//! `socklab lab`: any program on the private link.
//!
//! Owns the order of things: divide the process, furnish the inside, build the
//! link, run, take it down, tell what the wire carried.

mod watch;

use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use clap::ValueEnum;

use self::watch::{Verdict, WatchArgs};
use super::link::LinkArgs;
use super::output::{Colour, unwritten};
use crate::error::Error;
use crate::event::Place;
use crate::impair::Schedule;
use crate::lab::{self, Errand, Ready, Server, Side, Warden, Words};
use crate::link::{self, Link};
use crate::recorder::Clock;
use crate::report::Stream;
use crate::report::live::Live;

/// Run any program on a private link: two hosts, client and server, without root
///
/// CMD runs on the client host, with the terminal, the standard streams and the
/// signals passed through; its exit code is socklab's. Both hosts know each
/// other by name. Without CMD, a shell opens.
///
/// Nothing outside changes, and nothing is left behind: when CMD ends, or
/// socklab is killed, every process in the lab is killed with its hosts.
#[derive(Debug, Clone, clap::Args)]
#[command(
    override_usage = "socklab lab [OPTIONS] [--] CMD [ARG]...\n       \
                      socklab lab [OPTIONS] [--shell HOST]",
    after_help = "\
Examples:
  socklab lab -- ping -c 3 server              any program, on the client
  socklab lab --server 'iperf3 -s -1' -- iperf3 -c server
  socklab lab --server 'python3 -m http.server 80' -- curl -s http://server/
  socklab lab --server 'nc -l 9 >copy' --ready tcp:9 -- sh -c 'nc -N server 9 <file'
  socklab lab                                  a shell on the client
  socklab lab --shell server                   a shell on the server

Inside:
  Each host has one device, wire0, and a loopback of its own; nothing else can be
  reached. SOCKLAB_HOST says which host a program runs on. The server's program
  reads nothing and writes to standard error, so that standard output is CMD's.

Exit codes:
  CMD's own; 128+N where signal N killed it; 127 where there is no such program,
  126 where it cannot be run; 2 where socklab itself failed. Where CMD's own is
  0: 1 where the link lost packets that it was not told to lose or was later than
  --strict allows, 2 where a file could not be written."
)]
pub(super) struct Args {
    /// Run this shell command line on the server host first, and wait until it
    /// listens; it gets SIGTERM when CMD ends
    #[arg(long, value_name = "CMDLINE")]
    server: Option<OsString>,

    /// When the server's program is ready: any, tcp:PORT, udp:PORT, none
    #[arg(
        long,
        value_name = "WHEN",
        default_value_t = Ready::Any,
        requires = "server"
    )]
    ready: Ready,

    /// Give up when the server's program is not ready after this many seconds
    #[arg(
        long,
        value_name = "SECONDS",
        default_value = "10",
        value_parser = seconds,
        requires = "server",
        allow_negative_numbers = true
    )]
    ready_timeout: Duration,

    /// Open a shell on this host ($SHELL, else /bin/sh)
    #[arg(
        long,
        value_name = "HOST",
        num_args = 0..=1,
        default_missing_value = "client",
        conflicts_with = "command"
    )]
    shell: Option<HostName>,

    /// Print the hosts' names and addresses, as hosts(5) has them
    #[arg(long)]
    hosts: bool,

    /// TCP's congestion control inside, such as reno, cubic or bbr; else the
    /// machine's own
    #[arg(long, value_name = "NAME")]
    congestion: Option<String>,

    /// Show a line a second of what crosses the wire, on standard error
    #[arg(long)]
    live: bool,

    #[command(flatten)]
    link: LinkArgs,

    #[command(flatten)]
    watch: WatchArgs,

    /// The program to run on the client host, and its arguments; -- before it
    /// where it begins with -
    #[arg(value_name = "CMD", trailing_var_arg = true)]
    command: Vec<OsString>,
}

/// One of the two hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum HostName {
    /// The client.
    Client,
    /// The server.
    Server,
}

/// Runs the subcommand.
pub(super) fn run(args: &Args, colour: Colour) -> Result<ExitCode, Error> {
    let mut link = args.link.config()?;
    // What the server's program takes to be ready is no part of the experiment.
    link.schedule = Schedule::WhenStarted;
    args.watch.configure(&mut link);
    if args.hosts {
        let mut out = io::stdout().lock();
        write!(out, "{}", lab::hosts_table(&link)).map_err(unwritten)?;
        out.flush().map_err(unwritten)?;
        if args.only_hosts() {
            return Ok(ExitCode::SUCCESS);
        }
    }
    match lab::enter()? {
        Side::Outside(keeper) => Ok(ExitCode::from(keeper.wait()?)),
        Side::Inside(warden) => inside(args, &link, warden, colour),
    }
}

/// All that happens inside: one process, whose end ends everything.
fn inside(
    args: &Args,
    config: &link::Config,
    mut warden: Warden,
    colour: Colour,
) -> Result<ExitCode, Error> {
    for lack in lab::furnish(config) {
        note!("{lack}");
    }
    let clock = Clock::start();
    let watch = args.watch.open(config, clock)?;
    let link = Link::build(config, clock, watch.sink())?;
    for host in [link.client(), link.server()] {
        lab::dress(host);
    }
    let congestion = lab::congestion_control(&link, args.congestion.as_deref())?;
    let errand = args.config();
    greet(&errand, &link);
    let ended = if args.live {
        live(&link, clock, colour, || {
            lab::run(&errand, &link, &mut warden)
        })
    } else {
        lab::run(&errand, &link, &mut warden)
    };
    let account = link.finish()?;
    let lab::Ended { code, server } = ended?;
    if let Some(ending) = server {
        note!("the server's program ended before CMD did: {ending}");
    }
    let verdict = args.watch.judge(&account, &congestion, colour);
    let written = watch.finish();
    Ok(match (code, written, verdict) {
        (0, Err(error), _) => return Err(error),
        (0, Ok(()), Verdict::Unsound) => ExitCode::FAILURE,
        // The program's own failure says more.
        (code, written, _) => {
            if let Err(error) = written {
                note!("{error}");
            }
            ExitCode::from(code)
        }
    })
}

/// Runs `work`, and meanwhile shows how the wire is getting on.
fn live<T>(link: &Link, clock: Clock, colour: Colour, work: impl FnOnce() -> T) -> T {
    let (done, until) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || show(link, clock, colour, &until));
        let result = work();
        drop(done);
        result
    })
}

/// Shows a line a second until the other end is dropped. A terminal that takes
/// no more is nothing that the program in the lab should suffer from.
fn show(link: &Link, clock: Clock, colour: Colour, until: &Receiver<()>) {
    const EACH: Duration = Duration::from_secs(1);
    let style = colour.style_of(Stream::Err);
    // The terminal is the program's too: a line that is overwritten would run
    // into what that prints.
    let mut live = Live::new(io::stderr(), false, style);
    while until.recv_timeout(EACH) == Err(RecvTimeoutError::Timeout) {
        let Ok(count) = link.count() else { break };
        if live.show(clock.now(), count).is_err() {
            break;
        }
    }
    let _ = live.finish();
}

/// Says where a shell is, to whoever sits before it.
fn greet(config: &lab::Config, link: &Link) {
    let Errand::Shell(place, shell) = &config.errand else {
        return;
    };
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return;
    }
    let (here, there) = match place {
        Place::Server => (link.server(), link.client()),
        _ => (link.client(), link.server()),
    };
    let said = |host: &link::Host| {
        let link::Addresses { v4, v6 } = host.addresses();
        format!("{} ({v4}, {v6})", host.place())
    };
    note!(
        "{} on {}; the other host is {}; exit ends the lab",
        shell.display(),
        said(here),
        said(there)
    );
}

impl Args {
    fn only_hosts(&self) -> bool {
        self.command.is_empty() && self.shell.is_none() && self.server.is_none()
    }

    fn config(&self) -> lab::Config {
        let errand = match self.command.split_first() {
            Some((program, arguments)) => Errand::Command(
                Place::Client,
                Words {
                    program: program.clone(),
                    arguments: arguments.to_vec(),
                },
            ),
            None => Errand::Shell(self.shell_place(), own_shell()),
        };
        lab::Config {
            errand,
            server: self.server.clone().map(|line| Server {
                line,
                ready: self.ready,
                patience: self.ready_timeout,
            }),
        }
    }

    fn shell_place(&self) -> Place {
        match self.shell {
            Some(HostName::Server) => Place::Server,
            _ => Place::Client,
        }
    }
}

fn own_shell() -> OsString {
    let shell = env::var_os("SHELL").filter(|shell| !shell.is_empty());
    shell.unwrap_or_else(|| "/bin/sh".into())
}

/// A time to wait, such as `10`, `2.5` or `500ms`.
fn seconds(typed: &str) -> Result<Duration, String> {
    const FORM: &str = "must be a number of seconds, such as 10, 0.5 or 500ms";
    let (number, unit) = match typed.strip_suffix("ms") {
        Some(number) => (number, 1000.0),
        None => (typed.strip_suffix('s').unwrap_or(typed), 1.0),
    };
    let number: f64 = number.parse().map_err(|_| FORM.to_owned())?;
    if !(0.0..=1e9).contains(&number) {
        return Err(FORM.to_owned());
    }
    Duration::try_from_secs_f64(number / unit).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Typed {
        #[command(flatten)]
        lab: Args,
    }

    fn parse(words: &[&str]) -> Result<lab::Config, String> {
        let words = std::iter::once(&"lab").chain(words);
        let typed = Typed::try_parse_from(words).map_err(|error| error.to_string())?;
        Ok(typed.lab.config())
    }

    #[test]
    fn what_follows_the_program_is_its_own() {
        let expected = Errand::Command(
            Place::Client,
            Words {
                program: "ping".into(),
                arguments: ["-c", "3", "--", "--server"].map(OsString::from).to_vec(),
            },
        );
        for words in [
            &["--", "ping", "-c", "3", "--", "--server"][..],
            &["ping", "-c", "3", "--", "--server"],
        ] {
            assert_eq!(
                parse(words).map(|config| config.errand),
                Ok(expected.clone())
            );
        }
    }

    #[test]
    fn without_a_program_it_is_a_shell() {
        for (words, place) in [
            (&[][..], Place::Client),
            (&["--shell"], Place::Client),
            (&["--shell", "client"], Place::Client),
            (&["--shell", "server"], Place::Server),
        ] {
            let errand = parse(words).expect("a shell").errand;
            assert!(
                matches!(errand, Errand::Shell(at, _) if at == place),
                "{words:?}"
            );
        }
    }

    #[test]
    fn a_server_is_waited_for_as_asked() {
        let server = |words: &[&str]| parse(words).map(|config| config.server.expect("one"));
        let plain = server(&["--server", "nc -l 9", "true"]).expect("a server");
        assert_eq!(
            (plain.ready, plain.patience),
            (Ready::Any, Duration::from_secs(10))
        );
        let asked = [
            "--server",
            "x",
            "--ready",
            "udp:9",
            "--ready-timeout",
            "500ms",
        ];
        let asked = server(&asked).expect("a server");
        assert_eq!(asked.ready.to_string(), "udp:9");
        assert_eq!(asked.patience, Duration::from_millis(500));
    }

    #[test]
    fn nonsense_is_refused() {
        for words in [
            &["--shell", "middle"][..],
            &["--shell", "client", "--", "true"],
            &["--ready", "any", "true"],
            &["--server", "x", "--ready", "80", "true"],
            &["--server", "x", "--ready-timeout", "-1", "true"],
            &["--server", "x", "--ready-timeout", "nan", "true"],
            &["-true"],
        ] {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }

    /// An option that there is not is no program's name, unless it is said to
    /// be one.
    #[test]
    fn a_mistyped_option_is_not_run() {
        let error = parse(&["--dealy", "20ms", "--", "true"]).expect_err("no such option");
        for part in ["unexpected argument '--dealy'", "similar", "'--delay'"] {
            assert!(error.contains(part), "{error}");
        }
        let errand = parse(&["--", "--dealy", "20ms"]).map(|config| config.errand);
        let expected = Words {
            program: "--dealy".into(),
            arguments: vec!["20ms".into()],
        };
        assert_eq!(errand, Ok(Errand::Command(Place::Client, expected)));
    }
}
