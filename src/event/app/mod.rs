//! What the applications tell: one vocabulary each.
//!
//! Pure values, all owned. In JSON the field of the application's name says
//! which step it was.

mod chat;
mod file;
mod proxy;
mod remote;

pub use chat::{Chat, Departure};
pub use file::{File, FileStep, Tally as FileTally};
pub use proxy::{Proxy, ProxyPassword, ProxyStep};
pub use remote::Remote;
