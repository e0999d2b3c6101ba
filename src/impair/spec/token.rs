//! A description's text cut into words: blanks part them, `;` is one by itself,
//! quotes keep blanks in (`'…'` as it stands, `"…"` with `\"` and `\\`).

use std::ops::Range;

use super::error::Problem;

/// One word and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) span: Range<usize>,
    pub(super) is_quoted: bool,
}

impl Token {
    /// Whether it ends a clause.
    pub(super) fn is_semicolon(&self) -> bool {
        !self.is_quoted && self.text == ";"
    }

    /// Whether it begins as a number does; `signed` ones may be negative.
    pub(super) fn is_number(&self, signed: bool) -> bool {
        let text = match self.text.strip_prefix('-') {
            Some(rest) if signed => rest,
            _ => &self.text,
        };
        text.trim_start_matches('.')
            .starts_with(|letter: char| letter.is_ascii_digit())
    }
}

/// All words of `text`, or where a quote begins that does not end.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, (Range<usize>, Problem)> {
    let mut tokens = Vec::new();
    let mut letters = text.char_indices().peekable();
    while let Some(&(start, first)) = letters.peek() {
        if first.is_whitespace() {
            letters.next();
            continue;
        }
        let mut token = Token {
            text: String::new(),
            span: start..start,
            is_quoted: false,
        };
        while let Some(&(at, letter)) = letters.peek() {
            let ends = letter.is_whitespace() || (letter == ';' && at > start);
            if ends {
                break;
            }
            letters.next();
            token.span.end = at + letter.len_utf8();
            match letter {
                '\'' | '"' => {
                    token.is_quoted = true;
                    let end = quoted(letter, &mut letters, &mut token.text);
                    token.span.end = end.ok_or((at..text.len(), Problem::OpenQuote))?;
                }
                _ => token.text.push(letter),
            }
            if letter == ';' && !token.is_quoted {
                break;
            }
        }
        tokens.push(token);
    }
    Ok(tokens)
}

/// Reads up to the closing quote; where that ends.
fn quoted(
    quote: char,
    letters: &mut impl Iterator<Item = (usize, char)>,
    text: &mut String,
) -> Option<usize> {
    while let Some((at, letter)) = letters.next() {
        match letter {
            _ if letter == quote => return Some(at + 1),
            '\\' if quote == '"' => text.push(letters.next()?.1),
            _ => text.push(letter),
        }
    }
    None
}

/// `text` so that a description reads it as one word.
pub fn quote(text: &str) -> String {
    let is_plain = !text.is_empty()
        && !text.contains(|letter: char| letter.is_whitespace() || "'\"\\;".contains(letter));
    if is_plain {
        text.to_owned()
    } else if text.contains('\'') {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        format!("'{text}'")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(text: &str) -> Vec<String> {
        let tokens = tokens(text).expect("no quote is open");
        tokens.into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn blanks_semicolons_and_quotes() {
        assert_eq!(
            words(" loss  5%;rate 1mbit ; "),
            ["loss", "5%", ";", "rate", "1mbit", ";"]
        );
        assert_eq!(words("drop 'c2s data#3' x"), ["drop", "c2s data#3", "x"]);
        assert_eq!(words(r#"trace "a \"b\" \\c;""#), ["trace", r#"a "b" \c;"#]);
        assert_eq!(words("''"), [""]);
        let open = tokens("drop 'c2s").expect_err("a quote is open");
        assert_eq!(open.0, 5..9);
    }

    proptest! {
        #[test]
        fn what_is_quoted_is_one_word(text in "\\PC*|[a-z'\"\\\\; ]*") {
            prop_assert_eq!(words(&quote(&text)), [text]);
        }

        #[test]
        fn nothing_panics_and_spans_lie_within(text in "\\PC*|[a-z'\"\\\\; µ]*") {
            for token in tokens(&text).unwrap_or_default() {
                prop_assert!(text.get(token.span).is_some());
            }
        }
    }
}
