//! `socklab chat join`: take part in a room, as typed.
//!
//! Owns what the options mean; the conversation is the engine's.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::aside::Aside;
use super::desk::{Desk, Taste};
use crate::address::{Endpoint, Question, resolve};
use crate::app::chat::{
    Gathered, Gathering, Joining, Parted, Passed, at_once, gather, join, join_datagrams,
};
use crate::app::net::{Connect, connect};
use crate::app::{Stop, runtime};
use crate::cli::output::{Colour, whole};
use crate::cli::packets::Packets;
use crate::cli::telling::{TellingArgs, some_time};
use crate::error::Error;
use crate::event::Place;
use crate::flow::{Family, Kind};
use crate::protocol::chat::{Nick, counted};
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
  socklab chat join --udp example.org --nick ann
  socklab chat join --multicast 239.255.50.73 --nick ann   no host at all
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

    /// Over datagrams, as the host: each has a number, so that what is lost shows
    #[arg(short, long, conflicts_with = "multicast")]
    udp: bool,

    /// Without a host: all members send to this multicast group, such as
    /// 239.255.50.73 or ff02::5073
    #[arg(long, value_name = "GROUP", conflicts_with = "endpoint", value_parser = group)]
    multicast: Option<IpAddr>,

    /// Send to the group by this interface, and hear it there
    #[arg(short, long, value_name = "NAME", requires = "multicast")]
    interface: Option<String>,

    /// Let the group's messages pass so many routers, and one
    #[arg(long, value_name = "N", default_value_t = 1, requires = "multicast",
          value_parser = whole(0_u8, 255))]
    ttl: u8,

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

fn group(typed: &str) -> Result<IpAddr, String> {
    let address = typed.parse::<IpAddr>().map_err(|error| error.to_string())?;
    if address.is_multicast() {
        Ok(address)
    } else {
        Err("a multicast address is in 224.0.0.0/4 or ff00::/8".into())
    }
}

/// Runs the tool.
pub(super) fn run(args: &Args, colour: Colour) -> Result<ExitCode, Error> {
    let (stop, aside) = (Stop::on_signals()?, Aside::default());
    let telling = args.telling.begin_on(Box::new(aside.clone()), colour);
    let recorder = telling.recorder(Place::Client);
    if let Some(group) = args.multicast {
        let gathered = args.meet(group, &stop, &aside, &recorder)?;
        let Gathered {
            sent_messages: sent,
            received_messages: received,
            missing_messages: lost,
            ..
        } = gathered;
        say("message", sent, received, Some(lost));
        telling.conclude("chat join", &gathered);
        return Ok(ExitCode::SUCCESS);
    }
    if args.udp {
        let passed = args.over_datagrams(&stop, &aside, &recorder)?;
        let Passed {
            sent_messages: sent,
            received_messages: received,
            missing_messages: lost,
        } = passed;
        say("message", sent, received, Some(lost));
        telling.conclude("chat join", &passed);
        return Ok(ExitCode::SUCCESS);
    }
    let config = args.towards(Kind::Tcp)?;
    let packets = args.packets(&config.addresses, &recorder);
    let result = args.take_part(&config, &stop, &aside, &recorder);
    packets.finish();
    if let Some(parted) = result? {
        say("line", parted.sent_lines, parted.received_lines, None);
        telling.conclude("chat join", &parted);
    }
    Ok(ExitCode::SUCCESS)
}

/// What came of it; what is lost on the way here can be known over datagrams
/// only.
fn say(unit: &str, sent: u64, received: u64, lost: Option<u64>) {
    let sent = counted(sent, unit);
    let lost = lost.map_or_else(String::new, |lost| format!(", {lost} lost on the way here"));
    note!("{sent} sent, {received} received{lost}");
}

impl Args {
    fn meet(
        &self,
        group: IpAddr,
        stop: &Stop,
        aside: &Aside,
        recorder: &Recorder,
    ) -> Result<Gathered, Error> {
        let gathering = Gathering {
            group,
            port: self.port,
            interface: self.interface.clone(),
            ttl: self.ttl,
            nick: self.nick.clone().unwrap_or_else(own_name),
        };
        let packets = self.packets(&[SocketAddr::new(group, self.port)], recorder);
        let (desk, console) = Desk::open(&self.taste(aside), stop)?;
        let result = runtime(0)?.block_on(gather(&gathering, console, stop, recorder));
        desk.leave();
        packets.finish();
        result
    }

    fn over_datagrams(
        &self,
        stop: &Stop,
        aside: &Aside,
        recorder: &Recorder,
    ) -> Result<Passed, Error> {
        let addresses = self.towards(Kind::Udp)?.addresses;
        let Some(address) = addresses.first().copied() else {
            return Err(Error::new("join", "the room", "there is no address"));
        };
        let packets = self.packets(&[address], recorder);
        let (desk, console) = Desk::open(&self.taste(aside), stop)?;
        let target = (address, self.connect_timeout);
        let joining = self.joining();
        let joined = join_datagrams(target, &joining, console, stop, recorder);
        let result = runtime(0)?.block_on(joined);
        desk.leave();
        packets.finish();
        result
    }

    fn packets(&self, servers: &[SocketAddr], recorder: &Recorder) -> Packets {
        if self.telling.packets {
            Packets::towards(servers, recorder)
        } else {
            Packets::default()
        }
    }

    fn taste(&self, aside: &Aside) -> Taste {
        Taste {
            aside: aside.clone(),
            history: self.history.clone(),
        }
    }

    fn joining(&self) -> Joining {
        Joining {
            nick: self.nick.clone(),
        }
    }

    /// None where it was stopped before it was connected.
    fn take_part(
        &self,
        config: &Connect,
        stop: &Stop,
        aside: &Aside,
        recorder: &Recorder,
    ) -> Result<Option<Parted>, Error> {
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
        let (desk, console) = Desk::open(&self.taste(aside), stop)?;
        let result = runtime.block_on(join(connection, &self.joining(), console, stop));
        desk.leave();
        result.map(Some)
    }

    fn towards(&self, kind: Kind) -> Result<Connect, Error> {
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
            kind,
        };
        Ok(Connect {
            addresses: resolve(&endpoint, question)?,
            endpoint: endpoint.to_string(),
            from: Vec::new(),
            timeout: Some(self.connect_timeout),
            options: at_once(),
            stop: Arc::default(),
        })
    }
}

/// What whoever is at this machine is called.
fn own_name() -> Nick {
    let user = std::env::var("USER").ok();
    let user = user.and_then(|user| Nick::new(&user).ok());
    user.unwrap_or_else(|| Nick::guest(std::process::id().into()))
}
