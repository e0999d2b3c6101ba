//! The client's end of each kind, until the server has said that it hears it: a
//! stream names the session, a sender of datagrams proves its address.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::caller::{Caller, printable};
use super::control::is_only_time;
use super::frame::{Decoder, LONGEST_TOLD, encode};
use super::proof::{LENGTH, Proof};
use super::protocol::{ClientSays, Offer, ServerSays};
use crate::compare::lane::{Client, Failure, Sender, Terms};
use crate::compare::{Config, Variant};
use crate::error::explain;
use crate::flow::Kind;
use crate::recorder::Recorder;
use crate::stage::Seat;

/// An end that the server listens to.
pub(super) struct Way {
    pub(super) variant: Variant,
    pub(super) client: Client,
    pub(super) server: SocketAddr,
}

/// How long a kind may take to come through.
const LONGEST: Duration = Duration::from_secs(5);

/// From one proof of address to the next.
const AGAIN: Duration = Duration::from_millis(250);

/// Opens one kind as the server offers it; why it does not take part, as the
/// user reads it. No refusal fails the others' run.
pub(super) fn open(
    (variant, offer): (Variant, &Offer),
    config: &Config,
    caller: &Caller<'_>,
    recorder: &Recorder,
) -> Result<Way, String> {
    if let Some(why) = &offer.refused {
        return Err(format!("refused by the server: {}", printable(why)));
    }
    // The peer's own address, with the scope that a link-local one needs.
    let mut server = caller.peer;
    server.set_port(offer.port.unwrap_or(0));
    let own = Some(caller.local.ip()).filter(|own| !is_link_local(*own));
    let mut terms = Terms::new(config, variant, server.ip(), own);
    terms.server = server;
    terms.timeout = terms.timeout.min(LONGEST);
    let mut client =
        Client::open(Seat::here(recorder), &terms).map_err(|failure| unopened(variant, failure))?;
    let clock = recorder.clock();
    let before = clock.now();
    match variant.kind() {
        Kind::Tcp => attach(&client.sender, variant, caller),
        Kind::Udp => prove(&client.sender, variant, caller),
        Kind::Raw => Ok(()),
    }?;
    client.set_up += clock.now().saturating_sub(before);
    Ok(Way {
        variant,
        client,
        server,
    })
}

/// An address that means nothing without its interface.
fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

fn unopened(variant: Variant, failure: Failure) -> String {
    let (Failure::Refused(error) | Failure::Other(error)) = failure;
    match (variant.kind(), error.errno()) {
        // It says which sysctl allows it.
        _ if variant == Variant::IcmpDatagram => format!("refused by this host: {error}"),
        (Kind::Raw, Some(errno @ (nix::errno::Errno::EPERM | nix::errno::Errno::EACCES))) => {
            let why = explain(&errno.into());
            format!("refused by this host: {why}; raw sockets need CAP_NET_RAW: run with sudo")
        }
        (_, Some(nix::errno::Errno::ECONNREFUSED)) => format!("refused on the way: {error}"),
        _ => error.to_string(),
    }
}

/// The first and only frames on a stream that will carry messages.
fn attach(sender: &Sender, variant: Variant, caller: &Caller<'_>) -> Result<(), String> {
    let until = Instant::now() + LONGEST;
    let failed = |error: io::Error| format!("attach the stream: {}", explain(&error));
    let frame = encode(&ClientSays::Attach {
        token: caller.token,
        kind: variant.name().into(),
    });
    sender.introduce(&frame).map_err(failed)?;
    let mut decoder = Decoder::new(LONGEST_TOLD);
    let mut buffer = [0; 512];
    loop {
        match decoder.next::<ServerSays>() {
            Ok(Some(ServerSays::Attached)) => return Ok(()),
            Ok(Some(ServerSays::Refused { why })) => {
                return Err(format!("refused by the server: {}", printable(&why)));
            }
            Ok(Some(_)) => return Err("the server answered something else".into()),
            Ok(None) => {}
            Err(why) => return Err(format!("the server sent {why}")),
        }
        match sender.answer(&mut buffer, AGAIN) {
            Ok(0) => return Err("the server closed the stream".into()),
            Ok(count) => decoder.feed(&buffer[..count]),
            Err(error) if is_only_time(&error) => {}
            Err(error) => return Err(failed(error)),
        }
        if Instant::now() >= until {
            return Err("connected, but the server said nothing; a firewall may drop it".into());
        }
    }
}

/// Asks until the server has answered: the question or the answer may be lost.
fn prove(sender: &Sender, variant: Variant, caller: &Caller<'_>) -> Result<(), String> {
    let question = Proof::Question(caller.token, variant).emit();
    let answer = Proof::Answer(caller.token, variant);
    let until = Instant::now() + LONGEST;
    let mut asked = 0;
    while Instant::now() < until && !caller.is_stopped() {
        match sender.introduce(&question) {
            Ok(()) => asked += 1,
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                return Err(unheard(&error));
            }
            Err(error) => {
                return Err(format!("refused by this host: send: {}", explain(&error)));
            }
        }
        let again = Instant::now() + AGAIN;
        while Instant::now() < again {
            let mut buffer = [0; LENGTH + 1];
            match sender.answer(&mut buffer, AGAIN) {
                Ok(count) if Proof::parse(&buffer[..count]) == Some(answer) => return Ok(()),
                Ok(_) => {}
                Err(error) if is_only_time(&error) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    return Err(unheard(&error));
                }
                Err(error) => return Err(format!("receive: {}", explain(&error))),
            }
        }
    }
    Err(format!(
        "nothing came back in {} seconds for {asked} datagrams; a firewall may drop them",
        LONGEST.as_secs()
    ))
}

fn unheard(error: &io::Error) -> String {
    format!(
        "refused on the way: {}; a firewall may reject it",
        explain(error)
    )
}
