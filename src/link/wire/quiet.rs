//! Who waits until nothing is under way: until every packet that had entered has
//! ended, and those with which the kernels answered, and so on until none is
//! left.
//!
//! Counts packets; moves none. A conversation that never ends is waited for so
//! many answers long.

use std::sync::mpsc::Sender;

use crate::impair::Medium;

/// How many times the answers to what has ended are waited for in turn.
const ANSWERS: usize = 64;

/// All that wait.
#[derive(Default)]
pub(super) struct Quiet(Vec<Waiting>);

struct Waiting {
    done: Sender<()>,
    /// The last packet of the generation they wait for.
    last: u64,
    /// How many of that generation are still under way.
    outstanding: usize,
    /// How many more generations of answers they wait for.
    generations: usize,
}

impl Quiet {
    /// Somebody begins to wait, and is told through `done`.
    pub(super) fn await_by(&mut self, done: Sender<()>, medium: &Medium) {
        self.0.push(Waiting {
            done,
            last: medium.last_id(),
            outstanding: medium.in_flight(),
            generations: ANSWERS,
        });
    }

    /// A packet's way has ended.
    pub(super) fn ended(&mut self, id: u64) {
        for one in &mut self.0 {
            let is_awaited = usize::from(id <= one.last);
            one.outstanding = one.outstanding.saturating_sub(is_awaited);
        }
    }

    /// Whether for somebody a generation has ended, so that what it was answered
    /// with is in the devices, for the wire to take in.
    pub(super) fn has_answers(&self) -> bool {
        self.0.iter().any(|one| one.outstanding == 0)
    }

    /// The answers were taken in: whoever has nothing left to wait for is told.
    pub(super) fn answers_taken(&mut self, medium: &Medium) {
        let under_way = medium.in_flight();
        for one in std::mem::take(&mut self.0) {
            if one.outstanding > 0 {
                self.0.push(one);
            } else if under_way > 0 && one.generations > 0 {
                self.0.push(Waiting {
                    last: medium.last_id(),
                    outstanding: under_way,
                    generations: one.generations - 1,
                    ..one
                });
            } else {
                // Whoever asked may have gone; then nobody waits.
                let _ = one.done.send(());
            }
        }
    }
}
