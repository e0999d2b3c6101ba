//! Renderings of events: the ladder, tables, dumps, JSON Lines, pcapng, the
//! page.
//!
//! Every renderer is pure over an `impl io::Write` and a [`Style`]; only
//! [`Style::detect`] looks at the environment. Nothing here opens a socket,
//! and nothing that came off a wire reaches the terminal as a control sequence.

pub mod account;
pub mod app;
mod chart;
pub mod clocks;
pub mod compare;
pub mod datagrams;
pub mod dump;
mod evidence;
pub mod fates;
mod figure;
mod glyph;
mod histogram;
pub mod html;
pub mod json;
pub mod ladder;
mod line;
pub mod live;
pub mod models;
pub mod pcap;
pub mod ping;
mod sequence;
pub mod serve;
mod sockets;
mod style;
mod table;
pub mod talk;
pub mod tcp;
pub mod udp;

pub use evidence::Evidence;
pub use style::{ColourChoice, Paint, Stream, Style};
