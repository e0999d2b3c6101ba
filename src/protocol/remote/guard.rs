//! Who may try: handshakes at a bounded rate for each source, and none for a
//! while from a source that failed too often.
//!
//! Times since any beginning in, verdicts out. An IPv6 source is its /64 network, the least that one
//! owner has. Remembers a bounded number of sources: where there are more, those
//! that were quiet for longest are forgotten, but never one that is locked out
//! before one that is not.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// What a source may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Handshakes that may come at once.
    pub burst: u32,
    /// How long it takes until one more may.
    pub refill: Duration,
    /// Failures that lock a source out.
    pub failures: u32,
    /// How long it stays locked out, and how long a failure counts.
    pub lockout: Duration,
    /// Sources that are remembered.
    pub sources: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            burst: 200,
            refill: Duration::from_millis(20),
            failures: 5,
            lockout: Duration::from_secs(600),
            sources: 4096,
        }
    }
}

/// Whether somebody may try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// They may.
    Welcome,
    /// They come too fast.
    TooFast,
    /// They failed too often, and must wait for so long.
    LockedOut(Duration),
}

/// Watches the sources.
#[derive(Debug)]
pub struct Guard {
    limits: Limits,
    sources: HashMap<IpAddr, Source>,
}

#[derive(Debug)]
struct Source {
    last: Duration,
    /// When the bucket is full again.
    full_at: Duration,
    failures: u32,
    last_failure: Option<Duration>,
    locked_until: Option<Duration>,
}

impl Guard {
    /// A guard with these limits.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            sources: HashMap::new(),
        }
    }

    /// Somebody at this address connects.
    pub fn handle_arrival(&mut self, now: Duration, address: IpAddr) -> Verdict {
        let Limits { burst, refill, .. } = self.limits;
        let source = self.source(now, address);
        source.forget_old(now);
        if let Some(until) = source.locked_until {
            return Verdict::LockedOut(until.saturating_sub(now));
        }
        let start = source.full_at.max(now);
        if start.saturating_sub(now) > refill * burst.saturating_sub(1) {
            return Verdict::TooFast;
        }
        source.full_at = start + refill;
        Verdict::Welcome
    }

    /// Their handshake failed. For how long they are locked out, where that was
    /// one too many.
    pub fn handle_failure(&mut self, now: Duration, address: IpAddr) -> Option<Duration> {
        let Limits {
            failures, lockout, ..
        } = self.limits;
        let source = self.source(now, address);
        source.forget_old(now);
        if source
            .last_failure
            .is_some_and(|last| now.saturating_sub(last) >= lockout)
        {
            source.failures = 0;
        }
        source.failures += 1;
        source.last_failure = Some(now);
        if source.failures < failures {
            return None;
        }
        source.locked_until = Some(now + lockout);
        Some(lockout)
    }

    /// Their handshake was good: what failed before is forgiven.
    pub fn handle_success(&mut self, now: Duration, address: IpAddr) {
        let source = self.source(now, address);
        source.failures = 0;
        source.last_failure = None;
    }

    fn source(&mut self, now: Duration, address: IpAddr) -> &mut Source {
        let address = network(address);
        if !self.sources.contains_key(&address) && self.sources.len() >= self.limits.sources.max(1)
        {
            self.make_room(now);
        }
        let source = self.sources.entry(address).or_insert(Source {
            last: now,
            full_at: now,
            failures: 0,
            last_failure: None,
            locked_until: None,
        });
        source.last = now;
        source
    }

    fn make_room(&mut self, now: Duration) {
        let rank = |source: &Source| {
            let is_locked = source.locked_until.is_some_and(|until| until > now);
            (is_locked, source.failures > 0, source.last)
        };
        let least = self
            .sources
            .iter()
            .min_by_key(|(_, source)| rank(source))
            .map(|(address, _)| *address);
        if let Some(address) = least {
            self.sources.remove(&address);
        }
    }
}

impl Source {
    fn forget_old(&mut self, now: Duration) {
        if self.locked_until.is_some_and(|until| until <= now) {
            self.locked_until = None;
            self.failures = 0;
            self.last_failure = None;
        }
    }
}

/// What stands for a source: an IPv4 address, or of IPv6 the /64 network.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{TooFast, Welcome};
    use proptest::prelude::*;

    const HERE: &str = "192.0.2.1";
    const THERE: &str = "2001:db8::1";

    fn limits() -> Limits {
        Limits {
            burst: 3,
            refill: Duration::from_secs(1),
            failures: 2,
            lockout: Duration::from_secs(60),
            sources: 4,
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_burst_and_then_one_for_each_refill() {
        let (mut guard, start) = (Guard::new(limits()), Duration::from_secs(1000));
        let mut arrive = |at: u64| guard.handle_arrival(start + Duration::from_secs(at), ip(HERE));
        let verdicts: Vec<Verdict> = [0, 0, 0, 0, 1, 1, 10, 10, 10, 10].map(&mut arrive).into();
        assert_eq!(
            verdicts,
            [
                Welcome, Welcome, Welcome, TooFast, Welcome, TooFast, Welcome, Welcome, Welcome,
                TooFast
            ]
        );
    }

    #[test]
    fn who_fails_too_often_is_locked_out_and_nobody_else() {
        let (mut guard, start) = (Guard::new(limits()), Duration::from_secs(1000));
        let second = Duration::from_secs(1);
        assert_eq!(guard.handle_failure(start, ip(THERE)), None);
        let locked = guard.handle_failure(start, ip("2001:db8::2"));
        assert_eq!(locked, Some(60 * second), "the same /64");
        let verdict = guard.handle_arrival(start + second, ip(THERE));
        assert_eq!(verdict, Verdict::LockedOut(59 * second));
        let other = guard.handle_arrival(start + second, ip("2001:db8:0:1::1"));
        assert_eq!(other, Verdict::Welcome);
        let later = guard.handle_arrival(start + 60 * second, ip(THERE));
        assert_eq!(later, Verdict::Welcome);
        assert_eq!(guard.handle_failure(start + 60 * second, ip(THERE)), None);
    }

    #[test]
    fn a_success_and_time_forgive() {
        let (mut guard, start) = (Guard::new(limits()), Duration::from_secs(1000));
        assert_eq!(guard.handle_failure(start, ip(HERE)), None);
        guard.handle_success(start, ip(HERE));
        assert_eq!(guard.handle_failure(start, ip(HERE)), None);
        let later = start + Duration::from_secs(60);
        assert_eq!(guard.handle_failure(later, ip(HERE)), None);
    }

    #[test]
    fn a_flood_of_sources_frees_nobody_who_is_locked_out() {
        let (mut guard, start) = (Guard::new(limits()), Duration::from_secs(1000));
        guard.handle_failure(start, ip(HERE));
        guard.handle_failure(start, ip(HERE));
        for number in 0..100 {
            let address = Ipv6Addr::from_bits(number << 64).into();
            guard.handle_arrival(start + Duration::from_secs(1), address);
        }
        assert_eq!(guard.sources.len(), 4);
        let verdict = guard.handle_arrival(start + Duration::from_secs(2), ip(HERE));
        assert!(matches!(verdict, Verdict::LockedOut(_)), "{verdict:?}");
    }

    proptest! {
        #[test]
        fn it_never_keeps_more_than_it_may(steps: Vec<(u8, u128)>) {
            let (mut guard, mut now) = (Guard::new(limits()), Duration::from_secs(1000));
            for (kind, bits) in steps {
                let address = Ipv6Addr::from_bits(bits).into();
                now += Duration::from_secs(u64::from(kind));
                match kind % 3 {
                    0 => { guard.handle_arrival(now, address); },
                    1 => { guard.handle_failure(now, address); },
                    _ => guard.handle_success(now, address),
                }
                prop_assert!(guard.sources.len() <= 4);
            }
        }
    }
}
