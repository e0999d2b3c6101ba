//! One lane's figures and its messages, from what was sent and what was heard.
//!
//! Pure: lists of facts in, judgement out.

use std::time::Duration;

use serde::Serialize;

use super::lane::{Arrived, Dispatched, Heard, privilege};
use super::play::Played;
use super::{Boundaries, Column, Identity, Message};
use crate::stats::{Arrivals, Jitter, Latency, LatencySummary, Reordering, ReorderingMeter};
use crate::units::{nanoseconds, optional_nanoseconds};

/// One lane's figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// What tells the client from other peers.
    pub client: Identity,
    /// What tells the server from other peers.
    pub server: Identity,
    /// How long it took until the first message could be sent.
    #[serde(rename = "set_up_ns", serialize_with = "nanoseconds")]
    pub set_up: Duration,
    /// How long it took, after the last message was sent, until a stream had
    /// ended at both ends; `None` where it did not, or there is nothing to end.
    #[serde(rename = "closing_ns", serialize_with = "optional_nanoseconds")]
    pub closing: Option<Duration>,
    /// When the first message was due, on the run's clock.
    #[serde(rename = "started_at_ns", serialize_with = "nanoseconds")]
    pub started_at: Duration,
    /// When the last message had been sent, on the run's clock.
    #[serde(rename = "sent_until_ns", serialize_with = "nanoseconds")]
    pub sent_until: Duration,
    /// When the last message arrived, on the run's clock.
    #[serde(rename = "received_until_ns", serialize_with = "optional_nanoseconds")]
    pub received_until: Option<Duration>,
    /// Messages that were due.
    pub sent: u32,
    /// Messages that never arrived.
    pub lost: u32,
    /// Of those, messages that never left the program: the sender's own queue
    /// had no room for them, or the stream had been given up.
    pub not_sent: u64,
    /// What the receiving socket dropped, as the kernel counted it
    /// (`SO_MEMINFO`): for want of room, copies included, and for a wrong
    /// checksum. `None` for a stream, which drops nothing for good.
    pub dropped_at_receiver: Option<u64>,
    /// How the others arrived.
    #[serde(flatten)]
    pub arrivals: Arrivals,
    /// How far out of order (RFC 4737).
    #[serde(flatten)]
    pub reordering: Reordering,
    /// Messages that came later than the deadline; `None` without one.
    pub late: Option<u32>,
    /// Messages that lay in the receiving kernel because an earlier one was not
    /// there yet, by the wire's times: 0 for datagrams, `None` where no wire
    /// could see.
    #[serde(rename = "head_of_line_blocked")]
    pub blocked: Option<u32>,
    /// The longest that one of those lay there.
    #[serde(
        rename = "head_of_line_longest_ns",
        serialize_with = "optional_nanoseconds"
    )]
    pub blocked_longest: Option<Duration>,
    /// Calls that sent something.
    pub writes: u64,
    /// Calls that received something.
    pub reads: u64,
    /// Of the reads, those that gave exactly one message.
    pub reads_of_one_message: u64,
    /// Whether the kind promises that each receive gives exactly one message.
    pub boundaries: Boundaries,
    /// From the sender's call to the receiver's return.
    pub latency: Option<LatencySummary>,
    /// The interarrival jitter's last estimate (RFC 3550 section 6.4.1).
    #[serde(rename = "jitter_ns", serialize_with = "optional_nanoseconds")]
    pub jitter: Option<Duration>,
    /// The longest time in which nothing arrived, beyond the longest gap of the
    /// schedule itself.
    #[serde(rename = "longest_stall_ns", serialize_with = "nanoseconds")]
    pub longest_stall: Duration,
    /// Bits of message a second that arrived, each message once, from the first
    /// one sent to the last one received.
    #[serde(rename = "goodput_bits_per_s")]
    pub goodput: Option<u64>,
    /// Segments that the client's kernel sent again, as `TCP_INFO` counts them
    /// (`tcpi_total_retrans`: SYN, data and FIN); `None` without a connection.
    pub retransmitted: Option<u32>,
}

/// Judges one lane.
pub(super) fn column(played: &Played, deadline: Option<Duration>) -> Column {
    let Played {
        variant,
        sent,
        heard,
        ..
    } = played;
    let mut judge = Judge::new(played, deadline);
    for arrived in &heard.arrived {
        judge.arrived(arrived);
    }
    let Judge {
        messages, meter, ..
    } = &judge;
    let count = |of: &dyn Fn(&Message) -> bool| total(messages, |one| u32::from(of(one)));
    let arrivals = Arrivals {
        delivered: count(&|one| one.arrivals > 0),
        delivered_once: count(&|one| one.arrivals == 1),
        repeated: count(&|one| one.arrivals > 1),
        duplicated: total(messages, |one| u32::from(one.arrivals.saturating_sub(1))),
        out_of_order: count(&|one| one.out_of_order),
        corrupted: heard.damaged,
    };
    let figures = Figures {
        client: played.client,
        server: played.server,
        set_up: played.set_up,
        closing: played.closing,
        started_at: played.start,
        sent_until: sent.ended,
        received_until: messages.iter().filter_map(|one| one.received_at).max(),
        sent: count(&|_| true),
        lost: count(&|one| one.arrivals == 0),
        not_sent: count(&|one| one.sent_at.is_none() && one.arrivals == 0).into(),
        dropped_at_receiver: heard.drops,
        arrivals,
        reordering: meter.reordering(),
        late: deadline.map(|_| count(&|one| one.late)),
        blocked: (!variant.is_stream()).then_some(0),
        blocked_longest: None,
        writes: sent.writes,
        reads: heard.reads,
        reads_of_one_message: heard.reads_of_one_message,
        boundaries: if variant.is_stream() {
            Boundaries::None
        } else {
            Boundaries::Kept
        },
        latency: judge.latency.summary(),
        jitter: judge.jitter.estimate(),
        longest_stall: longest_stall(sent, heard),
        goodput: goodput(messages),
        retransmitted: played.info.map(|info| info.total_retransmits),
    };
    Column {
        variant: *variant,
        privilege: privilege(*variant),
        result: Ok(figures),
        messages: judge.messages,
    }
}

fn total(messages: &[Message], of: impl Fn(&Message) -> u32) -> u32 {
    messages.iter().map(of).sum()
}

struct Judge {
    messages: Vec<Message>,
    deadline: Option<Duration>,
    meter: ReorderingMeter,
    latency: Latency,
    jitter: Jitter,
}

impl Judge {
    fn new(played: &Played, deadline: Option<Duration>) -> Self {
        let sent = played.sent.messages.iter();
        Self {
            messages: sent
                .map(|(planned, sent_at)| Message {
                    number: planned.number,
                    size: planned.size,
                    due_at: played.start + planned.due,
                    sent_at: *sent_at,
                    received_at: None,
                    arrivals: 0,
                    out_of_order: false,
                    late: false,
                    waited: None,
                    wire: None,
                })
                .collect(),
            deadline,
            meter: ReorderingMeter::default(),
            latency: Latency::default(),
            jitter: Jitter::default(),
        }
    }

    fn arrived(&mut self, arrived: &Arrived) {
        let index = (arrived.number as usize).checked_sub(1);
        let Some(message) = index.and_then(|index| self.messages.get_mut(index)) else {
            return;
        };
        message.arrivals = message.arrivals.saturating_add(1);
        if message.arrivals > 1 {
            return;
        }
        let latency = arrived.at.saturating_sub(arrived.sent_at);
        message.received_at = Some(arrived.at);
        message.late = self.deadline.is_some_and(|deadline| latency > deadline);
        message.out_of_order = self.meter.arrived(arrived.number).is_some();
        self.latency.add(latency);
        self.jitter.arrived(latency);
    }
}

/// The longest pause between two arrivals, less the schedule's longest pause
/// between two messages.
fn longest_stall(sent: &Dispatched, heard: &Heard) -> Duration {
    let longest = |times: &mut dyn Iterator<Item = Duration>| {
        let mut last = times.next().unwrap_or_default();
        times
            .map(|time| time.saturating_sub(std::mem::replace(&mut last, time)))
            .max()
            .unwrap_or_default()
    };
    let due = longest(&mut sent.messages.iter().map(|(planned, _)| planned.due));
    let paused = longest(&mut heard.arrived.iter().map(|arrived| arrived.at));
    paused.saturating_sub(due)
}

fn goodput(messages: &[Message]) -> Option<u64> {
    let first = messages.iter().filter_map(|one| one.sent_at).min()?;
    let last = messages.iter().filter_map(|one| one.received_at).max()?;
    let arrived = messages.iter().filter(|one| one.arrivals > 0);
    let bits: u128 = arrived.map(|one| u128::from(one.size) * 8).sum();
    let took = last.saturating_sub(first).as_nanos();
    u64::try_from((bits * 1_000_000_000).checked_div(took)?).ok()
}
