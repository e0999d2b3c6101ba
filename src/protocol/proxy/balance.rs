//! Which of several servers takes the next connection: in turn, or the one that
//! has the fewest.
//!
//! A server that cannot be reached is left out until it answers again; where
//! none can be, all are tried. Opens nothing: it is told what came of it.

use std::fmt;

/// How a server is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// One after the other.
    #[default]
    RoundRobin,
    /// The one with the fewest connections open; of several, in turn.
    LeastConnections,
}

/// What is known of one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Connections open now.
    pub open: usize,
    /// Connections it was given so far.
    pub given: u64,
    /// Whether it answered when it was last asked.
    pub health: Health,
}

/// Whether a server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It did when it was last asked, or was never asked.
    Up,
    /// It did not.
    Down,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Health::Up => "up",
            Health::Down => "down",
        })
    }
}

/// Several servers that share the load.
#[derive(Debug, Clone)]
pub struct Balance {
    policy: Policy,
    servers: Vec<Standing>,
    next: usize,
}

impl Balance {
    /// So many servers.
    pub fn new(policy: Policy, count: usize) -> Self {
        let fresh = Standing {
            open: 0,
            given: 0,
            health: Health::Up,
        };
        Self {
            policy,
            servers: vec![fresh; count],
            next: 0,
        }
    }

    /// The server for a connection for which those of `tried` have failed; it
    /// has one more from now on. None where all have failed.
    pub fn choose(&mut self, tried: &[usize]) -> Option<usize> {
        let chosen = self
            .best(tried, Health::Up)
            .or_else(|| self.best(tried, Health::Down))?;
        self.next = (chosen + 1) % self.servers.len();
        let server = &mut self.servers[chosen];
        server.open += 1;
        server.given += 1;
        Some(chosen)
    }

    fn best(&self, tried: &[usize], health: Health) -> Option<usize> {
        let count = self.servers.len();
        let in_turn = (0..count).map(|step| (self.next + step) % count);
        let mut fit =
            in_turn.filter(|one| self.servers[*one].health == health && !tried.contains(one));
        match self.policy {
            Policy::RoundRobin => fit.next(),
            // Of equals, the first in turn.
            Policy::LeastConnections => fit.min_by_key(|one| self.servers[*one].open),
        }
    }

    /// A connection to this server has ended, or never began.
    pub fn release(&mut self, server: usize) {
        if let Some(server) = self.servers.get_mut(server) {
            server.open = server.open.saturating_sub(1);
        }
    }

    /// What came of asking this server; what it is now, where that is news.
    pub fn handle_health(&mut self, server: usize, now: Health) -> Option<Health> {
        let server = self.servers.get_mut(server)?;
        let before = std::mem::replace(&mut server.health, now);
        (before != now).then_some(now)
    }

    /// What is known of each.
    pub fn standings(&self) -> &[Standing] {
        &self.servers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn in_turn_whatever_is_open() {
        let mut balance = Balance::new(Policy::RoundRobin, 3);
        let chosen: Vec<_> = (0..7).filter_map(|_| balance.choose(&[])).collect();
        assert_eq!(chosen, [0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn the_fewest_open_are_given_the_next() {
        let mut balance = Balance::new(Policy::LeastConnections, 3);
        let first: Vec<_> = (0..4).filter_map(|_| balance.choose(&[])).collect();
        assert_eq!(first, [0, 1, 2, 0]);
        balance.release(2);
        balance.release(1);
        let then: Vec<_> = (0..3).filter_map(|_| balance.choose(&[])).collect();
        assert_eq!(then, [1, 2, 1]);
    }

    #[test]
    fn who_is_down_is_left_out_until_it_answers_and_is_the_last_resort() {
        let mut balance = Balance::new(Policy::RoundRobin, 2);
        assert_eq!(balance.handle_health(0, Health::Down), Some(Health::Down));
        assert_eq!(balance.handle_health(0, Health::Down), None, "no news");
        assert_eq!(balance.choose(&[]), Some(1));
        assert_eq!(balance.choose(&[1]), Some(0), "better than nobody");
        assert_eq!(balance.choose(&[0, 1]), None);
        assert_eq!(balance.handle_health(0, Health::Up), Some(Health::Up));
        assert_eq!(balance.choose(&[]), Some(1));
        assert_eq!(balance.choose(&[]), Some(0));
    }

    proptest! {
        /// Nobody is given more than his share, whoever leaves when.
        #[test]
        fn in_turn_the_shares_are_equal(count in 1_usize..10, rounds in 1_u64..20) {
            let mut balance = Balance::new(Policy::RoundRobin, count);
            for _ in 0..rounds * count as u64 {
                balance.choose(&[]);
            }
            prop_assert!(balance.standings().iter().all(|one| one.given == rounds));
        }

        #[test]
        fn the_fewest_differ_by_one_at_most(count in 1_usize..10, connections in 0_usize..100) {
            let mut balance = Balance::new(Policy::LeastConnections, count);
            for _ in 0..connections {
                balance.choose(&[]);
            }
            let open = balance.standings().iter().map(|one| one.open);
            let (least, most) = (open.clone().min(), open.max());
            prop_assert!(most <= least.map(|least| least + 1));
        }
    }
}
