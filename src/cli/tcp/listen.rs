//! `socklab tcp listen`: wait for connections, and speak with whoever comes, as
//! typed.

use std::process::ExitCode;
use std::time::Duration;

use super::serve::{ServeArgs, Shared, refuse_beside_a_service};
use super::tool::ToolArgs;
use crate::address::{Admission, Endpoint, Network, Question, resolve};
use crate::cli::interrupt::Interrupt;
use crate::cli::output::{Colour, whole};
use crate::cli::packets::Packets;
use crate::cli::telling::some_time;
use crate::error::Error;
use crate::event::Place;
use crate::flow::{Family, Kind};
use crate::socket::options::{self, Role, Target};
use crate::tcp::listen::{After, BACKLOG, Door, Listen, Stack};
use crate::tcp::service::Service;

/// Wait for a connection: standard input goes to whoever comes, what they send
/// to standard output.
///
/// Listens on IPv6 and IPv4 alike where no address is given. With --echo and
/// its like, many clients are served at once, until Ctrl-C.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  socklab tcp listen                    one conversation on port 5073
  socklab tcp listen 127.0.0.1:8080 -v  each step told on standard error
  socklab tcp listen --keep-open >log   one client after another
  socklab tcp listen --echo --allow 192.0.2.0/24 --max-connections 20
Exit code: 0 done, 1 the network said no, 2 anything else.")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag that is typed"
)]
pub(super) struct Args {
    /// PORT, ADDRESS:PORT, `[IPv6]:PORT` or ADDRESS PORT; port 5073 where none is
    /// given
    #[arg(num_args = 0..=2, value_name = "ENDPOINT")]
    endpoint: Vec<String>,

    /// Wait for the next client when one has gone
    #[arg(short, long)]
    keep_open: bool,

    /// Serve at most so many clients at once: 1000 unless told otherwise, with
    /// --serve 10, with --model as many as there is room for
    #[arg(short, long, value_name = "N", visible_alias = "max-clients",
          value_parser = whole(1_usize, 1_000_000))]
    max_connections: Option<usize>,

    /// Let so many connections wait to be accepted, as far as
    /// net.core.somaxconn allows
    #[arg(long, value_name = "N", default_value_t = BACKLOG,
          allow_negative_numbers = true, value_parser = whole(0_i32, i32::MAX))]
    backlog: i32,

    /// Let in only clients of this network, such as 192.0.2.0/24; repeat for
    /// more
    #[arg(long, value_name = "CIDR")]
    allow: Vec<Network>,

    /// Send away clients of this network, whatever is allowed; repeat for more
    #[arg(long, value_name = "CIDR")]
    deny: Vec<Network>,

    /// Give up when nobody has been there for so long; seconds, or with a unit
    #[arg(long, value_name = "TIME", value_parser = some_time)]
    listen_timeout: Option<Duration>,

    /// Send everything back (RFC 862)
    #[arg(long, group = "built-in")]
    echo: bool,

    /// Throw everything away (RFC 863)
    #[arg(long, group = "built-in")]
    discard: bool,

    /// Send characters without end (RFC 864)
    #[arg(long, group = "built-in")]
    chargen: bool,

    /// Send the time of day (RFC 867)
    #[arg(long, group = "built-in")]
    daytime: bool,

    #[command(flatten)]
    serve: ServeArgs,

    #[command(flatten)]
    tool: ToolArgs,
}

/// Runs the tool.
pub(super) fn run(args: &Args, colour: Colour) -> Result<ExitCode, Error> {
    if let Some(code) = args.tool.help()? {
        return Ok(code);
    }
    let config = args.config()?;
    if args.serve.is_asked_for() {
        return args.serve_many(&config, colour);
    }
    let service = args.service();
    if let Some(service) = service {
        refuse_beside_a_service(&args.tool, service)?;
    }
    // What cannot be written is better known before anybody comes.
    let ends = args.tool.ends()?;
    let stop = Interrupt::catch()?;
    let telling = args.tool.telling.begin(colour);
    let recorder = telling.recorder(Place::Server);
    let open = || Door::open(&config, &recorder);
    let (door, packets) = if args.tool.telling.packets {
        Packets::of_door(&config.addresses, &recorder, open, Door::addresses)?
    } else {
        (open()?, Packets::default())
    };
    let terms = args.tool.terms(&stop);
    let served = match service {
        Some(service) => door.serve(service, &terms),
        None => door.converse(&ends, &terms),
    };
    packets.finish();
    let served = served?;
    telling.conclude("tcp listen", &served);
    Ok(ExitCode::SUCCESS)
}

/// Clients at once, unless told otherwise.
const MOST: usize = 1000;

impl Args {
    /// Serves many clients, as far as what was asked for goes with that.
    fn serve_many(&self, config: &Listen, colour: Colour) -> Result<ExitCode, Error> {
        let shared = Shared {
            tool: &self.tool,
            config,
            most: self.max_connections,
            service: self.service(),
        };
        self.serve.run(&shared, colour)
    }

    fn service(&self) -> Option<Service> {
        [
            (self.echo, Service::Echo),
            (self.discard, Service::Discard),
            (self.chargen, Service::Chargen),
            (self.daytime, Service::Daytime),
        ]
        .into_iter()
        .find_map(|(asked, service)| asked.then_some(service))
    }

    fn config(&self) -> Result<Listen, Error> {
        let endpoint = Endpoint::local(&self.endpoint)
            .map_err(|error| Error::new("listen on", self.endpoint.join(" "), error.to_string()))?
            .or_port(crate::DEFAULT_PORT);
        let family = self.tool.family();
        let stack = match (&endpoint.host, family) {
            (None, None) => Stack::Dual,
            _ => Stack::Single,
        };
        let endpoint = endpoint.or_host(match family {
            Some(Family::Ipv4) => "0.0.0.0",
            Some(Family::Ipv6) | None => "::",
        });
        let question = Question {
            family,
            kind: Kind::Tcp,
        };
        let addresses = resolve(&endpoint, question)?;
        let options = self.tool.options();
        for address in &addresses {
            let target = Target {
                kind: Kind::Tcp,
                family: Family::of(address.ip()),
                role: Role::Listening,
            };
            options::check(&options, target)?;
        }
        Ok(Listen {
            addresses,
            stack,
            options,
            admission: Admission {
                allow: self.allow.clone(),
                deny: self.deny.clone(),
            },
            after: if self.keep_open {
                After::KeepOpen
            } else {
                After::Leave
            },
            backlog: self.backlog,
            most: self.max_connections.unwrap_or(MOST),
            timeout: self.listen_timeout,
            names: self.tool.telling.tells_steps(),
        })
    }
}
