//! One host, pinged as `ping(8)` of iputils does.
//!
//! [`Core`] decides, without a socket or a clock; `run` carries out.

mod core;
pub(super) mod payload;
mod run;
mod tell;

pub use core::{Condition, Core, Judged, Plan, Probe, Refused, Rhythm};
pub use run::{ArrivalTime, Config, Naming, Outcome, Responders, run};
