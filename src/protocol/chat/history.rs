//! The last lines of a room, for whoever comes later.
//!
//! Keeps so many, and no others.

use std::collections::VecDeque;
use std::sync::Arc;

/// The last lines.
#[derive(Debug, Default)]
pub(super) struct History {
    lines: VecDeque<Arc<[u8]>>,
    most: usize,
}

impl History {
    /// Keeps the last `most` lines.
    pub(super) fn of(most: usize) -> Self {
        Self {
            lines: VecDeque::new(),
            most,
        }
    }

    pub(super) fn push(&mut self, line: Arc<[u8]>) {
        if self.most == 0 {
            return;
        }
        if self.lines.len() == self.most {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    pub(super) fn lines(&self) -> impl DoubleEndedIterator<Item = &Arc<[u8]>> {
        self.lines.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first() {
        for (most, expected) in [(0, &[][..]), (2, &[3_u8, 4])] {
            let mut history = History::of(most);
            for number in 1..=4_u8 {
                history.push([number].into());
            }
            let kept: Vec<u8> = history.lines().map(|line| line[0]).collect();
            assert_eq!(kept, expected);
        }
    }
}
