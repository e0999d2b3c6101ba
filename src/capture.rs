//! Packets seen on a real interface through a packet socket (packet(7)).
//!
//! Sees packets, not fates. Opens the socket with protocol 0 and binds it
//! afterwards, so that nothing of other interfaces slips in; ignores outgoing
//! copies, which on loopback would show each packet twice. Needs `CAP_NET_RAW`.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg};

use crate::error::Error;
use crate::event::{Changes, Fate, Packet, What};
use crate::flow::Direction;
use crate::packet::{Dissection, Endpoint, IcmpBody, LinkType, dissect};
use crate::recorder::{Clock, Recorder};
use crate::socket::packet::PacketSocket;

/// A running capture; dropping it stops it.
pub struct Capture {
    stop: Arc<EventFd>,
    thread: Option<JoinHandle<io::Result<u64>>>,
}

impl Capture {
    /// Starts to record packets of conversations with `ports` as their server
    /// side, and echoes with this process's [`echo_identifier`] or the next; ICMP
    /// errors about them included.
    pub fn start(interface: &str, ports: &[u16], recorder: &Recorder) -> Result<Self, Error> {
        Self::start_with(interface, ports, &Servers::default(), recorder)
    }

    /// The same, and conversations with `servers`, which become known as it goes.
    pub fn start_with(
        interface: &str,
        ports: &[u16],
        servers: &Servers,
        recorder: &Recorder,
    ) -> Result<Self, Error> {
        let begin = || {
            let socket = PacketSocket::open(interface)?;
            nix::sys::socket::setsockopt(
                &socket,
                nix::sys::socket::sockopt::ReceiveTimestampns,
                &true,
            )?;
            let stop = Arc::new(EventFd::new()?);
            let watcher = Watcher {
                scope: Scope {
                    ports: ports.to_vec(),
                    servers: servers.clone(),
                },
                recorder: recorder.clone(),
                buffer: vec![0; 256 << 10],
                packets: 0,
            };
            let signal = Arc::clone(&stop);
            let thread = std::thread::Builder::new()
                .name("capture".into())
                .spawn(move || watcher.run(&socket, &signal))?;
            Ok(Self {
                stop,
                thread: Some(thread),
            })
        };
        begin().map_err(|error: io::Error| {
            Error::new("capture on", interface, error)
                .remedy("seeing packets needs CAP_NET_RAW: run with sudo")
        })
    }

    /// Records what has already arrived, then stops. Returns how many packets the
    /// interface showed and the socket had no room for, of any conversation.
    pub fn finish(mut self) -> Result<u64, Error> {
        self.end()
            .map_err(|error| Error::new("capture on", "the interface", error))
    }

    fn end(&mut self) -> io::Result<u64> {
        let Some(thread) = self.thread.take() else {
            return Ok(0);
        };
        self.stop.write(1)?;
        thread
            .join()
            .map_err(|_| io::Error::other("its thread panicked"))?
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // Nobody is left to tell of a failure.
        let _ = self.end();
    }
}

/// The identifier of this process's own echoes (RFC 792): unlikely to be that of
/// another process, in whatever namespace it counts its process numbers.
pub fn echo_identifier() -> u16 {
    static IDENTIFIER: OnceLock<u16> = OnceLock::new();
    *IDENTIFIER.get_or_init(|| {
        let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let nanoseconds = clock.map_or(0, |time| time.subsec_nanos());
        let mixed = (std::process::id() ^ nanoseconds).wrapping_mul(0x9e37_79b1);
        let [high, low, ..] = mixed.to_be_bytes();
        u16::from_be_bytes([high, low])
    })
}

/// Whether an echo is this process's own: it may use the next identifier too.
fn is_own(identifier: u16) -> bool {
    identifier.wrapping_sub(echo_identifier()) < 2
}

/// Servers whose conversations are recorded: whoever is about to connect to one
/// names it here, and who listens itself; the unspecified address stands for
/// each. Each clone is the same list.
#[derive(Debug, Clone, Default)]
pub struct Servers(Arc<Mutex<VecDeque<SocketAddr>>>);

impl Servers {
    /// Adds these; of many, the oldest are forgotten.
    pub fn add(&self, servers: &[SocketAddr]) {
        const MOST: usize = 1024;
        let mut all = self.lock();
        for server in servers {
            if !all.contains(server) {
                all.push_back(*server);
            }
        }
        let extra = all.len().saturating_sub(MOST);
        all.drain(..extra);
    }

    fn has(&self, endpoint: Endpoint) -> bool {
        let is_it = |one: &SocketAddr| {
            let is_host = one.ip().is_unspecified() || one.ip() == endpoint.address;
            is_host && Some(one.port()) == endpoint.port
        };
        self.lock().iter().any(is_it)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<SocketAddr>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which conversations are recorded.
struct Scope {
    ports: Vec<u16>,
    servers: Servers,
}

struct Watcher {
    scope: Scope,
    recorder: Recorder,
    buffer: Vec<u8>,
    packets: u64,
}

impl Watcher {
    fn run(mut self, socket: &PacketSocket, stop: &EventFd) -> io::Result<u64> {
        loop {
            let mut waiting = [socket.as_fd(), stop.as_fd()]
                .map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN));
            match poll(&mut waiting, PollTimeout::NONE) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            let stopping = waiting[1].any() == Some(true);
            while let Some((length, stamp)) = self.receive(socket)? {
                self.record(length, stamp);
            }
            if stopping {
                return socket.dropped();
            }
        }
    }

    fn receive(
        &mut self,
        socket: &PacketSocket,
    ) -> io::Result<Option<(usize, Option<SystemTime>)>> {
        let mut control = nix::cmsg_space!(libc::timespec);
        let mut parts = [IoSliceMut::new(&mut self.buffer)];
        let received = recvmsg::<SockaddrStorage>(
            socket.as_fd().as_raw_fd(),
            &mut parts,
            Some(&mut control),
            MsgFlags::empty(),
        );
        match received {
            Ok(message) => {
                let stamp = message.cmsgs()?.find_map(|control| match control {
                    ControlMessageOwned::ScmTimestampns(time) => {
                        Some(SystemTime::UNIX_EPOCH + Duration::from(time))
                    }
                    _ => None,
                });
                Ok(Some((message.bytes, stamp)))
            }
            Err(nix::errno::Errno::EAGAIN) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    fn record(&mut self, length: usize, stamp: Option<SystemTime>) {
        let bytes = &self.buffer[..length.min(self.buffer.len())];
        let Some(direction) = direction(&dissect(LinkType::Raw, bytes), &self.scope) else {
            return;
        };
        self.packets += 1;
        let at = stamp.map_or_else(
            || self.recorder.clock().now(),
            |stamp| since_start(self.recorder.clock(), stamp),
        );
        let packet = Packet {
            id: self.packets,
            direction,
            link: LinkType::Raw,
            bytes: Cow::Borrowed(bytes),
            sent_at: at,
            fate: Fate::Unknown,
            changes: Changes::default(),
            place: None,
            due_at: None,
            delivered_at: None,
        };
        self.recorder.record(at, What::Packet(packet));
    }
}

/// The kernel stamps wall-clock time; the run counts from its start.
fn since_start(clock: Clock, stamp: SystemTime) -> Duration {
    stamp
        .duration_since(clock.wall_origin())
        .unwrap_or_default()
}

/// Which way a packet goes, judged by who is the server, or by whether it is
/// this process's echo request or the reply to it; `None` where it has nothing
/// to do with either. An ICMP error goes against the packet it quotes.
fn direction(packet: &Dissection, scope: &Scope) -> Option<Direction> {
    let is_server = |end: Endpoint| {
        let is_port = end.port.is_some_and(|port| scope.ports.contains(&port));
        is_port || scope.servers.has(end)
    };
    let outer = packet.endpoints()?;
    if is_server(outer.destination) {
        return Some(Direction::ClientToServer);
    }
    if is_server(outer.source) {
        return Some(Direction::ServerToClient);
    }
    if let Some(direction) = echo_direction(packet) {
        return Some(direction);
    }
    let quoted = packet.quoted()?;
    if let Some(direction) = echo_direction(&quoted) {
        return Some(direction.reversed());
    }
    let quoted = quoted.endpoints()?;
    if is_server(quoted.destination) {
        return Some(Direction::ServerToClient);
    }
    is_server(quoted.source).then_some(Direction::ClientToServer)
}

fn echo_direction(packet: &Dissection) -> Option<Direction> {
    match packet.icmp()?.body {
        IcmpBody::Echo {
            request,
            identifier,
            ..
        } if is_own(identifier) => Some(if request {
            Direction::ClientToServer
        } else {
            Direction::ServerToClient
        }),
        _ => None,
    }
}
