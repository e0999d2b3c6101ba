//! The chat room: its host and its members, over a stream, over datagrams, or
//! over a multicast group without a host.
//!
//! Owns the sockets and the tasks; what is said is the protocol's
//! ([`protocol::chat`](crate::protocol::chat)), and where lines are typed and
//! shown is the caller's ([`Console`]).

mod console;
mod farewell;
mod group;
mod host;
mod host_datagrams;
mod join;
mod join_datagrams;
mod mailbox;
mod reading;

pub use console::Console;
pub use group::{Gathered, Gathering, gather};
pub use host::{Hosting, Patience, host};
pub use host_datagrams::{Post, host_datagrams};
pub use join::{Joining, Parted, join};
pub use join_datagrams::{Passed, join_datagrams};
