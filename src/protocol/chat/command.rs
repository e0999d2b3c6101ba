//! What a member's line means: a command, or something said to all.
//!
//! Text in, values out; knows no member. [`Input`]'s `Display` inverts
//! [`Input::read`].

use std::fmt;

/// What a member wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input<'a> {
    /// Nothing.
    Nothing,
    /// To say this to all.
    Say(&'a str),
    /// To say this to one.
    Tell {
        /// Whom.
        to: &'a str,
        /// What.
        text: &'a str,
    },
    /// To be called this.
    Nick(&'a str),
    /// To know who is here.
    Who,
    /// To know the commands.
    Help,
    /// To leave.
    Leave,
    /// A command that is short of something: how it is written.
    Incomplete(&'static str),
    /// A command that there is none of.
    Unknown(&'a str),
}

impl<'a> Input<'a> {
    /// Reads a line.
    pub fn read(line: &'a str) -> Self {
        let trimmed = line.trim();
        if trimmed.is_empty() {
            return Self::Nothing;
        }
        if trimmed == "exit" {
            return Self::Leave;
        }
        match trimmed.strip_prefix('/') {
            None => Self::Say(line.trim_end()),
            // So that a line may begin with it.
            Some(text) if text.starts_with('/') => Self::Say(text),
            Some(command) => Self::command(command),
        }
    }

    fn command(command: &'a str) -> Self {
        let (name, rest) = split(command);
        match (name, rest) {
            ("who", _) => Self::Who,
            ("help", _) => Self::Help,
            ("quit" | "exit", _) => Self::Leave,
            ("nick", "") => Self::Incomplete("/nick NAME"),
            ("nick", name) => Self::Nick(name),
            ("msg", rest) => match split(rest) {
                (_, "") => Self::Incomplete("/msg NAME TEXT"),
                (to, text) => Self::Tell { to, text },
            },
            (name, _) => Self::Unknown(name),
        }
    }
}

/// The first word, and what is after it.
fn split(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim_start())
}

impl fmt::Display for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => Ok(()),
            Self::Say(text) if text.starts_with('/') || *text == "exit" => write!(f, "/{text}"),
            Self::Say(text) => f.write_str(text),
            Self::Tell { to, text } => write!(f, "/msg {to} {text}"),
            Self::Nick(name) => write!(f, "/nick {name}"),
            Self::Who => f.write_str("/who"),
            Self::Help => f.write_str("/help"),
            Self::Leave => f.write_str("/quit"),
            Self::Incomplete(usage) => f.write_str(usage.split(' ').next().unwrap_or(usage)),
            Self::Unknown(name) => write!(f, "/{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_line_has_a_meaning() {
        for (line, expected) in [
            ("", Input::Nothing),
            ("  ", Input::Nothing),
            ("hello there ", Input::Say("hello there")),
            ("  indented", Input::Say("  indented")),
            ("exit", Input::Leave),
            ("exit now", Input::Say("exit now")),
            ("/quit", Input::Leave),
            ("/exit", Input::Leave),
            ("/who", Input::Who),
            ("/help me", Input::Help),
            ("/nick ann", Input::Nick("ann")),
            ("/nick", Input::Incomplete("/nick NAME")),
            ("/msg", Input::Incomplete("/msg NAME TEXT")),
            ("/msg bob", Input::Incomplete("/msg NAME TEXT")),
            ("/dance", Input::Unknown("dance")),
            ("/", Input::Unknown("")),
            ("//etc", Input::Say("/etc")),
            (
                "/msg bob  how are you",
                Input::Tell {
                    to: "bob",
                    text: "how are you",
                },
            ),
        ] {
            assert_eq!(Input::read(line), expected, "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(line: String) {
            let read = Input::read(&line);
            let written = read.to_string();
            prop_assert_eq!(Input::read(&written), read);
        }
    }
}
