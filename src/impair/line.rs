//! Packets on their way, ordered by when they are due: the delay line.
//!
//! A packet that is due after all before it goes to the end of a queue; only
//! those that overtake cost a heap (netem's `tfifo` does the same).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use super::parcel::Parcel;

/// Packets ordered by due time, then by number.
#[derive(Debug, Default)]
pub(super) struct Line {
    in_order: VecDeque<Parcel>,
    overtaking: BinaryHeap<Reverse<ByDue>>,
}

impl Line {
    /// Puts a packet in, by its `due_at`.
    pub(super) fn push(&mut self, parcel: Parcel) {
        match self.in_order.back() {
            Some(last) if last.key() > parcel.key() => {
                self.overtaking.push(Reverse(ByDue(Box::new(parcel))));
            }
            _ => self.in_order.push_back(parcel),
        }
    }

    /// When the first one is due.
    pub(super) fn due(&self) -> Option<Duration> {
        let in_order = self.in_order.front().map(|parcel| parcel.due_at);
        match (in_order, self.overtaking.peek()) {
            (Some(one), Some(Reverse(other))) => Some(one.min(other.0.due_at)),
            (one, other) => one.or(other.map(|Reverse(parcel)| parcel.0.due_at)),
        }
    }

    /// Takes the first one out.
    pub(super) fn pop(&mut self) -> Option<Parcel> {
        if let Some(Reverse(overtaking)) = self.overtaking.peek()
            && self
                .in_order
                .front()
                .is_none_or(|first| first.key() > overtaking.0.key())
        {
            return self.overtaking.pop().map(|Reverse(parcel)| *parcel.0);
        }
        self.in_order.pop_front()
    }

    /// Takes all out, in no order.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Parcel> {
        self.in_order
            .drain(..)
            .chain(self.overtaking.drain().map(|Reverse(parcel)| *parcel.0))
    }
}

/// Boxed, so that the heap moves pointers.
#[derive(Debug)]
struct ByDue(Box<Parcel>);

impl Ord for ByDue {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.key().cmp(&other.0.key())
    }
}

impl PartialOrd for ByDue {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ByDue {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for ByDue {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::Line;
    use crate::impair::parcel::tests::parcel;

    proptest! {
        #[test]
        fn packets_leave_by_due_time_then_number(dues in proptest::collection::vec(0_u64..20, 0..50)) {
            let mut line = Line::default();
            let mut expected = Vec::new();
            for (id, due) in (1..).zip(dues) {
                let mut one = parcel(id, 100);
                one.due_at = Duration::from_millis(due);
                expected.push(one.key());
                line.push(one);
            }
            expected.sort_unstable();
            let mut found = Vec::new();
            while let Some(due) = line.due() {
                let one = line.pop().expect("one is due");
                prop_assert_eq!(one.due_at, due);
                found.push(one.key());
            }
            prop_assert_eq!(found, expected);
            prop_assert!(line.pop().is_none());
        }
    }
}
