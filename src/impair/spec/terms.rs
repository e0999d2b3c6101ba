//! What was said of one direction, word by word; what is said later goes over
//! what was said before.
//!
//! Only keeps what was said: [`settle`](super::settle) finds out whether it
//! makes sense together.

use std::sync::Arc;
use std::time::Duration;

use super::super::selector::Rule;
use super::super::settings::{Capacity, Chance, Distribution, Loss, Slot};
use super::super::trace::Trace;
use super::error::Mark;
use crate::units::{ByteSize, Probability, Rate};

/// A value and where it was said.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Said<T> {
    pub(super) value: T,
    pub(super) mark: Mark,
}

/// What serves the queue, if anything.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Service {
    Rate(Rate),
    Trace(Arc<Trace>),
}

impl Service {
    /// A rate of 0 is no limit.
    pub(super) fn is_off(&self) -> bool {
        matches!(self, Service::Rate(Rate(0)))
    }
}

/// How the queue is kept short, defaults not yet filled in.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Aqm {
    DropTail,
    CoDel {
        target: Option<Duration>,
        interval: Option<Duration>,
    },
    Red {
        min: Option<ByteSize>,
        max: Option<ByteSize>,
        probability: Option<Probability>,
    },
}

/// Everything that can be said.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Terms {
    /// 0 is none.
    pub(super) limit: Option<Said<u32>>,
    /// netem's own limit, where none was said before or after.
    pub(super) implied_limit: Option<Said<u32>>,
    pub(super) delay: Option<Said<Duration>>,
    pub(super) jitter: Option<Said<Duration>>,
    pub(super) correlation: Option<Said<Probability>>,
    pub(super) distribution: Option<Said<Distribution>>,
    pub(super) loss: Option<Said<Loss>>,
    /// 0 is none.
    pub(super) burst: Option<Said<f64>>,
    pub(super) ecn: Option<Said<bool>>,
    pub(super) corrupt: Option<Said<Chance>>,
    pub(super) duplicate: Option<Said<Chance>>,
    pub(super) truncate: Option<Said<Probability>>,
    pub(super) reorder: Option<Said<Chance>>,
    pub(super) gap: Option<Said<u32>>,
    pub(super) slot: Option<Said<Option<Slot>>>,
    pub(super) service: Option<Said<Service>>,
    pub(super) overhead: Option<Said<i32>>,
    /// A cell's size and its own overhead.
    pub(super) cells: Option<Said<(u32, i32)>>,
    pub(super) bucket: Option<Said<ByteSize>>,
    pub(super) queue: Option<Said<Capacity>>,
    pub(super) aqm: Option<Said<Aqm>>,
    pub(super) rules: Vec<Said<Rule>>,
}

impl Terms {
    /// Puts what was said later over this.
    pub(super) fn merge(&mut self, later: Self) {
        self.forget_what_ends(&later);
        macro_rules! over {
            ($($field:ident),*) => { $( self.$field = later.$field.or(self.$field.take()); )* };
        }
        over!(
            limit,
            implied_limit,
            delay,
            jitter,
            correlation,
            distribution,
            loss,
            burst,
            ecn,
            corrupt,
            duplicate,
            truncate,
            reorder,
            gap,
            slot,
            service,
            overhead,
            cells,
            bucket,
            queue,
            aqm
        );
        self.rules.extend(later.rules);
    }

    /// What is turned off takes along what belongs to it, so that it is not
    /// missed.
    fn forget_what_ends(&mut self, later: &Self) {
        if later
            .delay
            .as_ref()
            .is_some_and(|delay| delay.value.is_zero())
        {
            self.jitter = None;
        }
        let is_steady = |jitter: &Option<Said<Duration>>| {
            jitter.as_ref().is_some_and(|jitter| jitter.value.is_zero())
        };
        if is_steady(&later.delay) || is_steady(&later.jitter) {
            (self.correlation, self.distribution) = (None, None);
        }
        let is_other = |loss: &Said<Loss>| !matches!(loss.value, Loss::Random(_));
        if later.loss.as_ref().is_some_and(is_other) {
            self.burst = None;
        }
        let never = |chance: &Said<Chance>| !chance.value.probability.is_possible();
        if later.reorder.as_ref().is_some_and(never) {
            self.gap = None;
        }
        if let Some(service) = &later.service {
            if service.value.is_off() {
                (self.queue, self.aqm) = (None, None);
            }
            if service.value.is_off() || matches!(service.value, Service::Trace(_)) {
                (self.bucket, self.overhead, self.cells) = (None, None, None);
            }
        }
    }
}
