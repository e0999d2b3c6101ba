//! Whether the programs' figures, the wire's and the kernels' can all be true:
//! they are counted independently, and what does not add up is an error.

use super::{Compared, Figures, Observed, WireUse, confirm};
use crate::error::Exit;
use crate::flow::Kind;
use crate::link::Account;

impl Compared {
    /// Whether the network said no: the link let no connection come about, or a
    /// stream did not deliver in time what it promises to deliver.
    pub fn failed_on_the_network(&self) -> bool {
        match &self.column.result {
            Ok(figures) => self.column.kind() == Kind::Tcp && figures.lost > 0,
            Err(refused) => refused.exit == Exit::Network,
        }
    }

    /// Where the programs' figures, the wire's and the kernel's cannot all be
    /// true. Empty on any healthy run. On a link they agree exactly: `link` is
    /// its account.
    pub fn disagreements(&self, link: Option<&Account>) -> Vec<String> {
        let Ok(figures) = &self.column.result else {
            return Vec::new();
        };
        let mut found = Vec::new();
        let mut say = |disagreement: Option<String>| {
            found.extend(disagreement.map(|text| format!("{}: {text}", self.column.variant)));
        };
        say(unaccounted(figures));
        let Some(wire) = &self.wire else {
            return found;
        };
        if self.column.kind() != Kind::Tcp {
            // What a device had no room for never came to the wire; the link's
            // account tells of it.
            let dropped = link.map_or(0, Account::unmodelled_loss);
            say(unseen(figures, wire, dropped));
        }
        for text in confirm::unconfirmed(self) {
            say(Some(text));
        }
        if link.is_none() {
            return found;
        }
        let reached = wire.reached.filter(|reached| reached.exact);
        say(reached.and_then(|reached| misjudged(figures, reached)));
        say(self.conjured());
        say(resent(figures, wire));
        found
    }

    /// A message that arrived more often than the wire handed it over.
    fn conjured(&self) -> Option<String> {
        let is_conjured = |arrivals: u16, intact: u16| arrivals > intact;
        let messages = self.column.messages.iter();
        let (message, wire) = messages
            .filter_map(|message| Some((message, message.wire?)))
            .find(|(message, wire)| is_conjured(message.arrivals, wire.intact))?;
        Some(format!(
            "message {} arrived {} times, and the wire handed it over whole {} times",
            message.number, message.arrivals, wire.intact
        ))
    }
}

/// Delivered and lost are all that was sent.
fn unaccounted(figures: &Figures) -> Option<String> {
    let (delivered, lost) = (figures.arrivals.delivered, figures.lost);
    (delivered + lost != figures.sent).then(|| {
        format!(
            "{delivered} delivered and {lost} lost are not the {} sent",
            figures.sent
        )
    })
}

/// A datagram is one packet or several fragments, never less.
fn unseen(figures: &Figures, wire: &WireUse, dropped: u64) -> Option<String> {
    (wire.data_packets + dropped < figures.writes).then(|| {
        format!(
            "{} messages were sent, {} packets crossed the wire",
            figures.writes, wire.data_packets
        )
    })
}

/// What the wire handed over, the program got or the kernel dropped: exactly.
fn misjudged(figures: &Figures, reached: Observed) -> Option<String> {
    let arrivals = figures.arrivals;
    let whole = u64::from(arrivals.delivered) + u64::from(arrivals.duplicated);
    let got = whole + u64::from(arrivals.corrupted);
    let dropped = figures.dropped_at_receiver?;
    let handed_over = reached.intact + reached.damaged + reached.refused;
    let is_exact = got + dropped == handed_over && whole <= reached.intact;
    (!is_exact).then(|| {
        format!(
            "the program got {whole} messages whole and {} damaged, the kernel dropped {dropped}; \
             the wire handed over {} whole, {} damaged and {} with a wrong checksum",
            arrivals.corrupted, reached.intact, reached.damaged, reached.refused
        )
    })
}

/// `TCP_INFO` and the sequence numbers count the same retransmissions, where the
/// connection came to its end: what a kernel sends later neither counts.
fn resent(figures: &Figures, wire: &WireUse) -> Option<String> {
    figures.closing?;
    let (kernel, wire) = (u64::from(figures.retransmitted?), wire.retransmitted?);
    (kernel != wire)
        .then(|| format!("the kernel counts {kernel} segments sent again, the wire saw {wire}"))
}
