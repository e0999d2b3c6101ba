//! The small services of the early Internet: echo (RFC 862), discard (RFC 863),
//! chargen (RFC 864) and daytime (RFC 867), on one connection.
//!
//! Owns what is said; who is served, and how many at once, is the listener's
//! business.

use std::io;
use std::net::Shutdown;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use nix::errno::Errno;

use crate::error::explain;
use crate::event::{Side, Told, Way};
use crate::pipe::{figures, show, tell};
use crate::socket::Stream;

/// What is done for a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Everything comes back (RFC 862).
    Echo,
    /// Everything is thrown away (RFC 863).
    Discard,
    /// Characters without end (RFC 864).
    Chargen,
    /// The time of day in one line (RFC 867).
    Daytime,
}

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
            Some(Errno::ECONNRESET | Errno::EPIPE) => {
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
        match service {
            Service::Echo => self.receive(Self::send)?,
            Service::Discard => self.receive(|_, _| Ok(()))?,
            // Whoever has seen enough closes: that is the end, no failure.
            Service::Chargen => loop {
                self.send(&CHARACTERS)?;
            },
            Service::Daytime => {
                self.send(daytime(SystemTime::now()).as_bytes())?;
                self.stream.shutdown(Shutdown::Write)?;
                // What the client sends is not wanted, and unread it would make
                // the kernel reset the connection under our line.
                return self.receive(|_, _| Ok(()));
            }
        }
        self.stream.shutdown(Shutdown::Write)
    }

    fn receive(&mut self, take: impl Fn(&mut Self, &[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        loop {
            let count = self.stream.recv(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            show(&self.stream, Way::Received, self.received, &buffer[..count]);
            self.received += count as u64;
            self.totals
                .received
                .fetch_add(count as u64, Ordering::Relaxed);
            take(self, &buffer[..count])?;
        }
    }

    fn send(&mut self, mut piece: &[u8]) -> io::Result<()> {
        while !piece.is_empty() {
            let count = self.stream.send(piece)?;
            show(&self.stream, Way::Sent, self.sent, &piece[..count]);
            self.sent += count as u64;
            self.totals.sent.fetch_add(count as u64, Ordering::Relaxed);
            piece = &piece[count..];
        }
        Ok(())
    }
}

/// Columns of a line of chargen.
const COLUMNS: usize = 72;
/// The characters of ASCII that can be printed, from the space.
const PRINTABLE: usize = 95;

/// The pattern of RFC 864: each line begins one character further on; after 95
/// lines it begins anew.
static CHARACTERS: [u8; PRINTABLE * (COLUMNS + 2)] = characters();

#[expect(
    clippy::cast_possible_truncation,
    reason = "a character of ASCII fits into a byte"
)]
const fn characters() -> [u8; PRINTABLE * (COLUMNS + 2)] {
    let mut all = [0; PRINTABLE * (COLUMNS + 2)];
    let mut at = 0;
    while at < all.len() {
        let (line, column) = (at / (COLUMNS + 2), at % (COLUMNS + 2));
        all[at] = match column {
            COLUMNS => b'\r',
            column if column > COLUMNS => b'\n',
            column => b' ' + ((line + column) % PRINTABLE) as u8,
        };
        at += 1;
    }
    all
}

/// The time of day in UTC, as `2026-11-21 01:02:03 UTC`.
fn daytime(now: SystemTime) -> String {
    let since = now.duration_since(SystemTime::UNIX_EPOCH);
    let seconds = since.map_or(0, |since| since.as_secs());
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC\r\n")
}

/// The Gregorian date so many days after 1970-01-01: years counted from March,
/// so that the leap day is a year's last.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let is_next_year = u64::from(month >= 10);
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + is_next_year, month, day_of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_is_that_of_the_rfc() {
        let text = std::str::from_utf8(&CHARACTERS).expect("ASCII");
        let lines: Vec<&str> = text.split_terminator("\r\n").collect();
        assert_eq!(lines.len(), 95);
        assert!(lines.iter().all(|line| line.len() == 72));
        assert!(lines[0].starts_with(" !\"#$%&'()*+,-./0123456789"));
        assert!(lines[1].starts_with("!\"#$"));
        assert!(lines[94].starts_with("~ !\""));
    }

    #[test]
    fn days_have_their_dates() {
        let at = |seconds| daytime(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01 00:00:00 UTC\r\n");
        assert_eq!(at(951_782_399), "2000-02-28 23:59:59 UTC\r\n");
        assert_eq!(at(951_782_400), "2000-02-29 00:00:00 UTC\r\n");
        assert_eq!(at(1_741_000_000), "2025-03-03 11:06:40 UTC\r\n");
        assert_eq!(at(4_102_444_799), "2099-12-31 23:59:59 UTC\r\n");
    }
}
