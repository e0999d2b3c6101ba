//! Clients that connect, say the message once, hear its echo and leave, so many
//! at a time, one after another.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

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
pub fn churn(address: SocketAddr, at_once: usize, time: Duration) -> Result<Churn, Error> {
    let failed = |error| Error::new("connect", address, error);
    let mut poll = Poll::new().map_err(failed)?;
    let mut events = Events::with_capacity(at_once);
    let mut visits: Vec<Option<Visit>> = Vec::new();
    let mut churn = Churn::default();
    let began = Instant::now();
    for number in 0..at_once {
        visits.push(Some(Visit::begin(&poll, number, address).map_err(failed)?));
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
                visits[number] = Some(Visit::begin(&poll, number, address).map_err(failed)?);
            }
        }
    }
    churn.failed += visits.iter().flatten().count() as u64;
    churn.took = began.elapsed().min(time);
    Ok(churn)
}

impl Visit {
    fn begin(poll: &Poll, number: usize, address: SocketAddr) -> std::io::Result<Self> {
        let mut stream = TcpStream::connect(address)?;
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
