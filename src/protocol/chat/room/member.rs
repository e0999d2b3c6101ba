//! One member of the room: the register's entry.
//!
//! Owns what is known of them and what waits for them.

use std::net::SocketAddr;
use std::time::Instant;

use crate::protocol::chat::line::Piece;
use crate::protocol::chat::nick::Nick;
use crate::protocol::chat::outbox::Outbox;
use crate::protocol::chat::words::{counted, duration};

/// An entry.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) nick: Nick,
    address: SocketAddr,
    pub(super) joined: Instant,
    last: Instant,
    pub(super) lines: u64,
    pub(super) received: u64,
    pub(super) outbox: Outbox,
    pub(super) is_dirty: bool,
}

impl Member {
    pub(super) fn new(nick: Nick, address: SocketAddr, now: Instant) -> Self {
        Self {
            nick,
            address,
            joined: now,
            last: now,
            lines: 0,
            received: 0,
            outbox: Outbox::default(),
            is_dirty: false,
        }
    }

    pub(super) fn heard(&mut self, now: Instant, piece: &Piece) {
        self.last = now;
        self.lines += 1;
        self.received += match piece {
            Piece::Line(bytes) => bytes.len() as u64,
            Piece::TooLong(length) => *length as u64,
        };
    }

    /// As other members see it.
    pub(super) fn line(&self, now: Instant) -> String {
        let lines = counted(self.lines, "line");
        let here = duration(now.duration_since(self.joined));
        let quiet = duration(now.duration_since(self.last));
        format!("{}: {lines}, here for {here}, quiet for {quiet}", self.nick)
    }

    /// As whoever keeps the room sees it.
    pub(super) fn entry(&self, id: u64, now: Instant) -> String {
        let Self {
            address, received, ..
        } = self;
        let waiting = self.outbox.waiting();
        let line = self.line(now);
        format!("{id}: {address} {line}; {received} bytes in, {waiting} waiting")
    }
}
