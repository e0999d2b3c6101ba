//! The words after a line's verb: `key=value`, each key once, every byte of a
//! name that is not an ordinary letter written `%41` (as RFC 3986, section 2.1,
//! has it).
//!
//! Owns how values are written and read; knows no verb.

use std::fmt;
use std::net::SocketAddr;

use super::LARGEST_BLOCK;
use super::line::{Entry, Malformed, Modified, Role};
use super::name::Name;

/// The words after the verb: keys and values.
pub(super) struct Fields<'a>(Vec<(&'a str, &'a str)>);

/// As many keys as any line has.
const USUAL: usize = 8;

impl<'a> Fields<'a> {
    /// Reads the words of a line that was found to be printable ASCII and spaces.
    pub(super) fn read(words: &'a str) -> Result<Self, Malformed> {
        let mut fields = Vec::with_capacity(USUAL);
        let (mut begin, mut equals) = (0, None);
        for (at, byte) in words.bytes().chain(*b" ").enumerate() {
            match (byte, equals) {
                (b'=', None) => equals = Some(at),
                // Nothing is cut in two: all of it is ASCII.
                (b' ', Some(equals)) => {
                    fields.push((&words[begin..equals], &words[equals + 1..at]));
                }
                (b' ', None) if begin < at => return Err(Malformed::Word),
                _ => {}
            }
            if byte == b' ' {
                (begin, equals) = (at + 1, None);
            }
        }
        Ok(Self(fields))
    }

    fn find(&self, key: &'static str) -> Result<Option<&'a str>, Malformed> {
        let mut values = self
            .0
            .iter()
            .filter_map(|(name, value)| (*name == key).then_some(*value));
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(Malformed::Key(key)),
        }
    }

    fn value(&self, key: &'static str) -> Result<&'a str, Malformed> {
        self.find(key)?.ok_or(Malformed::Key(key))
    }

    pub(super) fn number(&self, key: &'static str) -> Result<u64, Malformed> {
        digits(self.value(key)?).ok_or(Malformed::Value(key))
    }

    pub(super) fn parsed<T: std::str::FromStr>(&self, key: &'static str) -> Result<T, Malformed> {
        let value = self.value(key)?;
        value.parse().map_err(|_| Malformed::Value(key))
    }

    pub(super) fn word<T>(
        &self,
        key: &'static str,
        read: fn(&str) -> Option<T>,
    ) -> Result<T, Malformed> {
        read(self.value(key)?).ok_or(Malformed::Value(key))
    }

    pub(super) fn bytes(&self, key: &'static str) -> Result<Vec<u8>, Malformed> {
        unescape(self.value(key)?).ok_or(Malformed::Value(key))
    }

    pub(super) fn block(&self) -> Result<u64, Malformed> {
        match self.number("block")? {
            block @ 1..=LARGEST_BLOCK => Ok(block),
            _ => Err(Malformed::Value("block")),
        }
    }

    pub(super) fn role(&self) -> Result<Role, Malformed> {
        match self.value("role")? {
            "send" => Ok(Role::Send),
            "receive" => Ok(Role::Receive),
            _ => Err(Malformed::Value("role")),
        }
    }

    pub(super) fn address(&self) -> Result<Option<SocketAddr>, Malformed> {
        let Some(value) = self.find("address")? else {
            return Ok(None);
        };
        let address = value.parse();
        address.map(Some).map_err(|_| Malformed::Value("address"))
    }

    pub(super) fn entry(&self) -> Result<Entry, Malformed> {
        let mode = u32::from_str_radix(self.value("mode")?, 8);
        let mode = mode.ok().filter(|mode| *mode <= 0o7777);
        Ok(Entry {
            name: Name::new(self.bytes("name")?).map_err(Malformed::Name)?,
            // Set-user-ID and its like are never carried over.
            mode: mode.ok_or(Malformed::Value("mode"))? & 0o777,
            modified: modified(self.value("mtime")?).ok_or(Malformed::Value("mtime"))?,
        })
    }
}

fn digits(text: &str) -> Option<u64> {
    let all_are = text.bytes().all(|byte| byte.is_ascii_digit());
    all_are.then(|| text.parse().ok()).flatten()
}

fn modified(text: &str) -> Option<Modified> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let is_before = whole.starts_with('-');
    let seconds = i64::try_from(digits(whole.strip_prefix('-').unwrap_or(whole))?).ok()?;
    let nanoseconds = match part.len() {
        1..=9 => digits(part)? * 10_u64.pow(9 - u32::try_from(part.len()).ok()?),
        _ => return None,
    };
    Some(Modified {
        seconds: if is_before { -seconds } else { seconds },
        nanoseconds: u32::try_from(nanoseconds).ok()?,
    })
}

/// Writes bytes so that no space, end of line or control character is left.
pub(super) fn escape(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    for run in bytes.chunk_by(|one, next| is_ordinary(*one) && is_ordinary(*next)) {
        match run {
            [byte] if !is_ordinary(*byte) => write!(f, "%{byte:02X}")?,
            // All of it is ASCII.
            run => f.write_str(&String::from_utf8_lossy(run))?,
        }
    }
    Ok(())
}

fn is_ordinary(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'~' | b'/')
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            out.push(*first);
            continue;
        }
        let (pair, after) = rest.split_at_checked(2)?;
        let mut byte = [0];
        hex::decode_to_slice(pair, &mut byte).ok()?;
        out.push(byte[0]);
        rest = after;
    }
    Some(out)
}
