//! Which characters may reach a terminal, and what stands for those that may
//! not.
//!
//! Control characters, bidirectional overrides and invisible characters never
//! pass: a payload cannot move the cursor or reorder a line. In ASCII every
//! glyph becomes one of the same width, so that a layout is made only once.

use std::borrow::Cow;

use crate::packet::Charset;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Stands for a character that may not pass.
const HIDDEN: char = '·';

/// The text with everything replaced that is not plainly visible.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_harmless) {
        return Cow::Borrowed(text);
    }
    let harmless = |glyph| if is_harmless(glyph) { glyph } else { HIDDEN };
    Cow::Owned(text.chars().map(harmless).collect())
}

/// A payload's text as a string literal has it: whatever is not plainly visible
/// is escaped, and in ASCII whatever is not ASCII.
pub(super) fn escape(text: &str, charset: Charset) -> String {
    let mut out = String::with_capacity(text.len());
    for glyph in text.chars() {
        let is_shown = is_harmless(glyph) && (charset == Charset::Unicode || glyph.is_ascii());
        match glyph {
            '"' | '\\' => out.extend(glyph.escape_default()),
            _ if is_shown => out.push(glyph),
            '\0'..='\x7f' => out.extend(glyph.escape_debug()),
            _ => out.extend(glyph.escape_unicode()),
        }
    }
    out
}

/// A string literal, in ASCII with escapes for whatever is not ASCII.
pub(super) fn spelled_out(literal: &str, charset: Charset) -> Cow<'_, str> {
    if charset == Charset::Unicode || literal.is_ascii() {
        return Cow::Borrowed(literal);
    }
    let mut out = String::with_capacity(literal.len());
    for glyph in literal.chars() {
        match glyph {
            '\0'..='\x7f' | '…' => out.push(glyph),
            _ => out.extend(glyph.escape_unicode()),
        }
    }
    Cow::Owned(out)
}

/// Signs and arrows of a sentence or a cell in words, before it is laid out:
/// in ASCII alone, where one column is not enough to read them.
pub(super) fn spelled(text: &str, charset: Charset) -> Cow<'_, str> {
    if charset == Charset::Unicode || text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let spelled = [
        ("→", "->"),
        ("←", "<-"),
        ("✓", "ok"),
        ("✗", "FAIL"),
        ("≠", "!="),
    ];
    let replace = |text: String, (sign, word)| text.replace(sign, word);
    Cow::Owned(spelled.into_iter().fold(text.to_owned(), replace))
}

pub(super) fn is_harmless(glyph: char) -> bool {
    match glyph {
        // Soft hyphen, line and paragraph separators.
        '\u{ad}' | '\u{2028}' | '\u{2029}' => false,
        // ASCII, and marks on the letter before.
        ' '..='~' | '\u{300}'..='\u{36f}' => true,
        // Bidirectional controls, joiners and variation selectors have no width.
        _ => !glyph.is_control() && glyph.width().is_some_and(|width| width > 0),
    }
}

/// The text in ASCII, column for column.
pub(super) fn ascii(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for glyph in text.chars() {
        match glyph {
            '\0'..='\x7f' => out.push(glyph),
            _ => match substitute(glyph) {
                Some(ascii) => out.push(ascii),
                None => out.extend(std::iter::repeat_n('?', glyph.width().unwrap_or(0))),
            },
        }
    }
    Cow::Owned(out)
}

fn substitute(glyph: char) -> Option<char> {
    Some(match glyph {
        '─' | '━' | '—' | '–' | '╌' => '-',
        '▄' | '▅' => ':',
        '▒' => '=',
        '▓' => '%',
        '▆' | '▇' | '█' => '#',
        '│' | '├' | '┤' | '┊' => '|',
        '┌' | '┐' | '└' | '┘' | '┴' | '┼' | '╰' | '╯' => '+',
        '▶' | '→' | '↳' => '>',
        '◀' | '←' => '<',
        '╲' => '\\',
        '╱' => '/',
        '✓' => 'v',
        '✗' | '×' => 'x',
        '↻' => '@',
        '…' => '~',
        '·' | '▁' | '▂' | '▃' => '.',
        '≠' => '!',
        '⊣' => ']',
        '⇅' => '^',
        '◆' => '*',
        '’' | '‘' => '\'',
        '“' | '”' => '"',
        'µ' | 'μ' => 'u',
        _ => return None,
    })
}

/// How many columns the text takes.
pub(super) fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// As much of the text as fits into `room` columns, an ellipsis for the rest.
pub(super) fn fit(text: &str, room: usize) -> Cow<'_, str> {
    if width(text) <= room {
        return Cow::Borrowed(text);
    }
    if room == 0 {
        return Cow::Borrowed("");
    }
    let mut kept = prefix(text, room - 1).to_owned();
    kept.push('…');
    Cow::Owned(kept)
}

/// The longest beginning of the text that fits into `room` columns.
pub(super) fn prefix(text: &str, room: usize) -> &str {
    let ends = text
        .char_indices()
        .map(|(start, glyph)| start + glyph.len_utf8());
    let end = ends.take_while(|end| width(&text[..*end]) <= room).last();
    &text[..end.unwrap_or(0)]
}

/// The text in lines of at most `room` columns, broken between words where
/// that is possible.
pub(super) fn wrap(text: &str, room: usize) -> Vec<String> {
    let room = room.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let gap = usize::from(!line.is_empty());
        if width(&line) + gap + width(word) > room && !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        while width(&line) > room {
            let cut = prefix(&line, room).len().max(first_length(&line));
            let rest = line.split_off(cut);
            lines.push(std::mem::replace(&mut line, rest));
        }
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

fn first_length(text: &str) -> usize {
    text.chars().next().map_or(0, char::len_utf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_and_overrides_do_not_pass() {
        assert_eq!(clean("a\x1b[2Jb\u{202e}c\u{200d}\u{fe0f}"), "a·[2Jb·c··");
        assert_eq!(clean("e\u{301} 漢 ✓"), "e\u{301} 漢 ✓");
    }

    #[test]
    fn ascii_keeps_the_columns() {
        let text = "├──SYN ─▶│ 漢字 é✗";
        assert_eq!(ascii(text), "|--SYN ->| ???? ?x");
        assert_eq!(width(text), width(&ascii(text)));
    }

    #[test]
    fn payloads_are_escaped_in_one_way() {
        let text = "a\tb\u{1b}[\"\0\u{202e}日";
        let shown = escape(text, Charset::Unicode);
        assert_eq!(shown, r#"a\tb\u{1b}[\"\0\u{202e}日"#);
        let shown = escape(text, Charset::Ascii);
        assert_eq!(shown, r#"a\tb\u{1b}[\"\0\u{202e}\u{65e5}"#);
    }

    #[test]
    fn signs_are_words_in_ascii() {
        assert_eq!(spelled("✓ a → b", Charset::Ascii), "ok a -> b");
        assert_eq!(spelled("✓ a → b", Charset::Unicode), "✓ a → b");
    }

    #[test]
    fn cutting_counts_columns() {
        assert_eq!(fit("漢字漢字", 5), "漢字…");
        assert_eq!(fit("漢字漢字", 4), "漢…");
        assert_eq!(fit("abc", 3), "abc");
        assert_eq!(fit("abc", 0), "");
    }

    #[test]
    fn words_wrap_and_long_words_break() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh ij", 5), ["abcde", "fgh", "ij"]);
        assert_eq!(wrap("", 5), [""]);
    }
}
