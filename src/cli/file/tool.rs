//! What `file send` and `file receive` have in common, as typed: which end
//! listens, where, and what is told.
//!
//! Owns no socket: those are the engine's.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::progress::Progress;
use crate::address::{Admission, Endpoint, Network, Question, resolve};
use crate::app::file::{self, Gauge, Outcome, Serve, Terms, Work};
use crate::app::net::{Connect, Door, Doorway, Stack, connect};
use crate::app::{Stop, runtime};
use crate::cli::interrupt::left_to_this_thread;
use crate::cli::output::{Colour, unwritten, whole};
use crate::cli::packets::Packets;
use crate::cli::telling::{TellingArgs, some_time};
use crate::error::{Error, Exit};
use crate::event::Place;
use crate::flow::{Family, Kind};
use crate::recorder::Recorder;
use crate::report::app::file::summary;
use crate::socket::options::SocketOption;

/// Options of both.
#[derive(Debug, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag that is typed"
)]
pub(super) struct ToolArgs {
    /// Wait for the other end to connect, here; until Ctrl-C, for one after
    /// another and several at once
    #[arg(short, long)]
    listen: bool,

    /// Listen on this address [default: this machine's loopback addresses]
    #[arg(long, value_name = "ADDRESS", requires = "listen")]
    bind: Option<String>,

    /// The port; 0 takes any that is free
    #[arg(short, long, default_value_t = crate::DEFAULT_PORT,
          allow_negative_numbers = true, value_parser = whole(0, u16::MAX))]
    port: u16,

    /// End when one transfer has come to its end
    #[arg(long, requires = "listen")]
    once: bool,

    /// Serve at most so many at once
    #[arg(short, long, value_name = "N", default_value_t = 64, requires = "listen",
          value_parser = whole(1_usize, 1000))]
    max_connections: usize,

    /// Let in only those of this network, such as 192.0.2.0/24; repeat for more
    #[arg(long, value_name = "CIDR", requires = "listen")]
    allow: Vec<Network>,

    /// Send away those of this network, whatever is allowed; repeat for more
    #[arg(long, value_name = "CIDR", requires = "listen")]
    deny: Vec<Network>,

    /// Use IPv4 only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,

    /// Use IPv6 only
    #[arg(short = '6', long)]
    ipv6: bool,

    /// Give up when nothing has moved for so long; seconds, or with a unit
    #[arg(short = 'w', long, value_name = "TIME", default_value = "60",
          value_parser = some_time)]
    idle_timeout: Duration,

    /// Give up connecting after so long; seconds, or with a unit
    #[arg(long, value_name = "TIME", default_value = "30", value_parser = some_time)]
    connect_timeout: Duration,

    #[command(flatten)]
    telling: TellingArgs,
}

/// Which command it is, and where it goes.
pub(super) struct Errand<'a> {
    /// The command's name in JSON.
    pub(super) command: &'static str,
    /// The server, where this end does not listen.
    pub(super) server: Option<&'a str>,
    /// What this end does.
    pub(super) work: Work,
    /// How one says where to go.
    pub(super) remedy: &'static str,
}

impl ToolArgs {
    /// Runs it.
    pub(super) fn run(&self, errand: Errand<'_>, colour: Colour) -> Result<ExitCode, Error> {
        if let Work::Receive(receive) = &errand.work {
            receive.check()?;
        }
        let reach = self.reach(&errand)?;
        file::raise_descriptor_limit();
        let stop = Stop::on_signals()?;
        let telling = self.telling.begin(colour);
        let place = match reach {
            Reach::Listen(_) => Place::Server,
            Reach::Call(_) => Place::Client,
        };
        let recorder = telling.recorder(place);
        let terms = Terms {
            work: errand.work,
            idle: self.idle_timeout,
            gauge: Arc::new(Gauge::default()),
        };
        let progress = Progress::begin(&terms.gauge, self.telling.tells_steps());
        let recorder = match &progress {
            Some(progress) => progress.above(recorder),
            None => recorder,
        };
        let runtime = runtime(1)?;
        let outcome = runtime.block_on(self.transfer(&reach, &terms, &recorder, &stop));
        drop(progress);
        let outcome = outcome?;
        telling.conclude(errand.command, &outcome.tally);
        let mut out = io::stdout().lock();
        writeln!(out, "{}", summary(&outcome.tally))
            .and_then(|()| out.flush())
            .map_err(unwritten)?;
        let is_server = matches!(reach, Reach::Listen(_));
        match outcome.error {
            // The server told of it when it happened, and went on.
            Some(_) if is_server => Ok(ExitCode::FAILURE),
            Some(error) => Err(error),
            None if outcome.tally.is_whole() => Ok(ExitCode::SUCCESS),
            None => Ok(ExitCode::FAILURE),
        }
    }

    /// The last line of JSON where nothing was done, where that is told.
    pub(super) fn conclude_rehearsal<T: Serialize>(
        &self,
        colour: Colour,
        result: impl FnOnce() -> T,
    ) {
        if self.telling.is_json() {
            self.telling.begin(colour).conclude("file send", &result());
        }
    }

    async fn transfer(
        &self,
        reach: &Reach,
        terms: &Terms,
        recorder: &Recorder,
        stop: &Stop,
    ) -> Result<Outcome, Error> {
        match reach {
            Reach::Listen(doorway) => {
                let open = || Door::open(doorway.clone(), recorder);
                let (door, packets) = if self.telling.packets {
                    Packets::of_door(&doorway.addresses, recorder, open, Door::addresses)?
                } else {
                    (open()?, Packets::default())
                };
                let serve = if self.once {
                    Serve::Once
                } else {
                    Serve::Many(self.max_connections)
                };
                let outcome = file::serve(&door, serve, terms, stop).await;
                packets.finish();
                Ok(outcome)
            }
            Reach::Call(config) => {
                let packets = self.packets(|| Packets::towards(&config.addresses, recorder));
                let connected = tokio::select! {
                    connected = connect(config, recorder) => connected,
                    () = stop.asked() => {
                        Err(interrupted(config))
                    }
                };
                let outcome = file::call(connected?, terms, stop).await;
                packets.finish();
                Ok(outcome)
            }
        }
    }

    fn packets(&self, watch: impl FnOnce() -> Packets) -> Packets {
        if self.telling.packets {
            left_to_this_thread(watch)
        } else {
            Packets::default()
        }
    }

    fn family(&self) -> Option<Family> {
        match (self.ipv4, self.ipv6) {
            (true, _) => Some(Family::Ipv4),
            (_, true) => Some(Family::Ipv6),
            _ => None,
        }
    }

    fn reach(&self, errand: &Errand<'_>) -> Result<Reach, Error> {
        match (errand.server, self.listen) {
            (None, true) => self.doorway().map(Reach::Listen),
            (Some(server), false) => self.connect(server).map(Reach::Call),
            (Some(_), true) => {
                Err(
                    Error::new("listen", "", "a server to connect to was given as well")
                        .remedy("leave out the one or the other"),
                )
            }
            (None, false) => {
                let cause = "neither a server nor --listen was given";
                Err(Error::new(errand.command, "", cause).remedy(errand.remedy))
            }
        }
    }

    fn question(&self) -> Question {
        Question {
            family: self.family(),
            kind: Kind::Tcp,
        }
    }

    fn doorway(&self) -> Result<Doorway, Error> {
        let addresses = match &self.bind {
            None => self.loopback(),
            Some(typed) => {
                let endpoint = Endpoint::local(&[typed, &self.port.to_string()])
                    .map_err(|error| Error::new("listen on", typed, error.to_string()))?;
                resolve(&endpoint, self.question())?
            }
        };
        Ok(Doorway {
            addresses,
            stack: Stack::Single,
            options: at_once()?,
            admission: Admission {
                allow: self.allow.clone(),
                deny: self.deny.clone(),
            },
        })
    }

    /// Both loopback addresses, as far as this machine has them.
    fn loopback(&self) -> Vec<SocketAddr> {
        let all = [
            (Family::Ipv4, SocketAddr::from(([127, 0, 0, 1], self.port))),
            (
                Family::Ipv6,
                SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, self.port)),
            ),
        ];
        let wanted = all
            .into_iter()
            .filter(|(family, _)| self.family().is_none_or(|wanted| wanted == *family))
            .map(|(_, address)| address);
        // One port for both is only known beforehand where it is given.
        let most = if self.port == 0 { 1 } else { 2 };
        let wanted: Vec<SocketAddr> = wanted.take(most).collect();
        if wanted.len() < 2 {
            return wanted;
        }
        let is_here = |address: &SocketAddr| {
            address.is_ipv4() || std::net::UdpSocket::bind((address.ip(), 0)).is_ok()
        };
        wanted.into_iter().filter(is_here).collect()
    }

    fn connect(&self, server: &str) -> Result<Connect, Error> {
        if server.trim().is_empty() {
            let cause = "the other end's name is empty";
            return Err(Error::new("connect", "", cause).remedy("HOST or HOST:PORT says where"));
        }
        let endpoint = Endpoint::remote(&[server])
            .map_err(|error| Error::new("connect", server, error.to_string()))?
            .or_port(self.port)
            .or_host("localhost");
        let addresses = resolve(&endpoint, self.question())?;
        if let Some(zero) = addresses.iter().find(|address| address.port() == 0) {
            let cause = "port 0 is no port to connect to";
            return Err(Error::new("connect", zero, cause).remedy("ports are 1 to 65535 here"));
        }
        Ok(Connect {
            endpoint: endpoint.to_string(),
            addresses,
            from: Vec::new(),
            timeout: Some(self.connect_timeout),
            options: at_once()?,
            stop: Arc::default(),
        })
    }
}

/// Answers are small, and somebody waits for them (TCP_NODELAY).
fn at_once() -> Result<Vec<SocketOption>, Error> {
    let option = "nodelay".parse::<SocketOption>();
    let option = option.map_err(|error| Error::new("set", "nodelay", error.to_string()))?;
    Ok(vec![option])
}

fn interrupted(config: &Connect) -> Error {
    Error::new("connect", &config.endpoint, "interrupted").exiting(Exit::Network)
}

/// How the other end is reached.
enum Reach {
    Listen(Doorway),
    Call(Connect),
}
