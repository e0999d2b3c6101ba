//! The services that a server offers without any program behind it: echo
//! (RFC 862), discard (RFC 863), chargen (RFC 864) and daytime (RFC 867), over
//! streams and datagrams.
//!
//! A [`Session`] is one stream's conversation as a state machine: bytes in,
//! bytes out, no socket and no clock. It never holds more than it was last
//! given, and takes no more until that has been sent: that is what bounds the
//! memory of a client that never reads. A datagram has its
//! [`answer`](Service::answer) by itself.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

/// What a server does with each client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Sends back what it receives (RFC 862).
    Echo,
    /// Throws away what it receives (RFC 863).
    Discard,
    /// Sends a pattern of characters for as long as anybody takes it (RFC 864).
    Chargen,
    /// Sends the date and time and closes (RFC 867).
    Daytime,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Echo, Self::Discard, Self::Chargen, Self::Daytime];

    /// Its name, as its RFC has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Discard => "discard",
            Self::Chargen => "chargen",
            Self::Daytime => "daytime",
        }
    }

    /// The conversation with a client that came at `now`.
    pub fn begin(self, now: SystemTime) -> Session {
        Session {
            service: self,
            pending: match self {
                Self::Daytime => daytime(now).into_bytes(),
                Self::Echo | Self::Discard | Self::Chargen => Vec::new(),
            },
            sent: 0,
            has_ended: false,
        }
    }

    /// The answer to the datagram of this number, from 0; `None` where there is
    /// none.
    pub fn answer(self, data: &[u8], number: u64, now: SystemTime) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Echo => Some(Cow::Borrowed(data)),
            Self::Discard => None,
            Self::Chargen => Some(Cow::Borrowed(characters(number))),
            Self::Daytime => Some(Cow::Owned(daytime(now).into_bytes())),
        }
    }

    /// Why a datagram from this port is not answered, where it is not.
    pub fn refuses(self, port: u16) -> Option<&'static str> {
        let is_refused = self != Self::Discard && ANSWERING.contains(&port);
        is_refused.then_some("its port is a service's, which would answer the answer")
    }
}

/// Ports whose owners answer whatever comes: an answer to one of them may be
/// answered for ever.
const ANSWERING: &[u16] = &[7, 13, 17, 19, 37];

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Service {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.into_iter();
        all.find(|service| service.name() == text)
            .ok_or_else(|| "expected echo, discard, chargen or daytime".to_owned())
    }
}

/// One client's conversation.
///
/// ```
/// use std::time::SystemTime;
/// use socklab::protocol::services::Service;
///
/// let mut session = Service::Echo.begin(SystemTime::UNIX_EPOCH);
/// session.handle_data(b"ping");
/// assert_eq!(session.poll_output(), b"ping");
/// session.handle_sent(4);
/// session.handle_end();
/// assert!(session.is_over());
/// ```
#[derive(Debug)]
pub struct Session {
    service: Service,
    /// What is to be sent and is not a pattern that never ends.
    pending: Vec<u8>,
    /// How much of it, or of the pattern's round, has been sent.
    sent: usize,
    has_ended: bool,
}

/// An idle echo keeps a buffer of at most this many bytes for its next message.
const KEPT: usize = 512;

impl Session {
    /// Takes what the client said. Only while [`wants_data`](Self::wants_data).
    pub fn handle_data(&mut self, data: &[u8]) {
        if self.service == Service::Echo {
            self.pending.extend_from_slice(data);
        }
    }

    /// The client will say no more, though it may still listen; or the server is
    /// about to end.
    pub fn handle_end(&mut self) {
        self.has_ended = true;
    }

    /// What is to be sent next; empty where there is nothing to say now.
    pub fn poll_output(&self) -> &[u8] {
        match self.service {
            Service::Chargen if self.has_ended => &[],
            Service::Chargen => &PATTERN[self.sent..],
            Service::Echo | Service::Discard | Service::Daytime => &self.pending[self.sent..],
        }
    }

    /// So many of those bytes have been handed to the kernel.
    pub fn handle_sent(&mut self, count: usize) {
        self.sent += count;
        if self.service == Service::Chargen {
            self.sent %= PATTERN.len();
        } else if self.sent == self.pending.len() {
            self.sent = 0;
            if self.pending.capacity() > KEPT {
                self.pending = Vec::new();
            }
            self.pending.clear();
        }
    }

    /// Whether it takes more: not while an answer waits to be sent.
    pub fn wants_data(&self) -> bool {
        match self.service {
            Service::Echo => !self.has_ended && self.pending.is_empty(),
            Service::Discard => !self.has_ended,
            Service::Chargen | Service::Daytime => false,
        }
    }

    /// Whether what the client said may be unread when all is over: it should be
    /// read away then, or close(2) sends a reset that may destroy the answer.
    pub fn leaves_unread(&self) -> bool {
        self.service == Service::Daytime
    }

    /// Whether all has been said and heard, so that the connection may close.
    pub fn is_over(&self) -> bool {
        match self.service {
            Service::Daytime => self.pending.is_empty(),
            Service::Echo | Service::Discard | Service::Chargen => {
                self.has_ended && self.poll_output().is_empty()
            }
        }
    }
}

/// The printable characters of ASCII, the space among them.
const PRINTABLE: usize = 95;
/// The characters of a line, as RFC 864 recommends.
const LINE: usize = 72;

/// Every line once: each begins one character later than the line before.
static PATTERN: [u8; PRINTABLE * (LINE + 2)] = pattern();

#[expect(clippy::cast_possible_truncation, reason = "95 characters of ASCII")]
const fn pattern() -> [u8; PRINTABLE * (LINE + 2)] {
    let mut text = [b'\n'; PRINTABLE * (LINE + 2)];
    let mut line = 0;
    while line < PRINTABLE {
        let start = line * (LINE + 2);
        let mut column = 0;
        while column < LINE {
            text[start + column] = b' ' + ((line + column) % PRINTABLE) as u8;
            column += 1;
        }
        text[start + LINE] = b'\r';
        line += 1;
    }
    text
}

/// So many characters as the number decides, 512 of them at most (RFC 864).
fn characters(number: u64) -> &'static [u8] {
    const MOST: usize = 512;
    let round = usize::try_from(number % 7).unwrap_or_default();
    let first = round * (LINE + 2);
    let count = ((round + 1) * (LINE + 2)).min(MOST);
    &PATTERN[first..first + count]
}

/// The date and time in UTC, in the form that RFC 867 shows:
/// `Tuesday, February 22, 1982 17:37:43-UTC`.
fn daytime(now: SystemTime) -> String {
    const DAYS: [&str; 7] = [
        "Thursday",
        "Friday",
        "Saturday",
        "Sunday",
        "Monday",
        "Tuesday",
        "Wednesday",
    ];
    const MONTHS: [(&str, u64); 12] = [
        ("January", 31),
        ("February", 28),
        ("March", 31),
        ("April", 30),
        ("May", 31),
        ("June", 30),
        ("July", 31),
        ("August", 31),
        ("September", 30),
        ("October", 31),
        ("November", 30),
        ("December", 31),
    ];
    let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let weekday = DAYS[usize::try_from(days % 7).unwrap_or_default()];
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let (mut year, mut day) = (1970, days);
    while day >= 365 + u64::from(is_leap(year)) {
        day -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut month = "";
    for (name, length) in MONTHS {
        let length = length + u64::from(name == "February" && is_leap(year));
        month = name;
        if day < length {
            break;
        }
        day -= length;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!(
        "{weekday}, {month} {}, {year} {hour:02}:{minute:02}:{second:02}-UTC\r\n",
        day + 1
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_time_of_day_reads_as_the_rfc_has_it() {
        for (seconds, text) in [
            (0, "Thursday, January 1, 1970 00:00:00-UTC\r\n"),
            (382_469_863, "Saturday, February 13, 1982 17:37:43-UTC\r\n"),
            (951_782_400, "Tuesday, February 29, 2000 00:00:00-UTC\r\n"),
            (
                1_795_224_191,
                "Saturday, November 21, 2026 01:23:11-UTC\r\n",
            ),
            (4_107_542_400, "Monday, March 1, 2100 00:00:00-UTC\r\n"),
        ] {
            assert_eq!(daytime(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn each_service_answers_a_datagram_in_its_own_way() {
        let answer = |service: Service, data| service.answer(data, 0, UNIX_EPOCH);
        assert_eq!(answer(Service::Echo, b"").as_deref(), Some(&b""[..]));
        assert_eq!(answer(Service::Discard, b"x"), None);
        let text = answer(Service::Chargen, b"").expect("characters");
        assert_eq!(text.len(), 74);
        assert!(text.starts_with(b" !\"#") && text.ends_with(b"\r\n"));
        for number in 0..20 {
            let lines = usize::try_from(number % 7).expect("few") + 1;
            assert_eq!(characters(number).len(), (lines * 74).min(512));
        }
        assert!(Service::Echo.refuses(19).is_some());
        assert_eq!(Service::Discard.refuses(19), None);
        assert_eq!(Service::Echo.refuses(5073), None);
    }

    #[test]
    fn daytime_is_over_once_it_is_said() {
        let mut session = Service::Daytime.begin(UNIX_EPOCH);
        assert!(!session.is_over() && !session.wants_data());
        session.handle_sent(session.poll_output().len());
        assert!(session.is_over());
    }

    #[test]
    fn the_pattern_rotates_and_never_ends() {
        let mut session = Service::Chargen.begin(UNIX_EPOCH);
        let mut text = Vec::new();
        while text.len() < 2 * PATTERN.len() {
            let piece = &session.poll_output()[..1.max(session.poll_output().len() / 2)];
            text.extend_from_slice(piece);
            let count = piece.len();
            session.handle_sent(count);
        }
        let text = String::from_utf8(text).expect("ASCII");
        let mut lines = text.split_terminator("\r\n");
        let first = lines.next().expect("a line");
        assert!(first.starts_with(" !\"#$%&'()*+,-./0123456789"), "{first}");
        assert_eq!(first.len(), LINE);
        assert_eq!(lines.next().map(|line| &line[..5]), Some("!\"#$%"));
        // The line after the last is the first again.
        assert_eq!(lines.nth(PRINTABLE - 2), Some(first));
    }

    #[test]
    fn a_client_that_never_reads_is_not_asked_for_more() {
        let mut session = Service::Echo.begin(UNIX_EPOCH);
        session.handle_data(b"first");
        assert!(!session.wants_data());
        session.handle_sent(2);
        assert_eq!(session.poll_output(), b"rst");
        session.handle_end();
        assert!(!session.is_over(), "the rest is still owed");
        session.handle_sent(3);
        assert!(session.is_over());
    }

    proptest! {
        /// What is echoed is what was said, however it is cut up on either way.
        #[test]
        fn an_echo_is_what_was_said(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..900), 0..20),
            step in 1_usize..700,
        ) {
            let mut session = Service::Echo.begin(UNIX_EPOCH);
            let mut echoed = Vec::new();
            for piece in &pieces {
                prop_assert!(session.wants_data());
                session.handle_data(piece);
                while !session.poll_output().is_empty() {
                    let count = step.min(session.poll_output().len());
                    echoed.extend_from_slice(&session.poll_output()[..count]);
                    session.handle_sent(count);
                }
            }
            session.handle_end();
            prop_assert!(session.is_over());
            prop_assert_eq!(echoed, pieces.concat());
        }
    }
}
