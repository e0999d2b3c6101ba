//! The wire's own account of what became of each message, held against the
//! program's figures. Pure.
//!
//! For datagrams the two must be equal: a message that the wire handed over
//! whole reached the program, unless the receiving kernel dropped it. A stream
//! repairs what the wire did, so nothing is said of it here.

use super::{Column, Compared, Figures, Message, OnWire, WireUse};

/// A figure as the wire has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirmed {
    /// By the wire's doing.
    pub wire: u64,
    /// By the receiving kernel's.
    pub kernel: u64,
    /// Whether that is the program's figure.
    pub agrees: bool,
}

impl Confirmed {
    /// Whether there was nothing to confirm.
    pub fn says_nothing(self) -> bool {
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
pub fn lost(figures: &Figures, column: &Column) -> Option<Confirmed> {
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
pub fn duplicated(figures: &Figures, column: &Column) -> Option<Confirmed> {
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

/// Messages that came with other bytes than were sent, and those that the wire
/// handed over so; the kernel may have dropped some of these.
pub fn corrupted(figures: &Figures, wire: &WireUse) -> Option<Confirmed> {
    let wire = wire.reached?.damaged;
    let known = figures.dropped_at_receiver.unwrap_or(0);
    let came = u64::from(figures.arrivals.corrupted);
    Some(Confirmed {
        wire,
        kernel: 0,
        agrees: came <= wire && wire - came <= known,
    })
}

/// Segments that TCP sent again, as TCP_INFO counts them and as the sequence
/// numbers on the wire tell; `None` where the connection did not end in order.
pub fn retransmissions(figures: &Figures, wire: &WireUse) -> Option<Confirmed> {
    figures.closing?;
    let wire = wire.retransmitted?;
    Some(Confirmed {
        wire,
        kernel: 0,
        agrees: u64::from(figures.retransmitted?) == wire,
    })
}

/// A sentence for each figure that the wire has otherwise.
pub fn unconfirmed(compared: &Compared) -> Vec<String> {
    let Ok(figures) = &compared.column.result else {
        return Vec::new();
    };
    let column = &compared.column;
    let checked = [
        ("lost", figures.lost, lost(figures, column)),
        (
            "duplicated",
            figures.arrivals.duplicated,
            duplicated(figures, column),
        ),
    ];
    let wrong = checked
        .into_iter()
        .filter_map(|(name, count, confirmed)| Some((name, count, confirmed?)))
        .filter(|(_, _, confirmed)| !confirmed.agrees);
    let said = wrong.map(|(name, count, confirmed)| {
        let unsent = figures.not_sent;
        let dropped = figures.dropped_at_receiver.unwrap_or(0);
        let Confirmed { wire, kernel, .. } = confirmed;
        let kernel = match kernel {
            0 => String::new(),
            missing => format!(" and {missing} are missing behind it"),
        };
        format!(
            "{name} is {count}, but the wire has {wire}{kernel}; {dropped} were dropped \
             by the receiving kernel and {unsent} not sent"
        )
    });
    said.collect()
}
