//! A name that a sender gives and that no receiver need fear: a relative path
//! whose every component is an ordinary file name (path_resolution(7)).
//!
//! Owns what is refused, and how a name is shown to people. Touches no file.

use std::fmt;

use serde::{Serialize, Serializer};

/// The longest component, as ext4 and its like have it.
const LONGEST_COMPONENT: usize = 255;
/// How deep folders may be nested.
const DEEPEST: usize = 64;
/// The longest name as a whole; escaped, it must fit a line.
const LONGEST: usize = 1200;
/// How a receiver's unfinished files begin and end.
const UNFINISHED: (&[u8], &[u8]) = (b".socklab-", b".part");

/// A checked name: bytes, as Linux has them, with `/` between folders.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Vec<u8>);

/// Why a name is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name, or a part of it between slashes.
    #[error("a part of the name is empty")]
    Empty,
    /// `.` or `..`.
    #[error("a part of the name is . or ..")]
    Dots,
    /// Another system's separator.
    #[error("the name has a backslash")]
    Backslash,
    /// NUL, an escape, a line's end.
    #[error("the name has a control character")]
    Control,
    /// More than 255 bytes in a part, 64 folders, or 1,200 bytes in all.
    #[error("the name is too long")]
    TooLong,
    /// It looks like an unfinished transfer.
    #[error("the name is kept for unfinished transfers")]
    Reserved,
}

impl Name {
    /// Checks a relative path.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, NameError> {
        let bytes = bytes.into();
        if bytes.len() > LONGEST {
            return Err(NameError::TooLong);
        }
        let mut depth = 0;
        for component in bytes.split(|byte| *byte == b'/') {
            check(component)?;
            depth += 1;
        }
        match depth {
            0..=DEEPEST => Ok(Self(bytes)),
            _ => Err(NameError::TooLong),
        }
    }

    /// The whole of it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Its folders, and the last component.
    pub fn split(&self) -> (Option<&[u8]>, &[u8]) {
        match self.0.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (Some(&self.0[..slash]), &self.0[slash + 1..]),
            None => (None, &self.0),
        }
    }

    /// Whether it, or a folder on the way to it, begins with a dot: programs keep
    /// their settings under such names.
    pub fn is_hidden(&self) -> bool {
        let mut components = self.0.split(|byte| *byte == b'/');
        components.any(|component| component.starts_with(b"."))
    }

    /// What is inside this folder and has that name.
    pub fn join(&self, component: &[u8]) -> Result<Self, NameError> {
        Self::new([&self.0, &b"/"[..], component].concat())
    }

    /// The name that its file has while it is not whole, in the same folder, where
    /// it was offered like this.
    pub(super) fn unfinished(&self, offer: &str) -> Vec<u8> {
        let digits = blake3::hash(offer.as_bytes()).to_hex();
        let (_, end) = UNFINISHED;
        [&self.all_unfinished(), &digits.as_bytes()[..24], end].concat()
    }

    /// How the unfinished files of this name begin, whoever offered them.
    pub fn all_unfinished(&self) -> Vec<u8> {
        let (_, last) = self.split();
        let digits = blake3::hash(last).to_hex();
        let (begin, _) = UNFINISHED;
        [begin, &digits.as_bytes()[..24], b"-"].concat()
    }

    /// The `number`th other name for the same thing: `photo (2).jpg`. None where
    /// that is no name any more.
    pub fn numbered(&self, number: u32) -> Option<Self> {
        let (folder, last) = self.split();
        let dot = last.iter().rposition(|byte| *byte == b'.');
        let (stem, extension) = last.split_at(dot.filter(|at| *at > 0).unwrap_or(last.len()));
        let mark = format!(" ({number})");
        let room = LONGEST_COMPONENT.checked_sub(mark.len() + extension.len())?;
        let stem = shortened(stem, room);
        let last = [stem, mark.as_bytes(), extension].concat();
        match folder {
            Some(folder) => Self::new([folder, b"/", &last].concat()),
            None => Self::new(last),
        }
        .ok()
    }
}

/// As much of a stem as fits, no character cut in two.
fn shortened(stem: &[u8], room: usize) -> &[u8] {
    let mut end = stem.len().min(room);
    while end < stem.len() && end > 0 && stem[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    &stem[..end]
}

fn check(component: &[u8]) -> Result<(), NameError> {
    let (begin, end) = UNFINISHED;
    match component {
        b"" => Err(NameError::Empty),
        b"." | b".." => Err(NameError::Dots),
        _ if component.len() > LONGEST_COMPONENT => Err(NameError::TooLong),
        _ if component.iter().any(u8::is_ascii_control) => Err(NameError::Control),
        _ if component.contains(&b'\\') => Err(NameError::Backslash),
        _ if component.starts_with(begin) && component.ends_with(end) => Err(NameError::Reserved),
        _ => Ok(()),
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped(&self.0).fmt(f)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Bytes from elsewhere as a terminal may have them: what would move its
/// cursor, change its colours or turn its text around is shown as an escape.
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for letter in chunk.valid().chars() {
                if letter == '\\' || letter.is_control() || is_invisible(letter) {
                    write!(f, "{}", letter.escape_default())?;
                } else {
                    write!(f, "{letter}")?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Whether a character shows nothing and changes how others are shown
/// (Unicode Standard Annex 9, and its line separators).
fn is_invisible(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_could_leave_the_folder_or_fool_the_reader_is_no_name() {
        for (text, expected) in [
            (&b""[..], NameError::Empty),
            (b"/etc/passwd", NameError::Empty),
            (b"a//b", NameError::Empty),
            (b"a/", NameError::Empty),
            (b".", NameError::Dots),
            (b"..", NameError::Dots),
            (b"a/../../b", NameError::Dots),
            (b"a/.", NameError::Dots),
            (b"..\\b", NameError::Backslash),
            (b"a\0b", NameError::Control),
            (b"a\x1b[2Jb", NameError::Control),
            (b"a\nb", NameError::Control),
            (&[b'a'; 300], NameError::TooLong),
            (b".socklab-00.part", NameError::Reserved),
            (b"a/.socklab-.part", NameError::Reserved),
        ] {
            assert_eq!(Name::new(text), Err(expected), "{}", Escaped(text));
        }
        let deep = ["a"; 65].join("/");
        assert_eq!(Name::new(deep), Err(NameError::TooLong));
        for text in ["a", "...", ".hidden", "a/b", "ä ö.txt", "-rf", "a=b%20"] {
            Name::new(text).expect(text);
        }
        Name::new([b'a'; 255]).expect("as long as may be");
    }

    #[test]
    fn a_dot_anywhere_but_at_the_beginning_of_a_part_hides_nothing() {
        let is_hidden = |text: &str| Name::new(text).expect("a name").is_hidden();
        for text in [".bashrc", ".ssh/authorized_keys", "a/.b/c", "...", "a/.b"] {
            assert!(is_hidden(text), "{text}");
        }
        for text in ["a", "a.b", "a./b.", "a/b.c"] {
            assert!(!is_hidden(text), "{text}");
        }
    }

    #[test]
    fn a_name_is_shown_so_that_it_cannot_move_the_cursor() {
        let shown = |bytes: &[u8]| Escaped(bytes).to_string();
        assert_eq!(shown("grüße".as_bytes()), "grüße");
        assert_eq!(shown(b"\x1b[2J\xff\\"), "\\u{1b}[2J\\xff\\\\");
        assert_eq!(shown("a\u{202e}gpj.exe".as_bytes()), "a\\u{202e}gpj.exe");
        assert_eq!(shown("\u{9b}2J".as_bytes()), "\\u{9b}2J");
    }

    #[test]
    fn other_names_keep_the_extension() {
        let numbered = |text: &str| {
            let name = Name::new(text).expect("a name");
            name.numbered(2).expect("a name").to_string()
        };
        assert_eq!(numbered("photo.jpg"), "photo (2).jpg");
        assert_eq!(numbered("a/b.tar.gz"), "a/b.tar (2).gz");
        assert_eq!(numbered(".profile"), ".profile (2)");
        assert_eq!(numbered("a.d/b"), "a.d/b (2)");
        let long = format!("{}.txt", "ä".repeat(125));
        assert!(numbered(&long).ends_with("ä (2).txt"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_name_that_leads_elsewhere(bytes: Vec<u8>) {
            if let Ok(name) = Name::new(bytes) {
                let path = std::path::PathBuf::from(String::from_utf8_lossy(name.as_bytes()).into_owned());
                let ordinary = |part| matches!(part, std::path::Component::Normal(_));
                prop_assert!(path.components().all(ordinary));
                let other = name.numbered(7);
                prop_assert!(other.is_none_or(|other| other != name));
                let unfinished = name.unfinished("an offer");
                prop_assert!(unfinished.starts_with(&name.all_unfinished()));
                prop_assert_eq!(Name::new(unfinished), Err(NameError::Reserved));
            }
        }

        #[test]
        fn what_is_shown_has_no_control_character(bytes: Vec<u8>) {
            prop_assert!(!Escaped(&bytes).to_string().chars().any(char::is_control));
        }
    }
}
