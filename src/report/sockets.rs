//! What identifies each socket: the table of five-tuples, or a list of them
//! where an address would have to break.

use std::net::SocketAddr;

use super::line::Line;
use super::style::{Paint, Style};
use super::table::{self, Align};
use crate::flow::Kind;

/// One socket as the table has it.
pub(super) struct Named<'a> {
    pub(super) host: &'a str,
    pub(super) name: &'a str,
    pub(super) protocol: Kind,
    /// Its own address; none where the kernel chose one that nobody saw.
    pub(super) local: Option<SocketAddr>,
    /// Its peer's; none where it talks to any.
    pub(super) remote: Option<SocketAddr>,
}

/// The sockets under a heading.
pub(super) fn lines(heading: &str, sockets: &[Named<'_>], style: &Style) -> Vec<Line> {
    let head = [
        ("host", Align::Left),
        ("socket", Align::Left),
        ("protocol", Align::Left),
        ("local address", Align::Left),
        ("port", Align::Right),
        ("remote address", Align::Left),
        ("port", Align::Right),
    ];
    let rows: Vec<_> = sockets.iter().map(cells).collect();
    let mut lines = table::heading(heading, style);
    if table::natural_width(&head, &rows) <= style.columns() {
        lines.extend(table::table(&head, &rows, style));
    } else {
        let listed = |socket: &Named<'_>| table::sentence(Paint::Plain, &phrase(socket), style);
        lines.extend(sockets.iter().flat_map(listed));
    }
    lines
}

fn cells(socket: &Named<'_>) -> Vec<String> {
    let [local, remote] =
        [(socket.local, "–"), (socket.remote, "any")].map(|(end, otherwise)| match end {
            Some(end) => (end.ip().to_string(), end.port().to_string()),
            None => (otherwise.to_owned(), otherwise.to_owned()),
        });
    vec![
        socket.host.to_owned(),
        socket.name.to_owned(),
        socket.protocol.to_string(),
        local.0,
        local.1,
        remote.0,
        remote.1,
    ]
}

fn phrase(socket: &Named<'_>) -> String {
    let end = |end: Option<SocketAddr>, otherwise: &str| {
        end.map_or(otherwise.to_owned(), |end| end.to_string())
    };
    format!(
        "{} {}: {}, {} → {}",
        socket.host,
        socket.name,
        socket.protocol,
        end(socket.local, "an address of its own"),
        end(socket.remote, "any")
    )
}
