//! `socklab proxy serve`: what was typed, as the proxy takes it.
//!
//! Owns the defaults that keep a proxy from being everybody's; opens nothing
//! itself but the files that passwords are read from.

mod secrets;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use tokio::runtime::Runtime;

use crate::address::{Admission, Endpoint, Network, Question, resolve};
use crate::app::net::{Door, Doorway, Stack};
use crate::app::proxy::{
    Balanced, Config, Limits, Rules, RulesDefault, Tells, raise_limit, serve, socket_options,
};
use crate::app::{Stop, runtime};
use crate::capture::Servers;
use crate::cli::output::{Colour, unwritten, whole};
use crate::cli::packets::Packets;
use crate::cli::telling::{TellingArgs, some_time};
use crate::error::Error;
use crate::event::Place;
use crate::flow::Kind;
use crate::protocol::proxy::Destination;
use crate::protocol::proxy::balance::Policy;
use crate::protocol::proxy::upstream::{Upstream, UpstreamError};
use crate::recorder::Recorder;
use crate::report::app::proxy::{StepsAlone, summary};

use super::PORT;
use secrets::Secrets;

/// Run the proxy: SOCKS5, SOCKS4, SOCKS4a and HTTP CONNECT on one port.
///
/// Listens on 127.0.0.1 unless an address is given, and tells with -v each
/// connection's eight steps. On any other address it connects to public
/// addresses only, unless --allow-to says more: neither to this host nor to its
/// neighbours.
///
/// With --balance, several servers share the connections to one destination: who
/// asks for NAME:PORT is given one of them, and who asks for anything else what
/// he asked for. Without NAME:PORT, whatever is asked for is one of the servers.
/// The rules do not apply to servers that are named here.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  socklab proxy serve -v                        on 127.0.0.1:1080
  socklab proxy serve 0.0.0.0:1080 --users users.txt --allow 192.0.2.0/24
  socklab proxy serve --deny-to 0.0.0.0/0 --deny-to ::/0 --allow-to 192.0.2.0/24
  socklab proxy serve --via socks5h://ann@192.0.2.1:1080 --via-password-file secret
  socklab proxy serve --balance www:80=10.0.0.1:8080,10.0.0.2:8080
  curl -x socks5h://127.0.0.1:1080 http://www/
Exit code: 0 done, 2 anything else.")]
pub(super) struct Args {
    /// PORT, ADDRESS:PORT, `[IPv6]:PORT` or ADDRESS PORT; 127.0.0.1:1080 where
    /// none is given
    #[arg(num_args = 0..=2, value_name = "ENDPOINT")]
    endpoint: Vec<String>,

    /// Listen on this port, where ENDPOINT names none
    #[arg(short, long, default_value = PORT)]
    port: u16,

    /// Let in only clients of this network, such as 192.0.2.0/24; repeat for
    /// more
    #[arg(long, value_name = "CIDR")]
    allow: Vec<Network>,

    /// Send away clients of this network, whatever is allowed; repeat for more
    #[arg(long, value_name = "CIDR")]
    deny: Vec<Network>,

    /// Connect to addresses of this network. Of several that have an address,
    /// the smallest network decides
    #[arg(long, value_name = "CIDR")]
    allow_to: Vec<Network>,

    /// Do not connect to addresses of this network; names are judged by what
    /// they stand for
    #[arg(long, value_name = "CIDR")]
    deny_to: Vec<Network>,

    #[command(flatten)]
    secrets: Secrets,

    /// Connect through another proxy: socks5://, socks5h:// or
    /// `http://[USER@]HOST[:PORT]`. Repeat, and they share the load. With socks5h
    /// and http, names are looked up, and judged, there. Only CONNECT goes
    /// through: BIND and UDP ASSOCIATE are refused
    #[arg(long, value_name = "URL", value_parser = upstream)]
    via: Vec<Upstream>,

    /// Servers that share the connections to NAME:PORT, or to whatever is asked
    /// for; repeat for another destination
    #[arg(long, value_name = "[NAME:PORT=]HOST:PORT,…", value_parser = balanced,
          conflicts_with = "via")]
    balance: Vec<Balanced>,

    /// How one of several servers is chosen; one that does not answer is left
    /// out until it does
    #[arg(long, value_name = "HOW", default_value = "round-robin")]
    balance_by: By,

    /// Ask every server of several so often whether it answers
    #[arg(long, value_name = "TIME", value_parser = some_time, default_value = "5")]
    health_interval: Duration,

    /// Serve at most so many clients at once
    #[arg(short, long, value_name = "N", default_value_t = Limits::default().most,
          value_parser = whole(1_usize, 1_000_000))]
    max_connections: usize,

    /// Close a connection whose handshake takes longer; seconds, or with a unit
    #[arg(long, value_name = "TIME", value_parser = some_time, default_value = "10")]
    handshake_timeout: Duration,

    /// Give up reaching a destination after so long
    #[arg(long, value_name = "TIME", value_parser = some_time, default_value = "30")]
    connect_timeout: Duration,

    /// Close a connection on which nothing has moved for so long
    #[arg(short = 'w', long, value_name = "TIME", value_parser = some_time,
          default_value = "600")]
    idle_timeout: Duration,

    /// Run on so many threads; one for each processor where it is not said
    #[arg(long, value_name = "N", value_parser = whole(1_usize, 1024))]
    threads: Option<usize>,

    #[command(flatten)]
    telling: TellingArgs,
}

/// How one of several servers is chosen.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum By {
    /// One after the other.
    RoundRobin,
    /// The one with the fewest connections open.
    LeastConnections,
}

fn upstream(typed: &str) -> Result<Upstream, String> {
    typed.parse().map_err(|error: UpstreamError| match error {
        UpstreamError::Password => format!("{error}; give --via-password-file"),
        _ => error.to_string(),
    })
}

fn balanced(typed: &str) -> Result<Balanced, String> {
    let read = |text: &str| {
        let read = Destination::read(text, None).filter(|read| read.port != 0);
        read.ok_or_else(|| format!("\"{text}\" is no HOST:PORT"))
    };
    let (destination, servers) = match typed.split_once('=') {
        Some((destination, servers)) => (Some(read(destination)?), servers),
        None => (None, typed),
    };
    let servers = servers.split(',').map(read).collect::<Result<_, _>>()?;
    Ok(Balanced {
        destination,
        servers,
    })
}

/// Runs the proxy until it is asked to end.
pub(super) fn run(args: &Args, colour: Colour) -> Result<ExitCode, Error> {
    let doorway = args.doorway()?;
    let config = args.config(&doorway)?;
    let telling = args.telling.begin(colour);
    let recorder = StepsAlone::over(telling.recorder(Place::Server));
    if config.is_open(&doorway) {
        note!(
            "whoever reaches this address may use the proxy: --users FILE or --allow CIDR says who"
        );
    }
    raise_limit();
    let stop = Stop::on_signals()?;
    let runtime = runtime(args.threads())?;
    let (door, packets) = open(doorway, &config, &runtime, &recorder)?;
    // On a thread of the runtime's: a client that is let in stays there.
    let serving = runtime.spawn(async move { serve(config, door, stop, &recorder).await });
    let served = runtime
        .block_on(serving)
        .unwrap_or_else(|gone| Err(Error::new("serve", "clients", gone.to_string())));
    // A look-up that still waits for its answer is not waited for.
    runtime.shutdown_background();
    packets.finish();
    let served = served?;
    telling.conclude("proxy serve", &served);
    let mut out = std::io::stdout().lock();
    if !args.telling.is_json() {
        let written = summary(&served)
            .iter()
            .try_for_each(|line| writeln!(out, "{line}"));
        written.and_then(|()| out.flush()).map_err(unwritten)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The door, and the packets that go through it and beyond, where they are
/// captured: begun before anybody can connect.
fn open(
    doorway: Doorway,
    config: &Config,
    runtime: &Runtime,
    recorder: &Recorder,
) -> Result<(Door, Packets), Error> {
    let _inside = runtime.enter();
    let Some(servers) = &config.captured else {
        return Ok((Door::open(doorway, recorder)?, Packets::default()));
    };
    servers.add(&doorway.addresses);
    let packets = Packets::of(servers, recorder);
    let door = Door::open(doorway, recorder)?;
    // Where the kernel chose the port.
    servers.add(&door.addresses());
    Ok((door, packets))
}

impl Args {
    fn threads(&self) -> usize {
        let processors = || std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.unwrap_or_else(processors)
    }

    fn doorway(&self) -> Result<Doorway, Error> {
        let endpoint = Endpoint::local(&self.endpoint)
            .map_err(|error| Error::new("listen on", self.endpoint.join(" "), error.to_string()))?
            .or_port(self.port)
            .or_host("127.0.0.1");
        let question = Question {
            family: None,
            kind: Kind::Tcp,
        };
        Ok(Doorway {
            addresses: resolve(&endpoint, question)?,
            stack: match endpoint.host.as_deref() {
                Some("::") => Stack::Dual,
                _ => Stack::Single,
            },
            options: socket_options(),
            admission: Admission {
                allow: self.allow.clone(),
                deny: self.deny.clone(),
            },
        })
    }

    fn config(&self, doorway: &Doorway) -> Result<Config, Error> {
        let mut addresses = doorway.addresses.iter();
        let default = if addresses.all(|address| address.ip().is_loopback()) {
            RulesDefault::Open
        } else {
            RulesDefault::Public
        };
        Ok(Config {
            users: self.secrets.users()?,
            rules: Rules {
                allow: self.allow_to.clone(),
                deny: self.deny_to.clone(),
                default,
            },
            via: self.secrets.with_passwords(&self.via)?,
            balanced: self.balance.clone(),
            policy: match self.balance_by {
                By::RoundRobin => Policy::RoundRobin,
                By::LeastConnections => Policy::LeastConnections,
            },
            limits: Limits {
                most: self.max_connections,
                handshake: self.handshake_timeout,
                connect: self.connect_timeout,
                idle: self.idle_timeout,
                health: self.health_interval,
                ..Limits::default()
            },
            tells: if self.telling.tells_steps() {
                Tells::Steps
            } else {
                Tells::Least
            },
            captured: self.telling.packets.then(Servers::default),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_for_one_destination_or_for_all() {
        let all = balanced("10.0.0.1:80,[::1]:81").expect("two servers");
        assert!(all.destination.is_none());
        assert_eq!(all.servers[1].to_string(), "[::1]:81");
        let one = balanced("www:80=a:1,b:2").expect("two servers");
        let destination = one.destination.expect("it was named");
        assert_eq!(destination.to_string(), "www:80");
        for wrong in ["", "a", "a:1,", "www=a:1", "a:0", "=a:1"] {
            balanced(wrong).expect_err(wrong);
        }
    }

    #[test]
    fn a_password_in_a_url_is_refused_with_a_remedy() {
        let why = upstream("socks5://ann:secret@a:1").expect_err("it is seen");
        assert!(why.ends_with("--via-password-file"), "{why}");
        assert!(!why.contains("secret"), "{why}");
    }
}
