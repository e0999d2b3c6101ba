//! UDP ASSOCIATE: a client's datagrams to wherever it likes, and the answers
//! back (RFC 1928 sections 6 and 7).
//!
//! Takes datagrams only from the host of the TCP connection, and from the first
//! port it uses; passes back only what comes from where one was sent. Ends with
//! the TCP connection. A fragment is dropped: nobody sends them. Goes through no
//! other proxy.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::Poll;

use tokio::io::AsyncReadExt;
use tokio::time::{Instant, sleep_until};

use super::Proxy;
use super::datagrams::Socket;
use super::reach::{Missed, look_up};
use super::relay::End;
use super::visit::{Prepared, Visitor};
use crate::app::net::Connection;
use crate::error::{Error, explain};
use crate::event::ProxyStep;
use crate::protocol::proxy::datagram::{self, LONGEST_HEADER};
use crate::protocol::proxy::{Destination, Host, Verdict};

/// The most bytes of a datagram with its header.
const LONGEST: usize = 65_535 + LONGEST_HEADER;
/// Destinations whose answers are still let through.
const MOST_PEERS: usize = 1024;
/// Names whose addresses are remembered.
const MOST_NAMES: usize = 64;
/// Names that are looked up at the same time.
const MOST_ASKED: usize = 8;
/// Datagrams that wait for the same name.
const MOST_WAITING: usize = 8;

/// An association.
struct Association<'a> {
    visitor: Visitor<'a>,
    inside: Socket,
    outside: [Option<Socket>; 2],
    /// From where the client's datagrams come, once that is known.
    client: (IpAddr, Option<u16>),
    peers: Peers,
    names: HashMap<Destination, SocketAddr>,
    asked: Vec<Asked<'a>>,
    counts: [u64; 2],
    bytes: [u64; 2],
}

/// Where datagrams were sent, the oldest forgotten first.
#[derive(Default)]
struct Peers {
    known: HashSet<SocketAddr>,
    order: VecDeque<SocketAddr>,
}

/// A name that is being looked up, and what waits for it.
struct Asked<'a> {
    destination: Destination,
    waiting: Vec<Vec<u8>>,
    found: Pin<Box<dyn Future<Output = Result<SocketAddr, String>> + Send + 'a>>,
}

/// What came of a look-up.
struct Answer {
    destination: Destination,
    waiting: Vec<Vec<u8>>,
    found: Result<SocketAddr, String>,
}

/// What happened.
enum News {
    Found(Answer),
    FromClient(usize, SocketAddr),
    FromOutside(usize, SocketAddr),
    Over(String),
}

/// Passes datagrams on until the client's connection ends.
pub(super) async fn associate(mut visitor: Visitor<'_>) -> Prepared {
    let proxy = visitor.proxy;
    if let Some(why) = unfit(proxy) {
        return visitor.refuse_command(why).await;
    }
    // With its scope, without which a link-local address is no place.
    let mut own = visitor.client.local();
    own.set_port(0);
    let bound = Socket::bind(own, "relay", &proxy.recorder).await;
    let (inside, local) = match bound.and_then(|socket| Ok((socket.io.local_addr()?, socket))) {
        Ok((local, socket)) => (socket, local),
        Err(error) => {
            let missed = Missed::from(Error::new("bind a datagram socket to", own.ip(), error));
            return visitor.refuse(missed).await;
        }
    };
    proxy.capture(&[local]);
    visitor.steps.tell(|| ProxyStep::Waiting { local });
    if let Err(left) = visitor.reply(Verdict::Granted(local)).await {
        return left;
    }
    proxy.count_granted();
    let port = Some(visitor.request.destination.port).filter(|port| *port != 0);
    let mut association = Association {
        client: (visitor.client.peer().ip(), port),
        visitor,
        inside,
        outside: [None, None],
        peers: Peers::default(),
        names: HashMap::new(),
        asked: Vec::new(),
        counts: [0; 2],
        bytes: [0; 2],
    };
    let how = association.run().await;
    association.conclude();
    Prepared::Over(how)
}

/// Why this proxy takes no datagrams.
fn unfit(proxy: &Proxy) -> Option<&'static str> {
    if proxy.via.is_some() {
        return Some("UDP ASSOCIATE does not go through another proxy (--via)");
    }
    let mut balanced = proxy.config.balanced.iter();
    let shares_all = balanced.any(|one| one.destination.is_none());
    shares_all.then_some("UDP ASSOCIATE reaches no server of several (--balance)")
}

impl Association<'_> {
    async fn run(&mut self) -> String {
        let idle = self.visitor.proxy.config.limits.idle;
        let mut inward = vec![0; LONGEST];
        let mut outward = vec![0; LONGEST];
        let mut due = Instant::now() + idle;
        loop {
            let news = tokio::select! {
                news = over(&mut self.visitor.client) => news,
                got = self.inside.receive(&mut inward) => heard(got, News::FromClient),
                got = receive(&self.outside, &mut outward) => heard(got, News::FromOutside),
                answer = answered(&mut self.asked) => News::Found(answer),
                () = sleep_until(due) => {
                    News::Over(End::Idle(idle).to_string())
                }
            };
            let passed = match news {
                News::Over(how) => return how,
                News::Found(answer) => self.pass_on_late(answer).await,
                News::FromClient(count, from) => self.pass_on(&inward[..count], from).await,
                News::FromOutside(count, from) => self.pass_back(&outward[..count], from).await,
            };
            match passed {
                Ok(()) => due = Instant::now() + idle,
                Err(why) => self.visitor.steps.tell(|| ProxyStep::Dropped { why }),
            }
        }
    }

    /// One of the client's datagrams to its destination; or why not.
    async fn pass_on(&mut self, bytes: &[u8], from: SocketAddr) -> Result<(), String> {
        let (ip, port) = self.client;
        if from.ip().to_canonical() != ip || port.is_some_and(|port| port != from.port()) {
            return Err(format!("a datagram from {from}, who is not the client"));
        }
        let datagram = datagram::read(bytes)
            .ok_or_else(|| format!("a datagram of {} bytes without its header", bytes.len()))?;
        if datagram.fragment != 0 {
            return Err(format!("fragment {} of a datagram", datagram.fragment));
        }
        self.client.1 = Some(from.port());
        match self.known(&datagram.destination)? {
            Some(to) => self.send(datagram.data, to).await,
            None => self.keep(datagram.destination, datagram.data),
        }
    }

    /// What has waited for a name, now that there is an answer; or why not.
    async fn pass_on_late(&mut self, answer: Answer) -> Result<(), String> {
        let Answer {
            destination,
            waiting,
            found,
        } = answer;
        let to = found?;
        if self.names.len() >= MOST_NAMES {
            self.names.clear();
        }
        self.names.insert(destination, to);
        for data in waiting {
            self.send(&data, to).await?;
        }
        Ok(())
    }

    async fn send(&mut self, data: &[u8], to: SocketAddr) -> Result<(), String> {
        self.visitor.proxy.capture(&[to]);
        let result = self.outside(to).await?.send(data, to).await;
        result.map_err(|error| format!("a datagram for {to}: {}", explain(&error)))?;
        self.peers.add(to);
        self.counts[0] += 1;
        self.bytes[0] += data.len() as u64;
        Ok(())
    }

    /// Keeps a datagram until its name has been looked up.
    fn keep(&mut self, destination: Destination, data: &[u8]) -> Result<(), String> {
        let mut asked = self.asked.iter_mut();
        if let Some(asked) = asked.find(|asked| asked.destination == destination) {
            if asked.waiting.len() >= MOST_WAITING {
                let why = "whose name is still being looked up";
                return Err(format!("a datagram for {destination}, {why}"));
            }
            asked.waiting.push(data.to_vec());
            return Ok(());
        }
        if self.asked.len() >= MOST_ASKED {
            let why = "while other names are being looked up";
            return Err(format!("a datagram for {destination}, {why}"));
        }
        let (proxy, client) = (self.visitor.proxy, self.client.0);
        self.asked.push(Asked {
            destination: destination.clone(),
            waiting: vec![data.to_vec()],
            found: Box::pin(find(proxy, client, destination)),
        });
        Ok(())
    }

    /// An answer to the client.
    async fn pass_back(&mut self, bytes: &[u8], from: SocketAddr) -> Result<(), String> {
        if !self.peers.known.contains(&from) {
            return Err(format!("a datagram from {from}, to whom none was sent"));
        }
        let (_, Some(port)) = self.client else {
            return Err("an answer before the client's first datagram".into());
        };
        let (mut to, whole) = (self.visitor.client.peer(), datagram::write(from, bytes));
        to.set_port(port);
        let result = self.inside.send(&whole, to).await;
        result.map_err(|error| format!("a datagram for {to}: {}", explain(&error)))?;
        self.counts[1] += 1;
        self.bytes[1] += bytes.len() as u64;
        Ok(())
    }

    /// The address of a destination where no look-up is needed, if the rules
    /// allow it.
    fn known(&self, destination: &Destination) -> Result<Option<SocketAddr>, String> {
        match destination.host {
            Host::Name(_) => Ok(self.names.get(destination).copied()),
            Host::Ip(ip) => {
                let address = SocketAddr::new(ip, destination.port);
                allowed(self.visitor.proxy, destination, &[address]).map(Some)
            }
        }
    }

    /// The socket for that family.
    async fn outside(&mut self, to: SocketAddr) -> Result<&Socket, String> {
        let (index, any): (usize, IpAddr) = match to {
            SocketAddr::V4(_) => (0, Ipv4Addr::UNSPECIFIED.into()),
            SocketAddr::V6(_) => (1, Ipv6Addr::UNSPECIFIED.into()),
        };
        let socket = match self.outside[index].take() {
            Some(socket) => socket,
            None => Socket::bind((any, 0).into(), "datagrams", &self.visitor.proxy.recorder)
                .await
                .map_err(|error| explain(&error))?,
        };
        Ok(self.outside[index].insert(socket))
    }

    fn conclude(&self) {
        let Visitor { proxy, steps, .. } = &self.visitor;
        let [up, down] = self.bytes;
        proxy.count_moved(up, down);
        steps.tell(|| ProxyStep::Relayed {
            up,
            down,
            datagrams: Some(self.counts),
        });
    }
}

/// Looks a name up.
async fn find(
    proxy: &Proxy,
    client: IpAddr,
    destination: Destination,
) -> Result<SocketAddr, String> {
    let patience = proxy.config.limits.connect;
    let found = look_up(proxy, Some(client), &destination, patience).await;
    allowed(proxy, &destination, &found.map_err(|missed| missed.why)?)
}

/// The first of a destination's addresses that the rules allow.
fn allowed(
    proxy: &Proxy,
    destination: &Destination,
    found: &[SocketAddr],
) -> Result<SocketAddr, String> {
    let allowed = found.iter().find(|one| proxy.admits(one.ip()));
    allowed.copied().ok_or_else(|| {
        format!("a datagram for {destination}, which is not allowed (--allow-to, --deny-to)")
    })
}

/// The next answer of the resolver.
async fn answered(asked: &mut Vec<Asked<'_>>) -> Answer {
    poll_fn(|context| {
        let mut each = asked.iter_mut().enumerate();
        let ready = each.find_map(|(index, one)| match one.found.as_mut().poll(context) {
            Poll::Ready(found) => Some((index, found)),
            Poll::Pending => None,
        });
        let Some((index, found)) = ready else {
            return Poll::Pending;
        };
        let Asked {
            destination,
            waiting,
            ..
        } = asked.swap_remove(index);
        Poll::Ready(Answer {
            destination,
            waiting,
            found,
        })
    })
    .await
}

/// Waits for the end of the client's connection; what it says there means
/// nothing.
async fn over(client: &mut Connection) -> News {
    let mut piece = [0; 512];
    loop {
        match client.read(&mut piece).await {
            Ok(0) => return News::Over("the client ended".into()),
            Err(error) => return News::Over(format!("the client was lost: {}", explain(&error))),
            Ok(_) => {}
        }
    }
}

fn heard(got: io::Result<(usize, SocketAddr)>, news: fn(usize, SocketAddr) -> News) -> News {
    match got {
        Ok((count, from)) => news(count, from),
        Err(error) => News::Over(explain(&error)),
    }
}

/// From either of the sockets outside.
async fn receive(
    sockets: &[Option<Socket>; 2],
    buffer: &mut [u8],
) -> io::Result<(usize, SocketAddr)> {
    let [v4, v6] = sockets;
    let ready = async |socket: &Option<Socket>| match socket {
        Some(socket) => socket.io.readable().await,
        None => std::future::pending().await,
    };
    loop {
        let (socket, is_ready) = tokio::select! {
            is_ready = ready(v4) => (v4, is_ready),
            is_ready = ready(v6) => (v6, is_ready),
        };
        is_ready?;
        match socket.as_ref().map(|socket| socket.try_receive(buffer)) {
            Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
            Some(result) => return result,
            None => {}
        }
    }
}

impl Peers {
    fn add(&mut self, peer: SocketAddr) {
        if !self.known.insert(peer) {
            return;
        }
        self.order.push_back(peer);
        if self.order.len() > MOST_PEERS
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}
