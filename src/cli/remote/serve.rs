//! `socklab remote serve`: who may run what here, as typed.

use std::io::{self, Write};
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use crate::address::{Admission, Endpoint, Network, Question, resolve};
use crate::app::net::{Door, Doorway, Stack};
use crate::app::remote::keys::{Folder, allow_list};
use crate::app::remote::{Audit, Config, HANDSHAKE, House, keepalive, serve};
use crate::app::{Stop, runtime};
use crate::cli::interrupt::left_to_this_thread;
use crate::cli::output::{Colour, unwritten, whole};
use crate::cli::packets::Packets;
use crate::cli::telling::{TellingArgs, some_time};
use crate::error::Error;
use crate::event::Place;
use crate::flow::{Family, Kind};
use crate::protocol::remote::Limits;
use crate::protocol::remote::allow::AllowList;
use crate::report::app::remote::summary;

/// Run what is allowed for those who are authorised, until Ctrl-C.
///
/// Listens on loopback where no address is given. Who may come in stands in
/// remote-authorised, what they may run in remote.toml, what was run in
/// remote-audit.jsonl, all in the folder of keys.
///
/// With a command ends all that it started, whatever it has forked and in
/// whatever session, before the client hears of the end, and where this server
/// itself is killed (SIGKILL) too; the audit log then says so at the next start.
/// Out of reach is only what others start when they are asked to (systemd, cron),
/// and what has gained more privileges than the server has, where the list lets
/// it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  socklab remote serve                  on loopback, port 5073
  socklab remote serve 192.0.2.1 --allow 192.0.2.0/24
  socklab remote serve '[::]' --commands /etc/socklab/remote.toml -v

The list of commands, remote.toml:
  concurrent = 16                       # runs at the same time

  [builtin]                             # info, processes, disks: on unless false
  screen = [\"/usr/bin/grim\", \"-\"]       # off unless there is a program
  reboot = \"dry-run\"                    # off unless \"dry-run\" or \"on\"

  [[command]]
  id = \"backup\"
  summary = \"Copies a folder\"
  program = \"/usr/bin/rsync\"            # an absolute path, and no shell
  arguments = [\"-a\", \"--\", \"/srv/{folder}\", \"/backup/{name}\"]
  directory = \"/\"
  environment = { LANG = \"C\" }          # nothing else is in it
  timeout = \"10s\"                       # then SIGTERM, and after grace SIGKILL
  output = \"64kb\"                       # of each output
  limits = { processor = \"5s\", memory = \"512mb\", files = 64 }

  [[command.parameter]]
  name = \"folder\"
  type = \"choice\"
  values = [\"home\", \"etc\"]

  [[command.parameter]]
  name = \"name\"
  type = \"text\"                         # or integer, with least and most
  characters = \"a-z0-9-\"
  most = 20
Exit code: 0 done, 1 the network said no, 2 anything else.")]
pub(super) struct Args {
    /// PORT, ADDRESS, ADDRESS:PORT, `[IPv6]:PORT` or ADDRESS PORT; loopback and
    /// port 5073 where they are not given
    #[arg(num_args = 0..=2, value_name = "ENDPOINT")]
    endpoint: Vec<String>,

    /// Listen on this port
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

    /// The list of commands; remote.toml in the folder of keys where none is
    /// given, and only what looks and changes nothing where that is not there
    #[arg(long, value_name = "FILE")]
    commands: Option<PathBuf>,

    /// The audit log; remote-audit.jsonl in the folder of keys where none is given
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,

    /// Let in only clients of this network, such as 192.0.2.0/24; repeat for
    /// more
    #[arg(long, value_name = "CIDR")]
    allow: Vec<Network>,

    /// Send away clients of this network, whatever is allowed; repeat for more
    #[arg(long, value_name = "CIDR")]
    deny: Vec<Network>,

    /// Serve at most so many connections at once
    #[arg(short, long, value_name = "N", default_value_t = 1000,
          value_parser = whole(1_usize, 100_000))]
    max_connections: usize,

    /// Close when the handshake and the question take longer; seconds, or with a
    /// unit
    #[arg(long, value_name = "TIME", value_parser = some_time)]
    handshake_timeout: Option<Duration>,

    /// Lock an address out after so many failures
    #[arg(long, value_name = "N", default_value_t = Limits::default().failures,
          value_parser = whole(1_u32, 1000))]
    failures: u32,

    /// For so long; seconds, or with a unit
    #[arg(long, value_name = "TIME", value_parser = some_time)]
    lockout: Option<Duration>,

    #[command(flatten)]
    telling: TellingArgs,
}

/// Runs the server.
pub(super) fn run(args: &Args, colour: Colour) -> Result<ExitCode, Error> {
    let config = args.config()?;
    let doorway = args.doorway()?;
    let stop = Stop::on_signals()?;
    let telling = args.telling.begin(colour);
    let recorder = telling.recorder(Place::Server);
    for (id, program) in config.list.programs() {
        if !program.is_file() {
            recorder.note(format_args!(
                "{id}: there is no program {}",
                program.display()
            ));
        }
    }
    let house = Arc::new(House::new(config, &recorder));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let served = left_to_this_thread(|| runtime(threads.min(8)))?.block_on(async {
        let own = doorway.addresses.clone();
        let open = || Door::open(doorway, &recorder);
        let (door, packets) = if args.telling.packets {
            Packets::of_door(&own, &recorder, open, Door::addresses)?
        } else {
            (open()?, Packets::default())
        };
        let served = serve(door, house, &stop).await;
        packets.finish();
        Ok::<_, Error>(served)
    })?;
    telling.conclude("remote serve", &served);
    if !args.telling.is_json() {
        writeln!(io::stdout(), "{}", summary(&served)).map_err(unwritten)?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn config(&self) -> Result<Config, Error> {
        let folder = Folder::at(self.keys.as_deref())?;
        let secret = folder.secret()?;
        let authorised = folder.authorised()?;
        if authorised.is_empty() {
            let path = folder.authorised_path();
            return Err(
                Error::new("serve", path.display(), "no key is authorised").remedy(format!(
                    "socklab remote keys authorize KEY{} lets the owner of KEY in; nobody comes \
                     in without one, on loopback either",
                    folder.option()
                )),
            );
        }
        let list = match &self.commands {
            Some(path) => allow_list(path)?.ok_or_else(|| {
                let missing = std::io::Error::from_raw_os_error(nix::errno::Errno::ENOENT as i32);
                Error::new("open", path.display(), missing)
            })?,
            None => allow_list(&folder.list_path())?.unwrap_or_else(AllowList::default),
        };
        let audit = self.audit.clone().unwrap_or_else(|| folder.audit_path());
        let limits = Limits::default();
        Ok(Config {
            list,
            limits: Limits {
                failures: self.failures,
                lockout: self.lockout.unwrap_or(limits.lockout),
                ..limits
            },
            handshake: self.handshake_timeout.unwrap_or(HANDSHAKE),
            most: self.max_connections,
            audit: Audit::open(&audit)?,
            ..Config::new(secret, authorised)
        })
    }

    fn doorway(&self) -> Result<Doorway, Error> {
        Ok(Doorway {
            addresses: self.addresses()?,
            stack: Stack::Single,
            options: keepalive(),
            admission: Admission {
                allow: self.allow.clone(),
                deny: self.deny.clone(),
            },
        })
    }

    fn addresses(&self) -> Result<Vec<SocketAddr>, Error> {
        let wrong = |cause: String| Error::new("listen on", self.endpoint.join(" "), cause);
        let endpoint = Endpoint::local(&self.endpoint).map_err(|error| wrong(error.to_string()))?;
        if self.port.is_some() && endpoint.service.is_some() {
            return Err(wrong("the port is there twice".into()));
        }
        let endpoint = endpoint.or_port(self.port.unwrap_or(crate::DEFAULT_PORT));
        let family = match (self.ipv4, self.ipv6) {
            (true, _) => Some(Family::Ipv4),
            (_, true) => Some(Family::Ipv6),
            _ => None,
        };
        let question = Question {
            family,
            kind: Kind::Tcp,
        };
        if endpoint.host.is_some() {
            return resolve(&endpoint, question);
        }
        let mut addresses = Vec::new();
        for (host, own) in [("127.0.0.1", Family::Ipv4), ("::1", Family::Ipv6)] {
            let is_meant = family.is_none_or(|family| family == own);
            // A machine without IPv6 has no such address.
            let is_there = family.is_some() || UdpSocket::bind((host, 0)).is_ok();
            if is_meant && is_there {
                addresses.extend(resolve(&endpoint.clone().or_host(host), question)?);
            }
        }
        Ok(addresses)
    }
}
