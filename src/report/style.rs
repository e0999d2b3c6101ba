//! How a rendering may look: its width, its characters, its colours.
//!
//! One colour a protocol layer, the same in summary, dump and ladder. Colour
//! never stands alone: whatever it says, a word or a sign says too. Only
//! [`Style::detect`] reads the environment (<https://no-color.org>,
//! <https://bixense.com/clicolors/>, locale(7)).

use std::io::IsTerminal;
use std::str::FromStr;

use anstyle::{AnsiColor, Style as Ansi};

use crate::packet::{Charset, Protocol};

/// How a rendering may look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// The most columns a line may take; renderers take at least
    /// [`Style::NARROWEST`].
    pub width: usize,
    /// Which characters may be used.
    pub charset: Charset,
    /// Whether colours are written.
    pub colour: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            width: Self::PIPE,
            charset: Charset::Unicode,
            colour: false,
        }
    }
}

/// What the user said about colours (`--color`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColourChoice {
    /// As the terminal and its environment have it.
    #[default]
    Auto,
    /// Into a pipe or a file too.
    Always,
    /// Not at all.
    Never,
}

impl FromStr for ColourChoice {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "always" => Ok(Self::Always),
            "never" => Ok(Self::Never),
            _ => Err("expected auto, always or never"),
        }
    }
}

/// Which of the process's streams a rendering goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

impl Style {
    /// The narrowest terminal that is honoured.
    pub const NARROWEST: usize = 60;

    /// The width where no terminal says one: into a pipe, a file or a mail, 80
    /// columns are what every reader, pager and review tool can show, and what
    /// stays the same from machine to machine.
    pub const PIPE: usize = 80;

    /// What the process's stream can show, by its terminal and environment:
    /// `COLUMNS` where no terminal says its width, `NO_COLOR`, `CLICOLOR`,
    /// `CLICOLOR_FORCE`, `TERM=dumb`, and `LC_ALL`, `LC_CTYPE`, `LANG`.
    pub fn detect(stream: Stream, choice: ColourChoice) -> Self {
        let terminal = match stream {
            Stream::Out => std::io::stdout().is_terminal(),
            Stream::Err => std::io::stderr().is_terminal(),
        };
        let columns = columns_of(stream);
        Self::from_environment(choice, terminal, columns, |name| {
            std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
        })
    }

    /// How many columns the stream's terminal has, where they are fewer than
    /// [`Style::NARROWEST`] and lines will therefore break.
    pub fn too_narrow(stream: Stream) -> Option<usize> {
        columns_of(stream).filter(|columns| *columns < Self::NARROWEST)
    }

    /// The same decision, with the environment as a function.
    fn from_environment(
        choice: ColourChoice,
        terminal: bool,
        columns: Option<usize>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let asked = || set("COLUMNS").and_then(|columns| columns.parse().ok());
        let width = columns.or_else(asked).unwrap_or(Self::PIPE);
        let colour = match choice {
            ColourChoice::Always => true,
            ColourChoice::Never => false,
            ColourChoice::Auto if set("NO_COLOR").is_some() => false,
            ColourChoice::Auto if set("CLICOLOR_FORCE").is_some_and(|value| value != "0") => true,
            ColourChoice::Auto => {
                terminal
                    && set("CLICOLOR").is_none_or(|value| value != "0")
                    && set("TERM").is_some_and(|value| value != "dumb")
            }
        };
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
        let is_utf8 = locale.is_some_and(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        });
        Self {
            width: width.max(Self::NARROWEST),
            charset: if is_utf8 {
                Charset::Unicode
            } else {
                Charset::Ascii
            },
            colour,
        }
    }

    /// The width that renderers use.
    pub(super) fn columns(&self) -> usize {
        self.width.max(Self::NARROWEST)
    }
}

/// What a piece of text is, and so how it is painted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Paint {
    /// Text like any other.
    #[default]
    Plain,
    /// A heading.
    Heading,
    /// Rails, rules, units: what only holds the rest together.
    Faint,
    /// A TCP state.
    State,
    /// Something went wrong; a sign or a word says so too.
    Failure,
    /// Something out of the ordinary.
    Warning,
    /// Something that was checked and is right.
    Good,
    /// What belongs to a protocol's layer.
    Layer(Protocol),
}

impl Paint {
    /// The terminal's style for it.
    pub fn ansi(self) -> Ansi {
        let plain = Ansi::new();
        let colour = |colour: AnsiColor| plain.fg_color(Some(colour.into()));
        match self {
            Paint::Plain => plain,
            Paint::Heading | Paint::State => plain.bold(),
            Paint::Faint => plain.dimmed(),
            Paint::Failure => colour(AnsiColor::Red).bold(),
            Paint::Warning => colour(AnsiColor::Red),
            Paint::Good => colour(AnsiColor::Green),
            Paint::Layer(protocol) => match protocol {
                Protocol::Ethernet | Protocol::Vlan | Protocol::Arp => {
                    colour(AnsiColor::BrightBlack)
                }
                Protocol::Ipv4
                | Protocol::Ipv6
                | Protocol::HopByHop
                | Protocol::Routing
                | Protocol::FragmentHeader
                | Protocol::DestinationOptions
                | Protocol::Authentication => colour(AnsiColor::Blue),
                Protocol::Tcp => colour(AnsiColor::Green),
                Protocol::Udp => colour(AnsiColor::Cyan),
                Protocol::Icmp | Protocol::Icmpv6 => colour(AnsiColor::Magenta),
                Protocol::Data => colour(AnsiColor::Yellow),
                Protocol::Trailer => plain.dimmed(),
            },
        }
    }
}

/// The columns of the terminal that the stream is, if it is one.
fn columns_of(stream: Stream) -> Option<usize> {
    let size = match stream {
        Stream::Out => terminal_size::terminal_size_of(std::io::stdout()),
        Stream::Err => terminal_size::terminal_size_of(std::io::stderr()),
    };
    size.map(|(terminal_size::Width(columns), _)| usize::from(columns))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detected(terminal: bool, variables: &[(&str, &str)]) -> Style {
        let columns = terminal.then_some(132);
        Style::from_environment(ColourChoice::Auto, terminal, columns, |name| {
            let mut found = variables.iter().filter(|(key, _)| *key == name);
            found.next().map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_pipe_is_plain_and_80_columns_wide() {
        let style = detected(false, &[("LANG", "C.UTF-8"), ("TERM", "xterm")]);
        assert_eq!(style, Style::default());
    }

    #[test]
    fn a_terminal_says_its_width_and_has_colours() {
        let style = detected(true, &[("LANG", "en_GB.utf8"), ("TERM", "xterm")]);
        assert_eq!((style.width, style.colour), (132, true));
        assert_eq!(style.charset, Charset::Unicode);
    }

    #[test]
    fn no_color_and_a_dumb_terminal_switch_colours_off() {
        for variable in [("NO_COLOR", "1"), ("CLICOLOR", "0"), ("TERM", "dumb")] {
            assert!(!detected(true, &[variable, ("TERM", "xterm")]).colour);
        }
        // Empty is unset, as no-color.org has it.
        assert!(detected(true, &[("NO_COLOR", ""), ("TERM", "xterm")]).colour);
        assert!(detected(false, &[("CLICOLOR_FORCE", "1")]).colour);
    }

    #[test]
    fn the_first_locale_variable_that_is_set_decides() {
        let ascii = [("LC_ALL", "C"), ("LANG", "C.UTF-8")];
        assert_eq!(detected(true, &ascii).charset, Charset::Ascii);
        let unicode = [("LC_ALL", ""), ("LC_CTYPE", "C.UTF-8"), ("LANG", "C")];
        assert_eq!(detected(true, &unicode).charset, Charset::Unicode);
        assert_eq!(detected(true, &[]).charset, Charset::Ascii);
    }

    #[test]
    fn a_tiny_terminal_gets_the_narrowest_rendering() {
        let style = detected(false, &[("COLUMNS", "12")]);
        assert_eq!(style.width, Style::NARROWEST);
    }
}
