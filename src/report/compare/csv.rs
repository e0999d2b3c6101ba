//! A line a message and kind of socket, for spreadsheets and plots (RFC 4180:
//! commas, CRLF, a header).
//!
//! | column | what it holds |
//! |---|---|
//! | `kind` | `tcp`, `udp`, …: [`Variant`](crate::compare::Variant)'s name |
//! | `number` | the message's number, from 1 |
//! | `size_bytes` | its length |
//! | `due_at_ns` | when it was to be sent, from the start of the run |
//! | `sent_at_ns` | when it was sent; empty where it was not |
//! | `received_at_ns` | when the program first had it whole; empty where it never had |
//! | `latency_ns` | from one to the other; empty where there is none |
//! | `state` | `delivered`, `late`, `duplicated`, `out_of_order`, `lost`, `not_sent` |
//! | `arrivals` | how often the program got it |
//! | `out_of_order`, `late` | `true` or `false` |
//! | `waited_ns` | how long it lay behind an earlier one; empty where it did not |
//! | `wire_packets`, `wire_lost`, `wire_damaged`, `wire_copies`, `wire_intact` | what the wire did to its packets; empty where no wire could see |
//!
//! Names are stable: columns are added at the end, never renamed. No value
//! holds a comma, a quote or a line break, so none is quoted. A kind that took
//! no part has no line.

use std::io::{self, Write};
use std::time::Duration;

use super::Row;
use crate::compare::{Compared, Message, State};

/// The first line.
pub const HEADER: &str = "kind,number,size_bytes,due_at_ns,sent_at_ns,received_at_ns,latency_ns,\
                          state,arrivals,out_of_order,late,waited_ns,wire_packets,wire_lost,\
                          wire_damaged,wire_copies,wire_intact";

/// Writes the header, and a line for each message of each kind.
pub fn render(out: &mut impl Write, compared: &[Compared]) -> io::Result<()> {
    write!(out, "{HEADER}\r\n")?;
    for row in compared.iter().filter_map(Row::of) {
        for message in row.messages {
            line(out, row.variant.name(), message)?;
        }
    }
    Ok(())
}

fn line(out: &mut impl Write, kind: &str, message: &Message) -> io::Result<()> {
    let Message {
        number,
        size,
        due_at,
        arrivals,
        out_of_order,
        late,
        ..
    } = message;
    write!(out, "{kind},{number},{size},{},", due_at.as_nanos())?;
    for time in [message.sent_at, message.received_at, message.latency()] {
        optional(out, time)?;
    }
    let state = word(message.state());
    write!(out, "{state},{arrivals},{out_of_order},{late},")?;
    optional(out, message.waited)?;
    let wire = message.wire.map_or_else(
        || ",".repeat(4),
        |wire| {
            let counts = [
                wire.packets,
                wire.lost,
                wire.damaged,
                wire.copies,
                wire.intact,
            ];
            counts.map(|count| count.to_string()).join(",")
        },
    );
    write!(out, "{wire}\r\n")
}

/// A time and the comma after it.
fn optional(out: &mut impl Write, time: Option<Duration>) -> io::Result<()> {
    match time {
        Some(time) => write!(out, "{},", time.as_nanos()),
        None => write!(out, ","),
    }
}

/// As JSON has it.
fn word(state: State) -> &'static str {
    match state {
        State::Delivered => "delivered",
        State::Late => "late",
        State::Duplicated => "duplicated",
        State::OutOfOrder => "out_of_order",
        State::Lost => "lost",
        State::NotSent => "not_sent",
    }
}
