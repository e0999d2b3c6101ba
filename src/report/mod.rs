//! Renderings of events: the ladder, tables, dumps, JSON Lines, pcapng.
//!
//! Every renderer is pure over an `impl io::Write` and a [`Style`]; only
//! [`Style::detect`] looks at the environment. Nothing here opens a socket,
//! and nothing that came off a wire reaches the terminal as a control sequence.

mod glyph;
pub mod json;
pub mod ladder;
mod line;
pub mod ping;
mod style;

pub use style::{ColourChoice, Paint, Stream, Style};
