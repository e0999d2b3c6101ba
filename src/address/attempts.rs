//! Which address is tried when (RFC 8305, "Happy Eyeballs").
//!
//! ```text
//!  resolver's order ─► families alternate ─► one attempt, then the next
//!                                            after 250 ms, or at once where
//!                                            one failed; the first to connect
//!                                            wins
//! ```
//!
//! Pure: failures and `now` in, the next address out. Opens nothing.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The Connection Attempt Delay of RFC 8305 section 5.
pub const STAGGER: Duration = Duration::from_millis(250);

/// The attempts to reach one of several addresses.
#[derive(Debug, Clone)]
pub struct Attempts {
    waiting: VecDeque<SocketAddr>,
    due: Option<Instant>,
    under_way: usize,
    last: Option<SocketAddr>,
}

impl Attempts {
    /// Attempts at these addresses, given in the order of RFC 6724.
    pub fn at(addresses: &[SocketAddr]) -> Self {
        Self {
            waiting: interleaved(addresses).into(),
            due: None,
            under_way: 0,
            last: None,
        }
    }

    /// More addresses were found: the families alternate from here on, the one
    /// that was not tried last first.
    pub fn handle_found(&mut self, addresses: &[SocketAddr]) {
        let mut all: Vec<SocketAddr> = self.waiting.drain(..).chain(addresses.to_vec()).collect();
        let last = self.last;
        let is_other = |one: &SocketAddr| last.is_some_and(|last| last.is_ipv4() != one.is_ipv4());
        all.sort_by_key(|one| !is_other(one));
        self.waiting = interleaved(&all).into();
    }

    /// The address to be tried now, if it is time for one.
    pub fn poll_attempt(&mut self, now: Instant) -> Option<SocketAddr> {
        if self.due.is_some_and(|due| now < due) {
            return None;
        }
        let next = self.waiting.pop_front()?;
        self.under_way += 1;
        self.last = Some(next);
        self.due = Some(now + STAGGER);
        Some(next)
    }

    /// An attempt came to nothing: the next one need not wait.
    pub fn handle_failure(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
        self.due = None;
    }

    /// When the next attempt is due; none where no address is left.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.due.filter(|_| !self.waiting.is_empty())
    }

    /// Whether every attempt has come to nothing.
    pub fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.under_way == 0
    }
}

/// The families in turn, the resolver's favourite first, each in the resolver's
/// order (section 4, with a First Address Family Count of 1).
fn interleaved(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let is_first = |address: &SocketAddr| {
        let favourite = addresses.first();
        favourite.is_some_and(|first| first.is_ipv4() == address.is_ipv4())
    };
    let (first, second): (Vec<SocketAddr>, Vec<SocketAddr>) =
        addresses.iter().copied().partition(is_first);
    let mut order = Vec::new();
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    loop {
        let pair = [first.next(), second.next()];
        if pair == [None, None] {
            return order;
        }
        order.extend(pair.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        let parse = |text: &&str| text.parse().expect("an address");
        texts.iter().map(parse).collect()
    }

    #[test]
    fn families_alternate_from_the_resolvers_favourite() {
        let order = interleaved(&addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"]));
        let expected = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]);
        assert_eq!(order, expected);
    }

    #[test]
    fn the_next_attempt_waits_a_quarter_of_a_second_or_for_a_failure() {
        let all = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1"]);
        let mut attempts = Attempts::at(&all);
        let start = Instant::now();
        assert_eq!(attempts.poll_attempt(start), Some(all[0]));
        assert_eq!(attempts.poll_attempt(start), None);
        assert_eq!(attempts.next_deadline(), Some(start + STAGGER));
        let too_early = start + STAGGER.mul_f64(0.999);
        assert_eq!(attempts.poll_attempt(too_early), None);
        assert_eq!(attempts.poll_attempt(start + STAGGER), Some(all[1]));
        attempts.handle_failure();
        assert_eq!(attempts.poll_attempt(start + STAGGER), Some(all[2]));
        assert_eq!(attempts.next_deadline(), None);
        attempts.handle_failure();
        assert!(!attempts.is_over());
        attempts.handle_failure();
        assert!(attempts.is_over());
    }

    #[test]
    fn what_is_found_later_alternates_with_what_was_tried() {
        let first = addresses(&["1.1.1.1:1", "1.1.1.2:1"]);
        let mut attempts = Attempts::at(&first);
        let mut now = Instant::now();
        assert_eq!(attempts.poll_attempt(now), Some(first[0]));
        let later = addresses(&["[::1]:1", "[::2]:1"]);
        attempts.handle_found(&later);
        for expected in [later[0], first[1], later[1]] {
            assert_eq!(attempts.poll_attempt(now), None);
            now += STAGGER;
            assert_eq!(attempts.poll_attempt(now), Some(expected));
        }
        assert_eq!(attempts.next_deadline(), None);
    }

    proptest! {
        #[test]
        fn every_address_is_tried_once(all: Vec<SocketAddr>, failures: Vec<bool>) {
            let mut attempts = Attempts::at(&all);
            let mut now = Instant::now();
            let mut tried = Vec::new();
            let mut failures = failures.into_iter().cycle();
            for _ in 0..=all.len() {
                tried.extend(attempts.poll_attempt(now));
                match attempts.next_deadline() {
                    Some(_) if failures.next() == Some(true) => attempts.handle_failure(),
                    Some(due) => now = due,
                    None => break,
                }
            }
            let mut expected = all.clone();
            tried.sort();
            expected.sort();
            prop_assert_eq!(tried, expected);
        }
    }
}
