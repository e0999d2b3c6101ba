//! How much a server lets a client ask of it.
//!
//! Pure: what is asked in, yes or a reason out.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::protocol::Plan;
use crate::compare::{LARGEST, SMALLEST, Variant};

/// A server's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Sessions at once.
    pub sessions: u32,
    /// Sessions at once from one address.
    pub sessions_per_address: u32,
    /// Messages of each kind in a session.
    pub messages: u32,
    /// Bytes of a message.
    pub message_bytes: u32,
    /// Bits a second that a session's kinds may send together, on average.
    pub bits_per_second: u64,
    /// Seconds that a session's sending may take.
    pub seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 4,
            sessions_per_address: 4,
            messages: 100_000,
            message_bytes: u32::try_from(LARGEST).unwrap_or(u32::MAX),
            bits_per_second: 100_000_000,
            seconds: 600,
        }
    }
}

/// The longest time that a server waits for stragglers, or for a stream that
/// stands still.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

impl Limits {
    /// Connections at once: sessions with all their streams, and some that have
    /// not said yet what they want.
    pub fn connections(&self) -> usize {
        self.sessions as usize * 4 + 16
    }

    /// Connections at once from one address.
    pub fn connections_per_address(&self) -> usize {
        self.sessions_per_address as usize * 4 + 8
    }

    /// How long the plan's sending takes.
    pub fn duration(plan: &Plan) -> Duration {
        Duration::from_nanos(plan.duration_ns)
    }

    /// Whether a plan may be carried out; why not, as its client reads it.
    pub fn allow(&self, plan: &Plan) -> Result<(), String> {
        let size = plan.size as usize;
        if plan.kinds.is_empty() || plan.kinds.len() > Variant::ALL.len() {
            return Err("a plan has one to seven kinds".into());
        }
        let repeats = |at: usize| {
            let mut before = plan.kinds[..at].iter();
            before.any(|ask| ask.kind == plan.kinds[at].kind)
        };
        if (1..plan.kinds.len()).any(repeats) {
            return Err("a plan names each kind once".into());
        }
        if plan.count == 0 || plan.count > self.messages {
            return Err(format!("this server takes 1 to {} messages", self.messages));
        }
        if size < SMALLEST || plan.size > self.message_bytes {
            let most = self.message_bytes;
            return Err(format!(
                "this server takes messages of {SMALLEST} to {most} bytes"
            ));
        }
        if plan.bytes > u64::from(plan.count) * u64::from(plan.size) {
            return Err("a plan's messages are no longer than its longest".into());
        }
        let duration = Self::duration(plan);
        if duration > Duration::from_secs(self.seconds) {
            return Err(format!(
                "this server gives a session {} seconds",
                self.seconds
            ));
        }
        let waits = [plan.patience_ns, plan.timeout_ns].map(Duration::from_nanos);
        if waits.into_iter().any(|wait| wait > LONGEST_WAIT) {
            let most = LONGEST_WAIT.as_secs();
            return Err(format!("this server waits at most {most} seconds"));
        }
        self.allow_rate(plan, duration)
    }

    /// A burst of what a second may carry is allowed at any interval.
    fn allow_rate(&self, plan: &Plan, duration: Duration) -> Result<(), String> {
        let bits = plan.kinds.len() as u128 * u128::from(plan.bytes) * 8;
        let budget = u128::from(self.bits_per_second) * (duration.as_millis() + 1000) / 1000;
        if bits > budget {
            return Err(format!(
                "this server takes {} bits a second on average; use a longer interval, smaller \
                 or fewer messages",
                self.bits_per_second
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::protocol::Ask;
    use super::*;
    use proptest::prelude::*;

    fn plan() -> Plan {
        let ask = |kind: &str| Ask {
            kind: kind.into(),
            echo: None,
            protocol: None,
        };
        Plan {
            kinds: vec![ask("tcp"), ask("udp")],
            count: 100,
            size: 100,
            bytes: 10_000,
            duration_ns: 100_000_000,
            ..Plan::default()
        }
    }

    #[test]
    fn each_limit_is_named_where_it_is_passed() {
        let change = |change: fn(&mut Plan)| {
            let mut plan = plan();
            change(&mut plan);
            Limits::default().allow(&plan)
        };
        assert_eq!(change(|_| {}), Ok(()));
        assert_eq!(change(|plan| plan.duration_ns = 0), Ok(()));
        for (wrong, words) in [
            (change(|plan| plan.kinds.clear()), "one to seven"),
            (change(|plan| plan.kinds[1].kind = "tcp".into()), "once"),
            (change(|plan| plan.count = 0), "100000 messages"),
            (change(|plan| plan.count = 100_001), "100000 messages"),
            (change(|plan| plan.size = 23), "24 to 65507 bytes"),
            (change(|plan| plan.size = 70_000), "24 to 65507 bytes"),
            (change(|plan| plan.duration_ns = u64::MAX), "600 seconds"),
            (change(|plan| plan.patience_ns = u64::MAX), "60 seconds"),
            (change(|plan| plan.bytes = 10_001), "no longer"),
            (
                change(|plan| {
                    (plan.size, plan.bytes, plan.duration_ns) = (65_507, 6_550_700, 0);
                }),
                "100000000 bits a second",
            ),
        ] {
            let why = wrong.expect_err(words);
            assert!(why.contains(words), "{why}");
        }
    }

    proptest! {
        #[test]
        fn no_plan_overflows(count: u32, size: u32, bytes: u64, duration_ns: u64) {
            let plan = Plan { count, size, bytes, duration_ns, ..plan() };
            let _ = Limits::default().allow(&plan);
        }
    }
}
