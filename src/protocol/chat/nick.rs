//! What a member may be called: short, of letters and digits that can be seen, of
//! one alphabet, and like nobody else however it is spelt in capitals or in wide
//! letters (Unicode TR 39, as far as a chat needs it).
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
    /// Letters of alphabets that look alike.
    #[error("a name is not of {0} and {1} letters at once")]
    Mixed(&'static str, &'static str),
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
        if !text.chars().all(is_fit) {
            return Err(NickError::Letter);
        }
        let mut alphabets = text.chars().filter_map(|letter| alphabet(narrow(letter)));
        if let Some(first) = alphabets.next()
            && let Some(other) = alphabets.find(|other| *other != first)
        {
            return Err(NickError::Mixed(first, other));
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

/// Letters and digits, but for those that show nothing (Hangul's fillers, Khmer's
/// inherent vowels) and those that are another letter in a fancy dress.
fn is_fit(letter: char) -> bool {
    let is_blank = matches!(
        letter,
        '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}' | '\u{ffa0}'
    );
    let is_dressed = matches!(
        letter,
        '\u{2b0}'..='\u{2ff}'
            | '\u{1d00}'..='\u{1dbf}'
            | '\u{2070}'..='\u{209f}'
            | '\u{2100}'..='\u{218f}'
            | '\u{2460}'..='\u{24ff}'
            | '\u{a720}'..='\u{a7ff}'
            | '\u{fb00}'..='\u{fb06}'
            | '\u{1d400}'..='\u{1d7ff}'
            | '\u{1f100}'..='\u{1f1ff}'
    );
    (letter.is_alphanumeric() && !is_blank && !is_dressed)
        || matches!(narrow(letter), '-' | '_' | '.')
}

/// The alphabet of a letter that looks like another alphabet's.
fn alphabet(letter: char) -> Option<&'static str> {
    if !letter.is_alphabetic() {
        return None;
    }
    Some(match letter {
        '\0'..='\u{2af}' | '\u{1e00}'..='\u{1eff}' | '\u{2c60}'..='\u{2c7f}' => "Latin",
        '\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}' => "Greek",
        '\u{400}'..='\u{52f}' | '\u{1c80}'..='\u{1c8f}' | '\u{a640}'..='\u{a69f}' => "Cyrillic",
        '\u{530}'..='\u{58f}' => "Armenian",
        '\u{13a0}'..='\u{13ff}' | '\u{ab70}'..='\u{abbf}' => "Cherokee",
        '\u{2c80}'..='\u{2cff}' => "Coptic",
        '\u{a4d0}'..='\u{a4ff}' => "Lisu",
        _ => return None,
    })
}

/// The usual form of a wide letter (U+FF01 to U+FF5E are ASCII's).
fn narrow(letter: char) -> char {
    match letter {
        '\u{ff01}'..='\u{ff5e}' => {
            char::from_u32(u32::from(letter) - 0xff01 + 0x21).unwrap_or(letter)
        }
        other => other,
    }
}

/// Up and down again: letters with two small forms, such as ς and ſ, become one.
fn fold(text: &str) -> String {
    let capitals = text.chars().map(narrow).flat_map(char::to_uppercase);
    capitals.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_differ_in_capitals_only_are_the_same() {
        for (one, other) in [
            ("Ann", "aNN"),
            ("ΣΊΣΥΦΟΣ", "Σίσυφος"),
            ("ſam", "SAM"),
            ("ａｎｎ．Ｂ", "Ann.b"),
        ] {
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
            ("ｓｅｒｖｅｒ", "own name"),
            ("ѕerver", "Cyrillic and Latin"),
            ("annα", "Latin and Greek"),
            ("𝐬𝐞𝐫𝐯𝐞𝐫", "letters"),
            ("ⓢerver", "letters"),
            ("\u{3164}", "letters"),
            ("ann\u{3164}", "letters"),
            ("\u{115f}", "letters"),
            ("\u{1160}", "letters"),
            ("\u{ffa0}", "letters"),
        ] {
            let why = Nick::new(text).expect_err(text).to_string();
            assert!(why.contains(words), "{text:?}: {why}");
        }
        assert!(Nick::new(&"日".repeat(LONGEST)).is_ok());
        for text in [
            "Борис",
            "Ελένη",
            "J日本1",
            "アンナ-2",
            "안나",
            "Zoë",
            "Łukasz",
        ] {
            assert!(Nick::new(text).is_ok(), "{text}");
        }
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
