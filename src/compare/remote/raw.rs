//! The server's end of the raw kinds: whether it may open them, and what of all
//! that comes to its host is a session's.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::Scope;

use nix::errno::Errno;

use super::agenda::GREETING;
use super::ear::{self, Ear};
use super::protocol::Ask;
use super::server::Server;
use super::session::Session;
use crate::compare::lane::{self, Failure, Receiver, Terms};
use crate::compare::{Mark, Variant};
use crate::error::explain;
use crate::stage::Seat;

/// Listens for a raw kind's messages; why not, as the client reads it.
pub(super) fn hear<'scope>(
    server: &'scope Server,
    scope: &'scope Scope<'scope, '_>,
    session: &Arc<Session>,
    ask: &Ask,
) -> Result<(), String> {
    let variant = ask.kind.parse::<Variant>();
    let variant = variant.map_err(|why| why.to_string())?;
    let mark = mark(ask)?;
    let terms = Terms {
        variant,
        server: SocketAddr::new(session.local.ip(), 0),
        client: None,
        mark,
        largest: 0,
        timeout: GREETING,
    };
    let opened = lane::Server::open(Seat::here(&server.recorder), &terms);
    let socket = match opened.and_then(lane::Server::accept) {
        Ok(Receiver::Raw { socket, .. }) => socket,
        Ok(_) => return Err("this kind is not raw".into()),
        Err(failure) => return Err(unopened(failure)),
    };
    if !session.attach(variant) {
        return Err("this kind is there already".into());
    }
    let clock = server.recorder.clock();
    let listening = Arc::clone(session);
    let read = move || ear::listen(&Ear::Raw(socket, mark), variant, &listening, clock);
    let reader = std::thread::Builder::new().name("raw".into());
    let spawned = reader.spawn_scoped(scope, read);
    spawned.map(drop).map_err(|error| {
        session.detach(variant, None);
        explain(&error)
    })
}

/// What tells a raw kind's datagrams from all others that come to this host.
fn mark(ask: &Ask) -> Result<Mark, String> {
    /// ICMP, IP-in-IP, TCP, UDP, IPv6, ICMPv6: the kernel's own, of which a raw
    /// socket would get a copy of everything.
    const BUSY: [u8; 6] = [1, 4, 6, 17, 41, 58];
    match (ask.echo, ask.protocol) {
        (Some(identifier), _) => Ok(Mark::Echo(identifier)),
        (None, Some(protocol)) if BUSY.contains(&protocol) => {
            Err(format!("protocol {protocol} is the kernel's own; try 253"))
        }
        (None, Some(protocol)) => Ok(Mark::Protocol(protocol)),
        (None, None) => Err("the plan says neither identifier nor protocol".into()),
    }
}

fn unopened(failure: Failure) -> String {
    let (Failure::Refused(error) | Failure::Other(error)) = failure;
    match error.errno() {
        Some(errno @ (Errno::EPERM | Errno::EACCES)) => {
            let why = explain(&errno.into());
            format!("open a raw socket: {why}; --listen needs CAP_NET_RAW for it")
        }
        _ => error.to_string(),
    }
}
