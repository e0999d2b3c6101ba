//! Puts what becomes known out of order back into the order of ids.
//!
//! A packet is recorded when its fate is known, so that a lost one comes before
//! one that was sent earlier and is delayed. Ids are contiguous from 1: what
//! has come in one piece from there on is final.

use std::collections::BTreeMap;

/// Values by id, given out in the order of ids.
///
/// Holds what came after a gap, so its memory is bounded by what is under way
/// while the earliest of them is. Where that is more than `most`, the gap is
/// given up: what fills it later comes out of order.
#[derive(Debug)]
pub(super) struct Sequence<Value> {
    next: u64,
    most: usize,
    ahead: BTreeMap<u64, Value>,
}

impl<Value> Sequence<Value> {
    /// One that waits for id 1 and holds at most `most` values.
    pub(super) fn holding(most: usize) -> Self {
        Self {
            next: 1,
            most,
            ahead: BTreeMap::new(),
        }
    }

    /// Takes a value in, and gives out all that are final now.
    pub(super) fn put(&mut self, id: u64, value: Value, mut give: impl FnMut(Value)) {
        if id < self.next {
            return give(value);
        }
        if id > self.next {
            self.ahead.insert(id, value);
            if self.ahead.len() <= self.most {
                return;
            }
            self.next = self.ahead.keys().next().copied().unwrap_or(id);
        } else {
            self.next += 1;
            give(value);
        }
        while let Some(value) = self.ahead.remove(&self.next) {
            self.next += 1;
            give(value);
        }
    }

    /// What is left when nothing more comes, in order.
    pub(super) fn rest(&mut self) -> impl Iterator<Item = Value> {
        std::mem::take(&mut self.ahead).into_values()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Sequence;

    fn given(ids: &[u64], most: usize) -> (Vec<u64>, Vec<u64>) {
        let mut sequence = Sequence::holding(most);
        let mut out = Vec::new();
        for id in ids {
            sequence.put(*id, *id, |id| out.push(id));
        }
        (out, sequence.rest().collect())
    }

    #[test]
    fn a_gap_is_waited_for_and_in_the_end_given_up() {
        assert_eq!(given(&[2, 3, 1, 5], 9), (vec![1, 2, 3], vec![5]));
        assert_eq!(given(&[2, 4, 3, 1, 6], 2), (vec![2, 3, 4, 1], vec![6]));
    }

    proptest! {
        #[test]
        fn everything_comes_out_once_and_in_order(
            ids in Just((1..100_u64).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let (out, rest) = given(&ids, usize::MAX);
            prop_assert_eq!(out, (1..100).collect::<Vec<_>>());
            prop_assert!(rest.is_empty());
        }
    }
}
