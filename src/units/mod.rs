//! Quantities as people type them (`10mbit`, `64kb`, `5%`, `20ms`), and how
//! values are written as numbers for programs: durations as whole nanoseconds,
//! bytes as hexadecimal digits.
//!
//! The latter for serde's `serialize_with`; the field's name carries the unit
//! (`_ns`, `_hex`). Pure.

mod decimal;
mod quantity;
mod time;

use std::time::Duration;

use serde::Serializer;

pub use quantity::{ByteSize, Probability, QuantityError, Rate};
pub use time::Time;

/// A duration in whole nanoseconds.
pub fn nanoseconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

/// A duration in whole nanoseconds, or null.
pub fn optional_nanoseconds<S: Serializer>(
    time: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => nanoseconds(time, serializer),
        None => serializer.serialize_none(),
    }
}

/// Bytes in hexadecimal digits.
pub fn hexadecimal<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex::encode(bytes))
}
