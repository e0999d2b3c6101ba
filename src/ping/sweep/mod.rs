//! Many targets at once, as `fping(8)` pings them.
//!
//! [`Core`] decides without a socket or a clock, [`run()`] is the loop around
//! it. What fping does and socklab does otherwise: an ICMP error ends the wait
//! for its request, send times do not drift, and a request under way is never
//! counted as lost.

mod core;
mod figures;
mod plan;
mod roster;
mod run;
mod slots;
mod tell;

pub use self::core::{Core, Judged, Probe, Totals};
pub use figures::{Figures, Keeping, Verdict};
pub use plan::{Goal, Plan};
pub use roster::{Names, Shown};
pub use run::{Config, Outcome, View, Watcher, run};
pub use tell::Telling;
