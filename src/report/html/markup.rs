//! A page's text in the making. What comes from outside can only become text or
//! an attribute's value, and is escaped on the way: names of elements and
//! attributes are the program's own (`&'static str`).
//!
//! Owns escaping (WHATWG HTML, section 13.1) and nesting; knows nothing of what
//! is written.

use std::fmt::{self, Display, Write as _};

/// An attribute and its value.
pub(super) type Attribute<'a> = (&'static str, &'a dyn Display);

/// HTML, or SVG within it, whose every element is closed.
#[derive(Debug, Default)]
pub(super) struct Markup(String);

impl Markup {
    /// The text so far.
    pub(super) fn into_text(self) -> String {
        self.0
    }

    /// An element with what `inside` writes.
    pub(super) fn element(
        &mut self,
        tag: &'static str,
        attributes: &[Attribute<'_>],
        inside: impl FnOnce(&mut Self),
    ) {
        self.begin(tag, attributes);
        self.0.push('>');
        inside(self);
        self.0.push_str("</");
        self.0.push_str(tag);
        self.0.push('>');
    }

    /// An element that holds only text.
    pub(super) fn leaf(
        &mut self,
        tag: &'static str,
        attributes: &[Attribute<'_>],
        text: impl Display,
    ) {
        self.element(tag, attributes, |inside| inside.text(text));
    }

    /// An element that holds nothing: a void element of HTML, or one of SVG.
    pub(super) fn void(&mut self, tag: &'static str, attributes: &[Attribute<'_>]) {
        self.begin(tag, attributes);
        self.0.push_str("/>");
    }

    /// Text, escaped.
    pub(super) fn text(&mut self, text: impl Display) {
        // A String takes everything.
        let _ = write!(Escaping(&mut self.0), "{text}");
    }

    /// What is part of the program: its style sheet, its script, the doctype.
    pub(super) fn own(&mut self, text: &'static str) {
        self.0.push_str(text);
    }

    /// What was written apart from it.
    pub(super) fn append(&mut self, other: &Self) {
        self.0.push_str(&other.0);
    }

    /// A line break in the source, so that the page can be read and compared.
    pub(super) fn line(&mut self) {
        self.0.push('\n');
    }

    fn begin(&mut self, tag: &'static str, attributes: &[Attribute<'_>]) {
        self.0.push('<');
        self.0.push_str(tag);
        for (name, value) in attributes {
            self.0.push(' ');
            self.0.push_str(name);
            self.0.push_str("=\"");
            self.text(value);
            self.0.push('"');
        }
    }
}

/// Escapes what is written to it.
struct Escaping<'a>(&'a mut String);

impl fmt::Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for glyph in text.chars() {
            match glyph {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' | '\t' => self.0.push(glyph),
                _ if is_hidden(glyph) => self.0.push(char::REPLACEMENT_CHARACTER),
                _ => self.0.push(glyph),
            }
        }
        Ok(())
    }
}

/// Whether a character must not stand in a page: control characters, which HTML
/// forbids; what reorders or hides text; noncharacters.
fn is_hidden(glyph: char) -> bool {
    match glyph {
        '\u{ad}'
        | '\u{61c}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fdd0}'..='\u{fdef}' => true,
        _ => glyph.is_control() || u32::from(glyph) & 0xfffe == 0xfffe,
    }
}

/// A coordinate in the SVG's own unit, to a tenth.
#[derive(Debug, Clone, Copy)]
pub(super) struct Px(pub(super) f64);

impl Display for Px {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = (self.0 * 10.0).round();
        // Not "-0", and nothing that no number is.
        let tenths = if tenths.is_finite() {
            tenths + 0.0
        } else {
            0.0
        };
        write!(f, "{}", tenths / 10.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escaped(text: &str) -> String {
        let mut markup = Markup::default();
        markup.text(text);
        markup.into_text()
    }

    /// What a browser reads: the five references undone.
    fn read(text: &str) -> String {
        text.replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&#39;", "'")
            .replace("&amp;", "&")
    }

    #[test]
    fn hostile_text_stays_text() {
        for (text, safe) in [
            (
                "<script>alert(1)</script>",
                "&lt;script&gt;alert(1)&lt;/script&gt;",
            ),
            ("\" onload=\"alert(1)", "&quot; onload=&quot;alert(1)"),
            ("' x='", "&#39; x=&#39;"),
            (
                "</title><svg/onload=x>",
                "&lt;/title&gt;&lt;svg/onload=x&gt;",
            ),
            ("]]><!--", "]]&gt;&lt;!--"),
            ("&lt;", "&amp;lt;"),
            (
                "a\0b\u{1b}[2J\u{7f}\u{85}",
                "a\u{fffd}b\u{fffd}[2J\u{fffd}\u{fffd}",
            ),
            ("\u{202e}gpj.exe", "\u{fffd}gpj.exe"),
            ("\u{ffff}", "\u{fffd}"),
            ("é→✗", "é→✗"),
        ] {
            assert_eq!(escaped(text), safe);
        }
    }

    #[test]
    fn elements_nest_and_close() {
        let mut markup = Markup::default();
        markup.element("p", &[("class", &"a\"b")], |p| {
            p.text("1 < 2 ");
            p.void("br", &[]);
            p.leaf("b", &[], 3);
        });
        let text = "<p class=\"a&quot;b\">1 &lt; 2 <br/><b>3</b></p>";
        assert_eq!(markup.into_text(), text);
    }

    #[test]
    fn coordinates_are_short_and_always_numbers() {
        for (value, text) in [
            (1.0, "1"),
            (1.25, "1.3"),
            (-0.01, "0"),
            (f64::NAN, "0"),
            (f64::INFINITY, "0"),
            (123.44, "123.4"),
        ] {
            assert_eq!(Px(value).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn no_data_opens_an_element_or_ends_an_attribute(text in any::<String>()) {
            let safe = escaped(&text);
            prop_assert!(!safe.contains(['<', '>', '"', '\'']));
            let shown: String = text
                .chars()
                .map(|glyph| match glyph {
                    '\n' | '\t' => glyph,
                    _ if is_hidden(glyph) => char::REPLACEMENT_CHARACTER,
                    _ => glyph,
                })
                .collect();
            prop_assert_eq!(read(&safe), shown);
        }
    }
}
