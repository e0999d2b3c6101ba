//! The ladder: both programs' calls, both kernels' states and every packet on
//! the wire, in the order in which they happened.
//!
//! ```text
//!    ms client 10.77.0.1       │         the wire         │ server 10.77.0.2
//!       calls            state │                          │ state  calls
//! 0.060 ┌ connect(server:5073) │                          │
//! 0.080 │             SYN_SENT ├──SYN seq=0 ─────────────▶│ SYN_RECV
//! 0.110 │          ESTABLISHED │◀─── SYN,ACK seq=0 ack=1──┤
//! 0.120 │                      ├──ACK ack=1 ─────────────▶│ ESTABLISHED
//! 0.211 └ = 0 in 0.151 ms      │                          │
//! ```
//!
//! A call that waited is bracketed from its start to its return. Draws what the
//! events say and claims no more; what programs made of messages (deliveries,
//! echoes) is for tables.

mod arrow;
mod label;
mod layout;
mod phrase;
mod rows;
mod shaft;
mod sockets;
mod story;
mod typeset;
mod words;

use std::io::{self, Write};
use std::net::IpAddr;

use super::line::Line;
use super::style::{Paint, Style};
use crate::event::Event;
use crate::packet::Numbering;

/// How a ladder is drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where TCP's numbers count from.
    pub numbering: Numbering,
    /// The client's host and the server's, for the heading and for calling
    /// addresses by name where there is little room.
    pub hosts: [Host; 2],
}

/// A host as the ladder's heading has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// Its address, where it has one of its own.
    pub address: Option<IpAddr>,
}

impl Default for Options {
    fn default() -> Self {
        let host = |name: &str| Host {
            name: name.to_owned(),
            address: None,
        };
        Self {
            numbering: Numbering::Relative,
            hosts: [host("client"), host("server")],
        }
    }
}

impl Options {
    /// Names the addresses of client and server.
    #[must_use]
    pub fn with_addresses(mut self, client: IpAddr, server: IpAddr) -> Self {
        let [first, second] = &mut self.hosts;
        first.address = Some(client);
        second.address = Some(server);
        self
    }
}

/// Draws the ladder of `events`, which must be sorted by time.
pub fn render(
    out: &mut impl Write,
    events: &[Event<'_>],
    options: &Options,
    style: &Style,
) -> io::Result<()> {
    let story = story::Story::of(events);
    if story.moments.is_empty() {
        return Line::of(
            Paint::Faint,
            "Nothing happened: there are no events to draw.",
        )
        .write(out, style);
    }
    let layout = layout::Layout::of(&story, style);
    let typesetter = typeset::Typesetter {
        layout,
        options,
        start: story.start(),
        has_states: story.has_states(),
    };
    let rows = rows::shortened(rows::of(&story, options, style, layout));
    let body = rows.iter().flat_map(|entry| typesetter.lines(entry));
    for line in typesetter.heading().into_iter().chain(body) {
        line.write(out, style)?;
    }
    Ok(())
}
