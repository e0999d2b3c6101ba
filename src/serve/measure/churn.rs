//! Clients that connect, say the message once, hear its echo and leave, so many
//! at a time, one after another.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use nix::errno::Errno;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::IpBindAddressNoPort;
use socket2::{Domain, Protocol, Socket, Type};

use super::load::is_early;
use super::{Churn, MESSAGE};
use crate::error::Error;

/// How long those who are under way when the time is up may take.
const GRACE: Duration = Duration::from_millis(200);

struct Visit {
    stream: TcpStream,
    has_asked: bool,
    echoed: usize,
}

/// What became of a visit.
enum Course {
    Goes,
    Done,
    Failed,
}

/// Visits of `at_once` clients at a time for so long.
///
/// They are shared out to a thread a processor: a visit costs its client more
/// than the server, so that one thread of clients would be the limit, and all
/// servers would look alike.
pub fn churn(address: SocketAddr, at_once: usize, time: Duration) -> Result<Churn, Error> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = processors.min(at_once).max(1);
    let share = |thread| at_once / threads + usize::from(thread < at_once % threads);
    std::thread::scope(|scope| {
        let visits: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || visit(address, share(thread), time)))
            .collect();
        let mut all = Churn::default();
        for visits in visits {
            let gone = || Error::new("measure", address, "a thread of clients is gone");
            let churn = visits.join().map_err(|_| gone())??;
            all.done += churn.done;
            all.failed += churn.failed;
            all.took = all.took.max(churn.took);
        }
        Ok(all)
    })
}

/// The visits of one thread's clients.
fn visit(address: SocketAddr, at_once: usize, time: Duration) -> Result<Churn, Error> {
    let failed = |error| Error::new("connect", address, error);
    let mut poll = Poll::new().map_err(failed)?;
    let mut events = Events::with_capacity(at_once);
    let mut visits: Vec<Option<Visit>> = Vec::new();
    let mut churn = Churn::default();
    let began = Instant::now();
    for number in 0..at_once {
        let source = number as u64;
        let visit = Visit::begin(&poll, number, address, source).map_err(failed)?;
        visits.push(Some(visit));
    }
    while visits.iter().any(Option::is_some) {
        let left = (time + GRACE).saturating_sub(began.elapsed());
        if left.is_zero() {
            break;
        }
        match poll.poll(&mut events, Some(left)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(failed(error)),
            _ => {}
        }
        for event in &events {
            let number = event.token().0;
            let Some(visit) = &mut visits[number] else {
                continue;
            };
            match visit.go_on() {
                Course::Goes => continue,
                Course::Done => churn.done += 1,
                Course::Failed => churn.failed += 1,
            }
            // The last is gone before the next comes.
            visits[number] = None;
            if began.elapsed() < time {
                let source = churn.done;
                let visit = Visit::begin(&poll, number, address, source).map_err(failed)?;
                visits[number] = Some(visit);
            }
        }
    }
    churn.failed += visits.iter().flatten().count() as u64;
    churn.took = began.elapsed().min(time);
    Ok(churn)
}

/// A socket of one of loopback's many addresses after the other: who has left
/// holds its port for a minute (TIME_WAIT), and from one address the search for a
/// free one soon costs more than all else.
pub fn bound(number: u64) -> io::Result<Socket> {
    let [.., host] = number.to_be_bytes();
    let source = Ipv4Addr::new(127, 0, 1, host);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    setsockopt(&socket, IpBindAddressNoPort, &true)?;
    socket.bind(&SocketAddr::from((source, 0)).into())?;
    Ok(socket)
}

fn dial(address: SocketAddr, number: u64) -> io::Result<TcpStream> {
    let is_own = matches!(address, SocketAddr::V4(v4) if v4.ip().is_loopback());
    if !is_own {
        return TcpStream::connect(address);
    }
    let socket = bound(number)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(Errno::EINPROGRESS as i32) => Err(error),
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}

impl Visit {
    fn begin(poll: &Poll, number: usize, address: SocketAddr, source: u64) -> io::Result<Self> {
        let mut stream = dial(address, source)?;
        let both = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut stream, Token(number), both)?;
        Ok(Self {
            stream,
            has_asked: false,
            echoed: 0,
        })
    }

    fn go_on(&mut self) -> Course {
        if !self.has_asked {
            match self.stream.write(MESSAGE) {
                // The answer takes at least a round trip: its event comes.
                Ok(_) => {
                    self.has_asked = true;
                    return Course::Goes;
                }
                Err(error) if is_early(&error) => return Course::Goes,
                Err(_) => return Course::Failed,
            }
        }
        let mut buffer = [0; 256];
        match self.stream.read(&mut buffer) {
            Ok(0) => Course::Failed,
            Ok(count) => {
                self.echoed += count;
                if self.echoed >= MESSAGE.len() {
                    Course::Done
                } else {
                    Course::Goes
                }
            }
            Err(error) if is_early(&error) => Course::Goes,
            Err(_) => Course::Failed,
        }
    }
}
