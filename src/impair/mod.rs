//! What a wire does to packets: delay, loss, duplication, reordering,
//! corruption, a bottleneck with its queue; each packet with its fate.
//!
//! Pure and sans-I/O: packets and `now` in, packets and fates out. The order of
//! things for one packet is netem's:
//!
//! ```text
//! offer ─ rules ─ duplicate ─ loss ─ corrupt ─ limit ─┬─ delay ──┬─ queue ─ server ─ slot ─ poll
//!                                                     └─ reorder ┘  (the bottleneck)
//! ```
//!
//! Draws are keyed by (seed, direction, flow, index in the flow, purpose): the
//! same seed gives the same fates whatever the timing, whatever else is on the
//! wire, and one setting's draws do not shift another's. Whatever has a memory
//! (correlation, Gilbert-Elliott, the gap of reorder, the count of a rule) has
//! it per flow and direction, for the same reason.
//!
//! Times are counted from the run's start. Delays count from the time a packet
//! was due, not from when it was dealt with, so that lateness does not add up.

mod codel;
mod corrupt;
mod datagrams;
mod draw;
mod ecn;
mod flow_memory;
mod flow_name;
mod flows;
mod gilbert_elliott;
mod jitter;
mod line;
mod loss;
mod lot;
mod markov;
mod medium;
mod outbox;
mod parcel;
mod path;
mod profile;
mod queue;
mod red;
mod selector;
mod server;
mod settings;
mod slot;
mod spec;
mod station;
mod trace;

pub use flow_name::{FlowEnd, FlowName, FlowProtocol};
pub use medium::Medium;
pub use parcel::{Outcome, Parcel, Verdict};
pub use profile::{PROFILES, Profile};
pub use selector::{Action, Rule, Seen, Selector, SelectorError};
pub use settings::{
    Bottleneck, Capacity, Chance, Course, Delay, Discipline, Distribution, Framing, Loss, Plan,
    Reorder, Schedule, Server, Settings, Slot,
};
pub use spec::{Dialect, Load, Problem, Reason, Shortest, Sketch, Source, Spec, SpecError, quote};
pub use trace::{OPPORTUNITY, Trace, TraceError};
