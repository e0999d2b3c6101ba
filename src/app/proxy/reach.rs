//! From a destination to a connection: looked up, judged by the rules, then
//! connected to (RFC 8305); or one of several servers; or through another
//! proxy.
//!
//! What the resolver answers is what is judged and what is connected to: a name
//! is looked up once.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pnet::datalink::{NetworkInterface, interfaces};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::Proxy;
use super::group::{Group, Lease, Server};
use super::steps::Steps;
use crate::address::{Endpoint, Question, Service};
use crate::app::net::{self, Connect, Connection};
use crate::error::{Error, explain};
use crate::event::ProxyStep;
use crate::flow::Kind;
use crate::protocol::proxy::upstream::{Asking, Failure, Scheme, Step};
use crate::protocol::proxy::{Cause, Credentials, Destination, Host};
use crate::recorder::Recorder;
use crate::units::Time;

/// A connection to the destination.
pub(super) struct Reached {
    pub(super) connection: Connection,
    /// What came before it was passed on.
    pub(super) early: Vec<u8>,
    pub(super) lease: Option<Lease>,
}

/// Why there is none.
#[derive(Debug)]
pub(super) struct Missed {
    pub(super) cause: Cause,
    pub(super) why: String,
}

impl Missed {
    pub(super) fn late(what: impl std::fmt::Display, patience: Duration) -> Self {
        Self {
            cause: Cause::TimedOut,
            why: format!("{what}: no answer within {}", Time(patience)),
        }
    }
}

impl From<Error> for Missed {
    fn from(error: Error) -> Self {
        let cause = error
            .errno()
            .map_or(Cause::Failure, |errno| Cause::of(&io::Error::from(errno)));
        let why = error.to_string();
        Self { cause, why }
    }
}

/// Reaches a destination for that client.
pub(super) async fn reach(
    proxy: &Proxy,
    client: IpAddr,
    destination: &Destination,
    steps: &Steps,
) -> Result<Reached, Missed> {
    if let Some(group) = proxy.balanced(destination) {
        steps.tell(|| ProxyStep::Left {
            to: "one of several servers (--balance)".into(),
        });
        return by_group(proxy, group, None, steps).await;
    }
    if let Some(group) = &proxy.via {
        let goal = goal(proxy, group, client, destination, steps).await?;
        return by_group(proxy, group, Some(&goal), steps).await;
    }
    let patience = proxy.config.limits.connect;
    let addresses = resolve(proxy, client, destination, steps).await?;
    let began = Instant::now();
    proxy.capture(&addresses);
    let connection = dial(destination, addresses, patience, &proxy.sockets).await?;
    connected(&connection, None, began, steps);
    Ok(Reached {
        connection,
        early: Vec::new(),
        lease: None,
    })
}

/// The addresses of a destination that the rules allow.
pub(super) async fn resolve(
    proxy: &Proxy,
    client: IpAddr,
    destination: &Destination,
    steps: &Steps,
) -> Result<Vec<SocketAddr>, Missed> {
    let began = Instant::now();
    let found = look_up(
        proxy,
        Some(client),
        destination,
        proxy.config.limits.connect,
    )
    .await?;
    let is_name = matches!(destination.host, Host::Name(_));
    let took = is_name.then(|| began.elapsed());
    let is_allowed = |address: &SocketAddr| proxy.allows(*address);
    let (addresses, denied): (Vec<_>, Vec<_>) = found.into_iter().partition(is_allowed);
    let is_denied = addresses.is_empty();
    let why = denied.first().map(|one| denial(proxy, *one));
    steps.tell(|| ProxyStep::Resolved {
        addresses: addresses.clone(),
        denied,
        took,
    });
    match why {
        Some(why) if is_denied => Err(Missed {
            cause: Cause::Denied,
            why,
        }),
        _ => Ok(addresses),
    }
}

fn denial(proxy: &Proxy, address: SocketAddr) -> String {
    let ip = address.ip();
    if proxy.admits(ip) {
        format!("{address} is this proxy itself")
    } else {
        format!("{ip} is not allowed (--allow-to, --deny-to)")
    }
}

impl Proxy {
    /// Whether this address may be connected to: not where the rules forbid it,
    /// and not to ourselves, which would go round for ever.
    pub(super) fn allows(&self, address: SocketAddr) -> bool {
        self.admits(address.ip()) && !self.is_own(address)
    }

    /// Whether the rules allow this address.
    pub(super) fn admits(&self, ip: IpAddr) -> bool {
        self.config.rules.admit(ip, is_here)
    }

    /// Whether this proxy itself listens there.
    pub(super) fn is_own(&self, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        let leads_to =
            |own: IpAddr| own == ip || ip.is_unspecified() || (own.is_unspecified() && is_here(ip));
        let mut same_port = self.own.iter().filter(|own| own.port() == address.port());
        same_port.any(|own| leads_to(own.ip().to_canonical()))
    }
}

/// Whether this host has that address. Asked each time: addresses come and go.
fn is_here(ip: IpAddr) -> bool {
    let has = |interface: &NetworkInterface| interface.ips.iter().any(|one| one.ip() == ip);
    ip.is_loopback() || ip.is_unspecified() || interfaces().iter().any(has)
}

/// The addresses of a destination, whatever the rules say; it is that client's
/// turn, or the proxy's own.
pub(super) async fn look_up(
    proxy: &Proxy,
    client: Option<IpAddr>,
    destination: &Destination,
    patience: Duration,
) -> Result<Vec<SocketAddr>, Missed> {
    let name = match &destination.host {
        Host::Ip(ip) => return Ok(vec![SocketAddr::new(*ip, destination.port)]),
        Host::Name(name) => name.as_str(),
    };
    let endpoint = Endpoint {
        host: Some(name.to_owned()),
        service: Some(Service::Port(destination.port)),
    };
    let question = Question {
        family: None,
        kind: Kind::Tcp,
    };
    let looked_up = async {
        let _turn = proxy.lookups.turn(client).await;
        net::resolve(endpoint, question).await
    };
    match timeout(patience, looked_up).await {
        Ok(Ok(addresses)) => Ok(addresses),
        Ok(Err(error)) => Err(Missed {
            cause: Cause::HostUnreachable,
            why: error.to_string(),
        }),
        Err(_) => Err(Missed::late(format_args!("look up {name}"), patience)),
    }
}

/// Connects to one of these addresses.
pub(super) async fn dial(
    destination: &Destination,
    addresses: Vec<SocketAddr>,
    patience: Duration,
    recorder: &Recorder,
) -> Result<Connection, Missed> {
    let config = Connect {
        endpoint: destination.to_string(),
        addresses,
        from: Vec::new(),
        timeout: Some(patience),
        options: Vec::new(),
        stop: Arc::default(),
    };
    let connection = net::connect(&config, recorder).await?;
    // Small writes are passed on at once; a socket that is gone already says so when it is read.
    let _ = connection.send_at_once();
    Ok(connection)
}

/// What another proxy is asked for: the name itself, or, where one of them has
/// names looked up here, the address.
async fn goal(
    proxy: &Proxy,
    group: &Group,
    client: IpAddr,
    destination: &Destination,
    steps: &Steps,
) -> Result<Destination, Missed> {
    let is_name = matches!(destination.host, Host::Name(_));
    if is_name && !group.looks_up_here() {
        steps.tell(|| ProxyStep::Left {
            to: "another proxy (--via)".into(),
        });
        return Ok(destination.clone());
    }
    let addresses = resolve(proxy, client, destination, steps).await?;
    let first = addresses.first().copied();
    Ok(first.map_or_else(|| destination.clone(), Destination::from))
}

/// Connects to one of several servers, the next where one cannot be reached,
/// and asks it for `goal` where it is another proxy.
async fn by_group(
    proxy: &Proxy,
    group: &Arc<Group>,
    goal: Option<&Destination>,
    steps: &Steps,
) -> Result<Reached, Missed> {
    let mut tried = Vec::new();
    let mut first = None;
    while let Some(lease) = group.choose(&tried) {
        tried.push(lease.index());
        let server = lease.server();
        let began = Instant::now();
        let dialled = match server.dial(proxy, &proxy.sockets).await {
            Ok(connection) => through(proxy, server, connection, goal).await,
            Err(missed) => Err(Unasked::Lost(missed)),
        };
        let (connection, early) = match dialled {
            Ok(reached) => reached,
            Err(Unasked::Refused(missed)) => {
                lease.heed(None, steps);
                return Err(missed);
            }
            Err(Unasked::Lost(missed)) => {
                lease.heed(Some(&missed), steps);
                first.get_or_insert(missed);
                continue;
            }
        };
        lease.heed(None, steps);
        connected(&connection, Some(&server.name), began, steps);
        return Ok(Reached {
            connection,
            early,
            lease: Some(lease),
        });
    }
    Err(first.unwrap_or_else(|| Missed {
        cause: Cause::Failure,
        why: "there is no server to ask".into(),
    }))
}

/// Why one of several servers was of no use.
enum Unasked {
    /// It is not there, or left without an answer: another one may do.
    Lost(Missed),
    /// It answered.
    Refused(Missed),
}

/// The connection, once the server has been asked for `goal` where it is another
/// proxy; and what came beyond its reply.
async fn through(
    proxy: &Proxy,
    server: &Server,
    mut connection: Connection,
    goal: Option<&Destination>,
) -> Result<(Connection, Vec<u8>), Unasked> {
    let early = match (&server.proxy, goal) {
        (Some((scheme, credentials)), Some(goal)) => {
            let asking = ask(&mut connection, *scheme, goal, credentials.clone());
            let limit = proxy.config.limits.connect;
            // The destination may be what is slow.
            let late = |_| Err(Unasked::Refused(Missed::late(&server.name, limit)));
            timeout(limit, asking).await.unwrap_or_else(late)?
        }
        _ => Vec::new(),
    };
    Ok((connection, early))
}

/// Greets another proxy, and asks it for nothing: whether it chooses one of the
/// ways to prove who one is (RFC 1928 section 3).
pub(super) async fn greet(
    mut connection: Connection,
    at: &Destination,
    credentials: Option<Credentials>,
) -> Result<(), Missed> {
    let lost = |error: io::Error| Missed {
        cause: Cause::Failure,
        why: format!("greet the other proxy: {}", explain(&error)),
    };
    let mut asking = Asking::new(Scheme::Socks5h, at.clone(), credentials);
    let mut piece = [0; 16];
    if let Step::Say(hello) = asking.poll() {
        connection.write_all(&hello).await.map_err(lost)?;
    }
    loop {
        match asking.poll() {
            Step::Wait => match connection.read(&mut piece).await.map_err(lost)? {
                0 => return Err(lost(io::ErrorKind::UnexpectedEof.into())),
                count => asking.handle_bytes(&piece[..count]),
            },
            Step::Failed(failure @ Failure::Strange(_)) => {
                let why = format!("the other proxy: {failure}");
                let cause = Cause::Failure;
                return Err(Missed { cause, why });
            }
            Step::Say(_) | Step::Through | Step::Failed(_) => return Ok(()),
        }
    }
}

/// Asks another proxy for a connection; what came beyond its reply.
async fn ask(
    connection: &mut Connection,
    scheme: Scheme,
    goal: &Destination,
    credentials: Option<Credentials>,
) -> Result<Vec<u8>, Unasked> {
    const PIECE: usize = 1024;
    let lost = |error: io::Error| {
        Unasked::Lost(Missed {
            cause: Cause::Failure,
            why: format!("ask the other proxy: {}", explain(&error)),
        })
    };
    let mut asking = Asking::new(scheme, goal.clone(), credentials);
    let mut piece = vec![0; PIECE];
    loop {
        match asking.poll() {
            Step::Say(bytes) => connection.write_all(&bytes).await.map_err(lost)?,
            Step::Wait => match connection.read(&mut piece).await.map_err(lost)? {
                0 => return Err(lost(io::ErrorKind::UnexpectedEof.into())),
                count => asking.handle_bytes(&piece[..count]),
            },
            Step::Through => return Ok(asking.into_rest()),
            Step::Failed(failure) => {
                return Err(Unasked::Refused(Missed {
                    cause: failure.cause(),
                    why: format!("the other proxy: {failure}"),
                }));
            }
        }
    }
}

fn connected(connection: &Connection, through: Option<&str>, began: Instant, steps: &Steps) {
    steps.tell(|| ProxyStep::Connected {
        local: connection.local(),
        remote: connection.peer(),
        through: through.map(ToOwned::to_owned),
        took: began.elapsed(),
    });
}
