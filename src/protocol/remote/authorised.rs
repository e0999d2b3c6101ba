//! The lists of keys: whom a server lets in, and which key a server has that a
//! client knows. A line each, `#` begins a comment.
//!
//! Text in, values out; whose file it is, and who may write to it, is the
//! engine's question.

use std::fmt::Write;

use super::key::{KeyError, Public};

/// Clients that are let in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authorised(Vec<(Public, String)>);

/// Servers that are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known(Vec<(String, Public)>);

/// More keys than anybody authorises by hand.
const MOST: usize = 10_000;
/// The longest name of a key.
const LONGEST_NAME: usize = 255;

/// What is wrong with a list of keys, and in which line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {cause}")]
pub struct LineError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong.
    pub cause: String,
}

impl Authorised {
    /// Reads `KEY NAME` lines.
    pub fn parse(text: &str) -> Result<Self, LineError> {
        let mut list = Self::default();
        for (line, words) in lines(text) {
            let failed = |cause: String| LineError { line, cause };
            let (key, name) = words.split_once(char::is_whitespace).unwrap_or((words, ""));
            let key = key
                .parse()
                .map_err(|error: KeyError| failed(error.to_string()))?;
            list.add(key, name.trim()).map_err(failed)?;
        }
        Ok(list)
    }

    /// Adds a key with its owner's name.
    pub fn add(&mut self, key: Public, name: &str) -> Result<(), String> {
        check_name(name)?;
        if self.name_of(&key).is_some() {
            return Err(format!("the key {key} is here already"));
        }
        if self.0.len() >= MOST {
            return Err(format!("more than {MOST} keys"));
        }
        self.0.push((key, name.to_owned()));
        Ok(())
    }

    /// The name that a key was authorised under.
    pub fn name_of(&self, key: &Public) -> Option<&str> {
        let mut found = self.0.iter().filter(|(known, _)| known == key);
        found.next().map(|(_, name)| name.as_str())
    }

    /// The keys and their names, in the order of the lines.
    pub fn iter(&self) -> impl Iterator<Item = (&Public, &str)> {
        self.0.iter().map(|(key, name)| (key, name.as_str()))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody is authorised.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The list as a file.
    pub fn to_file(&self) -> String {
        self.0.iter().fold(String::new(), |mut text, (key, name)| {
            let line = format!("{key} {name}");
            // To a string, which takes all.
            let _ = writeln!(text, "{}", line.trim_end());
            text
        })
    }
}

impl Known {
    /// Reads `HOST KEY` or `HOST:PORT KEY` lines.
    pub fn parse(text: &str) -> Result<Self, LineError> {
        let mut list = Self::default();
        for (line, words) in lines(text) {
            let failed = |cause: String| LineError { line, cause };
            let (host, key) = words
                .split_once(char::is_whitespace)
                .ok_or_else(|| failed("a server is written HOST KEY, or HOST:PORT KEY".into()))?;
            let key = key.trim().parse::<Public>();
            let key = key.map_err(|error| failed(error.to_string()))?;
            list.add(host, key).map_err(failed)?;
        }
        Ok(list)
    }

    /// Adds a server. Another key under the same name is refused: whoever means
    /// it takes the line away first.
    pub fn add(&mut self, host: &str, key: Public) -> Result<(), String> {
        let host = host.to_ascii_lowercase();
        if host.is_empty() || host.contains(char::is_whitespace) || host.contains('#') {
            return Err(format!("{host:?} is no host"));
        }
        check_name(&host)?;
        match self.of(&host) {
            Some(known) if *known == key => return Err(format!("{host} is here already")),
            Some(known) => {
                return Err(format!(
                    "{host} is here already with another key, {}",
                    known.fingerprint()
                ));
            }
            None => {}
        }
        if self.0.len() >= MOST {
            return Err(format!("more than {MOST} servers"));
        }
        self.0.push((host, key));
        Ok(())
    }

    /// The key of a server by the name it was added under.
    pub fn of(&self, host: &str) -> Option<&Public> {
        let mut found = self.0.iter();
        found
            .find(|(known, _)| known.eq_ignore_ascii_case(host))
            .map(|(_, key)| key)
    }

    /// The servers and their keys, in the order of the lines.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Public)> {
        self.0.iter().map(|(host, key)| (host.as_str(), key))
    }

    /// The list as a file.
    pub fn to_file(&self) -> String {
        self.0.iter().fold(String::new(), |mut text, (host, key)| {
            // To a string, which takes all.
            let _ = writeln!(text, "{host} {key}");
            text
        })
    }
}

/// What the lines say, without comments and empty ones, counted from 1.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().filter_map(|(index, line)| {
        let words = line.split('#').next().unwrap_or_default().trim();
        (!words.is_empty()).then_some((index + 1, words))
    })
}

fn check_name(name: &str) -> Result<(), String> {
    if name.len() > LONGEST_NAME {
        return Err(format!("a name has at most {LONGEST_NAME} bytes"));
    }
    if name.contains(|letter: char| letter.is_control() || letter == '#') || name.trim() != name {
        return Err("a name has no control characters, no # and no blanks at its ends".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::remote::Secret;
    use proptest::prelude::*;

    fn key(number: u8) -> Public {
        Secret::from_bytes([number; 32]).public()
    }

    #[test]
    fn lines_comments_and_names() {
        let text = format!("# who may\n\n{} alice at home # hers\n{}\n", key(1), key(2));
        let list = Authorised::parse(&text).expect("a list");
        assert_eq!(list.name_of(&key(1)), Some("alice at home"));
        assert_eq!(list.name_of(&key(2)), Some(""));
        assert_eq!(list.name_of(&key(3)), None);
        assert_eq!(Authorised::parse(&list.to_file()), Ok(list));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let twice = format!("{0} a\n{0} b\n", key(1));
        let error = Authorised::parse(&twice).expect_err("twice");
        assert_eq!(error.line, 2);
        let error = Authorised::parse("\nnonsense\n").expect_err("no key");
        assert!(error.to_string().starts_with("line 2: a key is 32 bytes"));
        let error = Known::parse("lonely\n").expect_err("no key");
        assert!(error.to_string().contains("HOST KEY"), "{error}");
    }

    #[test]
    fn a_server_has_one_key() {
        let mut known = Known::default();
        known.add("Example.org", key(1)).expect("the first");
        assert_eq!(known.of("example.ORG"), Some(&key(1)));
        let error = known.add("example.org", key(2)).expect_err("another");
        assert!(error.contains("with another key"), "{error}");
        assert_eq!(Known::parse(&known.to_file()), Ok(known));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = Authorised::parse(&text);
            let _ = Known::parse(&text);
        }
    }
}
