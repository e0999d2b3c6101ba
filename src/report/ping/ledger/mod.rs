//! The running figures of every host that is pinged, kept from the events alone.
//!
//! Pure: events in, figures out, `now` passed in. What counts has been decided by
//! the engine; only a request that nobody has given up yet is given up here, so
//! that a run without end shows its losses. A reply that comes after all is
//! counted as late, and the loss stays counted: counters never go back.

mod spread;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::event::{
    Echo, EchoCause, EchoFailure, EchoJudgement, EchoPatience, EchoReply, EchoStarted, EchoTarget,
    EchoUnresolved,
};
use crate::stats::Jitter;

pub use spread::Spread;

/// No request is given up sooner.
const LEAST_PATIENCE: Duration = Duration::from_secs(1);

/// The hosts of a run, by their place among its targets.
#[derive(Debug, Default)]
pub struct Ledger {
    accounts: BTreeMap<u32, Account>,
    unresolved: BTreeMap<u32, EchoUnresolved>,
    /// Errors that do not tell whom they are about, of a run with several hosts.
    pub strays: BTreeMap<&'static str, u64>,
}

/// One host's figures.
#[derive(Debug)]
pub struct Account {
    /// What is pinged, from where, through what.
    pub started: EchoStarted,
    /// Requests sent.
    pub sent: u64,
    /// Requests that were answered.
    pub received: u64,
    /// Further replies to answered requests.
    pub duplicates: u64,
    /// Replies with a wrong checksum.
    pub corrupted: u64,
    /// Replies from another address.
    pub elsewhere: u64,
    /// Replies that came after a reply to a later request.
    pub out_of_order: u64,
    /// Requests whose time is over.
    pub lost: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Requests that were answered after they had been given up.
    pub late: u64,
    /// ICMP errors and local errors by what they are.
    pub errors: BTreeMap<&'static str, u64>,
    /// Round trips, those of duplicates included as `ping(8)` has it.
    pub round_trips: Spread,
    /// The latest round trip.
    pub last: Option<Duration>,
    /// Both kinds of measurement, where a reply has both.
    pub clocks: Clocks,
    jitter: Jitter,
    waiting: BTreeMap<u64, Duration>,
}

/// What the program's and the kernel's own clocks made of the same replies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Clocks {
    count: u32,
    kernel: Duration,
    program: Duration,
}

impl Clocks {
    /// The means: from the kernel's stamp of the departure to its stamp of the
    /// arrival, and from the send call until the receive call returned.
    pub fn averages(&self) -> Option<(Duration, Duration)> {
        (self.count > 0).then(|| (self.kernel / self.count, self.program / self.count))
    }

    fn add(&mut self, reply: &EchoReply<'_>) {
        let (Some(kernel), Some(count)) = (reply.kernel_round_trip, self.count.checked_add(1))
        else {
            return;
        };
        self.count = count;
        self.kernel = self.kernel.saturating_add(kernel);
        self.program = self.program.saturating_add(reply.user_round_trip);
    }
}

/// What an event means for a host's figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// A round trip was measured, of a request sent then.
    Measured(Duration),
    /// A request that was sent then is given up.
    Lost(Duration),
    /// A request that was sent then met an error.
    Failed(Duration),
    /// Nothing that is shown by itself.
    Other,
}

impl Ledger {
    /// Takes one event into account. Whose it is, and what it means there.
    pub fn record(&mut self, at: Duration, echo: &Echo<'_>) -> Option<(u32, Entry)> {
        if let Echo::Started(started) = echo {
            let account = Account::new(started.as_ref().clone());
            self.accounts.insert(started.target.index, account);
            return Some((started.target.index, Entry::Other));
        }
        if let Echo::Unresolved(unresolved) = echo {
            let place = unresolved.target.index;
            self.unresolved.insert(place, unresolved.as_ref().clone());
            return None;
        }
        let target = target(echo);
        if target.is_none() {
            if let Echo::Failure(failure) = echo {
                self.stray(failure);
            }
            return None;
        }
        let index = target?.index;
        let account = self.accounts.get_mut(&index)?;
        Some((index, account.record(at, echo)))
    }

    /// Gives up the requests that have waited too long by `now`, and tells of
    /// each whose it is and when it was sent.
    pub fn settle(&mut self, now: Duration, mut given_up: impl FnMut(u32, Duration)) {
        for (index, account) in &mut self.accounts {
            account.settle(now, |sent_at| given_up(*index, sent_at));
        }
    }

    /// The hosts, in the order in which they were given.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// Those that have no address, and so no figures, in the order in which they
    /// were given.
    pub fn unresolved(&self) -> impl ExactSizeIterator<Item = &EchoUnresolved> {
        self.unresolved.values()
    }

    /// How many hosts there are with an address.
    pub fn hosts(&self) -> usize {
        self.accounts.len()
    }

    /// The host at this place.
    pub fn account(&self, index: u32) -> Option<&Account> {
        self.accounts.get(&index)
    }

    fn stray(&mut self, failure: &EchoFailure) {
        let mut accounts = self.accounts.values_mut();
        let errors = match (accounts.next(), accounts.next()) {
            (Some(only), None) => &mut only.errors,
            _ => &mut self.strays,
        };
        *errors.entry(kind(&failure.cause)).or_default() += 1;
    }
}

impl Account {
    fn new(started: EchoStarted) -> Self {
        Self {
            started,
            sent: 0,
            received: 0,
            duplicates: 0,
            corrupted: 0,
            elsewhere: 0,
            out_of_order: 0,
            lost: 0,
            failed: 0,
            late: 0,
            errors: BTreeMap::new(),
            round_trips: Spread::default(),
            last: None,
            clocks: Clocks::default(),
            jitter: Jitter::default(),
            waiting: BTreeMap::new(),
        }
    }

    /// Requests that may still be answered.
    pub fn in_flight(&self) -> u64 {
        self.waiting.len() as u64
    }

    /// How much one round trip differs from the next (RFC 3550).
    pub fn jitter(&self) -> Option<Duration> {
        self.jitter.estimate()
    }

    /// When the oldest request that may still be answered is given up.
    fn patience(&self) -> Duration {
        let longest = self
            .round_trips
            .extremes()
            .map_or(Duration::ZERO, |of| of.1);
        (longest * 2).max(self.started.interval).max(LEAST_PATIENCE)
    }

    fn settle(&mut self, now: Duration, mut given_up: impl FnMut(Duration)) {
        let patience = self.patience();
        while let Some(oldest) = self.waiting.first_entry() {
            if now.saturating_sub(*oldest.get()) < patience {
                return;
            }
            given_up(oldest.remove());
            self.lost += 1;
        }
    }

    fn record(&mut self, at: Duration, echo: &Echo<'_>) -> Entry {
        match echo {
            Echo::Request(request) => {
                self.sent = self.sent.max(request.number);
                self.waiting.insert(request.number, at);
                Entry::Other
            }
            Echo::Reply(reply) => self.reply(at, reply),
            Echo::Failure(failure) => {
                *self.errors.entry(kind(&failure.cause)).or_default() += 1;
                let Some(number) = failure.number else {
                    return Entry::Other;
                };
                let was_sent = number <= self.sent;
                self.sent = self.sent.max(number);
                let unsent = (!was_sent).then_some(at);
                let sent_at = self.waiting.remove(&number).or(unsent);
                self.failed += u64::from(sent_at.is_some());
                sent_at.map_or(Entry::Other, Entry::Failed)
            }
            Echo::NoAnswer(silence) if silence.patience == EchoPatience::Over => {
                let sent_at = self.waiting.remove(&silence.number);
                self.lost += u64::from(sent_at.is_some());
                sent_at.map_or(Entry::Other, Entry::Lost)
            }
            _ => Entry::Other,
        }
    }

    fn reply(&mut self, at: Duration, reply: &EchoReply<'_>) -> Entry {
        self.sent = self.sent.max(reply.number);
        match reply.judgement {
            EchoJudgement::Counted => {
                self.received += 1;
                self.late += u64::from(self.waiting.remove(&reply.number).is_none());
                self.out_of_order += u64::from(reply.out_of_order);
            }
            EchoJudgement::Duplicate => self.duplicates += 1,
            EchoJudgement::BadChecksum => {
                self.corrupted += 1;
                return Entry::Other;
            }
            EchoJudgement::DifferentAddress => {
                self.elsewhere += 1;
                return Entry::Other;
            }
        }
        self.round_trips.add(reply.round_trip);
        self.jitter.arrived(reply.round_trip);
        self.last = Some(reply.round_trip);
        self.clocks.add(reply);
        Entry::Measured(at.saturating_sub(reply.user_round_trip))
    }
}

/// Whom an event is about.
#[allow(
    clippy::match_wildcard_for_single_variants,
    reason = "whatever else there will be is about no request"
)]
pub(in crate::report) fn target<'e>(echo: &'e Echo<'_>) -> Option<&'e EchoTarget> {
    if let Echo::Redirect(redirect) = echo {
        return Some(&redirect.target);
    }
    match echo {
        Echo::Started(started) => Some(&started.target),
        Echo::Request(request) => Some(&request.target),
        Echo::Reply(reply) => Some(&reply.target),
        Echo::Failure(failure) => failure.target.as_ref(),
        Echo::NoAnswer(silence) => Some(&silence.target),
        Echo::Unresolved(unresolved) => Some(&unresolved.target),
        Echo::Status(summary) | Echo::Summary(summary) => Some(&summary.target),
        _ => None,
    }
}

/// An error's name, by its ICMP type or by who noticed.
pub(in crate::report) fn kind(cause: &EchoCause) -> &'static str {
    match cause {
        EchoCause::Icmp {
            from, icmp_type, ..
        } => match (from.ip.is_ipv6(), icmp_type) {
            (false, 3) | (true, 1) => "destination_unreachable",
            (false, 4) => "source_quench",
            (false, 5) | (true, 137) => "redirect",
            (false, 11) | (true, 3) => "time_exceeded",
            (false, 12) | (true, 4) => "parameter_problem",
            (true, 2) => "packet_too_big",
            _ => "icmp",
        },
        EchoCause::TooLong { .. } => "message_too_long",
        EchoCause::Local { .. } => "local",
        EchoCause::Send { .. } => "send",
    }
}

#[cfg(test)]
mod tests;
