//! What a run has come to: the summary's figures, and the requests that nobody
//! answered.
//!
//! Pure, and changes nothing: it may be asked at any time.

use std::time::{Duration, Instant};

use super::window::{Fate, Sent};
use super::{Core, Tally};
use crate::event::{EchoPatience, EchoStarted, EchoSummary};
use crate::ping::host::plan::Rhythm;

/// An interval below this is no interval (iputils counts milliseconds).
const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);

impl Core {
    /// The figures at `now`, of the run that `started` tells of.
    pub fn summary(&self, started: &EchoStarted, now: Instant) -> EchoSummary {
        let tally = &self.tally;
        let time = self.last_sent.map_or(Duration::ZERO, |last| {
            last.saturating_duration_since(self.started)
        });
        let dense = self.plan.rhythm != Rhythm::Steady || self.plan.interval < SHORTEST_INTERVAL;
        let unpaced = dense && tally.received > 0;
        let in_flight = self.in_flight(now);
        let settled = tally.received + tally.failed + in_flight;
        EchoSummary {
            target: started.target.clone(),
            address: started.address.clone(),
            source: started.source.clone(),
            interface: started.interface.clone(),
            socket: started.socket,
            transmitted: tally.transmitted,
            received: tally.received,
            duplicates: tally.duplicates,
            corrupted: tally.corrupted,
            errors: tally.errors,
            lost: tally.transmitted.saturating_sub(settled),
            in_flight,
            out_of_order: tally.out_of_order,
            loss_percent: loss_percent(tally),
            time,
            round_trips: self.round_trips.figures(),
            pipe: tally.pipe,
            gap: (unpaced && tally.transmitted > 1)
                .then(|| time / u32::try_from(tally.transmitted - 1).unwrap_or(u32::MAX)),
        }
    }

    /// The probes without a reply or an error at the end of the run, each with
    /// how far it was waited for.
    pub fn unanswered(&self, now: Instant) -> impl Iterator<Item = (u64, EchoPatience)> + '_ {
        let open = self.window.numbered();
        open.filter(|(_, sent)| sent.fate == Fate::Open)
            .map(move |(number, sent)| {
                let patience = if self.is_recent(sent, now) {
                    EchoPatience::Ended
                } else {
                    EchoPatience::Over
                };
                (number, patience)
            })
    }

    fn is_recent(&self, sent: &Sent, now: Instant) -> bool {
        self.patience()
            .is_none_or(|patience| now.saturating_duration_since(self.instant(sent.at)) < patience)
    }

    /// Probes that may still be answered: sent no longer ago than the final
    /// wait would be.
    fn in_flight(&self, now: Instant) -> u64 {
        let recent = self
            .window
            .latest_first()
            .take_while(|sent| self.is_recent(sent, now));
        recent.filter(|sent| sent.fate == Fate::Open).count() as u64
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a percentage of more than 2^53 probes may be off in its 16th digit"
)]
fn loss_percent(tally: &Tally) -> Option<f64> {
    let lost = tally.transmitted.saturating_sub(tally.received);
    (tally.transmitted > 0).then(|| lost as f64 * 100.0 / tally.transmitted as f64)
}
