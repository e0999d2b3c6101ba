//! A comparison as one page that needs nothing else: no network, no other file.
//!
//! Inline style sheet, inline drawings made here, and a few lines of script that
//! only change the colours; everything can be read without it. The page forbids
//! itself every request by its own content security policy, and allows exactly
//! its style sheet and its script, by their hashes. Pure: what a run was in,
//! text out.

mod accent;
mod capture;
mod comparison;
mod delivery;
mod distribution;
mod excerpt;
mod figures;
mod flow;
mod hex;
mod ladder;
mod latency;
mod markup;
mod plot;
mod sequence;
mod sheets;
mod table;
mod ticks;
mod window;

use std::io::{self, Write};
use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::compare::{Message, Variant};
use markup::{Attribute, Markup};

pub use capture::Capture;
pub use comparison::{Source, write};
pub use excerpt::{Excerpt, Kept, Limits};
pub(super) use sheets::sheets;
pub use table::{Cell, Row, Table};

/// What a page tells.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// The question that the run answers.
    pub question: &'a str,
    /// What was done to answer it, in a sentence.
    pub setting: &'a str,
    /// What the figures say, a paragraph each.
    pub words: &'a [String],
    /// What is wrong with the run, a sentence each.
    pub failures: &'a [String],
    /// The figures.
    pub table: &'a Table,
    /// Each kind's messages.
    pub lanes: &'a [Lane<'a>],
    /// The events.
    pub kept: &'a Kept,
    /// Where and how it was done: names and values.
    pub facts: &'a [(&'static str, String)],
    /// The command that does the same again.
    pub command: &'a str,
    /// The packets as a file.
    pub capture: Option<&'a Capture>,
}

/// One kind's messages, and what tells its client from others.
#[derive(Debug, Clone, Copy)]
pub struct Lane<'a> {
    /// Which kind.
    pub variant: Variant,
    /// The client's end, where it has a port.
    pub client: Option<SocketAddr>,
    /// The messages, in the order of their numbers.
    pub messages: &'a [Message],
}

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Writes the page.
fn render(out: &mut impl Write, page: &Page<'_>) -> io::Result<()> {
    let mut text = Markup::default();
    text.own("<!DOCTYPE html>\n");
    text.element("html", &[("lang", &"en")], |html| {
        html.element("head", &[], |head| page.head(head));
        html.element("body", &[], |body| page.body(body));
    });
    text.line();
    out.write_all(text.into_text().as_bytes())
}

impl Page<'_> {
    fn head(&self, head: &mut Markup) {
        let policy = format!(
            "default-src 'none'; style-src {}; script-src {}; base-uri 'none'; form-action 'none'",
            hash(STYLE),
            hash(SCRIPT)
        );
        head.void("meta", &[("charset", &"utf-8")]);
        head.void(
            "meta",
            &[
                ("http-equiv", &"Content-Security-Policy"),
                ("content", &policy),
            ],
        );
        head.void(
            "meta",
            &[
                ("name", &"viewport"),
                ("content", &"width=device-width, initial-scale=1"),
            ],
        );
        head.void(
            "meta",
            &[("name", &"color-scheme"), ("content", &"light dark")],
        );
        head.leaf(
            "title",
            &[],
            format_args!("{} · socklab compare", self.question),
        );
        head.element("style", &[], |style| style.own(STYLE));
        head.line();
    }

    fn body(&self, body: &mut Markup) {
        body.leaf(
            "a",
            &[("class", &"skip"), ("href", &"#main")],
            "Skip to the figures",
        );
        body.element("header", &[], |header| {
            header.element("div", &[("class", &"bar")], |bar| {
                bar.leaf("p", &[("class", &"brand")], "socklab compare");
                let button: [Attribute<'_>; 4] = [
                    ("type", &"button"),
                    ("id", &"theme"),
                    ("hidden", &"hidden"),
                    ("aria-live", &"polite"),
                ];
                bar.leaf("button", &button, "Colours: as the system has them");
            });
            header.leaf("h1", &[], self.question);
            header.leaf("p", &[("class", &"setting")], self.setting);
        });
        body.element("main", &[("id", &"main"), ("tabindex", &"-1")], |main| {
            self.verdict(main);
            self.figures(main);
            self.pictures(main);
            ladder::draw(main, &self.kept.events, self.kept.packets);
            self.environment(main);
        });
        body.element("footer", &[], |footer| {
            footer.leaf(
                "p",
                &[],
                "Made by socklab. This page holds all it shows and asks the network for nothing.",
            );
        });
        body.element("script", &[], |script| script.own(SCRIPT));
    }

    fn verdict(&self, main: &mut Markup) {
        main.element(
            "section",
            &[
                ("class", &"verdict"),
                ("aria-label", &"What the figures say"),
            ],
            |section| {
                for failure in self.failures {
                    section.leaf("p", &[("class", &"failure")], format_args!("✗ {failure}"));
                }
                for paragraph in self.words {
                    section.leaf("p", &[], paragraph);
                }
            },
        );
    }

    fn figures(&self, main: &mut Markup) {
        main.element("section", &[("aria-labelledby", &"figures")], |section| {
            section.leaf("h2", &[("id", &"figures")], "The figures");
            self.table.draw(section);
        });
    }

    fn pictures(&self, main: &mut Markup) {
        let connections = flow::connections(&self.kept.events);
        main.element("section", &[("aria-labelledby", &"pictures")], |section| {
            section.leaf("h2", &[("id", &"pictures")], "The pictures");
            delivery::draw(section, self.lanes);
            latency::draw(section, self.lanes);
            distribution::draw(section, self.lanes);
            sequence::draw(section, self.lanes, &connections, self.kept.lacks_packets());
            window::draw(section, self.lanes, &self.kept.events);
        });
    }

    fn environment(&self, main: &mut Markup) {
        main.element(
            "section",
            &[("aria-labelledby", &"environment")],
            |section| {
                section.leaf("h2", &[("id", &"environment")], "How to do it again");
                section.element("pre", &[("class", &"command"), ("tabindex", &"0")], |pre| {
                    pre.leaf("code", &[], self.command);
                });
                section.element("dl", &[], |list| {
                    for (name, value) in self.facts {
                        list.element("div", &[], |pair| {
                            pair.leaf("dt", &[], name);
                            pair.leaf("dd", &[], value);
                        });
                    }
                });
                for remark in self.kept.remarks(Limits::default()) {
                    section.leaf("p", &[], remark);
                }
                if let Some(capture) = self.capture {
                    capture.draw(section);
                }
            },
        );
    }
}

/// A source as a content security policy names it: by its hash.
fn hash(source: &str) -> String {
    format!(
        "'sha256-{}'",
        STANDARD.encode(Sha256::digest(source.as_bytes()))
    )
}

/// What a drawing shows, in words: a sentence, then what each part says.
fn caption(start: &str, parts: impl Iterator<Item = String>) -> String {
    let parts: Vec<String> = parts.collect();
    format!("{start} {}.", parts.join("; "))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event::{Call, Changes, Event, Fate, Outcome, Packet, Place, What};
    use crate::flow::Direction;
    use crate::packet::LinkType;

    /// A hash would not be that of the text between the tags otherwise.
    #[test]
    fn the_style_sheet_and_the_script_end_only_where_they_end() {
        for source in [STYLE, SCRIPT] {
            assert!(!source.contains("</"));
            assert!(
                !source.contains("http"),
                "no address, not even in a comment"
            );
            assert!(!source.contains("url("));
        }
    }

    /// A packet whose bytes, and a call whose arguments, are what they should
    /// not be.
    fn hostile_events(hostile: &'static str) -> Kept {
        let packet = Packet {
            id: 1,
            direction: Direction::ClientToServer,
            link: LinkType::Raw,
            bytes: hostile.as_bytes().into(),
            sent_at: Duration::ZERO,
            fate: Fate::Lost {
                cause: hostile.to_owned().into(),
            },
            changes: Changes::default(),
            place: None,
            due_at: None,
            delivered_at: None,
        };
        let call = Call {
            socket: "socket".into(),
            name: "send",
            arguments: hostile.to_owned(),
            outcome: Outcome::Failed {
                errno: hostile.to_owned(),
            },
            took: Duration::ZERO,
        };
        let event = |what| Event {
            at: Duration::ZERO,
            host: Place::Client,
            what,
        };
        let mut kept = Kept::default();
        kept.events = vec![event(What::Call(call)), event(What::Packet(packet))];
        kept.packets = 1;
        kept
    }

    #[test]
    fn hostile_words_stay_words() {
        const HOSTILE: &str = "</title><script>alert('1')</script><img src=x onerror=\"alert(2)\">";
        let words = [HOSTILE.to_owned()];
        let cell = Cell {
            text: HOSTILE.to_owned(),
            figure: Some((HOSTILE.to_owned(), HOSTILE.into())),
        };
        let row = Row {
            label: HOSTILE.to_owned(),
            is_part: false,
            cells: vec![cell],
        };
        let table = Table {
            columns: vec![Variant::Tcp],
            rows: vec![row],
            more: Vec::new(),
        };
        let page = Page {
            question: HOSTILE,
            setting: HOSTILE,
            words: &words,
            failures: &words,
            table: &table,
            lanes: &[],
            kept: &hostile_events(HOSTILE),
            facts: &[("seed", HOSTILE.to_owned())],
            command: HOSTILE,
            capture: None,
        };
        let mut out = Vec::new();
        render(&mut out, &page).expect("memory takes it");
        let text = String::from_utf8(out).expect("UTF-8");
        assert_eq!(text.matches("<script").count(), 1, "the page's own");
        assert!(!text.contains("<img"));
        assert!(!text.contains("onerror=\""));
        assert!(text.contains("lost: &lt;/title&gt;&lt;script&gt;alert(&#39;1&#39;)"));
    }
}
