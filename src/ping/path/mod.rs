//! What lies between here and a host: `--trace` walks the path hop by hop,
//! `--mtu` finds the largest packet it carries.
//!
//! [`Trace`] and [`Search`] decide without a socket or a clock; what an error
//! quotes is read by [`quote`] and [`extension`]. Nothing here prints.

pub mod extension;
pub mod mtu;
pub mod quote;
pub mod trace;

pub use mtu::Search;
pub use trace::Trace;
