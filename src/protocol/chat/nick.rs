//! What a member may be called: short, of letters and digits, and like nobody
//! else however it is spelt in capitals.
//!
//! Owns the rules; which names are taken is the room's business.

use std::fmt;

/// The most letters of a name.
const LONGEST: usize = 24;
/// Who speaks for the room itself.
const RESERVED: &str = "server";

/// A name by the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nick(Box<str>);

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NickError {
    /// Nothing, or more than is allowed.
    #[error("a name has 1 to {LONGEST} letters")]
    Length,
    /// Something that is neither letter nor digit.
    #[error("a name has letters, digits, - _ and . only")]
    Letter,
    /// Who speaks for the room.
    #[error("{0} is the room's own name")]
    Reserved(String),
}

impl Nick {
    /// Reads a name.
    pub fn new(text: &str) -> Result<Self, NickError> {
        if text.is_empty() || text.chars().count() > LONGEST {
            return Err(NickError::Length);
        }
        let is_fit = |letter: char| letter.is_alphanumeric() || "-_.".contains(letter);
        if !text.chars().all(is_fit) {
            return Err(NickError::Letter);
        }
        if fold(text) == RESERVED {
            return Err(NickError::Reserved(text.to_owned()));
        }
        Ok(Self(text.into()))
    }

    /// What a member is called who has said no name.
    pub fn guest(number: u64) -> Self {
        Self(format!("guest{number}").into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What two names have in common that are the same but for capitals.
    pub fn folded(&self) -> String {
        fold(&self.0)
    }
}

impl fmt::Display for Nick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Up and down again: letters with two small forms, such as ς and ſ, become one.
fn fold(text: &str) -> String {
    let capitals = text.chars().flat_map(char::to_uppercase);
    capitals.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_differ_in_capitals_only_are_the_same() {
        for (one, other) in [("Ann", "aNN"), ("ΣΊΣΥΦΟΣ", "Σίσυφος"), ("ſam", "SAM")]
        {
            let folded = |text| Nick::new(text).expect("a name").folded();
            assert_eq!(folded(one), folded(other));
        }
    }

    #[test]
    fn what_is_no_name_is_told_so() {
        let long = "x".repeat(LONGEST + 1);
        for (text, words) in [
            ("", "1 to 24"),
            (long.as_str(), "1 to 24"),
            ("two words", "letters"),
            ("<ann>", "letters"),
            ("\x1b[2J", "letters"),
            ("a\u{202e}b", "letters"),
            ("a\u{200b}b", "letters"),
            ("e\u{301}ric", "letters"),
            ("Server", "own name"),
            ("ſerver", "own name"),
        ] {
            let why = Nick::new(text).expect_err(text).to_string();
            assert!(why.contains(words), "{text:?}: {why}");
        }
        assert!(Nick::new(&"日".repeat(LONGEST)).is_ok());
    }

    proptest! {
        #[test]
        fn a_name_is_safe_on_any_terminal(text: String) {
            if let Ok(nick) = Nick::new(&text) {
                prop_assert_eq!(super::super::clean_line(nick.as_str()), nick.as_str());
                prop_assert_eq!(fold(&nick.folded()), nick.folded());
            }
        }
    }
}
