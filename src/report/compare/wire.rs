//! The wire's own account of what became of each message, to stand beside the
//! program's figures.
//!
//! For datagrams the two must be equal: a message that the wire handed over
//! whole reached the program, unless the receiving kernel dropped it. A stream
//! repairs what the wire did, so nothing is said of it here.

use crate::compare::{Column, Figures, Message, OnWire};

/// A figure as the wire has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Confirmed {
    /// By the wire's doing.
    pub(super) wire: u64,
    /// By the receiving kernel's.
    pub(super) kernel: u64,
    /// Whether that is the program's figure.
    pub(super) agrees: bool,
}

impl Confirmed {
    /// Whether there was nothing to confirm.
    pub(super) fn says_nothing(self) -> bool {
        let Self {
            wire,
            kernel,
            agrees,
        } = self;
        agrees && wire == 0 && kernel == 0
    }
}

/// The messages that were sent, each with what the wire did; `None` for a
/// stream, and where no wire saw them all.
fn seen(column: &Column) -> Option<Vec<(&Message, OnWire)>> {
    if column.variant.is_stream() || column.messages.is_empty() {
        return None;
    }
    let sent = column
        .messages
        .iter()
        .filter(|message| message.sent_at.is_some());
    sent.map(|message| Some((message, message.wire?))).collect()
}

/// Messages that no packet of the wire carried whole, and those that one did
/// and the program never had.
pub(super) fn lost(figures: &Figures, column: &Column) -> Option<Confirmed> {
    let seen = seen(column)?;
    let wire = seen.iter().filter(|(_, wire)| wire.intact == 0).count() as u64;
    let dropped = seen
        .iter()
        .filter(|(message, wire)| wire.intact > 0 && message.arrivals == 0);
    let kernel = dropped.count() as u64;
    let known = figures.dropped_at_receiver.unwrap_or(0);
    let agrees = wire + kernel + figures.not_sent == u64::from(figures.lost) && kernel <= known;
    Some(Confirmed {
        wire,
        kernel,
        agrees,
    })
}

/// Copies that the wire handed over after the first, and those that the kernel
/// dropped of them.
pub(super) fn duplicated(figures: &Figures, column: &Column) -> Option<Confirmed> {
    let seen = seen(column)?;
    let further = |(_, wire): &(_, OnWire)| u64::from(wire.intact.saturating_sub(1));
    let wire: u64 = seen.iter().map(further).sum();
    let known = figures.dropped_at_receiver.unwrap_or(0);
    let came = u64::from(figures.arrivals.duplicated);
    Some(Confirmed {
        wire,
        kernel: 0,
        agrees: came <= wire && wire - came <= known,
    })
}
