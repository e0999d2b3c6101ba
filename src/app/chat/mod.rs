//! The chat room: its host and its members, over a stream or over datagrams.
//!
//! Owns the sockets and the tasks; what is said is the protocol's
//! ([`protocol::chat`](crate::protocol::chat)), and where lines are typed and
//! shown is the caller's ([`Console`]).

mod console;
mod farewell;
mod host;
mod join;
mod reading;

pub use console::Console;
pub use host::{Hosting, Patience, host};
pub use join::{Joining, Parted, join};
