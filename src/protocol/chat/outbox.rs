//! The lines that wait for one member: never more than so many bytes, so that
//! whoever reads slowly costs a known amount and delays nobody.
//!
//! A line is shared by all who wait for it. Sends nothing.

use std::collections::VecDeque;
use std::sync::Arc;

/// What waits.
#[derive(Debug, Default)]
pub struct Outbox {
    lines: VecDeque<Arc<[u8]>>,
    /// Bytes of the first line that are gone already.
    gone: usize,
    waiting: usize,
}

/// What a line costs besides its bytes.
pub(super) const OVERHEAD: usize = size_of::<Arc<[u8]>>();

impl Outbox {
    /// One text.
    pub fn of(text: &str) -> Self {
        let mut outbox = Self::default();
        outbox.push(text.as_bytes().into(), usize::MAX);
        outbox
    }

    /// Puts a line behind the others; false where that would be more than
    /// `limit` bytes, and it is not taken.
    pub(super) fn push(&mut self, line: Arc<[u8]>, limit: usize) -> bool {
        let cost = line.len() + OVERHEAD;
        if self.waiting + cost > limit {
            return false;
        }
        self.waiting += cost;
        self.lines.push_back(line);
        true
    }

    /// Puts a line in place of those of which nothing is gone yet: how many.
    pub(super) fn replace(&mut self, line: Arc<[u8]>) -> usize {
        let kept = usize::from(self.gone > 0);
        let dropped = self.lines.len() - kept;
        self.lines.truncate(kept);
        self.lines.push_back(line);
        self.waiting = self.lines.iter().map(|line| line.len() + OVERHEAD).sum();
        dropped
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Bytes that wait, and what they cost besides.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Appends what is next to `scratch`, whole lines, as long as it has fewer
    /// than `most` bytes.
    pub fn gather(&self, scratch: &mut Vec<u8>, most: usize) {
        let mut gone = self.gone;
        for line in &self.lines {
            scratch.extend_from_slice(&line[gone..]);
            gone = 0;
            if scratch.len() >= most {
                return;
            }
        }
    }

    /// The first line, where nothing of it is gone: one datagram.
    pub fn first(&self) -> Option<&[u8]> {
        self.lines.front().map(|line| &line[self.gone..])
    }

    /// So many bytes are gone.
    pub fn advance(&mut self, mut bytes: usize) {
        while let Some(first) = self.lines.front() {
            let left = first.len() - self.gone;
            if bytes < left {
                self.gone += bytes;
                return;
            }
            bytes -= left;
            self.gone = 0;
            self.waiting -= first.len() + OVERHEAD;
            self.lines.pop_front();
        }
        // An empty one costs an idle member nothing.
        if self.lines.capacity() > 64 {
            self.lines = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(text: &str) -> Arc<[u8]> {
        text.as_bytes().into()
    }

    #[test]
    fn what_is_too_much_is_not_taken() {
        let mut outbox = Outbox::default();
        assert!(outbox.push(line("1234"), 4 + OVERHEAD));
        assert!(!outbox.push(line("5"), 4 + OVERHEAD));
        outbox.advance(2);
        assert!(
            !outbox.push(line("5"), 4 + OVERHEAD),
            "none of it is free yet"
        );
        outbox.advance(2);
        assert!(outbox.is_empty());
        assert_eq!(outbox.waiting(), 0);
    }

    #[test]
    fn the_last_word_tears_no_line() {
        let mut outbox = Outbox::default();
        for text in ["one\n", "two\n", "three\n"] {
            outbox.push(line(text), 1000);
        }
        outbox.advance(1);
        assert_eq!(outbox.replace(line("bye\n")), 2);
        let mut rest = Vec::new();
        outbox.gather(&mut rest, 1000);
        assert_eq!(rest, b"ne\nbye\n");
    }

    proptest! {
        #[test]
        fn all_comes_out_in_order_however_much_is_taken_at_once(
            lines: Vec<Vec<u8>>,
            steps in prop::collection::vec(1_usize..50, 1..20),
        ) {
            let mut outbox = Outbox::default();
            for line in &lines {
                prop_assert!(outbox.push(line.as_slice().into(), usize::MAX));
            }
            let (mut out, mut steps) = (Vec::new(), steps.iter().cycle());
            while !outbox.is_empty() {
                let step = *steps.next().expect("a cycle");
                let mut scratch = Vec::new();
                outbox.gather(&mut scratch, step);
                let taken = step.min(scratch.len());
                out.extend_from_slice(&scratch[..taken]);
                outbox.advance(taken);
            }
            prop_assert_eq!(out, lines.concat());
            prop_assert_eq!(outbox.waiting(), 0);
        }
    }
}
