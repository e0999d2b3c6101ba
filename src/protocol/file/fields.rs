//! The words after a line's verb: `key=value`, each key once, every byte of a
//! name that is not an ordinary letter written `%41` (as RFC 3986, section 2.1,
//! has it).
//!
//! Owns how values are written and read; knows no verb.

use std::fmt::{self, Write};
use std::net::SocketAddr;

use super::LARGEST_BLOCK;
use super::line::{Entry, Malformed, Modified, Role};
use super::name::Name;

/// The words after the verb.
pub(super) struct Fields<'a>(pub(super) &'a str);

impl<'a> Fields<'a> {
    fn each(&self) -> impl Iterator<Item = &'a str> {
        self.0.split(' ').filter(|word| !word.is_empty())
    }

    pub(super) fn check(&self) -> Result<(), Malformed> {
        let is_word = |word: &str| {
            let printable = word.bytes().all(|byte| byte.is_ascii_graphic());
            printable && word.split_once('=').is_some()
        };
        if self.each().all(is_word) {
            Ok(())
        } else {
            Err(Malformed::Word)
        }
    }

    fn find(&self, key: &'static str) -> Result<Option<&'a str>, Malformed> {
        let mut values = self
            .each()
            .filter_map(|word| word.split_once('='))
            .filter_map(|(name, value)| (name == key).then_some(value));
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
    for byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b'~' | b'/' => {
                f.write_char(char::from(*byte))?;
            }
            other => write!(f, "%{other:02X}")?,
        }
    }
    Ok(())
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
