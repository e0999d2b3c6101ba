//! A small service on one connection: echo, discard, chargen or daytime, each
//! call and each byte of it told.
//!
//! Owns the connection to its end. What is said is
//! [`protocol::services`](crate::protocol::services)'; who is served, and how
//! many at once, is the listener's business.

use std::io;
use std::net::Shutdown;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use nix::errno::Errno;

use crate::error::explain;
use crate::event::{Side, Told, Way};
use crate::pipe::{figures, show, tell};
pub use crate::protocol::services::Service;
use crate::socket::Stream;

/// Bytes that all clients were given and gave.
#[derive(Debug, Default)]
pub struct Counts {
    /// To the clients.
    pub sent: AtomicU64,
    /// From the clients.
    pub received: AtomicU64,
}

/// As much as a client may have under way in this program.
const BUFFER: usize = 64 << 10;

/// One client, as long as it is served.
pub(super) struct Client<'a> {
    stream: Stream,
    totals: &'a Counts,
    since: Instant,
    sent: u64,
    received: u64,
}

impl<'a> Client<'a> {
    pub(super) fn new(stream: Stream, totals: &'a Counts) -> Self {
        Self {
            stream,
            totals,
            since: Instant::now(),
            sent: 0,
            received: 0,
        }
    }

    /// Serves it to its end, or until nothing has moved for `idle`; tells how it
    /// ended, and closes.
    pub(super) fn serve(mut self, service: Service, idle: Option<Duration>) {
        let result = self.give(service, idle);
        let errno = result.err().and_then(|error| error.raw_os_error());
        match errno.map(Errno::from_raw) {
            None => {}
            // Of a connection that is gone, shutdown(2) says that it never was.
            Some(Errno::ECONNRESET | Errno::EPIPE | Errno::ENOTCONN) => {
                tell(&self.stream, || Told::Reset { by: Side::Peer });
            }
            Some(errno) => {
                let name = self.stream.name();
                let why = match (errno, idle) {
                    (Errno::EAGAIN, Some(idle)) => format!("nothing moved for {idle:?}"),
                    _ => explain(&errno.into()),
                };
                self.stream.recorder().note(format_args!("{name}: {why}"));
            }
        }
        tell(&self.stream, || {
            let (sent, received) = (self.sent, self.received);
            let lasted = self.since.elapsed();
            Told::Over(Box::new(figures(&self.stream, lasted, (sent, received))))
        });
        // Nothing is left to be done about a failure.
        let _ = self.stream.close();
    }

    fn give(&mut self, service: Service, idle: Option<Duration>) -> io::Result<()> {
        if let Some(idle) = idle {
            self.stream.set_receive_timeout(idle)?;
            self.stream.set_send_timeout(idle)?;
        }
        let mut session = service.begin(SystemTime::now());
        let mut buffer = vec![0; BUFFER];
        loop {
            while !session.poll_output().is_empty() {
                let count = self.send(session.poll_output())?;
                session.handle_sent(count);
            }
            if session.is_over() {
                break;
            }
            match self.receive(&mut buffer)? {
                0 => session.handle_end(),
                count => session.handle_data(&buffer[..count]),
            }
        }
        self.stream.shutdown(Shutdown::Write)?;
        let (by, bytes) = (Side::Us, self.sent);
        tell(&self.stream, || Told::Ended { by, bytes });
        // What the client still sends is not wanted, and unread it would make
        // the kernel reset the connection under our last words.
        while session.leaves_unread() && self.receive(&mut buffer)? > 0 {}
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.recv(buffer)?;
        if count > 0 {
            show(&self.stream, Way::Received, self.received, &buffer[..count]);
            self.received += count as u64;
            let total = &self.totals.received;
            total.fetch_add(count as u64, Ordering::Relaxed);
        } else {
            let (by, bytes) = (Side::Peer, self.received);
            tell(&self.stream, || Told::Ended { by, bytes });
        }
        Ok(count)
    }

    fn send(&mut self, piece: &[u8]) -> io::Result<usize> {
        let count = self.stream.send(piece)?;
        show(&self.stream, Way::Sent, self.sent, &piece[..count]);
        self.sent += count as u64;
        self.totals.sent.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
