//! The services that need no program: echo (RFC 862), discard (RFC 863), chargen
//! (RFC 864), daytime (RFC 867), each as RFCs have it for UDP.
//!
//! Pure: a datagram and a time in, an answer out.

use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

/// What is answered to a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// The same.
    Echo,
    /// Nothing.
    Discard,
    /// Printable characters, up to 512 of them.
    Chargen,
    /// The time, in words.
    Daytime,
}

/// Ports whose owners answer whatever comes: an answer to one of them may be
/// answered for ever.
const ANSWERING: &[u16] = &[7, 13, 17, 19, 37];

impl Service {
    /// The answer to the datagram of this number, from 0; `None` where there is
    /// none.
    pub(super) fn answer(self, data: &[u8], number: u64, now: SystemTime) -> Option<Cow<'_, [u8]>> {
        match self {
            Service::Echo => Some(Cow::Borrowed(data)),
            Service::Discard => None,
            Service::Chargen => Some(Cow::Owned(characters(number))),
            Service::Daytime => Some(Cow::Owned(daytime(now).into_bytes())),
        }
    }

    /// Why a datagram from this port is not answered, where it is not.
    pub(super) fn refuses(self, port: u16) -> Option<&'static str> {
        let is_refused = self != Service::Discard && ANSWERING.contains(&port);
        is_refused.then_some("its port is a service's, which would answer the answer")
    }
}

/// RFC 864's lines of 72 characters, each begun one character later; as many of
/// them as the number decides, 512 characters at most.
fn characters(number: u64) -> Vec<u8> {
    const LINE: usize = 72;
    const MOST: usize = 512;
    const PRINTABLE: usize = 95;
    let round = usize::try_from(number % 7).unwrap_or_default();
    let mut text = Vec::new();
    for line in 0..=round {
        let first = round + line;
        let at = |column: usize| b' ' + u8::try_from((first + column) % PRINTABLE).unwrap_or(0);
        text.extend((0..LINE).map(at));
        text.extend_from_slice(b"\r\n");
    }
    text.truncate(MOST);
    text
}

/// The time in UTC, such as `Tuesday, February 22, 1982 17:37:43-UTC`.
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
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let seconds = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs());
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let name = |names: &[&'static str], index: u64| {
        usize::try_from(index)
            .ok()
            .and_then(|index| names.get(index).copied())
    };
    format!(
        "{}, {} {day}, {year} {:02}:{:02}:{:02}-UTC\r\n",
        name(&DAYS, days % 7).unwrap_or_default(),
        name(&MONTHS, month - 1).unwrap_or_default(),
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian
/// calendar.
fn date(mut day: u64) -> (u64, u64, u64) {
    let is_leap = |year: u64| {
        (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400)
    };
    let mut year = 1970;
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if day < length {
            break;
        }
        day -= length;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in lengths {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    (year, month, day + 1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_time_is_written_as_the_rfc_has_it() {
        for (seconds, text) in [
            (0, "Thursday, January 1, 1970 00:00:00-UTC\r\n"),
            (383_247_463, "Monday, February 22, 1982 17:37:43-UTC\r\n"),
            (951_782_400, "Tuesday, February 29, 2000 00:00:00-UTC\r\n"),
            (
                1_795_226_399,
                "Saturday, November 21, 2026 01:59:59-UTC\r\n",
            ),
        ] {
            assert_eq!(daytime(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn each_service_answers_in_its_own_way() {
        let answer = |service: Service, data| service.answer(data, 0, UNIX_EPOCH);
        assert_eq!(answer(Service::Echo, b"").as_deref(), Some(&b""[..]));
        assert_eq!(answer(Service::Discard, b"x"), None);
        let text = answer(Service::Chargen, b"").expect("characters");
        assert_eq!(text.len(), 74);
        assert!(text.starts_with(b" !\"#") && text.ends_with(b"\r\n"));
        for number in 0..20 {
            assert!(characters(number).len() <= 512);
        }
        assert!(Service::Echo.refuses(19).is_some());
        assert_eq!(Service::Discard.refuses(19), None);
        assert_eq!(Service::Echo.refuses(5073), None);
    }
}
