//! The socket of every datagram tool: bound or connected, told to tell all, with
//! its count of what went and came (ip(7) `IP_RECVERR`, `IP_PKTINFO`).
//!
//! Owns one socket. Each datagram and each error leaves as an event with its
//! bytes. Never waits but in [`Mailbox::wait`], and never decides what to send.

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::LARGEST;
use super::returned::Returned;
use super::tally::Tally;
use crate::error::Error;
use crate::event::{Datagram as Event, Passage, Topic, What};
use crate::flow::{Family, Kind};
use crate::recorder::Recorder;
use crate::socket::bulk::Bulk;
use crate::socket::message::Arrival;
use crate::socket::options::{self, Applied, Moment, Role, SocketOption, Target};
use crate::socket::{Datagram, Received};

/// What opening it found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// This side's address.
    pub local: SocketAddr,
    /// What was asked for by option.
    pub applied: Vec<Applied>,
}

/// What is to be opened.
#[derive(Debug, Clone)]
pub(super) struct Plan<'a> {
    pub(super) name: &'static str,
    pub(super) local: Option<SocketAddr>,
    pub(super) peer: Option<SocketAddr>,
    pub(super) options: &'a [SocketOption],
    pub(super) role: Role,
}

/// What came in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Incoming {
    pub(super) received: Received,
    pub(super) arrival: Option<Arrival>,
}

/// Which of the things that were waited for is there.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ready {
    pub(super) input: bool,
    pub(super) datagram: bool,
    pub(super) error: bool,
}

/// A datagram socket and its count.
pub(super) struct Mailbox {
    socket: Datagram,
    recorder: Recorder,
    peer: Option<SocketAddr>,
    family: Family,
    quoted: Vec<u8>,
    bulk: Bulk,
    pub(super) tally: Tally,
}

/// How long a wait lasts at most before the stop signal is looked at again: one
/// that comes just before poll(2) does not interrupt it.
const GLANCE: Duration = Duration::from_millis(500);

impl Mailbox {
    pub(super) fn open(recorder: &Recorder, plan: &Plan<'_>) -> Result<(Self, Opened), Error> {
        let any = plan.peer.or(plan.local);
        let address = any.ok_or_else(|| Error::new("open", "a socket", "for no address"))?;
        let family = Family::of(address.ip());
        let target = Target {
            kind: Kind::Udp,
            family,
            role: plan.role,
        };
        options::check(plan.options, target)?;
        let socket = Datagram::open(recorder, plan.name, address)
            .map_err(|error| Error::new("open a datagram socket for", address, error))?;
        let applied = options::apply(plan.options, Moment::Opened, target, &socket)?;
        socket
            .tell_all(family)
            .map_err(|error| Error::new("set IP_RECVERR for", address, error))?;
        if let Some(local) = plan.local {
            socket.bind(local).map_err(|error| unbound(local, error))?;
        }
        if let Some(peer) = plan.peer {
            socket
                .connect(peer)
                .map_err(|error| send_failure("connect", peer, error))?;
        }
        let local = socket
            .local_address()
            .map_err(|error| Error::new("getsockname of", address, error))?;
        let mailbox = Self {
            socket,
            recorder: recorder.clone(),
            peer: plan.peer,
            family,
            quoted: vec![0; 2048],
            bulk: Bulk::new(),
            tally: Tally::default(),
        };
        Ok((mailbox, Opened { local, applied }))
    }

    /// Waits until something is there, or `until` has passed.
    pub(super) fn wait(
        &self,
        input: Option<BorrowedFd<'_>>,
        until: Option<Duration>,
    ) -> Result<Ready, Error> {
        let rest = until.unwrap_or(GLANCE).min(GLANCE);
        // Rounded up, so that what is due is past when poll returns.
        let rest = u16::try_from(rest.as_micros().div_ceil(1000)).unwrap_or(u16::MAX);
        let mut waiting = vec![PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        waiting.extend(input.map(|input| PollFd::new(input, PollFlags::POLLIN)));
        match poll(&mut waiting, PollTimeout::from(rest)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::new("poll", "the socket", errno)),
        }
        let flags = |index: usize| {
            let entry: Option<&PollFd<'_>> = waiting.get(index);
            entry
                .and_then(PollFd::revents)
                .unwrap_or(PollFlags::empty())
        };
        Ok(Ready {
            datagram: flags(0).contains(PollFlags::POLLIN),
            error: flags(0).contains(PollFlags::POLLERR),
            input: !flags(1).is_empty(),
        })
    }

    /// Sends one datagram to `to`, or to the peer. An error of an earlier
    /// datagram ends the call that comes next; that one is made again, and the
    /// error stays in the queue.
    pub(super) fn send(
        &mut self,
        data: &[u8],
        to: Option<SocketAddr>,
        from: Option<Arrival>,
    ) -> Result<(), Error> {
        const TRIES: usize = 3;
        let mut result = self.socket.send_message(data, to, from);
        for _ in 1..TRIES {
            if !result.as_ref().is_err_and(is_earlier) || !self.has_error()? {
                break;
            }
            result = self.socket.send_message(data, to, from);
        }
        let peer = to.or(self.peer);
        if let Err(error) = result {
            return Err(self.unsent(data.len(), peer, error));
        }
        self.tally.sent.add(data.len());
        if let Some(peer) = peer
            && self.recorder.wants(Topic::Datagram)
        {
            self.record(Passage::Sent, peer, from, data.len(), data);
        }
        Ok(())
    }

    /// Takes one datagram; `None` where none waits.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<Incoming>, Error> {
        let taken = loop {
            match self.socket.recv_message(buffer) {
                Err(error) if is_earlier(&error) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                taken => break taken,
            }
        };
        let taken = taken.map_err(|error| Error::new("recvmsg on", self.socket.name(), error))?;
        let Some((received, arrival)) = taken else {
            return Ok(None);
        };
        self.tally.received.add(received.length);
        self.tally.truncated += u64::from(received.is_truncated());
        self.tally.empty += u64::from(received.length == 0);
        Ok(Some(Incoming { received, arrival }))
    }

    /// Takes what waits in one call and hands over each datagram's length and
    /// sender, and no byte of it; whether more may wait.
    pub(super) fn count(&mut self, mut each: impl FnMut(usize, SocketAddr)) -> Result<bool, Error> {
        let tally = &mut self.tally;
        let taken = self.bulk.receive(self.socket.as_fd(), |bytes, from| {
            tally.received.add(bytes);
            tally.empty += u64::from(bytes == 0);
            each(bytes, from);
        });
        match taken {
            Err(error) if is_earlier(&error) => Ok(false),
            taken => taken.map_err(|error| Error::new("recvmmsg on", self.socket.name(), error)),
        }
    }

    /// Says what became of a datagram that was received.
    pub(super) fn tell(&self, incoming: &Incoming, data: &[u8], passage: Passage) {
        if self.recorder.wants(Topic::Datagram) {
            let Incoming { received, arrival } = *incoming;
            self.record(passage, received.from, arrival, received.length, data);
        }
    }

    /// Takes all errors that wait, and tells them.
    pub(super) fn errors(&mut self) -> Result<Vec<Returned>, Error> {
        let mut all = Vec::new();
        let mut quoted = std::mem::take(&mut self.quoted);
        let result = loop {
            match self.socket.queued_error(&mut quoted) {
                Ok(None) => break Ok(all),
                Ok(Some((error, length))) => {
                    self.tally.refused += 1;
                    let returned = Returned::of(&error, self.peer);
                    if let Some(peer) = returned.peer {
                        let data = &quoted[..length.min(quoted.len())];
                        let passage = Passage::Refused(returned.refusal.clone());
                        self.record(passage, peer, None, length, data);
                    }
                    all.push(returned);
                }
                Err(error) => break Err(Error::new("recvmsg on", self.socket.name(), error)),
            }
        };
        self.quoted = quoted;
        result
    }

    /// Asks the kernel how many found no room; gives how many of them are new.
    pub(super) fn count_drops(&mut self) -> u64 {
        // A kernel before 4.12 does not tell.
        let dropped = self.socket.dropped().unwrap_or(self.tally.dropped);
        let more = dropped.saturating_sub(self.tally.dropped);
        self.tally.dropped = dropped;
        more
    }

    pub(super) fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    fn has_error(&self) -> Result<bool, Error> {
        Ok(self.wait(None, Some(Duration::ZERO))?.error)
    }

    fn record(
        &self,
        passage: Passage,
        peer: SocketAddr,
        local: Option<Arrival>,
        length: usize,
        data: &[u8],
    ) {
        let event = Event {
            socket: self.socket.name().clone(),
            passage,
            peer: canonical(peer),
            local: local.map(|arrival| arrival.address),
            length,
            bytes: Cow::Borrowed(data),
        };
        let now = self.recorder.clock().now();
        self.recorder.record(now, What::Datagram(event));
    }

    /// A datagram that the kernel did not take.
    fn unsent(&mut self, length: usize, peer: Option<SocketAddr>, error: io::Error) -> Error {
        let target = peer.map_or_else(|| "the peer".to_owned(), |peer| canonical(peer).to_string());
        let is_too_long = error.raw_os_error() == Some(Errno::EMSGSIZE as i32);
        let failure = send_failure(&format!("send {length} bytes to"), target, error);
        if !is_too_long {
            return failure;
        }
        let is_v4 = peer.map_or(self.family == Family::Ipv4, |peer| {
            canonical(peer).is_ipv4()
        });
        let (largest, version) = if is_v4 {
            (LARGEST, "IPv4")
        } else {
            (LARGEST_V6, "IPv6")
        };
        // With IP_RECVERR, the kernel says which MTU was too small.
        let mut queued = None;
        while let Ok(Some(error)) = self.socket.queued_error(&mut [0; 8]) {
            queued = Some(error);
        }
        let headers = if is_v4 { 28 } else { 48 };
        match queued
            .map(|(error, _)| error.info)
            .filter(|_| length <= largest)
        {
            Some(mtu) => failure.remedy(format!(
                "the path's MTU is {mtu}: without fragments a datagram carries at most {} bytes",
                i64::from(mtu) - headers
            )),
            None => failure.remedy(format!(
                "a datagram carries at most {largest} bytes over {version}"
            )),
        }
    }
}

/// The longest payload over IPv6: 65,535 bytes less the UDP header.
const LARGEST_V6: usize = 65_527;

/// An IPv4 address in its own form, where an IPv6 socket has it mapped.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        std::net::IpAddr::V4(v4) => SocketAddr::from((v4, address.port())),
        std::net::IpAddr::V6(_) => address,
    }
}

/// Errors of datagrams sent before, which the next call on the socket returns.
fn is_earlier(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(
            Errno::ECONNREFUSED
                | Errno::EHOSTUNREACH
                | Errno::ENETUNREACH
                | Errno::ENOPROTOOPT
                | Errno::EPROTO
                | Errno::EACCES
                | Errno::EMSGSIZE
                | Errno::EHOSTDOWN
                | Errno::ENONET
                | Errno::EOPNOTSUPP
        )
    )
}

fn unbound(local: SocketAddr, error: io::Error) -> Error {
    let remedy = match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EADDRINUSE) => {
            "another program has this port; two share it where both ask for --opt reuseport"
        }
        Some(Errno::EADDRNOTAVAIL) => "this host has no such address; `ip address` lists its own",
        Some(Errno::EACCES) => "ports below 1024 need CAP_NET_BIND_SERVICE; try 5073",
        Some(Errno::EINVAL) if local.is_ipv6() => {
            "a link-local address needs its interface: fe80::1%eth0"
        }
        _ => return Error::new("bind", local, error),
    };
    Error::new("bind", local, error).remedy(remedy)
}

fn send_failure(operation: &str, target: impl std::fmt::Display, error: io::Error) -> Error {
    let remedy = match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EACCES) => "is that a broadcast address? --broadcast allows it",
        Some(Errno::ENETUNREACH) => "this host has no route there; `ip route` lists those it has",
        Some(Errno::EPERM) => "this host's firewall refused it",
        Some(Errno::EINVAL) => "can this host's source address reach that address?",
        _ => return Error::new(operation, target, error),
    };
    Error::new(operation, target, error).remedy(remedy)
}
