//! How sockets and connections are called: only as long as it takes to tell
//! them apart.

use std::collections::BTreeSet;

use super::rows::side;
use super::story::{Happening, Story};
use crate::event::{Place, SocketName};
use crate::flow::FiveTuple;

/// The sockets and connections of both hosts.
pub(super) struct Sockets<'a> {
    names: [BTreeSet<&'a str>; 2],
    connections: [Vec<FiveTuple>; 2],
}

impl<'a> Sockets<'a> {
    pub(super) fn of(story: &'a Story<'a>) -> Self {
        let mut sockets = Self {
            names: Default::default(),
            connections: Default::default(),
        };
        for moment in &story.moments {
            match moment.what {
                Happening::Call(host, call, ..) => {
                    if let Some(side) = side(host) {
                        sockets.names[side].insert(&call.socket.0);
                    }
                }
                Happening::State(host, change) => {
                    if let Some(connections) = side(host).map(|side| &mut sockets.connections[side])
                        && !is_listener(&change.connection)
                        && !connections.contains(&change.connection)
                    {
                        connections.push(change.connection);
                    }
                }
                _ => {}
            }
        }
        sockets
    }

    /// The socket's name, where the host has several; cut to what tells it
    /// from the others where `briefly`.
    pub(super) fn called<'n>(
        &self,
        host: Place,
        socket: &'n SocketName,
        briefly: bool,
    ) -> Option<&'n str> {
        const LONG: usize = 8;
        const LEAST: usize = 4;
        let names = &self.names[side(host)?];
        let name: &str = &socket.0;
        if names.len() < 2 {
            return None;
        }
        if !briefly || name.chars().count() <= LONG {
            return Some(name);
        }
        let is_unique = |short: &str| {
            let mut alike = names.iter().filter(|other| other.starts_with(short));
            alike.next().is_some() && alike.next().is_none()
        };
        let ends = name.char_indices().map(|(end, _)| end).skip(LEAST);
        let mut shorter = ends.map(|end| &name[..end]);
        Some(shorter.find(|short| is_unique(short)).unwrap_or(name))
    }

    /// What tells a host's connection from its others: the client's port.
    pub(super) fn connection(&self, host: Place, connection: &FiveTuple) -> String {
        let connections = side(host).map_or(0, |side| self.connections[side].len());
        let port = match host {
            Place::Client => connection.local.port(),
            Place::Server | Place::Wire => connection.remote.port(),
        };
        if connections < 2 || is_listener(connection) {
            return String::new();
        }
        format!(" :{port}")
    }
}

/// A listening socket has no peer.
fn is_listener(connection: &FiveTuple) -> bool {
    connection.remote.port() == 0
}
