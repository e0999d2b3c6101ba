//! One host, pinged as `ping(8)` of iputils does.
//!
//! [`Core`] decides, without a socket or a clock; `run` carries out.

mod core;
pub(super) mod payload;
mod plan;
mod run;
mod tell;

pub use core::{Core, Judged, Probe, Refused};
pub use plan::{Plan, Rhythm};
pub use run::{ArrivalTime, Config, Naming, Outcome, Responders, run};
