//! CoDel: drops at the head of a queue whose delay has stayed above a target
//! for an interval, ever more often until it falls.
//!
//! RFC 8289 sections 4 and 5, name for name, the reuse of the count on
//! re-entering included. Marks instead of dropping where it may.

use std::time::Duration;

use super::outbox::Outbox;
use super::parcel::Parcel;
use super::queue::Queue;

/// The state of the controller.
#[derive(Debug)]
pub(super) struct CoDel {
    target: Duration,
    interval: Duration,
    ecn: bool,
    first_above: Option<Duration>,
    drop_next: Duration,
    count: u32,
    last_count: u32,
    is_dropping: bool,
    longest_packet: u64,
}

impl CoDel {
    /// A controller that has seen nothing.
    pub(super) fn new(target: Duration, interval: Duration, ecn: bool) -> Self {
        Self {
            target,
            interval,
            ecn,
            first_above: None,
            drop_next: Duration::ZERO,
            count: 0,
            last_count: 0,
            is_dropping: false,
            longest_packet: 0,
        }
    }

    /// The next packet to serve, whose turn comes at `now`; those dropped before
    /// it go to `outbox`.
    pub(super) fn take(
        &mut self,
        now: Duration,
        queue: &mut Queue,
        outbox: &mut Outbox,
    ) -> Option<Parcel> {
        let (mut parcel, mut may_drop) = self.dequeue(now, queue);
        if self.is_dropping {
            self.is_dropping = may_drop;
            while self.is_dropping && now >= self.drop_next {
                self.count = self.count.saturating_add(1);
                let is_marked = self.refuse(now, &mut parcel, outbox);
                if !is_marked {
                    (parcel, may_drop) = self.dequeue(now, queue);
                }
                self.is_dropping = may_drop;
                if may_drop {
                    self.drop_next = self.next_drop(self.drop_next);
                }
                if is_marked {
                    break;
                }
            }
        } else if may_drop {
            if !self.refuse(now, &mut parcel, outbox) {
                (parcel, _) = self.dequeue(now, queue);
            }
            self.begin(now);
        }
        parcel
    }

    /// Enters the dropping state. Where it was left a short while ago, the rate
    /// that was found then is taken up again.
    fn begin(&mut self, now: Duration) {
        let drops = self.count - self.last_count;
        let is_recent = now.saturating_sub(self.drop_next) < self.interval.saturating_mul(16);
        self.is_dropping = true;
        self.count = if drops > 1 && is_recent { drops } else { 1 };
        self.drop_next = self.next_drop(now);
        self.last_count = self.count;
    }

    /// The head of the queue, and whether the delay has been above the target
    /// for an interval.
    fn dequeue(&mut self, now: Duration, queue: &mut Queue) -> (Option<Parcel>, bool) {
        let Some(parcel) = queue.pop() else {
            self.first_above = None;
            return (None, false);
        };
        self.longest_packet = self.longest_packet.max(parcel.length());
        // A waiting packet is due since it arrived here.
        let sojourn = now.saturating_sub(parcel.due_at);
        if sojourn < self.target || queue.bytes() <= self.longest_packet {
            self.first_above = None;
            return (Some(parcel), false);
        }
        match self.first_above {
            None => {
                self.first_above = Some(now.saturating_add(self.interval));
                (Some(parcel), false)
            }
            Some(deadline) => (Some(parcel), now >= deadline),
        }
    }

    /// Drops the packet, or marks it and leaves it; whether it was marked.
    fn refuse(&self, now: Duration, parcel: &mut Option<Parcel>, outbox: &mut Outbox) -> bool {
        if self.ecn && parcel.as_mut().is_some_and(Parcel::try_mark) {
            return true;
        }
        if let Some(parcel) = parcel.take() {
            outbox.lose(parcel, now, "CoDel".into());
        }
        false
    }

    /// The control law: intervals that shrink with the root of the count.
    fn next_drop(&self, from: Duration) -> Duration {
        let pause = self.interval.as_secs_f64() / f64::from(self.count.max(1)).sqrt();
        from.saturating_add(Duration::try_from_secs_f64(pause).unwrap_or(Duration::MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::CoDel;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_short_while_later_the_rate_that_was_found_is_taken_up_again() {
        // (count, last count, time since the next drop was due, count after)
        let table = [
            (0, 0, 0, 1, "the first time"),
            (10, 1, 1599, 9, "recently"),
            (10, 1, 1600, 1, "long ago"),
            (10, 9, 10, 1, "recently, for one drop"),
        ];
        for (count, last_count, since, expected, why) in table {
            let mut codel = CoDel::new(5 * MS, 100 * MS, false);
            (codel.count, codel.last_count, codel.drop_next) = (count, last_count, 1000 * MS);
            let now = 1000 * MS + since * MS;
            codel.begin(now);
            assert_eq!(
                (codel.count, codel.last_count),
                (expected, expected),
                "{why}"
            );
            assert!(codel.is_dropping);
            let pause = 0.1 / f64::from(expected).sqrt();
            assert!(
                codel
                    .drop_next
                    .abs_diff(now + Duration::from_secs_f64(pause))
                    < MS / 1000
            );
        }
    }
}
