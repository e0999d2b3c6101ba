//! Settings that make sense and will surprise: one line each, with what to say
//! instead.

use std::time::Duration;

use super::super::settings::{Chance, Loss, Server, Settings};
use super::terms::Terms;
use crate::units::{Rate, Time};

/// Bits of a packet that fills an MTU of 1500 bytes.
const PACKET: f64 = 12_000.0;

/// Where no rate limits it, a link this fast is not felt as a limit.
const FAST: f64 = 1e9;

/// What will surprise in `settings`, which `terms` mean.
pub(super) fn surprises(terms: &Terms, settings: &Settings) -> Vec<String> {
    [
        limit(terms, settings),
        correlation(settings),
        jitter(settings),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// netem's limit counts packets in flight too, so that it caps the rate.
fn limit(terms: &Terms, settings: &Settings) -> Option<String> {
    let implied = terms.limit.is_none().then_some(settings.limit).flatten()?;
    let delay = settings.delay.base;
    if delay.is_zero() {
        return None;
    }
    let asked = rate(settings).unwrap_or(FAST);
    let cap = f64::from(implied) * PACKET / delay.as_secs_f64();
    (cap < asked).then(|| {
        let needed = rate(settings).unwrap_or(10.0 * FAST) * delay.as_secs_f64() / PACKET;
        format!(
            "limit {implied} packets, netem's default, caps delay {} at about {}; say limit {}",
            Time(delay),
            spoken(cap),
            rounded_up(needed * 2.0),
        )
    })
}

/// Bits per second of the bottleneck.
fn rate(settings: &Settings) -> Option<f64> {
    match &settings.bottleneck.as_ref()?.server {
        Server::Rate { rate, .. } | Server::TokenBucket { rate, .. } => Some(as_number(*rate)),
        Server::Trace(_) => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a number for a message")]
fn as_number(rate: Rate) -> f64 {
    rate.0 as f64
}

fn spoken(bits: f64) -> String {
    match bits {
        _ if bits >= 1e9 => format!("{:.1} Gbit/s", bits / 1e9),
        _ if bits >= 1e6 => format!("{:.0} Mbit/s", bits / 1e6),
        _ => format!("{:.0} kbit/s", bits / 1e3),
    }
}

/// One digit and noughts: a number that one would type.
fn rounded_up(number: f64) -> f64 {
    let magnitude = 10_f64.powf(number.max(1.0).log10().floor());
    (number / magnitude).ceil() * magnitude
}

fn correlation(settings: &Settings) -> Option<String> {
    match settings.loss {
        Loss::Random(Chance {
            probability,
            correlation,
        }) if correlation.is_possible() => Some(format!(
            "loss {probability} {correlation}: correlated loss collapses the rate, as netem's does \
             (10 % with 25 % gives about 1.75 %); for bursts say burst N instead"
        )),
        _ => None,
    }
}

fn jitter(settings: &Settings) -> Option<String> {
    let delay = settings.delay;
    let is_clipped = delay.jitter > delay.base && delay.jitter > Duration::ZERO;
    is_clipped.then(|| {
        format!(
            "jitter {} is more than delay {}: what would be less than 0 is 0, and the mean is higher",
            Time(delay.jitter),
            Time(delay.base),
        )
    })
}
