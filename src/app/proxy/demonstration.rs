//! The demonstration: a client, the proxy and a server behind it, so that the
//! handshakes, the tunnel and a refusal can be seen packet by packet.
//!
//! The client is on one host, the proxy and the server on the other. Each visit
//! waits for the one before it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{Config, Limits, Rules, RulesDefault, Served, Tells, serve};
use crate::address::{Admission, Network};
use crate::app::net::{Connect, Connection, Door, Doorway, Stack, connect};
use crate::app::{Stop, demo};
use crate::error::Error;
use crate::flow::Family;
use crate::protocol::proxy::Destination;
use crate::protocol::proxy::upstream::{Asking, Scheme, Step};
use crate::recorder::Recorder;
use crate::stage::Stage;
use crate::units::Time;

/// What is played.
#[derive(Debug, Clone, Copy)]
pub struct Scene {
    /// IPv4 or IPv6.
    pub family: Family,
    /// The proxy's port.
    pub port: u16,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Where the proxy was.
    pub proxy: SocketAddr,
    /// The client's account.
    pub visits: Vec<Visit>,
    /// The proxy's account.
    pub served: Served,
}

/// One visit to the proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Visit {
    /// In which protocol.
    pub method: &'static str,
    /// What was asked for.
    pub destination: String,
    /// What the proxy answered.
    pub answer: String,
    /// Bytes that were said through the tunnel.
    #[serde(rename = "sent_bytes")]
    pub sent: u64,
    /// Bytes that came back.
    #[serde(rename = "received_bytes")]
    pub received: u64,
}

/// How long one visit may take: a lossy link sends again.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long the proxy may take to answer at all, as everywhere else: on a link
/// that loses everything it never does.
const REACH: Duration = Duration::from_secs(30);
/// What is said through the tunnel.
const WORDS: &[u8] = b"hello from beyond";
/// What no stranger may reach: the address at which clouds keep their secrets.
const FORBIDDEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)), 80);

/// Where the proxy and the server listen.
struct Places {
    proxy: SocketAddr,
    server: SocketAddr,
}

/// Plays the scene.
///
/// # Errors
///
/// A socket could not be had, or a visit did not come to its end.
pub fn demonstrate(scene: Scene, stage: &Stage) -> Result<Outcome, Error> {
    let address = stage.server().address(scene.family, scene.port);
    let stop = Stop::default();
    let (tell, told) = oneshot::channel();
    let ends = stop.clone();
    let (served, visits) = demo::on_both(
        stage,
        move |recorder| {
            let stop = stop.clone();
            async move { host(address, tell, stop, &recorder).await }
        },
        move |recorder| async move {
            // Where there is no proxy to go to, the server's error says why.
            let visits = match told.await {
                Ok(places) => visit_all(&places, &recorder).await,
                Err(_) => Ok(Vec::new()),
            };
            ends.ask();
            visits
        },
    )?;
    Ok(Outcome {
        proxy: address,
        visits,
        served,
    })
}

/// The proxy, and a server that only its host can reach.
async fn host(
    address: SocketAddr,
    tell: oneshot::Sender<Places>,
    stop: Stop,
    recorder: &Recorder,
) -> Result<Served, Error> {
    let inner: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::LOCALHOST, 0).into(),
        SocketAddr::V6(_) => (std::net::Ipv6Addr::LOCALHOST, 0).into(),
    };
    let failed = |error: io::Error| Error::new("listen on", inner, error);
    let listener = TcpListener::bind(inner).await.map_err(failed)?;
    let server = listener.local_addr().map_err(failed)?;
    tokio::spawn(answer(listener));
    let door = Door::open(doorway(address), recorder)?;
    let allowed = server.ip().to_string().parse::<Network>().ok();
    let config = Config {
        rules: Rules {
            allow: allowed.into_iter().collect(),
            deny: Vec::new(),
            default: RulesDefault::Public,
        },
        limits: Limits {
            connect: PATIENCE,
            handshake: PATIENCE,
            ..Limits::default()
        },
        tells: Tells::Steps,
        ..Config::default()
    };
    let proxy = address;
    // A client that is gone has failed, and says so itself.
    let _ = tell.send(Places { proxy, server });
    serve(config, door, stop, recorder).await
}

fn doorway(address: SocketAddr) -> Doorway {
    Doorway {
        addresses: vec![address],
        stack: Stack::Single,
        options: Vec::new(),
        admission: Admission::default(),
    }
}

/// The server: says everything back in upper case, once all has been said.
async fn answer(listener: TcpListener) {
    while let Ok((mut client, _)) = listener.accept().await {
        let mut words = Vec::new();
        if client.read_to_end(&mut words).await.is_ok() {
            words.make_ascii_uppercase();
            // Whoever has left misses it.
            let _ = client.write_all(&words).await;
        }
    }
}

async fn visit_all(places: &Places, recorder: &Recorder) -> Result<Vec<Visit>, Error> {
    let scenes = [
        (
            Scheme::Socks5,
            places.server,
            "SOCKS5. A greeting, a request, a reply: from then on the proxy only passes bytes on.",
        ),
        (
            Scheme::Http,
            places.server,
            "HTTP: CONNECT and an empty line. The same port, the same tunnel.",
        ),
        (
            Scheme::Socks5,
            FORBIDDEN,
            "An address that strangers must not reach: the proxy refuses it, and connects to nothing.",
        ),
    ];
    let mut visits = Vec::new();
    for (scheme, destination, said) in scenes {
        recorder.note(said);
        let visit = visit(places.proxy, scheme, destination, recorder);
        let late = |_| {
            let cause = format!("nothing came of it within {}", Time(PATIENCE));
            Error::new("go through", places.proxy, cause)
        };
        visits.push(timeout(PATIENCE, visit).await.map_err(late)??);
    }
    Ok(visits)
}

async fn visit(
    proxy: SocketAddr,
    scheme: Scheme,
    destination: SocketAddr,
    recorder: &Recorder,
) -> Result<Visit, Error> {
    let failed = |error: io::Error| Error::new("go through", proxy, error);
    let config = Connect {
        endpoint: "the proxy".into(),
        addresses: vec![proxy],
        from: Vec::new(),
        timeout: Some(REACH),
        options: Vec::new(),
        stop: Arc::default(),
    };
    let mut connection = connect(&config, recorder).await?;
    connection.send_at_once().map_err(failed)?;
    let answer = ask(&mut connection, scheme, destination.into());
    let is_granted = answer.await.map_err(failed)?;
    let mut received = Vec::new();
    let mut sent = 0;
    let answer = match is_granted {
        Ok(()) => {
            connection.write_all(WORDS).await.map_err(failed)?;
            sent = WORDS.len() as u64;
            "granted".into()
        }
        Err(why) => why,
    };
    connection.shutdown().await.map_err(failed)?;
    connection
        .read_to_end(&mut received)
        .await
        .map_err(failed)?;
    Ok(Visit {
        method: match scheme {
            Scheme::Http => "HTTP",
            Scheme::Socks5 | Scheme::Socks5h => "SOCKS5",
        },
        destination: destination.to_string(),
        answer,
        sent,
        received: received.len() as u64,
    })
}

/// Goes through the handshake; or why the proxy refuses.
async fn ask(
    connection: &mut Connection,
    scheme: Scheme,
    destination: Destination,
) -> io::Result<Result<(), String>> {
    let mut asking = Asking::new(scheme, destination, None);
    let mut piece = [0; 1024];
    loop {
        match asking.poll() {
            Step::Say(bytes) => connection.write_all(&bytes).await?,
            Step::Through => return Ok(Ok(())),
            Step::Failed(failure) => return Ok(Err(failure.to_string())),
            Step::Wait => match connection.read(&mut piece).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => asking.handle_bytes(&piece[..count]),
            },
        }
    }
}
