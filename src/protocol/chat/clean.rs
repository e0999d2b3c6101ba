//! What may reach another terminal: text without control characters (C0, DEL,
//! C1), without what turns the direction of writing (Unicode TR 9), and valid
//! UTF-8 in any case.
//!
//! Takes away and replaces; never refuses.

use std::borrow::Cow;

/// Bytes from the network as text for a terminal: what is no UTF-8 is U+FFFD, a
/// tab is a space, and no control character is left.
pub fn clean(bytes: &[u8]) -> String {
    clean_line(&String::from_utf8_lossy(bytes)).into_owned()
}

/// The same for what is text already.
pub fn clean_line(text: &str) -> Cow<'_, str> {
    if !text.contains(|letter| letter == '\t' || is_unsafe(letter)) {
        return Cow::Borrowed(text);
    }
    let letters = text
        .chars()
        .filter(|letter| *letter == '\t' || !is_unsafe(*letter));
    Cow::Owned(
        letters
            .map(|letter| if letter == '\t' { ' ' } else { letter })
            .collect(),
    )
}

/// Whether a letter could do more to a terminal than stand there.
fn is_unsafe(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escape_sequences_lose_what_makes_them_work() {
        for (bytes, expected) in [
            (&b"\x1b[2Jgone"[..], "[2Jgone"),
            (b"\x1b]0;title\x07", "]0;title"),
            (b"bell\x07 back\x08\x7f", "bell back"),
            ("\u{9b}31mred".as_bytes(), "31mred"),
            (b"\x9b31m", "\u{fffd}31m"),
            (b"tab\tbed", "tab bed"),
            ("user\u{202e}cod.exe\u{2066}".as_bytes(), "usercod.exe"),
            ("line\u{2028}break".as_bytes(), "linebreak"),
            (b"caf\xe9", "caf\u{fffd}"),
            ("héllo wörld 🦀 日本".as_bytes(), "héllo wörld 🦀 日本"),
        ] {
            assert_eq!(clean(bytes), expected, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_unsafe_is_left_of_any_bytes(bytes: Vec<u8>) {
            let text = clean(&bytes);
            prop_assert!(!text.contains(is_unsafe), "{:?}", text);
            prop_assert_eq!(clean_line(&text), text.as_str());
        }

        #[test]
        fn nor_of_any_text(text: String) {
            prop_assert!(!clean(text.as_bytes()).contains(is_unsafe));
        }
    }
}
