//! What lies between here and a host: `--trace` walks the path hop by hop,
//! `--mtu` finds the largest packet it carries.
//!
//! [`Trace`] and [`Search`] decide without a socket or a clock; [`trace_path`]
//! and [`search_mtu`] send for them and tell. Nothing here prints.

pub mod mtu;
mod sound;
mod tell;
pub mod trace;
mod walk;

pub use mtu::Search;
pub use sound::{MtuConfig, mtu_options, search_mtu};
pub use trace::Trace;
pub use walk::{TraceConfig, trace_path};
