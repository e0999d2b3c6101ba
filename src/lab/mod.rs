//! Any program on the two private hosts: start it, wait for it, leave nothing.
//!
//! ```text
//!   outside                         │ inside: a PID namespace of its own
//!   Keeper: waits, passes signals ──┼─► Warden (pid 1): wire, hosts, reaping
//!           on, restores the tty    │      ├─ COMMAND on one host
//!   (dies: the kernel kills ────────┼──►   └─ the server's program, first
//!    pid 1 and all inside)          │
//! ```
//!
//! Owns no link and prints nothing: `cli` builds the one and does the other.

mod congestion;
mod furniture;
mod keeper;
mod names;
mod nest;
mod program;
mod ready;
mod run;
mod terminal;
mod warden;

pub use congestion::congestion_control;
pub use furniture::{dress, furnish};
pub use keeper::Keeper;
pub use names::hosts_table;
pub use nest::{Side, enter};
pub use program::{Ending, Errand, Words};
pub use ready::{Port, Ready};
pub use run::{Config, Ended, Server, run};
pub use warden::Warden;
