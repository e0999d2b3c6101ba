//! Telling a connection's steps, where anybody listens.
//!
//! Owns which client they are about. Makes no event that nobody wants.

use std::time::{Duration, Instant};

use super::Proxy;
use crate::event::{self, ProxyStep, Topic, What};
use crate::protocol::proxy::{Method, Verdict};
use crate::recorder::Recorder;

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tells {
    /// Only what whoever waits must know.
    #[default]
    Least,
    /// Each step of each connection.
    Steps,
}

/// Tells the steps of one connection.
pub(super) struct Steps {
    recorder: Recorder,
    client: Option<u64>,
    tells: Tells,
    began: Instant,
}

impl Steps {
    /// Those of the client of that number.
    pub(super) fn of_client(proxy: &Proxy, number: u64) -> Self {
        Self {
            client: Some(number),
            ..Self::of_proxy(proxy)
        }
    }

    /// Those that are about no client.
    pub(super) fn of_proxy(proxy: &Proxy) -> Self {
        Self {
            recorder: proxy.recorder.clone(),
            client: None,
            tells: proxy.config.tells,
            began: Instant::now(),
        }
    }

    /// Whether each step is told.
    pub(super) fn tells(&self) -> bool {
        self.tells == Tells::Steps && self.recorder.wants(Topic::App)
    }

    /// Tells a step.
    pub(super) fn tell(&self, step: impl FnOnce() -> ProxyStep) {
        if self.tells() {
            self.record(step());
        }
    }

    /// Tells what everybody should know.
    pub(super) fn always(&self, step: ProxyStep) {
        if self.recorder.wants(Topic::App) {
            self.record(step);
        }
    }

    /// Tells what the client was told.
    pub(super) fn replied(&self, method: Method, verdict: Verdict) {
        self.tell(|| ProxyStep::Replied {
            code: method.code(verdict),
            meaning: match verdict {
                Verdict::Granted(_) => "granted".into(),
                Verdict::Refused(cause) => cause.to_string(),
            },
        });
    }

    /// Tells that it is over.
    pub(super) fn ended(&self, how: impl Into<String>) {
        self.tell(|| ProxyStep::Ended {
            how: how.into(),
            lasted: self.lasted(),
        });
    }

    /// How long it has been there.
    pub(super) fn lasted(&self) -> Duration {
        self.began.elapsed()
    }

    fn record(&self, step: ProxyStep) {
        let client = self.client;
        let what = What::Proxy(event::Proxy { client, step });
        self.recorder.record(self.recorder.clock().now(), what);
    }
}
