//! `socklab chat host`: a room for others to join, as typed.
//!
//! Owns what the options mean; the room is the engine's.

use std::fs::File;
use std::io::Read;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::aside::Aside;
use super::desk::{Desk, Taste};
use crate::address::{Admission, Endpoint, Network, Question, Service, resolve};
use crate::app::chat::{Hosting, Patience, Post, host, host_datagrams, members_options};
use crate::app::net::{Door, Doorway, Stack};
use crate::app::{Stop, runtime};
use crate::cli::output::{Colour, bytes, whole};
use crate::cli::packets::Packets;
use crate::cli::telling::{TellingArgs, some_time, time};
use crate::error::Error;
use crate::event::Place;
use crate::flow::Kind;
use crate::protocol::chat::{Account, Receipt, Settings, counted};
use crate::recorder::Recorder;

/// Host a room: what each member says is sent to all others.
///
/// For this machine only where no address is given. Standard output has what is
/// said; lines on standard input are the room's own words. Ctrl-C closes it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  socklab chat host                     for this machine, on port 5073
  socklab chat host 0.0.0.0 --max 100   for everybody, over IPv4
  socklab chat host :: --allow 192.0.2.0/24 --allow 2001:db8::/32
  socklab chat host --ack --history 0   each message is answered; no memory
  socklab chat host --udp               over datagrams: what is lost shows
Members say /who, /msg NAME TEXT, /nick NAME, /help, exit.
Exit code: 0 done, 1 the network said no, 2 anything else.")]
pub(super) struct Args {
    /// ADDRESS, ADDRESS:PORT, `[IPv6]:PORT`, ADDRESS PORT or PORT; this machine's
    /// loopback where no address is given, and `::` is every address of both
    /// families
    #[arg(num_args = 0..=2, value_name = "ENDPOINT")]
    endpoint: Vec<String>,

    /// The port, where ENDPOINT names none
    #[arg(short, long, default_value_t = crate::DEFAULT_PORT)]
    port: u16,

    /// Let in at most so many at once
    #[arg(short, long, value_name = "N", default_value_t = 10,
          value_parser = whole(1_usize, 1_000_000))]
    max: usize,

    /// Over datagrams: each has a number, so that what is lost shows
    #[arg(short, long)]
    udp: bool,

    /// Answer each message: it was received
    #[arg(long)]
    ack: bool,

    /// Show newcomers so many of the last lines
    #[arg(long, value_name = "LINES", default_value_t = 10, value_parser = whole(0_usize, 1000))]
    history: usize,

    /// Let in only members of this network, such as 192.0.2.0/24; repeat for more
    #[arg(long, value_name = "CIDR")]
    allow: Vec<Network>,

    /// Send away members of this network, whatever is allowed; repeat for more
    #[arg(long, value_name = "CIDR")]
    deny: Vec<Network>,

    /// Cut off whoever says nothing for so long; 0 is never
    #[arg(long, value_name = "TIME", default_value = "3600", value_parser = time)]
    idle_timeout: Duration,

    /// Cut off whoever begins a line and does not end it for so long
    #[arg(long, value_name = "TIME", default_value = "60", value_parser = some_time)]
    line_timeout: Duration,

    /// Cut off whoever leaves more than this unread
    #[arg(long, value_name = "BYTES", default_value = "65536",
          value_parser = bytes(16_384, 1 << 30))]
    queue: usize,

    /// Read at most so many lines a second from each, after a burst of four times
    /// as many; 0 is no limit
    #[arg(long, value_name = "LINES", default_value_t = 50, value_parser = whole(0_u32, 1_000_000))]
    rate: u32,

    #[command(flatten)]
    telling: TellingArgs,
}

/// Runs the tool.
pub(super) fn run(args: &Args, colour: Colour) -> Result<ExitCode, Error> {
    let (stop, aside) = (Stop::on_signals()?, Aside::default());
    let telling = args.telling.begin_on(Box::new(aside.clone()), colour);
    let recorder = telling.recorder(Place::Server);
    let account = if args.udp {
        args.over_datagrams(&stop, &aside, &recorder)?
    } else {
        args.over_streams(&stop, &aside, &recorder)?
    };
    say(&account);
    telling.conclude("chat host", &account);
    Ok(ExitCode::SUCCESS)
}

fn say(account: &Account) {
    let Account {
        members,
        most_at_once,
        refused,
        messages,
        whispers,
        deliveries,
        too_slow,
    } = account;
    let (messages, lines) = (counted(*messages, "message"), counted(*deliveries, "line"));
    note!(
        "{members} came in ({most_at_once} at once), {refused} refused, {too_slow} too slow; \
         {messages} to all, {whispers} to one; {lines} sent"
    );
}

impl Args {
    fn over_streams(
        &self,
        stop: &Stop,
        aside: &Aside,
        recorder: &Recorder,
    ) -> Result<Account, Error> {
        let doorway = self.doorway()?;
        self.allow_descriptors();
        let runtime = runtime(2)?;
        let (door, packets) = {
            let _inside = runtime.enter();
            if self.telling.packets {
                let own = doorway.addresses.clone();
                let open = || Door::open(doorway, recorder);
                Packets::of_door(&own, recorder, open, Door::addresses)?
            } else {
                (Door::open(doorway, recorder)?, Packets::default())
            }
        };
        let (desk, console) = Desk::open(&Self::taste(aside), stop)?;
        let account = runtime.block_on(host(door, &self.hosting(), console, stop, recorder));
        desk.leave();
        packets.finish();
        Ok(account)
    }

    fn over_datagrams(
        &self,
        stop: &Stop,
        aside: &Aside,
        recorder: &Recorder,
    ) -> Result<Account, Error> {
        let (addresses, _) = Self::addresses(&self.endpoint()?, Kind::Udp)?;
        let Some(address) = addresses.first().copied() else {
            return Err(Error::new("host", "the room", "there is no address"));
        };
        let runtime = runtime(0)?;
        let post = {
            let _inside = runtime.enter();
            Post::open(address, self.admission(), secret()?, recorder)?
        };
        let address = post.address()?;
        let packets = self.packets(&[address], recorder);
        note!("listening on {address}, for datagrams");
        let (desk, console) = Desk::open(&Self::taste(aside), stop)?;
        let hosting = self.hosting();
        let account = runtime.block_on(host_datagrams(post, &hosting, console, stop, recorder));
        desk.leave();
        packets.finish();
        account
    }

    /// A descriptor for each member, as far as this process may have them
    /// (getrlimit(2)).
    fn allow_descriptors(&self) {
        /// For everything else, and those who are leaving.
        const BESIDES: u64 = 64;
        let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
            return;
        };
        let wanted = self.max as u64 + BESIDES;
        if wanted <= soft {
            return;
        }
        let may_have = wanted.min(hard);
        if setrlimit(Resource::RLIMIT_NOFILE, may_have, hard).is_err() || may_have < wanted {
            let most = may_have.saturating_sub(BESIDES);
            note!("descriptors are enough for {most} members only; `ulimit -n` has the limit");
        }
    }

    fn packets(&self, addresses: &[SocketAddr], recorder: &Recorder) -> Packets {
        if self.telling.packets {
            Packets::at(addresses, recorder)
        } else {
            Packets::default()
        }
    }

    fn taste(aside: &Aside) -> Taste {
        Taste {
            aside: aside.clone(),
            history: None,
        }
    }

    fn endpoint(&self) -> Result<Endpoint, Error> {
        let typed = self.endpoint.join(" ");
        let endpoint = Endpoint::local(&self.endpoint);
        let endpoint = endpoint.map_err(|error| Error::new("listen on", typed, error.to_string()));
        Ok(endpoint?.or_port(self.port))
    }

    fn admission(&self) -> Admission {
        Admission {
            allow: self.allow.clone(),
            deny: self.deny.clone(),
        }
    }

    fn doorway(&self) -> Result<Doorway, Error> {
        let (addresses, stack) = Self::addresses(&self.endpoint()?, Kind::Tcp)?;
        Ok(Doorway {
            addresses,
            stack,
            options: members_options(),
            admission: self.admission(),
        })
    }

    fn addresses(endpoint: &Endpoint, kind: Kind) -> Result<(Vec<SocketAddr>, Stack), Error> {
        match (&endpoint.host, &endpoint.service) {
            (None, Some(Service::Port(port))) => Ok((loopback(*port), Stack::Single)),
            (host, _) => {
                let stack = match host.as_deref() {
                    Some("::") => Stack::Dual,
                    _ => Stack::Single,
                };
                let question = Question { family: None, kind };
                Ok((resolve(endpoint, question)?, stack))
            }
        }
    }

    fn hosting(&self) -> Hosting {
        Hosting {
            room: Settings {
                most: self.max,
                queue: self.queue,
                history: self.history,
                receipt: if self.ack {
                    Receipt::Each
                } else {
                    Receipt::None
                },
            },
            patience: Patience {
                idle: Some(self.idle_timeout).filter(|idle| !idle.is_zero()),
                line: self.line_timeout,
                rate: self.rate,
                burst: self.rate.saturating_mul(4),
            },
        }
    }
}

/// This machine's own addresses, of each family that it has.
fn loopback(port: u16) -> Vec<SocketAddr> {
    let v6 = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    let v4 = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let v6 = v6.then(|| SocketAddr::from((Ipv6Addr::LOCALHOST, port)));
    v4.into_iter().chain(v6).collect()
}

/// What nobody else can guess.
fn secret() -> Result<[u8; 32], Error> {
    let mut key = [0; 32];
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut key));
    read.map_err(|error| Error::new("read", "/dev/urandom", error))?;
    Ok(key)
}
