//! What a page keeps of a run: the first of each topic, however long the run
//! is, and how many there were.

use std::sync::{Mutex, PoisonError};

use crate::event::{Event, Sink, Topic, What};
use crate::report::figure::grouped;

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Packets.
    pub packets: usize,
    /// Calls and state changes, each.
    pub calls: usize,
    /// Looks at the senders.
    pub samples: usize,
}

impl Default for Limits {
    /// A few megabytes.
    fn default() -> Self {
        Self {
            packets: 4_000,
            calls: 1_000,
            samples: 10_000,
        }
    }
}

/// A sink that keeps the first events of each topic.
#[derive(Debug, Default)]
pub struct Excerpt {
    limits: Limits,
    kept: Mutex<Kept>,
}

/// What was kept, and how much there was.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Kept {
    /// The events, sorted by time.
    pub events: Vec<Event<'static>>,
    /// How many packets there were.
    pub packets: u64,
    /// How many calls there were.
    pub calls: u64,
    /// How many looks at the senders there were.
    pub samples: u64,
    states: u64,
    /// Topics of which not all was kept.
    cut: [bool; 3],
}

impl Excerpt {
    /// One that keeps so much.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            kept: Mutex::default(),
        }
    }

    /// What was kept; the excerpt is empty afterwards.
    pub fn take(&self) -> Kept {
        let mut kept =
            std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner));
        kept.events.sort_by_key(|event| event.at);
        kept
    }
}

impl Sink for Excerpt {
    fn wants(&self, topic: Topic) -> bool {
        matches!(
            topic,
            Topic::Call | Topic::State | Topic::Sample | Topic::Packet
        )
    }

    fn record(&self, event: &Event<'_>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Limits {
            packets,
            calls,
            samples,
        } = self.limits;
        let (count, most, topic) = match event.what {
            What::Packet(_) => (&mut kept.packets, packets, 0),
            What::Call(_) => (&mut kept.calls, calls, 1),
            What::State(_) => (&mut kept.states, calls, 1),
            What::Sample(_) => (&mut kept.samples, samples, 2),
            _ => return,
        };
        *count += 1;
        if *count > most as u64 {
            kept.cut[topic] = true;
        } else {
            kept.events.push(event.clone().into_owned());
        }
    }
}

impl Kept {
    /// Whether packets are missing.
    pub(super) fn lacks_packets(&self) -> bool {
        self.cut[0]
    }

    /// What is missing, a sentence each.
    pub(super) fn remarks(&self, limits: Limits) -> Vec<String> {
        let said = |index: usize, count: u64, most: usize, what: &str| {
            let (most, count) = (grouped(most as u64), grouped(count));
            self.cut[index].then(|| format!("Of {count} {what} the first {most} known are here."))
        };
        [
            said(0, self.packets, limits.packets, "packets"),
            said(1, self.calls, limits.calls, "calls"),
            said(2, self.samples, limits.samples, "looks at the senders"),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event::{Call, Note, Outcome, Place};

    fn call(at: u64) -> Event<'static> {
        Event {
            at: Duration::from_millis(at),
            host: Place::Client,
            what: What::Call(Call {
                socket: "socket".into(),
                name: "send",
                arguments: String::new(),
                outcome: Outcome::Returned {
                    returned: 1,
                    detail: None,
                },
                took: Duration::ZERO,
            }),
        }
    }

    #[test]
    fn the_first_of_each_topic_is_kept_and_the_rest_counted() {
        let limits = Limits {
            packets: 1,
            calls: 2,
            samples: 1,
        };
        let excerpt = Excerpt::new(limits);
        for at in [3, 1, 2] {
            excerpt.record(&call(at));
        }
        let text = String::new();
        let what = What::Note(Note { text });
        excerpt.record(&Event { what, ..call(0) });
        let kept = excerpt.take();
        let at: Vec<_> = kept
            .events
            .iter()
            .map(|event| event.at.as_millis())
            .collect();
        assert_eq!(
            at,
            [1, 3],
            "sorted by time, the first two that became known"
        );
        assert_eq!(kept.calls, 3);
        assert_eq!(
            kept.remarks(limits),
            ["Of 3 calls the first 2 known are here."]
        );
        assert!(!kept.lacks_packets());
    }
}
