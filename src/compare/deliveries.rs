//! What the receiving program got of each message, as events.

use std::time::Duration;

use super::Column;
use super::play::Played;
use crate::event::{Arrival, Delivery, Topic, What};
use crate::recorder::Recorder;

/// Records every arrival at its time, and at the end what never came.
pub(super) fn record(played: &Played, column: &Column, recorder: &Recorder) {
    if !recorder.wants(Topic::Delivery) {
        return;
    }
    let say = |at: Duration, number: u32, arrival, latency| {
        let delivery = Delivery {
            kind: column.kind(),
            variant: Some(column.variant.name()),
            number: number.into(),
            arrival,
            latency,
        };
        recorder.record(at, What::Delivery(delivery));
    };
    let mut seen = vec![false; column.messages.len()];
    for arrived in &played.heard.arrived {
        let index = (arrived.number as usize).wrapping_sub(1);
        let (Some(seen), Some(message)) = (seen.get_mut(index), column.messages.get(index)) else {
            continue;
        };
        let bytes = arrived.size as usize;
        let arrival = if std::mem::replace(seen, true) {
            Arrival::Duplicate
        } else if message.out_of_order {
            Arrival::OutOfOrder { bytes }
        } else {
            Arrival::Delivered { bytes }
        };
        let latency = arrived.at.saturating_sub(arrived.sent_at);
        say(arrived.at, arrived.number, arrival, Some(latency));
    }
    let end = recorder.clock().now();
    let lost = column.messages.iter().filter(|one| one.arrivals == 0);
    lost.for_each(|message| say(end, message.number, Arrival::Lost, None));
}
